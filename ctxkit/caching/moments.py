"""Moments as Google's JSON writes them: RFC 3339 with up to nine digits of a second, durations in seconds.

Kept as whole nanoseconds: a float of today's unix time is only good to a quarter of a microsecond.
Source: protobuf JSON mapping of ``Timestamp`` and ``Duration``; nanoseconds were seen in ``expireTime`` (2026-09-07).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

__all__ = ["NANO", "duration", "instant", "nanoseconds", "rfc3339"]

NANO = 1_000_000_000

_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))", re.ASCII
)
_DURATION = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?s", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def nanoseconds(seconds: float) -> int:
    """Unix seconds as whole nanoseconds."""
    return round(seconds * NANO)


def rfc3339(moment: int) -> str:
    """Nanoseconds since 1970 as text in UTC, with no more digits than it takes (none, three, six or nine).

    >>> rfc3339(1_790_000_000_123_456_789), rfc3339(1_790_000_000_500_000_000)
    ('2026-09-21T14:13:20.123456789Z', '2026-09-21T14:13:20.500Z')
    """
    seconds, rest = divmod(moment, NANO)
    whole = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    if not rest:
        return f"{whole}Z"
    digits = f"{rest:09d}"
    return f"{whole}.{digits[:3] if rest % 1_000_000 == 0 else digits[:6] if rest % 1_000 == 0 else digits}Z"


def instant(text: str) -> int | None:
    """Nanoseconds since 1970 of an RFC 3339 text; ``None`` when it is none. What is finer than that is cut off.

    >>> instant("2026-09-21T14:13:20.123456789Z"), instant("2026-09-21T16:13:20+02:00")
    (1790000000123456789, 1790000000000000000)
    """
    found = _INSTANT.fullmatch(text)
    if found is None:
        return None
    day, time, fraction, sign, hours, minutes = found.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
    try:
        whole = datetime.fromisoformat(f"{day}T{time}").replace(tzinfo=timezone(offset))
    except ValueError:
        return None
    return (whole - _EPOCH) // timedelta(seconds=1) * NANO + _fraction(fraction)


def duration(text: str) -> int | None:
    """Nanoseconds of a duration in seconds; ``None`` when it is none.

    >>> duration("3600s"), duration("3599.585s")
    (3600000000000, 3599585000000)
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        return None
    sign, seconds, fraction = found.groups()
    return (int(seconds) * NANO + _fraction(fraction)) * (-1 if sign else 1)


def _fraction(digits: str | None) -> int:
    return int((digits or "").ljust(9, "0"))

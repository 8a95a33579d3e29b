"""Which time a report is about, in the user's own days and hours.

Moments are unix seconds; a zone is a ``tzinfo``, or ``None`` for the local time of this machine, which is what
``datetime`` makes of ``None`` everywhere below.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final, TypeAlias

from ctxkit.errors import ConfigurationError

__all__ = ["Moment", "day_of", "hour_of", "iso", "minute", "moment", "next_day", "stretch", "zone_of"]

Moment: TypeAlias = str | float | date | datetime | None

_AGO: Final = re.compile(r"(\d+)\s*(m|h|d|w)")
_UNITS: Final = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def zone_of(name: str | None) -> tzinfo | None:
    """A zone by its IANA name; ``None`` for local time.

    Raises:
        ConfigurationError: there is no such zone.
    """
    if name is None:
        return None
    if name.upper() in ("UTC", "Z"):
        return UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigurationError(f"no time zone {name!r}: give an IANA name such as Europe/Berlin") from error


def moment(text: Moment, *, now: float, zone: tzinfo | None, end: bool = False) -> float | None:
    """A moment as people give it, as unix seconds.

    Args:
        text: ``"7d"``, ``"24h"``, ``"90m"``, ``"2w"`` before ``now``; ``"today"``, ``"yesterday"``; an ISO date or time
            (in ``zone`` unless it says otherwise); a ``date`` or ``datetime``; unix seconds; ``None`` for no bound.
        now: unix seconds.
        zone: the user's zone.
        end: the moment ends a period: a day then means its end, so that ``until="2026-11-20"`` contains that day.

    Raises:
        ConfigurationError: it cannot be read.
    """
    if text is None or isinstance(text, int | float):
        return text
    try:
        return _read(text, now, zone, end=end)
    except (ValueError, OverflowError, OSError) as error:
        raise ConfigurationError(
            f"cannot read the time {text!r}: give 7d, 24h, today, 2026-11-20 or 2026-11-20T14:00"
        ) from error


def _read(text: str | date | datetime, now: float, zone: tzinfo | None, *, end: bool) -> float:
    if isinstance(text, str):
        text = text.strip().lower()
        if found := _AGO.fullmatch(text):
            return now - int(found[1]) * _UNITS[found[2]]
        if text in ("today", "yesterday"):
            text = datetime.fromtimestamp(now, zone).date() - timedelta(days=text == "yesterday")
        else:
            text = date.fromisoformat(text) if len(text) <= len("2026-11-20") else datetime.fromisoformat(text.upper())
    if isinstance(text, datetime):
        return (text if text.tzinfo else text.replace(tzinfo=zone)).timestamp()
    day = text + timedelta(days=1) if end else text
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()


def day_of(at: float, zone: tzinfo | None) -> str:
    """The user's day, as an ISO date."""
    return datetime.fromtimestamp(at, zone).date().isoformat()


def next_day(at: float, zone: tzinfo | None) -> float:
    """The moment at which the user's next day begins; days of 23 and 25 hours are such days."""
    day = datetime.fromtimestamp(at, zone).date() + timedelta(days=1)
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()


def hour_of(at: float, zone: tzinfo | None) -> str:
    """The user's hour; where a clock is set back, the second of two alike is marked.

    Hours are the hours of UTC: in a zone of half hours they begin at ``:30``.
    """
    local = datetime.fromtimestamp(at - at % 3_600, zone)
    return f"{local:%Y-%m-%d %H:%M}{' (2nd)' if local.fold else ''}"


def iso(at: float | None, zone: tzinfo | None) -> str | None:
    """A moment in ISO form with the offset of the user's zone, to the second."""
    return None if at is None else datetime.fromtimestamp(at, zone).astimezone(zone).isoformat(timespec="seconds")


def minute(at: float | None, zone: tzinfo | None) -> str:
    """A moment for people, to the minute; ``""`` for none."""
    return "" if at is None else f"{datetime.fromtimestamp(at, zone):%Y-%m-%d %H:%M}"


def stretch(since: float | None, until: float | None, timezone: str | None) -> str:
    """A period for people, in the time that is meant."""
    zone = zone_of(timezone)
    return f"{minute(since, zone) or 'the beginning'} to {minute(until, zone) or 'now'} ({timezone or 'local time'})"

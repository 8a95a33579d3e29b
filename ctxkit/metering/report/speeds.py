"""How fast answers came that read something from the cache, and those that read nothing.

Roll-ups do not tell one from the other, so this looks at the attempts themselves: at the latest ones, where they are
many, which is what one wants to know of speed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ctxkit.metering.report.details import Spans, Speed

if TYPE_CHECKING:
    import sqlite3

__all__ = ["MOST", "speeds"]

MOST: Final = 200_000
"""Attempts that are looked at."""

_NAMES: Final = ("ttft", "tpot", "e2e")
_QUERY: Final = (
    f"SELECT read > 0, {', '.join(_NAMES)} FROM attempts WHERE created >= ? AND created < ? "  # noqa: S608
    "AND read IS NOT NULL AND status NOT IN ('open', 'failed') AND coalesce(number, 1) > 0 ORDER BY created DESC LIMIT ?"
)


def speeds(db: sqlite3.Connection, since: float, until: float) -> tuple[tuple[Speed, ...], bool]:
    """By name, and whether there were more attempts than were looked at; answers that do not tell are in neither."""
    seen: tuple[tuple[list[float], ...], ...] = tuple(tuple([] for _ in _NAMES) for _ in range(2))
    count = 0
    for hit, *figures in db.execute(_QUERY, (since, until, MOST + 1)):
        count += 1
        if count > MOST:
            break
        for spans, span in zip(seen[hit], figures, strict=True):
            if span is not None:
                spans.append(span)
    cold, cached = seen
    found = tuple(
        Speed(name, _spans(with_it), _spans(without))
        for name, with_it, without in zip(_NAMES, cached, cold, strict=True)
    )
    return found, count > MOST


def _spans(seconds: list[float]) -> Spans:
    """By rank ``floor(share * (n - 1))``, as everywhere in a report."""
    if not seconds:
        return Spans()
    seconds.sort()
    last = len(seconds) - 1
    return Spans(len(seconds), *(seconds[int(share * last)] for share in (0.5, 0.9, 0.99)))

"""The conversations of a period that drifted most, and the course of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ctxkit.drift import STUCK
from ctxkit.metering.ledger.journal import decode
from ctxkit.metering.report.details import Strayed

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from decimal import Decimal

__all__ = ["strayed"]

_SHOWN: Final = 10
_POINTS: Final = 20_000  # requests of these conversations that are read: the latest
# Of each conversation the row of its latest measured request: SQLite takes bare columns from the row of max().
_WORST: Final = f"""
SELECT thread FROM (
    SELECT thread, drift_score AS score, drift, max(created) FROM attempts
    WHERE created >= ? AND created < ? AND drift_score IS NOT NULL AND thread IS NOT NULL GROUP BY thread)
WHERE json_extract(drift, '$.level') IN ('drifting', 'lost') ORDER BY score DESC, thread LIMIT {_SHOWN}
"""  # noqa: S608
_COURSE: Final = """
SELECT thread, coalesce(feature, ''), number, drift_score, drift_tokens, drift_noise, drift_fee_pico, drift FROM attempts
WHERE created >= ? AND created < ? AND thread IN ({marks}) AND status != 'open' AND (number = 1 OR drift_score IS NOT NULL)
ORDER BY created DESC, attempt DESC LIMIT {limit}
"""


def strayed(db: sqlite3.Connection, since: float, until: float, money: Callable[[int], Decimal]) -> tuple[Strayed, ...]:
    """Those that drift or are lost by their latest request that was measured, the worst first."""
    courses: dict[str, list[Sequence[Any]]] = {thread: [] for (thread,) in db.execute(_WORST, (since, until))}
    query = _COURSE.format(marks=",".join("?" * len(courses)), limit=_POINTS)
    for thread, *row in db.execute(query, (since, until, *courses)).fetchall()[::-1]:
        courses[thread].append(row)
    return tuple(
        _told(thread, rows, money) for thread, rows in courses.items() if any(row[2] is not None for row in rows)
    )


def _told(thread: str, rows: Sequence[Any], money: Callable[[int], Decimal]) -> Strayed:
    """One of them, by its requests in order."""
    course: list[tuple[int, float]] = []
    tokens = noise = pico = priced = request = 0
    feature, loop, level = "", 0.0, ""
    for feature, number, score, size, part, fee, said in rows:  # noqa: B007 - the latest feature stays
        request += number == 1
        if score is None:
            continue
        known = decode(said.encode()) if said else {}
        course.append((max(request, 1), score))
        tokens, noise = tokens + (size or 0), noise + (part or 0)
        pico, priced = pico + (fee or 0), priced + (fee is not None)
        loop, level = max(loop, known.get("loop") or 0.0), known.get("level") or ""
    return Strayed(
        thread=thread,
        feature=feature,
        measured=len(course),
        score=course[-1][1],
        level=level,
        noise_share=noise / tokens if tokens else None,
        noise_fee=money(pico) if priced else None,
        unpriced=len(course) - priced,
        stuck=loop >= STUCK,
        course=tuple(course),
    )

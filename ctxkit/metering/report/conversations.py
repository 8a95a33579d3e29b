"""The conversations of a period that stand out: which saved and lost most, and whose requests cost most."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ctxkit.metering.ledger.journal import decode
from ctxkit.metering.report.details import Thread

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from decimal import Decimal

__all__ = ["SHOWN", "standing_out"]

SHOWN: Final = 10
"""Threads of each kind."""

_WHOLE: Final = 10**12
_FEW: Final = 4  # looking up a row takes longer than reading it in passing
_WRITTEN: Final = "coalesce((SELECT sum(value) FROM json_each(written)), 0)"


def _money(name: str) -> str:
    """Dollars and the rest apart: pico-dollars alone leave 64 bits at nine million dollars."""
    return f"sum({name} / {_WHOLE}) AS {name}_usd, sum({name} % {_WHOLE}) AS {name}_rest"


_QUERY: Final = f"""
WITH threads AS (
    SELECT thread, min(created) AS begun, max(created) AS ended, sum(number = 1) AS requests, {_money("cost_pico")}, {_money("savings_pico")}
    FROM attempts WHERE created >= ? AND created < ? AND thread IS NOT NULL AND status != 'open' AND coalesce(number, 1) > 0
    GROUP BY thread),
told AS (
    SELECT thread, begun, ended, savings_pico_usd + savings_pico_rest * 1e-12 AS saved,
        (cost_pico_usd + cost_pico_rest * 1e-12) / nullif(requests, 0) AS dear FROM threads)
SELECT * FROM (SELECT 'best', thread, begun, ended FROM told WHERE saved > 0 ORDER BY saved DESC, thread LIMIT {SHOWN})
UNION ALL SELECT * FROM (SELECT 'worst', thread, begun, ended FROM told WHERE saved < 0 ORDER BY saved, thread LIMIT {SHOWN})
UNION ALL SELECT * FROM (SELECT 'dearest', thread, begun, ended FROM told WHERE dear > 0 ORDER BY dear DESC, thread LIMIT {SHOWN})
UNION ALL SELECT 'count', count(*), min(begun), max(ended) FROM threads
"""  # noqa: S608
_FIGURES: Final = f"""
SELECT thread, coalesce(feature, ''), sum(number = 1), count(*),
    sum(CASE WHEN fresh IS NULL THEN 0 ELSE fresh + coalesce(read, 0) + {_WRITTEN} END), sum(coalesce(read, 0)),
    sum(coalesce(output, 0)), count(cost_pico), sum(cost_pico IS NULL AND status NOT IN ('failed', 'unmetered')),
    count(savings_pico), count(predicted_pico),
    {_money("cost_pico")}, {_money("savings_pico")}, {_money("predicted_pico")}, max(created)
FROM attempts WHERE status != 'open' AND coalesce(number, 1) > 0 AND """  # noqa: S608
_NOTED: Final = (
    "SELECT thread, miss_reason, edits FROM attempts WHERE status != 'open' "
    "AND (edits IS NOT NULL OR miss_reason IS NOT NULL) AND "
)


def standing_out(
    db: sqlite3.Connection, since: float, until: float, money: Callable[[int], Decimal]
) -> tuple[dict[str, tuple[Thread, ...]], int]:
    """Threads by ``"best"``, ``"worst"`` and ``"dearest"``, each in order, and how many threads there are in all."""
    *chosen, (_, count, begun, ended) = db.execute(_QUERY, (since, until)).fetchall()
    spans = {thread: (first, last) for _, thread, first, last in chosen}
    known = _known(db, *_place(spans, begun, ended), money) if spans else {}
    kinds = ("best", "worst", "dearest")
    return {kind: tuple(known[thread] for one, thread, *_ in chosen if one == kind) for kind in kinds}, count


def _place(spans: dict[str, tuple[float, float]], begun: float, ended: float) -> tuple[str, list[object]]:
    """Where the attempts of threads stand: each in its own stretch of time, or all of the period if that is no less."""
    if sum(last - first for first, last in spans.values()) * _FEW < ended - begun:
        one = "(thread = ? AND created >= ? AND created <= ?)"
        return f"({' OR '.join([one] * len(spans))})", [
            value for name, span in spans.items() for value in (name, *span)
        ]
    marks = ",".join("?" * len(spans))
    return f"(created >= ? AND created <= ? AND thread IN ({marks}))", [begun, ended, *spans]


def _known(
    db: sqlite3.Connection, place: str, values: list[object], money: Callable[[int], Decimal]
) -> dict[str, Thread]:
    found: dict[str, Thread] = {}
    for row in db.execute(f"{_FIGURES}{place} GROUP BY thread", values):
        thread, feature, requests, attempts, inputs, read, output, priced, unpriced, saved, predicted, *sums = row
        cost, savings, expected = ((sums[at] or 0) * _WHOLE + (sums[at + 1] or 0) for at in (0, 2, 4))
        found[thread] = Thread(
            thread=thread,
            feature=feature,
            requests=requests,
            attempts=attempts,
            input_tokens=inputs,
            read=read,
            output=output,
            cost=money(cost) if priced else None,
            unpriced=unpriced,
            savings=money(savings) if saved else None,
            predicted=money(expected) if predicted else None,
            per_request=money((cost + requests // 2) // requests) if priced and requests else None,
        )
    return _noted(db, found, place, values)


def _noted(db: sqlite3.Connection, found: dict[str, Thread], place: str, values: list[object]) -> dict[str, Thread]:
    """The same with kinds of edits and reasons of misses."""
    edits: dict[str, Counter[str]] = {name: Counter() for name in found}
    misses: dict[str, Counter[str]] = {name: Counter() for name in found}
    for thread, reason, summary in db.execute(f"{_NOTED}{place}", values):
        if reason:
            misses[thread][reason] += 1
        if summary:
            edits[thread].update(_kinds(decode(summary.encode())))
    return {
        name: replace(one, edits=_largest(edits[name]), misses=_largest(misses[name])) for name, one in found.items()
    }


def _kinds(summary: dict[str, int]) -> dict[str, int]:
    """Edits by pass; those that no pass made are what is said to the cache."""
    by = {name[3:-2]: count for name, count in summary.items() if name.startswith("by.") and name.endswith(".n")}
    rest = summary.get("n", 0) - sum(by.values())
    return {**by, **({"": rest} if rest > 0 else {})}


def _largest(counts: Counter[str]) -> dict[str, int]:
    return {name: count for name, count in counts.most_common() if count > 0}

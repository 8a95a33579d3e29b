"""Score forecasts of the provider's cache on recorded sessions.

    python -m scripts.score_forecast [--all]

The requests of each recording are planned and settled in their order, each session in a scope of its own so that none
knows the entries of another; what is learned of rules and models goes on from session to session, as in an application.

Scored is a request that matches an entry which its own session saw at work: the request that made it was reported to
have read or written something (``--all``: every request for which an entry is believed alive). Left out are requests
that stand twice in a session, because recordings keep one answer for equal requests, the first. Recordings bear no times:
five seconds are taken to lie between two requests.

Classes: ``miss`` (nothing read), ``hit`` (at least half of what the rules allow to be read), ``partial``.
"""

from __future__ import annotations

import argparse
import json
import logging
import lzma
from collections import defaultdict
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from ctxkit import Kit
from ctxkit.caching.forecast import EXACT, Foreseen
from scripts.recorded import DATA, DIALECTS, PLATFORMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ctxkit.model import Plan, Record

__all__ = ["Scored", "accuracy", "error", "exact", "scored"]

_GAP = 5.0  # seconds between two requests of a session
_HIT = 0.5  # share of what the rules allow; at 0.8 automatic caches score about nine points less


@dataclass(frozen=True, slots=True)
class Scored:
    """One forecast and what came of it.

    Attributes:
        platform: who served it.
        rule: rules it went by.
        match: how they match.
        expected: tokens that were forecast to be read.
        bound: the most that the rules allow.
        read: tokens that the provider reported.
        total: tokens of the whole prompt.
        seen: the session saw the entry at work.
    """

    platform: str
    rule: str
    match: str
    expected: int
    bound: int
    read: int
    total: int
    seen: bool

    @property
    def right(self) -> bool:
        """The class came true."""
        return self._class(self.expected) == self._class(self.read)

    def _class(self, tokens: int) -> str:
        return "miss" if not tokens else "hit" if tokens >= _HIT * self.bound else "partial"


def scored(folder: Path = DATA) -> Iterator[Scored]:
    """Every forecast of a recorded session that goes by an entry."""
    requests = {record["id"]: record for record in _lines(folder, "requests") if record["endpoint"] in DIALECTS}
    answers = {record["id"]: record["body"] for record in _lines(folder, "responses") if record["id"] in requests}
    kit, now = Kit(store=None, ledger=None), 1e9
    for number, session in enumerate(_lines(folder, "sessions")):
        known = dict.fromkeys(name for name in session["ids"] if name in requests)  # each once, in order
        if len(known) < 2 or not any(_cached(requests[name]) for name in known):
            continue
        for name in known:
            now += _GAP
            plan, record = _served(kit, requests[name], answers.get(name), now, str(number))
            found = _score(plan, record)
            if found is not None:
                yield found
    kit.close()


def _lines(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    with lzma.open(folder / "exchanges" / f"{name}.jsonl.xz", "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _cached(request: dict[str, Any]) -> bool:
    counted = request["n"] or {}
    return bool(counted.get("cache_read") or counted.get("cache_write"))


def _served(kit: Kit, request: dict[str, Any], answer: str | None, now: float, scope: str) -> tuple[Plan, Record]:
    provider = str(request["provider"])
    plan = kit.plan(
        request["request"],
        dialect=DIALECTS[request["endpoint"]],
        platform=PLATFORMS.get(provider, provider),
        model=request["model"],
        scope=scope,
        now=now,
    )
    return plan, kit.settle(plan, answer, status=request["status"])


def _score(plan: Plan, record: Record) -> Scored | None:
    foreseen, usage = plan.layout, record.usage
    if not isinstance(foreseen, Foreseen) or usage is None or usage.read is None or record.status != "settled":
        return None
    entry, expected = foreseen.matched.entry, foreseen.forecast.cached_tokens
    if entry is None or expected is None or not usage.input_total:
        return None
    bound = foreseen.forecast.bound_tokens or 0
    rule = foreseen.rule
    return Scored(plan.platform, rule.id, rule.match, expected, bound, usage.read, usage.input_total, entry.seen)


def accuracy(rows: Iterable[Scored]) -> float:
    """Share of right classes."""
    right = [row.right for row in rows]
    return sum(right) / len(right)


def error(rows: Iterable[Scored]) -> float | None:
    """Median relative error of tokens, of forecasts that expected a read which came."""
    errors = [abs(row.expected - row.read) / row.read for row in rows if row.expected and row.read]
    return median(errors) if errors else None


def exact(row: Scored) -> bool:
    """Read at markers, to the token."""
    return row.match in EXACT


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="score entries that were never seen at work, too")
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    rows = [row for row in scored() if row.seen or args.all]
    groups: dict[str, list[Scored]] = defaultdict(list)
    for row in rows:
        groups[f"{row.platform}: {row.rule}"].append(row)
    groups["all that match at markers"] = [row for row in rows if exact(row)]
    groups["all automatic"] = [row for row in rows if not exact(row)]
    print(
        "| platform: rules | n | class right | hit or miss right | reads | median error of tokens | within the bound |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, group in groups.items():
        if group:
            print(_row(name, group))


def _row(name: str, group: list[Scored]) -> str:
    reads = sum(1 for row in group if row.expected and row.read)
    missed = error(group)
    came = sum(bool(row.expected) == bool(row.read) for row in group) / len(group)
    bound = sum(row.read <= row.bound for row in group) / len(group)
    tokens = "" if missed is None else f"{missed:.2%}"
    return f"| {name} | {len(group)} | {accuracy(group):.1%} | {came:.1%} | {reads} | {tokens} | {bound:.1%} |"


if __name__ == "__main__":
    main()

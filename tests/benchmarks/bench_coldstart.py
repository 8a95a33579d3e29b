"""What it brings that one of many cold requests goes first: money, reads and time, by provider, on the simulated caches.

    python tests/benchmarks/bench_coldstart.py [--json] [--bound SECONDS] [--prefix TOKENS] [--answer TOKENS]

N requests start at the same moment. They share a prefix (tools and instructions) and have 500 tokens each of their own.
A provider computes 10,000 tokens a second, reads cached ones for nothing, and writes 60 tokens a second. Each is run
freely, and held with the bound, after a burst with other instructions from which it is known how long answers take;
times are those of an event loop whose clock jumps, so nothing is waited for here. Rows that say "unmarked" bear no
markers when run freely, and are marked by mode "cache" when held: nothing is known of their instructions before.
``wait`` is what the held requests waited, ``answer`` the mean time until an answer begins, ``end`` until the last one
of all has ended.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import selectors
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ctxkit.cacheable import Ask
from ctxkit.caching.coldprefix import start_of
from ctxkit.caching.coldstarts import ColdStarts
from ctxkit.caching.habits import Habits
from ctxkit.caching.layout import Space
from ctxkit.caching.placement import place
from ctxkit.caching.rules import find
from ctxkit.caching.simulator import State, bill, commit, look
from ctxkit.metering.prices import Prices
from ctxkit.money import usd_of
from tests.caching.conversations import laid, system, tool, user

OWN = 500
COMPUTED, SPOKEN, LATENCY = 10_000.0, 60.0, 0.4
NOW = 1_795_000_000.0  # November 2026

CASES = (  # marked: True by the user, None by mode "cache" where it is held, False by nobody
    ("anthropic", "claude-opus-5", "anthropic.messages", True),
    ("anthropic", "claude-opus-5", "anthropic.messages", None),
    ("bedrock", "anthropic.claude-sonnet-5", "bedrock.converse", True),
    ("bedrock", "anthropic.claude-sonnet-5", "bedrock.converse", None),
    ("openai", "gpt-5.6-sol", "openai.responses", True),
    ("openai", "gpt-5.4", "openai.chat", False),
    ("deepseek", "deepseek-flash", "openai.chat", False),
    ("google", "gemini-2.5-pro", "gemini.generate", False),
    ("vllm", "llama-3-8b", "openai.chat", False),
)


class Jumping(selectors.SelectSelector):
    """Waits for nothing: the clock jumps to where the loop would have waited."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        self.now += timeout or 0.0
        return super().select(0)


def run(work: Any) -> Any:
    selector = Jumping()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now  # type: ignore[method-assign]
    try:
        return loop.run_until_complete(work(loop.time))
    finally:
        loop.close()


class Result(NamedTuple):
    """One run."""

    usd: Any
    read_share: float
    wait: float
    most: float
    answer: float
    end: float


@dataclass
class Scene:
    """N requests to one provider."""

    platform: str
    model: str
    dialect: str
    marked: bool | None
    number: int
    prefix: int
    answer: int
    state: State = field(default_factory=State)
    habits: Habits = field(default_factory=Habits)

    def __post_init__(self) -> None:
        rule = find(self.platform, self.model, dialect=self.dialect)
        assert rule is not None, self
        self.rule = rule
        card = Prices().card(self.platform, self.model, at=NOW)
        self.rates = card.rates(self.prefix + OWN) if card else None

    def layout(self, name: str) -> Any:
        mark, text = "" if self.marked else None, name.partition(" ")[0]
        steps = [tool("search", 600), system(text, self.prefix - 600, mark), user(f"own {name}", OWN)]
        if self.marked is None:  # a conversation with tools is marked anyway
            steps = [system(text, self.prefix), user(f"own {name}", OWN)]
        return laid(self.rule, steps, Ask(), Space(self.platform, self.model))

    def placed(self, name: str, layout: Any, now: float) -> Any:
        """The request as mode "cache" marks it: the first of a burst cannot know of the others."""
        outlook = self.habits.outlook("feature", layout, now, name)
        self.habits.left(name, name, layout, now)
        placement = place(layout, self.rule, alive=self.state.alive(now), outlook=outlook, rates=self.rates)
        self.habits.note("feature", layout, now, placement.choice)
        return replace(layout, marks={point.at: point.ttl for point in placement.points})

    async def serve(self, name: str, time: Any, gate: ColdStarts | None, bound: float) -> tuple[Any, float, float]:
        layout = self.layout(name)
        if self.marked is None and gate is not None:
            layout = self.placed(name, layout, NOW + time())
        began = time()
        if gate is not None:
            one = start_of(self.rule, layout, self.state.alive(NOW + time()), attempt=name, rates=self.rates)
            if one is not None:
                await gate.ahold(one, bound)
        waited = time() - began
        outcome = look(self.state, layout, self.rule, NOW + time())
        if self.rule.visible == "starts":
            self.state = commit(self.state, outcome, self.rule, begins=NOW + time(), ends=NOW + time())
        await asyncio.sleep(LATENCY + (outcome.total - outcome.read) / COMPUTED)
        begins = NOW + time()
        first = time() - began
        ends = begins + self.answer / SPOKEN
        self.state = commit(self.state, outcome, self.rule, begins=begins, ends=ends)
        if gate is not None:
            gate.began(name)
        await asyncio.sleep(self.answer / SPOKEN)
        if gate is not None:
            gate.ended(name)
        self.habits.bursts.ended(name)
        return outcome, waited, first

    async def all(self, time: Any, bound: float) -> Result:
        gate = ColdStarts(time) if bound else None
        await self.burst("others", time, gate, bound)
        start = time()
        served = await self.burst("instructions", time, gate, bound)
        outcomes = [outcome for outcome, _, _ in served]
        bills = [bill(outcome, self.rates, output=self.answer) if self.rates else None for outcome in outcomes]
        waits = [waited for _, waited, _ in served]
        return Result(
            None if None in bills else usd_of(sum(bills)),  # type: ignore[arg-type]
            sum(outcome.read for outcome in outcomes) / sum(outcome.total for outcome in outcomes),
            sum(waits) / len(waits),
            max(waits),
            sum(first for *_, first in served) / len(served),
            time() - start,
        )

    async def burst(self, text: str, time: Any, gate: ColdStarts | None, bound: float) -> Any:
        return await asyncio.gather(*(self.serve(f"{text} {name}", time, gate, bound) for name in range(self.number)))


def measure(
    case: tuple[str, str, str, bool | None], number: int, prefix: int, answer: int, bound: float
) -> dict[str, Any]:
    """Both runs of one case."""
    free, held = (run(lambda time, b=b: Scene(*case, number, prefix, answer).all(time, b)) for b in (0.0, bound))
    saved = None if free.usd is None else float(1 - held.usd / free.usd)
    return {
        "provider": f"{case[0]} {case[1]}{' unmarked' if case[3] is None else ''}",
        "requests": number,
        "usd_free": None if free.usd is None else f"{free.usd:.4f}",
        "usd_held": None if held.usd is None else f"{held.usd:.4f}",
        "saved": saved,
        "read_free": free.read_share,
        "read_held": held.read_share,
        "wait_mean": held.wait,
        "wait_most": held.most,
        "answer_free": free.answer,
        "answer_held": held.answer,
        "end_free": free.end,
        "end_held": held.end,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--bound", type=float, default=5.0)
    parser.add_argument("--prefix", type=int, default=20_000)
    parser.add_argument("--answer", type=int, default=300)
    options = parser.parse_args()
    rows = [
        measure(case, number, options.prefix, options.answer, options.bound) for case in CASES for number in (2, 8, 32)
    ]
    if options.json:
        print(json.dumps(rows))
        return
    print(f"{options.prefix:,} shared tokens, {OWN} of one's own, answers of {options.answer}, bound {options.bound} s")
    print(f"{'':44} {'N':>3} {'USD free':>9} {'held':>9} {'saved':>6} {'read':>5} {'held':>5} {'wait':>5} {'most':>5}"
          f" {'answer':>6} {'held':>5} {'end':>6} {'held':>6}")  # fmt: skip
    for row in rows:
        saved = "" if row["saved"] is None else f"{row['saved']:.0%}"
        print(f"{row['provider']:44} {row['requests']:3} {row['usd_free'] or '':>9} {row['usd_held'] or '':>9} {saved:>6}"
              f" {row['read_free']:5.0%} {row['read_held']:5.0%} {row['wait_mean']:5.2f} {row['wait_most']:5.2f}"
              f" {row['answer_free']:6.2f} {row['answer_held']:5.2f} {row['end_free']:6.2f} {row['end_held']:6.2f}")  # fmt: skip


if __name__ == "__main__":
    main()

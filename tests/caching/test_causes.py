"""What tidying saved, against a second provider that is sent the originals; and which pass saved what."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxkit.caching.causes import Removed, removed, split
from ctxkit.caching.forecast import Foreseen, foresee
from ctxkit.caching.simulator import Outcome, bill
from ctxkit.caching.unmarked import Plain, Unmarked, Without, tidied, untidied
from ctxkit.model import Edit, Usage
from tests.caching.conversations import Piece, Provider, call, result, system, user

RATES = {"fresh": 3_000, "read": 300, "written": 3_750, "written.5m": 3_750, "written.1h": 6_000, "output": 15_000}
STUB = 12


def usage_of(outcome: Outcome) -> Usage:
    return Usage(fresh=outcome.fresh, read=outcome.read, written=dict(outcome.written), output=10)


def agent(turns: int, seed: int = 1) -> list[Piece]:
    rng = random.Random(seed)
    history = [system("instructions", 1_500), user("task", 300)]
    for turn in range(turns):
        history += [call(f"call {turn}", rng.randint(20, 80)), result(f"result {turn}", rng.randint(50, 2_000))]
    return history


def stubbed(history: list[Piece], gone: set[int]) -> list[Piece]:
    """The same with some results replaced by a stub."""
    return [Piece(f"[{piece.text}]", STUB, *piece[2:]) if at in gone else piece for at, piece in enumerate(history)]


def marked(history: list[Piece]) -> list[Piece]:
    """A marker behind the instructions and one at the end, as mode cache places them."""
    return [piece.marked() if at in (0, len(history) - 1) else piece for at, piece in enumerate(history)]


class World:
    """A provider that is sent tidied and marked requests, and two that are sent what they are set against."""

    def __init__(self, rule: Provider, *, marks: bool = True) -> None:
        self.real, self.plain, self.marked = rule, replace(rule), replace(rule)
        self.marks = marks
        self.lines = Unmarked(), Unmarked()
        self.bills = {"real": 0, "plain": 0, "marked": 0}
        self.told = {"plain": 0, "marked": 0}

    def bill(self, name: str, outcome: Outcome) -> None:
        cost = bill(outcome, RATES)
        assert cost is not None
        self.bills[name] += cost

    def send(self, original: list[Piece], sent: list[Piece], now: float) -> tuple[Foreseen, Without]:
        mark = marked if self.marks else list
        layout, plain = self.real.layout(mark(sent)), self.real.layout(original)
        foreseen = foresee(self.real.rule, layout, self.real.state.alive(now))
        foreseen = foreseen._replace(plain=Plain(self.real.rule, plain))
        outcome = self.real.send(mark(sent), now)
        self.bill("real", outcome)
        self.bill("plain", self.plain.send(original, now))
        self.bill("marked", self.marked.send(mark(original), now))
        found: dict[str, Any] = {}
        for line, request in zip(self.lines, (foreseen.plain, untidied(foreseen)), strict=True):
            name = "plain" if line is self.lines[0] else "marked"
            without = line.settled(request, foreseen, usage_of(outcome), now, None)
            assert without is not None
            found[name] = without
            usage = without.usage
            self.told[name] += (usage.fresh or 0) * RATES["fresh"] + (usage.read or 0) * RATES["read"]
            self.told[name] += sum(tokens * RATES[f"written.{ttl}"] for ttl, tokens in (usage.written or {}).items())
        return foreseen, found["marked"]


def claude() -> Provider:
    return Provider("anthropic", "claude-sonnet-4-5")


@settings(deadline=None)
@given(
    st.integers(1, 12),
    st.dictionaries(st.integers(0, 11), st.integers(0, 11)),
    st.lists(st.sampled_from([10.0, 250.0, 400.0]), min_size=12, max_size=12),
    st.integers(0, 5),
)
def test_each_line_comes_to_the_bill_of_a_provider_that_was_sent_it(
    turns: int, removed_at: dict[int, int], gaps: list[float], seed: int
) -> None:
    """Results are removed in any order, long after they were sent or before: sums are exact, request for request."""
    world, now, history = World(claude()), 0.0, agent(12, seed)
    for turn in range(turns + 1):
        original = history[: 2 + 2 * turn]
        gone = {3 + 2 * one for one, since in removed_at.items() if since <= turn}
        world.send(original, stubbed(original, gone), now)
        assert world.told == {name: world.bills[name] for name in world.told}
        now += gaps[turn % 12]


def test_only_a_request_that_differs_was_tidied() -> None:
    world, history = World(claude()), agent(3)
    foreseen, _ = world.send(history, history, 0.0)
    assert not tidied(foreseen)
    foreseen, _ = world.send(history, stubbed(history, {3}), 10.0)
    assert tidied(foreseen)
    assert not tidied(foreseen._replace(plain=None))
    assert untidied(foreseen._replace(plain=None)) is None


def test_dropped_messages_leave_markers_at_the_end() -> None:
    world, history = World(claude()), agent(6)
    foreseen, without = world.send(history, [*history[:2], *history[8:]], 0.0)
    request = untidied(foreseen)
    assert request is not None
    assert sorted(request.layout.marks) == [0, len(history) - 1]
    total = sum(piece.tokens for piece in history)
    assert without.usage.written == {"5m": total}


def test_a_cache_that_promises_nothing_is_given_the_same_luck() -> None:
    world = World(Provider("openai", "gpt-4o"), marks=False)
    history = agent(8)
    total = sum(piece.tokens for piece in history)
    line = Unmarked()
    layout = world.real.layout(history)
    first = foresee(world.real.rule, layout, world.real.state.alive(0.0))
    first = first._replace(plain=Plain(world.real.rule, layout))
    world.real.send(history, 0.0)
    line.settled(untidied(first), first, Usage(fresh=total, read=0, written={}, output=5), 0.0, None)
    longer = [*history, user("more", 1_000)]
    sent = stubbed(longer, {5})
    foreseen = foresee(world.real.rule, world.real.layout(sent), world.real.state.alive(10.0))
    foreseen = foreseen._replace(plain=Plain(world.real.rule, world.real.layout(longer)))
    whole = sum(piece.tokens for piece in sent)
    without = line.settled(
        untidied(foreseen), foreseen, Usage(fresh=whole - 1_024, read=1_024, written={}, output=5), 10.0, None
    )
    assert without is not None
    assert foreseen.matched.tokens > 1_024  # up to the stub
    share = 1_024 / foreseen.matched.tokens
    assert without.usage.input_total == total + 1_000
    assert without.usage.read == int(total * share) // 128 * 128


@pytest.mark.parametrize("usage", [Usage(), Usage(fresh=5, read=None, written={}), Usage(fresh=5, read=0)])
def test_what_is_not_reported_is_not_known(usage: Usage) -> None:
    world, history = World(claude()), agent(2)
    foreseen, _ = world.send(history, stubbed(history, {3}), 0.0)
    assert world.lines[0].settled(foreseen.plain, foreseen, usage, 5.0, None) is None


def edit(path: tuple[Any, ...], by: str, before: int, after: int, *, lossless: bool = True) -> Edit:
    return Edit("replace", path, "", tokens_before=before, tokens_after=after, lossless=lossless, by=by)


def test_tokens_are_worth_what_they_would_have_cost() -> None:
    layout = claude().layout(agent(3))
    ends = [position.tokens for position in layout.positions]
    without = Without(Usage(), read=ends[3], written=ends[5], ttl="1h")
    edits = [
        edit(("messages", 3, "content"), "stale", 100, 10),
        edit(("messages", 5, 0), "compact", 50, 20),
        edit(("messages", 7), "compact+repeats", 40, 10),
        edit(("messages", 7), "", 0, 0),
        edit(("system", 0), "mine", 10, 20),
    ]
    assert removed(edits, layout, without, RATES) == [
        Removed("stale", 90 * 300),
        Removed("compact", 30 * 6_000),
        Removed("compact+repeats", 30 * 3_000),
        Removed("mine", 0),
    ]
    assert removed(edits[:1], layout, without, None) == [Removed("stale", 90)]
    assert removed(edits[1:2], layout, without, {"fresh": 7}) == [Removed("compact", 210)]


def test_what_was_made_smaller_at_once_is_not_charged_for_a_rewrite() -> None:
    parts = [Removed("compact", 1_000), Removed("compact+repeats", 600), Removed("spent", 300), Removed("stale", 100)]
    assert split(-400, parts, {"spent", "stale"}) == {"compact": 1_300, "repeats": 300, "spent": -1_500, "stale": -500}
    assert split(1_000, parts[:2], set()) == {"compact": 813, "repeats": 187}
    assert split(0, [], set()) == {}
    assert split(5, [], set()) == {"other": 5}
    assert split(7, [Removed("spent", 0.0), Removed("stale", 0.0)], {"spent"}) == {"stale": 0, "spent": 7}


@given(
    st.integers(-(10**15), 10**15),
    st.lists(st.tuples(st.sampled_from(["a", "b", "a+b", "c", "d"]), st.floats(0, 1e12)), max_size=8),
    st.sets(st.sampled_from("abcd")),
)
def test_parts_add_up(saved: int, parts: list[tuple[str, float]], later: set[str]) -> None:
    assert sum(split(saved, [Removed(*part) for part in parts], later).values()) == saved

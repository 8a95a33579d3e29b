"""Conversations as applications have them, played against a simulated cache with and without placement."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from ctxkit.cacheable import Ask
from ctxkit.caching.expected import relative_rates
from ctxkit.caching.habits import Habits
from ctxkit.caching.placement import Placement, place
from ctxkit.caching.rules import Rule, find
from ctxkit.caching.simulator import State, bill, serve
from tests.caching.conversations import Piece, Provider, answer, call, developer, result, system, tool, user

Step = Piece | list[Piece]


class Request(NamedTuple):
    """One request of a scenario: when, and what."""

    now: float
    messages: list[Step]
    feature: str = "f"


def _opening(rule: Rule, tools: int, words: int, changing: str = "") -> list[Step]:
    """Tools and instructions; ``changing`` stands at their end."""
    say = system if "system" in rule.tiers and rule.match == "marks" else developer
    opening: list[Step] = [tool(f"tool {n}", 150) for n in range(tools)]
    opening.append(say("instructions", words))
    return [*opening, say(changing, 20)] if changing else opening


def agent(rule: Rule, chance: random.Random, gap: tuple[float, float] = (5, 40), burst: int = 3) -> Iterator[Request]:
    """An agent with tools: answers and results, a few blocks a turn."""
    now, messages = 0.0, [*_opening(rule, 10, 1500), user("the task", 400)]
    for turn in range(40):
        yield Request(now, list(messages))
        calls = [call(f"call {turn} {n}", chance.randint(30, 120)) for n in range(chance.randint(1, burst))]
        messages.append([answer(f"so {turn}", 60), *calls])
        messages.append([result(f"result {turn} {n}", chance.randint(100, 1500)) for n in range(len(calls))])
        now += chance.uniform(*gap)


def chat(rule: Rule, chance: random.Random, gap: tuple[float, float] = (30, 240)) -> Iterator[Request]:
    """People who talk, one after another, with the same instructions."""
    now = 0.0
    for person in range(25):
        messages = [*_opening(rule, 0, 1400), user(f"hello {person}", 80)]
        for turn in range(chance.randint(2, 14)):
            yield Request(now, list(messages))
            messages += [answer(f"{person} {turn}", chance.randint(60, 500)), user(f"{person} {turn}", 90)]
            now += chance.uniform(*gap)


def single(rule: Rule, chance: random.Random, every: float = 20, words: int = 3000) -> Iterator[Request]:
    """Questions that nobody goes on with, with the same long instructions."""
    now = 0.0
    for number in range(200):
        yield Request(now, [*_opening(rule, 0, words), user(f"{number}", 700)])
        now += every * chance.uniform(0.5, 1.5)


def rare(rule: Rule, chance: random.Random) -> Iterator[Request]:
    """The same, ten minutes apart."""
    yield from single(rule, chance, every=600)


def unique(rule: Rule, chance: random.Random) -> Iterator[Request]:
    """Long prompts that have nothing in common."""
    for number in range(60):
        yield Request(number * 10.0, [user(f"document {number}", chance.randint(3000, 20000))])


def clock(rule: Rule, chance: random.Random) -> Iterator[Request]:
    """The time of day at the end of the instructions: another prompt with every request."""
    for number in range(120):
        opening = _opening(rule, 12, 2500, f"It is {number} o'clock.")
        yield Request(number * 15.0, [*opening, user(f"question {number}", 300)])


def reminder(rule: Rule, chance: random.Random) -> Iterator[Request]:
    """An agent that is reminded at the end of every request, and of nothing else before."""
    for request in agent(rule, chance):
        yield request._replace(messages=[*request.messages, user(f"reminder of {request.now}", 150)])


def bursts(rule: Rule, chance: random.Random) -> Iterator[Request]:
    """Turns of more blocks than a marker looks back over."""
    now, messages = 0.0, [*_opening(rule, 10, 1500), user("the task", 400)]
    for turn in range(20):
        yield Request(now, list(messages))
        many = chance.randint(8, 16)
        messages.append([answer(f"so {turn}", 60), *[call(f"call {turn} {n}", 50) for n in range(many)]])
        messages.append([result(f"result {turn} {n}", chance.randint(50, 400)) for n in range(many)])
        now += 20


def short(rule: Rule, chance: random.Random) -> Iterator[Request]:
    """Prompts below every minimum."""
    for number in range(50):
        yield Request(number * 30.0, [user(f"{number}", 200)])


def slow_agent(rule: Rule, chance: random.Random) -> Iterator[Request]:
    """An agent whose tools often take longer than five minutes."""
    yield from agent(rule, chance, (60, 900))


def slow_chat(rule: Rule, chance: random.Random) -> Iterator[Request]:
    """People who take their time."""
    yield from chat(rule, chance, (120, 1500))


SCENARIOS: dict[str, Callable[[Rule, random.Random], Iterator[Request]]] = {
    "agent": agent,
    "agent, slow tools": slow_agent,
    "agent, 20 blocks a turn": bursts,
    "agent, reminded": reminder,
    "chat": chat,
    "chat, slow": slow_chat,
    "single questions": single,
    "single questions, rare": rare,
    "single, time of day": clock,
    "unique documents": unique,
    "short": short,
}


def explicit_rule(provider: Provider) -> Rule | None:
    """How the cache works for a request that marks for itself, where that is another rule."""
    found = find(provider.platform, provider.model, dialect=provider.dialect, mode="explicit")
    return found if found is not None and found.id != provider.rule.id else None


class Played(NamedTuple):
    """What a scenario cost, in thousandths of the price of an input token."""

    cost: int
    placements: list[Placement]
    uncached: int


def play(
    provider: Provider,
    requests: list[Request],
    *,
    ask: Ask | None = None,
    placed: bool = False,
    habits: Habits | None = None,
    ttl: str = "auto",
) -> Played:
    """Serve them all; ``placed``: with placement, which believes what the simulated cache holds."""
    habits, state = habits or Habits(), State()
    cost, uncached, placements = 0, 0, []
    for request in requests:
        rule = provider.rule
        layout = provider.layout(request.messages, ask=ask)
        if placed:
            outlook = habits.outlook(request.feature, layout)
            placement = place(
                layout,
                rule,
                alive=state.alive(request.now),
                outlook=outlook,
                explicit=explicit_rule(provider),
                ttl=ttl,
            )
            placements.append(placement)
            habits.note(request.feature, layout, request.now, placement.choice)
            marks = {**layout.marks, **{point.at: point.ttl for point in placement.points}}
            said = replace(layout.ask, mode=placement.mode or layout.ask.mode, ttl=placement.ttl or layout.ask.ttl)
            layout, rule = replace(layout, marks=marks, ask=said), placement.rule
        state, outcome = serve(state, layout, rule, request.now)
        assert outcome.error is None, outcome.error
        rates = relative_rates(rule)
        assert rates is not None
        billed = bill(outcome, rates)
        assert billed is not None
        cost += billed
        uncached += outcome.total * rates["fresh"]
    return Played(cost, placements, uncached)


def requests_of(name: str, rule: Rule, seed: int = 1) -> list[Request]:
    return list(SCENARIOS[name](rule, random.Random(seed)))

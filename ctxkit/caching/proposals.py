"""What could be said to the cache of a request: proposals, of which ``placement`` takes the cheapest.

The end of the opening (tools and instructions); the end of the prompt; each at every time to live that is sold; and where
a provider writes by itself, that it does not. What the user marked stays as it is and takes its slots.

Extra markers between two that are billed cost nothing, so free slots keep earlier entries within reach of a limited
look-back, and keep tools and instructions readable when only messages change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.caching.habits import Choice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Literal

    from ctxkit.caching.habits import Outlook
    from ctxkit.caching.layout import Layout
    from ctxkit.caching.rules.rule import Rule
    from ctxkit.caching.simulator.entries import Alive

__all__ = ["Case", "Point", "Proposal", "proposals"]

_TOLD = 8  # requests that have to be known before a provider is asked not to write by itself


class Point(NamedTuple):
    """A marker to be put at a position.

    Attributes:
        at: index of the position.
        ttl: time to live, ``""`` for the default.
        reason: why, for people.
    """

    at: int
    ttl: str
    reason: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """One way to say something to the cache, or nothing.

    Attributes:
        rule: whose cache it is then.
        choice: it in short.
        points: markers to be added.
        mode: what the request is to say of its mode; ``None``: nothing.
        ttl: time to live for the whole request; ``None``: not to be said.
    """

    rule: Rule
    choice: Choice = Choice()  # noqa: RUF009 - a constant
    points: tuple[Point, ...] = ()
    mode: Literal["implicit", "explicit"] | None = None
    ttl: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """What all proposals for a request share.

    Attributes:
        layout: the request, with what its user says to the cache.
        alive: the live entry of a name.
        entry: index of the live entry that ends last; -1: there is none.
        rates: price of a token by bucket, by the id of the rule.
        outlook: what is to be expected of the request.
        ttls: times to live that may be chosen, shortest first.
        options: the wire has words for mode and life of the whole request, beside markers.
        cut: index of the last position that a later rewrite is likely to leave; -1: none is expected.
    """

    layout: Layout
    alive: Alive
    entry: int
    rates: Mapping[str, Mapping[str, int]]
    outlook: Outlook
    ttls: Sequence[str]
    options: bool
    cut: int = -1


def proposals(case: Case, rule: Rule, explicit: Rule | None) -> Iterator[Proposal]:
    """What could be said instead of nothing."""
    if rule.match == "endings" or (explicit is not None and explicit.match == "endings"):
        yield from _beside_endings(case, rule, explicit)
    elif explicit is not None and explicit.marker and explicit.match == "marks":
        yield from _by_marks(case, explicit)
    elif rule.match == "marks":
        yield from _by_marks(case, rule)


def _by_marks(case: Case, rule: Rule) -> Iterator[Proposal]:
    opening, tail = _opening(case, rule), _tail(case, rule)
    for ttl in case.ttls:
        if opening >= 0:
            yield Proposal(rule, Choice(ttl, None), _points(case, rule, [(opening, ttl)]))
        if tail >= 0:
            for first in case.ttls if opening >= 0 else (ttl,):
                if rule.lives.get(first, 0) >= rule.lives.get(ttl, 0):
                    wanted = [(opening, first), (tail, ttl)] if opening >= 0 else [(tail, ttl)]
                    yield Proposal(rule, Choice(first if opening >= 0 else None, ttl), _points(case, rule, wanted))


def _beside_endings(case: Case, rule: Rule, explicit: Rule | None) -> Iterator[Proposal]:
    """Where the provider marks the last ending by itself: another life for it, a marker beside it, or none of it.

    It is asked not to write by itself only once it is known how such conversations go.
    """
    told = case.options and (case.outlook.told >= _TOLD or case.outlook.lost)
    switch = explicit if told and case.layout.ask.mode is None and not case.layout.marks else None
    if switch is not None:
        yield Proposal(switch, Choice(mode="explicit"), mode="explicit")
    opening, tail = _opening(case, rule), _tail(case, rule)
    for ttl in case.ttls:
        if switch is not None and case.outlook.lost and tail >= 0:
            wanted = [(at, ttl) for at in (opening, tail) if at >= 0]
            points = _points(case, switch, wanted)
            yield Proposal(switch, Choice(ttl if opening >= 0 else None, ttl, "explicit"), points, mode="explicit")
        whole = ttl if case.options and ttl != rule.ttl and case.layout.ask.ttl is None else None
        if rule.automatic and whole:
            yield Proposal(rule, Choice(tail=ttl), ttl=ttl)
        if opening < 0:
            continue
        points = _points(case, rule, [(opening, ttl)])
        if rule.automatic:
            yield Proposal(rule, Choice(opening=ttl), points)
            if whole:
                yield Proposal(rule, Choice(ttl, ttl), points, ttl=ttl)
        if switch is not None:
            yield Proposal(switch, Choice(ttl, mode="explicit"), points, mode="explicit")


def _opening(case: Case, rule: Rule) -> int:
    """Where a marker for the opening goes; -1: nowhere."""
    return _markable(case.layout, rule, case.outlook.opening)


def _tail(case: Case, rule: Rule) -> int:
    """Where a marker for the whole prompt goes: at the last block that will stand there again."""
    last = len(case.layout.positions) - 1
    own = case.layout.ask.automatic is not None
    found = -1 if own else _markable(case.layout, rule, last - min(case.outlook.lost, last))
    return found if found > case.outlook.opening else -1


def _markable(layout: Layout, rule: Rule, index: int) -> int:
    """The last position up to ``index`` that may be marked and is long enough; -1: there is none."""
    while index >= 0:
        position = layout.positions[index]
        if position.tokens < (rule.minimum or 0):
            return -1
        if position.markable and position.tier in rule.tiers:
            return index
        index -= 1
    return -1


def _points(case: Case, rule: Rule, wanted: Sequence[tuple[int, str]]) -> tuple[Point, ...]:
    """Markers for what is wanted, as far as there are slots, and for what keeps earlier entries within reach."""
    taken = set(case.layout.marks)
    free = _free(case.layout, rule)
    found: list[Point] = []
    for at, ttl in reversed(wanted):  # the end of the prompt first, when slots are few
        if at not in taken and len(found) < free:
            found.append(Point(at, ttl if ttl != rule.ttl else "", _why(case, at, ttl)))
    reached = {*taken, *(point.at for point in found)}
    if wanted and (tail := wanted[-1][0]) > case.outlook.opening:
        for at in _anchors(case, rule, tail, reached):
            if len(found) < free:
                found.append(Point(at, _between(rule, at, found, wanted), "keeps what was cached before within reach"))
        at = _markable(case.layout, rule, case.cut)
        if (
            at > case.outlook.opening
            and at < tail
            and len(found) < free
            and at not in {*taken, *(one.at for one in found)}
        ):
            found.append(Point(at, _between(rule, at, found, wanted), "keeps what a later rewrite will leave"))
    return tuple(sorted(found))


def _free(layout: Layout, rule: Rule) -> int:
    used = len(layout.marks) + (layout.ask.automatic is not None)
    return len(layout.positions) if rule.slots is None else max(rule.slots - used, 0)


def _between(rule: Rule, at: int, found: Sequence[Point], wanted: Sequence[tuple[int, str]]) -> str:
    """The time to live of the next marker: what is written up to it is billed by that anyway."""
    later = [point.ttl for point in sorted(found) if point.at > at] or [wanted[-1][1]]
    return later[0] if later[0] != rule.ttl else ""


def _anchors(case: Case, rule: Rule, tail: int, marked: set[int]) -> Iterator[int]:
    """Positions from which an entry is found that the marker at the end is too far away from."""
    # A request that marks for itself at OpenAI looks at its own markers and nowhere else.
    reach = 1 if rule.match == "endings" and not rule.automatic else rule.lookback
    if reach is None:
        return
    if case.outlook.known < 0:  # another process may have written: look further back, as far as slots go
        steps = range(tail - reach + 1, case.outlook.opening, 1 - reach) if reach > 1 else ()
        yield from (at for at in steps if at not in marked and _able(case.layout, rule, at))
        return
    entry = case.entry
    if entry < 0 or any(entry <= mark < entry + reach for mark in marked):
        return
    near = range(entry, min(entry + reach, tail))
    yield from [at for at in near if _able(case.layout, rule, at)][:1]


def _able(layout: Layout, rule: Rule, at: int) -> bool:
    position = layout.positions[at]
    return position.markable and position.tier in rule.tiers and position.tokens >= (rule.minimum or 0)


def _why(case: Case, at: int, ttl: str) -> str:
    tokens = f"{case.layout.positions[at].tokens:,.0f} tokens"
    if at > case.outlook.opening:
        return f"caches the prompt ({tokens}) for {ttl}: {case.outlook.goes_on:.0%} of such requests are continued"
    return f"caches tools and instructions ({tokens}) for {ttl}, for the requests that have them again"

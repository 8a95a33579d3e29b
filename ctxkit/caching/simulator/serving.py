"""A provider's cache as a state machine: a request and a moment in, buckets and a new state out. No clock of its own.

Two steps, because a written entry can be read only once the answer begins (or later): :func:`look` says what a
request gets, :func:`commit` adds what it wrote. :func:`serve` is both, for requests that come one after another.

The identity of a prefix is a keyed hash of a canonical rendering of the request in cache order. Providers hash what
they render, which nobody outside sees: an order of JSON keys that changes inside a tool is a changed prefix here, and
a possible miss with every provider.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ctxkit.caching.simulator.breakpoints import breakpoints, names, refusal
from ctxkit.caching.simulator.entries import Entry, Outcome, State
from ctxkit.caching.simulator.matching import match

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ctxkit.caching.layout import Layout
    from ctxkit.caching.rules.rule import Rule
    from ctxkit.caching.simulator.entries import Matched

__all__ = ["bill", "commit", "look", "serve"]

_ENTRIES = 100_000  # the longest unused go first


def serve(
    state: State,
    layout: Layout,
    rule: Rule | None,
    now: float,
    *,
    begins: float | None = None,
    ends: float | None = None,
) -> tuple[State, Outcome]:
    """Serve a request: the state after it, and what it got.

    Args:
        state: the cache before it.
        layout: the request.
        rule: how the cache works; ``None``: nobody knows, and everything is fresh.
        now: when the request begins, in unix seconds.
        begins: when its answer begins (default: at once).
        ends: when its answer ends (default: when it begins).
    """
    outcome = look(state, layout, rule, now)
    begins = now if begins is None else begins
    return commit(state, outcome, rule, begins=begins, ends=begins if ends is None else ends), outcome


def look(state: State, layout: Layout, rule: Rule | None, now: float) -> Outcome:
    """What a request that begins now gets."""
    refused = refusal(rule, layout)
    if refused is not None:
        return Outcome(error=refused, now=now)
    if rule is None:
        return Outcome(fresh=round(layout.total), now=now)
    matched = match(rule, layout, state.alive(now))
    stored = [*_refreshed(state, layout, rule, now, matched), *_written(layout, rule, now, matched)]
    return Outcome(
        read=matched.tokens,
        written=matched.written,
        fresh=matched.fresh,
        least=matched.least,
        most=matched.most,
        late=_late(state, layout, rule, now, matched),
        answered=not layout.ask.prewarm,
        guaranteed=rule.guaranteed,
        miss_probability=0.0 if rule.guaranteed else None,
        matched=matched,
        stored=dict(stored),
        now=now,
    )


def _late(state: State, layout: Layout, rule: Rule, now: float, matched: Matched) -> int:
    """A life that is a minimum may last longer: what would be read more if it did."""
    if rule.life != "minimum":
        return 0
    return max(match(rule, layout, state.kept(now)).tokens - matched.tokens, 0)


def _written(layout: Layout, rule: Rule, now: float, matched: Matched) -> Iterator[tuple[bytes, Entry]]:
    name, positions = names(rule, layout), layout.positions
    for index, ttl in matched.writes:
        whole = rule.match != "units" or index in (matched.noticed, len(positions) - 1)
        yield name(index), _entry(layout, rule, now, index, ttl, whole=whole)


def _entry(layout: Layout, rule: Rule, now: float, index: int, ttl: str, *, whole: bool) -> Entry:
    positions = layout.positions
    before = positions[index - 1].tokens if index else 0.0
    size = positions[index].tokens - before
    return Entry(positions[index].tokens, ttl, now, _end(rule, ttl, now), math.inf, size, whole)


def _end(rule: Rule, ttl: str, now: float) -> float:
    life = rule.seconds(ttl)
    return math.inf if life is None else now + life


def _refreshed(state: State, layout: Layout, rule: Rule, now: float, matched: Matched) -> Iterator[tuple[bytes, Entry]]:
    """A read begins the life of its entry anew, and that of what stands before it by the request's own markers."""
    if matched.read < 0:
        return
    name, alive = names(rule, layout), state.alive(now)
    for index in {*_passed(layout, rule, matched.read), matched.read}:
        entry = alive(name(index))
        if entry is not None:
            ttl = matched.asked if rule.refresh_asked else entry.ttl
            end = max(entry.expires, _end(rule, ttl, now)) if rule.refresh else entry.expires
            end = _end(rule, ttl, now) if rule.refresh_asked else end
            yield name(index), entry._replace(used=now, expires=end, ttl=ttl)


def _passed(layout: Layout, rule: Rule, read: int) -> Iterable[int]:
    if rule.match in ("marks", "endings"):
        return [index for index, _ in breakpoints(rule, layout) if index <= read]
    return range(read)


def commit(state: State, outcome: Outcome, rule: Rule | None, *, begins: float, ends: float) -> State:
    """The state once the answer has begun and ended: what was written can be read from the moment the rule names."""
    if not outcome.stored or rule is None:
        return state
    moments = {"starts": outcome.now, "begins": begins, "ends": ends, "seconds": ends + rule.appears}
    entries = dict(state.entries)
    for name, entry in outcome.stored.items():
        held = entries.pop(name, None)  # to the end: the order is that of use
        entries[name] = _joined(held, entry, moments[rule.visible])
    return State(_bounded(entries, state.capacity), state.capacity)


def _joined(held: Entry | None, entry: Entry, moment: float) -> Entry:
    """What is held after an entry was written or refreshed, perhaps by several requests at once."""
    entry = entry._replace(visible=min(entry.visible, moment))
    if held is None or held.expires <= entry.used or held.whole < entry.whole:
        return entry
    latest = held if held.used > entry.used else entry
    return latest._replace(visible=min(entry.visible, held.visible), whole=held.whole)


def _bounded(entries: dict[bytes, Entry], capacity: int | None) -> Mapping[bytes, Entry]:
    """Evict what was not used for longest, of one prefix the end first."""
    held = 0.0 if capacity is None else sum(entry.size for entry in entries.values())
    most = math.inf if capacity is None else capacity
    if len(entries) <= _ENTRIES and held <= most:
        return entries
    room = _ENTRIES if len(entries) <= _ENTRIES else _ENTRIES * 9 // 10  # not again with the next request
    for name in sorted(entries, key=lambda name: (entries[name].used, -entries[name].tokens)):
        if len(entries) <= room and held <= most:
            break
        held -= entries.pop(name).size
    return entries


def bill(outcome: Outcome, rates: Mapping[str, int], *, output: int = 0) -> int | None:
    """What a request costs, in pico-dollars; ``None``: a bucket that has tokens has no known rate.

    Args:
        outcome: its buckets.
        rates: pico-dollars per token by bucket, as a price card has them (``"fresh"``, ``"read"``,
            ``"written.5m"``, ``"written"``, ``"output"``).
        output: tokens of the answer.
    """
    if outcome.error is not None:
        return 0
    buckets = {"fresh": outcome.fresh, "read": outcome.read, "output": output if outcome.answered else 0}
    buckets |= {f"written.{ttl}": tokens for ttl, tokens in outcome.written.items()}
    pico = 0
    for bucket, tokens in buckets.items():
        rate = rates.get(bucket, rates.get("written") if bucket in ("written.5m", "written.30m") else None)
        if tokens and rate is None:
            return None
        pico += tokens * (rate or 0)
    return pico

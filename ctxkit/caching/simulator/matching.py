"""Which live entry a request reads, and which entries it writes: one function for simulator and forecast.

Looks only at positions that may matter, from the end: what a conversation appends is found after a few look-ups.
Sources: the rows of ``caching/data/rules.toml``.
"""

from __future__ import annotations

from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING

from ctxkit.caching.simulator.breakpoints import breakpoints, endings, life_asked, names, opening
from ctxkit.caching.simulator.entries import Matched, Write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ctxkit.caching.layout import Layout, Position
    from ctxkit.caching.rules.rule import Rule
    from ctxkit.caching.simulator.entries import Alive, Entry

__all__ = ["match"]

_TOOL_KINDS = frozenset({"tool_call", "tool_result"})


def match(rule: Rule, layout: Layout, alive: Alive, *, among: Sequence[int] | None = None) -> Matched:
    """What the cache does with a request.

    Args:
        rule: how it works.
        layout: the request.
        alive: the live entry of a name; an entry's ``tokens`` are believed over those of the position.
        among: positions to look at and to write, ascending, where a prefix may end anywhere; ``None``: all.
    """
    if rule.match == "marks":
        return _by_marks(rule, layout, alive)
    if rule.match == "endings":
        return _by_endings(rule, layout, alive)
    if rule.match == "units":
        return _by_units(rule, layout, alive, among)
    if rule.match == "handle":
        return Matched(fresh=_whole(layout))
    return _by_prefix(rule, layout, alive, among)


def _whole(layout: Layout) -> int:
    return round(layout.total)


# ---- Markers ---------------------------------------------------------------------------------------------------------


def _by_marks(rule: Rule, layout: Layout, alive: Alive) -> Matched:
    points = breakpoints(rule, layout)
    name = names(rule, layout)
    seen = len(layout.positions)  # what a later marker has looked at is not looked at again
    for index, ttl in reversed(points):
        for candidate in _looked_at(rule, layout, index):
            if candidate < seen:
                seen = candidate
                entry = alive(name(candidate))
                if entry is not None:
                    return _billed(rule, layout, points, candidate, entry, ttl)
    return _billed(rule, layout, points, -1, None, "")


def _looked_at(rule: Rule, layout: Layout, index: int) -> Iterator[int]:
    """Positions looked up from a marker backwards, its own included."""
    positions, looked = layout.positions, 0
    for candidate in range(index, -1, -1):
        joined = rule.lookback_unit == "group" and candidate < index
        if not (joined and _one_group(positions[candidate], positions[candidate + 1])):
            looked += 1
        if rule.lookback is not None and looked > rule.lookback:
            return
        yield candidate


def _one_group(one: Position, next_one: Position) -> bool:
    """Consecutive tool blocks of a message, where they count as one position."""
    return one.kind in _TOOL_KINDS and one.kind == next_one.kind and one.message == next_one.message


def _billed(rule: Rule, layout: Layout, points: Sequence[Write], read: int, entry: Entry | None, asked: str) -> Matched:
    """Each written token once: between two markers it is billed by the time to live of the later one."""
    whole, minimum = _whole(layout), rule.minimum or 0
    at = start = min(round(entry.tokens), whole) if entry is not None else 0
    if start < minimum:
        read, entry, at, start = -1, None, 0, 0
    writes, written = [], dict[str, int]()
    for index, ttl in points:
        tokens = min(round(layout.positions[index].tokens), whole)
        if index > read and tokens >= minimum:
            writes.append(Write(index, ttl))
            if tokens > at:
                written[ttl] = written.get(ttl, 0) + tokens - at
                at = tokens
    fresh = whole - at
    return Matched(read, start, start, start, entry, asked, tuple(writes), written, fresh)


# ---- Markers and endings of messages ----------------------------------------------------------------------------------


def _by_endings(rule: Rule, layout: Layout, alive: Alive) -> Matched:
    marks = breakpoints(rule, layout)
    implicit = rule.automatic and layout.ask.mode != "explicit"
    last = next(endings(layout), -1) if implicit else -1
    if not marks and last < 0:
        return Matched(fresh=_whole(layout))
    points = _slots(rule, layout, marks, last)
    name = names(rule, layout)
    for candidate in _candidates(rule, layout, marks, implicit):
        entry = alive(name(candidate))
        if entry is not None:
            asked = next((ttl for index, ttl in marks if index == candidate), life_asked(rule, layout))
            return _billed(rule, layout, points, candidate, entry, asked)
    return _billed(rule, layout, points, -1, None, "")


def _slots(rule: Rule, layout: Layout, marks: Sequence[Write], last: int) -> list[Write]:
    """The latest markers write, one fewer when the latest eligible ending does; and the opening beside them."""
    others = [mark for mark in marks if mark.at != last]
    if last < 0:
        return others[-rule.slots :] if rule.slots else others
    own = next((mark for mark in marks if mark.at == last), Write(last, life_asked(rule, layout)))
    room = len(others) if rule.slots is None else rule.slots - 1
    points = {own, *others[max(len(others) - room, 0) :]}
    first = opening(layout) if rule.opening else -1
    return sorted(points if first in (-1, *(point.at for point in points)) else {*points, Write(first, own.ttl)})


def _candidates(rule: Rule, layout: Layout, marks: Sequence[Write], implicit: bool) -> Iterator[int]:
    """Longest first: the markers, and the latest eligible endings before them."""
    indices = [mark.at for mark in marks]
    first, latest = indices[: rule.first_candidates], indices[max(len(indices) - rule.candidates, 0) :]
    explicit = sorted({*first, *latest}, reverse=True)
    if not implicit:
        return iter(explicit)
    return merge(explicit, _eligible(rule, layout), reverse=True)


def _eligible(rule: Rule, layout: Layout) -> Iterator[int]:
    """The latest ending, as many before it as are looked up, and the opening of the conversation."""
    last = len(layout.positions)
    for last in islice(endings(layout), rule.endings + 1):
        yield last
    first = opening(layout)
    if 0 <= first < last:
        yield first


# ---- Common prefixes --------------------------------------------------------------------------------------------------


def _by_prefix(rule: Rule, layout: Layout, alive: Alive, among: Sequence[int] | None) -> Matched:
    read, entry = _common(layout, alive, names(rule, layout), among)
    if entry is None:
        return _computed(rule, layout, among, -1, None, (0, 0, 0))
    reported = _intervals if rule.match == "intervals" else _steps
    return _computed(rule, layout, among, read, entry, reported(rule, round(entry.tokens), _whole(layout)))


def _common(
    layout: Layout, alive: Alive, name: Callable[[int], bytes], among: Sequence[int] | None
) -> tuple[int, Entry | None]:
    """The longest prefix that is alive."""
    indices: Iterable[int] = reversed(range(len(layout.positions)) if among is None else among)
    for index in indices:
        entry = alive(name(index))
        if entry is not None:
            return index, entry
    return -1, None


def _steps(rule: Rule, tokens: int, whole: int) -> tuple[int, int, int]:
    """Whole steps; the last token of a prompt is always computed."""
    step = rule.granularity
    read = min(tokens // step, max(whole - 1, 0) // step) * step
    read = read if read >= (rule.minimum or 0) else 0
    return read, read, read


def _intervals(rule: Rule, tokens: int, whole: int) -> tuple[int, int, int]:
    """Boundaries are counted from the start of hidden tokens that are not reported: what is, is a range."""
    tokens = min(tokens, whole)
    least, most = rule.hidden
    interval = rule.interval or 1
    # With so many hidden tokens a boundary falls on the end of the match, with one fewer the next is furthest away.
    turns = range(least + -(tokens + least) % interval, most + 2, interval)
    hidden = [least, most, *turns, *(turn - 1 for turn in turns)]
    figures = [_reported(rule, tokens, count) for count in hidden if least <= count <= most]
    return figures[0], min(figures), max(figures)


def _reported(rule: Rule, tokens: int, hidden: int) -> int:
    interval = rule.interval or 1
    visible = (tokens + hidden) // interval * interval - hidden
    if visible < (rule.minimum or 0):
        return 0
    return visible // rule.granularity * rule.granularity


def _computed(
    rule: Rule,
    layout: Layout,
    among: Sequence[int] | None,
    read: int,
    entry: Entry | None,
    reported: tuple[int, int, int],
    noticed: int = -1,
) -> Matched:
    """What was not read is computed, and kept; few providers bill that as a write."""
    tokens, least, most = reported
    ttl = life_asked(rule, layout)
    ends = range(read + 1, len(layout.positions)) if among is None else [index for index in among if index > read]
    rest = _whole(layout) - tokens
    billed = rule.automatic and bool(rule.write) and rest > 0
    written, fresh = ({ttl: rest}, 0) if billed else ({}, rest)
    writes = tuple(Write(index, ttl) for index in ends)
    return Matched(read if tokens else -1, tokens, least, most, entry, ttl, writes, written, fresh, noticed)


# ---- Units ------------------------------------------------------------------------------------------------------------


def _by_units(rule: Rule, layout: Layout, alive: Alive, among: Sequence[int] | None) -> Matched:
    """Only whole units are read; that two requests share a prefix is noticed, and makes it a unit."""
    name = names(rule, layout)
    passed, _ = _common(layout, alive, name, among)
    noticed = passed
    indices = range(passed + 1) if among is None else [index for index in among if index <= passed]
    for index in reversed(indices):
        entry = alive(name(index))
        if entry is not None and entry.whole:
            end = _with_output(layout, index)
            longer = layout.positions[end].tokens - layout.positions[index].tokens
            figures = _steps(rule, round(entry.tokens + longer), _whole(layout))
            return _computed(rule, layout, among, index, entry, figures, noticed if noticed > index else -1)
    return _computed(rule, layout, among, -1, None, (0, 0, 0), noticed)


def _with_output(layout: Layout, index: int) -> int:
    """The answer to the request that wrote a unit is one with it, if that answer stands here."""
    positions = layout.positions
    while index + 1 < len(positions) and positions[index + 1].role == "assistant":
        index += 1
    return index

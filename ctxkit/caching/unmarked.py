"""What a provider would have read and written of a request, had ctxkit said nothing to its cache, and changed nothing.

What the user marked, and what a provider caches by itself, would have been cached all the same. So beside the real cache
run two others by the function that simulates caches, each request at the moment it was ready (no other was waited for).
One sees requests as their users wrote them. The other sees their content with what ctxkit says to the cache, so that
what tidying saved can be told from what markers saved.

Where nothing is marked and nothing is cached without a marker, all tokens would have been fresh: that is exact. Elsewhere
tokens are what the provider reported of the same positions, and between those, and of what was taken out, by estimate. Of
a cache that reads as best it can nobody knows what else it would have done: there a tidied request is set against one of
which as large a share would have been read as was of this one, or all where that is not known.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.caching.simulator import State, breakpoints, look, names
from ctxkit.forks import on_fork
from ctxkit.revise import revised

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxkit.caching.forecast import Foreseen
    from ctxkit.caching.layout import Layout
    from ctxkit.caching.rules.rule import Rule
    from ctxkit.caching.simulator.entries import Entry, Matched, Outcome
    from ctxkit.model import Timing, Usage

__all__ = ["Plain", "Unmarked", "Without", "plain_of", "tidied", "untidied"]

_SIMULATED = ("marks", "endings")  # where what is read ends at a marker or an ending, and nowhere else
_ENTRIES = 20_000


class Plain(NamedTuple):
    """A request as its user wrote it, or as far as that goes.

    Attributes:
        rule: how its cache works then.
        layout: the request.
    """

    rule: Rule
    layout: Layout


def plain_of(rule: Rule, layout: Layout, *, edited: bool) -> Plain | None:
    """A request before anything is said to its cache; ``None``: it was ``edited`` before, and what was cached differs."""
    return None if edited and (rule.automatic or breakpoints(rule, layout)) else Plain(rule, layout)


class Without(NamedTuple):
    """What a request would have come to.

    Attributes:
        usage: as the provider would have reported it.
        read: tokens of the prefix that would have been read, by the estimate.
        written: tokens up to which it would have been written, by the estimate, and with which time to live.
        ttl: see ``written``.
    """

    usage: Usage
    read: float = 0.0
    written: float = 0.0
    ttl: str = ""


class Unmarked:
    """The cache that would stand without ctxkit, or with a part of what it does; one per kit, for all threads."""

    def __init__(self) -> None:
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self._renew()
        on_fork(self, "_renew")

    def _renew(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()

    def settled(
        self, plain: Plain | None, foreseen: Foreseen, usage: Usage, now: float, timing: Timing | None
    ) -> Without | None:
        """What there would have been; ``None`` where nobody knows.

        Args:
            plain: the request as it would have been.
            foreseen: the request as it was sent.
            usage: what the provider reported.
            now: when it was planned, in unix seconds.
            timing: when its answer began and ended.
        """
        total = usage.input_total
        if plain is None or total is None or usage.read is None or usage.written is None:
            return None
        if plain.rule.match == "handle" or not 0 <= usage.read <= total:
            return None
        certain = plain.rule.match in _SIMULATED
        with self._lock:
            outcome = look(State(self._entries), plain.layout, plain.rule, now)
            if outcome.error is not None:
                return None
            tokens, whole = _measured_as(plain.layout, foreseen, usage, total)
            if not outcome.stored:
                return Without(revised(usage, fresh=whole, read=0, written={}))
            if usage.calls or (certain and _lost(foreseen, usage.read)):  # sums over several prompts; evicted entries
                self._forget(outcome)
                return None
            self._keep(plain, outcome, tokens, _visible(plain.rule, now, timing))
            matched = outcome.matched
            if certain:
                return _told(plain.layout, matched, usage, whole, tokens, _read(plain, foreseen, matched, usage))
            return _as_best_it_can(plain, foreseen, matched, usage, whole, tokens)

    def _forget(self, outcome: Outcome) -> None:
        for name in outcome.stored:
            self._entries.pop(name, None)

    def _keep(self, plain: Plain, outcome: Outcome, tokens: Callable[[float], int], visible: float) -> None:
        name, positions = names(plain.rule, plain.layout), plain.layout.positions
        written = {name(write.at): tokens(positions[write.at].tokens) for write in outcome.matched.writes}
        for link, entry in outcome.stored.items():
            held = self._entries.pop(link, None)
            alive = held is not None and held.expires > entry.used
            seen = min(visible, held.visible) if held is not None and alive else visible
            self._entries[link] = entry._replace(tokens=written.get(link, entry.tokens), visible=seen)
        while len(self._entries) > _ENTRIES:
            self._entries.popitem(last=False)


def untidied(foreseen: Foreseen) -> Plain | None:
    """The content as its user wrote it, with what ctxkit says to the cache at the same places; ``None``: unknown."""
    if foreseen.plain is None:
        return None
    sent, layout = foreseen.layout, foreseen.plain.layout
    common, shift = _common(sent, layout), len(layout.positions) - len(sent.positions)
    marks = {index if index < common else max(index + shift, 0): ttl for index, ttl in sent.marks.items()}
    return Plain(foreseen.rule, replace(layout, marks=marks, ask=sent.ask, keys=sent.keys))


def tidied(foreseen: Foreseen) -> bool:
    """What was sent is not what its user wrote."""
    if foreseen.plain is None:
        return False
    sent, layout = foreseen.layout.positions, foreseen.plain.layout.positions
    return len(sent) != len(layout) or _common(foreseen.layout, foreseen.plain.layout) < len(sent)


def _common(one: Layout, other: Layout) -> int:
    """Positions that both begin with."""
    low, high = 0, min(len(one.positions), len(other.positions))
    while low < high:  # links are those of prefixes: where they part once they never meet again
        middle = (low + high + 1) // 2
        if one.positions[middle - 1].link == other.positions[middle - 1].link:
            low = middle
        else:
            high = middle - 1
    return low


def _lost(foreseen: Foreseen, read: int) -> bool:
    """The provider no longer held what it was believed to hold: the other cache would have lost as much."""
    return read < foreseen.matched.least


def _visible(rule: Rule, now: float, timing: Timing | None) -> float:
    """When what it wrote could be read."""
    if timing is None or timing.sent is None or timing.last is None or rule.visible == "starts":
        return now
    begins, ends = timing.first_chunk or timing.last, timing.last
    moment = begins if rule.visible == "begins" else ends
    return now + max(moment - timing.sent, 0.0) + (rule.appears if rule.visible == "seconds" else 0.0)


def _measured(foreseen: Foreseen, usage: Usage, total: int) -> Callable[[float], int]:
    """Turns estimated tokens of a prefix into the provider's: exact where it reported them, straight in between."""
    positions, matched, read = foreseen.layout.positions, foreseen.matched, usage.read or 0
    told = [(positions[matched.read].tokens, read)] if matched.read >= 0 and read else []
    if matched.writes and usage.written_total:
        told.append((positions[matched.writes[-1].at].tokens, read + usage.written_total))
    points = [(0.0, 0)]
    ends = [(one.tokens, total) for one in positions[-1:]]  # of a request with nothing in it there is none
    for at, tokens in (*told, *ends):
        if at > points[-1][0] and tokens >= points[-1][1]:
            points.append((at, tokens))

    def tokens_of(estimate: float) -> int:
        left, right = next(
            ((one, other) for one, other in pairwise(points) if estimate <= other[0]),
            (points[-1], points[-1]),
        )
        width = right[0] - left[0]
        share = (estimate - left[0]) / width if width else 0.0
        return left[1] + round(share * (right[1] - left[1]))

    return tokens_of


def _measured_as(layout: Layout, foreseen: Foreseen, usage: Usage, total: int) -> tuple[Callable[[float], int], int]:
    """The same for a request of other content: alike up to where they part, and the tokens of all of it."""
    sent, tokens = foreseen.layout, _measured(foreseen, usage, total)
    common, positions = _common(sent, layout), layout.positions
    if common == len(positions) == len(sent.positions) or not sent.positions or not positions:
        return tokens, total
    at = positions[common - 1].tokens if common else 0.0
    known = tokens(at)
    ratio = total / sent.total if sent.total else 1.0  # what a request adds beside its messages stays
    more = positions[-1].tokens - sent.positions[-1].tokens
    whole = max(known, total + round(more * ratio))
    width = positions[-1].tokens - at

    def tokens_of(estimate: float) -> int:
        if estimate <= at or not width:
            return min(tokens(estimate), known)
        return known + round((estimate - at) / width * (whole - known))

    return tokens_of, whole


def _read(plain: Plain, foreseen: Foreseen, matched: Matched, usage: Usage) -> int:
    """Tokens it would have read: those that were, where it would have been the same prefix; else as they were written."""
    if matched.entry is None or matched.read < 0:
        return 0
    same = matched.read == foreseen.matched.read and matched.read < _common(foreseen.layout, plain.layout)
    return (usage.read or 0) if same else round(matched.entry.tokens)


def _told(
    layout: Layout, matched: Matched, usage: Usage, total: int, tokens: Callable[[float], int], read: int
) -> Without:
    at = read = min(read, total)
    written: dict[str, int] = {}
    end, life = 0.0, ""
    for index, ttl in matched.writes:
        stop = min(tokens(layout.positions[index].tokens), total)
        if stop > at:
            written[ttl] = written.get(ttl, 0) + stop - at
            at, end, life = stop, layout.positions[index].tokens, ttl
    until = layout.positions[matched.read].tokens if matched.read >= 0 else 0.0
    return Without(revised(usage, fresh=total - at, read=read, written=written), until, end, life)


def _as_best_it_can(
    plain: Plain, foreseen: Foreseen, matched: Matched, usage: Usage, total: int, tokens: Callable[[float], int]
) -> Without:
    """What a cache would have read that promises nothing."""
    layout, real = plain.layout, usage.read or 0
    until = layout.positions[matched.read].tokens if matched.read >= 0 else 0.0
    expected, common = foreseen.matched.tokens, _common(foreseen.layout, layout)
    share = min(real / expected, 1.0) if expected else foreseen.forecast.hit_probability
    shared = tokens(layout.positions[common - 1].tokens) if common else 0
    step = plain.rule.granularity
    least = min(real, shared)  # what both begin with would have been read all the same
    read = min(max(int(tokens(until) * (1.0 if share is None else share)) // step * step, least), total)
    written = dict.fromkeys(matched.written, total - read) if usage.written_total and total > read else {}
    rest = 0 if written else total - read
    life = next(iter(written), "")
    return Without(revised(usage, fresh=rest, read=read, written=written), until, layout.total if life else 0.0, life)

"""What a provider would have read and written of a request, had ctxkit said nothing to its cache.

What the user marked, and what a provider caches by itself, would have been cached all the same. So beside the real cache
runs one that sees requests as their users wrote them, each at the moment it was ready (no other was waited for), by the
function that simulates caches. Where nothing is marked and nothing is cached without a marker, all tokens would have
been fresh: that is exact. Elsewhere tokens are what the provider reported of the same positions, and between those by
estimate. Of a cache that reads as best it can nobody knows what else it would have done.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
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

__all__ = ["Plain", "Unmarked", "plain_of"]

_SIMULATED = ("marks", "endings")  # where what is read ends at a marker or an ending, and nowhere else
_ENTRIES = 20_000


class Plain(NamedTuple):
    """A request as its user wrote it.

    Attributes:
        rule: how its cache works then.
        layout: the request.
    """

    rule: Rule
    layout: Layout


def plain_of(rule: Rule, layout: Layout, *, edited: bool) -> Plain | None:
    """A request before anything is said to its cache; ``None``: it was ``edited`` before, and what was cached differs."""
    return None if edited and (rule.automatic or breakpoints(rule, layout)) else Plain(rule, layout)


class Unmarked:
    """The cache that would stand without ctxkit; one per kit, for all threads, and bounded."""

    def __init__(self) -> None:
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self._renew()
        on_fork(self, "_renew")

    def _renew(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()

    def settled(self, foreseen: Foreseen, usage: Usage, now: float, timing: Timing | None) -> Usage | None:
        """The usage there would have been; ``None`` where nobody knows.

        Args:
            foreseen: the request as it was sent, and as it was before.
            usage: what the provider reported.
            now: when it was planned, in unix seconds.
            timing: when its answer began and ended.
        """
        plain, total = foreseen.plain, usage.input_total
        if plain is None or total is None or usage.read is None or usage.written is None:
            return None
        if plain.rule.match not in _SIMULATED or not 0 <= usage.read <= total:
            return None
        with self._lock:
            outcome = look(State(self._entries), plain.layout, plain.rule, now)
            if outcome.error is not None:
                return None
            if not outcome.stored:
                return revised(usage, fresh=total, read=0, written={})
            if usage.calls or _lost(foreseen, usage.read):  # sums over several prompts; entries that were evicted
                self._forget(outcome)
                return None
            tokens = _measured(foreseen, usage, total)
            self._keep(plain, outcome, tokens, _visible(plain.rule, now, timing))
            return _told(plain.layout, outcome.matched, usage, tokens, _read(foreseen, outcome.matched, usage))

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
    for at, tokens in (*told, (positions[-1].tokens, total)):
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


def _read(foreseen: Foreseen, matched: Matched, usage: Usage) -> int:
    """Tokens it would have read: those that were, where it would have been the same prefix; else as they were written."""
    if matched.entry is None or matched.read < 0:
        return 0
    return (usage.read or 0) if matched.read == foreseen.matched.read else round(matched.entry.tokens)


def _told(layout: Layout, matched: Matched, usage: Usage, tokens: Callable[[float], int], read: int) -> Usage:
    total = usage.input_total or 0
    at = read = min(read, total)
    written: dict[str, int] = {}
    for index, ttl in matched.writes:
        end = min(tokens(layout.positions[index].tokens), total)
        if end > at:
            written[ttl] = written.get(ttl, 0) + end - at
            at = end
    return revised(usage, fresh=total - at, read=read, written=written)

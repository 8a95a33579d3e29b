"""A ledger's threads sent to another model: no text is known, only how long each prompt was, and when.

A thread is taken as a prompt that only grows: each request repeats the one before it, if it is no shorter. What the provider
then reads of its cache follows from its rule (least length, steps, lives) and the recorded gaps; markers are taken as well
placed: where a provider bills writes that must be asked for, those alone are written that a later request reads. What
threads share with one another is not known and not counted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.caching.rules import find

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctxkit.caching.rules import Rule
    from ctxkit.metering.prices import Card, Prices, Window
    from ctxkit.replay.rows import Row

__all__ = ["Course", "Given", "Pricing", "Slot", "Sums"]

_LIFE = 300.0  # seconds of an entry, where nobody knows
_THREADS = 100_000  # followed at once; the longest unused go first


@dataclass(slots=True)
class Sums:
    """Usage of requests whose prices are alike; ``cost`` is what was recorded of them."""

    requests: int = 0
    fresh: int = 0
    read: int = 0
    output: int = 0
    reasoning: int = 0
    cost: int = 0
    written: dict[str, int] = field(default_factory=dict)
    media: dict[str, int] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)

    @property
    def input(self) -> int:
        """Whole prompts."""
        return self.fresh + self.read + sum(self.written.values())

    def write(self, ttl: str, tokens: int) -> None:
        """So many tokens more were written."""
        self.written[ttl] = self.written.get(ttl, 0) + tokens

    def fold(self, other: Sums) -> None:
        """Add other sums to these."""
        for name in ("requests", "fresh", "read", "output", "reasoning", "cost"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for mine, theirs in (
            (self.written, other.written),
            (self.media, other.media),
            (self.calls, other.calls),
        ):
            add(mine, theirs)


def add(mine: dict[str, int], theirs: Mapping[str, int]) -> None:
    """Add figures by name."""
    for name, figure in theirs.items():
        mine[name] = mine.get(name, 0) + figure


class Pricing(NamedTuple):
    """By which prices: those of a day (``None``: of the day of the request), of a service tier (``None``: the recorded)."""

    at: float | None = None
    tier: str | None = None


@dataclass(slots=True)
class Slot:
    """A stretch of time in which no price changes.

    Attributes:
        start: unix time.
        end: exclusive.
        cards: one for each pricing; ``None``: no price is known.
        steps: lengths of a prompt beyond which another price holds.
        groups: sums by how many of these a prompt is longer than.
    """

    start: float
    end: float
    cards: Sequence[Card | None]
    steps: Sequence[int]
    groups: dict[int, Sums] = field(default_factory=dict)

    def group(self, total: int) -> Sums:
        """The sums that a prompt of this length counts in."""
        place = bisect_left(self.steps, total) if self.steps else 0
        found = self.groups.get(place)
        if found is None:
            found = self.groups[place] = Sums()
        return found


class Given(NamedTuple):
    """What a request is asked of.

    Attributes:
        platform: who serves it.
        model: that is asked.
        names: under which it may be priced, the best first.
        tier: as recorded.
        same: it was recorded so, and its buckets stand as they are.
        ratio: tokens of this model per recorded token.
        ttl: life of cache entries that is asked for.
    """

    platform: str
    model: str
    names: tuple[str, ...]
    tier: str | None
    same: bool
    ratio: float
    ttl: str | None = None


class _Held:
    """A thread whose last prompt may still be in the cache."""

    __slots__ = ("ends", "group", "pending", "tokens")

    def __init__(self, tokens: int, ends: float, pending: int, group: Sums) -> None:
        self.tokens, self.ends, self.pending, self.group = tokens, ends, pending, group


class Course:
    """Requests of one source as they would go with one model, platform and life of entries.

    Args:
        given: what they are asked of.
        pricings: by which prices the sums will be priced.
        prices: the price lists.

    Attributes:
        slots: sums by stretches of time.
        rule: how the cache works; ``None``: nobody knows, and nothing is read.
        ttl: life of entries.
        shorter: requests that were shorter than the one before in their thread, which begin anew.
    """

    def __init__(self, given: Given, pricings: Sequence[Pricing], prices: Prices) -> None:
        self.given = given
        self.pricings = pricings
        self._prices = prices
        self.rule = find(given.platform, given.model)
        self.ttl = _life_of(self.rule, given.ttl)
        self._life = (self.rule.seconds(self.ttl) if self.rule else None) or _LIFE
        self._least = (self.rule.minimum or 0) if self.rule else 0
        self._step = max(self.rule.granularity, self.rule.interval or 1) if self.rule else 1
        self._writes = bool(self.rule and self.rule.write)
        self._unasked = bool(self.rule and self.rule.automatic)
        self._threads: OrderedDict[str, _Held] = OrderedDict()
        self._slot = Slot(inf, inf, (), ())
        self.slots: list[Slot] = []
        self.shorter = 0

    def take(self, row: Row) -> None:
        """Count one request; they come in the order of time."""
        given = self.given
        total = row.total if given.same else round(row.total * given.ratio)
        slot = self._slot if self._slot.start <= row.at < self._slot.end else self._move(row.at)
        group = slot.group(total)
        group.requests += 1
        group.cost += row.cost
        if row.calls:
            add(group.calls, row.calls)
        if given.same:
            self._as_recorded(row, group)
            return
        group.output += round(row.output * given.ratio)
        group.reasoning += round(row.reasoning * given.ratio)
        self._cached(row.thread, total, row.at, group)

    @staticmethod
    def _as_recorded(row: Row, group: Sums) -> None:
        group.fresh += row.fresh
        group.read += row.read
        group.output += row.output
        group.reasoning += row.reasoning
        add(group.written, row.written)
        if row.media:
            add(group.media, row.media)

    def _cached(self, thread: str | None, total: int, now: float, group: Sums) -> None:
        """What is read, what is written, and what waits for somebody to read it."""
        held = None if thread is None else self._threads.get(thread)
        read = 0
        if held is not None:
            read = self._read(held, total, now)
            self._settle(held, written=read > 0)
        group.read += read
        waits = self._bill(total - read, group, lasting=total >= self._least, followed=thread is not None)
        if thread is not None and self.rule is not None:
            self._threads[thread] = _Held(total, now + self._life, waits, group)
            self._threads.move_to_end(thread)
            self._forget(now)

    def _bill(self, rest: int, group: Sums, *, lasting: bool, followed: bool) -> int:
        """Tokens that were not read: written unasked, fresh, or (given back) whichever pays in the end."""
        if lasting and self._writes and self._unasked:
            group.write(self.ttl, rest)
            return 0
        if lasting and self._writes and followed:
            return rest
        group.fresh += rest
        return 0

    def _read(self, held: _Held, total: int, now: float) -> int:
        """Tokens that a request of this length reads of the one before it."""
        if total < held.tokens:
            self.shorter += 1
            return 0
        whole = held.tokens - held.tokens % self._step
        return whole if now < held.ends and whole >= max(self._least, 1) else 0

    def _settle(self, held: _Held, *, written: bool) -> None:
        """What waited to be read is read now, or was not worth writing."""
        if held.pending and written:
            held.group.write(self.ttl, held.pending)
        elif held.pending:
            held.group.fresh += held.pending
        held.pending = 0

    def _forget(self, now: float) -> None:
        """Let go of threads whose cache is over, and of the longest unused where there are very many."""
        while self._threads:
            first = next(iter(self._threads.values()))
            if first.ends > now and len(self._threads) <= _THREADS:
                return
            self._settle(first, written=False)
            self._threads.popitem(last=False)

    def close(self) -> None:
        """No more requests come."""
        for held in self._threads.values():
            self._settle(held, written=False)
        self._threads.clear()

    def _move(self, now: float) -> Slot:
        """Into the stretch of time of this moment."""
        start, end, cards = -inf, inf, []
        for pricing in self.pricings:
            window = self._window(pricing, now)
            cards.append(window.card)
            if pricing.at is None:
                start, end = max(start, window.start), min(end, window.end)
        steps = sorted({tier.above for card in cards if card for tier in card.tiers if tier.above})
        self._slot = Slot(start, end, cards, steps)
        self.slots.append(self._slot)
        return self._slot

    def _window(self, pricing: Pricing, now: float) -> Window:
        tier = self.given.tier if pricing.tier is None else pricing.tier
        at = now if pricing.at is None else pricing.at
        windows = [self._prices.window(self.given.platform, name, at, tier) for name in self.given.names]
        return next((one for one in windows if one.card), windows[0])

    def total(self) -> Sums:
        """All of it."""
        found = Sums()
        for slot in self.slots:
            for group in slot.groups.values():
                found.fold(group)
        return found


def _life_of(rule: Rule | None, wanted: str | None) -> str:
    if rule is None:
        return ""
    return wanted if wanted and wanted in rule.lives else rule.ttl

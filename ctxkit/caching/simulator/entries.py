"""What a simulated cache holds, and what it answers to a request: values without a clock of their own."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Alive", "Entry", "Matched", "Outcome", "Refusal", "State", "Write"]


class Entry(NamedTuple):
    """One cached prefix.

    Attributes:
        tokens: of the whole prefix.
        ttl: time to live it was written with, ``""`` where the provider has only one.
        used: when the request that wrote or last read it began, in unix seconds.
        expires: when it ends; infinite where only eviction ends it.
        visible: from when on it can be read; infinite while nobody has said so.
        size: tokens it adds to the entry before it: what an engine's memory is counted in.
        whole: a read may end here (else it was only passed on the way, by which common prefixes are noticed).
        answer: visible tokens of the answer to the request that ends here; 0 where nobody knows. Like ``again`` and
            ``seen`` this is for forecasts, and a simulated cache leaves it alone.
        again: tokens that this request read itself; -1 where nobody knows.
        seen: the provider reported that this request read or wrote something: its cache is at work here.
    """

    tokens: float
    ttl: str = ""
    used: float = 0.0
    expires: float = math.inf
    visible: float = -math.inf
    size: float = 0.0
    whole: bool = True
    answer: float = 0.0
    again: int = -1
    seen: bool = False


if TYPE_CHECKING:
    Alive = Callable[[bytes], Entry | None]
    """The live entry of this name, as :meth:`~ctxkit.caching.layout.Layout.entry` gives names."""


class Write(NamedTuple):
    """An entry that is written at a position.

    Attributes:
        at: index of the position.
        ttl: time to live asked for it.
    """

    at: int
    ttl: str


class Matched(NamedTuple):
    """What a cache does with a request, given the entries that are alive.

    Attributes:
        read: index of the position up to which it reads; -1: nothing.
        tokens: that will be reported as read.
        least: the same at least, where a part of the arithmetic is hidden.
        most: the same at most.
        entry: the live entry that is read.
        asked: time to live of the marker that found it.
        writes: entries that are written, by position.
        written: tokens that are billed as written, by time to live.
        fresh: the rest of the prompt.
        noticed: index of a common prefix that the provider notices and will keep; -1: none.
    """

    read: int = -1
    tokens: int = 0
    least: int = 0
    most: int = 0
    entry: Entry | None = None
    asked: str = ""
    writes: tuple[Write, ...] = ()
    written: Mapping[str, int] = {}
    fresh: int = 0
    noticed: int = -1


class Refusal(NamedTuple):
    """An error that the provider answers instead of serving a request.

    Attributes:
        status: HTTP status.
        kind: the provider's word for it (``"invalid_request_error"``, ``"ValidationException"``).
        message: its text.
    """

    status: int
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a request got: disjoint buckets that sum to the prompt, or a refusal.

    Attributes:
        read: tokens read; for best-effort providers an upper bound, see ``miss_probability``.
        written: tokens written, by time to live.
        fresh: the rest of the prompt.
        least: tokens read at least, where a part of the provider's arithmetic is hidden.
        most: tokens read at most.
        late: tokens that an entry beyond its promised life might still give (a life that is a minimum).
        error: the provider refuses; the buckets are 0.
        answered: the model is asked for an answer (else the request only fills the cache).
        guaranteed: the provider promises reads of live entries.
        miss_probability: share of reads that will be lost to eviction or routing; ``None``: unknown.
        matched: positions behind the figures.
        stored: entries written or refreshed; new ones are visible once :func:`~ctxkit.caching.simulator.commit`
            says when.
        now: when the request began.
    """

    read: int = 0
    written: Mapping[str, int] = field(default_factory=dict)
    fresh: int = 0
    least: int = 0
    most: int = 0
    late: int = 0
    error: Refusal | None = None
    answered: bool = True
    guaranteed: bool = False
    miss_probability: float | None = None
    matched: Matched = Matched()  # noqa: RUF009 - a constant
    stored: Mapping[bytes, Entry] = field(default_factory=dict)
    now: float = 0.0

    @property
    def total(self) -> int:
        """Tokens of the prompt."""
        return self.read + self.fresh + sum(self.written.values())


@dataclass(frozen=True, slots=True)
class State:
    """All entries of a provider's cache.

    Attributes:
        entries: by name.
        capacity: tokens that an engine's memory holds; ``None``: without limit.
    """

    entries: Mapping[bytes, Entry] = field(default_factory=dict)
    capacity: int | None = None

    def alive(self, now: float) -> Alive:
        """What can be read at this moment."""
        get = self.entries.get

        def find(name: bytes) -> Entry | None:
            entry = get(name)
            return entry if entry is not None and entry.visible <= now < entry.expires else None

        return find

    def kept(self, now: float) -> Alive:
        """The same with entries that are past their life and perhaps not deleted yet."""
        get = self.entries.get

        def find(name: bytes) -> Entry | None:
            entry = get(name)
            return entry if entry is not None and entry.visible <= now else None

        return find

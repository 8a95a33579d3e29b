"""From a request as its user wrote it to what is said to the provider's cache: markers, mode, life, key.

Joins what was learned of a feature (``habits``), where markers pay (``placement``) and which key routes (``keys``).
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ctxkit.cacheable import Breakpoint, Wish
from ctxkit.caching.habits import Choice, Habits
from ctxkit.caching.keys import key_of
from ctxkit.caching.placement import Placement, place
from ctxkit.caching.refusals import Refusals

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from ctxkit.cacheable import Block
    from ctxkit.caching.keys import Key
    from ctxkit.caching.layout import Layout
    from ctxkit.caching.prefixes import Hasher
    from ctxkit.caching.proposals import Point
    from ctxkit.caching.rules.rule import Rule
    from ctxkit.caching.simulator.entries import Alive

__all__ = ["Marked", "Marking", "Memory"]

_RETAINED = "24h"
_HABITS = b"habits"
_KEPT_EVERY = 50  # requests between two notes of what was learned


class Memory(Protocol):
    """What is needed of a store."""

    def get(self, key: bytes) -> bytes | None:
        """The value, or ``None``."""

    def put(self, key: bytes, value: bytes) -> None:
        """Keep a value; may be written later."""


class Marked(NamedTuple):
    """What is to be said of a request.

    Attributes:
        wish: for the dialect to write.
        headers: HTTP headers beside it.
        layout: the request as its cache will read it then.
        placement: how it was chosen.
    """

    wish: Wish
    headers: Mapping[str, str]
    layout: Layout
    placement: Placement


class Marking:
    """Decides for one kit; for all threads.

    Args:
        hasher: keyed hashes.
        store: what was learned of features outlives the process there.
        ttl: time to live to be used, ``"auto"``: chosen.
        isolate: keep scopes apart where a key does so.

    Attributes:
        refusals: what servers did not take.
    """

    def __init__(self, hasher: Hasher, store: Memory, *, ttl: str = "auto", isolate: bool = False) -> None:
        self._hasher, self._ttl, self._isolate = hasher, ttl, isolate
        self._store, self._sent = store, 0
        self._habits = Habits()
        self._habits.load(store.get(_HABITS))
        self.refusals = Refusals()

    def decide(
        self,
        layout: Layout,
        rule: Rule,
        explicit: Rule | None,
        blocks: Callable[[int], Sequence[Block]],
        *,
        alive: Alive,
        shared: Alive,
        rates: Mapping[str, int] | None,
        feature: str,
        thread: str,
        now: float = 0.0,
        owner: Hashable = None,
        options: bool = True,
        cut: int = -1,
    ) -> Marked:
        """What to say of a request; it counts for those planned beside it, and nothing else is changed.

        Args:
            layout: the request.
            rule: how the cache works, as the request stands.
            explicit: how it works for a request that marks for itself, where that is another rule.
            blocks: takes the message of this index apart.
            alive: the live entry of a name, as far as is believed in this process.
            shared: the same, others asked too: for what this process has never sent.
            rates: pico-dollars per token by bucket, where prices are known.
            feature: whose habits count.
            thread: id of the conversation.
            now: unix time in seconds.
            owner: the thread or task that plans it; ``None``: it is not to be counted.
            options: the wire has words for mode, life and key, beside markers.
            cut: index of the message at which a later rewrite of the conversation is likely to begin.
        """
        outlook = self._habits.outlook(feature, layout, now, owner)
        scope = layout.space.scope
        key = key_of(
            rule, layout, outlook, self._hasher, thread=thread, scope=scope, isolate=self._isolate, options=options
        )
        if key is not None:
            layout = layout.keyed(self._hasher, rule, key.value)
        held = shared if outlook.known < 0 else alive
        placement = place(
            layout,
            rule,
            alive=held,
            outlook=outlook,
            rates=rates,
            explicit=explicit,
            ttl=self._ttl,
            options=options,
            cut=_before(layout, cut),
        )
        wish = self._wish(layout, placement, key, blocks)
        headers = {key.header: key.value} if key is not None and key.header else {}
        return Marked(wish, headers, _as_said(layout, placement, wish), placement)

    def _wish(
        self, layout: Layout, placement: Placement, key: Key | None, blocks: Callable[[int], Sequence[Block]]
    ) -> Wish:
        kept = self._ttl == _RETAINED and _RETAINED in placement.rule.lives and not layout.ask.retention
        reasons = {"mode": "only what is marked is to be written", "ttl": f"keeps what is written for {placement.ttl}"}
        return Wish(
            breakpoints=tuple(_addressed(layout, point, blocks) for point in placement.points),
            marker=placement.rule.marker or "",
            mode=placement.mode,
            ttl=placement.ttl,
            retention=_RETAINED if kept and placement.rule.match == "intervals" else None,
            key=key.value if key is not None and key.field else None,
            key_field=key.field if key is not None else None,
            reasons={**reasons, "key": key.reason if key else "", "retention": "as the policy's cache_ttl says"},
        )

    def left(self, owner: Hashable, attempt: str, layout: Layout, now: float) -> None:
        """A request leaves; say :meth:`ended` when it is over."""
        self._habits.left(owner, attempt, layout, now)

    def ended(self, attempt: str) -> None:
        """It is over, whatever became of it."""
        self._habits.bursts.ended(attempt)

    def sent(self, feature: str, layout: Layout, now: float, choice: Choice) -> None:
        """A request left with what was chosen for it."""
        self._habits.note(feature, layout, now, choice)
        self._sent += 1
        if self._sent % _KEPT_EVERY == 0:
            self._store.put(_HABITS, self._habits.dump())


def _before(layout: Layout, message: int) -> int:
    """Index of the last position before a message of the request; -1: there is none."""
    if message <= 0:
        return -1
    number = message if layout.sources is None else bisect_left(layout.sources, message)
    return bisect_left(layout.positions, number, key=attrgetter("message")) - 1


def _addressed(layout: Layout, point: Point, blocks: Callable[[int], Sequence[Block]]) -> Breakpoint:
    """The marker by the path of its block in the request at hand."""
    number = layout.positions[point.at].message
    first = bisect_left(layout.positions, number, key=attrgetter("message"))
    found = [block for block in blocks(layout.source(point.at)) if block.kind != "marker"]
    return Breakpoint(found[point.at - first].path, point.ttl, point.reason)


def _as_said(layout: Layout, placement: Placement, wish: Wish) -> Layout:
    """The request as its cache will read it."""
    marks = {**layout.marks, **{point.at: point.ttl for point in placement.points}}
    ask = replace(
        layout.ask,
        mode=wish.mode or layout.ask.mode,
        ttl=wish.ttl or layout.ask.ttl,
        retention=wish.retention or layout.ask.retention,
    )
    return replace(layout, marks=marks, ask=ask)

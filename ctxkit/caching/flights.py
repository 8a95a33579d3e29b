"""Requests under way, and which of them could not read what another one was still writing."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.caching.simulator.breakpoints import names
from ctxkit.caching.simulator.entries import Entry
from ctxkit.caching.simulator.matching import match
from ctxkit.forks import on_fork

if TYPE_CHECKING:
    from ctxkit.caching.forecast import Foreseen

__all__ = ["Flights"]

_MOST = 1_000  # requests under way, and requests that were told of
_LONGEST = 600.0  # seconds after which nobody believes that a request is under way still
_FEW = 12  # entries by which a request meets others, from either end


class _Flight(NamedTuple):
    since: float
    names: tuple[bytes, ...]


class Flights:
    """The requests under way of one kit; bounded, for all threads."""

    def __init__(self) -> None:
        self._renew()
        on_fork(self, "_renew")

    def _renew(self) -> None:
        """A forked child has sent nothing, and must not wait for a thread of its parent."""
        self._lock = threading.Lock()
        self._flights: OrderedDict[str, _Flight] = OrderedDict()
        self._writers: dict[bytes, tuple[float, Entry]] = {}
        self._raced: OrderedDict[str, int] = OrderedDict()

    def left(self, attempt: str, foreseen: Foreseen, now: float) -> None:
        """A request leaves; ``now``: in unix seconds."""
        rule, layout, matched = foreseen.rule, foreseen.layout, foreseen.matched
        if rule.visible == "starts":  # what is still being computed is shared
            return
        raced = self._would_read(foreseen, now) if self._writers else 0
        name = names(rule, layout)
        ends = [write.at for write in matched.writes]
        ends = ends if len(ends) <= 2 * _FEW else [*ends[:_FEW], *ends[-_FEW:]]
        written = {name(at): Entry(layout.positions[at].tokens) for at in ends}
        with self._lock:
            if raced > matched.tokens:
                self._raced[attempt] = raced
            self._flights[attempt] = _Flight(now, tuple(written))
            for key, entry in written.items():
                self._writers.setdefault(key, (now, entry))
            while len(self._flights) > _MOST:
                self._forget(next(iter(self._flights)))
            while len(self._raced) > _MOST:
                self._raced.popitem(last=False)

    def _would_read(self, foreseen: Foreseen, now: float) -> int:
        def coming(name: bytes) -> Entry | None:
            since, entry = self._writers.get(name, (0.0, None))
            return entry if abs(now - since) <= _LONGEST else None

        among = [write.at for write in foreseen.matched.writes]
        return match(foreseen.rule, foreseen.layout, coming, among=among).tokens

    def began(self, attempt: str) -> None:
        """Its answer begins: what it writes can be read."""
        with self._lock:
            self._forget(attempt)

    def ended(self, attempt: str) -> int:
        """It is over; tokens that it might have read of requests under way when it left."""
        with self._lock:
            self._forget(attempt)
            return self._raced.pop(attempt, 0)

    def _forget(self, attempt: str) -> None:
        flight = self._flights.pop(attempt, None)
        for name in flight.names if flight is not None else ():
            held = self._writers.get(name)
            if flight is not None and held is not None and held[0] == flight.since:
                del self._writers[name]

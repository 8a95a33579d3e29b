"""Requests of this process that are planned, held or under way at this moment, by what they open with.

What comes again is learned from requests that were sent. Of a burst that starts all at once nothing was sent yet, and
all would go out unmarked. So each request that is planned is counted from then until it is over: the first one of a
burst cannot know, the second sees that it is not alone. Whoever plans without sending is not taken for a burst: a
thread (or task) has one request planned and not sent, the latest, and what is never sent is soon forgotten.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.forks import on_fork

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

__all__ = ["Bursts"]

_AT_ONCE = 10.0  # seconds for which a request counts, unless it is over before
_MOST = 10_000  # requests


class _Present(NamedTuple):
    """One request."""

    openings: Sequence[bytes]
    since: float


class Bursts:
    """Counts requests by opening; for all threads, and bounded. A look and a note cost the same however many there are."""

    def __init__(self) -> None:
        self._renew()
        on_fork(self, "_renew")

    def _renew(self) -> None:
        """A forked child has nothing under way, and must not wait for a thread of its parent."""
        self._lock = threading.Lock()
        self._present: OrderedDict[Hashable, _Present] = OrderedDict()
        self._counts: dict[bytes, int] = {}

    def planned(self, owner: Hashable, openings: Sequence[bytes], now: float) -> tuple[int, ...]:
        """A thread or task plans a request; of each of its openings, how many others have it now."""
        with self._lock:
            self._forget(owner)
            self._expire(now)
            others = tuple(self._counts.get(link, 0) for link in openings)
            self._keep(owner, _Present(openings, now))
            return others

    def sent(self, owner: Hashable, attempt: str, openings: Sequence[bytes], now: float) -> None:
        """It leaves."""
        with self._lock:
            planned = self._present.get(owner)
            if planned is not None and planned.openings == openings:
                self._forget(owner)
            self._expire(now)
            self._keep(attempt, _Present(openings, now))

    def ended(self, attempt: str) -> None:
        """It is over, whatever became of it."""
        with self._lock:
            self._forget(attempt)

    def _keep(self, key: Hashable, present: _Present) -> None:
        self._forget(key)
        self._present[key] = present
        for link in present.openings:
            self._counts[link] = self._counts.get(link, 0) + 1

    def _forget(self, key: Hashable) -> None:
        present = self._present.pop(key, None)
        for link in present.openings if present is not None else ():
            left = self._counts[link] - 1
            if left:
                self._counts[link] = left
            else:
                del self._counts[link]

    def _expire(self, now: float) -> None:
        """The oldest stand first, but for clocks that were set back."""
        while self._present:
            key, oldest = next(iter(self._present.items()))
            if abs(now - oldest.since) <= _AT_ONCE and len(self._present) < _MOST:
                return
            self._forget(key)

"""How many requests a thread still has, as far as threads of its feature tell: a survival curve.

A thread ends when it has been idle for so long that a provider's cache is cold anyway: what it asks for later starts
from nothing, so a rewrite earns no more there. Threads that are still under way count as such (censored), and those that
were first met in their midst count from there on (Kaplan and Meier's estimate with late entries). Where little was seen,
what is usual of things that may end at any time stands in (Lindy): a thread that has had n requests has another n/3 at
its lower quartile. That weighs as much as ten threads.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict, deque
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from ctxkit.caching.features import Features
from ctxkit.forks import on_fork

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from ctxkit.caching.features import Memory

__all__ = ["Lived", "Survival", "ended"]

IDLE = 3600.0
"""Seconds after which a thread that nobody continued has ended: the longest life that caches sell by the request."""

_KEY = b"survival"
_PRIOR = 10.0  # threads that what is assumed weighs as much as
_WINDOW = 500  # threads that ended, which are remembered of a feature
_FAR = 1_000  # requests that are looked ahead, and the longest thread that is told apart
_SAVED_EVERY = 100  # requests between two notes of what was learned


_MOST = 500  # threads under way that are remembered of a feature


class Timed(Protocol):
    """What is known of a thread under way."""

    time: float
    """Of its latest request, in unix seconds."""


T = TypeVar("T", bound=Timed)


def ended(under_way: OrderedDict[str, T], now: float) -> Iterator[T]:
    """Take out the threads that were idle for long; of too many, those that were idle longest, which stand first."""
    while under_way:
        thread, one = next(iter(under_way.items()))
        if now - one.time < IDLE and len(under_way) <= _MOST:
            return
        del under_way[thread]
        yield one


class Lived(NamedTuple):
    """What was seen of one thread, by its requests.

    Attributes:
        first: number of the first request that was seen (1: from the beginning).
        last: number of the last one.
        ended: it had no more.
    """

    first: int
    last: int
    ended: bool = True


class _Open:
    """A thread under way."""

    __slots__ = ("first", "last", "time")

    def __init__(self, first: int, time: float) -> None:
        self.first = self.last = first
        self.time = time


class _Feature:
    """The threads of one feature: of how many it is known whether the n-th request was the last, and of how many it was."""

    __slots__ = ("closed", "died", "lived", "open", "risk")

    def __init__(self) -> None:
        self.open: OrderedDict[str, _Open] = OrderedDict()
        self.lived: deque[Lived] = deque()
        self.risk: Counter[int] = Counter()
        self.died: Counter[int] = Counter()
        self.closed = 0

    def went_on(self, thread: str, requests: int, now: float) -> None:
        requests = max(1, min(requests, _FAR))
        one = self.open.get(thread)
        if one is None:
            one = self.open[thread] = _Open(requests, now)
        for number in range(one.last, requests):
            self.risk[number] += 1
        one.last, one.time = max(one.last, requests), max(one.time, now)
        self.open.move_to_end(thread)
        self.close(now)

    def close(self, now: float) -> None:
        """End those that were idle for long; of too many under way, those that were idle longest."""
        for one in ended(self.open, now):
            for number in range(one.first, one.last):  # counted while it was under way; from now on, as it lived
                self.risk[number] -= 1
            self.add(Lived(one.first, one.last))

    def add(self, one: Lived) -> None:
        """A thread that is over, or that somebody else saw."""
        self._count(one, 1)
        self.closed += one.ended
        self.lived.append(one)
        while len(self.lived) > _WINDOW:
            self._count(self.lived.popleft(), -1)

    def _count(self, one: Lived, times: int) -> None:
        for number in range(one.first, one.last + one.ended):
            self.risk[number] += times
        self.died[one.last] += times * one.ended

    def figures(self) -> dict[str, Any]:
        """Everything, as JSON has it; of threads under way that is the length they reached."""
        lived = [*self.lived, *(Lived(one.first, one.last, ended=False) for one in self.open.values())]
        return {"closed": self.closed, "lived": [[one.first, one.last, int(one.ended)] for one in lived[-_WINDOW:]]}

    @classmethod
    def of(cls, figures: Mapping[str, Any]) -> _Feature:
        """From what :meth:`figures` gave."""
        feature = cls()
        for first, last, ended in figures["lived"]:
            feature.add(Lived(*_within(first, last), bool(ended)))
        feature.closed = int(figures["closed"])
        return feature


class Survival:
    """Learns from threads how long those of a feature live; one per kit, for all threads.

    What is learned outlives the process in the store: lengths alone.

    Args:
        store: shared memory of workers and restarts.
    """

    def __init__(self, store: Memory) -> None:
        self._store = store
        self._features = Features(_Feature, store.get(_KEY))
        self._notes = 0
        self._fresh_lock()
        on_fork(self, "_fresh_lock")

    def continued(self, feature: str, thread: str, requests_so_far: int, now: float) -> None:
        """A thread has another request, its first one or a later one.

        Args:
            feature: whose thread.
            thread: its id.
            requests_so_far: that it has had, this one included; a history that was shortened tells of no new ones.
            now: unix time in seconds.
        """
        with self._lock:
            self._features.held(feature).went_on(thread, requests_so_far, now)
            self._notes += 1
            due = self._notes % _SAVED_EVERY == 0
        if due:
            self.save()

    def recall(self, lives: Iterable[tuple[str, Lived]]) -> None:
        """Begin with what is written down elsewhere of features of which no thread has ended yet."""
        with self._lock:
            known = {feature for feature, held in self._features.items() if held.closed}
            for feature, one in lives:
                if feature not in known:
                    self._features.held(feature).add(one._replace(**_bounds(one.first, one.last)))

    def closed(self, feature: str) -> int:
        """Threads of a feature that have ended."""
        held = self._features.get(feature)
        return held.closed if held is not None else 0

    def remaining(self, feature: str, age: int, quantile: float = 0.25) -> float:
        """Requests that a thread still has, at this quantile of those that have come as far.

        Args:
            feature: whose thread.
            age: requests that it has had, the one being planned included.
            quantile: share of the threads that may have fewer; 0.25 is the lower quartile.
        """
        age = max(age, 1)
        with self._lock:
            held = self._features.get(feature)
            return _remaining(held.risk if held else {}, held.died if held else {}, age, 1.0 / (1.0 - quantile))

    def save(self) -> None:
        """Keep what was learned in the store."""
        self._store.put(_KEY, self.dump())

    def dump(self) -> bytes:
        """What was learned, to be kept: figures by feature, nothing of a thread but its length."""
        with self._lock:
            return self._features.dump()

    def _fresh_lock(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()


def _within(first: int, last: int) -> tuple[int, int]:
    last = max(1, min(int(last), _FAR))
    return max(1, min(int(first), last)), last


def _bounds(first: int, last: int) -> dict[str, Any]:
    first, last = _within(first, last)
    return {"first": first, "last": last}


def _remaining(risk: Mapping[int, int], died: Mapping[int, int], age: int, fewer: float) -> float:
    """Requests after which one in ``fewer`` threads of this age is left.

    The chance to end at request t is that of Kaplan and Meier, joined by threads of which it is 1 / (t + 1): as many as
    would be left by then. Between two requests what is left falls as it does for those, in inverse proportion.
    """
    lost, more = 1.0, 0  # one in ``lost`` is left after ``more`` requests
    while more < _FAR:
        number = age + more
        assumed = _PRIOR * age / number
        ending = (died.get(number, 0) + assumed / (number + 1)) / (risk.get(number, 0) + assumed)
        if ending >= 1.0:
            return float(more)
        after = lost / (1.0 - ending)
        if after > fewer:
            return more + (fewer - lost) / (after - lost)
        lost, more = after, more + 1
    return float(_FAR)

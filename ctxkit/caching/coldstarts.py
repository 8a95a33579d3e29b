"""Many requests with one cold prefix at once: one goes first, the others wait until what it writes can be read.

An entry is readable only once the answer to the request that writes it has begun (with some providers: has ended), so
requests that start together all miss, and each pays for the same write. Here the first of them goes ahead. A later
one that would read what is being written waits, for as long as the user allows and no longer, and then reads.

Who waits for whom is decided by entries: a request waits when a request under way writes an entry which this one
would find by the rules of its provider, and which is worth the wait. So requests that share their instructions and
nothing else meet at the end of the instructions.

What can go wrong, and what then happens:

- The one that went first is refused, cancelled or lost: whoever wakes first goes first, the others wait on within
  their time; whoever has waited for three goes.
- It takes longer than it may: everybody who waits goes when his own time is up. Nobody waits for a request that is
  older than that, nor where experience says that the answer will not begin (or end) in time.
- A thread cannot wait for a request that it sent itself, nor a task for its own. Such requests go at once.
- The process forks: a child knows of no request under way.

All of it happens in one process. Workers that share a store do not wait for one another: a lock in the store would
have to be taken, polled and given back over the network in front of every cold request, and a worker that dies would
hold up the others; with W workers at most W requests write what one could have written.

No clock of its own: ``timer`` is handed in. Threads and event loops meet at one list of wakers per request under way,
so a task may wait for a thread and the reverse.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict, deque
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.caching.waiting import Owner, call_all, running, this_thread, wake
from ctxkit.forks import on_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from ctxkit.caching.coldprefix import Start
    from ctxkit.caching.simulator.entries import Alive, Entry

__all__ = ["ColdStarts", "Held", "Tally"]

_ROUNDS = 3  # requests that one waits for, one after the other
_MOST_UNDER_WAY = 1_000
_MOST_OPENED = 100_000  # entries
_MOST_PACES = 1_000
_MOST_CALLS = 10_000  # whose waits are remembered, for their retries
_REMEMBERED = 15  # answers of one pace
_GRACE = 1.0  # seconds in which those who were woken look at what a request that is over has written


class Held(NamedTuple):
    """How a start went.

    Attributes:
        waited: seconds.
        reads: tokens it will find, those of requests that are not over yet among them; 0: no more than without them.
    """

    waited: float = 0.0
    reads: int = 0


class Tally(NamedTuple):
    """What became of the cold starts so far.

    Attributes:
        first: went without waiting.
        waited: waited, and found what they waited for.
        vain: waited, and found nothing: their time was up, or those before them failed.
        seconds: waited altogether.
        tokens: read by those who waited, that they would not have read.
    """

    first: int = 0
    waited: int = 0
    vain: int = 0
    seconds: float = 0.0
    tokens: int = 0


class _Flight:
    """A request under way."""

    __slots__ = ("closed", "owner", "since", "start", "wakers")

    def __init__(self, start: Start, since: float, owner: Owner) -> None:
        self.start = start
        self.since = since
        self.owner = owner
        self.closed = False  # nobody need wait for it any more
        self.wakers: dict[_Visit, Callable[[], None]] = {}


class _Opened(NamedTuple):
    """An entry that can be read, and until when it is told of, by the timer."""

    entry: Entry
    until: float


class _Visit:
    """One request that asks whether it may go."""

    __slots__ = ("bound", "found", "owner", "rounds", "since", "start")

    def __init__(self, start: Start, since: float, bound: float, owner: Owner) -> None:
        self.start = start
        self.since = since
        self.bound = bound
        self.owner = owner
        self.rounds = 0
        self.found = 0

    def give_up(self) -> None:
        """Wait for nobody any more."""
        self.bound = 0.0


class ColdStarts:
    """The requests under way of one kit, and who waits for them. All its memories are bounded.

    Args:
        timer: monotonic seconds.
        most_waiting: requests that may wait at one time; more go at once.

    Attributes:
        tally: what became of the cold starts so far.
    """

    def __init__(self, timer: Callable[[], float], most_waiting: int = 1_000) -> None:
        self._timer = timer
        self._most_waiting = most_waiting
        self._paces: OrderedDict[Hashable, deque[float]] = OrderedDict()
        self._renew()
        on_fork(self, "_renew")

    def _renew(self) -> None:
        """A forked child has nothing under way, and must not wait for a thread of its parent."""
        self._lock = threading.Lock()
        self._flights: OrderedDict[str, _Flight] = OrderedDict()
        self._writers: dict[bytes, _Flight] = {}
        self._opened: OrderedDict[bytes, _Opened] = OrderedDict()
        self._waited: OrderedDict[str, float] = OrderedDict()
        self._waiting = 0
        self.tally = Tally()

    # ------------------------------------------------------------------ before a request leaves

    def hold(self, start: Start, bound: float) -> Held:
        """Wait as long as it pays, at most ``bound`` seconds; then the request is under way.

        Say :meth:`began` when its answer begins and :meth:`ended` when it is over, whatever became of it.
        """
        visit = self._visit(start, bound, Owner(this_thread()))
        while True:
            event = threading.Event()
            flight = self._enter(visit, event.set)
            if flight is None:
                return self._held(visit)
            try:
                if not event.wait(self._left(visit)):
                    visit.give_up()
            finally:
                self._leave(visit, flight)

    async def ahold(self, start: Start, bound: float) -> Held:
        """``hold`` for tasks of asyncio; one that is cancelled leaves nothing behind. Other loops never wait."""
        loop, task = running()
        visit = self._visit(start, bound, Owner(this_thread(), task))
        if loop is None:
            visit.give_up()
        while True:
            future = loop.create_future() if loop is not None else None
            flight = self._enter(visit, partial(wake, loop, future))
            if flight is None or future is None:
                return self._held(visit)
            try:
                done, _ = await asyncio.wait((future,), timeout=self._left(visit))
                if not done:
                    visit.give_up()
            finally:
                self._leave(visit, flight)

    def _visit(self, start: Start, bound: float, owner: Owner) -> _Visit:
        return _Visit(start, self._timer(), bound - self._waited.get(start.operation, 0.0), owner)

    def _left(self, visit: _Visit) -> float:
        return max(visit.since + visit.bound - self._timer(), 0.0)

    def _enter(self, visit: _Visit, wake: Callable[[], None]) -> _Flight | None:
        """The request to wait for, which will call ``wake``; ``None``: go, the request is under way now."""
        with self._lock:
            flight = self._in_front(visit)
            if flight is not None:
                visit.rounds += 1
                flight.wakers[visit] = wake
                self._waiting += 1
                return flight
            wakers = self._begin(visit)
        call_all(wakers)
        return None

    def _leave(self, visit: _Visit, flight: _Flight) -> None:
        with self._lock:
            flight.wakers.pop(visit, None)
            self._waiting -= 1

    def _in_front(self, visit: _Visit) -> _Flight | None:
        start, writers = visit.start, self._writers
        if not writers and not self._opened and not visit.rounds:
            return None
        visit.found, _ = start.reads(self._open_entry)
        if visit.rounds >= _ROUNDS or self._waiting >= self._most_waiting:
            return None
        tokens, name = start.reads(lambda one: self._open_entry(one) or _coming(writers, one))
        flight = writers.get(name)
        if flight is None or tokens - visit.found < start.least:
            return None
        return flight if self._worth(visit, flight) else None

    def _worth(self, visit: _Visit, flight: _Flight) -> bool:
        """Its answer is likely to begin in time, and whoever asks can wait for it."""
        age, left = self._timer() - flight.since, self._left(visit)
        known = self._paces.get(flight.start.pace)
        if not known and flight.start.at_end:
            return False  # an answer may take any time; its beginning hardly does
        remaining = median(known) - age if known else 0.0
        return 0 <= age <= visit.bound and remaining <= left and left > 0 and visit.owner.may_wait_for(flight.owner)

    def _begin(self, visit: _Visit) -> tuple[Callable[[], None], ...]:
        """It is under way; gives the wakers of who waits for requests that are forgotten, being too many."""
        start = visit.start
        if start.attempt in self._flights:
            return ()
        flight = self._flights[start.attempt] = _Flight(start, self._timer(), visit.owner)
        for name in start.writes:
            if self._open_entry(name) is None and self._may_write(visit, self._writers.get(name)):
                self._writers[name] = flight
        wakers: tuple[Callable[[], None], ...] = ()
        while len(self._flights) > _MOST_UNDER_WAY:
            wakers += self._close(self._flights.popitem(last=False)[1], opens=False)
        return wakers

    def _may_write(self, visit: _Visit, writer: _Flight | None) -> bool:
        """The others are to wait for this request, and not for one that is late or that this one is a retry of."""
        return (
            writer is None or self._timer() - writer.since > visit.bound or not visit.owner.may_wait_for(writer.owner)
        )

    def _held(self, visit: _Visit) -> Held:
        waited = max(self._timer() - visit.since, 0.0) if visit.rounds else 0.0
        with self._lock:
            tally = self.tally
            if waited:
                _remember(self._waited, visit.start.operation, waited + self._waited.get(visit.start.operation, 0.0))
            if not visit.rounds:
                self.tally = tally._replace(first=tally.first + 1)
            elif visit.found > visit.start.already:
                self.tally = tally._replace(
                    waited=tally.waited + 1,
                    seconds=tally.seconds + waited,
                    tokens=tally.tokens + visit.found - visit.start.already,
                )
            else:
                self.tally = tally._replace(vain=tally.vain + 1, seconds=tally.seconds + waited)
        return Held(waited, visit.found if visit.found > visit.start.already else 0)

    # ------------------------------------------------------------------ when its answer begins and ends

    def began(self, attempt: str) -> None:
        """The answer begins. Unknown attempts, and saying it twice, change nothing."""
        with self._lock:
            flight = self._flights.get(attempt)
            wakers = self._close(flight, opens=True) if flight is not None and not flight.start.at_end else ()
        call_all(wakers)

    def ended(self, attempt: str, *, failed: bool = False) -> None:
        """The answer has ended, or there will be none (``failed``).

        What it wrote is soon told by :meth:`readable` no more: from now on the settled usage says what is alive.
        """
        with self._lock:
            flight = self._flights.pop(attempt, None)
            wakers = self._close(flight, opens=not failed) if flight is not None else ()
            if flight is not None:
                self._retire(flight, 0.0 if failed else _GRACE)
        call_all(wakers)

    def _retire(self, flight: _Flight, seconds: float) -> None:
        end = self._timer() + seconds
        for name in flight.start.writes:
            opened = self._opened.get(name)
            if opened is not None and opened.until > end:
                self._opened[name] = opened._replace(until=end)

    def _close(self, flight: _Flight, *, opens: bool) -> tuple[Callable[[], None], ...]:
        """Take its entries from those that are waited for; gives the wakers of who waits for it."""
        if flight.closed:
            return ()
        flight.closed = True
        start, now = flight.start, self._timer()
        for name, entry in start.writes.items():
            if opens or self._writers.get(name) is flight:
                self._writers.pop(name, None)
            if opens:
                self._opened[name] = _Opened(entry, now + start.life)
        if opens:
            self._note_pace(start.pace, now - flight.since)
        self._forget_opened(now)
        wakers = tuple(flight.wakers.values())
        flight.wakers.clear()
        return wakers

    def _forget_opened(self, now: float) -> None:
        """The oldest, as far as nobody is told of them any more; of too many, the oldest whatever they are."""
        while self._opened:
            name, oldest = next(iter(self._opened.items()))
            if oldest.until > now and len(self._opened) <= _MOST_OPENED:
                return
            del self._opened[name]

    def _note_pace(self, pace: Hashable, seconds: float) -> None:
        self._paces.setdefault(pace, deque(maxlen=_REMEMBERED)).append(seconds)
        self._paces.move_to_end(pace)
        while len(self._paces) > _MOST_PACES:
            self._paces.popitem(last=False)

    # ------------------------------------------------------------------ what can be read meanwhile

    def readable(self, alive: Alive) -> Alive:
        """Entries that are alive, and those of requests whose answers have begun and are not settled yet."""
        return lambda name: alive(name) or self._open_entry(name)

    def _open_entry(self, name: bytes) -> Entry | None:
        opened = self._opened.get(name)
        return opened.entry if opened is not None and opened.until > self._timer() else None


def _remember(waited: OrderedDict[str, float], operation: str, seconds: float) -> None:
    waited[operation] = seconds
    while len(waited) > _MOST_CALLS:
        waited.popitem(last=False)


def _coming(writers: Mapping[bytes, _Flight], name: bytes) -> Entry | None:
    flight = writers.get(name)
    return flight.start.writes[name] if flight is not None else None

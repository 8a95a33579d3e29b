"""The same request several times at once: one goes, the others wait for its answer.

What can go wrong, and what then happens:

- The one that went fails, or is cancelled: whoever wakes first goes next, the others wait for that one, within their time.
- Its answer is not one to keep: it is not likely that the next one would be, so all of them go, each by himself.
- Nobody holds it any more: noticed within a quarter of a second, and as above.
- It takes longer than somebody may wait: he goes, too, and the others wait, within their time, for whichever of the two
  brings an answer first. Nobody waits for a request that is older than he may wait.
- One that waits is cancelled: nobody hears of it.
- A thread cannot wait for a request that it sent itself, nor a task for its own: an answer that is read slowly, with
  the same request sent in between, holds up nobody. Such a request goes at once.
- The process forks: a child knows of no request under way.

No clock of its own: ``timer`` is handed in. Threads and event loops meet at one list of wakers per request.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.caching.waiting import Owner, call_all, running, this_thread, wake
from ctxkit.forks import on_fork

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxkit.reuse import Reused

__all__ = ["Token", "Turn", "UnderWay"]

_SLICE = 0.25  # seconds after which one that waits looks whether anybody still holds what it waits for
_MOST = 10_000


class Token:
    """Whoever holds it leads: goes out with a request, and says what came of it."""

    __slots__ = ("__weakref__", "name")

    def __init__(self, name: bytes) -> None:
        self.name = name


class Turn(NamedTuple):
    """What a request is to do.

    Attributes:
        token: go, and say :meth:`UnderWay.over` when it is over; ``None``: an answer is there, or it goes by itself.
        answer: of another request, so that this one need not go.
        waited: seconds.
    """

    token: Token | None = None
    answer: Reused | None = None
    waited: float = 0.0


class _Flight:
    """A request under way."""

    __slots__ = ("answer", "holder", "over", "owner", "since", "vain", "wakers")

    def __init__(self, token: Token, owner: Owner, since: float) -> None:
        self.holder = weakref.ref(token)
        self.owner = owner
        self.since = since
        self.over = False
        self.vain = False  # there was an answer, and not one to keep
        self.answer: Reused | None = None
        self.wakers: dict[_Visit, Callable[[], None]] = {}

    @property
    def lost(self) -> bool:
        """Nobody can say any more what came of it."""
        return self.holder() is None


class _Visit:
    """One request that asks whether it has to go."""

    __slots__ = ("bound", "look", "name", "owner", "sender", "since", "waited")

    def __init__(
        self, name: bytes, look: Callable[[], Reused | None], bound: float, since: float, owner: Owner, sender: Owner
    ) -> None:
        self.name = name
        self.look = look
        self.bound = bound
        self.since = since
        self.owner = owner  # who waits
        self.sender = sender  # who is at work while it is under way
        self.waited = False


class UnderWay:
    """The requests under way of one kit that may be answered again, and who waits for them; bounded.

    Args:
        timer: monotonic seconds.
    """

    def __init__(self, timer: Callable[[], float]) -> None:
        self._timer = timer
        self._renew()
        on_fork(self, "_renew")

    def _renew(self) -> None:
        """A forked child has nothing under way, and must not wait for a thread of its parent."""
        self._lock = threading.Lock()
        self._flights: OrderedDict[bytes, _Flight] = OrderedDict()

    def take(self, name: bytes, bound: float, look: Callable[[], Reused | None]) -> Turn:
        """Go, or wait for the same request that is under way, at most ``bound`` seconds.

        Args:
            name: key of the request.
            bound: seconds.
            look: the answer as it stands in memory; called once more before the request goes.
        """
        sender = Owner(this_thread(), running()[1])
        visit = _Visit(name, look, bound, self._timer(), Owner(this_thread()), sender)
        while True:
            event = threading.Event()
            found = self._enter(visit, event.set)
            if isinstance(found, Turn):
                return found
            try:
                while self._stays(visit, found) and not event.wait(min(self._left(visit), _SLICE)):
                    pass
            finally:
                self._leave(visit, found)
            if found.answer is not None or found.vain:
                return self._turn(visit, answer=found.answer)

    async def atake(self, name: bytes, bound: float, look: Callable[[], Reused | None]) -> Turn:
        """``take`` for tasks of asyncio; one that is cancelled leaves nothing behind. Other loops never wait."""
        loop, task = running()
        sender = Owner(this_thread(), task)
        visit = _Visit(name, look, bound if loop is not None else 0.0, self._timer(), sender, sender)
        while True:
            future = loop.create_future() if loop is not None else None
            found = self._enter(visit, partial(wake, loop, future))
            if isinstance(found, Turn) or future is None:
                return found if isinstance(found, Turn) else Turn()
            try:
                while self._stays(visit, found) and not future.done():
                    await asyncio.wait((future,), timeout=min(self._left(visit), _SLICE))
            finally:
                self._leave(visit, found)
            if found.answer is not None or found.vain:
                return self._turn(visit, answer=found.answer)

    def over(self, token: Token, answer: Reused | None, *, vain: bool = False) -> None:
        """The request is over: with an answer that others may have, or without. Saying it twice changes nothing.

        Args:
            token: of whoever went.
            answer: what others may have.
            vain: it was answered, and the answer is not one to keep.
        """
        with self._lock:
            flight = self._flights.get(token.name)
            if flight is None:
                return
            if flight.holder() is token:
                flight.vain = vain
                del self._flights[token.name]
                wakers = self._close(flight, answer)
            else:  # a younger one leads now, whose followers need not wait for it any more: they look again
                wakers = tuple(flight.wakers.values()) if answer is not None else ()
        call_all(wakers)

    def _enter(self, visit: _Visit, waker: Callable[[], None]) -> Turn | _Flight:
        """What to do, or the request to wait for, which will call ``waker``."""
        with self._lock:
            answer = visit.look()
            if answer is not None:
                return self._turn(visit, answer=answer)
            flight = self._flights.get(visit.name)
            if flight is None or flight.lost or self._age(flight) > visit.bound:
                token, wakers = self._begin(visit)
            elif self._left(visit) <= 0 or not visit.owner.may_wait_for(flight.owner):
                return self._turn(visit)
            else:
                visit.waited = True
                flight.wakers[visit] = waker
                return flight
        call_all(wakers)
        return self._turn(visit, token)

    def _begin(self, visit: _Visit) -> tuple[Token, tuple[Callable[[], None], ...]]:
        """This request goes, and the next ones wait for it; those who waited for an older one look again."""
        token = Token(visit.name)
        older = self._flights.pop(visit.name, None)
        self._flights[visit.name] = _Flight(token, visit.sender, self._timer())
        wakers = () if older is None else self._close(older, None)
        while len(self._flights) > _MOST:
            wakers += self._close(self._flights.popitem(last=False)[1], None)
        return token, wakers

    def _close(self, flight: _Flight, answer: Reused | None) -> tuple[Callable[[], None], ...]:
        flight.answer, flight.over = answer, True
        wakers = tuple(flight.wakers.values())
        flight.wakers.clear()
        return wakers

    def _leave(self, visit: _Visit, flight: _Flight) -> None:
        with self._lock:
            flight.wakers.pop(visit, None)

    def _stays(self, visit: _Visit, flight: _Flight) -> bool:
        return not flight.over and not flight.lost and self._left(visit) > 0

    def _age(self, flight: _Flight) -> float:
        return self._timer() - flight.since

    def _left(self, visit: _Visit) -> float:
        return max(visit.since + visit.bound - self._timer(), 0.0)

    def _turn(self, visit: _Visit, token: Token | None = None, answer: Reused | None = None) -> Turn:
        return Turn(token, answer, max(self._timer() - visit.since, 0.0) if visit.waited else 0.0)

"""The shelf on which answers stand: bounded in bytes, number and time, in memory and, where asked for, on disk behind it.

Time is handed in. Where it goes backwards, nobody knows any more how old an answer is: what stands in memory is let go,
and what on disk seems to come from the future is not served. Little steps back, as threads that read the clock one after the
other make them, do not count as time at all.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ctxkit.caching.answers.entry import packed, unpacked
from ctxkit.forks import on_fork

if TYPE_CHECKING:
    from ctxkit.reuse import Reused

__all__ = ["Durable", "Shelf"]

_OVERHEAD = 1_000  # bytes of an answer beside its body: names, headers, its place
_PIECE = 50  # and of each event
_STEP = 1.0  # seconds that the clock may seem to go back between two threads


class Durable(Protocol):
    """Bytes by name that outlive the process, until a moment that is given with them."""

    def get(self, name: bytes, now: float) -> bytes | None:
        """The bytes, unless there are none or they are over."""

    def put(self, name: bytes, value: bytes, until: float) -> None:
        """Keep them until then (unix seconds)."""


class _Standing(NamedTuple):
    answer: Reused
    size: int


class Shelf:
    """Answers by the keys of their requests; one per kit, for all threads.

    Args:
        secret: by which answers on disk are sealed against damage.
        ttl: seconds that an answer is served.
        max_bytes: of all answers in memory; beyond that those go that were used longest ago.
        max_answers: in memory.
        disk: behind the memory; ``None``: there is none.
    """

    def __init__(
        self, secret: bytes, ttl: float, max_bytes: int, max_answers: int, disk: Durable | None = None
    ) -> None:
        self._secret = secret
        self._ttl = ttl
        self._max_bytes = max_bytes
        self._max_answers = max_answers
        self._disk = disk
        self._standing: OrderedDict[bytes, _Standing] = OrderedDict()
        self._bytes = 0
        self._latest = float("-inf")
        self._fresh_lock()
        on_fork(self, "_fresh_lock")

    def _fresh_lock(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._standing)

    @property
    def size(self) -> int:
        """Bytes of all answers in memory, with what they take beside their bodies."""
        return self._bytes

    def get(self, name: bytes, now: float) -> Reused | None:
        """The answer from memory, unless there is none or its time is over; that it was used keeps it from going first."""
        with self._lock:
            now = self._moment(now)
            found = self._standing.get(name)
            if found is None:
                return None
            if not self._alive(found.answer, now):
                self._drop(name)
                return None
            self._standing.move_to_end(name)
            return found.answer

    def fetch(self, name: bytes, now: float) -> Reused | None:
        """The answer from disk, which stands in memory from now on. Reads a file: not for an event loop.

        Raises:
            DamagedError: what stands there is no answer of this name.
            StoreError: the disk cannot be read, or not with this key.
        """
        if self._disk is None:
            return None
        with self._lock:
            now = self._moment(now)
        value = self._disk.get(name, now)
        if value is None:
            return None
        answer = unpacked(self._secret, name, value)
        if not self._alive(answer, now):
            return None
        self._stand(name, answer)
        return answer

    def put(self, name: bytes, answer: Reused) -> None:
        """Keep an answer for its time to live, which began when it was ``stored``.

        Raises:
            StoreError: the disk did not take it; in memory it stands.
        """
        with self._lock:
            self._moment(answer.stored)
        self._stand(name, answer)
        if self._disk is not None:
            self._disk.put(name, packed(self._secret, name, answer), answer.stored + self._ttl)

    def _moment(self, now: float) -> float:
        if now < self._latest - _STEP:
            self._standing.clear()
            self._bytes, self._latest = 0, now
        self._latest = max(self._latest, now)
        return self._latest

    def _alive(self, answer: Reused, now: float) -> bool:
        return answer.stored <= now < answer.stored + self._ttl

    def _stand(self, name: bytes, answer: Reused) -> None:
        size = _OVERHEAD + _PIECE * len(answer.events) + sum(map(len, answer.events))
        with self._lock:
            self._drop(name)
            if size > self._max_bytes:
                return
            self._standing[name] = _Standing(answer, size)
            self._bytes += size
            while self._bytes > self._max_bytes or len(self._standing) > self._max_answers:
                self._drop(next(iter(self._standing)))

    def _drop(self, name: bytes) -> None:
        found = self._standing.pop(name, None)
        if found is not None:
            self._bytes -= found.size

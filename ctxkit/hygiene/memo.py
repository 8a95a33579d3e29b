"""What was worked out is remembered for a while: an application sends the same texts again with each request."""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import wraps
from typing import TYPE_CHECKING, Generic, TypeVar

from ctxkit.forks import on_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Memo", "length", "remembered"]

_CHARACTERS = 8_000_000
_SMALL = 200  # what an entry counts at least: what is remembered takes room, too

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")


class Memo(Generic[K, V]):
    """Values by what they were made of, the least recently used let go; for all threads.

    Args:
        size: of all entries together.
        weigh: how much of that an entry takes, by its key and its value. What would take more than all is made anew each
            time: it would push out everything else.
    """

    def __init__(self, size: int, weigh: Callable[[K, V], int]) -> None:
        self._size = size
        self._weigh = weigh
        self._held = 0
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._renew()
        on_fork(self, "_renew")

    def _renew(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()

    def get(self, key: K, make: Callable[[K], V]) -> V:
        """What ``make`` makes of a key, or made of it before."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key][0]
        value = make(key)
        self._keep(key, value, max(self._weigh(key, value), _SMALL))
        return value

    def _keep(self, key: K, value: V, weight: int) -> None:
        with self._lock:
            if weight > self._size or key in self._values:
                return
            self._values[key] = value, weight
            self._held += weight
            while self._held > self._size:
                self._held -= self._values.popitem(last=False)[1][1]


def length(text: str, _: object) -> int:
    """A text counts by its characters."""
    return len(text)


def remembered(make: Callable[[str], V]) -> Callable[[str], V]:
    """A pure function of a text that remembers its latest values."""
    memo: Memo[str, V] = Memo(_CHARACTERS, length)

    @wraps(make)
    def found(text: str) -> V:
        return memo.get(text, make)

    return found

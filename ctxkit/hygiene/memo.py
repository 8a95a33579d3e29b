"""What was worked out of a text is remembered for a while: an application sends the same texts again with each request."""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import wraps
from typing import TYPE_CHECKING, TypeVar

from ctxkit.forks import on_fork

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Memo", "remembered"]

_CHARACTERS = 8_000_000
_SMALL = 200  # characters that an entry counts at least: what is remembered takes room, too

T = TypeVar("T")


class Memo:
    """Values by text, the least recently used let go.

    Args:
        size: characters of all texts together.
    """

    def __init__(self, size: int = _CHARACTERS) -> None:
        self._size = size
        self._held = 0
        self._values: OrderedDict[str, object] = OrderedDict()
        self._renew()
        on_fork(self, "_renew")

    def _renew(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()

    def get(self, text: str, make: Callable[[str], T]) -> T:
        """What ``make`` makes of a text, or made of it before."""
        with self._lock:
            if text in self._values:
                self._values.move_to_end(text)
                return self._values[text]  # type: ignore[return-value] # one maker for each memo
        value = make(text)
        with self._lock:
            if text not in self._values:
                self._held += max(len(text), _SMALL)
            self._values[text] = value
            while self._held > self._size and self._values:
                old, _ = self._values.popitem(last=False)
                self._held -= max(len(old), _SMALL)
        return value


def remembered(make: Callable[[str], T]) -> Callable[[str], T]:
    """A pure function of a text that remembers its latest values."""
    memo = Memo()

    @wraps(make)
    def found(text: str) -> T:
        return memo.get(text, make)

    return found

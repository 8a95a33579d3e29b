"""The entries that a provider's cache is believed to hold: what settled requests wrote and read.

Kept in this process, bounded, and in the store, so that other workers and restarts know them too. An entry is a name
(a keyed hash) and figures; nothing of a prompt.
"""

from __future__ import annotations

import struct
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

from ctxkit.caching.simulator.entries import Entry
from ctxkit.forks import on_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["Believed", "Living", "Memory"]

_PREFIX = b"e"
_FIGURES = struct.Struct(">dddddi??")
_ASKED = 24  # look-ups in the shared store per request: what a conversation appends is found after a few


class Memory(Protocol):
    """What is needed of a store."""

    def get(self, key: bytes) -> bytes | None:
        """The value, or ``None``."""

    def put(self, key: bytes, value: bytes) -> None:
        """Keep a value; may be written later."""


class Believed:
    """Entries by name; one per kit, for all threads.

    Args:
        store: shared memory of workers and restarts.
        size: entries kept in this process; those unused for longest go first.
    """

    def __init__(self, store: Memory, size: int = 30_000) -> None:
        self._store = store
        self._size = size
        self._known: OrderedDict[bytes, Entry] = OrderedDict()
        self._fresh_lock()
        on_fork(self, "_fresh_lock")

    def alive(self, now: float, *, shared: bool = False) -> Living:
        """The live entry of a name at ``now`` (unix seconds), for one request.

        Args:
            now: moment of the request.
            shared: ask the store too, for the first names that are looked up: they are the most telling ones.
        """
        return Living(self._known, now, self._recall if shared else None)

    def held(self, name: bytes) -> Entry | None:
        """The entry of a name, alive or ended; for telling why it is not read."""
        return self._known.get(name)

    def keep(self, entries: Mapping[bytes, Entry], telling: Iterable[bytes]) -> None:
        """Believe in these from now on, and let other processes hear of the ``telling`` ones among them."""
        self._remember(entries)
        for name in telling:
            self._store.put(_PREFIX + name, _packed(entries[name]))

    def drop(self, names: Iterable[bytes], now: float) -> None:
        """Believe no longer: these were expected to be read and were not."""
        gone = {}
        for name in names:
            entry = self._known.get(name)
            if entry is not None and entry.expires > now:
                gone[name] = entry._replace(expires=now - 1.0)
        if gone:
            self.keep(gone, gone)

    def _recall(self, name: bytes) -> Entry | None:
        stored = self._store.get(_PREFIX + name)
        if stored is None:
            return None
        entry = _unpacked(stored)
        if entry is not None:
            self._remember({name: entry})
        return entry

    def _remember(self, entries: Mapping[bytes, Entry]) -> None:
        with self._lock:
            for name, entry in entries.items():
                self._known[name] = entry
                self._known.move_to_end(name)
            while len(self._known) > self._size:
                self._known.popitem(last=False)

    def _fresh_lock(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()


class Living:
    """Looks up live entries for one request."""

    __slots__ = ("_known", "_left", "_now", "_recall")

    def __init__(
        self, known: Mapping[bytes, Entry], now: float, recall: Callable[[bytes], Entry | None] | None
    ) -> None:
        self._known = known
        self._now = now
        self._recall = recall
        self._left = _ASKED

    def __call__(self, name: bytes) -> Entry | None:
        """The entry, if it lives."""
        entry = self._known.get(name)
        if entry is None and self._recall is not None and self._left > 0:
            self._left -= 1
            entry = self._recall(name)
        # A clock that went backwards finds entries of the future: they are alive all the same.
        return entry if entry is not None and self._now <= entry.expires else None


def _packed(entry: Entry) -> bytes:
    figures = _FIGURES.pack(
        entry.tokens, entry.used, entry.expires, entry.visible, entry.answer, entry.again, entry.whole, entry.seen
    )
    return figures + entry.ttl.encode("ascii", "replace")


def _unpacked(stored: bytes) -> Entry | None:
    if len(stored) < _FIGURES.size:
        return None
    tokens, used, expires, visible, answer, again, whole, seen = _FIGURES.unpack_from(stored)
    ttl = stored[_FIGURES.size :].decode("ascii", "replace")
    return Entry(tokens, ttl, used, expires, visible, 0.0, whole, answer, again, seen)

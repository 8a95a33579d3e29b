"""State of one process: a bounded map, forgotten when the process ends."""

from __future__ import annotations

import threading
from collections import OrderedDict

from ctxkit.forks import on_fork

__all__ = ["MemoryStore"]


class MemoryStore:
    """Keeps the ``size`` values that were put last."""

    def __init__(self, size: int = 30_000) -> None:
        self._size = size
        self._values: OrderedDict[bytes, bytes] = OrderedDict()
        self._fresh_lock()
        on_fork(self, "_fresh_lock")

    def get(self, key: bytes) -> bytes | None:
        """The value, or ``None``."""
        return self._values.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        """Keep a value."""
        with self._lock:
            self._keep(key, value)

    def add(self, key: bytes, value: bytes) -> bytes:
        """Keep a value unless there is one; the value that stands."""
        with self._lock:
            stands = self._values.get(key)
            if stands is None:
                self._keep(key, value)
            return value if stands is None else stands

    def fresh(self, key: bytes) -> bytes | None:
        """The value, or ``None``: nobody else can have changed it."""
        return self._values.get(key)

    def swap(self, key: bytes, old: bytes | None, new: bytes) -> bytes | None:
        """Put ``new`` where ``old`` stands (``None``: nothing); the value that stands then."""
        with self._lock:
            stands = self._values.get(key)
            if stands == old:
                self._keep(key, new)
            return new if stands == old else stands

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Nothing to let go."""

    def _keep(self, key: bytes, value: bytes) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        while len(self._values) > self._size:
            self._values.popitem(last=False)

    def _fresh_lock(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()

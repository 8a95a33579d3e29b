"""A store whose faults are told and not raised: without it everything goes on, only with less memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ctxkit.forks import on_fork

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxkit.stores import Store

__all__ = ["GuardedStore"]


class GuardedStore:
    """Passes everything on to ``store``; ``note(where, error)`` hears of what it raises."""

    def __init__(self, store: Store, note: Callable[[str, BaseException], None]) -> None:
        self._store = store
        self._note = note
        self._fresh_lock()
        on_fork(self, "_fresh_lock")

    def _fresh_lock(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()

    def get(self, key: bytes) -> bytes | None:
        """The value, or ``None``: also when the store cannot say."""
        try:
            return self._store.get(key)
        except Exception as error:  # noqa: BLE001 - whatever an own store raises
            self._note("store", error)
            return None

    def put(self, key: bytes, value: bytes) -> None:
        """Keep a value, if the store can."""
        try:
            self._store.put(key, value)
        except Exception as error:  # noqa: BLE001
            self._note("store", error)

    def add(self, key: bytes, value: bytes) -> bytes:
        """Keep a value unless there is one; ``value`` itself when the store cannot say."""
        try:
            return self._store.add(key, value)
        except Exception as error:  # noqa: BLE001
            self._note("store", error)
            return value

    def fresh(self, key: bytes) -> bytes | None:
        """The value as other processes see it now, where the store can tell; else as ``get``."""
        try:
            look = getattr(self._store, "fresh", self._store.get)
            found: bytes | None = look(key)
        except Exception as error:  # noqa: BLE001
            self._note("store", error)
            return None
        return found

    def swap(self, key: bytes, old: bytes | None, new: bytes) -> bytes | None:
        """Put ``new`` where ``old`` stands; the value that stands then.

        A store of the user's own may lack it: then threads of this process are kept apart, and no others.
        """
        try:
            if (swap := getattr(self._store, "swap", None)) is not None:
                found: bytes | None = swap(key, old, new)
                return found
            with self._lock:
                stands = self._store.get(key)
                if stands != old:
                    return stands
                self._store.put(key, new)
                return new
        except Exception as error:  # noqa: BLE001
            self._note("store", error)
            return None

    def flush(self) -> None:
        """Write what is waiting."""
        try:
            self._store.flush()
        except Exception as error:  # noqa: BLE001
            self._note("store", error)

    def close(self) -> None:
        """Flush and let go."""
        try:
            self._store.close()
        except Exception as error:  # noqa: BLE001
            self._note("store", error)

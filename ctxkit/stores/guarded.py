"""A store whose faults are told and not raised: without it everything goes on, only with less memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxkit.stores import Store

__all__ = ["GuardedStore"]


class GuardedStore:
    """Passes everything on to ``store``; ``note(where, error)`` hears of what it raises."""

    def __init__(self, store: Store, note: Callable[[str, BaseException], None]) -> None:
        self._store = store
        self._note = note

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

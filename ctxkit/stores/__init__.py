"""Where state lives: small values by key, in memory or in a folder that workers share.

A store keeps keyed hashes, ids and numbers, never prompt text. ``open_store`` takes what the user wrote:
``None`` (this process only), a folder, or an object with the methods of :class:`Store`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from ctxkit.errors import ConfigurationError
from ctxkit.folders import located

__all__ = ["Store", "open_store"]


@runtime_checkable
class Store(Protocol):
    """A bounded map from bytes to bytes, safe for threads."""

    def get(self, key: bytes) -> bytes | None:
        """The value, or ``None``."""

    def put(self, key: bytes, value: bytes) -> None:
        """Keep a value; a durable store may write it a moment later."""

    def add(self, key: bytes, value: bytes) -> bytes:
        """Keep a value unless there is one; the value that stands. At once, for all processes."""
        ...

    def flush(self) -> None:
        """Write what is waiting."""

    def close(self) -> None:
        """Flush and let go."""


def open_store(store: str | Path | Store | None) -> Store:
    """The store that ``Kit(store=...)`` names.

    Raises:
        ConfigurationError: neither a path nor a store.
    """
    if store is None:
        from ctxkit.stores.memory import MemoryStore

        return MemoryStore()
    if isinstance(store, str | Path):
        from ctxkit.stores.disk import DiskStore

        return DiskStore(located(store))
    if isinstance(store, Store):
        return store
    raise ConfigurationError(
        f"Kit(store=...) wants a folder, None or an object with get, put, add, flush, close; got {store!r:.80}"
    )

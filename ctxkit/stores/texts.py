"""Texts on disk for a limited time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.stores.kept import KeptStore

if TYPE_CHECKING:
    from pathlib import Path

    from ctxkit.stores.sealing import Seal

__all__ = ["TextStore"]


class TextStore:
    """Keeps texts under names until they are over.

    Args:
        folder: made (0700) when missing.
        lifetime: seconds after which a file entry is deleted at the latest.
        seal: of the user's key; ``None``: texts stand in the file as they are.

    Raises:
        StoreError: from any method, when the folder cannot be used.
    """

    def __init__(self, folder: Path, lifetime: float, seal: Seal | None) -> None:
        self._kept = KeptStore(folder, lifetime, seal)

    def put(self, name: bytes, text: str, until: float) -> None:
        """Keep a text until that moment (unix seconds of the caller's clock); written a moment later."""
        self._kept.put(name, text.encode("utf-8", "surrogatepass"), until)

    def get(self, name: bytes, now: float) -> str | None:
        """The text, unless there is none or it is over; with a key none that was not sealed with it.

        Raises:
            StoreError: it is sealed and there is no key, or another one.
        """
        found = self._kept.get(name, now)
        return None if found is None else found.decode("utf-8", "surrogatepass")

    def flush(self) -> None:
        """Write what is waiting, and delete what is over."""
        self._kept.flush()

    def close(self) -> None:
        """Flush and let go."""
        self._kept.close()

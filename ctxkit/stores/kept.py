"""Bytes on disk for a limited time, in a folder of their own; sealed when there is a key."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from ctxkit.errors import StoreError
from ctxkit.stores.disk import DiskStore

if TYPE_CHECKING:
    from pathlib import Path

    from ctxkit.stores.sealing import Seal

__all__ = ["KeptStore"]

_HEAD = struct.Struct(">Bd")  # sealed or not, and the moment at which it is over
_PLAIN, _SEALED = 0, 1
_SIZE = 256 * 2**20


class KeptStore:
    """Keeps bytes under names until they are over.

    Args:
        folder: made (0700) when missing.
        lifetime: seconds after which a file entry is deleted at the latest.
        seal: of the user's key; ``None``: bytes stand in the file as they are.
        size: bytes after which what was stored longest ago goes.
        option: of the policy, that keys are from.

    Raises:
        StoreError: from any method, when the folder cannot be used.
    """

    def __init__(
        self, folder: Path, lifetime: float, seal: Seal | None, *, size: int = _SIZE, option: str = "recall_key"
    ) -> None:
        # Nothing in memory: who uses this has a memory of its own, bounded in bytes.
        self._store = DiskStore(folder, size, lifetime=lifetime, remembered=0, wipe=True)
        self._seal = seal
        self._option = option

    def put(self, name: bytes, value: bytes, until: float) -> None:
        """Keep a value until that moment (unix seconds of the caller's clock); written a moment later."""
        seal = self._seal
        head = _HEAD.pack(_PLAIN if seal is None else _SEALED, until)
        self._store.put(name, head + (value if seal is None else seal.sealed(value, head + name)))

    def get(self, name: bytes, now: float) -> bytes | None:
        """The value, unless there is none or it is over; with a key none that was not sealed with it.

        Raises:
            StoreError: it is sealed and there is no key, or another one.
        """
        value = self._store.get(name)
        if value is None or len(value) < _HEAD.size:
            return None
        head, rest = value[: _HEAD.size], value[_HEAD.size :]
        kind, until = _HEAD.unpack(head)
        if not now < until:
            return None
        if kind == _SEALED and self._seal is None:
            name_of = f"CTXKIT_{self._option.upper()}"
            raise StoreError(f"it is kept sealed, and there is no key: set {name_of}, or Policy({self._option}=...)")
        if kind != _SEALED and self._seal is not None:
            return None
        return rest if self._seal is None else self._seal.opened(rest, head + name)

    def flush(self) -> None:
        """Write what is waiting, and delete what is over."""
        self._store.flush()
        self._store.expire()

    def close(self) -> None:
        """Flush and let go."""
        self._store.close()

"""State that restarts and workers of one machine share: a diskcache folder that holds bytes only.

The one door to diskcache. It pickles whatever is not text, a number or bytes, and unpickles what it finds
(CVE-2025-69872, grantjenks/python-diskcache#357, unfixed): so ``_BytesOnly`` refuses both ways. Reads come from a
memory in front of the folder; writes wait in a queue for a thread of their own, so that no request waits for a disk.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any

from ctxkit.errors import StoreError
from ctxkit.folders import private_folder
from ctxkit.forks import Quiet, on_fork
from ctxkit.stores.memory import MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DiskStore"]

_PAUSE = 0.2  # seconds between two writes to the folder: many small puts become one transaction
_LONGEST_QUEUE = 100_000  # values that wait while the folder cannot be written
_LARGEST_QUEUE = 64 * 2**20  # and their bytes
_REST = 30.0  # seconds without reading after the folder failed: no request waits for a broken disk each time
_PATIENCE = 1.0  # seconds to wait for another process's lock before the folder counts as failed
_INHERITED: list[Any] = []  # connections of a parent process: never used, never closed, in the child
_LIFETIME = 30 * 86_400  # seconds a prefix is remembered after it was last written
_REMEMBERED = 30_000


class DiskStore:
    """A folder (0700) of one SQLite file (0600) that any number of processes read and write.

    Args:
        folder: made when missing.
        size_limit: bytes after which the least recently stored values go.
        lifetime: seconds a value is kept after it was last written.
        remembered: values that are kept in memory in front of the folder.
        wipe: overwrite what is deleted.

    Raises:
        StoreError: from any method, when the folder cannot be used; the message says what to do.
    """

    _lock: threading.Lock
    _queue: dict[bytes, bytes]
    _writer: threading.Thread | None
    _failed: StoreError | None
    _open: Any
    _stop: threading.Event
    _resting: float
    _quiet: Quiet

    def __init__(
        self,
        folder: Path,
        size_limit: int = 256 * 2**20,
        *,
        lifetime: float = _LIFETIME,
        remembered: int = _REMEMBERED,
        wipe: bool = False,
    ) -> None:
        self._folder = folder
        self._size_limit = size_limit
        self._lifetime = lifetime
        self._wipe = wipe
        self._front = MemoryStore(remembered)
        self._registered = False  # with ``atexit``, which a forked child inherits
        self._reset()
        on_fork(self, "_reset", before="_hold", parent="_release")

    def get(self, key: bytes) -> bytes | None:
        """The value, or ``None``."""
        value = self._front.get(key)
        if value is None and (value := self._read(key)) is not None:
            self._front.put(key, value)
        return value

    def put(self, key: bytes, value: bytes) -> None:
        """Keep a value: at once for this process, a moment later for the others."""
        self._front.put(key, value)
        with self._lock:
            self._queue[key] = value
            if (failed := self._failed) is not None:
                self._failed = None  # said once per failure; with the next put what waits is tried again
                raise failed
            if self._writer is None:
                self._begin()

    def add(self, key: bytes, value: bytes) -> bytes:
        """Keep a value unless there is one; the value that stands, for all processes."""
        with self._guard():
            if not self._cache().add(key, value):
                value = self._cache().get(key, default=value)
        self._front.put(key, value)
        return value

    def fresh(self, key: bytes) -> bytes | None:
        """The value as other processes see it now, past what this one remembers."""
        return self._read(key)

    def swap(self, key: bytes, old: bytes | None, new: bytes) -> bytes | None:
        """Put ``new`` where ``old`` stands (``None``: nothing), at once for all processes; the value that stands then."""
        with self._guard(), self._cache().transact(retry=True):
            stands: Any = self._cache().get(key)
            if stands == old:
                self._cache().set(key, new, expire=self._lifetime, retry=True)
                return new
        return stands if isinstance(stands, bytes) else None

    def flush(self) -> None:
        """Write what is waiting."""
        with self._lock:
            waiting, self._queue = self._queue, {}
        if not waiting:
            return
        try:
            with self._guard(), self._cache().transact(retry=True):
                for key, value in waiting.items():
                    self._cache().set(key, value, expire=self._lifetime, retry=True)
        except StoreError:
            with self._lock:
                self._queue = _newest({**waiting, **self._queue}, min(self._size_limit, _LARGEST_QUEUE))
            raise

    def expire(self) -> None:
        """Delete what is over, which would else wait until something is written."""
        with self._guard():
            self._cache().expire()

    def close(self) -> None:
        """Write what is waiting and close the file."""
        atexit.unregister(self._at_exit)
        self._registered = False
        self._stop.set()
        try:
            self.flush()
        finally:
            with self._quiet, self._lock:
                if self._open is not None:
                    self._open.close()
                self._open, self._writer, self._stop = None, None, threading.Event()

    def _at_exit(self) -> None:
        try:
            self.close()
        except StoreError as error:
            logging.getLogger("ctxkit").warning("ctxkit: %s", error)

    def _read(self, key: bytes) -> bytes | None:
        if time.monotonic() < self._resting:
            return None
        try:
            with self._guard():
                value = self._cache().get(key)
        except StoreError:
            self._resting = time.monotonic() + _REST
            raise
        return value if isinstance(value, bytes) else None

    def _cache(self) -> Any:
        if self._open is None:
            with self._lock:
                if self._open is None:
                    self._open = _open(self._folder, self._size_limit, wipe=self._wipe)
        return self._open

    def _guard(self) -> _Guard:
        return _Guard(self._folder, self._quiet)

    def _begin(self) -> None:
        writer = threading.Thread(target=self._write_on, args=(self._stop,), name="ctxkit-store", daemon=True)
        if not self._registered:  # a folder that goes on failing has one writer after another
            atexit.register(self._at_exit)
            self._registered = True
        with contextlib.suppress(RuntimeError):  # no more threads: the next put tries again, or close writes it
            writer.start()
            self._writer = writer

    def _write_on(self, stop: threading.Event) -> None:
        while not stop.wait(_PAUSE):
            try:
                self.flush()
            except StoreError as error:
                with self._lock:
                    self._failed = error
                    if self._stop is stop:  # else it was closed meanwhile, and another may write by now
                        self._writer = None
                return

    def _reset(self) -> None:
        """A new process has its own lock, thread and connection; what its parent queued, its parent writes."""
        if getattr(self, "_open", None) is not None:
            _INHERITED.append(self._open)
        self._quiet = Quiet()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._queue = {}
        self._writer = None
        self._failed = None
        self._open = None
        self._resting = 0.0

    def _hold(self) -> None:
        self._quiet.hold()

    def _release(self) -> None:
        self._quiet.release()


def _newest(waiting: dict[bytes, bytes], most: int) -> dict[bytes, bytes]:
    """Those that were put last, as many as may wait."""
    kept: list[bytes] = []
    for key in reversed([*waiting]):
        most -= len(key) + len(waiting[key])
        if most < 0 or len(kept) == _LONGEST_QUEUE:
            break
        kept.append(key)
    return {key: waiting[key] for key in reversed(kept)}


class _Guard:
    """Turns whatever diskcache, SQLite or the file system raise into one error that says what to do."""

    def __init__(self, folder: Path, quiet: Quiet) -> None:
        self._folder = folder
        self._quiet = quiet

    def __enter__(self) -> None:
        self._quiet.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _tb: object) -> None:
        self._quiet.__exit__()
        if isinstance(error, Exception) and not isinstance(error, StoreError):
            raise StoreError(
                f"the store in {self._folder} cannot be used ({type(error).__name__}: {error}); "
                "free space, mend its permissions, or move the folder away to begin a new one"
            ) from error


def _open(folder: Path, size_limit: int, *, wipe: bool) -> Any:
    import diskcache

    class _BytesOnly(diskcache.Disk):  # type: ignore[misc,unused-ignore]
        """Neither writes a pickle nor reads one."""

        def put(self, key: Any) -> Any:
            return super().put(_only_bytes(key))

        def get(self, key: Any, raw: Any) -> Any:
            return super().get(key, _only_raw(raw))

        def store(self, value: Any, read: Any, key: Any = diskcache.UNKNOWN) -> Any:
            return super().store(_only_bytes(value), read, key=key)

        def fetch(self, mode: Any, filename: Any, value: Any, read: Any) -> Any:
            return super().fetch(_only_raw_mode(mode, diskcache.core.MODE_RAW), filename, value, read)

    private_folder(folder)
    folder.chmod(0o700)
    file = folder / "cache.db"
    # Made before SQLite makes it, so that it and the write-ahead log that copies its mode are private from the start.
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    file.chmod(0o600)
    _probe(file)
    return diskcache.Cache(
        str(folder),
        timeout=2,
        disk=_BytesOnly,
        size_limit=size_limit,
        disk_min_file_size=2**30,  # never a file of its own: one file, one mode
        eviction_policy="least-recently-stored",
        sqlite_synchronous=1,
        sqlite_secure_delete=int(wipe),
    )


def _probe(file: Path) -> None:
    """Fail soon when the file is locked: diskcache would try for a minute to open it."""
    import sqlite3

    with contextlib.closing(sqlite3.connect(file, timeout=_PATIENCE, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        db.execute("ROLLBACK")


def _only_bytes(value: Any) -> bytes:
    if type(value) is not bytes:
        raise StoreError(f"a store holds bytes under bytes, not {type(value).__name__}")
    return value


def _only_raw(raw: Any) -> Any:
    if not raw:
        raise StoreError("a key in the store is a pickle, which ctxkit never wrote: move the folder away")
    return raw


def _only_raw_mode(mode: Any, allowed: Any) -> Any:
    if mode != allowed:
        raise StoreError("a value in the store is a pickle or a file, which ctxkit never wrote: move the folder away")
    return mode

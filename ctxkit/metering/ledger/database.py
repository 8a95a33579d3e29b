"""One connection to the ledger's database: opened when needed, replaced when it is damaged.

A database that SQLite calls corrupt is set aside under another name and a new one begun; it is never deleted. All
processes agree on that through a lock on a file of their own, ``gate``: work holds it shared, setting aside holds it
alone, and whoever finds another file at the path than the one it has open opens it anew.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ctxkit.errors import StoreError
from ctxkit.folders import private_folder
from ctxkit.metering.ledger.schema import APPLICATION, check, migrate, version

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Database", "streamed"]

T = TypeVar("T")

_LOG: Final = logging.getLogger("ctxkit")
_CORRUPT, _NOT_A_DATABASE, _BUSY, _LOCKED = 11, 26, 5, 6  # sqlite.org/rescode.html
_SIDES: Final = ("", "-wal", "-shm")
_INHERITED: Final[list[object]] = []  # connections of a parent process: never used, never closed, in the child


def streamed(path: Path, query: str, values: Sequence[object]) -> Iterator[tuple[Any, ...]]:
    """Rows of a database that is up to date, as they are asked for, by a connection of their own that only reads.

    Raises:
        StoreError: it cannot be read.
    """
    import sqlite3

    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            yield from db.execute(query, values)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"the ledger cannot be read: {error}") from error


class Database:
    """The ledger's database behind one lock of this process.

    Args:
        path: the file.
        folder: a folder of the ledger's own, for the gate.
        clock: unix time in seconds; names what is set aside.
    """

    def __init__(self, path: Path, folder: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._folder = folder
        self._clock = clock
        self._db: sqlite3.Connection | None = None
        self.lock = threading.RLock()

    def renew(self) -> None:
        """Begin anew in a forked child: a connection must not be carried, nor closed, across a fork."""
        if self._db is not None:
            _INHERITED.append(self._db)
            self._forgotten.detach()
        self._db = None
        self.lock = threading.RLock()

    def run(self, work: Callable[[sqlite3.Connection], T], *, wait: float) -> T:
        """Do something with the database, once more with a new one if it turns out to be corrupt.

        Args:
            work: gets the connection, outside any transaction.
            wait: seconds to wait for a lock that another process holds.

        Raises:
            StoreError: locked for longer than that, full, unreadable, or not a ledger.
        """
        import sqlite3

        with self.lock:
            try:
                try:
                    return self._attempt(work, wait)
                except sqlite3.DatabaseError as error:
                    if _code(error) not in (_CORRUPT, _NOT_A_DATABASE):
                        raise
                    self._set_aside(error)
                    return self._attempt(work, wait)
            except (sqlite3.Error, OSError) as error:
                raise StoreError(self._told(error)) from error

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        import sqlite3

        with self.lock:
            if self._db is not None:
                self._forgotten.detach()
                with contextlib.suppress(sqlite3.Error):
                    self._db.close()
            self._db = None

    def _attempt(self, work: Callable[[sqlite3.Connection], T], wait: float) -> T:
        with self._gate(alone=False):
            if self._db is not None and not self._same_file():
                self.close()
            if self._db is None:
                private_folder(self._path.parent)
                self._db = _opened(self._path, timeout=wait)
                self._forgotten = weakref.finalize(self, self._db.close)
                self._forgotten.atexit = False  # the background thread may be at it until the very end
                self._file = self._path.stat().st_ino
            self._db.execute(f"PRAGMA busy_timeout = {int(wait * 1000)}")
            return work(self._db)

    def _same_file(self) -> bool:
        try:
            return self._path.stat().st_ino == self._file
        except FileNotFoundError:
            return False

    @contextlib.contextmanager
    def _gate(self, *, alone: bool) -> Iterator[None]:
        if sys.platform == "win32":  # a file that is open cannot be renamed there, so nobody can do it unseen
            yield
            return
        import fcntl

        try:
            private_folder(self._folder)
            gate = os.open(self._folder / "gate", os.O_CREAT | os.O_RDWR, 0o600)
        except OSError:  # a ledger that can only be read is set aside by nobody
            yield
            return
        try:
            fcntl.flock(gate, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            yield
        finally:
            os.close(gate)

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        self.close()
        with self._gate(alone=True):
            if self._sound():  # another process was faster
                return
            stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._clock()))
            aside = self._path.with_name(f"{self._path.name}.corrupt-{stamp}")
            while aside.exists():
                aside = aside.with_name(f"{aside.name}x")
            for side in _SIDES:
                with contextlib.suppress(FileNotFoundError):
                    Path(f"{self._path}{side}").rename(f"{aside}{side}")
        _LOG.warning("The ledger %s is corrupt (%s). It was set aside as %s and a new one begun.",
                     self._path, error, aside)  # fmt: skip

    def _sound(self) -> bool:
        import sqlite3

        try:
            db = _opened(self._path, timeout=1.0)
        except (sqlite3.Error, StoreError):
            return False
        with contextlib.closing(db):
            try:
                ours = db.execute("PRAGMA application_id").fetchone()[0] == APPLICATION
                return bool(ours and db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
            except sqlite3.Error:
                return False

    def _told(self, error: Exception) -> str:
        code = _code(error)
        if code in (_BUSY, _LOCKED):
            return f"the ledger {self._path} is locked by another process; its journals keep what is new"
        return f"the ledger {self._path} cannot be used ({error}): free space there or give another path for the ledger"


def _code(error: Exception) -> int:
    """SQLite's primary result code of an error, -1 for what is none of SQLite's."""
    return int(getattr(error, "sqlite_errorcode", -1)) & 0xFF if hasattr(error, "sqlite_errorcode") else -1


def _opened(path: Path, *, timeout: float) -> sqlite3.Connection:
    """Open the ledger at ``path``, made and migrated if need be; read-only where its folder cannot be written.

    Args:
        path: the file; it gets mode 0600, and SQLite gives its side files the same.
        timeout: seconds to wait for a lock that another process holds.

    Raises:
        sqlite3.Error, OSError, StoreError: it cannot be opened.
    """
    import sqlite3

    if path.exists() and not (_writable(path.parent) and _writable(path)):
        # immutable: SQLite cannot make the shared memory file that WAL needs where it may not write.
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None, check_same_thread=False
        )
    _create_private(path)
    db = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
    try:
        check(db, version(db))
        # FULL: journals are deleted once they are taken in, so what took their place must be on the disk.
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "cache_size = -16000"):
            db.execute(f"PRAGMA {pragma}")
        migrate(db)
    except BaseException:
        db.close()
        raise
    return db


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _create_private(path: Path) -> None:
    # Never opened when it exists: closing any descriptor of a file drops the POSIX locks that this process's other
    # connections hold on it (sqlite.org/howtocorrupt.html, 2.2).
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))

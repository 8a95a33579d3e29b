"""Journals: where an entry is safe as soon as the call that wrote it returns.

Each process appends to a file of its own, one JSON object per line, and no other process ever locks what it needs:
writing can be done on an event loop. The bytes are the kernel's when ``write`` returns, so they survive the end of the
process, however it comes; with ``sync="full"`` they are on the disk. The database is filled from the journals later,
by anyone (:mod:`ctxkit.metering.ledger.ingestion`).

A journal carries a lock (``flock``) while its owner lives. That is how others know that a file without one has nobody
left to finish it, even when its owner was killed. The file gets its name only after the lock, so that nobody takes a
newborn for an orphan. This module is the ledger's door to orjson.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import uuid
import weakref
from collections import deque
from typing import TYPE_CHECKING, Final

from ctxkit.errors import StoreError
from ctxkit.folders import private_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from ctxkit.model import Json

__all__ = ["Journal", "decode", "encode", "journals", "orphaned", "owner_of"]

_SUFFIX: Final = ".jsonl"
_LONGEST_QUEUE: Final = 10_000  # entries kept in memory while the disk refuses them: some ten megabytes


def encode(entry: Mapping[str, Json]) -> bytes:
    """An entry as one line of JSON without its end."""
    import orjson

    try:
        return orjson.dumps(entry)
    except TypeError:  # a lone surrogate in a name, or a number beyond 64 bits: rare, so a slower way will do
        import json

        text = json.dumps(entry, ensure_ascii=False, default=str, separators=(",", ":"))
        return text.encode("utf-8", "replace")


def decode(line: bytes) -> Json:
    """What a line says; ``ValueError`` for what is no JSON."""
    import orjson

    return orjson.loads(line)


class Journal:
    """The journals one process writes for one ledger: one at a time, a new one when it has grown to ``limit``.

    Args:
        folder: where journals stand; made on the first write.
        full: wait until an entry is on the disk.
        clock: unix time in seconds; orders entries of one attempt.
        limit: bytes after which a new file is begun.
    """

    def __init__(self, folder: Path, *, full: bool, clock: Callable[[], float], limit: int = 8 << 20) -> None:
        self._folder = folder
        self._full = full
        self._clock = clock
        self._limit = limit
        self.lost = 0
        self.renew()

    def renew(self) -> None:
        """Begin anew under another owner's name, as a forked child must: nothing of the parent's is touched."""
        if (inherited := getattr(self, "_file", None)) is not None:
            self._forgotten.detach()
            os.close(inherited)
        self.owner = uuid.uuid4().hex[:16]
        self._lock = threading.Lock()
        self._disk = threading.Lock()
        self._file: int | None = None
        self._forgotten: weakref.finalize[[int], Journal]
        self._number = self._size = self._last = 0
        self._enough = self._limit
        self._written = self._safe = 0  # bytes over all files: what was written, and what is known to be on the disk
        self._queue: deque[bytes] = deque()

    @property
    def waiting(self) -> int:
        """Entries that the disk has refused so far."""
        return len(self._queue)

    def append(self, entry: bytes) -> None:
        """Write one entry; when this returns it is safe.

        Raises:
            StoreError: the disk refused it; it is kept in memory and written with a later one.
        """
        with self._lock:
            self._queue.append(self._stamped(entry))
            self._drain()
            end = self._written
        if self._full:
            self._to_disk(end)

    def retry(self) -> None:
        """Write what the disk has refused before.

        Raises:
            StoreError: it still refuses.
        """
        with self._lock:
            self._drain()

    def rest(self) -> None:
        """Give the current file up, so that it can be taken in and deleted; the next entry begins another."""
        with self._lock, self._disk:
            self._close()

    def check(self) -> None:
        """Leave a file that somebody has deleted: what is written to it would be gone."""
        with self._lock, self._disk:
            if self._file is not None and os.fstat(self._file).st_nlink == 0:
                self._close()

    def _stamped(self, entry: bytes) -> bytes:
        # Strictly growing, so that of two entries of this owner it is always known which is the later.
        self._last = max(self._last + 1, int(self._clock() * 1_000_000))
        return b'{"at":%d,%b\n' % (self._last, entry[1:])

    def _drain(self) -> None:
        queue = self._queue
        try:
            while queue:
                self._write(queue[0])
                queue.popleft()
        except OSError as error:
            while len(queue) > _LONGEST_QUEUE:
                queue.popleft()
                self.lost += 1
            raise StoreError(
                f"the ledger's journal in {self._folder} cannot be written ({error.strerror or error}): "
                f"{len(queue)} entries wait in memory; free space there or give another path for the ledger"
            ) from error

    def _write(self, line: bytes) -> None:
        if self._file is None or self._size >= self._enough:
            self._begin_or_go_on()
        assert self._file is not None
        done = 0
        try:
            while done < len(line):
                done += os.write(self._file, line[done:])
        except OSError:
            if done:  # a full disk takes what fits: leave no torn line behind
                os.ftruncate(self._file, self._size)
            raise
        self._size += done
        self._written += done

    def _begin_or_go_on(self) -> None:
        try:
            self._begin()
        except OSError:  # too many open files, say: a file that is too large is better than none
            if self._file is None:
                raise
            self._enough = self._size + self._limit

    def _begin(self) -> None:
        """Begin the next file: locked first, then named, and only then is the old one given up."""
        private_folder(self._folder)
        self._number += 1
        path = self._folder / f"{self.owner}.{self._number:06d}{_SUFFIX}"
        nameless = path.with_suffix(".new")
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        file = os.open(nameless, flags, 0o600)
        try:
            _lock(file)
            nameless.rename(path)
            if self._full:
                _sync_folder(self._folder)
        except BaseException:
            os.close(file)
            nameless.unlink(missing_ok=True)
            raise
        with self._disk:
            self._close()
            self._file, self._size, self._enough = file, 0, self._limit
            # Who forgets to close a ledger is not to run out of files, nor to own the journal for ever.
            self._forgotten = weakref.finalize(self, os.close, file)
            self._forgotten.atexit = False  # the last thread to write may still be at it

    def _close(self) -> None:
        if self._file is not None:
            if self._full:
                os.fsync(self._file)
                self._safe = self._written
            self._forgotten.detach()
            os.close(self._file)
        self._file, self._size = None, 0

    def _to_disk(self, end: int) -> None:
        """Wait until all up to ``end`` is on the disk; whoever comes first does it for all that wait."""
        with self._disk:
            if self._safe >= end or self._file is None:
                return
            written = self._written
            try:
                getattr(os, "fdatasync", os.fsync)(self._file)
            except OSError as error:
                raise StoreError(f"the ledger's journal in {self._folder} cannot be synced: {error}") from error
            self._safe = written


def _sync_folder(folder: Path) -> None:
    # A file's name is on the disk only once its folder is.
    if sys.platform != "win32":
        file = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def _lock(file: int) -> None:
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def journals(folder: Path) -> list[Path]:
    """All journals of a ledger, in the order in which each owner wrote them."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == _SUFFIX)
    except FileNotFoundError:
        return []


def owner_of(journal: Path) -> str:
    """The name under which the process that wrote a journal did so."""
    return journal.name.partition(".")[0]


@contextlib.contextmanager
def orphaned(journal: Path) -> Iterator[bool]:
    """Whether nobody will write this journal any more; while the block runs nobody else comes to the same finding.

    Windows has no such lock, but it does not delete a file that is open: there every journal may be deleted, and one
    with an owner refuses.
    """
    if sys.platform == "win32":
        yield True
        return
    import fcntl

    try:
        file = os.open(journal, os.O_RDONLY)
    except OSError:  # deleted meanwhile, or not ours to read
        yield False
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:  # let go of it at once: there may be many
        os.close(file)
        yield False
        return
    try:
        yield os.fstat(file).st_nlink > 0
    finally:
        os.close(file)

"""The ledger: what every attempt was expected to cost, and what it did cost.

Writing goes to a journal of this process (:mod:`ctxkit.metering.ledger.journal`) and is done when the call returns. Reading
goes to a SQLite database that a background thread, and every reader, fills from all journals
(:mod:`ctxkit.metering.ledger.ingestion`). So nothing that another process does, or holds, can delay a request.

An attempt has two entries: one when the request leaves (status ``open``) and one when it is settled. The later one
stands; an attempt whose second entry never comes stays visible.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import shutil
import tempfile
import time
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self, TypeVar

from ctxkit.errors import ConfigurationError, StoreError
from ctxkit.folders import located
from ctxkit.metering.ledger.attendant import Attendant
from ctxkit.metering.ledger.database import Database
from ctxkit.metering.ledger.ingestion import SELECT, backlog, ingest, load_row
from ctxkit.metering.ledger.journal import Journal, encode, journals
from ctxkit.metering.ledger.rollup import Cells
from ctxkit.metering.ledger.rows import record_of, row_of
from ctxkit.metering.ledger.schema import APPLICATION, version
from ctxkit.model import Json, Record

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["Ledger", "LedgerState"]

T = TypeVar("T")

_LOG: Final = logging.getLogger("ctxkit")
_PATIENCE: Final = 5.0  # seconds a reader waits for a lock; the background thread comes again instead
_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class LedgerState:
    """How a ledger is.

    Attributes:
        path: the database.
        schema: its version.
        waiting: entries of this process that the disk refuses; they are kept in memory.
        lost: entries of this process that no longer fitted there.
        backlog: bytes in journals that were not taken in yet.
        refused: lines that were no entry (torn by a crash, or damaged); they are kept in the table ``refused``.
        fault: why the database could not be brought up to date, or ``None``.
    """

    path: Path
    schema: int
    waiting: int
    lost: int
    backlog: int
    refused: int
    fault: str | None


class Ledger:
    """A ledger at ``path``; nothing is opened or made before it is first used.

    Any number of threads, tasks, processes and other ``Ledger`` objects may use the same path at once.

    Args:
        path: the database; journals stand in a folder beside it (``ledger.db.journals``). ``None``: a temporary
            ledger, which is gone when it is closed.
        sync: ``"normal"``: an entry survives the end of the process, however it comes. ``"full"``: it survives a
            power cut too; then :meth:`append` waits for the disk and does not belong on an event loop.
        clock: unix time in seconds.
    """

    def __init__(
        self,
        path: str | Path | None,
        *,
        sync: Literal["normal", "full"] = "normal",
        clock: Callable[[], float] = time.time,
    ) -> None:
        if sync not in ("normal", "full"):
            raise ConfigurationError(f'sync is "normal" or "full", not {sync!r}')
        self.sync = sync
        self._tidy: weakref.finalize[[str, int], Ledger] | None = None
        self.path = located(path) if path is not None else self._temporary()
        self.folder = self.path.with_name(f"{self.path.name}.journals")
        self._journal = Journal(self.folder, full=sync == "full", clock=clock)
        self._database = Database(self.path, self.folder, clock)
        self._cells = Cells()
        self._fault: str | None = None
        self._held = False
        self._attendant = Attendant(self._tend)
        _ALIVE.add(self)

    def _temporary(self) -> Path:
        folder = tempfile.mkdtemp(prefix="ctxkit-")
        self._tidy = weakref.finalize(self, _remove, folder, os.getpid())
        return Path(folder, "ledger.db")

    # Writing

    def append(self, entry: Record | Mapping[str, Json]) -> None:
        """Write one entry. When this returns it is safe; it never waits for another process.

        Args:
            entry: a record, or the row that :func:`~ctxkit.metering.ledger.rows.row_of` makes of one.

        Raises:
            StoreError: the journal cannot be written. The entry is kept in memory, with at most 10,000 others, and
                written as soon as that is possible.
        """
        line = encode(row_of(entry) if isinstance(entry, Record) else entry)
        try:
            self._journal.append(line)
        finally:
            self._attendant.stir(len(line))

    def flush(self) -> None:
        """Take in everything that any process has written so far.

        Raises:
            StoreError: the database cannot be written; the journals still hold it all.
        """
        self._journal.retry()
        self._take_in(None, wait=_PATIENCE)

    def close(self) -> None:
        """Take in what this process wrote and let go of its journal. Using the ledger again opens it again."""
        self._attendant.stop()
        with contextlib.suppress(StoreError):
            self._journal.retry()
        self._journal.rest()
        if self._tidy is None and self.folder.exists():  # nobody will ever read a temporary ledger again
            with contextlib.suppress(StoreError):
                self._take_in(self._journal.owner, wait=0.2)
        self._database.close()
        self._attendant = Attendant(self._tend)
        if self._tidy is not None:
            self._tidy()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Reading

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do something with the database once it is up to date, or as good as it can be got (see :meth:`state`).

        Raises:
            StoreError: it cannot be read.
        """
        try:
            self.flush()
            self._fault = None
        except StoreError as error:
            self._fault = str(error)
        return self._database.run(work, wait=_PATIENCE)

    def exists(self) -> bool:
        """Whether anything was ever written to it; asking makes no file."""
        return self.path.exists() or bool(journals(self.folder))

    def foreign(self) -> bool:
        """Whether the file at the path is something else, which would be set aside as a corrupt ledger."""
        if not self.path.is_file() or self.folder.exists():
            return False
        with self.path.open("rb") as file:
            head = file.read(72)
        marks = head[:16], head[68:72]  # sqlite.org/fileformat.html, 1.3
        return bool(head) and marks != (b"SQLite format 3\0", APPLICATION.to_bytes(4, "big"))

    def settled(self, attempt: str) -> bool:
        """Whether an attempt is in the ledger and no longer open. Reads the database: not for an event loop."""
        return bool(self._rows("WHERE attempt = ? AND status != 'open'", (attempt,)))

    def record(self, name: str) -> Record | None:
        """One attempt by its id, the beginning of its id, the provider's id of the answer, or the operation's id.

        For an operation it is the last attempt.

        Raises:
            ConfigurationError: several attempts begin like that.
        """
        if not name:
            return None
        rows = self._rows("WHERE attempt = ?", (name,))
        rows = rows or self._rows("WHERE attempt > ? AND attempt < ? LIMIT 2", (name, f"{name}\U0010ffff"))
        if len(rows) > 1:
            raise ConfigurationError(f"more than one attempt begins with {name!r}: give more of the id")
        rows = rows or self._rows("WHERE ? IN (response_id, operation) ORDER BY number DESC LIMIT 1", (name,))
        return record_of(rows[0]) if rows else None

    def attempts(self, operation: str) -> list[Record]:
        """All attempts of one call of the application, in their order."""
        return [record_of(row) for row in self._rows("WHERE operation = ? ORDER BY number, created", (operation,))]

    def records(
        self,
        since: float | None = None,
        until: float | None = None,
        *,
        feature: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Record]:
        """Attempts by time of planning, oldest first, read page by page.

        Args:
            since: unix time in seconds of the first moment.
            until: of the first moment no longer wanted.
            feature: only this feature; ``""`` for attempts without one.
            limit: at most so many.
        """
        place: tuple[float, str] = (float("-inf") if since is None else since, "")
        end = float("inf") if until is None else until
        wanted = "" if feature is None else "AND coalesce(feature, '') = ?"
        where = f"WHERE (created, attempt) > (?, ?) AND created < ? {wanted} ORDER BY created, attempt LIMIT ?"
        left = float("inf") if limit is None else limit
        while left > 0:
            size = int(min(_PAGE, left))
            rows = self._rows(where, (*place, end, *([] if feature is None else [feature]), size))
            yield from map(record_of, rows)
            if len(rows) < size:
                return
            left -= size
            place = rows[-1]["created"], rows[-1]["attempt"]

    def threads(self, attempts: int) -> list[tuple[str, int, float]]:
        """Of the threads of the latest attempts: feature, requests that were answered, and when the last one was planned.

        Oldest first. What was asked before those attempts is not counted.
        """
        query = (
            "SELECT coalesce(feature, ''), count(DISTINCT operation), max(created) AS last FROM attempts "
            "WHERE created > coalesce((SELECT created FROM attempts ORDER BY created DESC LIMIT 1 OFFSET ?), 0) "
            "AND thread IS NOT NULL AND status IN ('settled', 'partial', 'unverified') "
            "GROUP BY thread, feature ORDER BY last"
        )
        return self.read(lambda db: [(str(f), int(n), float(at)) for f, n, at in db.execute(query, (attempts,))])

    def state(self) -> LedgerState:
        """How the ledger is, once brought up to date."""
        return self.read(self._state)

    def _state(self, db: sqlite3.Connection) -> LedgerState:
        journal = self._journal
        refused = db.execute("SELECT count(*) FROM refused").fetchone()[0]
        left = backlog(db, self.folder)
        return LedgerState(self.path, version(db), journal.waiting, journal.lost, left, refused, self._fault)

    def _rows(self, where: str, values: tuple[object, ...]) -> list[dict[str, Json]]:
        return self.read(lambda db: [load_row(row) for row in db.execute(f"{SELECT} {where}", values)])

    # Taking in

    def _take_in(self, only: str | None, *, wait: float, pace: float = 0.0) -> None:
        """Batch after batch until nothing is left; the database is free between two of them."""
        while True:
            begun = time.monotonic()
            try:
                lines = self._database.run(lambda db: ingest(db, self.folder, self._cells, only=only), wait=wait)
            except StoreError:
                raise
            except Exception as error:  # a fault of ours must not reach a caller, nor end the background thread
                raise StoreError(
                    f"journals in {self.folder} cannot be taken in ({error!r}): please report it"
                ) from error
            if not lines:
                return
            time.sleep(pace * (time.monotonic() - begun))

    def _tend(self) -> bool:
        """One round of the background thread; False when it has to come again although nothing new was written."""
        try:
            self._journal.check()
            self._journal.retry()
            # Two thirds of the time belong to the application, however much there is to do.
            self._take_in(self._journal.owner, wait=0.2, pace=2.0)
        except StoreError as error:
            if self._fault != str(error):
                _LOG.warning("%s", error)
            self._fault = str(error)
            return False
        self._fault = None
        return True

    def _renew(self) -> None:
        self._journal.renew()
        self._database.renew()
        self._cells = Cells()
        self._attendant = Attendant(self._tend)


def _remove(folder: str, maker: int) -> None:
    if os.getpid() == maker:  # a forked child is not to tidy up after its parent
        shutil.rmtree(folder, ignore_errors=True)


_ALIVE: Final[weakref.WeakSet[Ledger]] = weakref.WeakSet()


def _before_fork() -> None:
    # A thread inside SQLite while the process forks would leave its global locks taken in the child for ever.
    for ledger in list(_ALIVE):
        ledger._held = ledger._database.lock.acquire(timeout=2.0)  # noqa: SLF001


def _after_in_parent() -> None:
    for ledger in list(_ALIVE):
        if ledger._held:  # noqa: SLF001
            ledger._database.lock.release()  # noqa: SLF001


def _after_in_child() -> None:
    for ledger in list(_ALIVE):
        ledger._renew()  # noqa: SLF001


def _close_all() -> None:
    for ledger in list(_ALIVE):
        ledger.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
atexit.register(_close_all)

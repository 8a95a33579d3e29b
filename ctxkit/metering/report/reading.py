"""From roll-ups to groups: what a report adds up.

A period is read as the nearest whole days (UTC) from the daily roll-ups; the hours by which that is too little or too
much are added, or taken away again, from the hourly ones; and what is less than an hour at its ends comes from the
attempts themselves. So the answer is exact for any period and zone, and a year is read about as fast as a week.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ctxkit.metering.ledger.ingestion import SELECT, abandoned, load_row
from ctxkit.metering.ledger.journal import decode
from ctxkit.metering.ledger.rollup import CELL, COUNTERS, DAY, HOUR, SKETCHES, Tally, cell_of, sums
from ctxkit.metering.ledger.sketch import Merger, Sketch
from ctxkit.metering.report.period import day_of, hour_of, next_day

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from datetime import tzinfo

__all__ = ["OTHERS", "TIMES", "Group", "Groups", "Question", "groups_of", "one_state", "read_groups"]

TIMES: Final = ("day", "hour")
OTHERS: Final = "\0others"
"""Features that are not told apart; no feature has such a name."""

_ABANDONED_AFTER: Final = 3_600.0
"""Seconds after which an attempt that is still open counts as unverified: longer than any answer takes."""

_SUMS: Final = ", ".join(f"sum({name})" for name in COUNTERS)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: grouped by what, of which time, seen from where and when.

    ``plain``: no histograms; ``apart``: the features that are told apart, all others are :data:`OTHERS`.
    """

    by: tuple[str, ...]
    since: float | None
    until: float | None
    zone: tzinfo | None
    now: float
    plain: bool = False
    apart: frozenset[str] | None = None


@dataclass(slots=True)
class Group:
    """One row in the making.

    Attributes:
        counters: sums by name, as :func:`ctxkit.metering.ledger.rollup.figures` names them, and ``attributed``: requests that
            belong to a feature.
        statuses: attempts by status, and requests that were not sent as ``reused``.
        unpriced: attempts without a cost by model, among those that were answered.
        sketches: histograms by name, while they grow.
    """

    counters: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    statuses: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    unpriced: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    sketches: dict[str, Merger] = field(default_factory=lambda: {name: Merger() for name in SKETCHES})

    def add(self, cell: dict[str, str], counters: dict[str, int], sign: int = 1) -> None:
        """Add the sums of a cell, or take them away."""
        for name, figure in counters.items():
            self.counters[name] += sign * figure
        if cell["feature"]:
            self.counters["attributed"] += sign * counters.get("operations", 0)
        status, attempts = cell["status"], counters.get("attempts", 0)
        self.statuses[status] += sign * (attempts + counters.get("reused", 0))
        unpriced = attempts + counters.get("charges", 0) - counters.get("priced", 0)
        if status not in ("failed", "unmetered") and unpriced > 0:
            self.unpriced[cell["model"]] += sign * unpriced

    @property
    def used(self) -> bool:
        """There is something in it."""
        return any(self.counters[name] for name in ("attempts", "charges", "reused"))

    def merge(self, other: Group) -> None:
        """Add another group to this one."""
        for mine, theirs in (
            (self.counters, other.counters),
            (self.statuses, other.statuses),
            (self.unpriced, other.unpriced),
        ):
            for name, figure in theirs.items():
                mine[name] += figure
        for name, merger in other.sketches.items():
            self.sketches[name].merge(merger)

    def add_tally(self, cell: dict[str, str], tally: Tally) -> None:
        """Add rows that were counted one by one."""
        self.add(cell, tally.counters)
        for name, counts in tally.counts.items():
            self.sketches[name].add(Sketch.of(counts))


Groups = dict[tuple[str, ...], Group]


def read_groups(db: sqlite3.Connection, question: Question) -> tuple[Groups, int]:
    """Groups by the values of ``question.by``, and how many attempts are under way (they are in no group)."""
    with one_state(db):
        return groups_of(db, question)


@contextlib.contextmanager
def one_state(db: sqlite3.Connection) -> Iterator[None]:
    """One state of the database, however many statements."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("ROLLBACK")


def groups_of(db: sqlite3.Connection, question: Question) -> tuple[Groups, int]:
    """The same as :func:`read_groups`, inside of :func:`one_state`."""
    reader = _Reader(db, question)
    reader.read()
    return reader.groups, reader.under_way


class _Reader:
    """Reads what a question needs, into groups."""

    def __init__(self, db: sqlite3.Connection, question: Question) -> None:
        self._db = db
        self._question = question
        self._slot = _slot_of(question)
        self._cells = {number: dict(zip(CELL, values, strict=True)) for number, *values in _cells(db)}
        self._keys: dict[tuple[int, str], Group] = {}
        self.groups: Groups = defaultdict(Group)
        self.under_way = 0

    def read(self) -> None:
        """Everything: whole days, whole hours, pieces of hours, attempts that are still open."""
        bounds = self._bounds()
        if bounds is not None:
            since, until = bounds
            for begin, end in _parts(since, until, self._question):
                for stretch in _stretches(begin, end):
                    if stretch.span:
                        self._read_rollups(stretch, begin)
                    else:
                        self._read_attempts(stretch.start, stretch.end)
        self._read_open()

    def _bounds(self) -> tuple[float, float] | None:
        # Two queries: SQLite looks up one end at a time, and scans for two.
        ends = (f"SELECT {end}(start) FROM rollups WHERE span = ?" for end in ("min", "max"))  # noqa: S608
        first, last = (self._db.execute(end, (HOUR,)).fetchone()[0] for end in ends)
        if first is None:
            return None
        since, until = self._question.since, self._question.until
        since = first if since is None else max(since, first)
        until = last + HOUR if until is None else min(until, last + HOUR)
        return (since, until) if since < until else None

    def _group(self, cell: int, slot: str) -> Group:
        known = self._keys.get((cell, slot))
        if known is None:
            key = tuple(_value(self._cells[cell], name, slot, self._question.apart) for name in self._question.by)
            known = self._keys[cell, slot] = self.groups[key]
        return known

    def _read_rollups(self, stretch: _Stretch, at: float) -> None:
        """Read a stretch that belongs to the day or hour of ``at``, where the question tells days or hours apart."""
        place = "FROM rollups WHERE span = ? AND start >= ? AND start < ?"
        bounds, slot = (stretch.span, stretch.start, stretch.end), self._slot(at)
        for cell, *figures in self._db.execute(f"SELECT cell, {_SUMS} {place} GROUP BY cell", bounds):
            counters = sums({name: figure for name, figure in zip(COUNTERS, figures, strict=True) if figure})
            self._group(cell, slot).add(self._cells[cell], counters, stretch.sign)
        if self._question.plain:
            return
        left_out = None if "status" in self._question.by else "failed"
        known: dict[int, tuple[Callable[[bytes], None], ...]] = {}
        for cell, *blobs in self._db.execute(f"SELECT cell, {', '.join(SKETCHES)} {place}", bounds):
            if cell not in known:
                answered = self._cells[cell]["status"] != left_out
                mergers = self._group(cell, slot).sketches.values() if answered else ()
                known[cell] = tuple(m.add_blob if stretch.sign > 0 else m.drop_blob for m in mergers)
            for change, blob in zip(known[cell], blobs, strict=False):
                if blob:
                    change(blob)

    def _read_attempts(self, start: float, end: float) -> None:
        query = f"{SELECT} WHERE created >= ? AND created < ? AND cell IS NOT NULL"
        tallies: dict[int, Tally] = defaultdict(Tally)
        for row in map(load_row, self._db.execute(query, (start, end))):
            tallies[row["cell"]].add(row)
        for cell, tally in tallies.items():
            self._add_tally(cell, start, tally)

    def _read_open(self) -> None:
        since, until = self._question.since, self._question.until
        query = f"{SELECT} INDEXED BY attempts_open WHERE status = 'open' AND created >= ? AND created < ?"
        bounds = (float("-inf") if since is None else since, float("inf") if until is None else until)
        for row in map(load_row, self._db.execute(query, bounds)):
            if row["created"] > self._question.now - _ABANDONED_AFTER:
                self.under_way += 1
                continue
            lost = abandoned(row)
            number = -len(self._cells) - 1
            self._cells[number] = dict(zip(CELL, cell_of(lost), strict=True))
            tally = Tally()
            tally.add(lost)
            self._add_tally(number, lost["created"], tally)

    def _add_tally(self, cell: int, at: float, tally: Tally) -> None:
        named = self._cells[cell]
        if named["status"] == "failed" and "status" not in self._question.by:
            tally.counts.clear()
        self._group(cell, self._slot(at)).add_tally(named, tally)


def _cells(db: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    yield from db.execute(f"SELECT id, {', '.join(CELL)} FROM cells")  # noqa: S608


def _slot_of(question: Question) -> Callable[[float], str]:
    """What tells one stretch of time from another: the user's day or hour, or nothing."""
    if "hour" in question.by:
        return lambda at: hour_of(at, question.zone)
    if "day" in question.by:
        return lambda at: day_of(at, question.zone)
    return lambda _: ""


def _value(cell: dict[str, str], name: str, slot: str, apart: frozenset[str] | None) -> str:
    if name == "feature" and apart is not None and cell[name] not in apart:
        return OTHERS
    if name in TIMES:
        return slot[:10] if name == "day" else slot
    if name.startswith("label:"):
        labels = decode(cell["labels"].encode()) if cell["labels"] else {}
        return str(labels.get(name.removeprefix("label:"), ""))
    return cell[name]


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A stretch of time to read: from roll-ups of ``span`` seconds, or from attempts for 0; added or taken away."""

    span: int
    start: float
    end: float
    sign: int = 1


def _stretches(begin: float, end: float) -> list[_Stretch]:
    """A part of the period as whole days, whole hours to add or take away, and pieces of hours."""
    first, last = -(-begin // HOUR) * HOUR, end - end % HOUR
    if first > last:  # all of it within one hour
        return [_Stretch(0, begin, end)]
    found = [_Stretch(0, begin, first), _Stretch(0, last, end)]
    midnights = [round(at / DAY) * DAY for at in (first, last)]
    if midnights[0] < midnights[1]:
        found += [_Stretch(DAY, *midnights), _between(first, midnights[0]), _between(midnights[1], last)]
    else:
        found.append(_Stretch(HOUR, first, last))
    return [stretch for stretch in found if stretch.start < stretch.end]


def _between(start: float, end: float) -> _Stretch:
    """The hours that are missing from start to end, or those that are too many when end comes first."""
    return _Stretch(HOUR, start, end) if start < end else _Stretch(HOUR, end, start, -1)


def _parts(since: float, until: float, question: Question) -> Iterator[tuple[float, float]]:
    """The period in parts that belong together: the user's days, hours, or all of it."""
    start = since
    while start < until:
        if "hour" in question.by:
            end = start - start % HOUR + HOUR
        elif "day" in question.by:
            end = next_day(start, question.zone)
        else:
            end = until
        yield start, min(end, until)
        start = end

"""Taking journals into the database: all or nothing per batch, the same result in whatever order and how often.

A batch is one transaction: its rows, their roll-ups and how far each journal was read. Of several entries of one
attempt the *latest* stands: a closing entry before an opening one, then the time of writing, then the owner's name.
That is a total order, so an entry read twice, or late, changes nothing. An owner that is gone cannot settle what it
opened: its open attempts become ``unverified``, priced by their estimate, until somebody's closing entry says better.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ctxkit.metering.ledger.journal import decode, encode, journals, orphaned, owner_of
from ctxkit.metering.ledger.rollup import HOUR, Cells, Tally, add_tallies, cell_of
from ctxkit.metering.ledger.rows import COLUMNS, MAPS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import UnionType

__all__ = ["SELECT", "abandoned", "backlog", "ingest", "load_row"]

_BATCH: Final = 1 << 20  # bytes per journal and transaction: about a thousand attempts
_ORPHANS: Final = 32  # journals without an owner that are finished in one transaction, each of them open and locked
_MONEY: Final = frozenset(
    (
        *("cost_pico", "card_cost_pico", "est_cost_low", "est_cost_expected", "est_cost_max"),
        *("miss_cost_pico", "savings_pico", "predicted_pico", "drift_fee_pico"),
    )
)
_TOKENS: Final = frozenset(
    (
        "number",
        "http_status",
        "fresh",
        "read",
        "output",
        "reasoning",
        "stream",
        "est_input",
        "est_low",
        "est_high",
        "forecast_read",
        "miss_tokens",
        "drift_tokens",
        "drift_noise",
    )
)
_COUNTS: Final = frozenset(("written", "media", "calls", "edits"))
_NUMBERS: Final = frozenset(("created", "ttft", "ttfc", "e2e", "tpot", "reuse"))
_SHARES: Final = frozenset(("drift_score",))
_SHAPES: Final[dict[str, dict[str, type | UnionType]]] = {
    "miss": {"path": list, "detail": str, "source": str},
    "forecast": {
        "rule": str,
        "read": int,
        "bound": int,
        "written": dict,
        "fresh": int,
        "probability": int | float,
        "unsupported": str,
    },
    "drift": {
        "repetition": int | float,
        "loop": int | float,
        "goal": int | float,
        "position": int | float,
        "superseded": list,
        "by": str,
        "level": str,
    },
}
"""What stands in the maps that are more than counts."""
_PLAIN: Final = (
    dict.fromkeys(COLUMNS, str) | dict.fromkeys(_NUMBERS, float) | dict.fromkeys(MAPS | _TOKENS | _MONEY | _SHARES)
)
"""Type that settles it for a column; ``None`` where one has to look closer."""
_LARGEST: Final = 2**63 - 1
_MOST_TOKENS: Final = 10**12  # more is a fault of somebody's, and must not make a sum leave 64 bits
_KEPT: Final = ("attempt", "at", "owner", "cell", *COLUMNS[1:])
SELECT: Final = f"SELECT {', '.join(_KEPT)} FROM attempts"  # noqa: S608
"""How rows are read that :func:`load_row` shall make objects of."""
_INSERT: Final = f"INSERT OR REPLACE INTO attempts ({', '.join(_KEPT)}) VALUES ({','.join('?' * len(_KEPT))})"  # noqa: S608


@dataclass(slots=True)
class _Batch:
    """What one transaction is about to write."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    refused: list[tuple[str, int, str, bytes]] = field(default_factory=list)
    lines: int = 0


def backlog(db: sqlite3.Connection, folder: Path) -> int:
    """Bytes of all journals that were not taken in yet."""
    positions = dict(db.execute("SELECT name, position FROM journals").fetchall())
    return sum(max(0, _size(path) - positions.get(path.name, 0)) for path in journals(folder))


def ingest(db: sqlite3.Connection, folder: Path, cells: Cells, *, only: str | None = None) -> int:
    """Take in one batch of what journals hold and delete those that are finished.

    Args:
        db: the ledger's database, outside any transaction.
        folder: where the journals stand.
        cells: numbers of cells, remembered from batch to batch.
        only: take in the journals of this owner, and those without one; ``None`` for all.

    Returns:
        Lines taken in, those that were refused too, and journals deleted; 0 when nothing is left to do.

    Raises:
        sqlite3.Error: nothing was changed.
    """
    positions = dict(db.execute("SELECT name, position FROM journals").fetchall())
    paths = journals(folder)
    with contextlib.ExitStack() as stack:
        orphans = set(itertools.islice((path for path in paths if stack.enter_context(orphaned(path))), _ORPHANS))
        wanted = [path for path in paths if only is None or owner_of(path) == only or path in orphans]
        if not orphans and all(_size(path) <= positions.get(path.name, 0) for path in wanted):
            return 0
        with _transaction(db, cells):
            batch = _take(db, wanted, orphans)
            _store(db, batch, cells)
            finished = [path for path in orphans if batch.positions.get(path.name, 0) >= _size(path)]
            _close_orphans(db, folder, finished, cells)
        return batch.lines + sum(map(_deleted, finished))


def _deleted(journal: Path) -> bool:
    try:
        journal.unlink()
    except OSError:  # on Windows its owner may live and have it open
        return False
    return True


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection, cells: Cells) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        cells.clear()
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _take(db: sqlite3.Connection, paths: list[Path], orphans: set[Path]) -> _Batch:
    """Read on from where the last batch of each journal ended, which only the open transaction knows for sure."""
    batch = _Batch()
    positions = dict(db.execute("SELECT name, position FROM journals").fetchall())
    for path in paths:
        start = positions.get(path.name, 0)
        with contextlib.suppress(OSError), path.open("rb") as file:
            file.seek(start)
            data = file.read(_BATCH)
            whole = data[: data.rfind(b"\n") + 1]
            if not whole and len(data) == _BATCH:  # no end of line in a megabyte: not one of our lines
                whole = data
            _read(batch, path, start, whole)
            if path in orphans and len(data) < _BATCH and len(whole) < len(data):
                torn = data[len(whole) :]
                batch.refused.append((path.name, start + len(whole), "torn line of a process that ended", torn))
                whole = data
            batch.positions[path.name] = start + len(whole)
    return batch


def _read(batch: _Batch, path: Path, start: int, data: bytes) -> None:
    owner = owner_of(path)
    for place, line in enumerate(data.splitlines(keepends=True)):
        _breathe(place)
        try:
            row = _identified(decode(line), owner)
        except (ValueError, TypeError, KeyError) as error:
            batch.refused.append((path.name, start, f"not an entry: {error}"[:200], line[:65_536]))
        else:
            known = batch.rows.get(row["attempt"])
            if known is None or _rank(row) > _rank(known):
                batch.rows[row["attempt"]] = row
        batch.lines += 1
        start += len(line)


def _rank(row: Mapping[str, Any]) -> tuple[bool, int, str]:
    """Of two entries of one attempt, the one of higher rank stands."""
    # What nobody closed (see abandoned) ranks as the open entry that it was.
    return row["status"] != "open" and row["at"] >= 0, abs(row["at"]), row["owner"]


def _identified(row: Any, owner: str) -> dict[str, Any]:
    """The entry, when it has an identity.

    Raises:
        ValueError, TypeError, KeyError: it has none, so there is nothing to keep.
    """
    if type(row) is not dict or type(row["attempt"]) is not str or type(row["status"]) is not str:
        raise TypeError("an object with attempt and status was expected")
    if type(row["at"]) is not int or not 0 <= row["created"] < 1e11:
        raise ValueError("an entry needs moments in at and created")
    row["owner"] = owner
    return row


def _clean(row: dict[str, Any]) -> None:
    """Take out, and name, values that the database could not hold or add up."""
    plain = _PLAIN.get
    wrong = [name for name, value in row.items() if type(value) is not plain(name) and not _fits(name, value)]
    for name in wrong:
        del row[name]
    if wrong:
        row["problems"] = [
            *(row.get("problems") or ()),
            f"left out, not a value of its kind: {', '.join(sorted(wrong))}",
        ]


def _fits(name: str, value: Any) -> bool:
    if value is None:
        return True
    if name in _TOKENS:
        return isinstance(value, int) and abs(value) < _MOST_TOKENS
    if name in _MONEY:
        return isinstance(value, int) and abs(value) <= _LARGEST
    if name in _NUMBERS:
        return isinstance(value, int | float)
    if name in _SHARES:
        return isinstance(value, int | float) and 0 <= value <= 1
    if name in _COUNTS:
        return isinstance(value, dict) and all(type(n) is int and abs(n) < _MOST_TOKENS for n in value.values())
    if name == "savings_by":
        return isinstance(value, dict) and all(type(pico) is int and abs(pico) <= _LARGEST for pico in value.values())
    if name in _SHAPES:
        shapes = _SHAPES[name]
        return isinstance(value, dict) and all(isinstance(one, shapes.get(key, object)) for key, one in value.items())
    if name in MAPS:
        return isinstance(value, list if name in ("problems", "notes") else dict)
    return name not in _PLAIN or isinstance(value, str)


def _store(db: sqlite3.Connection, batch: _Batch, cells: Cells, *, closing: bool = False) -> None:
    """Write rows and their roll-ups; what an entry replaces is first taken out of the roll-ups.

    Args:
        db: in a transaction.
        batch: what is written.
        cells: numbers of cells.
        closing: the rows are open ones that are closed now, of the same rank as they were.
    """
    hours: dict[tuple[int, int], Tally] = defaultdict(Tally)
    new: list[dict[str, Any]] = []
    known = {row["attempt"]: row for row in _known(db, list(batch.rows))}
    for place, (attempt, row) in enumerate(batch.rows.items()):
        _breathe(place)
        _clean(row)
        old = known.get(attempt)
        if old is not None:
            if _rank(row) <= _rank(old) and not closing:
                continue
            if old["cell"] is not None:
                hours[_hour(old), old["cell"]].add(old, -1)
        if row["status"] != "open":
            row["cell"] = cells.number(db, cell_of(row))
            hours[_hour(row), row["cell"]].add(row)
        new.append(row)
    db.executemany(_INSERT, map(_values, new))
    add_tallies(db, hours)
    db.executemany("INSERT OR REPLACE INTO journals VALUES (?, ?)", batch.positions.items())
    db.executemany("INSERT OR REPLACE INTO refused VALUES (?, ?, ?, ?)", batch.refused)


def _breathe(place: int) -> None:
    """Let other threads go on every millisecond or so: Python itself would make them wait five."""
    if not place & 63:
        time.sleep(0)


def _hour(row: Mapping[str, Any]) -> int:
    created = int(row["created"])
    return created - created % HOUR


def _known(db: sqlite3.Connection, attempts: list[str]) -> Iterator[dict[str, Any]]:
    for start in range(0, len(attempts), 500):
        some = attempts[start : start + 500]
        for values in db.execute(f"{SELECT} WHERE attempt IN ({','.join('?' * len(some))})", some):
            yield load_row(values)


def _json(value: Any) -> str | None:
    return encode(dict(sorted(value.items())) if isinstance(value, dict) else value).decode() if value else None


def _values(row: Mapping[str, Any]) -> list[Any]:
    values = list(map(row.get, _KEPT))
    for place in _MAP_PLACES:
        if (value := values[place]) is not None:
            # written = {} is known to be none, which is not the same as unknown
            values[place] = "{}" if value == {} else _json(value)
    return values


_MAP_PLACES: Final = tuple(_KEPT.index(name) for name in COLUMNS if name in MAPS)


def load_row(values: tuple[Any, ...]) -> dict[str, Any]:
    """A row as :data:`SELECT` gives it, as the flat object it was written from."""
    row = dict(zip(_KEPT, values, strict=True))
    for name in MAPS:
        if row[name] is not None:
            row[name] = decode(row[name].encode())
    return row


def abandoned(row: Mapping[str, Any]) -> dict[str, Any]:
    """What an open row is when nobody will close it: unverified, priced by its estimate.

    Its moment of writing is negative: that marks it as ours, and any closing entry that turns up after all takes its
    place.
    """
    problems = [*(row.get("problems") or ()), "never settled: the process ended or the answer did not come"]
    lost = {**row, "status": "unverified", "at": -row["at"], "problems": problems}
    if (cost := row.get("est_cost_expected")) is not None:
        lost |= {"cost_pico": cost, "cost_source": "estimate"}
    return lost


def _close_orphans(db: sqlite3.Connection, folder: Path, finished: list[Path], cells: Cells) -> None:
    """Let go what owners that are gone left open, and forget journals that are, or are about to be, deleted."""
    # Listed anew: an owner names its next journal before it lets go of the last, so a free one does not mean it is gone.
    paths = journals(folder)
    living = {owner_of(path) for path in paths if path not in finished}
    for owner in {owner_of(path) for path in finished} - living:
        rows = map(load_row, db.execute(f"{SELECT} WHERE owner = ? AND status = 'open'", (owner,)).fetchall())
        _store(db, _Batch({row["attempt"]: abandoned(row) for row in rows}), cells, closing=True)
    names = {path.name for path in paths if path not in finished}
    gone = [(name,) for (name,) in db.execute("SELECT name FROM journals").fetchall() if name not in names]
    db.executemany("DELETE FROM journals WHERE name = ?", gone)

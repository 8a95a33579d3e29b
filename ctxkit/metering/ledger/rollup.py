"""Sums and histograms per hour and per day, so that a report never reads a million rows.

Each closed attempt counts in one *cell* (feature, model, platform, dialect, tier, scope, labels, status, reason of a
cache miss) of its hour and of its day (UTC). What was added for a row can be taken away again, exactly: when a later
entry replaces it, nothing is counted twice.

Sums of money are kept as whole dollars and a rest in pico-dollars: added up, pico-dollars alone leave SQLite's 64 bits
at nine million dollars.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from ctxkit.drift import STUCK
from ctxkit.metering.ledger.journal import encode
from ctxkit.metering.ledger.sketch import Sketch, bucket_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

__all__ = [
    "CAUSES",
    "CELL",
    "COUNTERS",
    "DAY",
    "HOUR",
    "SKETCHES",
    "Cells",
    "Tally",
    "add_tallies",
    "cell_of",
    "figures",
    "sums",
]

HOUR: Final = 3_600
DAY: Final = 86_400

CELL: tuple[str, ...] = ("feature", "model", "platform", "dialect", "tier", "scope", "labels", "status", "miss_reason")
"""What tells one cell from another; ``labels`` as JSON with sorted keys, ``""`` for what is not known."""

CAUSES: Final = (
    *("cache", "compact", "repeats", "deltas", "stale", "spent", "episodes", "fit", "reminders"),
    *("answers", "other"),
)
"""What savings are split by: what is said to the cache, each pass, answers that were reused, and passes of the user's own
together."""

_SAVED: Final = tuple(f"saved_{cause}" for cause in CAUSES)

COUNTERS: tuple[str, ...] = (
    *("attempts", "operations", "priced", "metered", "fresh", "read", "readable"),
    *("written_5m", "written_30m", "written_1h", "written_12h", "written_other", "output", "reasoning", "reasoned"),
    *("cost_usd", "cost_pico", "estimated_usd", "estimated_pico", "est_input", "act_input"),
    *("edits", "edit_tokens", "problems"),
    *("misses", "miss_tokens", "miss_priced", "miss_usd", "miss_pico"),
    *("foreseen", "foreseen_right", "foreseen_read", "foreseen_actual"),
    *("saved", "savings_usd", "savings_pico", "charges", "storage_usd", "storage_pico"),
    *(f"{name}_{unit}" for name in ("predicted", *_SAVED) for unit in ("usd", "pico")),
    *("drifts", "drift_score", "drift_tokens", "drift_noise", "drift_priced", "noise_usd", "noise_pico"),
    *("drift_drifting", "drift_lost", "drift_stuck"),
    *("reused", "reused_known"),
)
"""Integer columns of a roll-up.

``priced`` and ``metered`` count attempts with a cost and with reported usage, ``readable`` the input tokens of those
that told how many were read from the cache, ``reasoned`` the attempts that told their reasoning tokens.
``estimated`` is the part of the cost that rests on an estimate. ``est_input`` and ``act_input`` are the estimated and
the reported prompts of attempts that have both. ``miss_priced`` counts misses whose cost is known. ``foreseen`` counts
attempts whose cache reads were forecast and reported, ``foreseen_right`` those of them whose forecast was of the right
kind (see :func:`right`), and the two after it sum tokens forecast and read. ``saved`` counts attempts whose savings are
known; these are signed, and the sums ``saved_*`` by cause add up to them. ``charges`` are rows that no request made
(``number`` 0): rent, counted as ``storage`` and cost and as nothing else. ``drifts`` counts attempts whose drift was
measured, ``drift_score`` sums their scores in millionths; of ``drift_tokens`` of their conversations ``drift_noise`` were
noise, which cost ``noise`` in the ``drift_priced`` of them whose fee is known; the three after these count those that
were at these levels, and those that were stuck. ``reused`` counts requests that were answered without being sent, which
are no attempts; ``reused_known`` those of them whose savings are known.
"""

MONEY: Final = ("cost", "estimated", "miss", "savings", "storage", "predicted", *_SAVED, "noise")
"""Sums that are kept as ``_usd`` and ``_pico``."""
_IN_TWO: Final = tuple((f"{kind}_usd", f"{kind}_pico") for kind in MONEY)

SKETCHES: tuple[str, ...] = ("ttft", "ttfc", "e2e", "tpot", "reuse", "error")
"""Histograms of a roll-up: four durations of answers in seconds, that of answers which were reused (in none of the four), and
the size of the estimate's relative error."""

_SPANS: Final = SKETCHES[:-1]
_TTLS: Final = ("5m", "30m", "1h", "12h")
_OTHER_LABELS: Final = '{"ctxkit":"other labels"}'
_LABEL_SETS: Final = 2_000  # a label that is new in each request would make the roll-ups as large as the rows
_REMEMBERED: Final = 5_000  # cells, a kilobyte each
_WHOLE: Final = 10**12
_MILLION: Final = 10**6


class Tally:
    """Sums and histograms while they grow: money in pico-dollars alone, counts by bucket."""

    __slots__ = ("counters", "counts")

    def __init__(self) -> None:
        self.counters: dict[str, int] = defaultdict(int)
        self.counts: dict[str, dict[int, int]] = {name: defaultdict(int) for name in SKETCHES}

    def add(self, row: Mapping[str, Any], sign: int = 1) -> None:
        """Count a closed row, or take it away again with ``sign=-1``."""
        counters, counts = self.counters, self.counts
        for name, figure in figures(row).items():
            counters[name] += sign * figure
        for name in _SPANS:
            if (span := row.get(name)) is not None:
                counts[name][bucket_of(span)] += sign
        if (error := _error(row)) is not None:
            counts["error"][bucket_of(error)] += sign

    def fold(self, other: Tally) -> None:
        """Add another tally to this one."""
        for name, figure in other.counters.items():
            self.counters[name] += figure
        for name, counts in other.counts.items():
            mine = self.counts[name]
            for bucket, count in counts.items():
                mine[bucket] += count


def figures(row: Mapping[str, Any]) -> dict[str, int]:
    """What a closed row adds to the counters, money in pico-dollars alone."""
    if row.get("number") == 0:
        return _charge(row)
    if row["status"] == "reused":
        return _reused(row)
    found = {"attempts": 1, "operations": int(row.get("number") == 1), "problems": int(bool(row.get("problems")))}
    if (cost := row.get("cost_pico")) is not None:
        found["priced"], found["cost_pico"] = 1, cost
        if row.get("cost_source") == "estimate" or row["status"] in ("partial", "unverified"):
            found["estimated_pico"] = cost
    if (output := row.get("output")) is not None:
        found["metered"], found["output"] = 1, output
    if (reasoning := row.get("reasoning")) is not None:
        found["reasoned"], found["reasoning"] = 1, reasoning
    if edits := row.get("edits"):
        found["edits"], found["edit_tokens"] = edits.get("n", 0), edits.get("tokens", 0)
    if row.get("fresh") is not None:
        _add_input(found, row)
    if row.get("miss_reason"):
        _add_miss(found, row)
    if row.get("forecast_read") is not None:
        _add_forecast(found, row)
    if (savings := row.get("savings_pico")) is not None:
        found["saved"], found["savings_pico"] = 1, savings
        _add_causes(found, row, savings)
    if (predicted := row.get("predicted_pico")) is not None:
        found["predicted_pico"] = predicted
    if row.get("drift_score") is not None:
        _add_drift(found, row)
    return found


def _add_drift(found: dict[str, int], row: Mapping[str, Any]) -> None:
    told = row.get("drift") or {}
    found["drifts"], found["drift_score"] = 1, round(row["drift_score"] * _MILLION)
    found["drift_tokens"], found["drift_noise"] = row.get("drift_tokens") or 0, row.get("drift_noise") or 0
    if (fee := row.get("drift_fee_pico")) is not None:
        found["drift_priced"], found["noise_pico"] = 1, fee
    if (level := told.get("level")) in ("drifting", "lost"):
        found[f"drift_{level}"] = 1
    found["drift_stuck"] = int((told.get("loop") or 0) >= STUCK)


def _add_causes(found: dict[str, int], row: Mapping[str, Any], savings: int) -> None:
    """Savings by cause; what is attributed to none, as in rows of before, is due to what was said to the cache."""
    by = row.get("savings_by") or {}
    for cause, pico in {**by, "cache": by.get("cache", 0) + savings - sum(by.values())}.items():
        name = f"saved_{cause if cause in CAUSES else 'other'}_pico"
        found[name] = found.get(name, 0) + pico


def _charge(row: Mapping[str, Any]) -> dict[str, int]:
    """What is charged by time and not by request."""
    cost = row.get("cost_pico")
    known = {"priced": 1, "cost_pico": cost, "storage_pico": cost} if cost is not None else {}
    if (savings := row.get("savings_pico")) is not None:
        known["savings_pico"] = known["saved_cache_pico"] = savings
    return {"charges": 1, "problems": int(bool(row.get("problems"))), **known}


def _reused(row: Mapping[str, Any]) -> dict[str, int]:
    """What was answered without being sent: a request, and no attempt."""
    found = {"operations": int(row.get("number") == 1), "reused": 1, "priced": 1, "metered": 1}
    if (savings := row.get("savings_pico")) is not None:
        found |= {"reused_known": 1, "saved": 1, "savings_pico": savings, "saved_answers_pico": savings}
    return found


def _add_miss(found: dict[str, int], row: Mapping[str, Any]) -> None:
    found["misses"], found["miss_tokens"] = 1, row.get("miss_tokens") or 0
    if (cost := row.get("miss_cost_pico")) is not None:
        found["miss_priced"], found["miss_pico"] = 1, cost


def _add_forecast(found: dict[str, int], row: Mapping[str, Any]) -> None:
    read, forecast = row.get("read"), row["forecast_read"]
    if read is None or row["status"] != "settled":
        return
    bound = (row.get("forecast") or {}).get("bound")
    most = bound if type(bound) is int else forecast
    found["foreseen"], found["foreseen_right"] = 1, int(right(forecast, read, most))
    found["foreseen_read"], found["foreseen_actual"] = forecast, read


def right(forecast: int, read: int, most: int) -> bool:
    """Whether a forecast was of the right kind: nothing is read, at least half of what the rules allow, or less."""
    return _kind(forecast, most) == _kind(read, most)


def _kind(tokens: int, most: int) -> int:
    return 0 if tokens <= 0 else 2 if 2 * tokens >= most else 1


def _add_input(found: dict[str, int], row: Mapping[str, Any]) -> None:
    found["metered"] = 1
    total = found["fresh"] = row["fresh"]
    for ttl, tokens in (row.get("written") or {}).items():
        name = f"written_{ttl}" if ttl in _TTLS else "written_other"
        found[name] = found.get(name, 0) + tokens
        total += tokens
    if (read := row.get("read")) is not None:
        total += read
        found["read"], found["readable"] = read, total
    if (estimate := row.get("est_input")) is not None and row["status"] == "settled":
        found["est_input"], found["act_input"] = estimate, total


def _error(row: Mapping[str, Any]) -> float | None:
    """Size of the relative error of the token estimate, for answers whose usage is whole."""
    estimate, fresh = row.get("est_input"), row.get("fresh")
    if estimate is None or fresh is None or row["status"] != "settled":
        return None
    total = fresh + (row.get("read") or 0) + sum((row.get("written") or {}).values())
    return abs(estimate / total - 1) if total > 0 else None


def cell_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The cell a row belongs to, as the values of :data:`CELL`."""
    labels = row.get("labels")
    return (
        row.get("feature") or "",
        row.get("model") or "",
        row.get("platform") or "",
        row.get("dialect") or "",
        row.get("tier") or "",
        row.get("scope") or "",
        encode(dict(sorted(labels.items()))).decode() if labels else "",
        row["status"],
        row.get("miss_reason") or "",
    )


class Cells:
    """Numbers of cells by what they stand for, as one database knows them; forget it after a rollback."""

    __slots__ = ("_db", "_full", "_known")

    def __init__(self) -> None:
        self._db: sqlite3.Connection | None = None
        self._full = False
        self._known: dict[tuple[str, ...], int] = {}

    def number(self, db: sqlite3.Connection, cell: tuple[str, ...]) -> int:
        """The number of a cell, which is made when it is new."""
        if db is not self._db:  # a ledger that was deleted, or set aside, begins its numbers anew
            self.clear()
            self._db = db
        if (known := self._known.get(cell)) is not None:
            return known
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        number = self._find(db, cell)
        self._known[cell] = number
        return number

    def clear(self) -> None:
        """Forget everything: the transaction that made cells did not come to its end."""
        self._full = False
        self._known.clear()

    def _find(self, db: sqlite3.Connection, cell: tuple[str, ...]) -> int:
        marks = " AND ".join(f"{name} = ?" for name in CELL)
        if found := db.execute(f"SELECT id FROM cells WHERE {marks}", cell).fetchone():  # noqa: S608
            return int(found[0])
        labels = cell[CELL.index("labels")]
        if labels not in ("", _OTHER_LABELS) and self._too_many(db, labels):
            return self.number(db, tuple(_OTHER_LABELS if value is labels else value for value in cell))
        made = db.execute(f"INSERT INTO cells ({', '.join(CELL)}) VALUES ({','.join('?' * len(CELL))})", cell)  # noqa: S608
        return int(made.lastrowid or 0)

    def _too_many(self, db: sqlite3.Connection, labels: str) -> bool:
        """No room for further cells with labels. There never will be again, and asking reads every cell: asked once."""
        if not self._full:
            sets = "SELECT count(DISTINCT labels) FROM cells WHERE labels != ?"
            self._full = db.execute(sets, (labels,)).fetchone()[0] >= _LABEL_SETS
        return self._full


_NAMES: Final = (*COUNTERS, *SKETCHES)
_READ: Final = f"SELECT {', '.join(_NAMES)} FROM rollups WHERE span = ? AND start = ? AND cell = ?"  # noqa: S608
_WRITE: Final = (
    f"INSERT OR REPLACE INTO rollups (span, start, cell, {', '.join(_NAMES)}) "  # noqa: S608
    f"VALUES ({', '.join('?' * (len(_NAMES) + 3))})"
)


_NOTHING: Final[tuple[Any, ...]] = (0,) * len(COUNTERS) + (None,) * len(SKETCHES)


def add_tallies(db: sqlite3.Connection, hours: Mapping[tuple[int, int], Tally]) -> None:
    """Add tallies by (start of the hour, cell) to the roll-ups of hours and days."""
    days: dict[tuple[int, int], Tally] = defaultdict(Tally)
    for (start, cell), tally in hours.items():
        days[start - start % DAY, cell].fold(tally)
    for span, tallies in ((HOUR, hours), (DAY, days)):
        db.executemany(_WRITE, [_merged(db, (span, *place), tally) for place, tally in tallies.items()])


def _merged(db: sqlite3.Connection, place: tuple[int, int, int], tally: Tally) -> tuple[Any, ...]:
    old: tuple[Any, ...] = db.execute(_READ, place).fetchone() or _NOTHING
    blobs = dict(zip(SKETCHES, old[len(COUNTERS) :], strict=True))
    counters = dict(zip(COUNTERS, old, strict=False))
    for name, figure in tally.counters.items():
        counters[name] += figure
    for dollars, pico in _IN_TWO:
        whole, counters[pico] = divmod(counters[pico], _WHOLE)
        counters[dollars] += whole
    return (*place, *counters.values(), *(_blob(blobs[name], tally.counts[name]) for name in SKETCHES))


def _blob(old: bytes | None, counts: Mapping[int, int]) -> bytes | None:
    if not any(counts.values()):
        return old
    return Sketch.load(old).plus(counts).dump() or None


def sums(counters: Mapping[str, int]) -> dict[str, int]:
    """Counters of a roll-up with money whole again in pico-dollars, as :func:`figures` gives them for a row.

    Those that are 0 may be left out, as most are.
    """
    whole = dict(counters)
    for dollars, pico in _IN_TWO:
        if usd := whole.pop(dollars, 0):
            whole[pico] = whole.get(pico, 0) + usd * _WHOLE
    return whole

"""The ledger: entries in, rows out, in whatever order and how often they come."""

import asyncio
import contextlib
import itertools
import json
import os
import sqlite3
import stat
import threading
import time
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctxkit.errors import ConfigurationError, StoreError
from ctxkit.metering.ledger import Ledger, schema
from ctxkit.metering.ledger.ingestion import SELECT, load_row
from ctxkit.metering.ledger.journal import encode, journals
from ctxkit.metering.ledger.rollup import COUNTERS, DAY, HOUR, SKETCHES, Tally, sums
from ctxkit.metering.ledger.rows import COLUMNS, row_of
from ctxkit.metering.ledger.sketch import Sketch
from ctxkit.model import Record, Usage


def contents(ledger):
    """Rows and roll-ups, with the roll-ups checked against the rows they stand for."""
    return ledger.read(_contents)


def _contents(db):
    rows = {row["attempt"]: row for row in map(load_row, db.execute(SELECT))}
    kept = _kept(db)
    expected = {}
    for row in rows.values():
        if row["status"] != "open":
            for span in (HOUR, DAY):
                created = int(row["created"])
                expected.setdefault((span, created - created % span, row["cell"]), Tally()).add(row)
    for place, tally in expected.items():
        counters, sketches = kept.pop(place)
        assert {name: n for name, n in sums(counters).items() if n} == {
            name: n for name, n in tally.counters.items() if n
        }
        assert sketches == {name: Sketch.of(tally.counts[name]) for name in SKETCHES}
    assert all(not any(counters.values()) for counters, _ in kept.values()), "roll-ups of nothing"
    return rows


def _kept(db):
    kept = {}
    for span, start, cell, *values in db.execute(
        f"SELECT span, start, cell, {','.join((*COUNTERS, *SKETCHES))} FROM rollups"
    ):
        counters = dict(zip(COUNTERS, values, strict=False))
        sketches = dict(zip(SKETCHES, map(Sketch.load, values[len(COUNTERS) :]), strict=True))
        kept[span, start, cell] = (counters, sketches)
    return kept


def test_nothing_is_opened_before_it_is_used(path):
    Ledger(path)
    assert not path.parent.exists()


def test_an_attempt_opens_and_settles_as_one_row(ledger, record):
    ledger.append(record(1, "open"))
    assert not ledger.settled("a00000001")
    ledger.append(row_of(record(1)))
    assert ledger.settled("a00000001")
    assert [one.status for one in ledger.records()] == ["settled"]
    assert len(contents(ledger)) == 1


def test_a_record_comes_back(ledger, record):
    one = record(1, labels={"team": "a"}, response_id="resp-1", problems=("odd",), thread="t")
    ledger.append(one)
    back = ledger.record(one.attempt)
    assert back == replace(one, timing=back.timing)
    assert (back.timing.ttft, back.timing.e2e) == (one.timing.ttft, one.timing.e2e)


def test_files_are_private(ledger, path, record):
    old = os.umask(0)
    try:
        ledger.append(record(1))
        ledger.flush()
    finally:
        os.umask(old)
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, ledger.folder)} == {0o700}
    files = [file for folder in (path.parent, ledger.folder) for file in folder.iterdir() if file.is_file()]
    assert {file.name for file in files} >= {"ledger.db", "ledger.db-wal", "gate"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_the_background_thread_takes_entries_in(ledger, path, record):
    ledger.append(record(1))
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        time.sleep(0.05)
        if path.exists():
            with contextlib.closing(sqlite3.connect(path)) as db, contextlib.suppress(sqlite3.OperationalError):
                if db.execute("SELECT count(*) FROM attempts").fetchone()[0]:
                    return
    pytest.fail("nothing was taken in")


def test_a_ledger_nobody_holds_is_forgotten_with_its_thread(path, record):
    import gc
    import weakref

    ledger = Ledger(path)
    ledger.append(record(1))
    thread = ledger._attendant._thread
    gone = weakref.ref(ledger)
    del ledger
    gc.collect()
    thread.join(30)
    gc.collect()
    assert gone() is None
    assert not thread.is_alive()


def test_closing_takes_all_in_and_leaves_no_journal(path, record):
    with Ledger(path) as ledger:
        ledger.append(record(1))
    assert journals(ledger.folder) == []
    assert not path.with_name("ledger.db-wal").exists()
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT attempt FROM attempts").fetchall() == [("a00000001",)]


def test_a_closed_ledger_opens_again(path, record):
    ledger = Ledger(path)
    for number in (1, 2):
        ledger.append(record(number))
        ledger.close()
    assert len(contents(ledger)) == 2


def test_a_temporary_ledger_is_gone_when_closed(record):
    with Ledger(None) as ledger:
        ledger.append(record(1))
        assert len(contents(ledger)) == 1
        folder = ledger.path.parent
    assert not folder.exists()


STATUSES = ["open", "failed", "unverified", "partial", "settled"]
entries = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(STATUSES), st.integers(0, 3)), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries, st.randoms(use_true_random=False))
def test_the_same_entries_in_any_order_and_number_give_the_same_ledger(tmp_path_factory, record, some, rng):
    """Journals of three owners, whole or in pieces, once or twice: rows are equal and nothing is counted twice."""
    lines = [
        {"at": 1000 + place, **row_of(record(number, status, at=1_763_640_000.0 + 5000 * hour))}
        for place, (number, status, hour) in enumerate(some)
    ]
    found = []
    for shuffled in (lines, rng.sample([*lines, *lines], 2 * len(lines))):
        ledger = Ledger(tmp_path_factory.mktemp("order") / "ledger.db")
        for start in range(0, len(shuffled), 4):
            ledger.folder.mkdir(exist_ok=True)
            # Owners are named by the entry, so that the same entry always has the same one.
            for line in shuffled[start : start + 4]:
                owner = f"{line['at'] % 3:016x}"
                with (ledger.folder / f"{owner}.000001.jsonl").open("ab") as file:
                    file.write(encode(line) + b"\n")
            rows = contents(ledger)
        found.append({name: {k: row[k] for k in COLUMNS} for name, row in rows.items()})
        ledger.close()
    assert found[0] == found[1]


def test_reading_a_journal_twice_changes_nothing(ledger, record):
    for number in range(5):
        ledger.append(record(number, "open"))
        ledger.append(record(number))
    before = contents(ledger)
    ledger.read(lambda db: db.execute("DELETE FROM journals"))
    ledger.append(record(9))
    after = contents(ledger)
    assert {name: after[name] for name in before} == before
    assert len(after) == 6


def test_a_later_settlement_corrects_what_was_rolled_up(ledger, record):
    ledger.append(record(1, "unverified", usage=None, cost=Decimal(5), at=1_763_640_000.0))
    assert contents(ledger)["a00000001"]["cost_pico"] == 5 * 10**12
    ledger.append(record(1, cost=Decimal(3), at=1_763_640_000.0))
    assert contents(ledger)["a00000001"]["cost_pico"] == 3 * 10**12
    [(usd,)] = ledger.read(lambda db: db.execute("SELECT sum(cost_usd) FROM rollups WHERE span = 3600").fetchall())
    assert usd == 3


def test_what_a_dead_process_left_open_is_unverified_and_priced_by_its_estimate(path, record):
    with Ledger(path) as dead:
        dead.append(record(1, "open"))
    with Ledger(path) as ledger:
        [lost] = ledger.records()
        assert (lost.status, lost.cost, lost.cost_source) == ("unverified", Decimal("0.002"), "estimate")
        assert "never settled" in lost.problems[0]
        ledger.append(record(1))  # somebody else knew better after all
        assert [one.status for one in ledger.records()] == ["settled"]
        contents(ledger)


def test_what_a_living_process_left_open_stays_open(path, record):
    with Ledger(path) as mine, Ledger(path) as other:
        mine.append(record(1, "open"))
        assert [one.status for one in other.records()] == ["open"]


def test_rotation_does_not_end_what_is_open(path, record):
    with Ledger(path) as ledger:
        ledger._journal._limit = 500
        for number in range(20):
            ledger.append(record(number, "open"))
        assert {one.status for one in ledger.records()} == {"open"}
        assert len(journals(ledger.folder)) == 1, "journals that were taken in are deleted"


def test_any_number_of_journals_without_an_owner_is_taken_in(ledger, record):
    ledger.folder.mkdir(parents=True)
    for number in range(150):
        line = encode({"at": number, **row_of(record(number))}) + b"\n"
        (ledger.folder / f"{number:016x}.000001.jsonl").write_bytes(line if number % 3 else b"")
    ledger.flush()
    assert len(contents(ledger)) == 100
    assert journals(ledger.folder) == []


def test_a_torn_line_is_set_aside(ledger, record, tmp_path):
    ledger.append(record(1))
    ledger.flush()
    (ledger.folder / "00000000000000ff.000001.jsonl").write_bytes(
        encode({"at": 1, **row_of(record(2))})
        + b"\n"
        + b'not an entry\n{"at":1,"attempt":7}\n[1]\n{"at":2,"attempt":"a3","sta'
    )
    assert sorted(contents(ledger)) == ["a00000001", "a00000002"]
    assert ledger.state().refused == 4
    assert len(journals(ledger.folder)) == 1


def test_values_no_database_could_hold_are_left_out_and_named(ledger, record):
    odd = Usage(fresh=10**30, read=5, written={"5m": 2**70}, output=True)
    ledger.append(record(1, usage=odd, cost=Decimal("1e40"), feature="\ud800"))
    ledger.append(record(2))
    rows = contents(ledger)
    assert rows["a00000001"]["fresh"] is None
    assert rows["a00000001"]["written"] is None
    assert rows["a00000001"]["cost_pico"] is None
    assert "fresh" in rows["a00000001"]["problems"][-1]
    assert rows["a00000002"]["fresh"] == 400


fresh_names = itertools.count()
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(st.sampled_from([*COLUMNS, "at", "owner", "cell", "odd"]), anything), max_size=6))
def test_no_entry_stops_the_others(ledger, record, changes):
    """Whatever stands in a line, the lines around it are taken in and the sums stay right."""
    whole = row_of(record(1, labels={"a": "b"}, edits={"n": 1}, problems=("p",), response_id="r", tier="t"))
    ledger.folder.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({"at": 5, **whole, "attempt": f"x{next(fresh_names)}", **change}).encode() for change in changes
    ]
    (ledger.folder / "00000000000000ff.000001.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    ledger.append(record(7))
    assert "a00000007" in contents(ledger)
    assert ledger.state().backlog == 0
    assert len(list(ledger.records())) >= 1


def test_sums_of_money_do_not_overflow(ledger, record):
    """Ten entries of eight million dollars are more pico-dollars than 64 bits hold."""
    for number in range(10):
        ledger.append(record(number, cost=Decimal(8_000_000) + Decimal("0.000000000001")))
    contents(ledger)
    [(usd, rest)] = ledger.read(
        lambda db: db.execute("SELECT sum(cost_usd), sum(cost_pico) FROM rollups WHERE span = 86400").fetchall()
    )
    assert (usd, rest) == (80_000_000, 10)


def test_labels_without_end_do_not_make_cells_without_end(ledger, record, monkeypatch):
    monkeypatch.setattr("ctxkit.metering.ledger.rollup._LABEL_SETS", 3)
    for number in range(10):
        ledger.append(record(number, labels={"request": str(number)}))
        ledger.append(record(number, "partial", labels={"request": str(number)}))
    rows = contents(ledger)
    assert rows["a00000009"]["labels"] == {"request": "9"}
    [(cells,)] = ledger.read(lambda db: db.execute("SELECT count(DISTINCT labels) FROM cells").fetchall())
    assert cells == 4


def test_many_threads_and_two_ledgers_write_at_once(path, record):
    def work(ledger, first):
        for number in range(first, first + 200):
            ledger.append(record(number, "open"))
            ledger.append(record(number))

    with Ledger(path) as one, Ledger(path) as two:
        threads = [threading.Thread(target=work, args=((one, two)[n % 2], 1000 * n)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rows = contents(one)
    assert len(rows) == 1600
    assert {row["status"] for row in rows.values()} == {"settled"}


async def test_tasks_write_without_waiting_for_a_locked_database(ledger, path, record):
    ledger.append(record(0))
    ledger.flush()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")

    async def work(number):
        ledger.append(record(number, "open"))
        await asyncio.sleep(0)
        ledger.append(record(number))

    await asyncio.gather(*(work(number) for number in range(1, 200)))
    other.execute("ROLLBACK")
    other.close()
    assert len(await asyncio.to_thread(contents, ledger)) == 200


def test_records_are_paged_by_time(ledger, record, monkeypatch):
    monkeypatch.setattr("ctxkit.metering.ledger._PAGE", 3)
    for number in range(10):
        ledger.append(record(number, at=1000.0 + number // 2, feature="x" if number % 2 else None))
    assert [one.attempt[-1] for one in ledger.records()] == list("0123456789")
    assert [one.attempt[-1] for one in ledger.records(1001, 1003)] == list("2345")
    assert [one.attempt[-1] for one in ledger.records(limit=4)] == list("0123")
    assert [one.attempt[-1] for one in ledger.records(feature="x")] == list("13579")
    assert [one.attempt[-1] for one in ledger.records(feature="")] == list("02468")


def test_one_attempt_is_found_by_what_people_have_of_it(ledger, record):
    ledger.append(record(1, attempt="abc1", response_id="resp-1", operation="op"))
    ledger.append(record(2, attempt="abc2", operation="op", number=2))
    assert ledger.record("abc1").attempt == "abc1"
    assert ledger.record("resp-1").attempt == "abc1"
    assert ledger.record("op").attempt == "abc2"
    assert ledger.record("nothing") is None
    assert ledger.record("") is None
    with pytest.raises(ConfigurationError, match="more than one"):
        ledger.record("abc")


def test_the_columns_are_those_of_rows(ledger):
    names = [name for _, name, *_ in ledger.read(lambda db: db.execute("PRAGMA table_info(attempts)").fetchall())]
    assert names == ["attempt", "at", "owner", "cell", *COLUMNS[1:]]


def test_nothing_of_a_prompt_or_a_key_is_at_rest(path, record):
    with Ledger(path) as ledger:
        ledger.append(record(1))
        held = json.dumps([row_of(one) for one in ledger.records()])
    assert set(json.loads(held)[0]) <= set(COLUMNS)
    assert not {"prompt", "messages", "body", "key"} & {name for field in COLUMNS for name in field.split("_")}


def test_only_two_ways_to_sync(path):
    with pytest.raises(ConfigurationError, match="normal"):
        Ledger(path, sync="sometimes")


# The schema


def test_an_older_ledger_is_migrated(path, record, monkeypatch):
    """A file of version 0 (nothing) becomes the newest; with one more step it keeps its rows."""
    newest = len(schema.MIGRATIONS)
    with Ledger(path) as ledger:
        ledger.append(record(1))
    monkeypatch.setattr(
        schema, "MIGRATIONS", (*schema.MIGRATIONS, lambda db: db.execute("CREATE TABLE reservations (attempt TEXT)"))
    )
    with Ledger(path) as ledger:
        assert ledger.state().schema == newest + 1
        assert [one.attempt for one in ledger.records()] == ["a00000001"]
        assert ledger.read(lambda db: db.execute("SELECT * FROM reservations").fetchall()) == []


def test_a_migration_that_fails_changes_nothing(path, record, monkeypatch):
    with Ledger(path) as ledger:
        ledger.append(record(1))

    def broken(db):
        db.execute("DROP TABLE attempts")
        db.execute("nonsense")

    with monkeypatch.context() as patched:
        patched.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, broken))
        with pytest.raises(StoreError):
            list(Ledger(path).records())
    with Ledger(path) as ledger:
        assert [one.attempt for one in ledger.records()] == ["a00000001"]


def test_the_first_version_never_changes():
    """A ledger in the field was made by it: a new column is a new step."""
    import hashlib

    assert hashlib.sha256(schema._VERSION_1.encode()).hexdigest()[:16] == "e47f3179b51f4bf7"


def test_a_ledger_of_a_newer_ctxkit_is_left_alone(path, record):
    with Ledger(path) as ledger:
        ledger.append(record(1))
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    ledger = Ledger(path)
    ledger.append(record(2))
    with pytest.raises(StoreError, match="upgrade"):
        ledger.flush()
    assert len(journals(ledger.folder)) == 1, "what is new is kept in the journal"


def test_somebody_elses_database_is_left_alone(path):
    path.parent.mkdir()
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE theirs (x)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="not a ctxkit ledger"):
        list(Ledger(path).records())
    assert path.read_bytes() == before


def test_records_are_values(record):
    assert isinstance(record(1), Record)

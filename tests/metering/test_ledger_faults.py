"""What goes wrong with disks, files and other people's locks: nothing is lost, and the writer is never held up."""

import contextlib
import logging
import os
import resource
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path

import pytest

from ctxkit.errors import StoreError
from ctxkit.metering.ledger import Ledger
from ctxkit.metering.ledger.journal import journals
from ctxkit.metering.report import report

NOBODY = 65_534


@contextlib.contextmanager
def as_nobody():
    """Root may write where it must not; tests of permissions run as somebody else."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@contextlib.contextmanager
def small_files(size):
    """No file may grow beyond ``size``: what a full disk is to SQLite and to a journal."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def common():
    """A folder outside of pytest's own, which nobody else may enter."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("ctxkit.metering.ledger._PATIENCE", 0.2)


def attempts(ledger):
    return [one.attempt for one in ledger.records()]


def test_a_locked_database_delays_reading_and_nothing_else(ledger, path, record):
    ledger.append(record(1))
    ledger.flush()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    for number in range(2, 50):
        ledger.append(record(number))
    with pytest.raises(StoreError, match="locked by another process"):
        ledger.flush()
    assert attempts(ledger) == ["a00000001"], "what was taken in before can still be read"
    told = report(ledger, now=1e9)
    assert any("not up to date" in line and "locked" in line for line in told.quality)
    other.execute("ROLLBACK")
    other.close()
    assert len(attempts(ledger)) == 49


@pytest.mark.slow
def test_the_background_thread_comes_again_after_a_lock(ledger, path, record, caplog):
    ledger.append(record(1))
    ledger.flush()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    ledger.append(record(2))
    deadline = time.monotonic() + 30
    while not caplog.records and time.monotonic() < deadline:
        time.sleep(0.05)
    other.execute("ROLLBACK")
    while other.execute("SELECT count(*) FROM attempts").fetchone()[0] < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert other.execute("SELECT count(*) FROM attempts").fetchone()[0] == 2
    other.close()
    assert [entry.message for entry in caplog.records if "locked" in entry.message] != []


@pytest.mark.parametrize("where", ["whole", "pages"])
def test_a_corrupt_database_is_set_aside_and_a_new_one_begun(path, record, caplog, where):
    with Ledger(path) as ledger:
        for number in range(200):
            ledger.append(record(number))
    damaged = bytearray(path.read_bytes())
    begin = 0 if where == "whole" else 4096
    damaged[begin:] = b"\xa5" * (len(damaged) - begin)
    path.write_bytes(damaged)
    ledger = Ledger(path, clock=lambda: 1_763_640_000.0)
    ledger.append(record(900))
    with caplog.at_level(logging.WARNING, "ctxkit"):
        assert attempts(ledger) == ["a00000900"]
        ledger.append(record(901))
        assert attempts(ledger) == ["a00000900", "a00000901"]
    aside = path.with_name("ledger.db.corrupt-20251120T120000Z")
    assert aside.read_bytes()[: len(damaged)] == bytes(damaged)
    assert [entry.getMessage().count(str(aside)) for entry in caplog.records] == [1], "told once, and where"


def test_damage_while_it_is_open_is_noticed(ledger, path, record):
    for number in range(300):
        ledger.append(record(number))
    ledger.flush()
    ledger._database.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    ledger.append(record(900))
    found = attempts(ledger)
    assert "a00000900" in found, "the journal still holds what the new database needs"
    assert list(path.parent.glob("ledger.db.corrupt-*"))


def test_two_ledgers_that_find_the_damage_set_it_aside_once(path, record):
    with Ledger(path) as ledger:
        ledger.append(record(1))
    path.write_bytes(b"garbage" * 1000)
    one, two = Ledger(path), Ledger(path)
    one.append(record(2))
    two.append(record(3))
    assert sorted(attempts(one)) == sorted(attempts(two)) == ["a00000002", "a00000003"]
    assert len(list(path.parent.glob("ledger.db.corrupt-*"))) == 1


def test_a_database_replaced_under_an_open_one_is_opened_anew(path, record):
    one, two = Ledger(path), Ledger(path)
    one.append(record(1))
    one.flush()
    path.rename(path.with_name("moved.db"))
    for side in ("-wal", "-shm"):
        path.with_name(f"ledger.db{side}").rename(path.with_name(f"moved.db{side}"))
    two.append(record(2))
    assert "a00000002" in attempts(two)
    one.append(record(3))
    assert {"a00000002", "a00000003"} <= set(attempts(one))


def test_a_damaged_journal_is_skipped_line_by_line(ledger, record):
    ledger.append(record(1))
    ledger.flush()
    journal = journals(ledger.folder)[0]
    with journal.open("ab") as file:
        file.write(os.urandom(5000).replace(b"\n", b"") + b"\n" + b"\xff\xfe\n\n{}\n")
    ledger._journal._size += 1  # what the journal believes does not matter
    ledger.append(record(2))
    assert attempts(ledger) == ["a00000001", "a00000002"]
    assert ledger.state().refused >= 3


def test_a_line_without_end_does_not_stop_the_others(ledger, record):
    ledger.folder.mkdir(parents=True)
    (ledger.folder / "00000000000000ff.000001.jsonl").write_bytes(b"x" * (3 << 20) + b"\n")
    ledger.append(record(1))
    assert attempts(ledger) == ["a00000001"]
    assert len(journals(ledger.folder)) == 1


def test_a_full_disk_keeps_the_journal_and_the_database_whole(path, record):
    ledger = Ledger(path)
    ledger.append(record(0))
    ledger.flush()
    size = max(file.stat().st_size for file in path.parent.iterdir() if file.is_file()) + 8192
    refused = 0
    with small_files(size):
        for number in range(1, 400):
            try:
                ledger.append(record(number))
            except StoreError:
                refused += 1
        with pytest.raises(StoreError):
            ledger.flush()
    assert refused
    assert len(attempts(ledger)) == 400
    assert ledger.state().waiting == ledger.state().lost == 0


def test_a_folder_one_may_not_write_is_told_and_entries_wait(common, record):
    (common / "shut").mkdir(mode=0o555)
    ledger = Ledger(common / "shut" / "ledger.db")
    with as_nobody():
        for number in range(3):
            with pytest.raises(StoreError, match="cannot be written"):
                ledger.append(record(number))
    (common / "shut").chmod(0o700)
    assert len(attempts(ledger)) == 3
    ledger.close()


def test_a_ledger_one_may_only_read_is_reported(common, record):
    path = common / "shut" / "ledger.db"
    with Ledger(path) as ledger:
        for number in range(3):
            ledger.append(record(number))
    path.chmod(0o444)
    for folder in (ledger.folder, path.parent):
        folder.chmod(0o555)
    with as_nobody():
        told = report(Ledger(path), now=2e9)
    for folder in (path.parent, ledger.folder):
        folder.chmod(0o700)
    assert told.total.attempts == 3


def test_a_journal_deleted_by_somebody_is_begun_anew(ledger, record):
    ledger.append(record(1))
    ledger.flush()
    for journal in journals(ledger.folder):
        journal.unlink()
    ledger._tend()
    ledger.append(record(2))
    assert attempts(ledger) == ["a00000001", "a00000002"]


def test_closing_never_raises(path, record):
    ledger = Ledger(path)
    ledger.append(record(1))
    path.write_bytes(b"")
    path.chmod(0o400)
    ledger.close()
    path.chmod(0o600)
    assert attempts(Ledger(path)) == ["a00000001"]


def test_a_fault_of_ours_is_told_and_reports_go_on(ledger, record, monkeypatch):
    ledger.append(record(1))
    ledger.flush()
    ledger.append(record(2))
    with monkeypatch.context() as patch:
        patch.setattr("ctxkit.metering.ledger.ingestion._store", lambda *_, **__: 1 / 0)
        assert ledger._tend() is False
        told = report(ledger, now=2e9)
        assert told.total.attempts == 1
        assert any("please report it" in line for line in told.quality)
        ledger.close()
    assert len(attempts(ledger)) == 2


@pytest.mark.parametrize("how", ["deleted", "corrupt"])
def test_a_ledger_that_begins_anew_numbers_its_cells_anew(tmp_path, record, caplog, how):
    """Its roll-ups would point at cells that only the old file had, and no report could be made of it."""
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.append(record(1, feature="old"))
    ledger.append(record(2, feature="kept"))
    ledger.flush()
    for file in tmp_path.glob("ledger.db*"):
        if file.is_file() and how == "deleted":
            file.unlink()
        elif file.is_file():
            file.write_bytes(b"garbage" * 1_000)
    shutil.rmtree(ledger.folder)  # else everything would come back from the journal
    ledger._journal.check()
    ledger.append(record(3, feature="kept"))
    assert [row.key for row in report(ledger, now=2e9).rows] == [("kept",)]
    ledger.close()

"""Journals: what is written is whole, belongs to somebody, and waits when the disk refuses it."""

import gc
import os
import resource
import signal
import stat
import subprocess
import sys
import textwrap

import pytest

from ctxkit.errors import StoreError
from ctxkit.metering.ledger.journal import Journal, decode, encode, journals, orphaned, owner_of


def opened(folder, **options):
    return Journal(folder, full=False, clock=lambda: 1000.0, **options)


def lines(folder):
    return [decode(line) for path in journals(folder) for line in path.read_bytes().splitlines()]


def free(path):
    with orphaned(path) as nobody:
        return nobody


def test_nothing_is_made_before_the_first_entry(tmp_path):
    opened(tmp_path / "j")
    assert not (tmp_path / "j").exists()


def test_each_entry_is_a_line_with_a_moment_of_its_own(tmp_path):
    journal = opened(tmp_path)
    for n in range(3):
        journal.append(encode({"n": n}))
    assert lines(tmp_path) == [{"at": 1_000_000_000 + n, "n": n} for n in range(3)]


def test_files_are_private(tmp_path):
    old = os.umask(0)
    try:
        opened(tmp_path / "j").append(b'{"n":1}')
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "j").stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in journals(tmp_path / "j")] == [0o600]


def test_a_new_file_is_begun_when_one_is_large_and_the_old_one_is_let_go(tmp_path):
    journal = opened(tmp_path, limit=100)
    for n in range(12):
        journal.append(encode({"n": n}))
    *old, last = journals(tmp_path)
    assert len(old) > 1
    assert [entry["n"] for entry in lines(tmp_path)] == list(range(12))
    assert {owner_of(path) for path in (*old, last)} == {journal.owner}
    assert all(map(free, old))
    assert not free(last)


def test_a_journal_has_an_owner_until_its_process_ends(tmp_path):
    code = f"""
        import sys
        from pathlib import Path
        from ctxkit.metering.ledger.journal import Journal
        journal = Journal(Path({str(tmp_path)!r}), full=False, clock=lambda: 1.0)
        journal.append(b'{{"n":1}}')
        print("written", flush=True)
        sys.stdin.read()
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout.readline() == b"written\n"
        [path] = journals(tmp_path)
        assert not free(path)
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert free(path)


def test_a_deleted_file_is_left_for_a_new_one(tmp_path):
    journal = opened(tmp_path)
    journal.append(b'{"n":1}')
    journals(tmp_path)[0].unlink()
    journal.check()
    journal.append(b'{"n":2}')
    assert [entry["n"] for entry in lines(tmp_path)] == [2]


def test_full_waits_for_the_disk(tmp_path, monkeypatch):
    synced = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda file: (synced.append(os.fstat(file).st_size), real(file))[1])
    journal = Journal(tmp_path, full=True, clock=lambda: 1.0)
    for n in range(3):
        journal.append(encode({"n": n}))
    sizes = [len(b'{"at":1000000,"n":0}\n') * n for n in (1, 2, 3)]
    assert synced == sizes


def test_a_full_disk_leaves_no_torn_line_and_loses_nothing(tmp_path):
    """A limit on file size is met in the middle of a line, as the end of a disk is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    journal = opened(tmp_path)
    journal.append(encode({"n": 0, "x": "x" * 100}))
    before = journals(tmp_path)[0].read_bytes()
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 40, hard))
    try:
        for n in (1, 2):
            with pytest.raises(StoreError, match="wait in memory"):
                journal.append(encode({"n": n, "x": "x" * 100}))
        assert journals(tmp_path)[0].read_bytes() == before
        assert journal.waiting == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    journal.append(encode({"n": 3}))
    assert [entry["n"] for entry in lines(tmp_path)] == [0, 1, 2, 3]
    assert journal.waiting == 0


def test_a_folder_that_cannot_be_made_is_told_and_tried_again(tmp_path):
    (tmp_path / "file").write_text("in the way")
    journal = opened(tmp_path / "file")
    with pytest.raises(StoreError, match="give another path"):
        journal.append(b'{"n":1}')
    (tmp_path / "file").unlink()
    journal.retry()
    assert [entry["n"] for entry in lines(tmp_path / "file")] == [1]


def test_memory_for_refused_entries_is_bounded_and_losses_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr("ctxkit.metering.ledger.journal._LONGEST_QUEUE", 3)
    (tmp_path / "file").write_text("in the way")
    journal = opened(tmp_path / "file")
    for n in range(5):
        with pytest.raises(StoreError):
            journal.append(encode({"n": n}))
    assert (journal.waiting, journal.lost) == (3, 2)


def test_names_no_encoder_likes_are_written_all_the_same(tmp_path):
    journal = opened(tmp_path)
    journal.append(encode({"feature": "lone \ud800 surrogate", "n": 1}))
    journal.append(encode({"big": 10**30, "n": 2}))
    assert [entry["n"] for entry in lines(tmp_path)] == [1, 2]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_writes_a_journal_of_its_own(tmp_path):
    journal = opened(tmp_path)
    journal.append(b'{"n":1}')
    parent = journal.owner
    child = os.fork()
    if child == 0:
        journal.renew()
        journal.append(b'{"n":2}')
        os._exit(0 if journal.owner != parent else 1)
    assert os.waitpid(child, 0)[1] == 0
    journal.append(b'{"n":3}')
    by_owner = {owner_of(path): path for path in journals(tmp_path)}
    assert len(by_owner) == 2
    assert not free(by_owner.pop(parent))
    assert all(map(free, by_owner.values()))


def test_a_journal_that_nobody_closes_is_let_go(tmp_path):
    journal = opened(tmp_path)
    journal.append(b'{"n":1}')
    files = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    del journal
    gc.collect()
    assert all(map(free, journals(tmp_path)))
    assert not files or len(os.listdir("/proc/self/fd")) < files


def test_a_file_grows_beyond_its_limit_when_no_other_can_be_opened(tmp_path, monkeypatch):
    journal = opened(tmp_path, limit=100)
    journal.append(encode({"n": 0}))
    with monkeypatch.context() as patch:
        patch.setattr("ctxkit.metering.ledger.journal._lock", lambda file: os.open("/nowhere/at/all", os.O_RDONLY))
        for n in range(1, 30):
            journal.append(encode({"n": n}))
    assert len(journals(tmp_path)) == 1
    journal.append(encode({"n": 30}))
    assert [entry["n"] for entry in lines(tmp_path)] == list(range(31))
    assert list(tmp_path.glob("*.new")) == []

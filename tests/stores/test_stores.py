"""Stores: memory and disk behave alike; the folder is private, holds no pickle and refuses foreign ones."""

import atexit
import contextlib
import os
import pickle
import sqlite3
import stat
import subprocess
import sys
import threading

import pytest

from ctxkit.errors import ConfigurationError, StoreError
from ctxkit.stores import Store, open_store
from ctxkit.stores.disk import DiskStore
from ctxkit.stores.memory import MemoryStore


@pytest.fixture(params=["memory", "disk"])
def store(request, tmp_path):
    store = open_store(None if request.param == "memory" else tmp_path / "store")
    yield store
    store.close()


def test_put_get_add(store):
    assert isinstance(store, Store)
    assert store.get(b"a") is None
    store.put(b"a", b"1")
    assert store.get(b"a") == b"1"
    assert store.add(b"a", b"2") == b"1" or isinstance(store, DiskStore)
    assert store.add(b"b", b"3") == b"3"
    assert store.add(b"b", b"4") == b"3"
    store.flush()
    assert store.get(b"b") == b"3"


def test_what_was_put_survives_in_the_folder(tmp_path):
    first = DiskStore(tmp_path / "s")
    first.put(b"a", b"1")
    assert first.add(b"salt", b"x") == b"x"
    first.close()
    second = DiskStore(tmp_path / "s")
    assert second.get(b"a") == b"1"
    assert second.add(b"salt", b"y") == b"x"
    second.close()


def test_folder_and_files_are_private(tmp_path):
    store = DiskStore(tmp_path / "s")
    store.put(b"a", b"1" * 100_000)
    store.flush()
    modes = {
        stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode)
        for folder, _, names in os.walk(tmp_path / "s")
        for name in names
    }
    assert modes == {0o600}
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o700
    store.close()


def test_folders_above_are_private_too(tmp_path):
    store = DiskStore(tmp_path / "home" / "deeper" / "s")
    store.add(b"a", b"1")
    store.close()
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "home" / "deeper").stat().st_mode) == 0o700


def test_a_pickle_that_somebody_planted_is_never_loaded(tmp_path):
    store = DiskStore(tmp_path / "s")
    store.put(b"a", b"1")
    store.close()

    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "sprung"),))

    with sqlite3.connect(tmp_path / "s" / "cache.db") as database:
        database.execute("UPDATE Cache SET mode = 4, value = ?", (pickle.dumps(Trap()),))
    database.close()
    again = DiskStore(tmp_path / "s")
    with pytest.raises(StoreError, match="move the folder away"):
        again.get(b"a")
    assert not (tmp_path / "sprung").exists()
    again.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_says_what_to_do(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="mend its permissions"):
        DiskStore(tmp_path / "s").add(b"a", b"1")


def test_a_corrupt_folder_says_what_to_do(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "cache.db").write_bytes(b"garbage" * 1000)
    store = DiskStore(tmp_path / "s")
    with pytest.raises(StoreError, match="move the folder away"):
        store.add(b"a", b"1")


def test_a_failed_write_is_said_by_a_later_put(tmp_path):
    import time

    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "cache.db").write_bytes(b"garbage" * 1000)
    store = DiskStore(tmp_path / "s")
    store.put(b"a", b"1")
    assert store.get(b"a") == b"1"
    with pytest.raises(StoreError):
        for _ in range(100):
            time.sleep(0.05)
            store.put(b"b", b"2")


def test_two_processes_agree_on_what_was_added_first(tmp_path):
    code = (
        "import sys, pathlib; from ctxkit.stores.disk import DiskStore;"
        "s = DiskStore(pathlib.Path(sys.argv[1])); print(s.add(b'salt', sys.argv[2].encode()).decode()); s.close()"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "s"), str(n)], stdout=subprocess.PIPE, text=True)
        for n in range(3)
    ]
    assert len({process.communicate(timeout=30)[0] for process in running}) == 1


@pytest.mark.parametrize("how", ["put", "add", "swap"])
def test_the_memory_store_is_bounded(how):
    store = MemoryStore(5)
    for index in range(20):
        getattr(store, how)(str(index).encode(), *([None] if how == "swap" else []), b"x")
    assert store.get(b"19") == b"x"
    assert store.get(b"14") is None


def test_anything_else_is_refused():
    with pytest.raises(ConfigurationError, match="wants a folder"):
        open_store(42)


def test_a_locked_folder_is_told_soon_and_not_asked_again_at_once(tmp_path, monkeypatch):
    """diskcache would try for a minute, and each request of the user would wait for it."""
    monkeypatch.setattr("ctxkit.stores.disk._PATIENCE", 0.05)
    store = DiskStore(tmp_path / "store")
    store.add(b"a", b"1")
    store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "store" / "cache.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            DiskStore(tmp_path / "store").get(b"b")
        resting = DiskStore(tmp_path / "store")
        with pytest.raises(StoreError, match="locked"):
            resting.get(b"b")
        assert resting.get(b"b") is None, "without asking"
    resting._resting = 0.0
    assert resting.get(b"a") == b"1"
    resting.close()


def test_a_store_goes_on_after_it_was_closed(tmp_path):
    store = DiskStore(tmp_path / "store")
    for value in (b"1", b"2"):
        store.put(b"a", value)
        store.close()
    assert DiskStore(tmp_path / "store").get(b"a") == b"2"


def test_swap_puts_only_what_was_expected(store):
    assert store.fresh(b"k") is None
    assert store.swap(b"k", b"x", b"1") is None
    assert store.swap(b"k", None, b"1") == b"1"
    assert store.swap(b"k", None, b"2") == b"1"
    assert store.swap(b"k", b"1", b"2") == b"2"
    assert store.fresh(b"k") == b"2"


def test_what_another_process_swapped_is_seen_at_once(tmp_path):
    one, two = DiskStore(tmp_path / "s"), DiskStore(tmp_path / "s")
    one.swap(b"k", None, b"1")
    assert two.fresh(b"k") == b"1"
    two.swap(b"k", b"1", b"2")
    assert one.fresh(b"k") == b"2"
    one.close()
    two.close()


def test_what_waits_for_a_folder_that_cannot_be_written_is_bounded_in_bytes(tmp_path):
    (tmp_path / "folder").write_text("a file")
    store = DiskStore(tmp_path / "folder", 10_000, remembered=0)
    for number in range(100):
        with contextlib.suppress(StoreError):
            store.put(b"%02d" % number, bytes(1_000))
        with contextlib.suppress(StoreError):
            store.flush()
    assert sum(map(len, store._queue.values())) <= 10_000
    assert list(store._queue)[-1] == b"99"
    with contextlib.suppress(StoreError):
        store.close()


def test_a_value_that_comes_after_a_failed_write_is_written_with_the_next_one(tmp_path, monkeypatch):
    store, flush = DiskStore(tmp_path / "s"), DiskStore.flush

    def full(_):
        raise StoreError("the disk is full")

    monkeypatch.setattr(DiskStore, "flush", full)
    store.put(b"a", b"1")
    store._writer.join(10)
    with pytest.raises(StoreError, match="full"):
        store.put(b"b", b"2")
    monkeypatch.setattr(DiskStore, "flush", flush)
    store.close()
    assert DiskStore(tmp_path / "s").get(b"b") == b"2"


def test_a_folder_that_goes_on_failing_is_closed_once_at_the_end(tmp_path, monkeypatch):
    store, before = DiskStore(tmp_path / "s"), atexit._ncallbacks()

    def full():
        raise StoreError("the disk is full")

    monkeypatch.setattr(store, "flush", full)
    writers = set()
    for _ in range(3):
        store.put(b"a", b"1")
        writers.add(store._writer)
        store._writer.join(10)
        with pytest.raises(StoreError, match="full"):
            store.put(b"a", b"1")
    assert len(writers) == 3
    assert atexit._ncallbacks() == before + 1
    monkeypatch.undo()
    store.close()


def test_a_writer_ends_with_its_store_even_when_it_is_writing_then(tmp_path, monkeypatch):
    store, writing, go_on = DiskStore(tmp_path / "s"), threading.Event(), threading.Event()
    flush = store.flush

    def slow():
        if threading.current_thread() is not threading.main_thread():
            writing.set()
            go_on.wait(10)
        flush()

    monkeypatch.setattr(store, "flush", slow)
    store.put(b"a", b"1")
    writer = store._writer
    assert writing.wait(10)
    store.close()
    go_on.set()
    writer.join(10)
    assert not writer.is_alive()
    store.close()

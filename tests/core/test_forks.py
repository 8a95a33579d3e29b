"""A forked child never waits for a thread that exists in its parent alone, and nothing is registered for ever."""

import gc
import os
import signal
import threading
import time

import pytest

from ctxkit import Kit, forks
from ctxkit.caching.prefixes import Threads
from ctxkit.faults import Faults
from ctxkit.stores.disk import DiskStore
from ctxkit.stores.memory import MemoryStore

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

USES = {
    "faults": (Faults, lambda faults: faults.warn("plan", "malformed")),
    "memory": (MemoryStore, lambda store: store.put(b"a", b"1")),
    "threads": (lambda: Threads(MemoryStore()), lambda threads: threads.commit([b"link"], "thread")),
}


@pytest.mark.parametrize("name", USES)
def test_a_lock_that_is_held_while_the_process_forks_is_free_in_the_child(name):
    make, use = USES[name]
    owner = make()
    with owner._lock:
        child = os.fork()
        if not child:
            use(owner)
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def in_child(work):
    """Exit code of a forked child that does ``work``; killed by SIGALRM (14) when it hangs."""
    child = os.fork()
    if not child:
        signal.alarm(20)
        work()
        os._exit(0)
    return os.waitpid(child, 0)[1]


def test_a_child_forked_while_its_parent_opens_a_room_opens_its_own(monkeypatch):
    kit, begun, done = Kit(), threading.Event(), threading.Event()

    def slow(_):
        begun.set()
        done.wait(10)

    monkeypatch.setattr(type(kit.rooms).meter, "_make", slow)
    opener = threading.Thread(target=lambda: kit.rooms.meter)
    opener.start()
    begun.wait(10)
    monkeypatch.undo()
    assert in_child(lambda: kit.rooms.meter.warm(1e9)) == 0
    done.set()
    opener.join()
    kit.close()


def test_a_server_may_fork_its_workers_right_after_wrapping():
    kit = Kit(strict=True)
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
    kit.warm()
    assert in_child(lambda: kit.settle(kit.plan(body, dialect="openai.chat", platform="openai"))) == 0
    assert not [one for one in threading.enumerate() if one.name == "ctxkit-warm"], "a fork waits for it"
    kit.close()


def test_a_fork_waits_for_a_transaction_of_the_store(tmp_path):
    """A child forked inside one would find the file locked by a connection that no thread of it will ever use."""
    store, begun = DiskStore(tmp_path / "store"), threading.Event()
    store.add(b"a", b"1")

    def write():
        with store._guard(), store._cache().transact():
            store._cache().set(b"b", b"2")
            begun.set()
            time.sleep(0.3)

    writer = threading.Thread(target=write)
    writer.start()
    begun.wait(10)
    assert in_child(lambda: (store.put(b"c", store.get(b"a")), store.flush(), os._exit(store.get(b"b") != b"2"))) == 0
    writer.join()
    assert store.get(b"c") == b"1"
    store.close()


def test_a_fork_does_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr(forks, "_PATIENCE", 0.05)
    quiet = forks.Quiet()
    with quiet:
        quiet.hold()
        quiet.release()


def test_who_is_gone_is_called_no_more():
    before = set(forks._owners)
    kits = [Kit() for _ in range(5)]
    ours = set(forks._owners) - before
    assert ours
    for kit in kits:
        kit.close()
    del kit, kits
    gc.collect()
    assert not ours & set(forks._owners)

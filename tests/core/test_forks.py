"""A forked child never waits for a thread that exists in its parent alone, and nothing is registered for ever."""

import gc
import os

import pytest

from ctxkit import Kit, forks
from ctxkit.caching.prefixes import Threads
from ctxkit.faults import Faults
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


def test_who_is_gone_is_called_no_more():
    gc.collect()
    before = len(forks._owners)
    kits = [Kit() for _ in range(5)]
    assert len(forks._owners) > before
    for kit in kits:
        kit.close()
    del kit, kits
    gc.collect()
    assert len(forks._owners) == before

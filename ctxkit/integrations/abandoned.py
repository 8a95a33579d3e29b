"""Attempts that nobody holds any more: a stream that was dropped, a connection that failed unseen.

A finaliser may run at any moment in any thread, also inside a lock of the ledger, so it may not settle anything
itself. It puts the work on a queue (whose ``put`` is re-entrant, made for this) and a thread of its own does it.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import queue
import threading
from collections.abc import Callable
from typing import TypeAlias

__all__ = ["settle_elsewhere", "watch"]

_Work: TypeAlias = tuple[Callable[[], None], threading.Event]

_PATIENCE = 0.05
"""Seconds a finaliser waits for its work: mostly it is done before the caller goes on. Where the finalised thread
holds a lock that the work needs, waiting longer could not help."""

_queue: queue.SimpleQueue[_Work] = queue.SimpleQueue()
_watcher: list[threading.Thread] = []
_over = threading.Event()  # the interpreter ends: nobody works any more
_starting = threading.Lock()


def watch() -> None:
    """Have the thread running before anything can be abandoned: a finaliser may not start one."""
    if _watcher:
        return
    with _starting:
        if not _watcher:
            thread = threading.Thread(target=_work, name="ctxkit-abandoned", daemon=True)
            with contextlib.suppress(RuntimeError):  # no more threads: the next attempt tries again
                thread.start()
                _watcher.append(thread)


def settle_elsewhere(work: Callable[[], None]) -> None:
    """Have ``work`` done by the thread; wait a moment for it, unless an event loop is running here."""
    if _over.is_set():
        return  # the entry stays open in the ledger, and shows as unverified
    done = threading.Event()
    _queue.put((work, done))
    if asyncio._get_running_loop() is None:  # noqa: SLF001 - documented for this, and never raises
        done.wait(_PATIENCE)


def _work() -> None:
    while True:
        _do(_queue.get())


def _do(item: _Work) -> None:
    work, done = item
    with contextlib.suppress(Exception):  # it has noted its own fault; strict kits raise it, which nobody here hears
        work()
    done.set()


@atexit.register
def _finish() -> None:
    """What is still queued when the interpreter ends."""
    _over.set()
    with contextlib.suppress(queue.Empty):
        while True:
            _do(_queue.get_nowait())


def _forked() -> None:
    """A child has neither the thread nor the parent's work."""
    global _queue, _starting
    _queue, _starting = queue.SimpleQueue(), threading.Lock()
    _watcher.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)

"""Threads and tasks that wait for one another within a process: who asks, and how each of them is woken."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Owner", "call_all", "running", "this_thread", "wake"]


class Owner(NamedTuple):
    """Who sends a request, and so cannot wait for it."""

    thread: object
    task: object = None

    def may_wait_for(self, other: Owner) -> bool:
        """A task may wait for its own thread, which goes on meanwhile; a thread that waits stands still."""
        return self.thread is not other.thread if self.task is None else self.task is not other.task


_here = threading.local()


def this_thread() -> object:
    """This thread; its number is given to another one when it ends."""
    found: object = getattr(_here, "thread", None)
    if found is None:
        found = _here.thread = object()
    return found


def running() -> tuple[asyncio.AbstractEventLoop | None, asyncio.Task[object] | None]:
    """The loop and the task of asyncio that run here; other loops are none."""
    try:
        return asyncio.get_running_loop(), asyncio.current_task()
    except RuntimeError:
        return None, None


def wake(loop: asyncio.AbstractEventLoop | None, future: asyncio.Future[None] | None) -> None:
    """From any thread; a loop that is closed has nobody left to wake."""
    if loop is not None and future is not None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_finish, future)


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def call_all(wakers: Iterable[Callable[[], None]]) -> None:
    """Wake everybody; outside any lock."""
    for one in wakers:
        one()

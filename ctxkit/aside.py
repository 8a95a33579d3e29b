"""Work that would hold up an event loop, done in a thread."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["aside", "caller"]

T = TypeVar("T")

_caller: contextvars.ContextVar[Hashable] = contextvars.ContextVar("ctxkit caller", default=None)


async def aside(work: Callable[[], T]) -> T:
    """``asyncio.to_thread``, but here and now when the loop has no threads any more, because all is ending."""
    context = contextvars.copy_context()
    context.run(_caller.set, caller())
    try:
        waiting = asyncio.get_running_loop().run_in_executor(None, functools.partial(context.run, work))
    except RuntimeError:
        return work()
    return await waiting


def caller() -> Hashable:
    """The thread or task at work, or the one whose work is done aside: it sends one request at a time."""
    aside_of = _caller.get()
    if aside_of is not None:
        return aside_of
    try:
        return threading.get_ident(), id(asyncio.current_task())
    except RuntimeError:  # no loop runs here
        return threading.get_ident(), 0

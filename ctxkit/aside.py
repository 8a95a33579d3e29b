"""Work that would hold up an event loop, done in a thread."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["aside"]

T = TypeVar("T")


async def aside(work: Callable[[], T]) -> T:
    """``asyncio.to_thread``, but here and now when the loop has no threads any more, because all is ending."""
    context = contextvars.copy_context()
    try:
        waiting = asyncio.get_running_loop().run_in_executor(None, functools.partial(context.run, work))
    except RuntimeError:
        return work()
    return await waiting

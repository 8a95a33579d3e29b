"""A forked child must not share locks, files and open attempts with its parent."""

from __future__ import annotations

import os
import weakref
from typing import Any

__all__ = ["on_fork"]


def on_fork(owner: Any, method: str) -> None:
    """Call ``owner.method()`` in every forked child, for as long as the owner lives."""
    if not hasattr(os, "register_at_fork"):  # no fork on this system
        return
    reference = weakref.WeakMethod(getattr(owner, method))

    def after_fork() -> None:
        if (call := reference()) is not None:
            call()

    os.register_at_fork(after_in_child=after_fork)

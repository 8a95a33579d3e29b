"""A forked child must not share locks, files and open attempts with its parent."""

from __future__ import annotations

import os
import weakref
from typing import Any, Final

__all__ = ["on_fork"]

_owners: Final[dict[int, tuple[weakref.ref[Any], str]]] = {}


def on_fork(owner: Any, method: str) -> None:
    """Call ``owner.method()`` in every forked child, for as long as the owner lives."""
    reference = weakref.ref(owner, _forget)
    _owners[id(reference)] = reference, method


def _forget(reference: weakref.ref[Any], owners: dict[int, Any] = _owners) -> None:
    owners.pop(id(reference), None)


def _after_fork() -> None:
    for reference, method in list(_owners.values()):
        if (owner := reference()) is not None:
            getattr(owner, method)()


# Once for all owners: what is registered with the system can never be taken back.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

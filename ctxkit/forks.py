"""A forked child must not share locks, files and open attempts with its parent, nor find anything half done."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any, Final, NamedTuple

__all__ = ["Quiet", "on_fork"]

_PATIENCE: Final = 2.0  # seconds a fork waits for what is under way


class _Calls(NamedTuple):
    owner: weakref.ref[Any]
    child: str
    before: str
    parent: str


_owners: Final[dict[int, _Calls]] = {}


def on_fork(owner: Any, child: str, *, before: str = "", parent: str = "") -> None:
    """Call a method of ``owner`` around every fork, for as long as the owner lives.

    Args:
        owner: whose methods are named.
        child: called in the child.
        before: called before the process forks; it may wait a little for what must not be cut in two.
        parent: called afterwards in the parent.
    """
    reference = weakref.ref(owner, _forget)
    _owners[id(reference)] = _Calls(reference, child, before, parent)


def _forget(reference: weakref.ref[Any], owners: dict[int, _Calls] = _owners) -> None:
    owners.pop(id(reference), None)


def _call(moment: str) -> None:
    owners = list(_owners.values())
    for calls in reversed(owners) if moment == "before" else owners:  # who came later may need who came before
        if (name := getattr(calls, moment)) and (owner := calls.owner()) is not None:
            getattr(owner, name)()


# Once for all owners: what is registered with the system can never be taken back.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _call("before"), after_in_parent=lambda: _call("parent"), after_in_child=lambda: _call("child")
    )


class Quiet:
    """``with quiet:`` is work that a fork waits for, while any number of threads may do some.

    SQLite keeps note in the process of who holds which lock of a file. A child that is forked in the middle of a
    transaction finds the file locked by a connection that nobody will ever use again.
    """

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """In a child nothing is under way."""
        self._idle = threading.Condition(threading.Lock())
        self._running = 0

    def __enter__(self) -> None:
        with self._idle:
            self._running += 1

    def __exit__(self, *_: object) -> None:
        with self._idle:
            self._running -= 1
            if not self._running:
                self._idle.notify_all()

    def hold(self) -> None:
        """Let nothing more begin, and wait a little for what has begun; until :meth:`release`."""
        self._idle.acquire()
        self._idle.wait_for(lambda: not self._running, _PATIENCE)

    def release(self) -> None:
        """Work goes on."""
        self._idle.release()

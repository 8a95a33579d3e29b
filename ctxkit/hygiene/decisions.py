"""What was decided of a conversation, found again by its longest known prefix: decisions stick.

A decision is a recipe (which pieces give way, by which pass), never text: what is said instead is worked out again from
the history that the application sends. It is committed under the prefix of the request it was made for, put if absent,
so that workers and forks that race end with the same; a conversation that forks shares what was decided before the fork
and parts after it. Messages are counted from the first one that is neither a tool nor the opening instruction, so that
a tool more or less leaves decisions where they are.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ctxkit.editable import Fold, Stub
from ctxkit.forks import on_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ctxkit.editable import Action

__all__ = ["HELD", "NOTHING", "Decided", "Decisions", "Memory"]

VERSION = 2
"""Of what actions come to: another one says other bytes, so older recipes are not used then."""

_KEY = b"h"
_NEAR = 12  # messages from the end that are looked up in the shared store: a turn rarely adds more


class Decided(NamedTuple):
    """One action that holds, and the pass that proposed it."""

    action: Action
    by: str


NOTHING: tuple[Decided, ...] = ()

HELD = (Decided(Fold(0, 0), "held"),)
"""Of a conversation that is left as it is from its beginning on."""


class Memory(Protocol):
    """What is needed of a store."""

    def get(self, key: bytes) -> bytes | None:
        """The value, or ``None``."""

    def add(self, key: bytes, value: bytes) -> bytes:
        """Keep a value unless there is one; the value that stands."""
        ...


class Decisions:
    """Recipes by prefix; one per kit, for all threads.

    Args:
        store: shared memory of workers and restarts; what it cannot keep is kept here all the same.
        size: prefixes remembered in this process.
    """

    def __init__(self, store: Memory, size: int = 30_000) -> None:
        self._store = store
        self._size = size
        self._known: OrderedDict[bytes, tuple[Decided, ...]] = OrderedDict()
        self._fresh_lock()
        on_fork(self, "_fresh_lock")

    def find(self, chain: Sequence[bytes]) -> tuple[Decided, ...] | None:
        """What holds for a conversation with this chain of prefixes; ``None``: it is not known."""
        known = self._known
        for link in reversed(chain):
            found = known.get(link)
            if found is not None:
                return found
        for link in reversed(chain[-_NEAR:]):
            stored = self._store.get(_KEY + link)
            if stored is not None and (found := self._unpacked(stored)) is not None:
                self._remember(link, found)
                return found
        return None

    def commit(self, link: bytes, decided: tuple[Decided, ...], *, news: bool) -> tuple[Decided, ...]:
        """Let this hold for the prefix ``link`` and all that continue it, unless something does; what holds.

        ``news``: it was decided for this very request; else it was found and is carried along, so that a restart finds it
        near the end of a long conversation.
        """
        held = self._known.get(link)  # once: another thread may make room in between
        if held is not None:
            return held
        if decided:
            packed = _packed(decided)
            stands = self._store.add(_KEY + link, packed)
            if stands != packed and news:
                decided = self._unpacked(stands) or decided
        self._remember(link, decided)
        return decided

    def _unpacked(self, stored: bytes) -> tuple[Decided, ...] | None:
        """What another process wrote; ``None`` for what cannot be read, or means something else by now."""
        try:
            version, *rows = json.loads(stored)
            found = tuple(Decided(_action(kind, one, two), str(by)) for kind, one, two, by in rows)
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        return found if version == VERSION else None

    def _remember(self, link: bytes, decided: tuple[Decided, ...]) -> None:
        with self._lock:
            self._known[link] = decided
            self._known.move_to_end(link)
            while len(self._known) > self._size:
                self._known.popitem(last=False)

    def _fresh_lock(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()


_ACTIONS: dict[str, Callable[[int, int], Action]] = {"s": lambda one, two: Stub((one, two)), "f": Fold}


def _action(kind: str, one: int, two: int) -> Action:
    if one < 0 or two < 0:
        raise ValueError(kind)
    return _ACTIONS[kind](int(one), int(two))


def _packed(decided: Sequence[Decided]) -> bytes:
    rows = [
        ["f", action.start, action.end, by] if isinstance(action, Fold) else ["s", *action.place, by]
        for action, by in decided
    ]
    return json.dumps([VERSION, *rows], separators=(",", ":")).encode()

"""The order in which a set of tools was first sent, kept for all later requests.

Tools stand before everything else in a prompt: when a program lists the same ones in another order (a set, a directory
listing, servers that answer in turn), nothing that was cached is read. To the model the order means nothing.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

from ctxkit.forks import on_fork
from ctxkit.model import Edit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctxkit.caching.prefixes import Hasher
    from ctxkit.model import Json, Message, Path

__all__ = ["ToolOrders"]

_KEY = b"toolorder"
_LIMIT = 1_000  # sets of tools remembered
_MOST = 2_000  # tools of one request
_LENGTH = 16


class Shared(Protocol):
    """What is needed of a store."""

    def get(self, key: bytes) -> bytes | None:
        """The value, or ``None``."""

    def add(self, key: bytes, value: bytes) -> bytes:
        """Keep a value unless there is one; the value that stands."""
        ...


class ToolOrders:
    """First orders of sets of tools, the same for all threads and workers of a store.

    Args:
        store: keeps hashes, no names and no text.
        hasher: keyed hashes.
    """

    def __init__(self, store: Shared, hasher: Hasher) -> None:
        self._store = store
        self._hasher = hasher
        self._known: OrderedDict[bytes, bytes] = OrderedDict()
        self._fresh_lock()
        on_fork(self, "_fresh_lock")

    def _fresh_lock(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()

    def restored(
        self, messages: Sequence[Message], digests: Sequence[bytes], marked: Sequence[int], whose: str
    ) -> tuple[Edit, ...]:
        """The edit that puts tools back into the order they were first sent in; none when they stand in it.

        Args:
            messages: the request; its tools come first.
            digests: a hash of each.
            marked: which carry cache markers: tools among them stay where their user put them.
            whose: tools of others (another model, another tenant) have an order of their own.
        """
        tools = [message for message in messages if message.role == "tools"]
        parent = _parent(tools)
        if parent is None or any(index < len(tools) for index in marked):
            return ()
        own = _short(digests[: len(tools)])
        first = self._first(self._name(own, whose))
        places = {digest: place for place, digest in enumerate(own)}
        order = [places[digest] for digest in first if digest in places]
        if order == sorted(order) or len(order) != len(own):
            return ()
        values: list[Json] = [tools[place].value for place in order]
        return (
            Edit("replace", parent, f"the {len(own)} tools stand in the order in which they were first sent", values),
        )

    def sent(self, messages: Sequence[Message], digests: Sequence[bytes], whose: str) -> None:
        """A request left: the order of its tools is theirs, unless they have one."""
        tools = [message for message in messages if message.role == "tools"]
        if _parent(tools) is None:
            return
        own = _short(digests[: len(tools)])
        name = self._name(own, whose)
        if not self._first(name):
            self._remember(name, self._store.add(_KEY + name, b"".join(own)))

    def _name(self, own: list[bytes], whose: str) -> bytes:
        return self._hasher.digest((whose, b"".join(sorted(own))))

    def _first(self, name: bytes) -> list[bytes]:
        known = self._known.get(name)
        if known is None:
            known = self._store.get(_KEY + name)
            if known is not None:
                self._remember(name, known)
        return [known[at : at + _LENGTH] for at in range(0, len(known), _LENGTH)] if known else []

    def _remember(self, name: bytes, order: bytes) -> None:
        with self._lock:
            self._known[name] = order
            while len(self._known) > _LIMIT:
                self._known.popitem(last=False)


def _short(digests: Sequence[bytes]) -> list[bytes]:
    return [digest[:_LENGTH] for digest in digests]


def _parent(tools: Sequence[Message]) -> Path | None:
    """Where the list stands that holds each tool once, and nothing else; ``None`` where there is no such list."""
    if not 1 < len(tools) <= _MOST:
        return None
    parents = {tool.path[:-1] for tool in tools}
    indices = [tool.path[-1] for tool in tools]
    return parents.pop() if len(parents) == 1 and indices == list(range(len(tools))) else None

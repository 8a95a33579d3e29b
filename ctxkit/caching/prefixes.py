"""Identify what a provider's cache sees: keyed hashes of messages, the chain of a prefix, and threads.

Each message (tool definition, system block, message, in cache order) has a hash of what the model reads of it; the
chain ``c[i] = H(c[i-1], h[i])`` names the prefix that ends there. Two requests share a provider's cache up to the
last chain value they share. A thread is found by the longest prefix that was sent before, so the application names
no conversation id.

Hashes are keyed with one secret per store, so a ledger or store that leaks does not let anyone test guesses at
prompts. They are SHA-256 over key and message, cut to 16 bytes (what is cut off is what a length extension needs).
Per message that takes about 0.6 microseconds plus 0.6 nanoseconds a byte, where keyed BLAKE2b takes half as much
again on a processor with SHA instructions.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import marshal
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Protocol

from ctxkit.errors import ProviderShapeError
from ctxkit.forks import on_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ctxkit.model import Json, Message

__all__ = ["DIGEST_SIZE", "Hasher", "Memory", "Threads"]

DIGEST_SIZE = 16
_FORMAT = 2  # marshal format 2 has no references and no interning: equal values give equal bytes
_NEAR = 12  # messages from the end that are looked up in the shared store: a turn rarely adds more


class Memory(Protocol):
    """What threads need of a store."""

    def get(self, key: bytes) -> bytes | None:
        """The value, or ``None``."""

    def put(self, key: bytes, value: bytes) -> None:
        """Keep a value; may be written later."""


class Hasher:
    """Keyed hashes of wire values, and chains of them."""

    def __init__(self, key: bytes) -> None:
        self._seed = hashlib.sha256(hashlib.sha256(key).digest() * 2)
        self._derived = hashlib.sha256(b"ctxkit derived" + hashlib.sha256(key).digest()).digest()
        self._markers = frozenset(self.digest((role, {})) for role in ("tools", "system"))

    def secret(self, purpose: str) -> bytes:
        """32 bytes that are known to whoever has this hasher's key, another one for each purpose."""
        return hmac.digest(self._derived, purpose.encode(), hashlib.sha256)

    def digest(self, value: Json) -> bytes:
        """Hash of any wire value: big integers, NaN, lone surrogates and bytes included."""
        state = self._seed.copy()
        state.update(_bytes_of(value))
        return state.digest()[:DIGEST_SIZE]

    def digests(self, messages: Sequence[Message], identity: Callable[[Json], Json]) -> tuple[list[bytes], list[int]]:
        """One hash per message of what the model reads of it, and the indices of those that carry cache markers.

        ``identity`` leaves the markers out, so that one that moves to the next message changes no prefix, and says of
        text what it stands for.
        """
        copy, dumps, size = self._seed.copy, marshal.dumps, DIGEST_SIZE
        result: list[bytes] = []
        marked: list[int] = []
        for role, _, value, _ in messages:
            read = identity(value)
            if read is not value and value.__class__ is not str:  # text carries no marker
                marked.append(len(result))
            state = copy()
            try:
                state.update(dumps((role, read), _FORMAT))
            except ValueError:
                state.update(_bytes_of((role, read)))
            result.append(state.digest()[:size])
        return result, marked

    def chain(self, digests: Sequence[bytes], head: str = "") -> list[bytes]:
        """The prefix that ends at each message; ``head`` keeps scopes and dialects apart.

        A tool or system block that is nothing but a marker (``cachePoint``) adds nothing: it may come, go and move.
        """
        sha256, size, markers = hashlib.sha256, DIGEST_SIZE, self._markers
        link = self.digest(head)
        result = []
        for digest in digests:
            # Keyed through the first link: nobody without the key can follow the chain.
            if digest not in markers:
                link = sha256(link + digest).digest()[:size]
            result.append(link)
        return result


def _bytes_of(value: Any) -> bytes:
    try:
        return marshal.dumps(value, _FORMAT)
    except ValueError:  # subclasses of str or dict, Decimal, datetime: what JSON would make of them
        return _slow_bytes_of(value)


def _slow_bytes_of(value: Any) -> bytes:
    try:
        return json.dumps(value, default=repr, ensure_ascii=True).encode()
    except (RecursionError, ValueError):
        raise ProviderShapeError("the request is nested too deeply, or contains itself") from None


class Threads:
    """Finds the conversation a request continues: by its longest prefix that was sent before.

    Args:
        store: shared memory of workers and restarts.
        size: how many prefixes are kept in this process.
    """

    def __init__(self, store: Memory, size: int = 30_000) -> None:
        self._store = store
        self._size = size
        self._known: OrderedDict[bytes, str] = OrderedDict()
        self._fresh_lock()
        on_fork(self, "_fresh_lock")

    def find(self, chain: Sequence[bytes]) -> str | None:
        """Id of the thread that sent the longest known prefix of ``chain``; ``None`` for a new one."""
        known = self._known
        for link in reversed(chain):
            thread = known.get(link)
            if thread is not None:
                return thread
        for link in reversed(chain[-_NEAR:]):
            stored = self._store.get(b"t" + link)
            if stored is not None:
                return stored.decode()
        return None

    def commit(self, chain: Sequence[bytes], thread: str) -> None:
        """Remember that ``thread`` sent this prefix; the first to say so wins, so that forks of it part later."""
        if not chain:
            return
        link = chain[-1]
        with self._lock:
            if link in self._known:
                self._known.move_to_end(link)
                return
            self._known[link] = thread
            while len(self._known) > self._size:
                self._known.popitem(last=False)
        self._store.put(b"t" + link, thread.encode())

    def _fresh_lock(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()

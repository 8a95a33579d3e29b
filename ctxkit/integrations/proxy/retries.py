"""The same request once more: an SDK sends again what failed, and the ledger counts that as one.

A kit knows a retry by the context (thread or task) that sends it. Here every request has a task of its own, so the
context of one that failed is kept for a while, and given to the next request of the same bytes.
"""

from __future__ import annotations

import contextvars
from collections import OrderedDict
from hashlib import blake2b

__all__ = ["Retries"]

_MOST = 1_000


class Retries:
    """Contexts of requests that failed, by what was asked."""

    def __init__(self) -> None:
        self._failed: OrderedDict[bytes, contextvars.Context] = OrderedDict()

    def context(self, key: bytes) -> contextvars.Context:
        """The context to send a request in: a fresh one, or that of its failed attempt."""
        return self._failed.pop(key, None) or contextvars.copy_context()

    def failed(self, key: bytes, context: contextvars.Context) -> None:
        """Whoever asks the same again retries it."""
        self._failed[key] = context
        while len(self._failed) > _MOST:
            self._failed.popitem(last=False)

    @staticmethod
    def key(*asked: bytes) -> bytes:
        """What tells one request from another."""
        digest = blake2b(digest_size=16)
        for part in asked:
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()

"""Bodies of requests: read whole, so that they can be planned, and passed as they come where they are too large."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive

__all__ = ["LARGEST", "Body", "GoneError"]

LARGEST = 1 << 26
"""Bytes (64 MiB) of a body that is read whole; a larger one is forwarded as it comes, unmetered."""


class GoneError(Exception):
    """Whoever asked does not listen any more."""


class Body:
    """The body of one request.

    Args:
        receive: of the server (ASGI).
        largest: bytes that are read before they are forwarded.

    Attributes:
        start: what was read at first: all of it, unless it is ``large``.
        large: there is more than was read.
    """

    def __init__(self, receive: Receive, largest: int = LARGEST) -> None:
        self._receive = receive
        self._largest = largest
        self._over = asyncio.Event()
        self.start = b""
        self.large = False

    async def read(self) -> None:
        """Read it, or the beginning of it.

        Raises:
            GoneError: the program went away meanwhile.
        """
        pieces, size = [], 0
        async for piece in self._pieces():
            pieces.append(piece)
            size += len(piece)
            if size > self._largest:
                self.large = True
                break
        self.start = b"".join(pieces)

    async def stream(self) -> AsyncIterator[bytes]:
        """All of it, the beginning first."""
        yield self.start
        async for piece in self._pieces():
            yield piece

    async def _pieces(self) -> AsyncIterator[bytes]:
        while not self._over.is_set():
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise GoneError
            if not message.get("more_body"):
                self._over.set()
            if piece := message.get("body", b""):
                yield piece

    async def abandoned(self) -> None:
        """Return when the program has gone away after all of the body came."""
        await self._over.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass

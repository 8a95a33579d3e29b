"""Connections that become another protocol's: websockets (realtime, Responses, Gemini live) pass through unread.

The request goes to the upstream as any other, and what asks for the upgrade goes with it. Where the upstream agrees
(101), both connections are joined and carry whatever they carry until one side ends; nothing of it is metered.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from ctxkit.integrations.proxy import headers

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["is_upgrade", "join"]

_PIECE = 1 << 16


def is_upgrade(given: Iterable[tuple[bytes, bytes]]) -> bool:
    """The request asks for another protocol."""
    found = list(given)
    return bool(headers.value(found, b"upgrade")) and b"upgrade" in headers.value(found, b"connection").lower()


async def join(connection: Any, response: Any) -> None:
    """Join the program's connection and the upstream's, until either ends.

    Args:
        connection: of the server; its protocol is replaced.
        response: the upstream's 101.
    """
    there = response.extensions["network_stream"]
    here = _Here(connection)
    here.write(_head(response))
    ways = [asyncio.create_task(_up(here, there)), asyncio.create_task(_down(there, here))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:  # also when the program went away, of which the server tells us at the same time
        for way in ways:
            way.cancel()
        await there.aclose()
        await response.aclose()
        await here.close()


def _head(response: Any) -> bytes:
    lines = [b"%b: %b\r\n" % (name, text) for name, text in response.headers.raw]
    return b"HTTP/1.1 101 Switching Protocols\r\n%b\r\n" % b"".join(lines)


async def _up(here: _Here, there: Any) -> None:
    with contextlib.suppress(Exception):  # a connection that failed has ended
        while data := await here.reader.read(_PIECE):
            await there.write(data)


async def _down(there: Any, here: _Here) -> None:
    with contextlib.suppress(Exception):
        while data := await there.read(_PIECE):
            here.write(data)
            await here.drained()


class _Here(asyncio.Protocol):
    """The program's side of it, in the place of the server's own protocol."""

    def __init__(self, connection: Any) -> None:
        self.reader = asyncio.StreamReader()
        self._before = connection
        self._transport: asyncio.Transport = connection.transport
        self._ready = asyncio.Event()
        self._lost = asyncio.Event()
        self._ready.set()
        self.reader.set_transport(self._transport)
        self.reader.feed_data(connection.conn.trailing_data[0])  # what came after the head
        self._transport.set_protocol(self)
        self._transport.resume_reading()

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    async def drained(self) -> None:
        await self._ready.wait()

    async def close(self) -> None:
        """Send what is left, and wait for the end."""
        self._transport.close()
        await self._lost.wait()

    def data_received(self, data: bytes) -> None:
        self.reader.feed_data(data)

    def eof_received(self) -> None:
        self.reader.feed_eof()

    def pause_writing(self) -> None:
        self._ready.clear()

    def resume_writing(self) -> None:
        self._ready.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.reader.feed_eof()
        self._ready.set()
        self._lost.set()
        self._before.connection_lost(exc)  # the server counts its connections

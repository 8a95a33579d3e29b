"""The streams of httpx and httpx2, read as they pass.

A tee stands where the response's own stream stood: it derives from the byte stream class of the library that the
client came with, hands every chunk on as it comes, and forwards everything else.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from ctxkit.integrations.reading import BrokenEncodingError

if TYPE_CHECKING:
    from types import ModuleType

    from ctxkit.integrations.exchange import Exchange

__all__ = ["library_of", "tee"]


def library_of(http_object: object) -> ModuleType | None:
    """The library, httpx or httpx2, that defines the class (or a parent) of this client or response."""
    for parent in type(http_object).__mro__:
        root = parent.__module__.partition(".")[0]
        if root in {"httpx", "httpx2"}:
            return sys.modules[root]
    return None


def tee(response: Any, exchange: Exchange) -> None:
    """Have the body of ``response`` read by ``exchange`` as it passes.

    Args:
        response: of httpx or httpx2; when its body is there already, it is read at once and nothing is settled.
        exchange: the attempt it answers.
    """
    library = library_of(response)
    if library is None:
        return
    headers = response.headers
    if response.is_closed:  # a whole answer: decoded already, all there
        exchange.answered(response.status_code, headers.get("content-type", ""), "", headers)
        shown = exchange.feed(response.content) + exchange.rest()
        if exchange.body is not None and exchange.body.hides:
            response._content = shown  # noqa: SLF001 - where a response keeps what was read of it
        return
    encoding = headers.get("content-encoding", "")
    sync, asynchronous = _tees(library)
    is_async = isinstance(response.stream, library.AsyncByteStream) and not isinstance(
        response.stream, library.SyncByteStream
    )
    exchange.answered(response.status_code, headers.get("content-type", ""), encoding, headers)
    response.stream = (asynchronous if is_async else sync)(response.stream, exchange)
    if exchange.body is not None and exchange.body.hides:
        # What is handed on is decoded, and may be shorter than announced.
        for name in ("content-encoding", "content-length"):
            if name in headers:
                del headers[name]


@cache
def _tees(library: Any) -> tuple[type, type]:
    return (
        type("SyncTee", (_SyncTee, library.SyncByteStream), {}),
        type("AsyncTee", (_AsyncTee, library.AsyncByteStream), {}),
    )


def _fed(tee: _SyncTee | _AsyncTee, chunk: bytes) -> bytes:
    """What is to be handed on of ``chunk``; where we decode in place of the client, its own error for broken data."""
    try:
        return tee._exchange.feed(chunk)  # noqa: SLF001 - of this module
    except BrokenEncodingError as error:
        library: Any = library_of(tee)
        raise library.DecodingError(str(error.__cause__)) from error.__cause__


class _SyncTee:
    def __init__(self, stream: Any, exchange: Exchange) -> None:
        self._stream = stream
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        exchange = self._exchange
        for chunk in self._stream:
            shown = _fed(self, chunk)
            if exchange.over:
                exchange.settle()
            if shown:
                yield shown
        rest = exchange.rest()
        exchange.settle()
        if rest:
            yield rest

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._exchange.settle(ended=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _AsyncTee:
    def __init__(self, stream: Any, exchange: Exchange) -> None:
        self._stream = stream
        self._exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        exchange = self._exchange
        chunks = self._stream.__aiter__()
        try:
            async for chunk in chunks:
                shown = _fed(self, chunk)
                if exchange.over:
                    await exchange.asettle()
                if shown:
                    yield shown
        finally:
            if isinstance(chunks, AsyncGenerator):  # its own clean-up must run in this task
                await chunks.aclose()
        rest = exchange.rest()
        await exchange.asettle()
        if rest:
            yield rest

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            await self._exchange.asettle(ended=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

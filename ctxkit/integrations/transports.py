"""Answering in place of the provider: a transport that stands before those of an HTTP client.

Event hooks look at a request and cannot answer it. A transport can, and custom ones are a documented part of httpx and
httpx2; so where the policy reuses answers, and only there, one stands before each transport that the client has, those
of proxies and mounts included. What is not answered here goes on to them as it is. The two attributes in which a client
keeps its transports are private; OpenTelemetry's instrumentation of httpx uses the same two, and a client without them
is metered as ever and answered by nobody.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias

from ctxkit.integrations.tee import library_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from ctxkit.reuse import Reused

__all__ = ["Door", "Reply", "patience_of", "stand_before"]

Reply: TypeAlias = "Callable[[Reused], Any]"
"""Makes of an answer a response of the library at hand."""


class Door(Protocol):
    """What looks at a request that is about to leave."""

    def leaving(self, request: Any, reply: Reply) -> Any:
        """The response that ``reply`` makes of the answer, where that is there already; otherwise the request leaves now."""
        ...

    async def aleaving(self, request: Any, reply: Reply) -> Any:
        """``leaving`` for event loops."""
        ...

    def lost(self, request: Any) -> None:
        """It left, and no answer came."""
        ...

    async def alost(self, request: Any) -> None:
        """``lost`` for event loops."""
        ...


def stand_before(client: Any, door: Door) -> bool:
    """Have ``door`` asked before anything leaves; False where the client's transports cannot be reached.

    Args:
        client: a ``Client`` or ``AsyncClient`` of httpx or httpx2.
        door: may answer.
    """
    library: Any = library_of(client)
    own, mounts = getattr(client, "_transport", None), getattr(client, "_mounts", None)
    if own is None or not isinstance(mounts, dict):
        return False
    if _stands_before(own, door):
        return True
    sync, asynchronous = _kinds(library)
    kind = asynchronous if isinstance(client, library.AsyncClient) else sync
    client._transport = kind(own, door)  # noqa: SLF001 - see above
    for pattern, mount in mounts.items():
        if mount is not None:  # None: no proxy for these, the client's own transport
            mounts[pattern] = kind(mount, door)
    return True


def _stands_before(transport: Any, door: Door) -> bool:
    return isinstance(transport, _Answering) and transport.ctxkit_asks(door)


def patience_of(request: Any) -> float | None:
    """Seconds for which whoever sends this waits for an answer; ``None``: for ever."""
    read = request.extensions.get("timeout", {}).get("read")
    return float(read) if isinstance(read, int | float) else None


@cache
def _kinds(library: Any) -> tuple[type, type]:
    """The two transports, derived from the classes of the library; they know how it builds a response."""
    stream = type("Events", (_Events, library.SyncByteStream, library.AsyncByteStream), {})
    known = {"_response": library.Response, "_stream": stream}
    return (
        type("SyncAnswering", (_SyncAnswering, library.BaseTransport), known),
        type("AsyncAnswering", (_AsyncAnswering, library.AsyncBaseTransport), known),
    )


class _Answering:
    _response: Any
    _stream: Any

    def __init__(self, transport: Any, door: Door) -> None:
        self._ctxkit_transport = transport
        self._ctxkit_door = door

    def ctxkit_asks(self, door: Door) -> bool:
        """``door`` is asked, by this transport or by one behind it."""
        return self._ctxkit_door is door or _stands_before(self._ctxkit_transport, door)

    def _reply(self, found: Reused) -> Any:
        headers = [*found.headers.items()]
        return self._response(found.status, headers=headers, stream=self._stream(found.events))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_ctxkit_"):
            raise AttributeError(name)
        return getattr(self._ctxkit_transport, name)


class _SyncAnswering(_Answering):
    def handle_request(self, request: Any) -> Any:
        response = self._ctxkit_door.leaving(request, self._reply)
        if response is not None:
            return response
        try:
            return self._ctxkit_transport.handle_request(request)
        except BaseException:
            self._ctxkit_door.lost(request)
            raise

    def close(self) -> None:
        self._ctxkit_transport.close()

    def __enter__(self) -> Self:
        self._ctxkit_transport.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._ctxkit_transport.__exit__(*error)


class _AsyncAnswering(_Answering):
    async def handle_async_request(self, request: Any) -> Any:
        response = await self._ctxkit_door.aleaving(request, self._reply)
        if response is not None:
            return response
        try:
            return await self._ctxkit_transport.handle_async_request(request)
        except BaseException:
            await self._ctxkit_door.alost(request)
            raise

    async def aclose(self) -> None:
        await self._ctxkit_transport.aclose()

    async def __aenter__(self) -> Self:
        await self._ctxkit_transport.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._ctxkit_transport.__aexit__(*error)


class _Events:
    """The body of an answer, an event at a time."""

    def __init__(self, events: tuple[bytes, ...]) -> None:
        self._events = events

    def __iter__(self) -> Iterator[bytes]:
        yield from self._events

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for event in self._events:
            yield event

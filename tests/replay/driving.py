"""Sync and async SDKs driven alike: an answer is an answer, a stream an iterator, whichever side it came from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple


class Driver(NamedTuple):
    """How to get at what a call gives.

    Attributes:
        asynchronous: the clients to make are async ones.
        one: waits for an answer.
        many: goes through a stream, chunk by chunk, and closes it.
        close: closes an HTTP client, and the driver with it.
    """

    asynchronous: bool
    one: Callable[[Any], Any]
    many: Callable[[Any], Iterator[Any]]
    close: Callable[[Any], None]


def in_sync() -> Driver:
    """For sync clients."""
    return Driver(False, lambda answer: answer, _through, lambda http_client: http_client.close())


def in_a_loop() -> Driver:
    """For async clients: an event loop of its own, run for each step."""
    loop = asyncio.new_event_loop()

    def many(stream: Any) -> Iterator[Any]:
        stream = loop.run_until_complete(stream)
        steps = aiter(stream)
        try:
            while True:
                yield loop.run_until_complete(_step(steps))
        except StopAsyncIteration:
            return
        finally:
            loop.run_until_complete((stream.close if hasattr(stream, "close") else stream.aclose)())

    def close(http_client: Any) -> None:
        loop.run_until_complete(http_client.aclose())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    return Driver(True, loop.run_until_complete, many, close)


async def _step(steps: Any) -> Any:
    return await anext(steps)


def _through(stream: Any) -> Iterator[Any]:
    if not hasattr(stream, "__enter__"):
        yield from stream
        return
    with stream:
        yield from stream

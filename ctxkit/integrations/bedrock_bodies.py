"""Answers of Bedrock that are still to be read: event streams, and the streaming body of ``invoke_model``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from ctxkit.dialects import wire
from ctxkit.dialects.bedrock import invoke as bedrock_invoke
from ctxkit.integrations.delegating import Delegate, StandIn
from ctxkit.integrations.reading import Body, stream_answer
from ctxkit.model import Answer, Json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctxkit.dialects.base import AnswerStream
    from ctxkit.integrations.exchange import Exchange

__all__ = ["read_events", "read_through"]


def read_events(events: Any, exchange: Exchange, stream: AnswerStream) -> StandIn:
    """A stand-in for botocore's ``EventStream`` that feeds ``stream`` as it is iterated."""
    return StandIn(events, exchange, _Events(stream))


class _Events:
    """Reads the events of ``converse_stream`` and ``invoke_model_with_response_stream``."""

    __slots__ = ("_stream",)

    def __init__(self, stream: AnswerStream) -> None:
        self._stream = stream

    @property
    def done(self) -> bool:
        return self._stream.done

    @property
    def content(self) -> bool:
        return self._stream.content

    def see(self, item: Any) -> bool:
        see: Any = getattr(self._stream, "see", None)  # Converse: parsed already, perhaps with bytes inside
        chunk = item.get("chunk")
        if isinstance(chunk, dict) and "bytes" in chunk:
            self._stream.feed(chunk["bytes"])
        elif see is not None:
            see(item)
        else:
            self._stream.feed(wire.dumps(item))
        return False

    def result(self, *, ended: bool) -> Answer:
        return stream_answer(self._stream, ended=ended)


def read_through(parsed: Any, key: str, exchange: Exchange) -> None:
    """Have the raw stream behind a ``StreamingBody`` read as it passes.

    The body stays the same object, with all its ways of being read: they end in the raw stream it keeps. (That
    attribute is private and has had its name since 2015; without it the call settles as ``unverified``.)
    """
    body = parsed.get(key)
    headers = parsed.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    exchange.answered(200, headers.get("content-type", ""), headers.get("content-encoding", ""))
    if exchange.body is None or not hasattr(body, "_raw_stream"):
        exchange.settle()
        return
    exchange.reader = _Metered(exchange.body, headers)
    body._raw_stream = _RawTee(body._raw_stream, exchange)  # noqa: SLF001 - see above


class _RawTee(Delegate):
    """Stands before a raw response stream (urllib3's, or a file in tests), and reads what passes."""

    def _passed(self, data: bytes, *, ended: bool) -> bytes:
        exchange = self._ctxkit_exchange
        if data:
            exchange.feed(bytes(data))
        if ended:
            exchange.rest()
            exchange.settle()
        return data

    def read(self, amt: int | None = None, *more: Any, **options: Any) -> bytes:
        data = self._ctxkit_original.read(amt, *more, **options)
        return self._passed(data, ended=amt is None or (not data and amt != 0))

    def read1(self, *amt: Any, **options: Any) -> bytes:
        data = self._ctxkit_original.read1(*amt, **options)
        return self._passed(data, ended=not data)

    def readinto(self, buffer: Any) -> int:
        count: int = self._ctxkit_original.readinto(buffer)
        self._passed(bytes(memoryview(buffer)[:count]), ended=not count and len(buffer) > 0)
        return count

    def readline(self, *limit: Any) -> bytes:
        line = self._ctxkit_original.readline(*limit)
        return self._passed(line, ended=not line)

    def readlines(self, *hint: Any) -> list[bytes]:
        lines: list[bytes] = self._ctxkit_original.readlines(*hint)
        self._passed(b"".join(lines), ended=not hint)
        return lines

    def stream(self, *amt: Any, **options: Any) -> Iterator[bytes]:
        for chunk in self._ctxkit_original.stream(*amt, **options):
            yield self._passed(chunk, ended=False)
        self._passed(b"", ended=True)

    def __iter__(self) -> Iterator[bytes]:
        for line in self._ctxkit_original:
            yield self._passed(line, ended=False)
        self._passed(b"", ended=True)

    def __enter__(self) -> Self:
        self._ctxkit_original.__enter__()
        return self

    def __exit__(self, *error: object) -> Any:
        try:
            return self._ctxkit_original.__exit__(*error)
        finally:
            self._ctxkit_exchange.settle(ended=False)

    def close(self) -> None:
        try:
            self._ctxkit_original.close()
        finally:
            self._ctxkit_exchange.settle(ended=False)


class _Metered:
    """What was seen of an ``invoke_model`` answer, with the token counts that stand in its headers."""

    __slots__ = ("_body", "_headers")

    def __init__(self, body: Body, headers: Mapping[str, str]) -> None:
        self._body = body
        self._headers = headers

    @property
    def done(self) -> bool:
        return self._body.done

    @property
    def content(self) -> bool:
        return self._body.content

    def result(self, *, ended: bool) -> Mapping[str, Json] | Answer | None:
        found = self._body.result(ended=ended)
        if isinstance(found, Answer):
            return found
        return bedrock_invoke.metered(found or {}, self._headers) or None

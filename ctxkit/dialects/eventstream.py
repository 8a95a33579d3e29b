"""The binary event stream of AWS (``application/vnd.amazon.eventstream``): reading it as it passes, and writing it.

A message is: total length and length of the headers (4 bytes each, big endian), their CRC-32, the headers, the
payload, and the CRC-32 of all before it. Source: the "Event Stream Encoding" page of the Amazon Transcribe
developer guide, https://docs.aws.amazon.com/transcribe/latest/dg/event-stream.html (2026-09), and smithy.io.
"""

from __future__ import annotations

import struct
from binascii import a2b_base64
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from uuid import UUID
from zlib import crc32

from ctxkit.errors import ProviderShapeError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LIMIT", "Decoder", "Header", "Message", "encode", "is_begun", "unwrapped"]

LIMIT = 24 * 1024 * 1024 + 128 * 1024 + 16
"""Bytes of the largest message that AWS clients accept: 24 MiB of payload, 128 KiB of headers."""

Header: TypeAlias = "bool | int | bytes | str | datetime | UUID"

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_LEAST = _PRELUDE.size + _CRC.size
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INTEGERS = {2: struct.Struct(">b"), 3: struct.Struct(">h"), 4: struct.Struct(">i"), 5: struct.Struct(">q")}
_LENGTH = struct.Struct(">H")


class Message(NamedTuple):
    """One message.

    Attributes:
        event_type: ``:event-type``, or ``:exception-type`` / ``:error-code`` where the message is a failure.
        payload: the body, mostly JSON.
        headers: all headers.
        raw: its bytes as they came.
    """

    event_type: str
    payload: bytes
    headers: Mapping[str, Header]
    raw: bytes

    @property
    def failed(self) -> bool:
        """The service reports an exception or an error instead of an event."""
        return self.headers.get(":message-type", "event") != "event"

    @property
    def event(self) -> bytes:
        """Its JSON under the name of its type (``{"messageStop": {...}}``); of a chunk what the model itself wrote.

        Raises:
            ValueError: a chunk is not what it should be.
        """
        if self.event_type == "chunk":
            return unwrapped(self.payload)
        return b'{"%s":%s}' % (self.event_type.encode(), self.payload)


def is_begun(data: bytes) -> bool:
    """A message begins ``data``: with its length, whose first byte is zero, as no text begins."""
    return data[:1] == b"\0" and len(data) > _PRELUDE.size


def unwrapped(data: bytes) -> bytes:
    """The model's own JSON inside a chunk of ``InvokeModelWithResponseStream`` (``{"bytes": base64}``); else ``data``.

    Raises:
        ValueError: the base64 is broken.
    """
    start = data.find(b'"bytes"', 0, 40)
    if start < 0:
        return data
    opening = data.index(b'"', start + 7) + 1
    return a2b_base64(data[opening : data.index(b'"', opening)])


class Decoder:
    """Cuts a stream of bytes into messages; one object per stream."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def rest(self) -> bytes:
        """Bytes of a message that is not complete yet (or that could not be read)."""
        return bytes(self._buffer)

    def feed(self, chunk: bytes) -> list[Message]:
        """Messages that are complete with ``chunk``.

        Raises:
            ProviderShapeError: a checksum or a length is wrong; what was not read stands in :attr:`rest`. Good
                messages before the broken one are given first: then the next call raises.
        """
        self._buffer += chunk
        messages: list[Message] = []
        try:
            while (length := self._next_length()) and len(self._buffer) >= length:
                messages.append(_message(bytes(self._buffer[:length])))
                del self._buffer[:length]
        except ProviderShapeError:
            if not messages:
                raise
        return messages

    def _next_length(self) -> int:
        if len(self._buffer) < _PRELUDE.size:
            return 0
        total, headers, checksum = _PRELUDE.unpack_from(self._buffer)
        if crc32(self._buffer[:8]) != checksum:
            raise ProviderShapeError("event stream: the checksum of a prelude is wrong")
        if not _LEAST + headers <= total <= LIMIT:
            raise ProviderShapeError(f"event stream: impossible lengths: {total} bytes, {headers} of headers")
        return int(total)


def _message(raw: bytes) -> Message:
    (checksum,) = _CRC.unpack_from(raw, len(raw) - _CRC.size)
    if crc32(raw[: -_CRC.size]) != checksum:
        raise ProviderShapeError("event stream: the checksum of a message is wrong")
    end = _PRELUDE.size + int.from_bytes(raw[4:8], "big")
    try:
        headers = _headers(raw[_PRELUDE.size : end])
    except (struct.error, KeyError, IndexError, ValueError, OverflowError) as error:
        raise ProviderShapeError(f"event stream: headers cannot be read: {error!r}") from error
    names = (":event-type", ":exception-type", ":error-code")
    event_type = next((str(headers[name]) for name in names if name in headers), "")
    return Message(event_type, raw[end : -_CRC.size], headers, raw)


def _headers(data: bytes) -> dict[str, Header]:
    headers: dict[str, Header] = {}
    at = 0
    while at < len(data):
        end = at + 1 + data[at]
        name = data[at + 1 : end].decode()
        headers[name], at = _value(data, end)
    return headers


def _value(data: bytes, at: int) -> tuple[Header, int]:
    kind, at = data[at], at + 1
    if kind < 2:  # 0 is true, 1 is false
        return kind == 0, at
    if kind in _INTEGERS:
        number = _INTEGERS[kind]
        return int(number.unpack_from(data, at)[0]), at + number.size
    if kind == 8:
        (milliseconds,) = _INTEGERS[5].unpack_from(data, at)
        return _EPOCH + timedelta(milliseconds=milliseconds), at + 8
    if kind == 9:
        return UUID(bytes=data[at : at + 16]), at + 16
    if kind not in (6, 7):
        raise ValueError(f"unknown header type {kind}")
    (length,) = _LENGTH.unpack_from(data, at)
    value = data[at + 2 : at + 2 + length]
    if len(value) < length:
        raise ValueError("a header ends early")
    return (value.decode() if kind == 7 else value), at + 2 + length


def encode(event_type: str, payload: bytes, headers: Mapping[str, Header] | None = None) -> bytes:
    """One message, as AWS would send it.

    ``headers`` come after the three usual ones (``:event-type``, ``:content-type`` JSON, ``:message-type`` event)
    and replace them where they have the same name.
    """
    usual = {":event-type": event_type, ":content-type": "application/json", ":message-type": "event"}
    packed = b"".join(_packed(name, value) for name, value in {**usual, **(headers or {})}.items())
    prelude = struct.pack(">II", _LEAST + len(packed) + len(payload), len(packed))
    message = prelude + _CRC.pack(crc32(prelude)) + packed + payload
    return message + _CRC.pack(crc32(message))


def _packed(name: str, value: Header) -> bytes:
    encoded = name.encode()
    return bytes((len(encoded),)) + encoded + _packed_value(value)


def _packed_value(value: Header) -> bytes:
    if isinstance(value, bool):
        return b"\0" if value else b"\1"
    if isinstance(value, int):
        return b"\5" + _INTEGERS[5].pack(value) if abs(value) >= 2**31 else b"\4" + _INTEGERS[4].pack(value)
    if isinstance(value, datetime):
        return b"\x08" + _INTEGERS[5].pack(round((value - _EPOCH) / timedelta(milliseconds=1)))
    if isinstance(value, UUID):
        return b"\x09" + value.bytes
    data = value.encode() if isinstance(value, str) else value
    return (b"\7" if isinstance(value, str) else b"\6") + _LENGTH.pack(len(data)) + data

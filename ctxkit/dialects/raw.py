"""An answer as it came over the wire, in one piece: JSON text, the text of a stream of events, or a list of events.

Front doors read streams as they pass; this is for whoever settles by hand and has the whole body.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ctxkit.dialects import eventstream, sse, wire
from ctxkit.errors import ProviderShapeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ctxkit.dialects.base import Dialect
    from ctxkit.model import Answer, Json

__all__ = ["read"]


def read(dialect: Dialect, platform: str, response: str | bytes | Mapping[str, Json] | Sequence[Json]) -> Answer:
    """What an answer says of itself.

    Args:
        dialect: the wire format of the request.
        platform: who served it.
        response: the JSON of a whole answer, parsed or not; the text of its server-sent events; the bytes of an AWS
            event stream; or a list of parsed events.

    Raises:
        ProviderShapeError: it is none of these.
    """
    if isinstance(response, str | bytes | bytearray | memoryview):
        return _read_text(dialect, platform, response.encode() if isinstance(response, str) else bytes(response))
    if isinstance(response, list | tuple):
        return _fed(dialect, platform, map(wire.dumps, response))
    if isinstance(response, Mapping):
        return dialect.answer(response, platform)
    raise ProviderShapeError(f"an answer is JSON, an event stream or a list of events, not {type(response).__name__}")


def _read_text(dialect: Dialect, platform: str, body: bytes) -> Answer:
    if eventstream.is_begun(body):
        return _fed(dialect, platform, _frames(body))
    if body.lstrip()[:1] in (b"{", b"["):
        return read(dialect, platform, wire.loads(body))
    events = [event.data for event in sse.split(body) if event.data]
    if not events:
        raise ProviderShapeError("the answer is neither JSON nor a stream of events")
    return _fed(dialect, platform, events)


def _frames(body: bytes) -> Iterator[bytes]:
    return (message.event for message in eventstream.Decoder().feed(body) if not message.failed)


def _fed(dialect: Dialect, platform: str, events: Iterable[bytes]) -> Answer:
    stream = dialect.stream(platform)
    for data in events:
        stream.feed(data)
    stream.end()
    return stream.answer()

"""Whether an answer is whole, to its last word, and whether the very same request may be answered with it again.

Settling asks what an answer did cost, and takes what it can get. This asks for more: every choice has come to an end that
is known and good (``stop``, ``end_turn``, a tool call), nothing was cut, filtered or refused, no error stands in it, it says
something, and a stream was seen to its own terminator, which is the last thing in it. What is not known to be whole is not.

A request may be answered again when it says all that its answer depends on. One that continues what a provider holds
under an id, runs in the background, or has the provider's own tools look at the world, may not. Each format knows its
own words for this, in a module called ``ends`` beside it; here stands what they share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ctxkit import dialects
from ctxkit.dialects import eventstream, sse, wire
from ctxkit.errors import ProviderShapeError

if TYPE_CHECKING:
    from ctxkit.dialects.base import Ends
    from ctxkit.model import Json

__all__ = ["DONE", "repeatable", "whole"]

DONE = "[DONE]"
"""What stands for the last event of OpenAI's chat streams, which is no JSON."""

_ODD = (ValueError, TypeError, AttributeError, LookupError)
"""What reading a shape that nobody foresaw may raise: it is not known to be whole."""


class Pieces(NamedTuple):
    """A body taken apart: its bytes by event, and what the events say."""

    raw: tuple[bytes, ...]
    said: tuple[Json, ...]
    streamed: bool


def repeatable(dialect: str, body: Json) -> bool:
    """The request says all that its answer depends on."""
    format_ = dialects.ends(dialect)
    try:
        return format_ is not None and isinstance(body, dict) and format_.repeatable(body)
    except _ODD:
        return False


def whole(dialect: str, body: Json, answer: bytes) -> tuple[bytes, ...] | None:
    """The answer cut where its events end (a whole JSON answer is one piece), or ``None``: it is not whole.

    Args:
        dialect: name of the wire format.
        body: the request.
        answer: all bytes of the answer's body, decoded.
    """
    format_ = dialects.ends(dialect)
    try:
        pieces = _pieces(answer)
        good = format_ is not None and _good(format_, pieces, body)
    except (ProviderShapeError, *_ODD):
        return None
    return pieces.raw if good else None


def _good(format_: Ends, pieces: Pieces, body: Json) -> bool:
    said = pieces.said
    if not said or any(isinstance(one, dict) and one.get("error") for one in said):
        return False
    return format_.streamed(said, body) if pieces.streamed else format_.whole(said[0], body)


def _pieces(answer: bytes) -> Pieces:
    """The body taken apart.

    Raises:
        ValueError, ProviderShapeError: it is cut, or none of the forms in which answers come.
    """
    if eventstream.is_begun(answer):
        return _frames(answer)
    if answer.lstrip()[:1] in (b"{", b"["):
        found = wire.loads(answer)
        listed = isinstance(found, list)  # Gemini streams a list when nobody asks for server-sent events
        return Pieces((answer,), tuple(found) if listed else (found,), listed)
    return _events(answer)


def _events(answer: bytes) -> Pieces:
    events = sse.split(answer)
    said = tuple(_said(event.data) for event in events if event.data)
    return Pieces(tuple(event.raw for event in events), said, streamed=True)


def _said(data: bytes) -> Json:
    return DONE if data.strip() == DONE.encode() else wire.loads(data)


def _frames(answer: bytes) -> Pieces:
    decoder = eventstream.Decoder()
    messages = decoder.feed(answer)
    if decoder.rest or any(message.failed for message in messages):
        raise ProviderShapeError("an event is cut, or says that something failed")
    return Pieces(
        tuple(message.raw for message in messages),
        tuple(wire.loads(message.event) for message in messages),
        streamed=True,
    )

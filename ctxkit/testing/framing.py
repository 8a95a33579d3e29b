"""How JSON becomes the bytes of an answer: whole, as server-sent events, in pieces of text."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from ctxkit.testing.values import Reply

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ctxkit.model import Json

__all__ = ["CREATED", "compact", "events", "whole", "words"]

CREATED = 1_790_000_000
"""Unix time that every answer claims; the server reads no clock."""

_WORD = re.compile(r"\S*\s*")


def compact(value: Json) -> bytes:
    """Compact JSON in UTF-8 with everything beyond ASCII as it is, so that U+2028 stands on the wire."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def whole(value: Json, headers: Mapping[str, str] | None = None) -> Reply:
    """An answer that is one JSON value."""
    return Reply(compact(value), headers=headers or {})


def events(items: Iterable[tuple[str | None, bytes]], end: str = "\n") -> Reply:
    """An answer of server-sent events: pairs of event name (or ``None``) and data; ``end`` ends a line."""
    pieces = [_event(name, data, end.encode()) for name, data in items]
    return Reply(
        b"".join(pieces), content_type="text/event-stream; charset=utf-8", chunks=tuple(len(piece) for piece in pieces)
    )


def _event(name: str | None, data: bytes, end: bytes) -> bytes:
    head = b"" if name is None else b"event: " + name.encode() + end
    return head + b"data: " + data + end + end


def words(text: str) -> list[str]:
    """A text in the pieces in which a model would stream it; they join to the text.

    >>> words("one two")
    ['one ', 'two']
    """
    return [piece for piece in _WORD.findall(text) if piece]

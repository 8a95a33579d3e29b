"""Markers of a recorded body: taken off, set as a well-cached application sets them, or given another life."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxkit import dialects
from ctxkit.cacheable import Breakpoint, Wish
from ctxkit.hall.retelling import opening_of
from ctxkit.model import Edit
from ctxkit.replay.hashing import HASHER

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxkit.cacheable import Block
    from ctxkit.model import Conversation, Json, Path

__all__ = ["living", "takes_markers", "unmarked", "well_marked"]

_FIELDS = {"anthropic.messages": "cache_control", "bedrock.converse": "cachePoint"}
"""Of the wires whose caches want to be told where a prefix ends; others find it themselves."""
_REASON = "where a well-cached application marks"


def takes_markers(dialect: str) -> bool:
    """Bodies of this wire say where a cached prefix ends."""
    return dialect in _FIELDS


def well_marked(body: dict[str, Json], dialect: str, ttl: str | None = None) -> dict[str, Json]:
    """The body with one marker behind the opening instruction and one at the tail, and no other.

    Where the wire has no markers, or its provider needs none, it stays as it is.
    """
    field, wire, named = _FIELDS.get(dialect), dialects.caches(dialect), dialects.get(dialect)
    if field is None or wire is None or named is None:
        return body
    bare = unmarked(body, dialect)
    view = named.view(bare)
    start = opening_of(view)
    paths = [_last(view, range(start), wire.blocks), _last(view, range(start, len(view.messages)), wire.blocks)]
    points = tuple(Breakpoint(path, ttl or "", _REASON) for path in paths if path is not None)
    edits = wire.mark(view, Wish(points, field)) if points else ()
    return dict(named.apply(bare, edits)) if edits else bare


def _last(view: Conversation, indices: range, blocks: Callable[[Any], tuple[Block, ...]]) -> Path | None:
    """The last block of these messages that may carry a marker."""
    for index in reversed(indices):
        for block in reversed(blocks(view.messages[index])):
            if block.markable:
                return block.path
    return None


def unmarked(body: dict[str, Json], dialect: str) -> dict[str, Json]:
    """The body without markers."""
    named, field = dialects.get(dialect), _FIELDS.get(dialect)
    if named is None or field is None:
        return body
    body = {key: value for key, value in body.items() if key != field} if field in body else body
    view = named.view(body)
    _, marked = HASHER.digests(view.messages, named.identity)
    edits = []
    for index in marked:
        message = view.messages[index]
        bare = named.identity(message.value)
        edits.append(Edit("replace" if bare else "drop", message.path, _REASON, bare))
    return dict(named.apply(body, edits)) if edits else body


def living(body: dict[str, Json], dialect: str, ttl: str) -> dict[str, Json]:
    """The body with its markers asking for another life."""
    named, field = dialects.get(dialect), _FIELDS.get(dialect)
    if named is None or field is None:
        return body
    if isinstance(body.get(field), dict):
        body = {**body, field: {**body[field], "ttl": ttl}}
    view = named.view(body)
    _, marked = HASHER.digests(view.messages, named.identity)
    edits = [
        Edit("replace", view.messages[index].path, _REASON, _with_life(view.messages[index].value, field, ttl))
        for index in marked
    ]
    return dict(named.apply(body, edits)) if edits else body


def _with_life(value: Json, field: str, ttl: str) -> Json:
    """A copy with the life in each marker; calls and schemas hold what is called so of the application's own."""
    if isinstance(value, list | tuple):
        return [_with_life(item, field, ttl) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: {**item, "ttl": ttl}
        if key == field and isinstance(item, dict)
        else _with_life(item, field, ttl)
        if key in ("content", "source")
        else item
        for key, item in value.items()
    }

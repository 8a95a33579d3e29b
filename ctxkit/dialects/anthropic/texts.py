"""What of a Messages request may be tidied: texts, results of tools, inputs of calls.

Reasoning and media have no pieces. Locked is what carries citations (they say where in the text they stand), what the
provider's own tools were called with and gave back (some of it is encrypted), and a call that code made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ctxkit.dialects.anthropic.blocks import read_block
from ctxkit.dialects.blocks import items, listed, mapped, said
from ctxkit.dialects.taking import Taken, held, thinking
from ctxkit.model import Edit

if TYPE_CHECKING:
    from ctxkit.editable import Piece, Speaker
    from ctxkit.model import Conversation, Json, Message, Path

__all__ = ["appended", "pieces", "written"]

_Block: TypeAlias = "dict[str, Json]"

_SPEAKERS: dict[str, Speaker] = {"user": "user", "assistant": "assistant", "system": "system"}
_SILENT = frozenset({"thinking", "redacted_thinking", "image", "document", "search_result", "browser_state"})
"""Blocks without words that could be changed."""


def pieces(message: Message, index: int) -> tuple[Piece, ...]:
    """One message or system text taken apart; nothing for a tool definition."""
    value, path = message.value, message.path
    if path[0] == "tools":
        return ()
    taken = Taken(index, _SPEAKERS.get(message.role))
    if path[0] == "messages":
        value, path = value.get("content"), (*path, "content")
    if isinstance(value, str):
        taken.said(path, value)
    elif listed(value):
        for place, block in enumerate(value):
            _block(taken, (*path, place), block)
    elif value is not None:
        _block(taken, path, value)
    return tuple(taken.found)


def _block(taken: Taken, path: Path, block: Json) -> None:
    kind = said(block.get("type")) if isinstance(block, dict) else ""
    if kind == "text":
        taken.said((*path, "text"), block.get("text"), locked=bool(block.get("citations")))
    elif kind == "tool_use":
        _call(taken, path, block)
    elif kind == "tool_result":
        _result(taken, path, block)
    elif kind.endswith(("_tool_use", "_tool_result")):
        _own(taken, path, block, kind)
    elif kind not in _SILENT:
        taken.stays(path)


def _call(taken: Taken, path: Path, block: _Block) -> None:
    by_code = said(mapped(block.get("caller")).get("type")) not in {"", "direct"}
    pair, name = said(block.get("id")) or None, said(block.get("name")) or None
    taken.called((*path, "input"), block.get("input"), pair, name, by_code=by_code)


def _result(taken: Taken, path: Path, block: _Block) -> None:
    """Each text of it; one that is empty where it has none."""
    content, path = block.get("content"), (*path, "content")
    pair, failed = said(block.get("tool_use_id")) or None, block.get("is_error") is True
    before = len(taken.found)
    if isinstance(content, str):
        taken.given(path, content, pair, failed=failed)
        return
    unknown = []
    for index, inner in enumerate(items(content)):
        kind, place = said(mapped(inner).get("type")), (*path, index)
        if kind == "text" and said(inner.get("text")):
            taken.given((*place, "text"), inner["text"], pair, failed=failed, locked=bool(inner.get("citations")))
        elif kind != "text" and kind not in _SILENT:
            unknown.append(place)  # a reference to a tool, say, that loads its definition
    if len(taken.found) == before:
        taken.given(path, "", pair, failed=failed)
    for place in unknown:
        taken.stays(place)


def _own(taken: Taken, path: Path, block: _Block, kind: str) -> None:
    """A tool that the provider runs itself."""
    text = read_block("", path, block)[0].text
    if kind.endswith("_tool_use"):
        taken.called(path, text, said(block.get("id")) or None, said(block.get("name")) or None, locked=True)
    else:
        taken.given(
            path, text, said(block.get("tool_use_id")) or None, failed=block.get("is_error") is True, locked=True
        )


def written(piece: Piece, text: str) -> Json:
    """The text itself; for the input of a call the object that it spells, or one that holds it."""
    return held(text, piece.text, "text") if piece.structured else text


def appended(conversation: Conversation, text: str, *, platform: str, model: str) -> Edit | None:  # noqa: ARG001 -- all alike
    """A block of text behind the last one of the last message, results of tools included; a prefill is left alone.

    Where thinking is held between a call and its result, words of a user would end the turn, and the thinking with it.
    """
    last = conversation.messages[-1] if conversation.messages else None
    if last is None or last.path[0] != "messages" or last.role != "user" or thinking(conversation.messages):
        return None
    content = last.value.get("content")
    if isinstance(content, str) and content:
        content = [{"type": "text", "text": content}]
    if not listed(content) or not content:
        return None
    return Edit("replace", (*last.path, "content"), "", [*content, {"type": "text", "text": text}])

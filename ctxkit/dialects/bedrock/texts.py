"""What of a Converse request may be tidied: texts, results of tools, inputs of calls.

Reasoning, media and cache points have no pieces; guarded and cited text is locked. A result that is JSON is replaced with
its block, for what it is to say instead may be text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ctxkit.dialects.blocks import items, joined, mapped, said
from ctxkit.dialects.taking import Taken, held, thinking
from ctxkit.model import Edit

if TYPE_CHECKING:
    from ctxkit.editable import Piece, Speaker
    from ctxkit.model import Conversation, Json, Message, Path

__all__ = ["appended", "pieces", "written"]

_Block: TypeAlias = "dict[str, Json]"

_SPEAKERS: dict[str, Speaker] = {"user": "user", "assistant": "assistant", "system": "system"}
_SILENT = frozenset({"reasoningContent", "image", "document", "video", "audio", "searchResult", "cachePoint"})


def pieces(message: Message, index: int) -> tuple[Piece, ...]:
    """One message or system block taken apart; nothing for a tool definition."""
    value, path = message.value, message.path
    if path[0] == "toolConfig":
        return ()
    taken = Taken(index, _SPEAKERS.get(message.role))
    if path[0] == "system":
        _block(taken, path, value)
        return tuple(taken.found)
    content, path = value.get("content"), (*path, "content")
    if isinstance(content, str):
        taken.said(path, content)
    for place, block in enumerate(items(content)):
        _block(taken, (*path, place), block)
    return tuple(taken.found)


def _block(taken: Taken, path: Path, block: Json) -> None:
    if not isinstance(block, dict):
        taken.stays(path)
    elif "text" in block:
        taken.said((*path, "text"), block["text"])
    elif "toolUse" in block:
        call = mapped(block["toolUse"])
        pair, name = said(call.get("toolUseId")) or None, said(call.get("name")) or None
        taken.called((*path, "toolUse", "input"), call.get("input"), pair, name)
    elif "toolResult" in block:
        _result(taken, (*path, "toolResult", "content"), mapped(block["toolResult"]))
    elif "citationsContent" in block:
        cited = mapped(block["citationsContent"]).get("content")
        taken.said(path, joined(said(mapped(item).get("text")) for item in items(cited)), locked=True)
    elif "guardContent" in block:
        taken.said(path, mapped(mapped(block["guardContent"]).get("text")).get("text"), locked=True)
    elif _SILENT.isdisjoint(block):
        taken.stays(path)


def _result(taken: Taken, path: Path, result: _Block) -> None:
    """Each text and each JSON value of it; one that is empty where it has none."""
    pair, failed = said(result.get("toolUseId")) or None, result.get("status") == "error"
    before = len(taken.found)
    unknown = []
    for index, block in enumerate(items(result.get("content"))):
        place, inner = (*path, index), mapped(block)
        if "json" in inner:
            place, value = _json(place, inner["json"])
            taken.given(place, value, pair, failed=failed)
        elif said(inner.get("text")):
            taken.given((*place, "text"), inner["text"], pair, failed=failed)
        elif "text" not in inner and _SILENT.isdisjoint(inner):
            unknown.append(place)
    if len(taken.found) == before:
        taken.given(path, "", pair, failed=failed)
    for place in unknown:
        taken.stays(place)


def _json(path: Path, value: Json) -> tuple[Path, Json]:
    """A value that is text, or holds one text and nothing else, is that text; any other stands for its block."""
    if isinstance(value, str):
        return (*path, "json"), value
    if isinstance(value, dict) and len(value) == 1:
        ((key, only),) = value.items()
        if isinstance(only, str):
            return (*path, "json", key), only
    return path, value


def written(piece: Piece, text: str) -> Json:
    """The text itself; for a call the object that it spells; for a result the block that says it."""
    if not piece.structured:
        return text
    value = held(text, piece.text, "text")
    if piece.kind == "arguments":
        return value
    return {"text": text} if value == {"text": text} else {"json": value}


def appended(conversation: Conversation, text: str, *, platform: str, model: str) -> Edit | None:  # noqa: ARG001 -- one
    """A block of text behind the last one of the last message; beside results of tools where the model is Claude.

    Other models refuse the two in one message ("conversation blocks and tool result blocks").
    """
    last = conversation.messages[-1] if conversation.messages else None
    if last is None or last.path[0] != "messages" or last.role != "user" or thinking(conversation.messages):
        return None
    content = items(last.value.get("content"))
    results = any("toolResult" in mapped(block) for block in content)
    if not content or (results and "claude" not in model.lower()):
        return None
    return Edit("replace", (*last.path, "content"), "", [*content, {"text": text}])

"""What of a chat request may be tidied: contents, results of tools, arguments of calls.

Reasoning, refusals, audio and whatever nobody knows are not for changing. Gemini behind this format keeps its thought
signature beside a call: such a call is locked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.dialects.blocks import items, listed, said
from ctxkit.dialects.openai.speaking import answered, spoken
from ctxkit.dialects.taking import Taken, held, thinking
from ctxkit.model import Edit

if TYPE_CHECKING:
    from ctxkit.editable import Piece, Speaker
    from ctxkit.model import Conversation, Json, Message, Path

__all__ = ["appended", "pieces", "written"]

_SPEAKERS: dict[str, Speaker] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_OWN = frozenset({"openai", "azure"})
_SIGNATURES = ("extra_content", "signature", "thought_signature")


def pieces(message: Message, index: int) -> tuple[Piece, ...]:
    """One message taken apart: content, then calls; nothing for a tool definition."""
    value, path = message.value, message.path
    if path[0] != "messages":
        return ()
    speaker = _SPEAKERS.get(message.role)
    taken = Taken(index, speaker)
    content = value.get("content")
    if speaker == "tool":
        name = said(value.get("name")) or None
        pair = said(value.get("tool_call_id")) or name
        answered(taken, (*path, "content"), content, pair, name)
        return tuple(taken.found)
    if content is not None:
        spoken(taken, (*path, "content"), content)
    if len(value) > 2:
        _beside(taken, path, value)
    return tuple(taken.found)


def _beside(taken: Taken, path: Path, value: dict[str, Json]) -> None:
    taken.said((*path, "refusal"), value.get("refusal"), locked=True)
    calls = value.get("tool_calls")
    for index, call in enumerate(items(calls)):
        _call(taken, (*path, "tool_calls", index), call)
    if calls and not listed(calls):
        taken.stays((*path, "tool_calls"))
    old = value.get("function_call")
    if isinstance(old, dict):
        name = said(old.get("name")) or None
        taken.called((*path, "function_call", "arguments"), old.get("arguments"), name, name)


def _call(taken: Taken, path: Path, call: Json) -> None:
    for kind, field in (("function", "arguments"), ("custom", "input")):
        inner = call.get(kind) if isinstance(call, dict) else None
        if isinstance(inner, dict):
            signed = any(call.get(key) for key in _SIGNATURES)
            pair, name = said(call.get("id")) or None, said(inner.get("name")) or None
            taken.called((*path, kind, field), inner.get(field), pair, name, locked=signed)
            return
    taken.stays(path)


def written(piece: Piece, text: str) -> Json:
    """The text itself; an object where a server takes arguments as one."""
    return held(text, piece.text, "text") if piece.structured else text


def appended(conversation: Conversation, text: str, *, platform: str, model: str) -> Edit | None:  # noqa: ARG001 -- all alike
    """Behind what a user said last; behind results of tools as a message of its own.

    A text becomes a list of two, and a message follows results, only on OpenAI's own platforms: other servers have
    templates that know neither. There the text goes on in the same string.
    """
    last = conversation.messages[-1] if conversation.messages else None
    if last is None or last.path[0] != "messages" or thinking(conversation.messages):
        return None
    own, content, added = platform in _OWN, last.value.get("content"), {"type": "text", "text": text}
    if last.role in ("tool", "function") and own:
        messages = [message.value for message in conversation.messages if message.path[0] == "messages"]
        return Edit("replace", ("messages",), "", [*messages, {"role": "user", "content": text}])
    if last.role != "user" or not content:
        return None
    if isinstance(content, str):
        said_on = [{"type": "text", "text": content}, added] if own else f"{content}\n\n{text}"
        return Edit("replace", (*last.path, "content"), "", said_on)
    return Edit("replace", (*last.path, "content"), "", [*content, added]) if listed(content) else None

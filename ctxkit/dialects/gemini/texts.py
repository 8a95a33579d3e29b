"""What of a Gemini request may be tidied: texts, responses of functions, arguments of calls; in both spellings.

Thoughts and media have no pieces. Locked is every part with a thought signature, and what Gemini's own tools did. A
function's response is an object: most put one text into it, and then that text is the piece.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeAlias

from ctxkit.dialects.blocks import each, items, listed, mapped, said
from ctxkit.dialects.taking import Taken, held, thinking
from ctxkit.model import Edit

if TYPE_CHECKING:
    from ctxkit.editable import Piece, Speaker
    from ctxkit.model import Conversation, Json, Message, Path

__all__ = ["appended", "pieces", "written"]

_Part: TypeAlias = "dict[str, Json]"

_SPEAKERS: dict[str, Speaker] = {"user": "user", "model": "assistant", "function": "tool", "system": "system"}
_SYSTEM = frozenset({"systemInstruction", "system_instruction"})
_CALLS = ("functionCall", "function_call")
_RESPONSES = ("functionResponse", "function_response")
_OWN_CALLS = ("executableCode", "executable_code", "toolCall", "tool_call")
_OWN_RESPONSES = ("codeExecutionResult", "code_execution_result", "toolResponse", "tool_response")
_MEDIA = ("inlineData", "inline_data", "fileData", "file_data")
_SIGNATURES = ("thoughtSignature", "thought_signature")


def pieces(message: Message, index: int) -> tuple[Piece, ...]:
    """One content taken apart; nothing for a tool definition."""
    value, path = message.value, message.path
    if path[0] == "tools":
        return ()
    taken = Taken(index, "system" if path[0] in _SYSTEM else _SPEAKERS.get(message.role))
    if isinstance(value, str):
        taken.said(path, value)
        return tuple(taken.found)
    inner, path = mapped(value).get("parts"), (*path, "parts")
    calls: Counter[str] = Counter()
    for place, part in each(inner, path) if listed(inner) else [(path, inner)]:
        if isinstance(part, str):
            taken.said(place, part)
        elif isinstance(part, dict):
            _part(taken, place, part, calls)
    return tuple(taken.found)


def _part(taken: Taken, path: Path, part: _Part, calls: Counter[str]) -> None:
    signed = any(part.get(key) for key in _SIGNATURES)
    if (field := _field(part, _CALLS)) is not None:
        call, path = part[field], (*path, field, "args")
        taken.called(path, call.get("args"), _pair(call, calls), said(call.get("name")) or None, locked=signed)
    elif (field := _field(part, _RESPONSES)) is not None:
        _response(taken, (*path, field, "response"), part[field], _pair(part[field], calls), signed)
    elif (field := _field(part, _OWN_CALLS)) is not None:
        taken.called((*path, field), part[field], said(part[field].get("id")) or None, locked=True)
    elif (field := _field(part, _OWN_RESPONSES)) is not None:
        taken.given((*path, field), part[field], said(part[field].get("id")) or None, locked=True)
    elif isinstance(part.get("text"), str):
        if not part.get("thought"):
            taken.said((*path, "text"), part["text"], locked=signed)
    elif not part.get("thought") and not signed and _field(part, _MEDIA) is None:
        taken.stays(path)


def _field(part: _Part, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if isinstance(part.get(name), dict)), None)


def _pair(call: _Part, calls: Counter[str]) -> str | None:
    """The id; without one the name, with a number where a function comes again in one content: order tells them apart."""
    if pair := said(call.get("id")):
        return pair
    name = said(call.get("name"))
    calls[name] += 1
    return (f"{name}#{calls[name]}" if calls[name] > 1 else name) or None


def _response(taken: Taken, path: Path, call: _Part, pair: str | None, signed: bool) -> None:
    value, name = call.get("response"), said(call.get("name")) or None
    failed = isinstance(value, dict) and value.keys() == {"error"}
    if isinstance(value, dict) and len(value) == 1:
        ((key, only),) = value.items()
        if isinstance(only, str):
            path, value = (*path, key), only
    taken.given(path, value, pair, name, failed=failed, locked=signed)


def written(piece: Piece, text: str) -> Json:
    """The text itself; the object that it spells, or one that holds it as the output of a function."""
    if not piece.structured:
        return text
    return held(text, piece.text, "output" if piece.kind == "result" else "text")


def appended(conversation: Conversation, text: str, *, platform: str, model: str) -> Edit | None:  # noqa: ARG001 -- all alike
    """A part behind the last one of what a user said; nothing behind responses of functions, which stand alone."""
    last = conversation.messages[-1] if conversation.messages else None
    if last is None or last.path[0] != "contents" or last.role != "user" or thinking(conversation.messages):
        return None
    parts = items(mapped(last.value).get("parts"))
    if not parts or any(_field(mapped(part), (*_RESPONSES, *_OWN_RESPONSES)) for part in parts):
        return None
    return Edit("replace", (*last.path, "parts"), "", [*parts, {"text": text}])

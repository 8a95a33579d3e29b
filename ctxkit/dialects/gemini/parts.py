"""The parts of a Gemini content: one reader for each kind of part, in both spellings of every field.

Source: Content and Part of the Gemini API (google-genai 3.4.0) and recorded requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ctxkit.dialects.blocks import each, leftovers, listed, mapped, said, spell, unknown
from ctxkit.model import Part

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxkit.model import Json, Message, PartKind, Path

__all__ = ["read_content", "read_text", "read_tool"]

_Fields: TypeAlias = "dict[str, Json]"

_KNOWN = frozenset({"role", "parts"})
_DECLARATIONS = ("functionDeclarations", "function_declarations")


def _first(value: _Fields, *names: str) -> Json:
    """The first of these fields that is there and not null."""
    for name in names:
        if value.get(name) is not None:
            return value[name]
    return None


def read_text(message: Message) -> tuple[Part, ...]:
    """A content that is a bare text."""
    if isinstance(message.value, str):
        return (Part("text", message.role, message.path, message.value, message.value),)
    return (unknown(message.role, message.path, message.value),)


def read_content(message: Message) -> tuple[Part, ...]:
    """The parts of one content (``parts`` may be a single one), then fields that nobody knows."""
    inner = message.value.get("parts")
    path = (*message.path, "parts")
    parts: list[Part] = []
    if isinstance(inner, dict):
        parts += _part(message.role, path, inner)
    elif listed(inner):
        for place, part in each(inner, path):
            parts += _part(message.role, place, part)
    elif inner is not None:
        parts.append(unknown(message.role, path, inner))
    return (*parts, *leftovers(message, _KNOWN))


def read_tool(message: Message) -> tuple[Part, ...]:
    """One part for each function that a tool declares and for each tool of the provider's own."""
    tool = message.value
    if not isinstance(tool, dict):
        return (unknown(message.role, message.path, tool),)
    parts: list[Part] = []
    for key, value in tool.items():
        path = (*message.path, key)
        if key in _DECLARATIONS and listed(value):
            parts += [_declaration(message.role, place, declared) for place, declared in each(value, path)]
        else:
            parts.append(Part("tool", message.role, path, value, spell({key: value}), name=str(key)))
    return tuple(parts)


def _declaration(role: str, path: Path, declared: Json) -> Part:
    name = declared.get("name") if isinstance(declared, dict) else None
    return Part("tool", role, path, declared, spell(declared), name=said(name) or None)


def _part(role: str, path: Path, part: Json) -> tuple[Part, ...]:
    if not isinstance(part, dict):
        kind: PartKind = "text" if isinstance(part, str) else "other"
        return (unknown(role, path, part)._replace(kind=kind),)
    signed = bool(_first(part, "thoughtSignature", "thought_signature"))
    for field, reader in _READERS:
        if part.get(field) is not None:
            return tuple(found._replace(signed=signed) for found in reader(role, path, part, field))
    if signed or part.get("thought"):
        return (Part("reasoning", role, path, part, signed=signed),)
    return (unknown(role, path, part),)


def _text(role: str, path: Path, part: _Fields, field: str) -> tuple[Part, ...]:
    kind: PartKind = "reasoning" if part.get("thought") else "text"
    return (Part(kind, role, path, part, said(part[field])),)


def _call(role: str, path: Path, part: _Fields, field: str) -> tuple[Part, ...]:
    call = mapped(part[field])
    name = said(_first(call, "name", "toolType", "tool_type")) or None
    return (Part("tool_call", role, path, part, spell(call.get("args") or {}), said(call.get("id")) or name, name),)


def _result(role: str, path: Path, part: _Fields, field: str) -> tuple[Part, ...]:
    result = mapped(part[field])
    name = said(_first(result, "name", "toolType", "tool_type")) or None
    pair = said(result.get("id")) or name
    found = [Part("tool_result", role, path, part, _outcome(result.get("response")), pair, name)]
    for place, inner in each(result.get("parts"), (*path, field, "parts")):
        found += _part(role, place, inner)
    return tuple(found)


def _outcome(response: Json) -> str:
    """The text of a function's response: the wire wants an object, so most put their text under one key."""
    if response is None or isinstance(response, str):
        return response or ""
    if isinstance(response, dict) and len(response) == 1:
        (only,) = response.values()
        if isinstance(only, str):
            return only
    return spell(response)


def _media(role: str, path: Path, part: _Fields, field: str) -> tuple[Part, ...]:
    family = said(_first(mapped(part[field]), "mimeType", "mime_type")).partition("/")[0].lower()
    return (Part(_MEDIA.get(family, "document"), role, path, part),)


def _code(role: str, path: Path, part: _Fields, field: str) -> tuple[Part, ...]:
    code = mapped(part[field])
    pair = said(code.get("id")) or None
    return (Part("tool_call", role, path, part, said(code.get("code")), pair, "code_execution"),)


def _code_result(role: str, path: Path, part: _Fields, field: str) -> tuple[Part, ...]:
    result = mapped(part[field])
    pair = said(result.get("id")) or None
    return (Part("tool_result", role, path, part, said(result.get("output")), pair, "code_execution"),)


_MEDIA: dict[str, PartKind] = {"image": "image", "audio": "audio", "video": "video"}

_READERS: tuple[tuple[str, Callable[[str, Path, _Fields, str], tuple[Part, ...]]], ...] = (
    ("text", _text),
    ("functionCall", _call),
    ("functionResponse", _result),
    ("inlineData", _media),
    ("fileData", _media),
    ("executableCode", _code),
    ("codeExecutionResult", _code_result),
    ("toolCall", _call),
    ("toolResponse", _result),
    ("function_call", _call),
    ("function_response", _result),
    ("inline_data", _media),
    ("file_data", _media),
    ("executable_code", _code),
    ("code_execution_result", _code_result),
    ("tool_call", _call),
    ("tool_response", _result),
)
"""What a part holds, by its field: a part holds one of them, whatever else stands beside it."""

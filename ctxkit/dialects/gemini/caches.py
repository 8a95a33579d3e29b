"""What Gemini's caches see of a request: its parts, and the handle it names. There are no markers.

Source: Gemini API, context caching (2026-09-11). Any change of the prefix is another prefix; nothing is documented of
parameters, so none are told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.cacheable import Ask, Block
from ctxkit.dialects.blocks import MEDIA_SIZE, listed, mapped, size_of

if TYPE_CHECKING:
    from ctxkit.cacheable import Tier, Wish
    from ctxkit.model import Conversation, Edit, Json, Message, PartKind, Path

__all__ = ["OPTIONS", "ask", "blocks", "mark"]

OPTIONS = False

_ROLES = {"user": "user", "model": "assistant", "system": "system", "function": "tool"}
_MEDIA = frozenset({"inlineData", "inline_data", "fileData", "file_data"})
_CALLS = frozenset({"functionCall", "function_call", "executableCode", "executable_code", "toolCall", "tool_call"})
_RESULTS = frozenset(
    {
        "functionResponse",
        "function_response",
        "codeExecutionResult",
        "code_execution_result",
        "toolResponse",
        "tool_response",
    }
)


def blocks(message: Message) -> tuple[Block, ...]:
    """The parts of one content, or one tool."""
    value, path = message.value, message.path
    if path[0] == "tools":
        return (Block("tools", "tools", "tool", path, value, size=size_of(value)),)
    tier: Tier = "messages" if path[0] == "contents" else "system"
    role = _ROLES.get(message.role, "other")
    if not isinstance(value, dict) or "parts" not in value:
        return (_part(tier, role, path, value),)
    parts, path = value["parts"], (*path, "parts")
    if listed(parts):
        return tuple(_part(tier, role, (*path, index), part) for index, part in enumerate(parts))
    return (_part(tier, role, path, parts),) if parts is not None else ()


def _part(tier: Tier, role: str, path: Path, part: Json) -> Block:
    if isinstance(part, str):
        return Block(tier, role, "text", path, part, size=len(part))
    if not isinstance(part, dict):
        return Block(tier, role, "other", path, part, size=size_of(part))
    kind = _kind(part)
    text = part.get("text")
    plain = isinstance(text, str) and len(part) == 1
    size = MEDIA_SIZE if kind in {"image", "audio", "video", "document"} else size_of(part)
    return Block(tier, "tool" if kind == "tool_result" else role, kind, path, text if plain else part, size=size)


def _kind(part: dict[str, Json]) -> PartKind:
    for key, value in part.items():
        if key in _MEDIA:
            return _media(mapped(value))
        if key in _CALLS:
            return "tool_call"
        if key in _RESULTS:
            return "tool_result"
    if part.get("thought"):
        return "reasoning"
    return "text" if "text" in part else "other"


def _media(data: dict[str, Json]) -> PartKind:
    family = str(data.get("mimeType") or data.get("mime_type") or "").partition("/")[0].lower()
    known: dict[str, PartKind] = {"image": "image", "audio": "audio", "video": "video"}
    return known.get(family, "document")


def ask(conversation: Conversation) -> Ask:
    """The handle that the request reads, if any."""
    return Ask(handle=conversation.server_history)


def mark(conversation: Conversation, wish: Wish) -> tuple[Edit, ...]:  # noqa: ARG001 -- the wire has no markers
    """Nothing: the only thing to be said to these caches is the name of a handle."""
    return ()

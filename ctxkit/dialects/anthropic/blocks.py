"""The parts of an Anthropic message: one reader for each kind of block.

Blocks that are not listed are taken by the end of their type (``..._tool_use``, ``..._tool_result``) or shown as
``other``, so a block type of tomorrow is counted and passed on, never an error.
Source: content block types of the anthropic SDK 2.11.0 and recorded requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ctxkit.dialects.blocks import each, joined, leftovers, listed, said, spell, unknown
from ctxkit.model import Part

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxkit.model import Json, Message, Path

__all__ = ["read_block", "read_message", "read_tool", "read_whole"]

_Block: TypeAlias = "dict[str, Json]"

_KNOWN = frozenset({"role", "content"})
_MEDIA = frozenset({"image", "document"})


def read_whole(message: Message) -> tuple[Part, ...]:
    """A message that is one text."""
    return (Part("text", message.role, message.path, message.value, said(message.value)),)


def read_message(message: Message) -> tuple[Part, ...]:
    """The parts of one message: its text or blocks, then fields that nobody knows."""
    content = message.value.get("content")
    path = (*message.path, "content")
    parts: list[Part] = []
    if isinstance(content, str):
        parts.append(Part("text", message.role, path, content, content))
    elif listed(content):
        for place, block in each(content, path):
            parts += read_block(message.role, place, block)
    elif content is not None:
        parts.append(unknown(message.role, path, content))
    return (*parts, *leftovers(message, _KNOWN))


def read_tool(message: Message) -> tuple[Part, ...]:
    """A tool definition as one part, without its marker in the text."""
    tool = message.value
    if not isinstance(tool, dict):
        return (unknown(message.role, message.path, tool),)
    text = spell({key: value for key, value in tool.items() if key != "cache_control"})
    # An MCP toolset stands for the tools of a server and carries that server's name instead of its own.
    name = tool.get("name") or tool.get("mcp_server_name")
    return (Part("tool", message.role, message.path, tool, text, name=said(name) or None),)


def read_block(role: str, path: Path, block: Json) -> tuple[Part, ...]:
    """The parts of one block: itself, and media that stand inside a tool result or document."""
    kind = block.get("type") if isinstance(block, dict) else None
    if not isinstance(kind, str):
        return (unknown(role, path, block),)
    reader = _READERS.get(kind)
    if reader is None:
        reader = _tool_call if kind.endswith("_tool_use") else _tool_result if kind.endswith("_tool_result") else _other
    return reader(role, path, block)


def _text(role: str, path: Path, block: _Block) -> tuple[Part, ...]:
    # Citations of web search carry an encrypted index that must come back as it was.
    signed = any("encrypted_index" in item for _, item in each(block.get("citations"), ()) if isinstance(item, dict))
    return (Part("text", role, path, block, said(block.get("text")), signed=signed),)


def _image(role: str, path: Path, block: _Block) -> tuple[Part, ...]:
    return (Part("image", role, path, block),)


def _document(role: str, path: Path, block: _Block) -> tuple[Part, ...]:
    source = block.get("source")
    inner: Json = source.get("content") if isinstance(source, dict) else None
    text = joined((said(block.get("title")), said(block.get("context")), _document_text(source)))
    return (Part("document", role, path, block, text), *_media(role, (*path, "source", "content"), inner))


def _document_text(source: Json) -> str:
    if not isinstance(source, dict):
        return ""
    if source.get("type") == "text":
        return said(source.get("data"))
    return _spoken(source.get("content"))


def _search_result(role: str, path: Path, block: _Block) -> tuple[Part, ...]:
    return (Part("document", role, path, block, _spoken(block)),)


def _reasoning(role: str, path: Path, block: _Block) -> tuple[Part, ...]:
    signed = bool(block.get("signature")) or block["type"] == "redacted_thinking"
    return (Part("reasoning", role, path, block, said(block.get("thinking")), signed=signed),)


def _tool_call(role: str, path: Path, block: _Block) -> tuple[Part, ...]:
    name, pair = said(block.get("name")) or None, said(block.get("id")) or None
    return (Part("tool_call", role, path, block, spell(block.get("input")), pair, name),)


def _tool_result(role: str, path: Path, block: _Block) -> tuple[Part, ...]:
    content = block.get("content")
    pair = said(block.get("tool_use_id")) or None
    result = Part("tool_result", role, path, block, _spoken(content), pair, signed=_encrypted(content))
    return (result, *_media(role, (*path, "content"), content))


def _tool_change(role: str, path: Path, block: _Block) -> tuple[Part, ...]:
    """``tool_addition`` and ``tool_removal`` inside the conversation."""
    tool = block.get("tool")
    name = tool.get("name") if isinstance(tool, dict) else None
    return (Part("tool", role, path, block, spell(tool), name=said(name) or None),)


def _compaction(role: str, path: Path, block: _Block) -> tuple[Part, ...]:
    # The server's own summary of what stood before: it has to come back as it was written.
    return (Part("other", role, path, block, said(block.get("content")), signed=True),)


def _other(role: str, path: Path, block: _Block) -> tuple[Part, ...]:
    return (unknown(role, path, block),)


_READERS: dict[str, Callable[[str, Path, _Block], tuple[Part, ...]]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
    "thinking": _reasoning,
    "redacted_thinking": _reasoning,
    "tool_use": _tool_call,
    "tool_result": _tool_result,
    "tool_addition": _tool_change,
    "tool_removal": _tool_change,
    "compaction": _compaction,
}


def _media(role: str, path: Path, content: Json) -> tuple[Part, ...]:
    """Images and documents inside ``content``, each a part of its own."""
    found: list[Part] = []
    for place, block in each(content, path):
        if isinstance(block, dict) and said(block.get("type")) in _MEDIA:
            found += read_block(role, place, block)
    return tuple(found)


def _encrypted(content: Json) -> bool:
    blocks = content if listed(content) else (content,)
    return any(key.startswith("encrypted_") for block in blocks if isinstance(block, dict) for key in map(str, block))


def _spoken(content: Json) -> str:
    """The text in what a tool gave back, media apart."""
    if isinstance(content, str):
        return content
    if listed(content):
        return joined(map(_spoken, content))
    if not isinstance(content, dict) or said(content.get("type")) in _MEDIA:
        return ""
    fields = _SPOKEN.get(said(content.get("type")))
    if fields is None:
        return spell({key: value for key, value in content.items() if not str(key).startswith("encrypted_")})
    return joined(_spoken(content.get(field)) for field in fields)


_SPOKEN: dict[str, tuple[str, ...]] = {
    "text": ("text",),
    "search_result": ("title", "source", "content"),
    "web_search_result": ("title", "url", "page_age"),
    "tool_reference": ("tool_name",),
    "tool_search_tool_search_result": ("tool_references",),
    "code_execution_result": ("stdout", "stderr"),
    "bash_code_execution_result": ("stdout", "stderr"),
    "advisor_result": ("text",),
}
"""Fields of result blocks that hold text; any other block is read as JSON."""

"""The parts of a Converse message: one reader for each kind of block, named by its only key.

A block whose key is not listed is shown as ``other``. Source: botocore 1.44.5 (bedrock-runtime), ContentBlock,
SystemContentBlock, Tool and ToolResultContentBlock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.dialects.blocks import each, joined, leftovers, listed, mapped, said, spell, unknown
from ctxkit.model import Part

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxkit.model import Json, Message, PartKind, Path

__all__ = ["read_message", "read_system", "read_tool"]

_KNOWN = frozenset({"role", "content"})
_MEDIA: dict[str, PartKind] = {"image": "image", "document": "document", "video": "video", "audio": "audio"}


def read_message(message: Message) -> tuple[Part, ...]:
    """The parts of one message, then fields that nobody knows."""
    content = message.value.get("content")
    path = (*message.path, "content")
    parts: list[Part] = []
    if listed(content):
        for place, block in each(content, path):
            parts += _block(message.role, place, block)
    elif isinstance(content, str):
        parts.append(Part("text", message.role, path, content, content))
    elif content is not None:
        parts.append(unknown(message.role, path, content))
    return (*parts, *leftovers(message, _KNOWN))


def read_system(message: Message) -> tuple[Part, ...]:
    """The parts of one system block."""
    return _block(message.role, message.path, message.value)


def read_tool(message: Message) -> tuple[Part, ...]:
    """A tool definition, a tool of the provider's own, or a marker between them."""
    tool = message.value
    if not isinstance(tool, dict):
        return (unknown(message.role, message.path, tool),)
    if "cachePoint" in tool:
        return (Part("marker", message.role, message.path, tool),)
    for spec in tool.values():
        if isinstance(spec, dict):
            return (Part("tool", message.role, message.path, tool, spell(spec), name=said(spec.get("name")) or None),)
    return (unknown(message.role, message.path, tool),)


def _block(role: str, path: Path, block: Json) -> tuple[Part, ...]:
    if isinstance(block, dict):
        for key, reader in _READERS.items():
            if key in block:
                return reader(role, path, block)
    return (unknown(role, path, block),)


def _text(role: str, path: Path, block: dict[str, Json]) -> tuple[Part, ...]:
    return (Part("text", role, path, block, said(block["text"])),)


def _guarded(role: str, path: Path, block: dict[str, Json]) -> tuple[Part, ...]:
    guarded = mapped(block.get("guardContent"))
    kind: PartKind = "image" if "image" in guarded else "text"
    return (Part(kind, role, path, block, said(mapped(guarded.get("text")).get("text"))),)


def _marker(role: str, path: Path, block: dict[str, Json]) -> tuple[Part, ...]:
    return (Part("marker", role, path, block),)


def _media(role: str, path: Path, block: dict[str, Json]) -> tuple[Part, ...]:
    key = next(key for key in _MEDIA if key in block)
    media = mapped(block.get(key))
    source = mapped(media.get("source"))
    # A document may be given as text or as blocks of text.
    text = joined((said(media.get("context")), said(source.get("text")), _spoken(source.get("content"))))
    return (Part(_MEDIA[key], role, path, block, text),)


def _call(role: str, path: Path, block: dict[str, Json]) -> tuple[Part, ...]:
    call = mapped(block.get("toolUse"))
    pair, name = said(call.get("toolUseId")) or None, said(call.get("name")) or None
    return (Part("tool_call", role, path, block, spell(call.get("input")), pair, name),)


def _result(role: str, path: Path, block: dict[str, Json]) -> tuple[Part, ...]:
    result = mapped(block.get("toolResult"))
    content = result.get("content")
    pair = said(result.get("toolUseId")) or None
    parts = [Part("tool_result", role, path, block, _spoken(content), pair)]
    for place, inner in each(content, (*path, "toolResult", "content")):
        if isinstance(inner, dict) and not _MEDIA.keys().isdisjoint(inner):
            parts += _block(role, place, inner)
    return tuple(parts)


def _reasoning(role: str, path: Path, block: dict[str, Json]) -> tuple[Part, ...]:
    reasoning = mapped(block.get("reasoningContent"))
    plain = mapped(reasoning.get("reasoningText"))
    signed = bool(plain.get("signature")) or "redactedContent" in reasoning
    return (Part("reasoning", role, path, block, said(plain.get("text")), signed=signed),)


def _cited(role: str, path: Path, block: dict[str, Json]) -> tuple[Part, ...]:
    return (Part("text", role, path, block, _spoken(mapped(block.get("citationsContent")).get("content"))),)


def _found(role: str, path: Path, block: dict[str, Json]) -> tuple[Part, ...]:
    return (Part("document", role, path, block, _spoken(block)),)


_READERS: dict[str, Callable[[str, Path, dict[str, Json]], tuple[Part, ...]]] = {
    "text": _text,
    "toolUse": _call,
    "toolResult": _result,
    "reasoningContent": _reasoning,
    "citationsContent": _cited,
    "guardContent": _guarded,
    "searchResult": _found,
    **dict.fromkeys(_MEDIA, _media),
    "cachePoint": _marker,  # last: Nova also takes it as a field beside the text it marks
}


def _spoken(content: Json) -> str:
    """The text in what a tool gave back, or in cited blocks, media apart."""
    if isinstance(content, str):
        return content
    if listed(content):
        return joined(map(_spoken, content))
    if not isinstance(content, dict) or not _MEDIA.keys().isdisjoint(content):
        return ""
    if "text" in content:
        return said(content["text"])
    if isinstance(found := content.get("searchResult"), dict):
        return joined((said(found.get("title")), said(found.get("source")), _spoken(found.get("content"))))
    return spell(content.get("json", content))

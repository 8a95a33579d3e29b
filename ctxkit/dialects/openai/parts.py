"""Content blocks of OpenAI's two formats, and of the servers that speak them: what each is to the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.dialects.blocks import joined, listed, said, spell, unknown
from ctxkit.model import Part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxkit.model import Json, PartKind, Path

__all__ = ["MARKERS", "MEDIA", "block_parts", "content_parts", "result_parts", "unmarked"]

MARKERS = frozenset(("cache_control", "prompt_cache_breakpoint"))
"""Fields that only tell the provider's cache where a prefix ends."""

_TEXT = {
    "text": "text",
    "input_text": "text",
    "output_text": "text",
    "summary_text": "text",
    "reasoning_text": "text",
    "refusal": "refusal",
}
MEDIA: dict[str, PartKind] = {
    "image_url": "image",
    "image": "image",
    "input_image": "image",
    "computer_screenshot": "image",
    "input_audio": "audio",
    "audio_url": "audio",
    "video_url": "video",
    "input_video": "video",
    "video": "video",
    "file": "document",
    "input_file": "document",
    "document_url": "document",
    "file_url": "document",
}
"""Blocks that hold or name media, by their type."""


def unmarked(value: Json) -> Json:
    """An object without its cache markers: the same object when there are none."""
    if value.__class__ is not dict or MARKERS.isdisjoint(value):
        return value
    return {key: item for key, item in value.items() if key not in MARKERS}


def content_parts(content: Json, role: str, path: Path) -> Iterator[Part]:
    """Parts of a message's content: a text, or a list of blocks."""
    if isinstance(content, str):
        yield Part("text", role, path, content, content)
    elif listed(content):
        for index, block in enumerate(content):
            yield from block_parts(block, role, (*path, index))
    else:
        yield from block_parts(content, role, path)


def block_parts(block: Json, role: str, path: Path) -> Iterator[Part]:
    """Parts of one block; one that nobody knows is ``other``."""
    if isinstance(block, str):  # some servers take bare strings among the blocks
        yield Part("text", role, path, block, block)
        return
    if not isinstance(block, dict):
        yield unknown(role, path, block)
        return
    kind = _kind(block)
    if kind in _TEXT:
        yield Part("text", role, path, block, said(block.get(_TEXT[kind])) or said(block.get("text")))
    elif kind in MEDIA:
        yield Part(MEDIA[kind], role, path, block, said(block.get("text")))
    elif kind == "thinking":
        yield Part("reasoning", role, path, block, _thoughts(block), signed=bool(block.get("signature")))
    else:
        yield unknown(role, path, block)


def _kind(block: dict[str, Json]) -> str:
    """The block's type; without one, the only field that could be one (``{"image_url": ...}``)."""
    kind = block.get("type")
    if isinstance(kind, str):
        return kind
    return next((key for key in block if key in MEDIA or key == "text"), "")


def _thoughts(block: dict[str, Json]) -> str:
    """Mistral: a list of text blocks; others: a text."""
    thoughts = block.get("thinking")
    return joined(map(text_of, thoughts)) if isinstance(thoughts, list | tuple) else said(thoughts)


def text_of(block: Json) -> str:
    """The text of a block that has any; ``""`` for media."""
    if isinstance(block, str):
        return block
    if not isinstance(block, dict):
        return ""
    kind = _kind(block)
    if kind in _TEXT:
        return said(block.get(_TEXT[kind])) or said(block.get("text"))
    return "" if kind in MEDIA else spell(block)


def result_parts(
    content: Json, role: str, path: Path, *, pair: str | None = None, name: str | None = None
) -> Iterator[Part]:
    """What a tool gave back: one result with all its text, and its media as parts of their own."""
    if isinstance(content, str):
        yield Part("tool_result", role, path, content, content, pair=pair, name=name)
        return
    blocks = content if listed(content) else (content,)
    yield Part("tool_result", role, path, content, joined(map(text_of, blocks)), pair=pair, name=name)
    for index, block in enumerate(blocks):
        if isinstance(block, dict) and _kind(block) in MEDIA:
            yield from block_parts(block, role, (*path, index) if listed(content) else path)

"""Pieces of content in OpenAI's two formats: what was said, and what tools gave back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.dialects.blocks import listed
from ctxkit.dialects.openai.parts import MEDIA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxkit.dialects.taking import Taken
    from ctxkit.model import Json, Path

__all__ = ["answered", "spoken"]

_TEXTS = frozenset({"text", "input_text", "output_text"})
_SILENT = frozenset({*MEDIA, "thinking"})
"""Blocks without words of their own: media and reasoning."""


def spoken(taken: Taken, path: Path, content: Json) -> None:
    """A text, or a list of blocks. What carries citations is locked: they say where in the text they stand."""
    for place, block in _blocks(path, content):
        if isinstance(block, str):
            taken.said(place, block)
        elif (field := _field(block)) is not None:
            taken.said((*place, field), block[field], locked=field == "refusal" or bool(block.get("annotations")))
        elif not _silent(block):
            taken.stays(place)


def answered(taken: Taken, path: Path, content: Json, pair: str | None, name: str | None = None) -> None:
    """The same of what a tool gave back, each text a result; where there is no text, one that is empty and locked."""
    before = len(taken.found)
    for place, block in _blocks(path, content):
        if isinstance(block, str) and block:
            taken.given(place, block, pair, name)
        elif isinstance(block, dict) and (field := _field(block)) is not None and block[field]:
            taken.given((*place, field), block[field], pair, name)
    if len(taken.found) == before:
        taken.given(path, "", pair, name)
    for place, block in _blocks(path, content) if listed(content) else ():
        if not isinstance(block, str) and _field(block) is None and not _silent(block):
            taken.stays(place)


def _blocks(path: Path, content: Json) -> Iterator[tuple[Path, Json]]:
    if not listed(content):
        if content is not None:
            yield path, content
        return
    for index, block in enumerate(content):
        yield (*path, index), block


def _field(block: Json) -> str | None:
    """The field that holds the words of a block of text; a block without a type is one if it has a text."""
    if isinstance(block, dict):
        kind = block.get("type")
        if kind == "refusal":
            return "refusal" if isinstance(block.get("refusal"), str) else None
        if (kind is None or (isinstance(kind, str) and kind in _TEXTS)) and isinstance(block.get("text"), str):
            return "text"
    return None


def _silent(block: Json) -> bool:
    """Media, reasoning, an empty block."""
    if not isinstance(block, dict):
        return block is None
    kind = block.get("type")
    return kind in _SILENT if isinstance(kind, str) else not _SILENT.isdisjoint(block)

"""Expected tokens of images, documents, audio and video for models that are not OpenAI's, and how far off they may be.

Sources: Anthropic, vision and PDF support (2026-08-22); Gemini, image understanding and tokens (2026-08); for what
they leave open, and for other families, medians of recorded requests. Where nothing is known of a family an image is
taken for one of Claude's, with all of that as slack.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from ctxkit.metering.images import anthropic_tokens, estimate, gemini_tokens

if TYPE_CHECKING:
    from ctxkit.model import Json, Part

__all__ = ["media_tokens"]

_PAGE = {
    "claude": (2400.0, 60_000.0),
    "gemini-3": (560.0, 12_000.0),
    "gemini": (258.0, 8_000.0),
    "nova": (1800.0, 30_000.0),
}
"""Tokens of a page of a document (Anthropic says 1,500 to 3,000, Gemini 258), and how many characters of base64 hold one."""
_OTHER_PAGE = (1000.0, 60_000.0)
_SOUND = (32.0, 22_000.0)
_MOVIE = (263.0, 250_000.0)
"""Tokens of a second, and how many characters of base64 hold one."""
_ADDRESS = 1000
"""What is shorter is the address of a medium and says nothing of its size."""
_FIXED = {"llama-4": 763.0, "granite": 771.0, "grok": 257.0}
"""Families in whose recordings every image cost the same."""


def media_tokens(part: Part, family: str) -> tuple[float, float]:
    """Expected tokens of ``part`` in ``family`` and the slack around it."""
    if part.kind == "image":
        return _image(part.value, family)
    size = _length(_source(part.value))
    if part.kind == "audio":
        expected = _amount(size, _SOUND)
    elif part.kind == "video":
        expected = _amount(size, _MOVIE)
    else:
        expected = _amount(size, next((page for name, page in _PAGE.items() if family.startswith(name)), _OTHER_PAGE))
    return expected, expected * (2 if size > _ADDRESS else 8)


def _amount(size: int, unit: tuple[float, float]) -> float:
    tokens, length = unit
    return tokens * max(1.0, size / length)


_ELIDED = re.compile(r"(?:[^,]{0,100},)?__elided:(\d{1,12}):")


def _length(source: str | bytes | None) -> int:
    """Length of the data; in its stead a recording may say how long it was."""
    if isinstance(source, str) and (elided := _ELIDED.match(source[:200])):
        return int(elided.group(1))
    return len(source or "")


def _image(value: Json, family: str) -> tuple[float, float]:
    if family in _FIXED:
        return _FIXED[family], _FIXED[family]
    gemini = family.startswith("gemini")
    image = estimate(_source(value), partial(gemini_tokens if gemini else anthropic_tokens, family))
    slack = max(image.tokens - image.low, image.high - image.tokens)
    known = gemini or family.startswith("claude")
    return float(image.tokens), float(slack) if known else max(slack, float(image.tokens))


_INSIDE = ("source", "image", "document", "audio", "video", "image_url", "input_audio", "inlineData", "inline_data")
_DATA = ("data", "bytes", "url", "fileUri", "file_uri", "file_data")


def _source(value: Json) -> str | bytes | None:
    """The data or address of a medium, wherever its wire format keeps it."""
    for _ in range(4):
        if isinstance(value, str | bytes):
            return value
        if not isinstance(value, Mapping):
            return None
        found: str | bytes | None = next((value[key] for key in _DATA if isinstance(value.get(key), str | bytes)), None)
        if found is not None:
            return found
        value = next((value[key] for key in _INSIDE if value.get(key) is not None), None)
    return None

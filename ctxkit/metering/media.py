"""Expected tokens of images, documents, audio and video for models that are not OpenAI's, and how far off they may be.

Sources: Anthropic, vision (2026-08-22); Gemini, image understanding and tokens (2026-08). For other families no rule
is published: an image is taken for one of Claude's, with all of that as slack.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from ctxkit.metering.images import anthropic_tokens, estimate, gemini_tokens

if TYPE_CHECKING:
    from ctxkit.model import Json, Part

__all__ = ["media_tokens"]

_DOCUMENT_PAGE = {"claude": 2250.0, "gemini": 258.0}
"""Tokens of a page: Anthropic says 1,500 to 3,000, Gemini 258."""
_OTHER_PAGE = 1000.0
_PAGE_BYTES = 60_000.0
_AUDIO_SECOND, _AUDIO_BYTES = 32.0, 16_000.0
_VIDEO_SECOND, _VIDEO_BYTES = 263.0, 250_000.0


def media_tokens(part: Part, family: str) -> tuple[float, float]:
    """Expected tokens of ``part`` in ``family`` and the slack around it."""
    if part.kind == "image":
        return _image(part.value, family)
    size = len(_source(part.value) or "")
    if part.kind == "audio":
        expected = max(1.0, size / _AUDIO_BYTES) * _AUDIO_SECOND
    elif part.kind == "video":
        expected = max(2.0, size / _VIDEO_BYTES) * _VIDEO_SECOND
    else:
        page = next((tokens for name, tokens in _DOCUMENT_PAGE.items() if family.startswith(name)), _OTHER_PAGE)
        expected = max(1.0, size / _PAGE_BYTES) * page
    return expected, expected * 2


def _image(value: Json, family: str) -> tuple[float, float]:
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
        found = next((value[key] for key in _DATA if isinstance(value.get(key), str | bytes)), None)
        if found is not None:
            return found
        value = next((value[key] for key in _INSIDE if value.get(key) is not None), None)
    return None

"""Tokens of images by the rules that providers document, and sizes of images from their first bytes.

An image is never decoded: width and height stand in its header. What comes from users is hostile input: every read is
bounded, and what cannot be read has no size. Without a size the count is an estimate with low and high.

Sources: OpenAI, developers.openai.com/api/docs/guides/images-vision (2026-06-27), checked against recorded usage (the
multipliers of gpt-5-mini and gpt-5-nano are measured: 1.2 and 1.5, where the page says 1.62 and 2.46); Anthropic,
platform.claude.com/docs vision (2026-08-22); Gemini, ai.google.dev token counting (2026).
"""

from __future__ import annotations

import base64
import binascii
import re
from math import ceil, floor, sqrt
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ImageTokens",
    "anthropic_tokens",
    "data_url_size",
    "estimate",
    "gemini_tokens",
    "image_size",
    "openai_tokens",
]

Size = tuple[int, int]


class ImageTokens(NamedTuple):
    """Tokens of one image: what is expected, and between what; all equal when its size is known."""

    tokens: int
    low: int
    high: int


# --- sizes -----------------------------------------------------------------------------------------------------------

_HEAD = 1 << 18  # JPEG may carry a preview and colour profiles before its size
_LARGEST = 1 << 17  # no real image is wider; a header that says so is damaged or hostile


def image_size(data: bytes) -> Size | None:
    """Width and height in pixels of a PNG, JPEG, GIF or WebP, from its first bytes; ``None`` when they do not say."""
    found = None
    if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR" and len(data) >= 24:
        found = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    elif data[:6] in (b"GIF87a", b"GIF89a") and len(data) >= 10:
        found = int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
    elif data[:2] == b"\xff\xd8":
        found = _jpeg_size(data)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        found = _webp_size(data)
    return found if found and 0 < found[0] <= _LARGEST and 0 < found[1] <= _LARGEST else None


def _jpeg_size(data: bytes) -> Size | None:
    """Walk over the segments to the frame header (SOF0 to SOF15, without DHT, JPG and DAC)."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        if marker == 0xFF:  # a fill byte
            at += 1
        elif 0xD0 <= marker <= 0xD8:  # these have no length
            at += 2
        else:
            at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
    return None


def _webp_size(data: bytes) -> Size | None:
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L" and len(data) >= 25 and data[20] == 0x2F:
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and len(data) >= 30 and data[23:26] == b"\x9d\x01\x2a":
        return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    return None


_DATA_URL = re.compile(r"data:(?P<kind>[\w.+/-]{0,100})(?:;[\w.+=-]{0,100}){0,4};base64,", re.IGNORECASE)


def data_url_size(source: str | bytes) -> Size | None:
    """Size of an image given as bytes, as base64 text or as a ``data:`` URL; decodes only as much as it needs."""
    if isinstance(source, bytes):
        return image_size(source[:_HEAD])
    head = _DATA_URL.match(source[:600])
    start = head.end() if head else 0
    for length in (64, _HEAD):  # most say it in the first 48 bytes
        text = source[start : start + length]
        try:
            size = image_size(base64.b64decode(text[: len(text) // 4 * 4]))
        except (binascii.Error, ValueError):
            return None
        if size or length >= len(source) - start:
            return size
    return None


# --- OpenAI ----------------------------------------------------------------------------------------------------------

# Tile models: base, and tokens for each tile of 512 px. The first match of a model's name wins.
_TILES: tuple[tuple[str, int, int], ...] = (
    (r"gpt-4o-mini", 2833, 5667),
    (r"gpt-5(?:-chat|-pro|-20|$)", 70, 140),
    (r"computer-use", 65, 129),
    (r"o[13](?:-pro|-20|-preview|$)", 75, 150),
    (r"gpt-4(?!\.1-mini|\.1-nano)|chatgpt-4o", 85, 170),
)
# Patch models: multiplier, patches and pixels of the long side at detail "high".
_PATCHES: tuple[tuple[str, float, int, int], ...] = (
    (r"gpt-4\.1-mini", 1.62, 1536, 2048),
    (r"gpt-4\.1-nano", 2.46, 1536, 2048),
    (r"o4-mini", 1.72, 1536, 2048),
    (r"gpt-5-mini", 1.2, 1536, 2048),
    (r"gpt-5-nano", 1.5, 1536, 2048),
    (r"gpt-5\.4-mini", 1.62, 1536, 2048),
    (r"gpt-5\.4-nano", 2.46, 1536, 2048),
    (r"gpt-5\.[45]", 1.0, 2500, 2048),
    (r"(?:gpt-5|codex)", 1.0, 1536, 2048),
    (r"gpt-[6-9]", 1.0, 2500, 2048),  # unpublished; taken to be as gpt-5.5
)
_ORIGINAL = (10_000, 6000)


def openai_tokens(model: str, size: Size, detail: str = "auto") -> int:
    """Tokens of an image for an OpenAI model.

    Args:
        model: base name, as :func:`ctxkit.metering.openai_models.base_model` gives it.
        size: width and height in pixels.
        detail: ``"low"``, ``"high"``, ``"original"`` or ``"auto"``.

    >>> openai_tokens("gpt-4o", (1024, 1024)), openai_tokens("gpt-5.2", (1800, 2400))
    (765, 1452)
    """
    for pattern, base, tile in _TILES:
        if re.match(pattern, model):
            return base if detail == "low" else base + tile * _tiles(size)
    factor, patches, longest = next((row[1:] for row in _PATCHES if re.match(row[0], model)), _PATCHES[-1][1:])
    if detail == "low":
        size = _within(size, 512, 512)
    elif _whole(model, detail):
        patches, longest = _ORIGINAL
    return ceil(round(factor * _patches(size, patches, longest), 6))


def _whole(model: str, detail: str) -> bool:
    """Whether the model looks at the image in its original size."""
    if re.match(r"gpt-5\.4(?!-mini|-nano)", model):
        return detail == "original"
    return detail in ("original", "auto") and re.match(r"gpt-(?:5\.5|[6-9])", model) is not None


def _within(size: Size, width: float, height: float) -> Size:
    scale = min(1.0, width / size[0], height / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _tiles(size: Size) -> int:
    """Fit into 2048 by 2048, then the short side to 768, then tiles of 512."""
    width, height = _within(size, 2048, 2048)
    scale = min(1.0, 768 / min(width, height))
    return ceil(round(width * scale) / 512) * ceil(round(height * scale) / 512)


def _patches(size: Size, budget: int, longest: int) -> int:
    """Patches of 32 px after the documented scaling."""
    width, height = _within(size, longest, longest)
    count = ceil(width / 32) * ceil(height / 32)
    if count <= budget:
        return count
    scale = sqrt(32 * 32 * budget / (width * height))
    across, down = width * scale / 32, height * scale / 32
    scale *= min(max(1, floor(across)) / across, max(1, floor(down)) / down)
    return min(budget, ceil(round(width * scale, 6) // 1 / 32) * ceil(round(height * scale, 6) // 1 / 32))


# --- Anthropic -------------------------------------------------------------------------------------------------------

_SHARP = re.compile(r"claude-(?:opus-|sonnet-|haiku-)?(?:4[.-][7-9]|[5-9]|fable|mythos)|claude-(?:fable|mythos)")


def anthropic_tokens(model: str, size: Size) -> int:
    """Tokens of an image for a Claude model: patches of 28 px after scaling to the limits of its generation.

    >>> anthropic_tokens("claude-sonnet-4-5", (1920, 1080)), anthropic_tokens("claude-opus-4-7", (1920, 1080))
    (1560, 2691)
    """
    longest, most = (2576, 4784) if _SHARP.search(model) else (1568, 1568)
    width, height = size
    limit = min(1.0, longest / max(size))

    def tokens(scale: float) -> int:
        return ceil(round(width * scale / 28, 9)) * ceil(round(height * scale / 28, 9))

    if tokens(limit) <= most:
        return max(1, tokens(limit))
    # The count only grows where a side passes a multiple of 28: the best scale lies at one of those.
    sides = {28 * k / side for side in size for k in range(1, ceil(side * limit / 28) + 1)}
    return max((tokens(s) for s in sides if s <= limit and tokens(s) <= most), default=1)


# --- Gemini ----------------------------------------------------------------------------------------------------------


def gemini_tokens(model: str, size: Size) -> int:
    """Tokens of an image for a Gemini model.

    258 up to 384 by 384 pixels, else 258 for each tile of 768 px (Gemini 2); a fixed budget from Gemini 3 on (1,120 at
    the default resolution).

    >>> gemini_tokens("gemini-2.5-flash", (384, 384)), gemini_tokens("gemini-2.5-flash", (1536, 768))
    (258, 516)
    """
    if re.search(r"gemini-(?:[3-9]|\d\d)", model):
        return 1120
    if max(size) <= 384 or re.search(r"gemini-1", model):
        return 258
    return 258 * ceil(size[0] / 768) * ceil(size[1] / 768)


# --- unknown sizes ---------------------------------------------------------------------------------------------------

_ELIDED = re.compile(r"__elided:(\d{1,12}):")
_USUAL: Size = (1024, 768)  # a picture behind a URL
_BYTES_PER_PIXEL = {"png": 0.9, "gif": 0.9}  # photographs as JPEG and WebP take about 0.28


def estimate(
    source: str | bytes | None, rule: Callable[[Size], int], *, small: Size = (64, 64), large: Size = (4096, 3072)
) -> ImageTokens:
    """Tokens of an image given as URL, data URL, base64, bytes or not at all, by a provider's rule.

    Args:
        source: where the image is, or the image.
        rule: gives the tokens for a size.
        small: with ``large`` the sizes between which an image of unknown size is taken to lie.
        large: see ``small``.
    """
    size = data_url_size(source) if source and not _remote(source) else None
    if size is not None:
        tokens = rule(size)
        return ImageTokens(tokens, tokens, tokens)
    tokens = rule(_guess(source))
    return ImageTokens(tokens, min(tokens, rule(small)), max(tokens, rule(large)))


def _remote(source: str | bytes) -> bool:
    return isinstance(source, str) and source[:8].lower().startswith(("http://", "https://", "gs://", "file", "s3://"))


def _guess(source: str | bytes | None) -> Size:
    """A size from the length of the data: a square of as many pixels as such data usually holds."""
    if not source or _remote(source):
        return _USUAL
    elided = _ELIDED.search(source[:300]) if isinstance(source, str) else None
    length = int(elided.group(1)) if elided else len(source)
    if isinstance(source, str):
        length = length * 3 // 4
        head = source[:32].lower()
        per_pixel = next((value for kind, value in _BYTES_PER_PIXEL.items() if kind in head), 0.28)
    else:
        per_pixel = 0.28
    side = min(4096, max(32, int(sqrt(length / per_pixel))))
    return side, side

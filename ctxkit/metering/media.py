"""Expected tokens of images, documents, audio and video in families other than OpenAI's, with honest slack."""

from __future__ import annotations

from ctxkit.model import Part

__all__ = ["media_tokens"]


def media_tokens(part: Part, family: str) -> tuple[float, float]:
    """Expected tokens of ``part`` and how far that may be off."""
    expected = _EXPECTED.get(part.kind, 500.0)
    if part.kind == "image" and family.startswith("gemini"):
        expected = 258.0 if family != "gemini-3" else 1090.0
    return expected, expected


_EXPECTED = {"image": 800.0, "document": 3000.0, "audio": 400.0, "video": 3000.0}

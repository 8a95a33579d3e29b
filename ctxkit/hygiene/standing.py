"""What a user says once and means to hold for good: known by how it is said, in several languages; and the sentences of it."""

from __future__ import annotations

import re
from typing import Final

from ctxkit.hygiene.memo import remembered

__all__ = ["is_standing", "sentences"]

_ABOUT: Final = 4000  # characters of a text that are looked at
_LONGEST: Final = 300  # characters of a sentence; what is longer is something that was pasted
_SENTENCE: Final = re.compile(
    r"[^.!?\u3002\uff01\uff1f\n]+(?:[.!?](?=\S)[^.!?\u3002\uff01\uff1f\n]*)*[.!?\u3002\uff01\uff1f]?"
)

_STANDING: Final = re.compile(
    r"\b(?:from now on|in (?:the )?future|for the rest of|(?:please|must|should|you) (?:always|never|remember))\b"
    r"|(?:^|[.!?\n] ?)(?:always|never(?! mind)|remember (?:that|to|this))\b"
    r"|今後|必ず|いつも|覚えて|记住|以后|总是|\bab jetzt\b|\bimmer\b|\bdésormais\b|\btoujours\b|\bsiempre\b|\ba partir de ahora\b",
    re.IGNORECASE,
)


@remembered
def is_standing(text: str) -> bool:
    """It says something that is to hold for good."""
    return _STANDING.search(text[:_ABOUT]) is not None


@remembered
def sentences(text: str) -> tuple[str, ...]:
    """Those of a text that somebody said, not pasted."""
    found = (match.group().strip() for match in _SENTENCE.finditer(text[:_ABOUT]))
    return tuple(sentence for sentence in found if 0 < len(sentence) <= _LONGEST)

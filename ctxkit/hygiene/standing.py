"""What a user says once and means to hold for good: known by how it is said, in several languages."""

from __future__ import annotations

import re
from typing import Final

from ctxkit.hygiene.memo import remembered

__all__ = ["ABOUT", "is_standing"]

ABOUT: Final = 4000
"""Characters of a text that are looked at."""

_STANDING: Final = re.compile(
    r"\b(?:from now on|in (?:the )?future|for the rest of|(?:please|must|should|you) (?:always|never|remember))\b"
    r"|(?:^|[.!?\n] ?)(?:always|never(?! mind)|remember (?:that|to|this))\b"
    r"|今後|必ず|いつも|覚えて|记住|以后|总是|\bab jetzt\b|\bimmer\b|\bdésormais\b|\btoujours\b|\bsiempre\b|\ba partir de ahora\b",
    re.IGNORECASE,
)


@remembered
def is_standing(text: str) -> bool:
    """It says something that is to hold for good."""
    return _STANDING.search(text[:ABOUT]) is not None

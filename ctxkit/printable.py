"""Text from anybody, for a terminal."""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: str) -> str:
    """The text with everything that could move a cursor or break a line shown as it is."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)

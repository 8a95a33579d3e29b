"""What is pinned: texts that a pattern is found in, or that a callable says so of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from ctxkit.hygiene.memo import Memo, length
from ctxkit.hygiene.standing import sentences

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ctxkit.editable import Piece

__all__ = ["KEEP", "Pin", "Pins"]

KEEP = "[ctxkit:keep]"
"""A text that holds this is never removed, nor is anything else in its message."""

Pin: TypeAlias = "str | re.Pattern[str] | Callable[[Piece], bool]"
"""A pattern found in a text, or a callable that says so of a piece."""


class Pins:
    """Says of a piece whether it is pinned. Remembers what it found in texts.

    Args:
        pins: patterns and callables.
    """

    def __init__(self, pins: Sequence[Pin] = ()) -> None:
        self._patterns = [re.compile(pin) for pin in pins if isinstance(pin, str | re.Pattern)]
        self._asked = [pin for pin in pins if not isinstance(pin, str | re.Pattern)]
        self._found: Memo[str, bool] = Memo(2_000_000, length)

    def __call__(self, piece: Piece) -> bool:
        """It is pinned."""
        if KEEP in piece.text or (self._patterns and self._found.get(piece.text, self._matches)):
            return True
        return any(pin(piece) for pin in self._asked)

    def words(self, piece: Piece) -> tuple[str, ...]:
        """What of a pinned piece is pinned: the sentences that a pattern is found in; all of it, if it is pinned otherwise."""
        found = tuple(one for one in sentences(piece.text) if self._matches(one))
        return found or (piece.text.replace(KEEP, "").strip(),)

    def _matches(self, text: str) -> bool:
        return any(pattern.search(text) for pattern in self._patterns)

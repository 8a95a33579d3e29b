"""Whether what matters stands where models overlook it: in the middle of a very long prompt.

What matters is what is pinned or holds for good, and what the latest words of the user and the latest step of the model
name, where it stands last before that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ctxkit.editable import Piece
    from ctxkit.hygiene.drift.parts import Part
    from ctxkit.hygiene.history import History

__all__ = ["EDGE", "at_risk"]

EDGE = 0.2
"""Share of a prompt at either end that is no middle."""

_SHORT = 16_000  # tokens of a prompt up to which nothing is at risk, and
_LONG = 64_000  # from which on all of it is


def at_risk(history: History, parts: Sequence[Part], standing: Collection[Piece] = (), *, before: float = 0.0) -> float:
    """Share of what matters that stands in the middle, less for prompts that are not very long, from 0 to 1.

    Args:
        history: the conversation.
        parts: of it.
        standing: pieces that are pinned or hold for good.
        before: tokens of tools and opening instruction, which stand before it.
    """
    whole = before + sum(part.tokens for part in parts)
    risk = min(max((whole - _SHORT) / (_LONG - _SHORT), 0.0), 1.0)
    if not risk:
        return 0.0
    places = list(_mattering(history, parts, {piece.place for piece in standing}, before))
    middle = sum(EDGE * whole <= place < (1 - EDGE) * whole for place in places)
    return risk * middle / len(places) if places else 0.0


def _mattering(history: History, parts: Sequence[Part], standing: Collection[object], before: float) -> Iterator[float]:
    """How many tokens stand before each part that matters."""
    now = {*history.turns[-1:], *history.steps[-1:]}
    sought: set[str] = set()
    reached = before + sum(part.tokens for part in parts)
    for part in reversed(parts):
        reached -= part.tokens
        piece = part.piece
        if piece.message in now and piece.kind != "result":
            sought.update(part.names)
        elif piece.place in standing or not sought.isdisjoint(part.names):
            sought.difference_update(part.names)
            yield reached

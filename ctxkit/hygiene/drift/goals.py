"""What a conversation is about: what its user asked for, what the model has in hand, and whether the two belong together.

A user may change the subject: what is done now is held against what was asked for first and against what is asked for
now, whichever it is more like. It is measured by what it was at first, so that the words of one conversation are compared
with one another, whatever ranks them.
"""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.hygiene.episodes import turns_of
from ctxkit.hygiene.relevance import terms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ctxkit.editable import Piece
    from ctxkit.hygiene.drift.parts import Part
    from ctxkit.hygiene.history import History

__all__ = ["Goals", "goals_of", "kept"]

_SPOKEN = 12  # different words of a user that say what is wanted; a "yes, please" does not
_BACK = 4  # turns that are looked at for them
_HELD = 2  # latest steps of the model that say what it has in hand
_ABOUT = 4_000  # characters of a text that are looked at
_FEW = 3  # steps that are compared: so many of the first, and of the latest


class Goals(NamedTuple):
    """Texts that other texts are held against; nothing where nothing was said.

    Attributes:
        first: what the user asked for first.
        latest: what the user asks for now.
        hand: what the model said and called in its latest steps.
    """

    first: tuple[str, ...]
    latest: tuple[str, ...]
    hand: tuple[str, ...]


def goals_of(history: History) -> Goals:
    """Of a conversation as it stands."""
    turns = turns_of(history)
    hand = tuple(text for step in history.steps[-_HELD:] for text in _said(history, step))
    return Goals(_telling(history, turns[:_BACK]), _telling(history, turns[: -_BACK - 1 : -1]), hand)


def _telling(history: History, turns: Iterable[int]) -> tuple[str, ...]:
    """What is said in one turn, and in the next ones until that says something."""
    said: dict[int, tuple[str, ...]] = {}
    words: set[str] = set()
    for turn in turns:
        said[turn] = _said(history, turn)
        words.update(term for text in said[turn] for term in terms(text))
        if len(words) >= _SPOKEN:
            break
    return tuple(text for turn in sorted(said) for text in said[turn])


def _said(history: History, message: int) -> tuple[str, ...]:
    """Words and calls of a message, the begin of each."""
    return tuple(_opening(piece) for piece in history.by_message.get(message, ()) if piece.kind != "result")


def _opening(piece: Piece) -> str:
    return f"{piece.name} {piece.text[:_ABOUT]}" if piece.name else piece.text[:_ABOUT]


def kept(history: History, parts: Sequence[Part], first: Sequence[float], latest: Sequence[float]) -> float | None:
    """How like the goal the latest steps are, measured by the first ones: from 0 (not at all) to 1 (as at first).

    Args:
        history: the conversation.
        parts: of it.
        first: how much each holds of what was asked for first.
        latest: how much each holds of what is asked for now.

    Returns:
        ``None``: there are too few steps, or the first ones had nothing to do with what was asked for.
    """
    steps = history.steps
    if len(steps) < 2 * _FEW:
        return None
    began = _likeness(parts, first, steps[:_FEW])
    now = max(_likeness(parts, scores, steps[-_FEW:]) for scores in (first, latest))
    return min(now / began, 1.0) if began > 0 else None


def _likeness(parts: Sequence[Part], scores: Sequence[float], steps: Iterable[int]) -> float:
    """The mean over some steps of what is most like the goal in each."""
    best: dict[int, float] = dict.fromkeys(steps, 0.0)
    for part, score in zip(parts, scores, strict=True):
        message = part.piece.message
        if message in best and part.piece.kind != "result":
            best[message] = max(best[message], score)
    return fmean(best.values())

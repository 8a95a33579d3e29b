"""What a conversation is about: what its user asked for, what the model has in hand, and whether the two belong together.

A user may change the subject: what is done now is held against what was asked for first and against what is asked for now,
whichever it is more like; and where the user has just spoken, the model has not had the time to stray. Both are measured by
how like them the model's steps were right after they were said, so that the words of one conversation are compared with one
another, whatever ranks them.
"""

from __future__ import annotations

from bisect import bisect_left
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.hygiene.episodes import turns_of
from ctxkit.hygiene.relevance import terms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ctxkit.editable import Piece
    from ctxkit.hygiene.drift.parts import Part
    from ctxkit.hygiene.history import History

__all__ = ["Goals", "goals_of", "kept", "tells"]

_SPOKEN = 8  # different words of a user that say what is wanted; a "yes, please" does not
_BACK = 12  # turns that are looked at for them
_HELD = 2  # latest steps of the model that say what it has in hand
_ABOUT = 4_000  # characters of a text that are looked at
_FEW = 3  # steps that are compared: so many of the first, and of the latest


class Goals(NamedTuple):
    """Texts that other texts are held against; nothing where nothing was said.

    Attributes:
        first: what the user asked for first.
        latest: what the user asks for now.
        hand: what the model said and called in its latest steps.
        since: index of the message in which the user began to say what is wanted now.
    """

    first: tuple[str, ...]
    latest: tuple[str, ...]
    hand: tuple[str, ...]
    since: int


def goals_of(history: History) -> Goals:
    """Of a conversation as it stands."""
    turns = turns_of(history)
    first, latest = _telling(history, turns[:_BACK]), _telling(history, turns[: -_BACK - 1 : -1])
    hand = tuple(text for step in history.steps[-_HELD:] for text in _said(history, step))
    return Goals(_joined(first), _joined(latest), hand, min(latest, default=0))


def _telling(history: History, turns: Iterable[int]) -> dict[int, tuple[str, ...]]:
    """What is said in one turn, and in the next ones until that says something, by turn."""
    said: dict[int, tuple[str, ...]] = {}
    for turn in turns:
        said[turn] = _said(history, turn)
        if tells(text for texts in said.values() for text in texts):
            break
    return said


def _joined(said: Mapping[int, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(text for turn in sorted(said) for text in said[turn])


def tells(texts: Iterable[str]) -> bool:
    """There are words enough in these texts to know what they are about."""
    return len({term for text in texts for term in terms(text)}) >= _SPOKEN


def _said(history: History, message: int) -> tuple[str, ...]:
    """Words and calls of a message, the begin of each."""
    return tuple(_opening(piece) for piece in history.by_message.get(message, ()) if piece.kind != "result")


def _opening(piece: Piece) -> str:
    return f"{piece.name} {piece.text[:_ABOUT]}" if piece.name else piece.text[:_ABOUT]


def kept(
    history: History, since: int, parts: Sequence[Part], first: Sequence[float], latest: Sequence[float]
) -> float | None:
    """How like the goal the latest steps are, beside the steps after it was set: from 0 (not at all) to 1 (as then).

    Args:
        history: the conversation.
        since: index of the message in which the user began to say what is wanted now.
        parts: of it.
        first: how much each holds of what was asked for first.
        latest: how much each holds of what is asked for now.

    Returns:
        The better of the two; ``None``: the user has set the goal a few steps ago, or nothing ever had to do with it.
    """
    steps = history.steps
    if len(steps) - bisect_left(steps, since) < 2 * _FEW:
        return None
    found = [_kept(steps, _likeness(parts, scores), turn) for turn, scores in ((0, first), (since, latest))]
    return max((one for one in found if one is not None), default=None)


def _kept(steps: Sequence[int], likeness: Mapping[int, float], since: int) -> float | None:
    """Of one goal."""
    behind = steps[bisect_left(steps, since) :]
    began = fmean(likeness.get(step, 0.0) for step in behind[:_FEW])
    return min(fmean(likeness.get(step, 0.0) for step in behind[-_FEW:]) / began, 1.0) if began > 0 else None


def _likeness(parts: Sequence[Part], scores: Sequence[float]) -> dict[int, float]:
    """What the model said or called in each message that is most like the goal."""
    best: dict[int, float] = {}
    for part, score in zip(parts, scores, strict=True):
        if part.piece.speaker == "assistant":
            best[part.piece.message] = max(best.get(part.piece.message, 0.0), score)
    return best

"""What must go so that a request fits: a window, a price step, a budget. Least useful first."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from ctxkit.editable import Candidate, Fold, Stub
from ctxkit.hygiene.episodes import turns_of
from ctxkit.hygiene.outputs import outputs
from ctxkit.hygiene.stubs import MARK
from ctxkit.hygiene.uses import steps_behind, uses_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ctxkit.editable import Action, Place
    from ctxkit.hygiene.history import History

__all__ = ["fit"]

_LEAST = 300  # characters of a piece that is worth a stub


def fit(
    history: History,
    tokens_of: Callable[[Action], float],
    over: float,
    *,
    allowed: Callable[[History, Iterable[Candidate]], Sequence[Candidate]] = lambda _, found: list(found),
    before: Sequence[Candidate] = (),
) -> Iterator[Candidate]:
    """Candidates until so many tokens are saved, or nothing more may go.

    First what other passes propose, the least worth first; then results and long arguments, then whole turns, the oldest
    and largest first. A fold comes in place of the stubs inside it.

    Args:
        history: the conversation.
        tokens_of: tokens that an action saves.
        over: tokens that must go.
        allowed: leaves out what must stay.
        before: what the other passes propose, allowed already.
    """
    taken: dict[Place, float] = {}
    folded: list[Fold] = []
    for one in _in_order(history, before, allowed):
        if over <= 0:
            return
        action = one.action
        if any(_inside(action, fold) for fold in folded) or (isinstance(action, Stub) and action.place in taken):
            continue
        saved = tokens_of(action)
        if isinstance(action, Fold):
            saved -= sum(tokens for place, tokens in taken.items() if action.start <= place[0] < action.end)
        if saved <= 0:
            continue
        if isinstance(action, Fold):
            folded.append(action)
        else:
            taken[action.place] = saved
        over -= saved
        yield one


def _in_order(
    history: History,
    before: Sequence[Candidate],
    allowed: Callable[[History, Iterable[Candidate]], Sequence[Candidate]],
) -> Iterator[Candidate]:
    yield from sorted(before, key=lambda one: (one.worth, one.first))
    yield from sorted(allowed(history, _stubs(history)), key=lambda one: (one.worth, one.first))
    yield from allowed(history, _folds(history))


def _inside(action: Action, fold: Fold) -> bool:
    if isinstance(action, Fold):
        return action.start < fold.end and fold.start < action.end
    return fold.start <= action.place[0] < fold.end


def _stubs(history: History) -> Iterator[Candidate]:
    """Every result and every long call: what is older, larger and less used is worth less."""
    printed, uses = outputs(history), uses_of(history)
    for piece in history.pieces:
        result = piece.kind == "result" or (piece.speaker == "user" and piece.message in printed)
        if not result and piece.kind != "arguments":
            continue
        if len(piece.text) < _LEAST or piece.locked or MARK in piece.text:
            continue
        age = steps_behind(history, piece.message)
        used = len(uses.later(uses.own(piece), piece.message))
        recent = 1 / (1 + age / 8)
        worth = min(1.0, recent * (0.4 + 0.4 * used / (used + 4) + 0.2 * 2000 / (2000 + len(piece.text))))
        reason = f"the request is too long, and this is {age} steps old"
        yield Candidate(Stub(piece.place), "fit", reason, piece.message, worth if result else (1 + worth) / 2)


def _folds(history: History) -> Iterator[Candidate]:
    """Every turn but the first, the oldest first."""
    for start, end in pairwise(turns_of(history)[1:]):
        age = steps_behind(history, end - 1)
        reason = f"the request is too long, and this turn ended {age} steps ago"
        yield Candidate(Fold(start, end), "fit", reason, end, 1 / (1 + age / 8))

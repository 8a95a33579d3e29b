"""What must go so that a request fits: a window, a price step, a budget. Least useful first.

What bears on what is asked stays, and what stands around it; so does what is recent. Everything that may go has a worth:
results of tools and long arguments by age, size and use, stretches of messages by how much of the request stands in
them (:mod:`ctxkit.hygiene.bearing`). All of it goes that is worth less than a threshold, and the threshold is the lowest
one that frees enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ctxkit.editable import Candidate, Fold, Stub
from ctxkit.hygiene.bearing import bearing
from ctxkit.hygiene.outputs import outputs
from ctxkit.hygiene.passes import MARK
from ctxkit.hygiene.relevance import relevance
from ctxkit.hygiene.stretches import stretches
from ctxkit.hygiene.uses import steps_behind, uses_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from ctxkit.editable import Action
    from ctxkit.hygiene.history import History
    from ctxkit.hygiene.relevance import Relevance

__all__ = ["fit"]

_LEAST = 300  # characters of a piece that is worth a stub
_NEWEST = 0.05  # worth of what was said last, whatever it says; half of it sixteen messages ago
_OVER = 0.5  # share of its worth that is left to what other passes say is over

Allowed: TypeAlias = "Callable[[History, Iterable[Candidate]], Sequence[Candidate]]"
"""Leaves out what must stay."""


def fit(
    history: History,
    tokens_of: Callable[[Action], float],
    over: float,
    *,
    allowed: Allowed = lambda _, found: list(found),
    free: Callable[[History], AbstractSet[int]] = lambda history: set(range(1, history.count - 1)),
    before: Sequence[Candidate] = (),
    held: Iterable[Action] = (),
    relevance: Relevance = relevance,
) -> list[Candidate]:
    """Candidates that save so many tokens, the least worth first; all that may go, where that is not enough.

    Args:
        history: the conversation.
        tokens_of: tokens that an action saves.
        over: tokens that must go.
        allowed: leaves out what must stay.
        free: messages of which nothing has to stay.
        before: what the other passes propose, allowed already.
        held: what was decided earlier: what is folded stays so.
        relevance: what belongs to what is asked.
    """
    if over <= 0:
        return []
    near = bearing(history, relevance)
    stubs = _single([*before, *allowed(history, _stubs(history, near))])
    folded = [one for one in held if isinstance(one, Fold)]
    worth = _worth(history, [one.action for one in before if isinstance(one.action, Fold)], near)
    choice = _Choice(history, tokens_of, allowed, stubs, worth, frozenset(free(history)), tuple(folded))
    return choice.least(over)


class _Choice:
    """What goes at each threshold of worth."""

    def __init__(
        self,
        history: History,
        tokens_of: Callable[[Action], float],
        allowed: Allowed,
        stubs: Sequence[Candidate],
        worth: Sequence[float],
        free: frozenset[int],
        held: tuple[Fold, ...],
    ) -> None:
        self._history, self._allowed = history, allowed
        self._worth, self._free, self._held = worth, free, held
        self._stubs = [_Weighed(one, tokens_of(one.action)) for one in stubs]
        self._tokens_of = tokens_of
        self._known: dict[Fold, float] = {}

    def least(self, over: float) -> list[Candidate]:
        """The lowest threshold at which so many tokens go."""
        levels = sorted({one.candidate.worth for one in self._stubs} | {self._worth[index] for index in self._free})
        low, high = 0, len(levels) - 1
        if high < 0:
            return []
        while low < high:
            middle = (low + high) // 2
            if sum(one.saved for one in self._going(levels[middle])) >= over:
                high = middle
            else:
                low = middle + 1
        found = sorted(self._going(levels[low]), key=lambda one: (one.candidate.worth, one.candidate.first))
        return [one.candidate for one in _no_more(found, over)]

    def _going(self, level: float) -> list[_Weighed]:
        """What is worth no more than that; a stretch comes in place of the stubs in it."""
        going = [index in self._free and worth <= level for index, worth in enumerate(self._worth)]
        folds = [one for one in self._folds(going) if one.saved > 0]
        inside = {index for one in folds for index in range(*one.fold)}
        stubs = (one for one in self._stubs if one.candidate.worth <= level and one.candidate.first not in inside)
        return [*folds, *(one for one in stubs if one.saved > 0)]

    def _folds(self, going: Sequence[bool]) -> Iterator[_Weighed]:
        """For each run of messages the stretch that saves most."""
        groups = list(stretches(self._history, going, self._held))
        proposed = [self._candidate(one) for ways in groups for one in ways]
        may = {one.action: one for one in self._allowed(self._history, proposed)}
        for ways in groups:
            found = [_Weighed(may[one], self._saved(one)) for one in ways if one in may]
            if found:
                yield max(found, key=lambda one: one.saved)

    def _candidate(self, fold: Fold) -> Candidate:
        start, end = fold
        worth = sum(self._worth[start:end]) / (end - start)
        count = f"these {end - start} messages" if end - start > 1 else "this message"
        reason = f"the request is too long, and little of what is asked stands in {count}"
        return Candidate(fold, "fit", reason, end, worth)

    def _saved(self, fold: Fold) -> float:
        if fold not in self._known:
            self._known[fold] = self._tokens_of(fold)
        return self._known[fold]


class _Weighed(NamedTuple):
    """A candidate and the tokens that it saves."""

    candidate: Candidate
    saved: float

    @property
    def fold(self) -> tuple[int, int]:
        """Its messages."""
        action = self.candidate.action
        return (action.start, action.end) if isinstance(action, Fold) else (action.place[0], action.place[0] + 1)


def _no_more(found: Sequence[_Weighed], over: float) -> list[_Weighed]:
    """Without what need not go: from the most worth on, what the rest can do without."""
    spare = sum(one.saved for one in found) - over
    kept: list[_Weighed] = []
    for one in reversed(found):
        if one.saved <= spare:
            spare -= one.saved
        else:
            kept.append(one)
    return kept[::-1]


def _single(found: Iterable[Candidate]) -> list[Candidate]:
    """One for each place: what is said to be over goes before all else."""
    least: dict[Action, Candidate] = {}
    for one in found:
        if isinstance(one.action, Stub):
            worth = one.worth if one.by == "fit" else one.worth * _NEWEST * _OVER
            if one.action not in least or worth < least[one.action].worth:
                least[one.action] = one._replace(worth=worth)
    return list(least.values())


def _worth(history: History, over: Iterable[Fold], near: Sequence[float]) -> list[float]:
    """Of each message: what bears on the request is worth most, then what is recent, unless others say it is over."""
    finished = {index for fold in over for index in range(*fold)}
    return [
        1 - (1 - one) * (1 - _recent(history, index) * (_OVER if index in finished else 1.0))
        for index, one in enumerate(near)
    ]


def _recent(history: History, index: int) -> float:
    return _NEWEST / (1 + (history.count - index) / 16)


def _stubs(history: History, near: Sequence[float]) -> Iterator[Candidate]:
    """Every result and every long call: what is older, larger and less used is worth less; a result less than words."""
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
        worth = _NEWEST * (worth if result else (1 + worth) / 2)
        reason = f"the request is too long, and this is {age} steps old"
        yield Candidate(Stub(piece.place), "fit", reason, piece.message, 1 - (1 - near[piece.message]) * (1 - worth))

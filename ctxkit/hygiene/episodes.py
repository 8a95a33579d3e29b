"""Finished stretches of a conversation that nothing since refers to.

A conversation is cut where a user speaks. Two turns belong together when the later one says names that the earlier one
said, within a few turns. What is so held together is an episode; it is finished when it is over for some steps, nobody
has named anything of it since, and what is talked about now is about something else.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import chain, pairwise
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.editable import Candidate, Fold
from ctxkit.hygiene.identifiers import tie
from ctxkit.hygiene.outputs import outputs
from ctxkit.hygiene.relevance import relevance
from ctxkit.hygiene.standing import is_standing
from ctxkit.hygiene.stubs import MARK, closing_of
from ctxkit.hygiene.uses import step_at, steps_behind, uses_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ctxkit.hygiene.history import History
    from ctxkit.hygiene.relevance import Relevance
    from ctxkit.hygiene.uses import Uses

__all__ = ["Episodes", "joined", "turns_of"]

_NEAR = 8  # turns between which a name holds an episode together
_TIE = 4.0  # weight of names that are one tie; a proper id is enough, dates and codes are not
_RECENT = 4  # turns that say what is talked about now
_LEAST = 1500  # characters of a stretch that is worth a fold
_ABOUT = 4000  # characters of each recent text that are looked at


class Episodes:
    """Proposes a fold for each of them.

    Args:
        after: steps of the model since its end, and since anybody named something of it.
        relevant: share of what is talked about now that may stand in an episode at most.
        relevance: says how large that share is.
    """

    def __init__(self, after: int = 4, relevant: float = 0.5, relevance: Relevance = relevance) -> None:
        self._after = after
        self._relevant = relevant
        self._relevance = relevance

    def __call__(self, history: History) -> Iterator[Candidate]:
        """Those of a conversation, in order."""
        turns = turns_of(history)
        if len(turns) < 3 or len(history.steps) <= self._after:
            return
        finished = [one for one in _episodes(history, turns) if self._finished(history, one)]
        if not finished:
            return
        scores = self._relevance([_words(history, one.start, one.end) for one in finished], *_now(history, turns))
        over = [(one, score) for one, score in zip(finished, scores, strict=True) if score < self._relevant]
        yield from (self._candidate(history, group) for group in _grouped(history, over))

    def _finished(self, history: History, episode: _Episode) -> bool:
        return (
            steps_behind(history, max(episode.end - 1, episode.named)) >= self._after
            and steps_behind(history, episode.end - 1) > self._after
            and not any(_stands(history, index) for index in range(episode.start, episode.end))
        )

    def _candidate(self, history: History, group: Sequence[tuple[_Episode, float]]) -> Candidate:
        start, end = group[0][0].start, group[-1][0].end
        named = max(end - 1, *(one.named for one, _ in group))
        quiet = steps_behind(history, named)
        reason = f"{end - start} messages of a finished stretch: nothing in {quiet} steps refers to it"
        worth = min(0.9, max(score for _, score in group) + 0.05)
        return Candidate(Fold(start, end), "episodes", reason, step_at(history, named, self._after), worth)


class _Episode(NamedTuple):
    """Messages from ``start`` to ``end``; the last one that names something of them from outside is ``named``."""

    start: int
    end: int
    named: int


def joined(folds: Iterable[Fold]) -> list[Fold]:
    """Folds side by side as one: said once is shorter than said twice."""
    found: list[Fold] = []
    for fold in sorted(folds):
        if found and found[-1].end == fold.start:
            found[-1] = Fold(found[-1].start, fold.end)
        else:
            found.append(fold)
    return found


def turns_of(history: History) -> list[int]:
    """Indices of the messages with which a user's turn begins; what a command printed is nobody's turn."""
    printed = outputs(history)
    spoken = [index for index in history.turns if index not in printed and not _has_result(history, index)]
    held = set(spoken)
    return [index for index in spoken if index - 1 not in held]


def _has_result(history: History, index: int) -> bool:
    return any(piece.kind == "result" for piece in history.by_message.get(index, ()))


def _episodes(history: History, turns: Sequence[int]) -> Iterator[_Episode]:
    """Turns that hold together, all but the last ones; the first message of all is left out."""
    uses = uses_of(history)
    named = _named(uses)
    cuts = [0, *_cuts(uses, turns), len(turns)]
    ends = [*turns, history.count]
    for first, last in pairwise(cuts):
        start, end = turns[max(first, 1)], ends[last]
        if last < len(turns) and start < end:
            latest = max(named.get(index, 0) for index in range(start, end))
            yield _Episode(start, end, latest if latest >= end else 0)


def _cuts(uses: Uses, turns: Sequence[int]) -> list[int]:
    """Numbers of the turns that begin something new."""
    ties: dict[int, set[str]] = {}
    for name, message, before in uses.links:
        one, two = bisect_right(turns, before) - 1, bisect_right(turns, message) - 1
        if one < two <= one + _NEAR and tie(name):
            for turn in range(max(one, 0) + 1, two + 1):
                ties.setdefault(turn, set()).add(name)
    return [turn for turn in range(1, len(turns)) if sum(map(tie, ties.get(turn, ()))) < _TIE]


def _named(uses: Uses) -> dict[int, int]:
    """The last message that refers to something by its proper name, by the message in which that stood."""
    found: dict[int, int] = {}
    for name, message, before in uses.links:
        if found.get(before, 0) < message and tie(name) > 4.0:
            found[before] = message
    return found


def _stands(history: History, index: int) -> bool:
    """A user said something there that is meant to hold for good, or it was folded before."""
    return any(
        piece.kind == "text" and (MARK in piece.text or (piece.speaker == "user" and is_standing(piece.text)))
        for piece in history.by_message.get(index, ())
    )


def _words(history: History, start: int, end: int) -> tuple[str, ...]:
    return tuple(piece.text for index in range(start, end) for piece in history.by_message.get(index, ()))


def _now(history: History, turns: Sequence[int]) -> tuple[tuple[str, ...], ...]:
    """What is talked about now: what was said in the last turns, results left out; and in each of the last two."""
    said: list[list[str]] = [[] for _ in turns[-_RECENT:]]
    starts = turns[-_RECENT:]
    for piece in history.pieces[bisect_left(history.pieces, starts[0], key=lambda piece: piece.message) :]:
        if piece.kind == "text":
            said[bisect_right(starts, piece.message) - 1].append(piece.text[:_ABOUT])
    each = [tuple(texts[-_RECENT:]) for texts in said]
    return (tuple(chain.from_iterable(each)), *each[-2:])


def _grouped(
    history: History, episodes: Sequence[tuple[_Episode, float]]
) -> Iterator[Sequence[tuple[_Episode, float]]]:
    """Neighbours together until they are worth a fold and end well; a later one never changes an earlier group."""
    group: list[tuple[_Episode, float]] = []
    size = 0
    for one in episodes:
        start, end, _ = one[0]
        if group and group[-1][0].end != start:
            group, size = [], 0
        group.append(one)
        size += sum(len(text) for text in _words(history, start, end))
        if size >= _LEAST and closing_of(history, Fold(group[0][0].start, end)) is not None:
            yield group
            group, size = [], 0

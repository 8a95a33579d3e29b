"""Finished stretches of a conversation that nothing since refers to.

A conversation is cut where a user speaks (:mod:`ctxkit.hygiene.subjects`). What holds together is an episode. It is
finished when it is over for some steps, nobody has named anything of it since, and what is talked about now is about
something else; and without waiting when the user has begun about something else, and nothing of it was named since.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import chain, pairwise
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.editable import Candidate, Fold
from ctxkit.hygiene.history import once
from ctxkit.hygiene.identifiers import tie
from ctxkit.hygiene.outputs import outputs
from ctxkit.hygiene.passes import MARK
from ctxkit.hygiene.relevance import relevance
from ctxkit.hygiene.standing import is_standing
from ctxkit.hygiene.stubs import closing_of
from ctxkit.hygiene.subjects import parted
from ctxkit.hygiene.uses import step_at, steps_behind, uses_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ctxkit.hygiene.history import History
    from ctxkit.hygiene.relevance import Relevance
    from ctxkit.hygiene.subjects import Subject
    from ctxkit.hygiene.uses import Uses

__all__ = ["Episodes", "joined", "turns_of"]

_RECENT = 4  # turns that say what is talked about now
_LEAST = 1500  # characters of a stretch that is worth a fold
_ABOUT = 4000  # characters of each recent text that are looked at
_ALIKE = 0.2  # by how much more may be alike where the user has begun about something else: names say more than words


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
        if len(turns) < 3:
            return
        cuts, subject = parted(history, turns)
        episodes = [one for one in _episodes(history, turns, cuts) if not _stands(history, one)]
        found = [*self._finished(history, turns, episodes), *self._left(history, turns, subject, episodes)]
        over = {one.start: one for one in sorted(found, key=lambda one: -one.since)}  # since the earlier moment
        yield from (_candidate(history, group) for group in _grouped(history, [over[start] for start in sorted(over)]))

    def _finished(self, history: History, turns: Sequence[int], episodes: Sequence[_Episode]) -> Iterator[_Over]:
        """What was over for some steps, and nobody has named for as many."""
        found = [
            one
            for one in episodes
            if steps_behind(history, max(one.end - 1, one.named)) >= self._after
            and steps_behind(history, one.end - 1) > self._after
        ]
        for one, score in self._scored(history, found, _now(history, turns), self._relevant):
            since = step_at(history, max(one.end - 1, one.named), self._after)
            yield _Over(one.start, one.end, one.named, since, score)

    def _left(
        self, history: History, turns: Sequence[int], subject: Subject | None, episodes: Sequence[_Episode]
    ) -> Iterator[_Over]:
        """What was over when the user began about something else, and nobody has named since."""
        if subject is None:
            return
        begun = turns[subject.first]
        found = [one for one in episodes if one.end <= begun and one.named < begun]
        for one, score in self._scored(history, found, _now(history, turns[subject.first :]), self._relevant + _ALIKE):
            yield _Over(one.start, one.end, one.named, subject.since, score, left=True)

    def _scored(
        self, history: History, episodes: Sequence[_Episode], now: Sequence[tuple[str, ...]], most: float
    ) -> Iterator[tuple[_Episode, float]]:
        """Those that what is talked about now does not belong to."""
        if episodes:
            scores = self._relevance([_words(history, one.start, one.end) for one in episodes], *now)
            yield from ((one, score) for one, score in zip(episodes, scores, strict=True) if score < most)


class _Episode(NamedTuple):
    """Messages from ``start`` to ``end``; the last one that names something of them from outside is ``named``."""

    start: int
    end: int
    named: int


class _Over(NamedTuple):
    """One that may go.

    Attributes:
        start: index of its first message.
        end: index behind its last one.
        named: the last message that names something of it from outside.
        since: index of the message since which it may.
        score: how much of what is talked about now stands in it.
        left: the user has begun about something else.
    """

    start: int
    end: int
    named: int
    since: int
    score: float
    left: bool = False


def _candidate(history: History, group: Sequence[_Over]) -> Candidate:
    start, end = group[0].start, group[-1].end
    quiet = steps_behind(history, max(end - 1, *(one.named for one in group)))
    told = "the user has begun about something else" if group[-1].left else f"nothing in {quiet} steps refers to it"
    reason = f"{end - start} messages of a finished stretch: {told}"
    since, worth = max(one.since for one in group), min(0.9, max(one.score for one in group) + 0.05)
    return Candidate(Fold(start, end), "episodes", reason, since, worth, over=group[-1].left)


def joined(folds: Iterable[Fold]) -> list[Fold]:
    """Folds side by side as one: said once is shorter than said twice."""
    found: list[Fold] = []
    for fold in sorted(folds):
        if found and found[-1].end == fold.start:
            found[-1] = Fold(found[-1].start, fold.end)
        else:
            found.append(fold)
    return found


@once
def turns_of(history: History) -> Sequence[int]:
    """Indices of the messages with which a user's turn begins; what a command printed is nobody's turn."""
    printed = outputs(history)
    spoken = [index for index in history.turns if index not in printed and not _has_result(history, index)]
    held = set(spoken)
    return [index for index in spoken if index - 1 not in held]


def _has_result(history: History, index: int) -> bool:
    return any(piece.kind == "result" for piece in history.by_message.get(index, ()))


def _episodes(history: History, turns: Sequence[int], cuts: Sequence[int]) -> Iterator[_Episode]:
    """Turns that hold together, all but the last ones; the first message of all is left out."""
    named = _named(uses_of(history))
    ends = [*turns, history.count]
    for first, last in pairwise([0, *cuts, len(turns)]):
        start, end = turns[max(first, 1)], ends[last]
        if last < len(turns) and start < end:
            latest = max(named.get(index, 0) for index in range(start, end))
            yield _Episode(start, end, latest if latest >= end else 0)


def _named(uses: Uses) -> dict[int, int]:
    """The last message that refers to something by its proper name, by the message in which that stood."""
    found: dict[int, int] = {}
    for name, message, before in uses.links:
        if found.get(before, 0) < message and tie(name) > 4.0:
            found[before] = message
    return found


def _stands(history: History, episode: _Episode) -> bool:
    """A user said something there that is meant to hold for good, or it was folded before."""
    return any(
        piece.kind == "text" and (MARK in piece.text or (piece.speaker == "user" and is_standing(piece.text)))
        for index in range(episode.start, episode.end)
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


def _grouped(history: History, episodes: Sequence[_Over]) -> Iterator[Sequence[_Over]]:
    """Neighbours together until they are worth a fold and end well; a later one never changes an earlier group."""
    group: list[_Over] = []
    size, closes = 0, False
    for one in episodes:
        if group and group[-1].end != one.start:
            group, size, closes = [], 0, False
        group.append(one)
        size += sum(len(text) for text in _words(history, one.start, one.end))
        closes = closes or closing_of(history, Fold(one.start, one.end)) is not None
        if size >= _LEAST and closes:
            yield group
            group, size, closes = [], 0, False

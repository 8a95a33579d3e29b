"""Runs of messages that may give way together: from which user's words to which end.

A stretch begins with words of a user, where a line can say what stood there. It ends with words of a user, so that
whoever spoke next goes on behind that line, or with the model's last word before a user goes on.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from ctxkit.editable import Fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ctxkit.hygiene.history import History

__all__ = ["stretches"]


def stretches(history: History, going: Sequence[bool], held: Iterable[Fold] = ()) -> Iterator[list[Fold]]:
    """For each run of messages that go the stretches it may be folded as, the longest ones.

    Args:
        history: the conversation.
        going: which of its messages go.
        held: what is folded already: it is in a stretch as a whole, or not at all.
    """
    words = [_speaker(history, index) for index in range(history.count)]
    known = list(held)
    for start, end in _runs(_with(going, known)):
        first = next((index for index in range(start, end) if words[index] == "user"), end)
        ways = [Fold(first, last) for last in _ends(words, first, end) if not _splits(first, last, known)]
        if ways := [one for one in ways if one not in known]:
            yield ways


def _ends(words: Sequence[str], first: int, end: int) -> Iterator[int]:
    """Where it may end: behind the last words of a user in it, and at its end where a user goes on."""
    behind = next((index + 1 for index in range(end - 1, first - 1, -1) if words[index] == "user"), None)
    if behind is not None:
        yield behind
    turn = next((index for index in range(end, first, -1) if index < len(words) and words[index] == "user"), None)
    if turn is not None and turn != behind:
        yield turn


def _speaker(history: History, index: int) -> str:
    """Who said the words of which a message is made; ``""``: it is something else."""
    pieces = history.by_message.get(index, ())
    speakers = {one.speaker if one.kind == "text" and not one.locked else "" for one in pieces}
    return speakers.pop() if len(speakers) == 1 else ""


def _with(going: Sequence[bool], held: Iterable[Fold]) -> list[bool]:
    found = list(going)
    for start, end in held:
        found[start:end] = [True] * (end - start)
    return found


def _runs(going: Sequence[bool]) -> Iterator[tuple[int, int]]:
    for goes, group in groupby(range(len(going)), key=lambda index: going[index]):
        if goes:
            found = list(group)
            yield found[0], found[-1] + 1


def _splits(start: int, end: int, held: Iterable[Fold]) -> bool:
    """It holds a part of what is folded, and not all of it."""
    return any(one.start < end and start < one.end and not (start <= one.start and one.end <= end) for one in held)

"""How often the same question comes again: word for word, and in other words as far as vectors can tell.

It is told and never acted upon. Two questions that a model holds for the same often are not ("in dollars" and "in
euros"), and the sets on which false matches are measured know no more than what a question is about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["FALSE", "THRESHOLD", "Again", "Match", "asked_again", "groups", "matches"]

THRESHOLD: Final = 0.9
"""Cosine from which on a question is held for an earlier one in other words, with all-MiniLM-L6-v2."""

FALSE: Final = {"banking77": 0.047, "clinc150": 0.012}
"""Share of such matches that were about something else (docs/reference/benchmarks.md), on two sets of labelled questions."""

_BLOCK = 512  # rows compared at once


class Match(NamedTuple):
    """A question, the earlier one that is most like it, and their cosine."""

    later: int
    earlier: int
    likeness: float


class Again(NamedTuple):
    """How often questions came again.

    Attributes:
        asked: questions.
        exactly: those that were asked before word for word, but for case and white space.
        reworded: those of the others that an earlier one is like; ``None``: no model told.
        largest: how often the one was asked that was asked most, in whatever words.
        compared: questions that a model compared: each wording once, and no more than it was given time for.
        threshold: cosine from which on two are held for the same.
    """

    asked: int
    exactly: int
    reworded: int | None = None
    largest: int = 1
    compared: int = 0
    threshold: float = THRESHOLD


def asked_again(
    questions: Sequence[str],
    embed: Callable[[Sequence[str]], NDArray[Any]] | None = None,
    *,
    threshold: float = THRESHOLD,
    most: int = 5_000,
) -> Again:
    """How often each of them stood earlier among them.

    Args:
        questions: in the order in which they were asked.
        embed: gives a row of unit length for each text, zeros where it cannot tell; ``None``: nobody looks at meaning.
        threshold: cosine from which on two are held for the same.
        most: different wordings that are compared; each is compared with all before it.
    """
    times: dict[str, int] = {}
    for question in questions:
        plain = " ".join(question.casefold().split())
        times[plain] = times.get(plain, 0) + 1
    exactly = len(questions) - len(times)
    counts, compared = list(times.values()), list(times)[:most]
    if embed is None or len(compared) < 2:
        return Again(len(questions), exactly, None, max(counts, default=0), 0, threshold)
    found = list(matches(embed(compared), threshold))
    largest = max(sum(counts[one] for one in group) for group in groups(found, len(times)))
    return Again(len(questions), exactly, len(found), largest, len(compared), threshold)


def matches(rows: NDArray[Any], threshold: float) -> Iterator[Match]:
    """For each row the earlier row that is most like it, if it is as like it as that."""
    import numpy as np

    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK] @ rows[: start + _BLOCK].T
        block[np.triu_indices(len(block), start, block.shape[1])] = -1.0  # itself and what comes later
        nearest = block.argmax(axis=1)
        for at, earlier in enumerate(nearest):
            if block[at, earlier] >= threshold:
                yield Match(start + at, int(earlier), float(block[at, earlier]))


def groups(found: Sequence[Match], count: int) -> list[list[int]]:
    """Numbers below ``count``, those together that one match or several hold together."""
    home = list(range(count))
    for one in sorted(found):
        home[one.later] = home[one.earlier]  # the earlier one is at home by then
    together: dict[int, list[int]] = {}
    for number, where in enumerate(home):
        together.setdefault(where, []).append(number)
    return list(together.values())

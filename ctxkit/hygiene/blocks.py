"""Texts cut into atoms at places that depend on what stands there alone, and an index that finds runs of them again.

An atom is a line; of a long line, what stands between two commas of JSON or two sentences. So a block that comes again is
cut in the same way wherever it stands. A run is found by any of its atoms that is long enough and grown to both sides by
comparison, with a bounded number of copies looked at: the work is linear in the new text.
"""

from __future__ import annotations

import re
from array import array
from itertools import accumulate
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Block", "Blocks", "Source", "atoms"]

_LONG: Final = 300  # characters of a line that is cut
_ANCHOR: Final = 16  # characters of an atom by which a run is found
_COPIES: Final = 4  # of an atom that are remembered, the latest
_EACH: Final = 2  # of them in one text, the first
_LARGEST: Final = 1_000_000  # characters of a text that is taken to atoms
_CUT: Final = re.compile(r', ?(?=["{\[])|\\n|[.;!?] ')

T = TypeVar("T")


def atoms(text: str) -> list[str]:
    """The text in pieces that make it up again."""
    found: list[str] = []
    for line in text.splitlines(keepends=True):
        if len(line) <= _LONG:
            found.append(line)
            continue
        at = 0
        for cut in _CUT.finditer(line):
            found.append(line[at : cut.end()])
            at = cut.end()
        if at < len(line):
            found.append(line[at:])
    return found


class Source(NamedTuple, Generic[T]):
    """A text that runs are found in.

    Attributes:
        text: all of it.
        atoms: that it is made of.
        starts: where each of them begins.
        of: what the caller knows it by.
    """

    text: str
    atoms: list[str]
    starts: array[int]
    of: T


class Block(NamedTuple, Generic[T]):
    """What stands in a new text as it stands in an earlier one.

    Attributes:
        start: of it in the new text.
        end: of it in the new text.
        source: the earlier text.
        at: where it begins there.
    """

    start: int
    end: int
    source: Source[T]
    at: int


class Blocks(Generic[T]):
    """Texts of one conversation, and where their atoms stand.

    Args:
        least: characters of a run that is worth finding.
    """

    def __init__(self, least: int) -> None:
        self._least = least
        self._places: dict[str, list[tuple[Source[T], int]]] = {}

    def add(self, text: str, of: T) -> Source[T] | None:
        """A text that later ones may repeat; nothing is made of one that is too small or too large."""
        if not self._least <= len(text) <= _LARGEST:
            return None
        cut = atoms(text)
        source = Source(text, cut, array("L", accumulate(map(len, cut), initial=0)), of)
        for index, atom in enumerate(cut):
            if len(atom) < _ANCHOR:
                continue
            places = self._places.setdefault(atom, [])
            if sum(one is source for one, _ in places) < _EACH:
                places.append((source, index))
                if len(places) > _COPIES:
                    del places[0]
        return source

    def find(self, text: str, fits: Callable[[T], bool]) -> Iterator[Block[T]]:
        """Runs of a new text that stand in earlier ones, in order; they do not overlap."""
        if not self._least <= len(text) <= _LARGEST:
            return
        new = atoms(text)
        reached = list(accumulate(map(len, new), initial=0))
        index = floor = 0
        while index < len(new):
            run = self._longest(new, reached, index, floor, fits)
            if run is None:
                index += 1
                continue
            start, end, source, at = run
            yield Block(reached[start], reached[end], source, source.starts[at])
            index = floor = end

    def _longest(
        self, new: list[str], reached: list[int], index: int, floor: int, fits: Callable[[T], bool]
    ) -> tuple[int, int, Source[T], int] | None:
        """The longest run around an atom that is long enough; the latest of equal ones."""
        best = None
        most = self._least - 1
        for source, at in reversed(self._places.get(new[index], ())):  # the latest first
            if not fits(source.of):
                continue
            back, on = _grown(new, source.atoms, index, at, floor)
            length = reached[index + on] - reached[index - back]
            if length > most:
                most = length
                best = index - back, index + on, source, at - back
        return best


def _grown(new: list[str], old: list[str], index: int, at: int, floor: int) -> tuple[int, int]:
    """How many atoms are the same before these two, and from them on."""
    back = 0
    while index - back > floor and at > back and new[index - back - 1] == old[at - back - 1]:
        back += 1
    on, most = 1, min(len(new) - index, len(old) - at)
    while on < most and new[index + on] == old[at + on]:
        on += 1
    return back, on

"""The pass ``deltas``: a near-repeat becomes a diff against the earlier copy. Its reader must apply it, so it must pay well.

:class:`~ctxkit.hygiene.repeats.Repeats` makes it, where it is shorter than pointers; here is what a diff is.

A unified diff without context. Lines that stand once in both texts, in the same order, hold the two together (as in
patience sorting); between them is compared from both ends. So the work is that of sorting, however the texts look; a
smaller diff may exist. No diff is used before it was applied and gave the new text.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["diff", "patched"]

_MOST: Final = 50_000  # lines of a text that is compared
_HUNK: Final = re.compile(r"@@ -(\d+),(\d+) \+\d+,(\d+) @@")


class _Same(NamedTuple):
    """A line that is the same in both, by its number in the old text and in the new one."""

    old: int
    new: int


def diff(old: str, new: str, most: int) -> str | None:
    """How the new text differs from the old one, where that takes at most so many characters."""
    before, after = old.split("\n"), new.split("\n")
    if max(len(before), len(after)) > _MOST or old == new:
        return None
    parts: list[str] = []
    size = 0
    for a, b, c, d in _changes(before, after):
        hunk = [f"@@ -{a + 1},{b - a} +{c + 1},{d - c} @@"]
        hunk += [f"-{line}" for line in before[a:b]]
        hunk += [f"+{line}" for line in after[c:d]]
        size += sum(map(len, hunk)) + len(hunk)
        if size > most:
            return None
        parts += hunk
    made = "\n".join(parts)
    return made if patched(old, made) == new else None


def patched(old: str, made: str) -> str:
    """The new text, from the old one and how it differs.

    Raises:
        ValueError: that is no diff of this text.
    """
    before, lines = old.split("\n"), made.split("\n")
    found: list[str] = []
    at = line = 0
    while line < len(lines):
        hunk = _HUNK.fullmatch(lines[line])
        if hunk is None:
            raise ValueError(f"line {line + 1} of the diff begins no hunk")
        start, gone, come = int(hunk[1]) - 1, int(hunk[2]), int(hunk[3])
        minus, plus = lines[line + 1 : line + 1 + gone], lines[line + 1 + gone : line + 1 + gone + come]
        if start < at or minus != [f"-{one}" for one in before[start : start + gone]]:
            raise ValueError(f"line {line + 1} of the diff fits no line of the text")
        found += before[at:start]
        found += [one[1:] for one in plus]
        at = start + gone
        line += 1 + gone + come
    return "\n".join([*found, *before[at:]])


def _changes(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
    """Lines ``a`` to ``b`` of the old text became ``c`` to ``d`` of the new one."""
    a = c = 0
    for same in (*_held(old, new), _Same(len(old), len(new))):
        if same.old < a or same.new < c:  # reached from an earlier one already
            continue
        while a < same.old and c < same.new and old[a] == new[c]:
            a, c = a + 1, c + 1
        b, d = same
        while b > a and d > c and old[b - 1] == new[d - 1]:
            b, d = b - 1, d - 1
        if a < b or c < d:
            yield a, b, c, d
        a, c = same


def _held(old: Sequence[str], new: Sequence[str]) -> list[_Same]:
    """The longest row of lines that stand once in both texts and in the same order."""
    ones = Counter(old)
    others = Counter(new)
    where = {line: index for index, line in enumerate(old) if ones[line] == 1 and others[line] == 1}
    found = [_Same(where[line], index) for index, line in enumerate(new) if line in where]
    return _rising(found)


def _rising(found: Sequence[_Same]) -> list[_Same]:
    """The longest part of it that rises in the old text as it does in the new one."""
    ends: list[int] = []
    at: list[int] = []
    before: list[int] = []
    for index, one in enumerate(found):
        length = bisect_left(ends, one.old)
        before.append(at[length - 1] if length else -1)
        ends[length : length + 1] = [one.old]
        at[length : length + 1] = [index]
    row: list[_Same] = []
    index = at[-1] if at else -1
    while index >= 0:
        row.append(found[index])
        index = before[index]
    return row[::-1]

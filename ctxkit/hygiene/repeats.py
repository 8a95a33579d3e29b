"""The pass ``repeats``: what stands earlier in the conversation already becomes a pointer to it.

The newer copy gives way, so that the older one stays in the cached prefix. A pointer says whose words it points to, which
lines, and how they begin and end. What it points to is compared character by character before it is made. Where diffs
may be made as well (:mod:`ctxkit.hygiene.deltas`), one takes the place of pointers that are clearly longer.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from ctxkit.editable import Rewrite
from ctxkit.hygiene.blocks import Block, Blocks
from ctxkit.hygiene.deltas import diff
from ctxkit.hygiene.naming import begins, call_name, ends, strings
from ctxkit.hygiene.passes import MARK

if TYPE_CHECKING:
    from ctxkit.editable import Piece, Place
    from ctxkit.hygiene.blocks import Source
    from ctxkit.hygiene.passes import Before

__all__ = ["Repeats", "Told"]

_SHARE: Final = 0.5  # of a block that a pointer to it may be long
_DIFF: Final = 0.6  # of a text that a diff may have,
_SAVED: Final = 300  # characters that it must save,
_BETTER: Final = 0.8  # and its share of the same text with pointers, which are easier to read


@dataclass(frozen=True, slots=True)
class Told:
    """Something that was said earlier.

    Attributes:
        place: where.
        what: it is called.
        number: of those that are called so up to this one.
    """

    place: Place
    what: str
    number: int


class Repeats:
    """An arrival pass.

    Args:
        least: characters of a block that is worth a pointer.
        within: messages that a pointer may reach back.
        pointers: make them.
        deltas: make diffs.
    """

    __name__ = "repeats"

    def __init__(self, *, least: int = 240, within: int = 100, pointers: bool = True, deltas: bool = False) -> None:
        self._least = least
        self._within = within
        self._pointers = pointers
        self._deltas = deltas
        self._latest: dict[str, Source[Told]] = {}
        self._blocks: Blocks[Told] = Blocks(least)
        self._whole: dict[str, Told] = {}
        self._called: Counter[str] = Counter()

    def begin(self) -> Repeats:
        """The same for a conversation of its own."""
        return Repeats(least=self._least, within=self._within, pointers=self._pointers, deltas=self._deltas)

    def saw(self, piece: Piece, text: str, before: Before) -> None:
        """It may be pointed to from now on."""
        if len(text) < self._least:
            return
        if piece.kind != "arguments":
            self._add(piece, text, _what(piece, text, before))
            return
        if found := strings(piece, self._least):
            call = call_name(piece, piece.name)
            for key, value in found:
                self._add(piece, value, f"the {key} in your call of {call}")

    def _add(self, piece: Piece, text: str, what: str) -> None:
        self._called[what] += 1
        told = Told(piece.place, what, self._called[what])
        source = self._blocks.add(text, told)
        if MARK not in text:
            self._whole[text] = told
            if source is not None and self._deltas:
                self._latest[what] = source

    def __call__(self, piece: Piece, text: str, before: Before) -> Rewrite | None:
        """The piece with pointers for what stands earlier, or as a diff."""
        if len(text) < self._least or MARK in text:
            return None
        oldest = piece.message - self._within
        told = self._whole.get(text)
        if told is not None and told.place[0] >= oldest:
            return _rewrite(piece, f"{MARK}: the same as {self._named(told)}]", [told]) if self._pointers else None
        blocks = self.blocks(text, oldest)
        pointing = self._with_pointers(piece, text, blocks) if self._pointers else None
        if not self._deltas:
            return pointing
        most = int(min(_DIFF * len(text), len(text) - _SAVED, _BETTER * len(pointing.text if pointing else text)))
        return self._as_diff(piece, text, self._bases(_what(piece, text, before), blocks, oldest), most) or pointing

    def _bases(self, what: str, blocks: list[Block[Told]], oldest: int) -> list[Source[Told]]:
        """Earlier texts that a new one may be told by: of the same name, and the one that most of it stands in."""
        shared: Counter[int] = Counter()
        for block in blocks:
            shared[id(block.source)] += block.end - block.start
        most = max(shared.values(), default=0)
        found = [block.source for block in blocks if shared[id(block.source)] == most][:1]
        latest = self._latest.get(what)
        if latest is not None and all(latest is not one for one in found):
            found.append(latest)
        return [one for one in found if one.of.place[0] >= oldest and MARK not in one.text]

    def _as_diff(self, piece: Piece, text: str, bases: list[Source[Told]], most: int) -> Rewrite | None:
        best: Rewrite | None = None
        for base in bases:
            said = f"{MARK}: {self._named(base.of)} with these changes (unified diff):]\n"
            made = diff(base.text, text, most - len(said))
            if made is not None:
                most = len(said) + len(made) - 1
                best = Rewrite(piece.place, said + made, "deltas", f"differs little from {base.of.what[:160]}")
                best = best._replace(targets=(base.of.place,))
        return best

    def blocks(self, text: str, oldest: int) -> list[Block[Told]]:
        """What of a text stands in messages from ``oldest`` on."""
        return list(self._blocks.find(text, lambda told: told.place[0] >= oldest))

    def _with_pointers(self, piece: Piece, text: str, blocks: list[Block[Told]]) -> Rewrite | None:
        parts: list[str] = []
        told: list[Told] = []
        at = 0
        for block in blocks:
            said = text[block.start : block.end]
            pointer = self._pointer(block, said)
            if len(pointer) <= _SHARE * len(said):
                parts += [text[at : block.start], pointer]
                told.append(block.source.of)
                at = block.end
        return _rewrite(piece, "".join((*parts, text[at:])), told) if told else None

    def _pointer(self, block: Block[Told], said: str) -> str:
        """On a line of its own for whole lines, else where the text stood."""
        old, named = block.source.text, self._named(block.source.of)
        closed = said.endswith("\n")
        lines = said.count("\n") + (not closed)
        what = f"{len(said)} characters as in"
        if lines > 1:
            first = bisect_right(_line_ends(old), block.at) + 1
            what = f"the same as lines {first}-{first + lines - 1} of"
        pointer = f'{MARK}: {what} {named}, from "{begins(said)}" to "{ends(said)}"]'
        return f"{pointer}\n" if closed else pointer

    def _named(self, told: Told) -> str:
        """Which of several that are called the same."""
        count = self._called[told.what]
        which = "" if count == 1 else " (the latest)" if told.number == count else f" ({told.number} of {count})"
        return f"{told.what} above{which}"


@lru_cache(maxsize=8)  # blocks of one text are asked for one after another
def _line_ends(text: str) -> array[int]:
    return array("L", accumulate(len(line) + 1 for line in text.split("\n")))


def _what(piece: Piece, text: str, before: Before) -> str:
    if piece.kind == "result":
        return f"the result of {call_name(before.call(piece), piece.name)}"
    whose = "your message" if piece.speaker == "assistant" else "the user message"
    return f'{whose} "{begins(text)}…"'


def _rewrite(piece: Piece, text: str, told: list[Told]) -> Rewrite:
    targets = tuple(dict.fromkeys(one.place for one in told))
    reason = f"stands earlier in the conversation: {', '.join(dict.fromkeys(one.what for one in told))[:200]}"
    return Rewrite(piece.place, text, "repeats", reason, targets=targets)

"""The pass ``repeats``: what stands earlier in the conversation already becomes a pointer to it.

The newer copy gives way, so that the older one stays in the cached prefix. A pointer says whose words it points to, which
lines, and how they begin and end. What it points to is compared character by character before it is made.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ctxkit.editable import Rewrite
from ctxkit.hygiene.blocks import Block, Blocks
from ctxkit.hygiene.naming import begins, call_name, ends, strings
from ctxkit.hygiene.passes import MARK

if TYPE_CHECKING:
    from ctxkit.editable import Piece, Place
    from ctxkit.hygiene.passes import Before

__all__ = ["Repeats", "Told"]

_SHARE: Final = 0.5  # of a block that a pointer to it may be long


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
    """

    __name__ = "repeats"

    def __init__(self, *, least: int = 240, within: int = 100) -> None:
        self._least = least
        self._within = within
        self._blocks: Blocks[Told] = Blocks(least)
        self._whole: dict[str, Told] = {}
        self._called: Counter[str] = Counter()

    def begin(self) -> Repeats:
        """The same for a conversation of its own."""
        return Repeats(least=self._least, within=self._within)

    def saw(self, piece: Piece, text: str, before: Before) -> None:
        """It may be pointed to from now on."""
        if len(text) < self._least:
            return
        if piece.kind != "arguments":
            self._add(piece, text, _what(piece, text, before))
            return
        for key, value in strings(piece, self._least):
            self._add(piece, value, f"the {key} in your call of {call_name(piece, piece.name)}")

    def _add(self, piece: Piece, text: str, what: str) -> None:
        self._called[what] += 1
        told = Told(piece.place, what, self._called[what])
        self._blocks.add(text, told)
        if MARK not in text:
            self._whole[text] = told

    def __call__(self, piece: Piece, text: str, _: Before) -> Rewrite | None:
        """The piece with pointers for what stands earlier."""
        if len(text) < self._least or MARK in text:
            return None
        oldest = piece.message - self._within
        told = self._whole.get(text)
        if told is not None and told.place[0] >= oldest:
            return _rewrite(piece, f"{MARK}: the same as {self._named(told)}]", [told])
        return self._with_pointers(piece, text, oldest)

    def blocks(self, text: str, oldest: int) -> list[Block[Told]]:
        """What of a text stands in messages from ``oldest`` on."""
        return list(self._blocks.find(text, lambda told: told.place[0] >= oldest))

    def _with_pointers(self, piece: Piece, text: str, oldest: int) -> Rewrite | None:
        parts: list[str] = []
        told: list[Told] = []
        at = 0
        for block in self.blocks(text, oldest):
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
            first = old.count("\n", 0, block.at) + 1
            what = f"the same as lines {first}-{first + lines - 1} of"
        pointer = f'{MARK}: {what} {named}, from "{begins(said)}" to "{ends(said)}"]'
        return f"{pointer}\n" if closed else pointer

    def _named(self, told: Told) -> str:
        """Which of several that are called the same."""
        count = self._called[told.what]
        which = "" if count == 1 else " (the latest)" if told.number == count else f" ({told.number} of {count})"
        return f"{told.what} above{which}"


def _what(piece: Piece, text: str, before: Before) -> str:
    if piece.kind == "result":
        return f"the result of {call_name(before.call(piece), piece.name)}"
    whose = "your message" if piece.speaker == "assistant" else "the user message"
    return f'{whose} "{begins(text)}…"'


def _rewrite(piece: Piece, text: str, told: list[Told]) -> Rewrite:
    targets = tuple(dict.fromkeys(one.place for one in told))
    reason = f"stands earlier in the conversation: {', '.join(dict.fromkeys(one.what for one in told))[:200]}"
    return Rewrite(piece.place, text, "repeats", reason, targets=targets)

"""Pieces cut into parts of about a paragraph: of a long result the lines that are used count, not all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ctxkit.hygiene.blocks import atoms
from ctxkit.hygiene.identifiers import identifiers
from ctxkit.hygiene.memo import remembered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ctxkit.editable import Piece
    from ctxkit.hygiene.history import History

__all__ = ["Part", "parts_of"]

_SIZE = 1_000  # characters of a part at least: about what an embedding model reads of a text
_MOST = 64  # parts of one piece


class Cut(NamedTuple):
    """A stretch of a text, and the names in it."""

    text: str
    names: tuple[str, ...]


class Part(NamedTuple):
    """A stretch of a piece.

    Attributes:
        piece: whose.
        text: of it.
        names: identifiers in it.
        start: tokens of the piece that stand before it.
        tokens: of it.
    """

    piece: Piece
    text: str
    names: tuple[str, ...]
    start: float
    tokens: float


def parts_of(history: History, tokens_of: Callable[[Piece], float]) -> list[Part]:
    """All of a conversation, in order; of a piece its share of tokens by length."""
    return [part for piece in history.pieces for part in _parts(piece, tokens_of)]


def _parts(piece: Piece, tokens_of: Callable[[Piece], float]) -> Iterator[Part]:
    if not piece.text:
        return
    each = tokens_of(piece) / len(piece.text)
    at = 0
    for cut in cuts(piece.text):
        yield Part(piece, cut.text, cut.names, at * each, len(cut.text) * each)
        at += len(cut.text)


@remembered
def cuts(text: str) -> tuple[Cut, ...]:
    """A text in parts that make it up again; what has no place to cut stays whole, however long it is."""
    opening = text.lstrip()[:1]
    coded = opening if opening in ("{", "[", '"') else ""  # escapes in JSON are read as such in each part of it
    return tuple(Cut(part, identifiers(coded + part if at else part)) for at, part in enumerate(_stretches(text)))


def _stretches(text: str) -> Iterator[str]:
    least = max(_SIZE, len(text) // _MOST)
    if len(text) <= least:
        yield text
        return
    held: list[str] = []
    size = 0
    for atom in atoms(text):
        held.append(atom)
        size += len(atom)
        if size >= least:
            yield "".join(held)
            held, size = [], 0
    if held:
        yield "".join(held)

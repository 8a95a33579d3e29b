"""How much of a conversation stood there before: blocks that come again, in whatever piece they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ctxkit.hygiene.blocks import Blocks

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxkit.editable import Piece
    from ctxkit.hygiene.history import History

__all__ = ["repeats"]

_LEAST: Final = 200  # characters of a block that counts when it comes again


def repeats(history: History, tokens_of: Callable[[Piece], float]) -> list[float]:
    """Tokens of each piece that stood there before it, in blocks of 200 characters and more.

    Args:
        history: of a request.
        tokens_of: tokens of a piece, by the estimate; those of a block are its share of them by length.
    """
    blocks: Blocks[None] = Blocks(_LEAST)
    whole: set[str] = set()
    found: list[float] = []
    for piece in history.pieces:
        text = piece.text
        if len(text) < _LEAST:
            found.append(0.0)
            continue
        if text in whole:
            found.append(tokens_of(piece))
            continue
        again = sum(block.end - block.start for block in blocks.find(text, _any))
        found.append(tokens_of(piece) * again / len(text))
        whole.add(text)
        blocks.add(text, None)
    return found


def _any(_: None) -> bool:
    return True

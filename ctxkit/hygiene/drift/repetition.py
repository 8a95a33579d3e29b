"""How much of a conversation stood there before: blocks that come again, in whatever piece they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ctxkit.hygiene.blocks import Blocks

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxkit.editable import Piece
    from ctxkit.hygiene.history import History

__all__ = ["repeated", "repeats"]

_LEAST: Final = 200  # characters of a block that counts when it comes again


def repeated(history: History, tokens_of: Callable[[Piece], float]) -> float:
    """Share of the tokens that stand in blocks of 200 characters and more which stood there before, from 0 to 1.

    Args:
        history: of a request.
        tokens_of: tokens of a piece, by the estimate; those of a block are its share of them by length.
    """
    tokens = sum(map(tokens_of, history.pieces))
    return min(sum(repeats(history, tokens_of)) / tokens, 1.0) if tokens else 0.0


def repeats(history: History, tokens_of: Callable[[Piece], float]) -> list[float]:
    """Tokens of each piece that stood there before it; arguments as for :func:`repeated`."""
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

"""A conversation as tidying sees it: its pieces in order, results joined to their calls, and where steps and turns begin."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctxkit.editable import Piece, Place

__all__ = ["History"]


class History:
    """Read-only; everything is worked out once, on first use.

    Args:
        pieces: of all messages, in order.
        count: messages of the request, tools and system text included.

    Attributes:
        pieces: as given.
        count: as given.
    """

    def __init__(self, pieces: Sequence[Piece], count: int) -> None:
        self.pieces = pieces
        self.count = count

    @cached_property
    def by_place(self) -> Mapping[Place, Piece]:
        """Each piece by where it stands."""
        return {piece.place: piece for piece in self.pieces}

    @cached_property
    def calls(self) -> Mapping[Place, Piece]:
        """The call (its arguments) that each result answers, by the place of the result."""
        latest: dict[str, Piece] = {}
        found: dict[Place, Piece] = {}
        for piece in self.pieces:
            if piece.pair is None:
                continue
            if piece.kind == "arguments":
                latest[piece.pair] = piece
            elif piece.kind == "result" and (call := latest.get(piece.pair)) is not None:
                found[piece.place] = call
        return found

    @cached_property
    def results(self) -> Mapping[Place, Piece]:
        """The result of each call, by the place of the call."""
        pieces = self.by_place
        return {call.place: pieces[result] for result, call in self.calls.items()}

    @cached_property
    def steps(self) -> Sequence[int]:
        """Indices of the messages in which the model spoke or called: one for each request so far, nearly."""
        return sorted({piece.message for piece in self.pieces if piece.speaker == "assistant"})

    @cached_property
    def turns(self) -> Sequence[int]:
        """Indices of the messages in which a user spoke."""
        return sorted({piece.message for piece in self.pieces if piece.speaker == "user" and piece.kind == "text"})

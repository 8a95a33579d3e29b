"""A conversation as tidying sees it: its pieces in order, results joined to their calls, and where steps and turns begin."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ctxkit.editable import Piece

__all__ = ["History", "once"]

T = TypeVar("T")


class History:
    """Read-only.

    Args:
        pieces: of all messages, in order.
        count: messages of the request, its opening instruction left out.

    Attributes:
        pieces: as given.
        count: as given.
        by_place: each piece by where it stands.
        by_message: the pieces of each message that has any.
        calls: the call (its arguments) that each result answers, by the place of the result.
        results: the result of each call, by the place of the call.
        steps: indices of the messages in which the model spoke or called: one for each request so far, nearly.
        turns: indices of the messages in which a user spoke.
    """

    def __init__(self, pieces: Sequence[Piece], count: int) -> None:
        self.pieces = pieces
        self.count = count
        self.by_place = {piece.place: piece for piece in pieces}
        self.by_message: dict[int, list[Piece]] = {}
        for piece in pieces:
            self.by_message.setdefault(piece.message, []).append(piece)
        pairs = list(_pairs(pieces))
        self.calls = {result.place: call for call, result in pairs}
        self.results = {call.place: result for call, result in pairs}
        self.steps = sorted({piece.message for piece in pieces if piece.speaker == "assistant"})
        self.turns = sorted({piece.message for piece in pieces if piece.speaker == "user" and piece.kind == "text"})


def once(make: Callable[[History], T]) -> Callable[[History], T]:
    """A pure function of a history that several passes ask for: worked out once for each, and not to be changed."""
    known: WeakKeyDictionary[History, tuple[T]] = WeakKeyDictionary()

    @wraps(make)
    def found(history: History) -> T:
        held = known.get(history)
        if held is None:
            held = known[history] = (make(history),)
        return held[0]

    return found


def _pairs(pieces: Sequence[Piece]) -> Iterator[tuple[Piece, Piece]]:
    """Calls with their results; where ids come again the latest call before a result is its own."""
    latest: dict[str, Piece] = {}
    for piece in pieces:
        if piece.pair is None:
            continue
        if piece.kind == "arguments":
            latest[piece.pair] = piece
        elif piece.kind == "result" and (call := latest.get(piece.pair)) is not None:
            yield call, piece

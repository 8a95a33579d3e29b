"""A request said anew: from what is said instead of its pieces to edits of the wire, and what they come to in tokens.

A part of the hall: here the pieces of a dialect meet what the hygiene room made of them.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from ctxkit.hygiene.history import History
from ctxkit.model import Edit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctxkit.dialects.base import Texts
    from ctxkit.editable import Piece, Rewrite
    from ctxkit.hygiene.editing import Said
    from ctxkit.model import Conversation, Message

__all__ = ["Request", "opening_of"]

_OPENING = frozenset({"tools", "system", "developer"})
_TOKENS_PER_CHARACTER = 0.4  # of stubs: identifiers take more than prose


def opening_of(conversation: Conversation) -> int:
    """Index of the first message that is neither a tool nor the opening instruction."""
    messages = conversation.messages
    return next((index for index, one in enumerate(messages) if one.role not in _OPENING), len(messages))


def _sealed(taken: list[tuple[Piece, ...]]) -> list[tuple[Piece, ...]]:
    """What a program asked for is locked: the program goes on with it, and the model never reads it."""
    asked = {one.pair for pieces in taken for one in pieces if one.kind == "arguments" and one.speaker == "tool"}
    if not asked:
        return taken
    return [
        tuple(one._replace(locked=True) if one.kind == "result" and one.pair in asked else one for one in pieces)
        for pieces in taken
    ]


class Request:
    """What the application sent, message by message, without tools and opening instruction: indices count from there.

    Args:
        messages: in cache order.
        texts: takes messages apart and says them anew.
        weights: tokens of each message.
        before: tokens that stand before them.

    Attributes:
        messages: as given.
        weights: as given.
        history: all of it, as the application sent it.
        reached: tokens before each message, and all of them at last.
    """

    def __init__(self, messages: Sequence[Message], texts: Texts, weights: Sequence[float], before: float) -> None:
        self.messages = messages
        self.weights = weights
        self.reached = list(accumulate(weights, initial=before))
        self._texts = texts
        self._taken = _sealed([texts.pieces(message, index) for index, message in enumerate(messages)])
        self._lengths = [sum(len(piece.text) for piece in taken) for taken in self._taken]
        self.history = History([piece for taken in self._taken for piece in taken], len(messages))

    def pieces(self, index: int) -> tuple[Piece, ...]:
        """One message taken apart."""
        return self._taken[index]

    def edits(self, said: Said) -> tuple[Edit, ...]:
        """The wire's edits that say it."""
        pieces = self.history.by_place
        rewritten = [self._edit(pieces[place], one) for place, one in sorted(said.rewrites.items())]
        return (*rewritten, *(self._drop(index, by) for index, by in sorted(said.drops.items())))

    def _edit(self, piece: Piece, rewrite: Rewrite) -> Edit:
        tokens = self.tokens(piece)
        return Edit(
            "replace",
            piece.path,
            rewrite.reason,
            self._texts.written(piece, rewrite.text),
            tokens_before=round(tokens),
            tokens_after=round(self.tokens_of(piece, rewrite)),
            lossless=rewrite.lossless,
            by=rewrite.by,
        )

    def _drop(self, index: int, by: str) -> Edit:
        reason = "stands in a finished stretch of the conversation"
        tokens = round(self.weights[index])
        return Edit("drop", self.messages[index].path, reason, tokens_before=tokens, lossless=False, by=by)

    def tokens(self, piece: Piece) -> float:
        """Tokens of a piece: its share of its message by length."""
        whole = self._lengths[piece.message]
        return self.weights[piece.message] * len(piece.text) / whole if whole else 0.0

    def tokens_of(self, piece: Piece, rewrite: Rewrite) -> float:
        """Tokens of what is said instead of a piece, about."""
        if not piece.text:
            return len(rewrite.text) * _TOKENS_PER_CHARACTER
        each = self.tokens(piece) / len(piece.text)
        if len(rewrite.text) * 3 < len(piece.text):
            each = max(each, _TOKENS_PER_CHARACTER)
        return each * len(rewrite.text)

    def removed(self, said: Said) -> dict[int, float]:
        """Tokens that go, by message."""
        pieces = self.history.by_place
        found = {index: self.weights[index] for index in said.drops}
        for place, one in said.rewrites.items():
            piece = pieces[place]
            found[place[0]] = found.get(place[0], 0.0) + self.tokens(piece) - self.tokens_of(piece, one)
        return found

"""What a pass is: a plain callable that proposes and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ctxkit.editable import Candidate, Piece, Place, Rewrite
    from ctxkit.hygiene.history import History

__all__ = ["ArrivalPass", "Before", "DeferredPass"]


class Before(Protocol):
    """What precedes a piece, as it is sent."""

    def text(self, place: Place) -> str:
        """What an earlier piece says."""
        ...

    def piece(self, place: Place) -> Piece:
        """An earlier piece."""
        ...


class ArrivalPass(Protocol):
    """Makes a new piece smaller: a pure function of the piece and of what precedes it in the same request.

    ``text`` is what the passes before this one left of it. ``None``: it stays as it is.
    """

    def __call__(self, piece: Piece, text: str, before: Before) -> Rewrite | None:
        """What the piece is to say instead."""
        ...


DeferredPass: TypeAlias = "Callable[[History], Iterable[Candidate]]"
"""Finds what is over: a pure function of the conversation."""

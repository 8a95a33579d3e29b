"""What a pass is: a plain callable that proposes and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ctxkit.editable import Candidate, Piece, Place, Rewrite
    from ctxkit.hygiene.history import History

__all__ = ["MARK", "ArrivalPass", "Before", "DeferredPass", "Looking"]

MARK: Final = "[ctxkit"
"""What everything that ctxkit says begins with; a text that carries it is left as it is."""


class Before(Protocol):
    """What precedes a piece, as it is sent."""

    def text(self, place: Place) -> str:
        """What an earlier piece says."""
        ...

    def piece(self, place: Place) -> Piece:
        """An earlier piece, as the application sent it."""
        ...

    def call(self, piece: Piece) -> Piece | None:
        """The call that a result answers."""
        ...


class ArrivalPass(Protocol):
    """Makes a new piece smaller: a pure function of the piece and of what precedes it in the same request.

    ``text`` is what the passes before this one left of it. ``None``: it stays as it is.
    """

    def __call__(self, piece: Piece, text: str, before: Before) -> Rewrite | str | None:
        """What the piece is to say instead."""
        ...


@runtime_checkable
class Looking(Protocol):
    """An arrival pass that looks things up in what precedes: it has an index for each conversation."""

    def __call__(self, piece: Piece, text: str, before: Before) -> Rewrite | str | None:
        """What the piece is to say instead."""
        ...

    def begin(self) -> Looking:
        """The same pass for a conversation of its own."""
        ...

    def saw(self, piece: Piece, text: str, before: Before) -> None:
        """This is how a piece is sent; it precedes all that come after."""
        ...


DeferredPass: TypeAlias = "Callable[[History], Iterable[Candidate]]"
"""Finds what is over: a pure function of the conversation."""

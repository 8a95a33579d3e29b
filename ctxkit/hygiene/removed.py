"""The text that an action takes out, as a person (or a model that asks for it) would read it.

A pure function of the conversation as the application sends it and of the action, as what is said instead is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.editable import Fold

if TYPE_CHECKING:
    from ctxkit.editable import Action, Piece
    from ctxkit.hygiene.history import History

__all__ = ["removed"]


def removed(history: History, action: Action) -> str:
    """The text itself of one piece; of a folded stretch all that was said, each with who said it.

    Args:
        history: the conversation as the application sends it.
        action: what gave way.

    Returns:
        ``""`` when the conversation has no such place.
    """
    if isinstance(action, Fold):
        inside = [piece for index in range(action.start, action.end) for piece in history.by_message.get(index, ())]
        return "\n\n".join(f"{_who(history, piece)}:\n{piece.text}" for piece in inside)
    piece = history.by_place.get(action.place)
    return "" if piece is None else piece.text


def _who(history: History, piece: Piece) -> str:
    if piece.kind == "text":
        return piece.speaker
    call = history.calls.get(piece.place)
    name = piece.name or (call.name if call is not None else None) or "a tool"
    return f"call of {name}" if piece.kind == "arguments" else f"{'error' if piece.failed else 'result'} of {name}"

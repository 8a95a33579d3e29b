"""Which names a conversation uses, and where: what nothing uses any more may go."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from ctxkit.hygiene.history import once
from ctxkit.hygiene.identifiers import identifiers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctxkit.editable import Piece, Place
    from ctxkit.hygiene.history import History

__all__ = ["Uses", "uses_of"]


class Uses:
    """Read-only.

    Args:
        history: whose names.

    Attributes:
        first: where each name stands first.
        said: indices of the messages in which the model or a user says it, ascending.
        links: a name, the message in which the model or a user says it, and the message in which it stood last before:
            that is what it refers to.
    """

    def __init__(self, history: History) -> None:
        self.first: dict[str, Place] = {}
        self.said: dict[str, list[int]] = {}
        self.links: list[tuple[str, int, int]] = []
        latest: dict[str, int] = {}
        for piece in history.pieces:
            place, message, words = piece.place, piece.message, piece.kind != "result"
            for name in identifiers(piece.text):
                self.first.setdefault(name, place)
                if words:
                    self.said.setdefault(name, []).append(message)
                    if (before := latest.get(name, message)) != message:
                        self.links.append((name, message, before))
                latest[name] = message

    def own(self, piece: Piece) -> list[str]:
        """Names that stand there first."""
        place = piece.place
        return [name for name in identifiers(piece.text) if self.first.get(name) == place]

    def later(self, names: Sequence[str], message: int) -> list[int]:
        """Messages behind this one in which somebody says one of these names, one entry for each name and message."""
        found: list[int] = []
        for name in names:
            places = self.said.get(name)
            if places and places[-1] > message:
                found += places[bisect_right(places, message) :]
        return found


@once
def uses_of(history: History) -> Uses:
    """Those of a conversation."""
    return Uses(history)


def steps_behind(history: History, message: int) -> int:
    """How many steps of the model stand behind a message."""
    return len(history.steps) - bisect_right(history.steps, message)


def step_at(history: History, message: int, ahead: int) -> int:
    """Index of the message of the model that is so many steps behind a message; the last one's, if there are fewer."""
    at = bisect_left(history.steps, message + 1) + ahead - 1
    return history.steps[min(at, len(history.steps) - 1)]

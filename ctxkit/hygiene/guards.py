"""What must stay as it is: the task, the last turns, what is pinned, what no provider would take changed.

Passes may propose what they like; what the guards do not allow is never priced, let alone removed.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from ctxkit.editable import Fold
from ctxkit.hygiene.history import once
from ctxkit.hygiene.pins import Pins
from ctxkit.hygiene.stubs import closing_of, is_gap

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ctxkit.editable import Candidate, Piece
    from ctxkit.hygiene.history import History
    from ctxkit.hygiene.pins import Pin

__all__ = ["Guards"]


class Guards:
    """Says what may be removed of a conversation. One for all threads.

    Never removed: instructions, the first message of a user, the latest steps of the model with everything behind
    them (but for what was over when the user began about something else), the last message of a user, the newest error,
    what is pinned, what is locked.

    Args:
        keep_last: latest steps of the model (messages in which it spoke or called) that are left as they are.
        pins: what is never removed; a callable is asked once of each piece of a history.

    Attributes:
        kept: says of a history the indices of the messages that hold what is pinned, of the last one of a user, and of
            the newest error.
    """

    def __init__(self, keep_last: int = 4, pins: Sequence[Pin] = ()) -> None:
        self._keep_last = max(keep_last, 1)
        self._pinned = Pins(pins)
        self.kept = once(self._kept)

    def allowed(self, history: History, candidates: Iterable[Candidate]) -> list[Candidate]:
        """Those that touch nothing protected, in the order given."""
        proposed = list(candidates)
        if not proposed:
            return proposed
        bounds, over = self.bounds(history), self.over(history)
        kept = self.kept(history)
        return [one for one in proposed if self._allows(history, one, over if one.over else bounds, kept)]

    def bounds(self, history: History) -> tuple[int, int]:
        """Indices behind the first message of a user, and of the first of the latest messages: between them may go."""
        steps = history.steps if len(history.steps) > self._keep_last else _spoken(history)
        if not history.turns or len(steps) <= self._keep_last:
            return 0, 0
        return history.turns[0] + 1, steps[-self._keep_last]

    def over(self, history: History) -> tuple[int, int]:
        """The same for what is over: indices behind the first message of a user, and of the last one."""
        return (history.turns[0] + 1, history.turns[-1]) if history.turns else (0, 0)

    def free(self, history: History) -> set[int]:
        """Indices of the messages of which nothing is protected."""
        return set(range(*self.bounds(history))) - self.kept(history)

    def _kept(self, history: History) -> set[int]:
        pinned = {piece.message for piece in history.pieces if self._pinned(piece)}
        newest = next(([piece.message] for piece in reversed(history.pieces) if piece.failed), [])
        return pinned.union(history.turns[-1:], newest)

    def _allows(self, history: History, candidate: Candidate, bounds: tuple[int, int], kept: set[int]) -> bool:
        action = candidate.action
        if isinstance(action, Fold):
            return _foldable(history, action, bounds) and kept.isdisjoint(range(action.start, action.end))
        piece = history.by_place.get(action.place)
        if piece is None or piece.locked or piece.speaker == "system" or piece.message in kept:
            return False
        return bounds[0] <= piece.message < bounds[1]


def _spoken(history: History) -> list[int]:
    """Where the model hardly speaks, in a chat of many: its steps, and the words of users that another one's follow."""
    words = [index for index in history.turns if _is_text(history, index, "user")]
    return sorted({*history.steps, *(one for one, two in pairwise(words) if two == one + 1)})


def _foldable(history: History, fold: Fold, bounds: tuple[int, int]) -> bool:
    """It begins and ends where it must, and every call in it has its result in it, and the other way round."""
    start, end = fold
    if not (bounds[0] <= start < end <= bounds[1] and _is_text(history, start, "user")):
        return False
    if not (_goes_on(history, end) if is_gap(history, fold) else _closes(history, fold)):
        return False
    inside = range(start, end)
    return all(_whole(history, piece, inside) for index in inside for piece in history.by_message.get(index, ()))


def _goes_on(history: History, index: int) -> bool:
    """Somebody speaks there; calls stay with what asked for them."""
    return _is_text(history, index, "assistant") or _is_text(history, index, "user")


def _closes(history: History, fold: Fold) -> bool:
    """What is left of it ends with words of the model that can stand there, and a user goes on."""
    closing = closing_of(history, fold)
    if closing is None or not _is_text(history, fold.end, "user"):
        return False
    # What nobody can read may be what the last message must follow: its reasoning.
    return closing - 1 == fold.start or bool(history.by_message.get(closing - 1))


def _whole(history: History, piece: Piece, inside: range) -> bool:
    """Its other half, where it has one, goes with it. A call whose result is empty has none that can be seen."""
    if piece.kind == "result":
        call = history.calls.get(piece.place)
        return call is not None and call.message in inside
    result = history.results.get(piece.place)
    return piece.speaker != "system" and (result is None or result.message in inside)


def _is_text(history: History, index: int, speaker: str) -> bool:
    """The message is nothing but texts of that speaker that may be changed."""
    pieces = history.by_message.get(index, ())
    return bool(pieces) and all(one.kind == "text" and one.speaker == speaker and not one.locked for one in pieces)

"""Old, large results of tools, and what tools were given to write, that nothing refers to any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.editable import Candidate, Stub
from ctxkit.hygiene.outputs import outputs
from ctxkit.hygiene.passes import MARK
from ctxkit.hygiene.uses import step_at, steps_behind, uses_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxkit.editable import Piece
    from ctxkit.hygiene.history import History
    from ctxkit.hygiene.uses import Uses

__all__ = ["Spent"]


class Spent:
    """Proposes a stub for each of them.

    A result is in use while the model or a user says names that stand in it first: as long as that goes on, and some
    steps longer, it stays. What holds no name of its own stays twice as long, for nobody can tell.

    Args:
        after: steps of the model without a use.
        least: characters of a result; what was written has to be twice as long, for the model may imitate what it finds
            in its own calls.
    """

    def __init__(self, after: int = 6, least: int = 800) -> None:
        self._after = after
        self._least = least

    def __call__(self, history: History) -> Iterator[Candidate]:
        """Those of a conversation, in order."""
        if len(history.steps) <= self._after:
            return
        oldest = history.steps[-self._after]
        printed = outputs(history)
        for piece in history.pieces:
            if piece.message >= oldest:
                return
            if self._bulky(piece, is_output=piece.message in printed):
                found = self._candidate(history, uses_of(history), piece)
                if found is not None:
                    yield found

    def _bulky(self, piece: Piece, *, is_output: bool) -> bool:
        if piece.locked or MARK in piece.text:
            return False
        if piece.kind == "arguments":
            return len(piece.text) >= 2 * self._least
        return (piece.kind == "result" or (is_output and piece.speaker == "user")) and len(piece.text) >= self._least

    def _candidate(self, history: History, uses: Uses, piece: Piece) -> Candidate | None:
        own = uses.own(piece)
        later = uses.later(own, piece.message)
        last = max(later, default=piece.message)
        after = self._after if own else 2 * self._after
        quiet = steps_behind(history, last)
        if quiet < after:
            return None
        what = f"{'arguments' if piece.kind == 'arguments' else 'result'} of {len(piece.text):,} characters"
        used = f"last referred to {quiet} steps ago" if later else f"nothing in {quiet} steps refers to it"
        worth = min(0.9, (len(later) + 1) / (len(later) + 8) * after / quiet + 0.1 * (piece.kind == "arguments"))
        return Candidate(Stub(piece.place), "spent", f"{what}: {used}", step_at(history, last, after), worth)

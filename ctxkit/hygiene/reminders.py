"""The pass ``reminders``: what is pinned, or was said for good, once more at the end of a very long prompt.

Models overlook what stands in the middle of long prompts. What is restated stands there, and nobody has taken it back
since. It is said behind everything else, where no cached prefix reaches, and not sent again with the next request: the
application sends its own history. Only words of the user and the model are restated: what a tool gave back would gain
weight that it must not have. A pure function of the request.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

from ctxkit.editable import Addition
from ctxkit.hygiene.drift.constraints import standing
from ctxkit.hygiene.drift.position import EDGE
from ctxkit.hygiene.outputs import outputs
from ctxkit.hygiene.passes import MARK
from ctxkit.hygiene.standing import is_standing, sentences

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ctxkit.editable import Piece
    from ctxkit.hygiene.history import History
    from ctxkit.hygiene.pins import Pins

__all__ = ["BY", "Reminders", "reminds"]

BY: Final = "reminders"
"""Name of the pass."""

_LONGEST: Final = 300  # characters of one thing that is restated, and
_MOST: Final = 1_500  # of all of them; the latest go first
_HEAD: Final = f"{MARK}: said earlier in this conversation, and still holds:"
_WHO: Final = {"user": "the user", "assistant": "you"}


class Reminders:
    """Says what is to be restated.

    Args:
        pins: what is pinned.
        said: what a user said for good is restated, too, not only what is pinned.
        after: tokens from which on a prompt is very long.
    """

    __name__ = BY

    def __init__(self, pins: Pins, *, said: bool, after: int) -> None:
        self._pins = pins
        self._said = said
        self._after = after

    def __call__(self, history: History, reached: Sequence[float]) -> Addition | None:
        """What is to be said at the end; ``None``: nothing.

        Args:
            history: of the request.
            reached: tokens of the prompt before each message, and all of them at last.
        """
        if reached[-1] < self._after or any(reminds(piece.text) for piece in history.pieces[-1:]):
            return None
        middle = EDGE * reached[-1], (1 - EDGE) * reached[-1]
        far = [piece for piece in self._held(history) if middle[0] <= reached[piece.message] < middle[1]]
        lines = _fitting(list(dict.fromkeys(chain.from_iterable(map(self._lines, far)))))
        if not lines:
            return None
        reason = f"what holds for good stands in the middle of {reached[-1]:,.0f} tokens: {len(lines)} said once more"
        return Addition("\n".join([_HEAD, *lines]) + "]", BY, reason)

    def _held(self, history: History) -> Iterator[Piece]:
        """What holds, of what the user and the model said."""
        printed = outputs(history)
        for piece in standing(history, self._pins, wholly=True):
            spoken = piece.kind == "text" and piece.speaker in _WHO and piece.message not in printed
            if spoken and (self._said or self._pins(piece)):
                yield piece

    def _lines(self, piece: Piece) -> Iterator[str]:
        words = self._pins.words(piece) if self._pins(piece) else ()
        rules = [one for one in sentences(piece.text) if is_standing(one)] if self._said else []
        for text in dict.fromkeys([*words, *rules]):
            one = " ".join(text.split())
            yield f'- {_WHO[piece.speaker]}: "{one if len(one) <= _LONGEST else one[: _LONGEST - 1] + "…"}"'


def reminds(text: str) -> bool:
    """A text ends with what was said by this pass."""
    return text.endswith("]") and _HEAD in text[-_MOST - 2 * len(_HEAD) :]


def _fitting(lines: Sequence[str]) -> list[str]:
    """As many of the latest as there is room for, in order."""
    found: list[str] = []
    room = _MOST
    for line in reversed(lines):
        room -= len(line)
        if room < 0:
            break
        found.insert(0, line)
    return found

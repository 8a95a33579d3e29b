"""Reads that a later write, edit or read of the same thing has overtaken."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ctxkit.editable import Candidate, Stub
from ctxkit.hygiene.memo import remembered
from ctxkit.hygiene.outputs import command_in, outputs
from ctxkit.hygiene.passes import MARK
from ctxkit.hygiene.touches import EVERYTHING, Touch, shell_touches, shown_in, touches_of
from ctxkit.hygiene.uses import step_at, steps_behind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ctxkit.editable import Piece
    from ctxkit.hygiene.history import History
    from ctxkit.hygiene.touches import Touching

__all__ = ["Stale"]

_WORTH = {"write": 0.05, "read": 0.1, "edit": 0.4}
_SAID = {"write": "written anew", "read": "read again", "edit": "edited"}


class Stale:
    """Proposes a stub for what a tool read, or was given to write, once that is out of date.

    What was written or read anew overtakes at once. After an edit most of what was read still holds, so that waits some
    steps. A read that shows what an earlier one showed overtakes nothing: it was sent as a pointer or as a diff to it.

    Args:
        touch: says what calls of your own tools touch; the usual ones are known.
        settle: steps of the model after an edit.
        least: characters.
        repeats: repeated text is sent as a pointer or a diff.
    """

    def __init__(
        self, touch: Touching | None = None, *, settle: int = 4, least: int = 400, repeats: bool = True
    ) -> None:
        self._touch = touch
        self._settle = settle
        self._least = least
        self._repeats = repeats

    def __call__(self, history: History) -> Iterator[Candidate]:
        """Those of a conversation, in order."""
        held: dict[str, list[_Held]] = {}
        found: list[Candidate] = []
        for piece, touches in self._events(history):
            for touch in touches:
                for key in list(held) if touch.target == EVERYTHING else (_key(touch.target),):
                    over, stays = self._split(held.get(key, ()), piece, touch)
                    held[key] = stays
                    found += (self._candidate(history, one, piece, touch) for one in over)
            for one in self._holders(history, piece, touches):
                held.setdefault(_key(one.touch.target), []).append(one)
        first: dict[object, Candidate] = {}
        for candidate in found:
            if candidate.since < history.count:
                first.setdefault(candidate.action, candidate)
        yield from sorted(first.values(), key=lambda candidate: candidate.first)

    def _events(self, history: History) -> Iterator[tuple[Piece, Sequence[Touch]]]:
        """What was touched, in order, by the piece that holds the outcome: the result, or else the call."""
        printed = outputs(history)
        for piece in history.pieces:
            if piece.kind == "result" and (call := history.calls.get(piece.place)) is not None and not _failed(piece):
                yield piece, touches_of(call.name or piece.name or "", call.text, self._touch)
            elif piece.speaker == "user" and piece.message in printed:
                yield piece, _printed(piece.text, command_in(printed[piece.message].text))

    def _holders(self, history: History, piece: Piece, touches: Sequence[Touch]) -> Iterator[_Held]:
        """Pieces that show what was touched: what was read, or what was written."""
        if len(touches) != 1 or touches[0].target == EVERYTHING:
            return
        touch = touches[0]
        shows = touch.kind == "read" or shown_in(piece.text) is not None
        if shows and self._counts(piece):
            yield _Held(piece, touch._replace(kind="read"))
        call = history.calls.get(piece.place)
        if touch.kind != "read" and call is not None and self._counts(call):
            yield _Held(call, touch)

    def _counts(self, piece: Piece) -> bool:
        return len(piece.text) >= self._least and not piece.locked and MARK not in piece.text

    def _split(self, held: Sequence[_Held], piece: Piece, touch: Touch) -> tuple[list[_Held], list[_Held]]:
        over: list[_Held] = []
        stays: list[_Held] = []
        for one in held:
            (over if self._overtaken(one, piece, touch) else stays).append(one)
        return over, stays

    def _overtaken(self, held: _Held, piece: Piece, touch: Touch) -> bool:
        if touch.target != EVERYTHING and not _same(held.touch.target, touch.target):
            return False
        if touch.kind == "read":
            whole = held.touch.kind == "read" and touch.covers(held.touch)
            return whole and not (self._repeats and _alike(held.piece.text, piece.text))
        return touch.kind == "write" or held.touch.kind != "edit"

    def _candidate(self, history: History, held: _Held, piece: Piece, touch: Touch) -> Candidate:
        since = step_at(history, piece.message, self._settle) if touch.kind == "edit" else piece.message
        if touch.kind == "edit" and steps_behind(history, piece.message) < self._settle:
            since = history.count  # not yet
        what = "what was read" if held.piece.kind != "arguments" else "what was written"
        reason = f"{what} was {_SAID[touch.kind]} {piece.message - held.piece.message} messages later"
        return Candidate(Stub(held.piece.place), "stale", reason, since, _WORTH[touch.kind])


class _Held(NamedTuple):
    """A piece that shows something as it was."""

    piece: Piece
    touch: Touch


def _printed(text: str, command: str) -> tuple[Touch, ...]:
    """What a command in the model's words touched: the file that its output says it shows, or what the shell tells."""
    shown = shown_in(text)
    if shown is None:
        return shell_touches(command)
    return (shown._replace(kind="edit") if command.startswith("edit ") else shown,)


def _failed(piece: Piece) -> bool:
    return piece.failed or piece.text[:20].lstrip().lower().startswith(("error", "traceback", "no such file"))


def _key(target: str) -> str:
    """Relative and absolute paths of one file have one."""
    return target if " " in target else target.rpartition("/")[2]


def _same(one: str, two: str) -> bool:
    return one == two or one.endswith(f"/{two}") or two.endswith(f"/{one}")


@remembered
def _lines(text: str) -> frozenset[str]:
    return frozenset((text if text.count("\n") * 400 > len(text) else text.replace(",", "\n")).split("\n"))


def _alike(old: str, new: str) -> bool:
    """Most of the new text stands in the old one."""
    lines = _lines(new)
    return len(lines & _lines(old)) * 2 > len(lines)

"""The pass ``compact``: what a text says without what only fills it. Nothing that carries meaning is lost.

White space between the tokens of JSON; colour codes, frames of progress bars, trailing blanks, runs of blank lines and of
equal lines in what programs print. The content of a file stays as it is: there white space means something, and a model
that is to change the file must see it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ctxkit.editable import Rewrite
from ctxkit.hygiene.printed import plain, settled
from ctxkit.hygiene.reading import reads_file
from ctxkit.hygiene.tables import PHRASE, tabled
from ctxkit.hygiene.whitespace import spans, tight

if TYPE_CHECKING:
    from ctxkit.editable import Piece
    from ctxkit.hygiene.passes import Before

__all__ = ["Compact"]

_LEAST: Final = 200  # characters of a text that are worth looking at
_WON: Final = 16  # characters that must be won
_CLEARLY: Final = 0.93  # share that a text with tables may have of the same without


class Compact:
    """An arrival pass.

    Args:
        tables: arrays of alike objects become tables, where those are clearly shorter.
    """

    __name__ = "compact"

    def __init__(self, *, tables: bool = True) -> None:
        self._tables = tables

    def __call__(self, piece: Piece, text: str, before: Before) -> Rewrite | None:
        """The piece without what only fills it."""
        if len(text) < _LEAST or reads_file(before.call(piece)):
            return None
        made, reasons = self._data(piece, text) if piece.kind == "result" else (text, [])
        if made == text and not piece.structured:
            made, reasons = self._printed(piece, text)
        if len(made) + _WON > len(text):
            return None
        return Rewrite(piece.place, made, "compact", " and ".join(reasons))

    def _data(self, piece: Piece, text: str) -> tuple[str, list[str]]:
        """White space belongs to the wire where that holds a value; a table is a text on every wire."""
        found = spans(text)
        parts, at = [], 0
        for start, end in found:
            parts += [text[at:start], tight(text[start:end])]
            at = end
        made = "".join((*parts, text[at:]))
        if self._tables and len(found) == 1 and (rows := tabled(parts[1])) is not None and "`" not in parts[0]:
            table = f"{parts[0]}{PHRASE}{rows}{text[at:]}"
            if len(table) <= _CLEARLY * len(made):
                return table, ["alike objects written as tables"]
        return (text, []) if piece.structured else (made, ["white space of JSON removed"])

    def _printed(self, piece: Piece, text: str) -> tuple[str, list[str]]:
        made = plain(text)
        reasons = ["colour codes and frames of progress bars removed"] if made != text else []
        shorter = settled(made, strictly=piece.kind != "result")
        if shorter != made:
            reasons.append("runs of equal lines and white space at line ends removed")
        return (shorter, reasons) if plain(shorter) == shorter else (text, [])  # what was apart may have become a code

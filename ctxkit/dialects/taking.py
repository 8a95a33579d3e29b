"""What the modules that take messages apart share: gathering pieces in order, and JSON that reads as text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ctxkit.editable import Piece

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctxkit.editable import Speaker
    from ctxkit.model import Json, Message, Path

__all__ = ["Taken", "held", "spelled", "thinking"]


class Taken:
    """Gathers the pieces of one message.

    Args:
        index: of the message.
        speaker: whose words they are, unless a piece says otherwise; ``None``: of a role that nobody knows.

    Attributes:
        found: the pieces so far.
    """

    __slots__ = ("_index", "_locked", "_speaker", "found")

    def __init__(self, index: int, speaker: Speaker | None) -> None:
        self.found: list[Piece] = []
        self._index = index
        self._speaker: Speaker = speaker or "user"
        self._locked = speaker is None or speaker == "system"

    def said(self, path: Path, text: Json, *, locked: bool = False) -> None:
        """Words; nothing where there are none."""
        if text and isinstance(text, str):
            number, lock = len(self.found), locked or self._locked
            self.found.append(Piece(self._index, number, "text", self._speaker, path, text, locked=lock))

    def called(
        self,
        path: Path,
        value: Json,
        pair: str | None = None,
        name: str | None = None,
        *,
        locked: bool = False,
        by_code: bool = False,
    ) -> None:
        """What a tool is called with: text, or a value. It is told even when it is empty, for it has a result.

        ``by_code``: a tool that runs programs calls it, and the program goes on with the result.
        """
        structured = not isinstance(value, str)
        text = spelled(value) if structured else value
        lock = locked or by_code or self._locked or not text
        speaker = "tool" if by_code else self._speaker
        number = len(self.found)
        self.found.append(
            Piece(self._index, number, "arguments", speaker, path, text or "", structured, pair, name, lock)
        )

    def given(
        self,
        path: Path,
        value: Json,
        pair: str | None = None,
        name: str | None = None,
        *,
        failed: bool = False,
        locked: bool = False,
    ) -> None:
        """What a tool gave back: text, or a value. It is told even when it is empty, for it has a call."""
        structured = not isinstance(value, str)
        text = spelled(value) if structured else value
        lock = locked or self._locked or not text
        self.found.append(
            Piece(
                self._index, len(self.found), "result", "tool", path, text or "", structured, pair, name, lock, failed
            )
        )

    def stays(self, path: Path, text: str = "") -> None:
        """What has to be left where it is, as instructions have to: nobody knows it, or what follows builds on it."""
        self.found.append(Piece(self._index, len(self.found), "text", "system", path, text, locked=True))


def spelled(value: Json) -> str:
    """``value`` as JSON text that can be read back; ``""`` for nothing, and for what has no JSON."""
    if value is None:
        return ""
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return ""


def held(text: str, like: str, key: str) -> Json:
    """The object or list that ``text`` spells, if ``like`` spells one of its sort; else an object that holds the text."""
    if text.lstrip()[:1] == like[:1]:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return {key: text}
        if isinstance(value, dict | list):
            return value
    return {key: text}


def thinking(messages: Sequence[Message]) -> bool:
    """Behind the last words of a user there is reasoning, or something signed: words at the end would end its turn."""
    for message in reversed(messages):
        parts = message.parts
        if any(part.kind == "text" and part.role == "user" for part in parts):
            return False
        if any(part.kind == "reasoning" or part.signed for part in parts):
            return True
    return False

"""Agents without tool calls: a command stands in what the model says, and what it printed in the next words of the user."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ctxkit.hygiene.history import once
from ctxkit.hygiene.memo import remembered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctxkit.editable import Piece
    from ctxkit.hygiene.history import History

__all__ = ["command_in", "outputs"]

_FENCE = "```"
_TAGS = ("execute", "execute_bash", "execute_ipython", "bash", "command", "run")
_CLOSED = re.compile(rf"</(?P<tag>{'|'.join(_TAGS)})>\Z")
_ACTION = re.compile(r"^Action(?: Input)?: *(.+)$", re.MULTILINE)
_LEAST = 3  # commands that a conversation has before it counts as an agent's, and
_SHARE = 0.8  # share of what the model said that ends with one


@remembered
def command_in(text: str) -> str:
    """The command that what the model said ends with: in a fence, in a tag, or after ``Action:``; ``""`` if none."""
    end = text.rstrip()
    if end.endswith(_FENCE):
        start = end.rfind(_FENCE, 0, -3)
        return "" if start < 0 else end[start + 3 : -3].partition("\n")[2].strip()
    if (closed := _CLOSED.search(end[-40:])) is not None:
        start = end.rfind(f"<{closed['tag']}>")
        return "" if start < 0 else end[start + len(closed["tag"]) + 2 : -len(closed.group())].strip()
    found = _ACTION.findall(end[-2000:])
    return " ".join(found[-2:])


@once
def outputs(history: History) -> Mapping[int, Piece]:
    """What the model said last before it, by the index of each message that is the output of a command in there.

    Nothing where tools are called, and where only some of what the model says ends like a command: people send code to
    one another, too.
    """
    if any(piece.kind == "arguments" for piece in history.pieces):
        return {}
    found: dict[int, Piece] = {}
    said, previous = 0, None
    for piece in history.pieces:
        if piece.speaker == "assistant":
            previous = piece
        elif piece.speaker == "user" and previous is not None:
            said += 1
            if command_in(previous.text):
                found[piece.message] = previous
            previous = None
    return found if len(found) >= max(_LEAST, _SHARE * said) else {}

"""Which results are the content of a file, by the call: there white space means something, and lines are counted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ctxkit.editable import Piece

__all__ = ["reads_file"]

_LOOKED_AT: Final = 4_000  # characters of a call; what it is stands in front
_WORD: Final = re.compile(r"[A-Z]?[a-z]++|[A-Z]++")
_READS: Final = frozenset(
    ("read", "view", "open", "cat", "head", "tail", "show", "edit", "editor", "diff", "patch", "grep", "goto", "scroll")
)
_PATH: Final = re.compile(
    r'"(?:path|paths|file|files|filename|file_?name|file_?path|target_file|absolute_path|notebook_path|uri)"\s*+:',
    re.IGNORECASE,
)
_COMMAND: Final = re.compile(r'"(?:command|cmd|code|script|commands|bash)"\s*+:', re.IGNORECASE)
_PROGRAM: Final = re.compile(
    r"(?<![\w.-])(?:cat|bat|sed|head|tail|less|more|nl|awk|grep|rg|ag|diff|xxd|od|git\s++(?:diff|show|log|blame|format-patch)|open)(?![\w.-])"
)


def reads_file(call: Piece | None) -> bool:
    """A call whose result may be the text of a file, or a patch; in doubt it is."""
    if call is None:
        return False
    if call.name is not None and not _READS.isdisjoint(_words(call.name[:200])):
        return True
    arguments = call.text[:_LOOKED_AT]
    return bool(_PATH.search(arguments) or (_COMMAND.search(arguments) and _PROGRAM.search(arguments)))


def _words(name: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(name)}

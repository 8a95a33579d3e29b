"""What programs print, as it stands on the screen at last: without colours, overwritten frames and endless repetition."""

from __future__ import annotations

import re
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["plain", "settled"]

# Colours, movements of the cursor, titles of windows. A sequence of more parameters than a terminal takes is text.
_ESCAPE: Final = re.compile(
    r"(?<!\x1b)\x1b++(?:\[[0-?]{0,64}+[ -/]{0,8}+[@-~]|\][^\x07\x1b\n]{0,512}+(?:\x07|\x1b\\)|[()][0-9A-Z]|[=>78cDEHM])"
)
_REDRAWN: Final = re.compile(r"^[^\n]*\r[^\r\n][^\n]*", re.MULTILINE)  # begins at line starts alone: linear
_WORD: Final = re.compile(r"[^\W\d_]+")
_ALIKE: Final = 3  # equal lines from which on a run is counted instead
_SAID: Final = "… (same line "
_DIFF: Final = ("+", "-", "@@")


def plain(text: str) -> str:
    """Without colour codes, and of a progress bar that was drawn again and again only what stood there at last."""
    made = _ESCAPE.sub("", text) if "\x1b" in text else text
    if "\r" in made:
        made = _REDRAWN.sub(lambda match: _last_frames(match.group()), made)
    return made


def _last_frames(line: str) -> str:
    """Frames that the next one does not draw again are lines of their own."""
    frames = line.split("\r")
    kept = [frame for frame, after in pairwise(frames) if not _drawn_again(frame, after)]
    return "\r".join((*kept, frames[-1]))


def _drawn_again(frame: str, after: str) -> bool:
    if not after.strip():
        return False
    if not frame.strip():
        return True
    first, second = _WORD.search(frame[:80]), _WORD.search(after[:80])
    alike = first is not None and second is not None and first.group() == second.group()
    return alike or ("%" in frame and "%" in after)


def settled(text: str, *, strictly: bool = False) -> str:
    """Runs of equal lines said once, runs of blank lines cut, blanks at line ends removed.

    Args:
        text: what was printed.
        strictly: leave blanks alone; somebody may have written this.
    """
    if _SAID in text:
        return text
    lines = text.split("\n")
    if not strictly and not any(line.startswith("@@ ") for line in lines):
        lines = [_trimmed(line) for line in lines]
    return "\n".join(_runs(lines, strictly=strictly))


def _trimmed(line: str) -> str:
    """Without blanks at its end; two may be a line break of Markdown, and those of a patch belong to it."""
    if not line.endswith((" ", "\t")) or line.startswith(_DIFF):
        return line
    short = line.rstrip(" \t")
    return line if short and line[len(short) :] == "  " else short


def _runs(lines: list[str], *, strictly: bool) -> Iterator[str]:
    for line, run in groupby(lines):
        count = sum(1 for _ in run)
        counted = f"{_SAID}{count - 1:,} more times)" if count > _ALIKE else ""
        if not line:
            yield from [line] * (count if strictly else min(count, 2))
        elif counted and (count - 1) * (len(line) + 1) > len(counted) + 1:
            yield from (line, counted)
        else:
            yield from [line] * count

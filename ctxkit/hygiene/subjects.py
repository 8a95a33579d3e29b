"""Where the talk turns to something else.

Two turns of a user belong together when the later one says names that the earlier one said, within a few turns. A user
begins about something else when he names an id that nothing he talks about holds, and it is a *key*: the model passes it
to a tool, or did pass others of that kind. What he said just before without any name, or what the model answered with a
question alone, belongs to it; and it goes on, named again or not, for some turns or until the next one. A path begins
nothing: files are parts of one piece of work.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.hygiene.identifiers import identifiers, tie
from ctxkit.hygiene.memo import remembered
from ctxkit.hygiene.outputs import outputs
from ctxkit.hygiene.uses import uses_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from ctxkit.hygiene.history import History
    from ctxkit.hygiene.uses import Uses

__all__ = ["Subject", "parted"]

_NEAR = 8  # turns between which a name holds an episode together, and that a subject goes on unnamed
_TIE = 4.0  # weight of names that are one tie; a proper id is enough, dates and codes are not
_READ = 20_000  # characters of a call that are looked at
_VALUE = re.compile(r'"([^"\\]{3,80})"(?!\s*:)')
_PART = re.compile(r"[^\W_]+")
_UNNAMED = 3  # turns without a name that belong to the subject that is named at last


class Subject(NamedTuple):
    """What a user began about.

    Attributes:
        first: number of the turn with which it begins.
        turn: number of the turn in which he named it.
        since: index of the message since which that is known.
    """

    first: int
    turn: int
    since: int


def parted(history: History, turns: Sequence[int]) -> tuple[list[int], Subject | None]:
    """Numbers of the turns that begin something new, and the subject that is talked about now, as far as that is known.

    Args:
        history: the conversation.
        turns: indices of the messages with which a user's turn begins.
    """
    cuts = _untied(uses_of(history), turns)
    found = _subjects(history, turns, cuts)
    ends = [*(one.first for one in found[1:]), len(turns)]
    for one, end in zip(found, ends, strict=False):
        cuts.difference_update(range(one.first + 1, min(end, one.turn + _NEAR + 1)))
    return sorted(cuts), found[-1] if found else None


def _untied(uses: Uses, turns: Sequence[int]) -> set[int]:
    """Turns that no names tie to those before."""
    ties: dict[int, set[str]] = {}
    for name, message, before in uses.links:
        one, two = bisect_right(turns, before) - 1, bisect_right(turns, message) - 1
        if one < two <= one + _NEAR and tie(name):
            for turn in range(max(one, 0) + 1, two + 1):
                ties.setdefault(turn, set()).add(name)
    return {turn for turn in range(1, len(turns)) if sum(map(tie, ties.get(turn, ()))) < _TIE}


def _subjects(history: History, turns: Sequence[int], cuts: AbstractSet[int]) -> list[Subject]:
    found: list[Subject] = []
    replies = _replies(history, turns, cuts)
    for turn, ids in _brought(history, turns).items():
        last = found[-1] if found else Subject(0, 0, 0)
        since = min((at for stood, at in ids if stood < turns[last.first]), default=None)
        if since is None or (turn and turn not in cuts):
            continue
        first = _first(history, turns, cuts, replies, last.turn, turn)
        if first is not None or not found:
            found.append(Subject(first or 0, turn, since))
    return found


class _Reply(NamedTuple):
    """What the model did before a turn.

    Attributes:
        asked: it asked something, and nothing else.
        run: the first of the turns that it asked something before, one after another, with nothing to tie them.
    """

    asked: bool
    run: int


def _replies(history: History, turns: Sequence[int], cuts: AbstractSet[int]) -> list[_Reply]:
    """By turn; before the first one it did nothing."""
    found = [_Reply(asked=False, run=0)]
    for turn, (start, end) in enumerate(pairwise(turns), 1):
        asked = _asked_back(history, start, end)
        found.append(_Reply(asked, found[-1].run if asked and turn - 1 in cuts else turn))
    return found


def _first(
    history: History, turns: Sequence[int], cuts: AbstractSet[int], replies: Sequence[_Reply], last: int, turn: int
) -> int | None:
    """The turn with which the subject begins that is named in this one; ``None``: that of the turn ``last`` goes on."""
    first = turn
    while first > last:
        first = max(replies[first].run, last + 1)
        asked, start, end = replies[first].asked, turns[first - 1], turns[first]
        if first - 1 not in cuts and first - 1 != last:
            return None if asked else first
        if not asked and (first - 1 == last or turn - first >= _UNNAMED or _is_named(history, start, end)):
            return first
        first -= 1
    return None


def _brought(history: History, turns: Sequence[int]) -> dict[int, list[tuple[int, int]]]:
    """By turn: keys that the user says; where each stood last before (-1: nowhere), and since when it is known for one."""
    stood = {(name, message): before for name, message, before in uses_of(history).links}
    passed, kinds = _passed(history)
    found: dict[int, list[tuple[int, int]]] = {}
    for name, message in _said(history):
        at = passed.get(name, ())
        taken = bisect_right(at, message)
        known = kinds.get(_kind(name), history.count) < message
        if known or taken < len(at):
            turn = bisect_right(turns, message) - 1
            found.setdefault(turn, []).append((stood.get((name, message), -1), message if known else at[taken]))
    return found


def _said(history: History) -> Iterator[tuple[str, int]]:
    """Ids in the words of a user, and the messages that hold them."""
    printed = outputs(history)
    for index in history.turns:
        if index not in printed:
            for piece in history.by_message[index]:
                if piece.kind == "text" and piece.speaker == "user":
                    yield from ((name, index) for name in identifiers(piece.text) if _is_id(name))


def _passed(history: History) -> tuple[Mapping[str, Sequence[int]], Mapping[str, int]]:
    """Messages in which the model passes an id to a tool, ascending; and the first one in which it passes one of a kind."""
    found: dict[str, list[int]] = {}
    kinds: dict[str, int] = {}
    for piece in history.pieces:
        if piece.kind == "arguments" and piece.speaker == "assistant":
            for name in _keys(piece.text):
                found.setdefault(name, []).append(piece.message)
                kinds.setdefault(_kind(name), piece.message)
    return found, kinds


@remembered
def _keys(text: str) -> tuple[str, ...]:
    """Arguments of a call that are an id and nothing else."""
    return tuple(value for value in _VALUE.findall(text[:_READ]) if _is_id(value) and identifiers(value) == (value,))


@lru_cache(maxsize=20_000)
def _kind(name: str) -> str:
    """What an id looks like: its letters as one, its digits as another; how long it is, where they are mixed."""
    return _PART.sub(lambda part: _shape(part.group()), name)


def _shape(part: str) -> str:
    return "a" if part.isalpha() else "9" if part.isdigit() else f"x{len(part)}"


def _is_id(name: str) -> bool:
    return "/" not in name and "\\" not in name and tie(name) > _TIE


def _is_named(history: History, start: int, end: int) -> bool:
    """Some proper name stands there."""
    inside = (piece for index in range(start, end) for piece in history.by_message.get(index, ()))
    return any(tie(name) > _TIE for piece in inside for name in identifiers(piece.text))


def _asked_back(history: History, start: int, end: int) -> bool:
    """All that the model did there was to ask something."""
    inside = [piece for index in range(start, end) for piece in history.by_message.get(index, ())]
    own = [piece for piece in inside if piece.speaker == "assistant"]
    asked = any("?" in piece.text or "\uff1f" in piece.text for piece in own)
    return asked and all(piece.kind == "text" for piece in own)

"""Which parts of a conversation serve nothing any more: neither near to what is talked about now nor named by what is.

What is new counts: the latest words of the user, the latest steps of the model and what came of them, which nobody may have
had the time to refer to. So does what is pinned or was said for good. A part before that counts

- when it holds enough of the current goal (what the user asks for now, what the model has in hand, what holds for good), or
- when something that counts for that, or was said lately, names something that stands in it: a name has its first place in
  a conversation, and the latest one before it was named; words on the way hand it on. An id or a path is enough, of dates,
  codes and symbols it takes some.

All else is noise, to the part. Data that no model can read anything of (base64) is noise as soon as it was answered.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.hygiene.identifiers import tie

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from ctxkit.editable import Piece, Place
    from ctxkit.hygiene.drift.parts import Part
    from ctxkit.hygiene.history import History

__all__ = ["Spot", "counting", "spots"]

_NEAR = 0.2  # of the goal that a part holds which counts
_NEW = 2  # latest steps of the model that are not judged yet
_LATELY = 8  # latest steps whose names keep what they name
_TIES = 3.0  # weight of the names that are enough
_LEAST = 200  # characters of data
_DATA = re.compile(r"[A-Za-z0-9+/=_-]{60,}")
_MOSTLY = 0.6  # share of a text in such runs that makes it data


class Spot(NamedTuple):
    """Tokens of a piece that are noise.

    Attributes:
        place: of the piece.
        start: tokens of the piece that stand before them.
        tokens: how many.
    """

    place: Place
    start: float
    tokens: float


def counting(
    history: History, parts: Sequence[Part], near: Sequence[float], standing: Collection[Piece] = ()
) -> list[bool]:
    """Whether each part counts; what does not is noise.

    Args:
        history: the conversation.
        parts: of it.
        near: how much of the current goal each of them holds, from 0 to about 1.
        standing: pieces that are pinned or hold for good.
    """
    new, answered, lately = (_since(history, steps) for steps in (_NEW, 1, _LATELY))
    held = {*history.turns[-1:], *(piece.message for piece in standing)}
    first = _first(parts)
    counts = [False] * len(parts)
    wanted: set[str] = set()  # names that were said
    sought: set[str] = set()  # of these, those whose latest place before is still looked for
    for at in range(len(parts) - 1, -1, -1):
        piece, text, names = parts[at].piece, parts[at].text, parts[at].names
        message = piece.message
        fresh = message >= answered or (message >= new and not _is_data(text))
        by_itself = fresh or near[at] >= _NEAR or message in held or piece.locked
        named = [name for name in names if name in sought or (name in wanted and first[name] == at)]
        counts[at] = by_itself or sum(map(tie, named)) >= _TIES
        if counts[at]:
            sought.difference_update(named)
        if piece.kind != "result":
            said = names if by_itself or message >= lately else named if counts[at] else ()
            wanted.update(said)
            sought.update(said)
    return counts


def _since(history: History, steps: int) -> int:
    """Index of the message with which the latest steps of the model begin; 0 where there are no more."""
    return history.steps[-steps] if len(history.steps) >= steps else 0


def _is_data(text: str) -> bool:
    """Nothing that can be read or named: long runs of letters and digits, one after another."""
    return len(text) > _LEAST and sum(len(run) for run in _DATA.findall(text)) > _MOSTLY * len(text)


def _first(parts: Sequence[Part]) -> dict[str, int]:
    """The part in which each name stands first."""
    found: dict[str, int] = {}
    for at, part in enumerate(parts):
        for name in part.names:
            found.setdefault(name, at)
    return found


def spots(parts: Sequence[Part], counts: Sequence[bool]) -> tuple[Spot, ...]:
    """What does not count, in order."""
    return tuple(_joined(part for part, one in zip(parts, counts, strict=True) if not one))


def _joined(parts: Iterable[Part]) -> Iterator[Spot]:
    """Neighbours in a piece as one."""
    held: Spot | None = None
    for part in parts:
        place = part.piece.place
        if held is not None and held.place == place and abs(held.start + held.tokens - part.start) < 0.001:
            held = held._replace(tokens=held.tokens + part.tokens)
            continue
        if held is not None:
            yield held
        held = Spot(place, part.start, part.tokens)
    if held is not None:
        yield held

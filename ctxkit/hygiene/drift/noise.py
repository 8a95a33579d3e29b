"""Which parts of a conversation serve nothing any more: neither near to what is talked about now nor named by what is.

What is in hand counts: what came since the user spoke last, or in the latest steps where that is long ago, and what the user
said within these. So does what is pinned or was said for good. A part before that counts

- when it holds enough of the current goal (what the user asks for now, what the model has in hand, what holds for good), or
- when something that counts for that, or was said lately, names something that stands in it: a name has its first place in
  a conversation, and the latest one before it was named; words on the way hand it on. An id or a path is enough; of dates,
  codes and symbols it takes some, the more the longer the part is.

All else is noise, to the part. Data that no model can read anything of (base64) is noise as soon as it was answered.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.hygiene.episodes import turns_of
from ctxkit.hygiene.identifiers import tie
from ctxkit.hygiene.outputs import outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from ctxkit.editable import Piece, Place
    from ctxkit.hygiene.drift.parts import Part
    from ctxkit.hygiene.history import History

__all__ = ["Spot", "counting", "spots"]

_NEAR = 0.25  # of the goal that a part holds which counts
_LATELY = 8  # latest steps of the model whose names keep what they name, and
_LEAST = 2  # that are in hand whatever the user says between them
_TIES = 3.0  # weight of the names that are enough for a long part, and
_SHORT = 300  # characters for which one is
_BLOB = 200  # characters of data at least
_DATA = re.compile(r"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/=_-]{60,}")
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
    first, lately = _first(parts), _since(history, _LATELY)
    held = {*history.turns[-1:], *(piece.message for piece in standing)}
    in_hand, printed = _in_hand(history), outputs(history)
    counts = [False] * len(parts)
    wanted: set[str] = set()  # names that were said
    sought: set[str] = set()  # of these, those whose latest place before is still looked for
    for at in range(len(parts) - 1, -1, -1):
        piece, text, names = parts[at].piece, parts[at].text, parts[at].names
        by_itself = near[at] >= _NEAR or piece.message in held or piece.locked or in_hand(piece, text)
        named = [name for name in names if name in sought or (name in wanted and first[name] == at)]
        counts[at] = by_itself or sum(map(tie, named)) >= min(_TIES, max(len(text) / _SHORT, 1.0))
        if counts[at]:
            sought.difference_update(named)
        if piece.kind != "result" and piece.message not in printed:
            said = names if by_itself or piece.message >= lately else named if counts[at] else ()
            wanted.update(said)
            sought.update(said)
    return counts


def _in_hand(history: History) -> Callable[[Piece, str], bool]:
    """Says of a part of a piece whether it is."""
    answered, least, lately = (_since(history, steps) for steps in (1, _LEAST, _LATELY))
    since = min(least, max([lately, *turns_of(history)[-1:]]))

    def says(piece: Piece, text: str) -> bool:
        if piece.message >= answered:
            return True
        return piece.message >= (lately if _is_words(piece) else since) and not _is_data(text)

    return says


def _is_words(piece: Piece) -> bool:
    return piece.speaker == "user" and piece.kind == "text"


def _since(history: History, steps: int) -> int:
    """Index of the message with which the latest steps of the model begin; 0 where there are no more."""
    return history.steps[-steps] if len(history.steps) >= steps else 0


def _is_data(text: str) -> bool:
    """Nothing that can be read or named: long runs of letters and digits, one after another."""
    return len(text) > _BLOB and sum(len(run) for run in _DATA.findall(text)) > _MOSTLY * len(text)


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

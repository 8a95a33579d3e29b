"""Which parts of a conversation serve nothing any more: neither near to what is talked about now nor named by what is.

What counts is found from the end to the beginning, as a collector of garbage finds what is in use. What nobody could have
referred to yet counts (the latest step of the model and what came after it), so do the latest words of the user and what
is pinned or said for good. A part before it counts when it holds enough of the current goal, or when what counts behind it
names something that stands in it: its first place in the conversation, or the latest one before it was named. All else is
noise, to the part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from ctxkit.editable import Piece, Place
    from ctxkit.hygiene.drift.parts import Part
    from ctxkit.hygiene.history import History

__all__ = ["Spot", "counting", "spots"]

_NEAR = 0.12  # of the goal that a part holds which counts


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
    always = _always(history, standing)
    first = _first(parts)
    counts = [False] * len(parts)
    wanted: set[str] = set()  # names that what counts says
    sought: set[str] = set()  # of these, those whose latest place before is still looked for
    for at in range(len(parts) - 1, -1, -1):
        piece, names = parts[at].piece, parts[at].names
        counts[at] = (
            piece.locked
            or piece.message in always
            or near[at] >= _NEAR
            or any(name in sought or (name in wanted and first[name] == at) for name in names)
        )
        if counts[at]:
            sought.difference_update(names)
            if piece.kind != "result":
                wanted.update(names)
                sought.update(names)
    return counts


def _always(history: History, standing: Iterable[Piece]) -> set[int]:
    """Indices of the messages that count whatever they say."""
    latest = history.steps[-1] if history.steps else 0
    return {*range(latest, history.count), *history.turns[-1:], *(piece.message for piece in standing)}


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

"""All figures of the drift of one conversation, as it stood in a request: :func:`measured`."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.drift import Drift
from ctxkit.hygiene.drift.goals import goals_of, kept
from ctxkit.hygiene.drift.loops import stuck
from ctxkit.hygiene.drift.noise import Spot, counting, spots
from ctxkit.hygiene.drift.parts import parts_of
from ctxkit.hygiene.drift.position import at_risk
from ctxkit.hygiene.drift.repetition import repeated
from ctxkit.hygiene.drift.score import score
from ctxkit.hygiene.pins import Pins
from ctxkit.hygiene.relevance import relevance as lexical
from ctxkit.hygiene.standing import is_standing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ctxkit.editable import Piece, Place
    from ctxkit.hygiene.drift.parts import Part
    from ctxkit.hygiene.history import History
    from ctxkit.hygiene.pins import Pin
    from ctxkit.hygiene.relevance import Relevance

__all__ = ["Looked", "looked", "measured"]

_ABOUT = 1_000  # characters of what holds for good that are looked at


class Looked(NamedTuple):
    """The figures, and where the noise stands.

    Attributes:
        drift: the figures.
        noise: tokens of each piece that are noise; they add up to ``drift.noise``, nearly.
        spots: the same, with where in the piece they stand.
    """

    drift: Drift
    noise: Mapping[Place, float]
    spots: tuple[Spot, ...]


def measured(
    history: History,
    *,
    tokens_of: Callable[[Piece], float],
    relevance: Relevance = lexical,
    pins: Sequence[Pin] = (),
    before: float = 0.0,
) -> Drift:
    """What the drift of a conversation comes to. Pure; ``fee`` is left to who knows prices.

    Args:
        history: the conversation as it stands in a request, tools and opening instruction left out.
        tokens_of: tokens of a piece.
        relevance: how much of a query texts hold.
        pins: what holds for good whatever is said, as for tidying.
        before: tokens of tools and opening instruction.
    """
    return looked(history, tokens_of=tokens_of, relevance=relevance, pins=pins, before=before).drift


def looked(
    history: History,
    *,
    tokens_of: Callable[[Piece], float],
    relevance: Relevance = lexical,
    pins: Sequence[Pin] = (),
    before: float = 0.0,
) -> Looked:
    """The same, and where the noise stands; arguments as for :func:`measured`."""
    parts, held = parts_of(history, tokens_of), _standing(history, pins)
    goal, near = _likened(history, parts, held, relevance)
    found = spots(parts, counting(history, parts, near, held))
    noise: defaultdict[Place, float] = defaultdict(float)
    for spot in found:
        noise[spot.place] += spot.tokens
    tokens = sum(part.tokens for part in parts)
    whole = sum(noise.values())
    loop, repetition = stuck(history), repeated(history, tokens_of)
    position = at_risk(history, parts, held, before=before)
    figure = score(
        noise=whole / tokens if tokens else 0.0,
        repetition=repetition,
        loop=loop,
        goal=goal,
        position=position,
    )
    drift = Drift(
        figure,
        round(tokens),
        round(whole),
        repetition=repetition,
        loop=loop,
        goal=goal,
        position=position,
        by=relevance.name,
    )
    return Looked(drift, dict(noise), found)


def _standing(history: History, pins: Sequence[Pin]) -> Sequence[Piece]:
    """What is pinned, and what a user said for good."""
    pinned = Pins(pins)
    return [piece for piece in history.pieces if pinned(piece) or (piece.speaker == "user" and is_standing(piece.text))]


def _likened(
    history: History,
    parts: Sequence[Part],
    held: Sequence[Piece],
    relevance: Relevance,
) -> tuple[float | None, Sequence[float]]:
    """Whether the goal is kept, and how much of the current goal each part holds."""
    goals = goals_of(history)
    texts = [(part.text,) for part in parts]
    wishes = tuple(piece.text[:_ABOUT] for piece in held)
    nothing = [0.0] * len(parts)
    first, latest, hand, rest = (relevance(texts, one) if one and texts else nothing for one in (*goals, wishes))
    return kept(history, parts, first, latest), [max(*each) for each in zip(latest, hand, rest, strict=True)]

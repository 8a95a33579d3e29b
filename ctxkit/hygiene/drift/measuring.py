"""All figures of the drift of a conversation: as it stood in one request (:func:`looked`), in all of them (:func:`curve`)."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import replace
from itertools import accumulate
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.drift import Drift
from ctxkit.hygiene.drift.constraints import standing, superseded
from ctxkit.hygiene.drift.goals import goals_of, kept, tells
from ctxkit.hygiene.drift.loops import stuck, stuck_at
from ctxkit.hygiene.drift.noise import Spot, counting, spots
from ctxkit.hygiene.drift.parts import parts_of
from ctxkit.hygiene.drift.position import at_risk
from ctxkit.hygiene.drift.repetition import repeats
from ctxkit.hygiene.drift.score import score
from ctxkit.hygiene.history import History
from ctxkit.hygiene.pins import Pins
from ctxkit.hygiene.relevance import relevance as lexical

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ctxkit.drift import Superseded
    from ctxkit.editable import Piece, Place
    from ctxkit.hygiene.drift.parts import Part
    from ctxkit.hygiene.pins import Pin
    from ctxkit.hygiene.relevance import Relevance

__all__ = ["Looked", "curve", "looked"]

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


def looked(
    history: History,
    *,
    tokens_of: Callable[[Piece], float],
    relevance: Relevance = lexical,
    pins: Pins | Sequence[Pin] = (),
    before: float = 0.0,
) -> Looked:
    """What the drift of a conversation comes to, and where the noise stands. Pure; ``fee`` is left to who knows prices.

    Args:
        history: the conversation as it stands in a request, tools and opening instruction left out.
        tokens_of: tokens of a piece.
        relevance: how much of a query texts hold.
        pins: what holds for good whatever is said, as for tidying.
        before: tokens of tools and opening instruction.
    """
    known = _Known(parts_of(history, tokens_of), sum(repeats(history, tokens_of)), stuck(history), superseded(history))
    return _looked(history, known, standing(history, pins), relevance, before)


def curve(
    history: History,
    *,
    tokens_of: Callable[[Piece], float],
    relevance: Relevance = lexical,
    pins: Pins | Sequence[Pin] = (),
    before: float = 0.0,
    most: int = 24,
    ends: Sequence[int] | None = None,
) -> tuple[tuple[int, Looked], ...]:
    """The same for the requests of a whole conversation, without measuring anew what does not change between them.

    Args:
        history: the conversation, from its first message to its last.
        tokens_of: as for :func:`looked`, as are ``relevance``, ``pins`` and ``before``.
        relevance: as there.
        pins: as there.
        before: as there.
        ends: index behind each prompt, ascending; where nobody knows, one ends before each message of the model, and one
            with the last message if that is somebody else's.
        most: requests that are measured at most, evenly spread, the first and the last one among them.

    Returns:
        Index of the message behind each prompt (its answer, if there is one), and what was found in that prompt.
    """
    pieces, pinned = history.pieces, pins if isinstance(pins, Pins) else Pins(pins)
    whole = _Known(parts_of(history, tokens_of), 0.0, 0.0, superseded(history))
    again = list(accumulate(repeats(history, tokens_of), initial=0.0))
    loops = [(-1, 0.0), *stuck_at(history)]
    found: list[tuple[int, Looked]] = []
    for end in _spread(_ends(history) if ends is None else ends, most):
        reached = bisect_left(pieces, end, key=attrgetter("message"))
        prompt = History(pieces[:reached], end)
        known = _Known(
            whole.parts[: bisect_left(whole.parts, end, key=_message)],
            again[reached],
            loops[bisect_left(loops, (end,)) - 1][1],
            tuple(one for one in whole.superseded if one.by < end),
        )
        found.append((end, _looked(prompt, known, standing(prompt, pinned), relevance, before)))
    return tuple(found)


def _message(part: Part) -> int:
    return part.piece.message


def _ends(history: History) -> list[int]:
    """Index behind each prompt."""
    found = [step for step in history.steps if step]
    return found if history.steps and history.steps[-1] == history.count - 1 else [*found, history.count]


def _spread(ends: Sequence[int], most: int) -> Sequence[int]:
    """So many of them at most, evenly, the first and the last one among them."""
    if len(ends) <= most:
        return ends
    return [ends[round(at * (len(ends) - 1) / max(most - 1, 1))] for at in range(most)] if most > 1 else ends[-1:]


class _Known(NamedTuple):
    """What of a conversation can be told from what it was before.

    Attributes:
        parts: of it.
        again: tokens that stood there before.
        loop: how sure it is that the model is stuck.
        superseded: what was taken back.
    """

    parts: Sequence[Part]
    again: float
    loop: float
    superseded: tuple[Superseded, ...]


def _looked(history: History, known: _Known, held: Sequence[Piece], relevance: Relevance, before: float) -> Looked:
    parts = known.parts
    goal, near = _likened(history, parts, held, relevance)
    found = spots(parts, counting(history, parts, near, held))
    tokens = sum(part.tokens for part in parts)
    noise = _by_piece(found)
    drift = Drift(
        0.0,
        round(tokens),
        round(sum(noise.values())),
        repetition=min(known.again / tokens, 1.0) if tokens else 0.0,
        loop=known.loop,
        goal=goal,
        superseded=known.superseded,
        position=at_risk(history, parts, held, before=before),
        by=relevance.name,
    )
    drift = replace(drift, score=score(drift))
    return Looked(drift, noise, found)


def _by_piece(found: Sequence[Spot]) -> dict[Place, float]:
    noise: defaultdict[Place, float] = defaultdict(float)
    for spot in found:
        noise[spot.place] += spot.tokens
    return dict(noise)


def _likened(
    history: History, parts: Sequence[Part], held: Sequence[Piece], relevance: Relevance
) -> tuple[float | None, Sequence[float]]:
    """Whether the goal is kept, and how much of the current goal each part holds."""
    goals = goals_of(history)
    wishes = tuple(piece.text[:_ABOUT] for piece in held)
    others = [one if tells(one) else (*one, *goals.latest) for one in (goals.hand, wishes) if one]
    texts = [(part.text,) for part in parts]
    nothing = [0.0] * len(parts)
    first, latest, *rest = (relevance(texts, one) if one and texts else nothing for one in (*goals[:2], *others))
    return kept(history, goals.since, parts, first, latest), [max(each) for each in zip(latest, *rest, strict=True)]

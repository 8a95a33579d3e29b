"""How recorded conversations drifted, and what their noise cost.

Some requests of each conversation are measured, evenly spread; what stands between two of them is told by the nearer one.
Measuring takes longer than all else that is told of a short conversation, so of many such only some are measured, drawn by
how many requests they have. A token of noise counts in every request that carried it, and costs what was really paid for
it where it stood.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, replace
from hashlib import blake2b
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.drift import LEVELS, STUCK
from ctxkit.hall.gauge import noise_of
from ctxkit.hygiene.drift import curve, level_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ctxkit.drift import Drift, Level
    from ctxkit.hall.gauge import Noise
    from ctxkit.hall.retelling import Request
    from ctxkit.policy import Policy
    from ctxkit.replay.measuring import Measured
    from ctxkit.replay.waste import Run

__all__ = ["MANY", "Drifted", "Following", "Looks", "Point", "Together", "looks_at", "thinned", "together", "worst"]

MANY = 10_000
"""Requests from which on it makes no difference how many more there are."""

_MOST = 8  # requests of a conversation that are measured
_CLOSELY = 12  # where there is time enough
_THIN = ((1_000, 1), (MANY, 10))  # up to so many requests: requests for each that is measured
_THINNEST = 40
_DRAWS = 2**64


class Looks(NamedTuple):
    """How closely a recording is measured.

    Attributes:
        most: requests of each conversation; 0: none.
        weight: recordings that it stands for, itself included.
    """

    most: int = _MOST
    weight: float = 1.0


def thinned(requests: int) -> int:
    """Requests for each that is measured, where there are so many; 1: each recording is measured closely."""
    return next((each for most, each in _THIN if requests <= most), _THINNEST)


def looks_at(name: str, requests: int, *, each: int = 1) -> Looks:
    """How closely; the same for the same name each time.

    Args:
        name: of the recording.
        requests: that it has.
        each: requests for each that is measured; 1: closely.
    """
    if each == 1:
        return Looks(_CLOSELY)
    if requests >= each:
        return Looks(min(requests // each, _MOST))
    drawn = int.from_bytes(blake2b(name.encode("utf-8", "replace"), digest_size=8).digest()) / _DRAWS
    chance = requests / each
    return Looks(1, 1 / chance) if drawn < chance else Looks(0)


class Point(NamedTuple):
    """One request on the way.

    Attributes:
        request: its number, from 1.
        score: of its drift.
        noise_share: of its conversation.
    """

    request: int
    score: float
    noise_share: float


@dataclass(frozen=True, slots=True)
class Drifted:
    """How a recording drifted; plain values, to be sent between processes.

    Attributes:
        end: figures of the last request of its longest conversation, ``level`` included.
        curve: of that conversation.
        requests: of all its conversations.
        tokens: of conversations, over these requests.
        noise: of them.
        pico: what the noise cost; ``None``: no price is known.
        loop: how sure it is that the model was stuck, in whichever conversation it is surest.
        weight: recordings that it stands for.
    """

    end: Drift
    curve: tuple[Point, ...]
    requests: int
    tokens: float
    noise: float
    pico: float | None
    loop: float
    weight: float = 1.0

    @property
    def noise_share(self) -> float:
        """Noise over all tokens."""
        return self.noise / self.tokens if self.tokens else 0.0

    @property
    def stuck(self) -> bool:
        """The model seemed stuck in one of its conversations."""
        return self.loop >= STUCK


class _Looked(NamedTuple):
    """One request that was measured."""

    number: int
    drift: Drift
    noise: Noise


class Following:
    """Measures the conversations of one recording, one after another.

    Args:
        policy: its pins and thresholds.
        looks: how closely.
    """

    def __init__(self, policy: Policy, looks: Looks) -> None:
        self._policy = policy
        self._looks = looks
        self._found: list[Drifted] = []

    def run(self, request: Request, run: Run) -> None:
        """One conversation, by its last request."""
        found = curve(
            request.history,
            tokens_of=request.tokens,
            pins=self._policy.tidy.pins,
            before=request.reached[0],
            most=self._looks.most,
            ends=sorted(set(run.sizes)),
        )
        points = [_Looked(bisect_left(run.sizes, end), one.drift, noise_of(request, one.spots)) for end, one in found]
        if not points or not points[-1].drift.tokens:
            return
        noise, pico = _carried(points, run)
        shares = [_share(run, number) for number in range(len(run.sizes))]
        opening, reached = request.reached[0], request.reached
        self._found.append(
            Drifted(
                end=replace(points[-1].drift, level=_level(points[-1].drift.score, self._policy)),
                curve=tuple(Point(one.number + 1, one.drift.score, one.drift.noise_share) for one in points),
                requests=len(run.sizes),
                tokens=sum((reached[size] - opening) * share for size, share in zip(run.sizes, shares, strict=True)),
                noise=noise,
                pico=pico,
                loop=max(one.drift.loop for one in points),
            )
        )

    def told(self) -> Drifted | None:
        """All of them together; ``None``: there was nothing to measure."""
        if not self._found:
            return None
        longest = max(self._found, key=lambda one: (one.requests, one.tokens))
        known = [one.pico for one in self._found if one.pico is not None]
        return Drifted(
            longest.end,
            longest.curve,
            sum(one.requests for one in self._found),
            sum(one.tokens for one in self._found),
            sum(one.noise for one in self._found),
            sum(known) if known else None,
            max(one.loop for one in self._found),
            self._looks.weight,
        )


def _level(score: float, policy: Policy) -> Level:
    return level_of(score, drifting=policy.drift_at, lost=policy.drift_lost_at)


def _carried(points: Sequence[_Looked], run: Run) -> tuple[float, float | None]:
    """Tokens of noise over all requests of a conversation, and what they cost; by the nearest request that was measured."""
    tokens, pico, numbers = 0.0, 0.0, [one.number for one in points]
    for number, (paid, counted) in enumerate(zip(run.paid, run.counted, strict=True)):
        share = _share(run, number)
        for start, size in points[_nearest(numbers, number)].noise:
            held = min(size, counted - start)
            if held > 0:
                tokens += held * share
                pico += paid.price(start * share, held * share)
    return tokens, pico if any(one.rates is not None for one in run.paid) else None


def _share(run: Run, number: int) -> float:
    """Tokens as billed over tokens as counted."""
    return run.paid[number].tokens / run.counted[number] or 1.0


def _nearest(numbers: Sequence[int], number: int) -> int:
    """Index of the number that is nearest; the earlier one of two."""
    behind = min(bisect_left(numbers, number), len(numbers) - 1)
    before = max(behind - 1, 0)
    return behind if numbers[behind] - number < number - numbers[before] or numbers[behind] == number else before


# ---- of all recordings ---------------------------------------------------------------------------------------------------


class Together(NamedTuple):
    """How recordings drifted together.

    Attributes:
        measured: recordings that were; those that stand for several count for them in ``score`` to ``position``.
        score: mean of their ends, by their requests; so are ``repetition``, ``goal`` and ``position``.
        level: by that score.
        noise: tokens, over all requests.
        noise_share: of all conversations.
        pico: what it cost, of those with a price; ``None``: none has one.
        repetition: share of what stood there before.
        stuck: of the measured recordings, those whose model was stuck.
        goal: how like the goal what was done at last was; ``None``: nobody knows.
        superseded: what users took back or contradicted in the measured recordings, and still stood there.
        position: share of what matters that stood in the middle of a very long prompt.
        levels: the measured recordings by level.
        by: what ranked it.
    """

    measured: int
    score: float
    level: Level
    noise: float
    noise_share: float
    pico: float | None
    repetition: float
    stuck: int
    goal: float | None
    superseded: int
    position: float
    levels: dict[Level, int]
    by: str


def together(found: Sequence[Drifted], policy: Policy) -> Together | None:
    """All of them; ``None``: there are none. ``policy``: its thresholds."""
    if not found:
        return None
    tokens, noise = (sum(getattr(one, name) * one.weight for one in found) for name in ("tokens", "noise"))
    priced = [one.pico * one.weight for one in found if one.pico is not None]
    weights = [one.requests * one.weight for one in found]
    goals = [(one.end.goal, weight) for one, weight in zip(found, weights, strict=True) if one.end.goal is not None]
    levels = Counter(one.end.level for one in found)
    score = fmean((one.end.score for one in found), weights)
    return Together(
        measured=len(found),
        score=score,
        level=_level(score, policy),
        noise=noise,
        noise_share=noise / tokens if tokens else 0.0,
        pico=sum(priced) if priced else None,
        repetition=fmean((one.end.repetition for one in found), weights),
        stuck=sum(one.stuck for one in found),
        goal=fmean(*zip(*goals, strict=True)) if goals else None,
        superseded=sum(len(one.end.superseded) for one in found),
        position=fmean((one.end.position for one in found), weights),
        levels={level: levels[level] for level in LEVELS},
        by=found[0].end.by,
    )


def worst(threads: Iterable[Measured]) -> list[tuple[Measured, Drifted]]:
    """Recordings that drift, and how, the worst first."""
    known = [(one, one.drift) for one in threads if one.drift is not None]
    found = [(one, drift) for one, drift in known if drift.end.level != "calm" or drift.stuck]
    return sorted(found, key=lambda pair: (-pair[1].end.score, -pair[1].noise, pair[0].name))

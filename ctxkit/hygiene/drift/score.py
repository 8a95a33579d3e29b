"""One figure for how far a conversation has drifted, from 0 to 1.

Each component is worth at most its weight when it stands alone, and what one leaves is left to the others:
``1 - (1 - w1 x1)(1 - w2 x2)...``. So the score grows with each of them, none of them hides another, and a weight says how
much that component proves by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ctxkit.drift import DRIFTING, LOST

if TYPE_CHECKING:
    from ctxkit.drift import Drift, Level

__all__ = ["WEIGHTS", "level_of", "score"]

WEIGHTS: Final = {
    "loop": 0.95,
    "noise": 0.5,
    "repetition": 0.35,
    "goal": 0.3,
    "position": 0.3,
    "superseded": 0.2,
}
"""What each component comes to when it is at its worst and all others are at their best."""


def score(drift: Drift) -> float:
    """All figures of a conversation as one; its own ``score`` is not looked at.

    >>> from ctxkit.drift import Drift
    >>> score(Drift(0.0)), score(Drift(0.0, loop=1.0))
    (0.0, 0.95)
    """
    left = 1.0
    for name, figure in _components(drift).items():
        left *= 1 - WEIGHTS[name] * min(max(figure, 0.0), 1.0)
    return round(1 - left, 6)


def _components(drift: Drift) -> dict[str, float]:
    """Each from 0 to 1, 1 being at its worst; what is not known yet is at its best."""
    return {
        "loop": drift.loop,
        "noise": drift.noise_share,
        "superseded": 1 - 0.5 ** len(drift.superseded),
        "goal": 0.0 if drift.goal is None else 1 - drift.goal,
        "repetition": drift.repetition,
        "position": drift.position,
    }


def level_of(score: float, *, drifting: float = DRIFTING, lost: float = LOST) -> Level:
    """By thresholds of the score."""
    return "lost" if score >= lost else "drifting" if score >= drifting else "calm"

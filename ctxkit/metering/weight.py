"""What one message weighs: the value that every family's measure gives and the counter remembers."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Weight"]


class Weight(NamedTuple):
    """What one message weighs in one family.

    Attributes:
        tokens: expected tokens when the message belongs to a turn that is over.
        current: what is added while its turn still runs (thoughts that are dropped later).
        turn: it opens a turn of the user.
        slack: how far ``tokens`` may be off because of what cannot be counted (images of unknown size, documents).
    """

    tokens: float
    current: float = 0.0
    turn: bool = False
    slack: float = 0.0

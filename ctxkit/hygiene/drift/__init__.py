"""How far a conversation has drifted: noise, repetition, loops, lost goals, what was taken back, what stands mid-way.

Figures alone; what they mean, and what they are evidence for, stands in ``docs/explanation/drift.md``.
"""

from ctxkit.hygiene.drift.measuring import Looked, curve, looked
from ctxkit.hygiene.drift.score import WEIGHTS, level_of, score

__all__ = ["WEIGHTS", "Looked", "curve", "level_of", "looked", "score"]

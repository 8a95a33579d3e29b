"""What tells relevance, as the policy wants it and as this machine has it: the annexe of the hall where models are chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.hygiene.embedding import AUTO, installed
from ctxkit.hygiene.relevance import load, relevance

if TYPE_CHECKING:
    from ctxkit.faults import Faults
    from ctxkit.hygiene.relevance import Relevance
    from ctxkit.policy import Policy

__all__ = ["relevance_of", "warm_relevance"]


def relevance_of(policy: Policy, faults: Faults) -> Relevance:
    """Words alone, or vectors beside them where that is asked for and installed; nothing is loaded yet.

    Unasked a model is used in mode ``prune`` alone: what only looks on must not load half a gigabyte into the process.
    """
    model, unasked = policy.tidy.relevance, policy.tidy.relevance == AUTO
    if model == relevance.name or (unasked and not (policy.mode == "prune" and installed())):
        return relevance
    if not installed():
        faults.warn("relevance: no model", "tidy.relevance names one, which takes: pip install 'ctxkit[semantic]'")
        return relevance
    from ctxkit.hygiene.semantic import Semantic
    from ctxkit.hygiene.vectors import shared

    return Semantic(shared(model), wait=policy.tidy.relevance_wait, complain=faults.warn)


def warm_relevance(found: Relevance) -> None:
    """Load what words take (half a second), and begin to load a model (seconds)."""
    from ctxkit.hygiene.semantic import Semantic

    load()
    if isinstance(found, Semantic):
        found.begin()

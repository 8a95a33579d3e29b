"""Cache objects of a provider (Gemini's ``CachedContent``): which stand, which pay, and who makes them.

A handle is the beginning of a prompt that the provider keeps for rent. The registry knows those of all threads and
processes of a store; the sums say when one is worth its rent. Nothing here sends anything: the hall does.
"""

from __future__ import annotations

from ctxkit.caching.handles.boundaries import Boundary, boundaries
from ctxkit.caching.handles.demand import Demands, Pace
from ctxkit.caching.handles.handle import Handle
from ctxkit.caching.handles.registry import Registry
from ctxkit.caching.handles.sums import Choice, Rent, choose, life_of, spent, verdict

__all__ = [
    "Boundary",
    "Choice",
    "Demands",
    "Handle",
    "Pace",
    "Registry",
    "Rent",
    "boundaries",
    "choose",
    "life_of",
    "spent",
    "verdict",
]

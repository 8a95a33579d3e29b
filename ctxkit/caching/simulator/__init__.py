"""Each provider's cache as a pure state machine over layouts; the matching is shared with the forecast."""

from ctxkit.caching.simulator.breakpoints import breakpoints, endings, life_asked, names, refusal
from ctxkit.caching.simulator.entries import Entry, Matched, Outcome, Refusal, State, Write
from ctxkit.caching.simulator.matching import match
from ctxkit.caching.simulator.serving import bill, commit, look, serve

__all__ = [
    "Entry",
    "Matched",
    "Outcome",
    "Refusal",
    "State",
    "Write",
    "bill",
    "breakpoints",
    "commit",
    "endings",
    "life_asked",
    "look",
    "match",
    "names",
    "refusal",
    "serve",
]

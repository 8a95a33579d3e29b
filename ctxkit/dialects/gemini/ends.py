"""When an answer of ``generateContent`` is whole, and what may be asked again.

A request that reads ``cachedContent`` says all: what a cache object holds never changes. Source: ai.google.dev
generate-content (2026-09-23), google-genai 3.4.0 types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.dialects.blocks import listed
from ctxkit.dialects.usage import at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctxkit.model import Json

__all__ = ["repeatable", "streamed", "whole"]

_GOOD = frozenset({"STOP", 1})  # the name, or the number of the enumeration
_OWN_TOOLS = frozenset({"functionDeclarations", "function_declarations"})
_LIMITS = ("generationConfig", "generation_config")
_COUNTS = ("candidateCount", "candidate_count")
_FOUND = ("groundingMetadata", "urlContextMetadata", "citationMetadata")
_SAID = ("text", "functionCall", "inlineData")
_OWN_PARTS = frozenset({*_SAID, "thought", "thoughtSignature", "partMetadata", "videoMetadata"})


def repeatable(body: dict[str, Json]) -> bool:
    """No tool that Google runs: functions of the application alone."""
    tools = body.get("tools") or ()
    each = (tools,) if isinstance(tools, dict) else tools
    return listed(each) and all(isinstance(tool, dict) and tool.keys() <= _OWN_TOOLS for tool in each)


def whole(response: Json, body: Json) -> bool:
    """As many candidates as were asked for, all of which came to a good end."""
    return streamed((response,), body)


def streamed(events: Sequence[Json], body: Json) -> bool:
    """Chunks in which every candidate came to a good end; behind it nothing is said any more."""
    if not all(isinstance(event, dict) and not _blocked(event) for event in events):
        return False
    candidates = [candidate for event in events for candidate in event.get("candidates") or ()]
    if not all(isinstance(candidate, dict) and not _bad(candidate) for candidate in candidates):
        return False
    ends: dict[int, Json] = {}
    said: set[int] = set()
    for candidate in candidates:
        index = candidate.get("index") or 0
        if _says(candidate):
            said.add(index)
        ends[index] = candidate.get("finishReason") or ends.get(index)
    asked = _asked(body)
    return len(ends) == asked and {*ends} == {*range(asked)} == said and all(end in _GOOD for end in ends.values())


def _asked(body: Json) -> int:
    found = [at(body, limits, count) for limits in _LIMITS for count in _COUNTS]
    return next((count for count in found if isinstance(count, int) and count > 0), 1)


def _blocked(event: dict[str, Json]) -> bool:
    return bool(at(event, "promptFeedback", "blockReason"))


def _bad(candidate: dict[str, Json]) -> bool:
    """Blocked, of what Google found by itself, or of parts that its own tools wrote."""
    ratings = candidate.get("safetyRatings") or ()
    parts = at(candidate, "content", "parts") or ()
    return (
        any(candidate.get(key) for key in _FOUND)
        or any(at(rating, "blocked") for rating in ratings)
        or not all(isinstance(part, dict) and part.keys() <= _OWN_PARTS for part in parts)
    )


def _says(candidate: dict[str, Json]) -> bool:
    return any(part.get(key) for part in at(candidate, "content", "parts") or () for key in _SAID)

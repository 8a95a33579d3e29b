"""Runs the checks over requests in the order in which they were sent."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.caching.economics import write_rate
from ctxkit.caching.lint.markers import (
    changed_parameters,
    far_apart,
    personal_first,
    refused,
    too_short,
    unmarked,
    volatile_marker,
)
from ctxkit.caching.lint.tools import large_tools, unstable_tools
from ctxkit.caching.lint.volatile import changed_in_place, first_difference, volatile_prefix
from ctxkit.money import usd_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from decimal import Decimal

    from ctxkit.caching.lint.finding import Finding, Seen

__all__ = ["RULES", "check"]

_CHECKS: tuple[Callable[[Seen, Seen | None], Iterator[Finding]], ...] = (
    volatile_prefix,
    changed_in_place,
    unstable_tools,
    large_tools,
    changed_parameters,
    personal_first,
    refused,
    too_short,
    volatile_marker,
    far_apart,
    unmarked,
)
RULES = {
    "volatile-prefix": "dates, times and ids in tools or instructions",
    "prefix-changed": "a part that was sent before and changed since",
    "image-changed": "a picture with other bytes than before",
    "tools-changed": "tools added, removed or reworded during a conversation",
    "tool-order": "the same tools in another order",
    "tool-keys": "the same tools, written with keys in another order",
    "large-tool": "tool definitions that take much of every request",
    "parameters-changed": "parameters of a prefix changed during a conversation",
    "personal-before-shared": "text about one person before instructions for all",
    "marker-refused": "markers that the provider answers with an error",
    "marker-below-minimum": "markers on prefixes too short to be cached",
    "marker-on-volatile": "markers on what changes each time",
    "lookback-exceeded": "more blocks between markers than the provider looks back",
    "not-marked": "a conversation that goes on without any marker",
}
"""Ids of all checks, and what each is about."""

_REQUESTS = 1_000
_RECENT = 64  # requests among which the one before is looked for
_ALIKE = 0.5  # share of the shorter request's blocks, or its tools, that two requests of one conversation share


def check(requests: Iterable[Seen], ignore: Collection[str] = ()) -> Iterator[Finding]:
    """What will break or miss the cache, request by request.

    A request is compared with the latest one before it that it goes on from, or shares a good part with.

    Args:
        requests: in the order in which they were sent.
        ignore: ids of checks that are not wanted.
    """
    recent: deque[_Met] = deque(maxlen=_RECENT)
    for seen in requests:
        met = _Met(seen, frozenset(repr(block.value) for block in seen.blocks if block.tier == "tools"))
        before = _before(met, recent)
        for one in _CHECKS:
            for finding in one(seen, before):
                if finding.rule not in ignore:
                    yield replace(finding, cost=_cost(seen, finding.tokens))
        recent.append(met)


class _Met(NamedTuple):
    """A request, and its tools as text."""

    seen: Seen
    tools: frozenset[str]


def _before(met: _Met, recent: deque[_Met]) -> Seen | None:
    """The latest request of the same conversation: one that shares its beginning, or most of what came after it."""
    best, most = None, 0.0
    for other in reversed(recent):
        if other.seen.layout.space != met.seen.layout.space:
            continue
        shared = _shared(met, other)
        if shared > most:
            best, most = other.seen, shared
    return best if most >= _ALIKE else None


def _shared(met: _Met, other: _Met) -> float:
    """Share of the other request's blocks that stand in this one at the same place, or of the tools that both declare."""
    ours, theirs = met.seen.blocks, other.seen.blocks
    if first_difference(met.seen, other.seen) is None:
        return 1.0 if len(theirs) <= len(ours) else 0.0
    same = sum(1 for mine, their in zip(ours, theirs, strict=False) if mine.value == their.value)
    return max(same / max(len(theirs), 1), _tools_shared(met.tools, other.tools))


def _tools_shared(ours: frozenset[str], others: frozenset[str]) -> float:
    """In any order: that may be what changed."""
    return len(ours & others) / len(ours | others) if ours and others else 0.0


def _cost(seen: Seen, tokens: int) -> Decimal | None:
    """USD per 1,000 requests: these tokens written or sent fresh, where they could have been read."""
    rates = seen.rates
    if not tokens:
        return usd_of(0)
    if rates is None or "fresh" not in rates or "read" not in rates:
        return None
    unread = rates["fresh"]
    if seen.rule is not None and seen.layout.marks:
        ttl = next(iter(seen.layout.marks.values())) or seen.rule.ttl
        unread = write_rate(rates, ttl)
    return usd_of((unread - rates["read"]) * tokens * _REQUESTS)

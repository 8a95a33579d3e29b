"""What a provider's cache will do with a request, by its rules and the entries that are believed alive.

The matching is the simulator's own. What differs is the measure: an entry's tokens are those that the provider reported,
so everything behind it is measured from there, in the proportion in which the estimate of that prefix was off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ctxkit.cacheable import Forecast, Miss
from ctxkit.caching.simulator.breakpoints import breakpoints
from ctxkit.caching.simulator.matching import match

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ctxkit.caching.layout import Layout
    from ctxkit.caching.rules.rule import Rule
    from ctxkit.caching.simulator.entries import Alive, Matched

__all__ = ["FIRST", "NEWEST", "Foreseen", "foresee"]

FIRST, NEWEST = 16, 48  # positions from the begin and from the end of a prompt
_ODD = (0.25, 4.0)  # a reported prefix that is further from its estimate says that one of them is not what it seems


class Foreseen(NamedTuple):
    """A forecast with the positions behind it.

    Attributes:
        rule: the rules it goes by.
        layout: the request.
        matched: what is read and written, by position.
        forecast: the same for people.
        tokens: turns the estimated tokens of a prefix into those the provider would count.
    """

    rule: Rule
    layout: Layout
    matched: Matched
    forecast: Forecast
    tokens: Callable[[float], float]


def foresee(rule: Rule, layout: Layout, alive: Alive, probability: float | None = None) -> Foreseen:
    """Forecast a request.

    Args:
        rule: how the provider's cache works.
        layout: the request.
        alive: the entries believed alive.
        probability: share of such forecasts that came true so far; ``None``: unknown.
    """
    matched = match(rule, layout, alive, among=_telling(len(layout.positions)))
    tokens = _measure(layout, matched)
    whole = max(round(tokens(layout.total)), matched.tokens)
    written = _written(rule, layout, matched, tokens, whole)
    return Foreseen(
        rule,
        layout,
        matched,
        Forecast(
            rule=rule.id,
            cached_tokens=matched.most,
            written=written,
            fresh=max(whole - matched.tokens - sum(written.values()), 0),
            misses=tuple(_expected_misses(rule, layout, matched, tokens)),
            guaranteed=rule.guaranteed,
            hit_probability=probability if matched.tokens else None,
            expires=matched.entry.expires if matched.entry is not None else None,
        ),
        tokens,
    )


def _telling(count: int) -> Sequence[int]:
    """Positions looked at where a prefix may end anywhere: what others may share, and what a conversation goes on from."""
    return range(count) if count <= FIRST + NEWEST else (*range(FIRST), *range(count - NEWEST, count))


def _measure(layout: Layout, matched: Matched) -> Callable[[float], float]:
    if matched.entry is None:
        return float
    known, estimated = matched.entry.tokens, layout.positions[matched.read].tokens if matched.read >= 0 else 0.0
    ratio = known / estimated if estimated else 1.0
    if not _ODD[0] < ratio < _ODD[1]:
        ratio = 1.0
    return lambda tokens: known + (tokens - estimated) * ratio


def _written(
    rule: Rule, layout: Layout, matched: Matched, tokens: Callable[[float], float], whole: int
) -> dict[str, int]:
    """Tokens that will be reported as written, by time to live."""
    if rule.match not in ("marks", "endings"):
        rest = whole - matched.tokens
        return {ttl: rest for ttl in matched.written if rest > 0}
    found: dict[str, int] = {}
    at = matched.tokens
    for index, ttl in matched.writes:
        end = min(round(tokens(layout.positions[index].tokens)), whole)
        if end > at:
            found[ttl] = found.get(ttl, 0) + end - at
            at = end
    return found


def _expected_misses(rule: Rule, layout: Layout, matched: Matched, tokens: Callable[[float], float]) -> list[Miss]:
    """What will not be cached although it could be, as far as the request alone tells."""
    whole = round(tokens(layout.total))
    if rule.match == "marks" and not breakpoints(rule, layout):
        return (
            [Miss("not_marked", whole, detail="no cache marker in the request")] if whole >= (rule.minimum or 0) else []
        )
    if rule.minimum and matched.tokens == 0 and not matched.writes and whole < rule.minimum:
        return [Miss("below_minimum", whole, detail=f"{whole:,} tokens, {rule.minimum:,} are the least")]
    return []

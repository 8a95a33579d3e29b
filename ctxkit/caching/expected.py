"""What a request and those after it are expected to cost, marked in one way or another.

This request is billed by the function that simulates the cache, over the entries that are believed alive. The requests
that continue it, and those that open with the same tools and instructions, read what is still alive by then: how many
they are and after which gaps they come is the outlook.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.caching.simulator import Outcome, bill, breakpoints, match, names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctxkit.caching.habits import Outlook, Within
    from ctxkit.caching.layout import Layout
    from ctxkit.caching.rules.rule import Rule
    from ctxkit.caching.simulator.entries import Alive, Matched

__all__ = ["expected_cost", "relative_rates"]

_GROWS = 0.1  # share of a prompt that the next request adds, as long as nothing was seen
_UNIT = 1_000  # of relative rates: the price of a fresh token


def relative_rates(rule: Rule) -> dict[str, int] | None:
    """Rates as multiples of the input price, where no price is known; ``None``: not even those are."""
    if rule.read is None:
        return None
    written = {f"written.{ttl}": round(_UNIT * price) for ttl, price in rule.write.items()}
    return {"fresh": _UNIT, "read": round(_UNIT * rule.read), **written}


def expected_cost(
    layout: Layout,
    rule: Rule,
    alive: Alive,
    outlook: Outlook,
    rates: Mapping[str, int],
    *,
    later: str | None = None,
) -> float:
    """This request, those that are expected to continue it, and those that open alike; in the unit of the rates.

    Args:
        layout: the request with its markers.
        rule: how the cache works.
        alive: the live entry of a name.
        outlook: what is to be expected after it.
        rates: price of a token by bucket; without the one of a bucket that is filled, the cost is infinite.
        later: life for which requests that continue this one may be marked where it is not; ``None``: they are not.
    """
    matched = match(rule, layout, alive)
    now = bill(Outcome(matched.tokens, matched.written, matched.fresh), rates)
    if now is None:
        return math.inf
    rewrites = _rewrites(layout, rule, outlook, rates, matched)
    after = _After(layout, _kept(layout, rule, alive, matched), rates, *rewrites)
    stable = len(layout.positions) - 1 - outlook.lost
    grown = layout.total * _GROWS if outlook.grows is None else outlook.grows
    spent = now + _following(after, rule, outlook, stable, layout.total + grown, later)
    if outlook.opening >= 0 and outlook.again:
        whole = layout.positions[outlook.opening].tokens
        spent += outlook.again * after.cost(outlook.opening, whole, outlook.arrivals)
    return spent


def _following(after: _After, rule: Rule, outlook: Outlook, stable: int, whole: float, later: str | None) -> float:
    """The requests that continue this one: marked as it is, or each from the next one on marked at its end."""
    as_it_is = outlook.more * after.cost(stable, whole, outlook.gaps)
    write, read = after.rates.get(f"written.{later}"), after.rates.get("read")
    if later is None or write is None or read is None or after.upto == math.inf:
        return as_it_is
    # Whoever does not mark now can still do so once there is a next request, which few may have.
    first = after.cost(stable, whole, outlook.gaps) + (whole - after.upto) * max(write - after.rates["fresh"], 0)
    share = outlook.gaps.share(_life(rule, later))
    kept = share * (after.layout.positions[stable].tokens if stable >= 0 else 0.0)
    marked = kept * read + (whole - kept) * write
    return min(as_it_is, outlook.goes_on * first + (outlook.more - outlook.goes_on) * marked)


def _kept(layout: Layout, rule: Rule, alive: Alive, matched: Matched) -> dict[int, float]:
    """Seconds that each entry lives from now on, by its position, after this request.

    Whether a marker of a shorter life keeps an entry of a longer one alive is not known, so the shorter counts. A life
    that nobody knows is taken for endless: what is as it is has the benefit of the doubt.
    """
    kept = {write.at: _life(rule, write.ttl) for write in matched.writes}
    if matched.entry is not None:
        kept[matched.read] = min(_life(rule, matched.entry.ttl), _life(rule, matched.asked))
        name = names(rule, layout)
        for index, ttl in breakpoints(rule, layout):
            if index < matched.read and (entry := alive(name(index))) is not None:
                kept[index] = min(_life(rule, entry.ttl), _life(rule, ttl))
    return kept


def _life(rule: Rule, ttl: str) -> float:
    life = rule.seconds(ttl)
    return math.inf if life is None else life


def _rewrites(
    layout: Layout, rule: Rule, outlook: Outlook, rates: Mapping[str, int], matched: Matched
) -> tuple[int, float]:
    """What a token costs that the next request has to write again, and up to which token it will be written."""
    if not matched.writes and not layout.marks:
        return rates["fresh"], 0.0
    ends = [index for index, _ in breakpoints(rule, layout)] + [write.at for write in matched.writes[-1:]]
    ttl = matched.writes[-1].ttl if matched.writes else rule.ttl
    rate = rates.get(f"written.{ttl}", rates["fresh"]) if rule.write else None
    last = max(ends, default=-1)
    upto = math.inf if last > outlook.opening else layout.positions[last].tokens
    return (rates["fresh"] if rate is None else rate), upto


class _After(NamedTuple):
    """What a later request will cost.

    Attributes:
        layout: this request.
        kept: seconds that entries live, by position.
        rates: of each bucket.
        rate: of a token that is written again.
        upto: tokens that will be written; those behind them are fresh.
    """

    layout: Layout
    kept: Mapping[int, float]
    rates: Mapping[str, int]
    rate: int
    upto: float

    def cost(self, last: int, whole: float, gaps: Within) -> float:
        """Of a request that has the positions up to ``last`` again, ``whole`` tokens, over all gaps before it."""
        lives = sorted({life for index, life in self.kept.items() if index <= last})
        spent = bridged = 0.0
        for life in lives:
            best = max(index for index, lived in self.kept.items() if lived >= life and index <= last)
            share = max(gaps.share(life) - bridged, 0.0)
            bridged += share
            spent += share * self._reading(self.layout.positions[best].tokens, whole)
        return spent + (1.0 - bridged) * self._reading(0.0, whole)

    def _reading(self, tokens: float, whole: float) -> float:
        written = max(min(self.upto, whole) - tokens, 0.0)
        return tokens * self.rates["read"] + written * self.rate + (whole - tokens - written) * self.rates["fresh"]

"""The least that any policy could have paid for a recorded thread, given what may be removed of it, and when.

What may go is fixed beforehand and the same for all policies: *offers*, each with the request from which on it holds and
the cut at which the prompt begins to differ when it is taken. A *rewrite* takes, at one request, everything on offer from
one cut on, and what is taken stays away. It costs what stands behind the cut and stays: that is written again, not read.

Which rewrites are best is found by dynamic programming. The price of a rewrite depends on its request and its cut alone
(everything on offer behind the cut is gone after it, whatever went before), and what an offer saves on the first rewrite
that takes it alone. So among the rewrites between two others the one with the deepest cut parts them into those before it
and those after it, which do not meddle with one another; the state is the two rewrites around, and the deepest cut allowed.
That is exact, and takes time with the cube of the rewrites that may be worth it.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

from ctxkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Offer", "Rewriting", "Timeline", "captured", "cost_of", "least"]


class Offer(NamedTuple):
    """Tokens that may go.

    Attributes:
        since: number of the request from which on they may.
        cut: number of the cut at which the prompt differs then.
        tokens: how many.
    """

    since: int
    cut: int
    tokens: float


class Rewriting(NamedTuple):
    """At this request everything on offer from this cut on is taken."""

    request: int
    cut: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """A thread in figures, as it is when nothing on offer is taken.

    Attributes:
        sizes: tokens of each prompt.
        bounds: tokens of the prefix that can still be read when the prompt differs from a cut on, by cut, ascending.
        offers: what may go.
        kept: whether what the request before wrote can be read, by request; the first one reads nothing.
        read: price of a token that is read.
        write: price of one that is written for later requests.
        fresh: price of one that is not.
    """

    sizes: Sequence[float]
    bounds: Sequence[float]
    offers: Sequence[Offer]
    kept: Sequence[bool]
    read: float
    write: float
    fresh: float

    def new_rate(self, request: int) -> float:
        """Price of a token that this request does not read: it is written if the next request reads it."""
        later = request + 1 < len(self.kept) and self.kept[request + 1]
        return self.write if later else self.fresh

    def old_rate(self, request: int) -> float:
        """Price of a token that stood in the prompt before."""
        return self.read if self.kept[request] else self.new_rate(request)


def cost_of(timeline: Timeline, rewrites: Sequence[Rewriting] = ()) -> float:
    """What the thread costs with these rewrites: the definition that :func:`least` is the minimum of."""
    cuts = dict(rewrites)
    gone: set[int] = set()
    total, before = 0.0, 0.0
    for request, size in enumerate(timeline.sizes):
        old = timeline.old_rate(request)
        total += before * old + (size - before) * timeline.new_rate(request)
        if request in cuts:
            cut = cuts[request]
            gone |= {at for at, one in enumerate(timeline.offers) if one.since <= request and one.cut >= cut}
            total += _price(timeline, request, cut)
        total -= sum(timeline.offers[at].tokens for at in gone) * old
        before = size
    return total


def _price(timeline: Timeline, request: int, cut: int) -> float:
    """What it costs to write again what stands behind a cut and stays."""
    before = timeline.sizes[request - 1] if request else 0.0
    gone = sum(one.tokens for one in timeline.offers if one.since <= request and one.cut >= cut)
    rest = max(before - timeline.bounds[cut] - gone, 0.0)
    return rest * (timeline.new_rate(request) - timeline.old_rate(request))


def least(timeline: Timeline) -> float:
    """What the thread costs with the best rewrites there are.

    Raises:
        ConfigurationError: numpy is not installed.
    """
    base = cost_of(timeline)
    if not timeline.offers:
        return base
    return base + _best(timeline, _moments(timeline))


def _moments(timeline: Timeline) -> list[int]:
    """Requests at which a rewrite may be best: at others an earlier one costs no more and saves longer."""
    found = {one.since for one in timeline.offers}
    odd = (
        at for at in range(1, len(timeline.sizes)) if timeline.new_rate(at) <= timeline.fresh or not timeline.kept[at]
    )
    return sorted(found.union(odd))


def _best(timeline: Timeline, moments: Sequence[int]) -> float:
    """By how much the best rewrites change the cost: 0 or less."""
    np = _numpy()
    count, cuts = len(moments), len(timeline.bounds)
    taken, price = np.zeros((count + 2, cuts)), np.zeros((count + 2, cuts))
    for one in timeline.offers:
        taken[bisect_left(moments, one.since) + 1 :, one.cut] += one.tokens
    taken = taken[:, ::-1].cumsum(axis=1)[:, ::-1]  # on offer up to a moment, from a cut on
    bounds = np.asarray(timeline.bounds, dtype=float)
    for at, request in enumerate(moments, 1):
        before = timeline.sizes[request - 1] if request else 0.0
        rate = timeline.new_rate(request) - timeline.old_rate(request)
        price[at] = np.maximum(before - bounds - taken[at], 0.0) * rate
    taken[0] = 0.0
    # Reading a token that stood before at each request from one on, to the end.
    rates = [timeline.old_rate(request) for request in range(len(timeline.sizes))]
    spent = list(accumulate(rates, initial=0.0))
    since = np.asarray([0.0, *(spent[request] for request in moments), spent[-1]])
    best = np.zeros((count + 2, count + 2, cuts))
    for width in range(2, count + 2):
        for left in range(count + 2 - width):
            right = left + width
            inner = slice(left + 1, right)
            saved = (since[right] - since[inner])[:, None] * (taken[inner] - taken[left])
            ways = price[inner] - saved + best[left, inner] + best[inner, right]
            least_by_cut = np.minimum(ways.min(axis=0), 0.0)
            best[left, right] = np.minimum.accumulate(least_by_cut[::-1])[::-1]
    return float(best[0, count + 1, 0])


def _numpy() -> Any:
    try:
        import numpy as np
    except ImportError:
        raise ConfigurationError('the optimum needs numpy: pip install "ctxkit[replay]"') from None
    return np


def captured(raw: Sequence[float], paid: Sequence[float], optimum: Sequence[float]) -> float | None:
    """Share of the possible saving that was saved, over all threads; ``None``: nothing could be saved."""
    possible = sum(raw) - sum(optimum)
    return (sum(raw) - sum(paid)) / possible if possible > 0 else None

"""Whether to change what was sent already: a rewrite costs at once and saves a little with every later request.

All pending removals share one rewrite. It is bought when it is free (the cache has gone cold, or so little stands behind
the cut that the request gets cheaper at once), or when two tests agree: over the lower quartile of the requests that such
a thread still has, it saves more than it costs; and a good part of its price has been carried already, as reads of what
could have gone. Rent-or-buy alone loses where reads are very cheap, and the mean of remaining requests alone loses on
the threads that end early.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ctxkit.caching.economics import write_rate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ctxkit.cacheable import Forecast

__all__ = ["Alternative", "Choice", "Cut", "best_cuts", "choose", "input_cost", "steady_rate"]

CARRIED = 0.3
"""Share of a rewrite's price that has to be carried before it is bought."""
_WORTH = 0.002  # share of a request's price that has to be won
_CUTS = 2  # cuts that are priced exactly
_COSTS_MORE = (
    "a rewrite costs more than it saves with the {:.0f} requests to come, at least; a cold cache makes it free"
)


class Alternative(NamedTuple):
    """One way to send a request.

    Attributes:
        now: what its prompt costs, in pico-dollars (or any unit, as long as all have the same).
        later: what the same prompt will cost with each later request.
        carried: what reading that which goes has cost since it could have gone.
    """

    now: float
    later: float
    carried: float = 0.0


class Choice(NamedTuple):
    """What was chosen, and why.

    Attributes:
        index: of the alternative; -1: keep.
        price: what it costs more now than keeping (negative: less).
        gain: what it saves over the requests that are to be expected at least, less its price.
        why: one sentence for people.
    """

    index: int  # type: ignore[assignment]  # hides a method of tuples that nobody calls here
    price: float = 0.0
    gain: float = 0.0
    why: str = ""


def choose(
    keep: Alternative,
    others: Sequence[Alternative],
    *,
    remaining: float,
    affordable: Callable[[float], bool],
) -> Choice:
    """The alternative that saves most, if one may be bought; ties keep.

    Args:
        keep: nothing more is removed.
        others: ways to remove something.
        remaining: requests that the thread will still have, at its lower quartile.
        affordable: a rewrite that costs so much first may be bought.
    """
    best, waits = Choice(-1, why=_COSTS_MORE.format(remaining)), Choice(-1)
    for index, other in enumerate(others):
        price = other.now - keep.now
        gain = remaining * (keep.later - other.later) - price
        if gain <= _WORTH * keep.now:
            continue
        if price <= 0:
            found = Choice(index, price, gain, "this request is cheaper without it already")
        elif not affordable(price):
            waits = Choice(-1, price, gain, "rewrites of this feature have cost more than they saved")
            continue
        elif other.carried < CARRIED * price:
            waits = Choice(-1, price, gain, f"until {CARRIED:.0%} of the rewrite's price has been carried")
            continue
        else:
            found = Choice(index, price, gain, f"it pays with the {remaining:.0f} requests to come, at least")
        if found.gain > best.gain or best.index < 0:
            best = found
    return best if best.index >= 0 or not waits.why else waits


class Cut(NamedTuple):
    """Everything that may go from one position on.

    Attributes:
        at: tokens of the prompt before it.
        removed: tokens that go behind it.
    """

    at: float
    removed: float


def best_cuts(
    cuts: Sequence[Cut], total: float, rates: Mapping[str, float], *, steady: float, remaining: float
) -> list[int]:
    """Indices of the cuts that are worth pricing exactly, the most promising first; none: keep without more ado.

    Taken as if a cached prefix ended at each cut: what is not worth it then never is.
    """
    fresh = rates["fresh"]
    write = min((rate for name, rate in rates.items() if name.startswith("written")), default=fresh)
    read = rates.get("read", fresh)
    gains = []
    for index, cut in enumerate(cuts):
        behind = total - cut.at - cut.removed
        price = behind * (write - read) - cut.removed * read
        gains.append((remaining * steady * cut.removed - max(price, 0.0) + max(-price, 0.0), index))
    worth = sorted((pair for pair in gains if pair[0] > 0), key=lambda pair: (-pair[0], pair[1]))
    return [index for _, index in worth[:_CUTS]]


def input_cost(forecast: Forecast | None, rates: Mapping[str, int] | None) -> float | None:
    """What the prompt of a forecast costs, in the unit of the rates; ``None``: nobody knows."""
    if forecast is None or rates is None or forecast.cached_tokens is None or forecast.fresh is None:
        return None
    share = 1.0 if forecast.hit_probability is None or forecast.guaranteed else forecast.hit_probability
    read, fresh = rates.get("read"), rates["fresh"]
    if forecast.cached_tokens and read is None:
        return None
    written = sum(tokens * write_rate(rates, ttl) for ttl, tokens in forecast.written.items())
    cached = forecast.cached_tokens * (share * (read or 0) + (1 - share) * fresh)
    return cached + written + forecast.fresh * fresh


def steady_rate(forecast: Forecast, rates: Mapping[str, int]) -> float:
    """What a token of the prompt will cost with each later request: a read where the prompt is cached, else fresh."""
    fresh = rates["fresh"]
    if not forecast.cached_tokens and not forecast.written:
        return fresh if (forecast.rule and forecast.misses) else rates.get("read", fresh)
    share = 1.0 if forecast.hit_probability is None or forecast.guaranteed else forecast.hit_probability
    return share * rates.get("read", fresh) + (1 - share) * fresh

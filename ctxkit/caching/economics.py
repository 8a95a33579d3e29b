"""Break-even arithmetic on rates that are handed in: what a write costs, pings, rent.

A rate is what one token costs, in any unit, as long as all rates of a call have the same: integer pico-dollars per
token, or exact multiples of the input price (``Fraction("1.25")``). Nothing here is rounded, and no rate is known
here. ``write`` is the rate of a cache write, ``read`` that of a cache read.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "KeptAlive",
    "Life",
    "Rate",
    "Seconds",
    "kept_alive",
    "most_pings",
    "pings_worth",
    "storage_rent",
    "write_rate",
]

Rate: TypeAlias = int | Fraction
"""Cost of one token."""

Seconds: TypeAlias = int | float | Fraction
"""A span of time; taken at its exact value."""

_HOUR = 3600


def write_rate(rates: Mapping[str, int], ttl: str) -> int:
    """What a token costs that is written at a time to live, by a price card; where writes have no price, a fresh one's."""
    return rates.get(f"written.{ttl}", rates.get("written", rates["fresh"]))


class Life(NamedTuple):
    """A time to live that a provider sells.

    Attributes:
        ttl: its name (``"5m"``).
        seconds: how long an entry lives after it was written or, where that renews it, read.
        write: rate of a write at it.
    """

    ttl: str
    seconds: Seconds
    write: Rate


class KeptAlive(NamedTuple):
    """What it would have come to, to keep an entry alive through a gap.

    Attributes:
        pings: requests that read it in time, without which it would have ended.
        saving: per token, signed: the write that was spared, less the reads of the pings and of the request itself.
    """

    pings: int
    saving: Rate


def most_pings(write: Rate, read: Rate) -> int | None:
    """Most pings that together cost less than the write they spare; ``None``: any number, reads being free.

    ``k * read < write - read``: the request that comes at last pays a read in the place of the write.
    """
    if read <= 0:
        return None
    return max(0, ceil(Fraction(write - read) / Fraction(read)) - 1)


@lru_cache(maxsize=256)
def pings_worth(write: float, read: float) -> int | None:
    """:func:`most_pings` by the multiples of a rule, as they are written down."""
    return most_pings(Fraction(str(write)), Fraction(str(read)))


def kept_alive(life: Life, read: Rate, gap: Seconds, *, early: Seconds = 0) -> KeptAlive:
    """Pings through one gap, each ``early`` seconds before the entry would end, and what they save."""
    every = Fraction(life.seconds) - Fraction(early)
    if Fraction(gap) <= Fraction(life.seconds) or every <= 0:
        return KeptAlive(0, 0)
    # The last ping needs to come so late that the request still finds the entry: a whole life before it.
    pings = ceil((Fraction(gap) - Fraction(life.seconds)) / every)
    return KeptAlive(pings, life.write - read * (pings + 1))


def storage_rent(tokens: int, rate: Rate, seconds: Seconds) -> Fraction:
    """What it costs to store ``tokens`` for as long as they really stood, at ``rate`` per token and hour."""
    return Fraction(tokens) * Fraction(rate) * max(Fraction(seconds), Fraction(0)) / _HOUR

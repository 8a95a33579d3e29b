"""When a cache pays: break-even arithmetic on rates that are handed in.

A rate is what one token costs, in any unit, as long as all rates of a call have the same: integer pico-dollars per
token, or exact multiples of the input price (``Fraction("1.25")``). Nothing here is rounded, and no rate is known
here. ``base`` is the plain input rate, ``write`` that of a cache write, ``read`` that of a cache read; where writes
are free of a premium ``write`` equals ``base``.

The statements named in the tests (P6, O14, O15) are the vendors' own examples.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import ceil, floor
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "KeptAlive",
    "Life",
    "Rate",
    "Seconds",
    "break_even_reads",
    "burst_saving",
    "cached_spend",
    "expansion_limit",
    "handle_break_even",
    "kept_alive",
    "life_spend",
    "lives_by_spend",
    "most_pings",
    "pings_worth",
    "prewarm_saving",
    "requests_to_expand",
    "storage_rent",
]

Rate: TypeAlias = int | Fraction
"""Cost of one token."""

Seconds: TypeAlias = int | float | Fraction
"""A span of time; taken at its exact value."""

_HOUR = 3600


def cached_spend(write: Rate, read: Rate, reads: int) -> Rate:
    """What a token costs that is written once and then read ``reads`` times."""
    return write + read * reads


def break_even_reads(base: Rate, write: Rate, read: Rate) -> int | None:
    """Least reads after which one write has cost no more than no caching at all; ``None``: it never will.

    ``N >= (write - base) / (base - read)``: the write itself stands for a request that is paid for anyway.
    """
    if write <= base:
        return 0
    if read >= base:
        return None
    return ceil(Fraction(write - base) / Fraction(base - read))


# ---- Time to live -----------------------------------------------------------------------------------------------------


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


def life_spend(life: Life, read: Rate, gaps: Iterable[Seconds], *, refreshed: bool = True) -> Rate:
    """What a token costs that is asked for once and again after each of ``gaps``, written when it is not alive.

    Args:
        life: at which it is written.
        read: rate of a read.
        gaps: seconds between one request and the next.
        refreshed: a read begins the life anew.
    """
    spent, left = life.write, Fraction(life.seconds)
    for gap in gaps:
        left -= Fraction(gap)
        if left < 0:
            spent += life.write
            left = Fraction(life.seconds)
        else:
            spent += read
            left = Fraction(life.seconds) if refreshed else left
    return spent


def lives_by_spend(
    lives: Sequence[Life], base: Rate, read: Rate, gaps: Sequence[Seconds], *, refreshed: bool = True
) -> tuple[tuple[Rate, str], ...]:
    """Times to live with what a token costs under each of them over these gaps, cheapest first.

    ``""`` among them is not to cache at all. At equal cost the shorter life comes first, and none before any.
    """
    plain = (base * (len(gaps) + 1), Fraction(0), "")
    priced = [(life_spend(life, read, gaps, refreshed=refreshed), Fraction(life.seconds), life.ttl) for life in lives]
    return tuple((spent, ttl) for spent, _, ttl in sorted([plain, *priced]))


# ---- Keeping alive ----------------------------------------------------------------------------------------------------


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


# ---- Many at once, and ahead of time ----------------------------------------------------------------------------------


def burst_saving(base: Rate, write: Rate | None, read: Rate, others: int) -> Rate:
    """Per token of a cold prefix: what it saves that one of ``others + 1`` requests at once goes first.

    ``write`` is ``None`` where writes are not billed: then the others would have paid ``base``.
    """
    return ((base if write is None else write) - read) * others


def prewarm_saving(base: Rate, write: Rate | None, read: Rate, burst: int = 1) -> Rate:
    """Per token: what it saves to fill the cache ahead of ``burst`` requests that then start at once; signed.

    Ahead of one request it costs a read and saves none (what is bought is time to the first token). Ahead of more it
    spares all but one of their writes, as letting one of them go first does, which costs no extra read.
    """
    unread = base if write is None else write
    return unread * burst - (unread + read * burst)


# ---- Handles ----------------------------------------------------------------------------------------------------------


def storage_rent(tokens: int, rate: Rate, seconds: Seconds) -> Fraction:
    """What it costs to store ``tokens`` for as long as they really stood, at ``rate`` per token and hour."""
    return Fraction(tokens) * Fraction(rate) * max(Fraction(seconds), Fraction(0)) / _HOUR


def handle_break_even(
    base: Rate, read: Rate, storage: Rate, *, seconds: Seconds = _HOUR, hit_rate: Seconds = 0
) -> Fraction | None:
    """Requests within ``seconds`` above which a handle is cheaper than none; ``None``: it never is.

    Args:
        base: plain input rate; creating the handle costs it, too.
        read: rate of a read.
        storage: per token and hour.
        seconds: how long the handle stands.
        hit_rate: share of requests that the provider's own cache would have served without one, 0 to 1.
    """
    saved = Fraction(base - read) * (1 - Fraction(hit_rate))
    if saved <= 0:
        return None
    return (Fraction(base) + storage_rent(1, storage, seconds)) / saved


# ---- Prefixes that are too short --------------------------------------------------------------------------------------


def expansion_limit(minimum: int, base: Rate, write: Rate, read: Rate, requests: int | None = None) -> Fraction:
    """Length above which it pays to fill a shared prefix up to ``minimum``, in tokens.

    ``L > M * (r + (w - r) / N)``, rates as multiples of ``base`` (developers.openai.com: prompt caching, 2026-10-02).

    Args:
        minimum: least tokens that are cached.
        base: plain input rate.
        write: rate of a write.
        read: rate of a read.
        requests: that share the prefix; ``None``: very many.
    """
    each = Fraction(read) if requests is None else Fraction(read) + Fraction(write - read) / requests
    return minimum * each / Fraction(base)


def requests_to_expand(length: int, minimum: int, base: Rate, write: Rate, read: Rate) -> int | None:
    """Least requests that must share a prefix of ``length`` tokens for its expansion to pay; ``None``: never."""
    spare = Fraction(length) * base - Fraction(minimum) * read
    if spare <= 0:
        return None
    return floor(Fraction(minimum) * (write - read) / spare) + 1

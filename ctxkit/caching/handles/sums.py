"""When a handle pays: what it saves on the reads to be expected, against its creation and its rent.

Rates are integer pico-dollars per token; storage is per token and hour, for as long as the handle really stands.
Creating one costs the plain input rate.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Literal, NamedTuple

from ctxkit.caching.economics import storage_rent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctxkit.caching.handles.boundaries import Boundary
    from ctxkit.caching.handles.demand import Pace
    from ctxkit.caching.handles.handle import Handle

__all__ = ["Choice", "Rent", "choose", "life_of", "spent", "verdict"]

_SHORTEST, _LONGEST = 300.0, 86_400.0  # seconds; before its end a handle is looked at again anyway


class Rent(NamedTuple):
    """What a model's handles cost.

    Attributes:
        base: pico-dollars per token of plain input.
        read: pico-dollars per token of a read.
        storage: pico-dollars per token and hour.
    """

    base: int
    read: int
    storage: int


class Choice(NamedTuple):
    """A handle worth creating.

    Attributes:
        boundary: where it ends.
        seconds: to live.
        gain: pico-dollars it is expected to save, all costs paid.
        reads: requests expected to read it.
        hit_rate: share of it that the provider's own cache would have served.
    """

    boundary: Boundary
    seconds: float
    gain: int
    reads: float
    hit_rate: float


def life_of(pace: Pace, now: float) -> float:
    """Seconds a handle should live: until as many reads as were seen have come once more, at their pace."""
    rate = pace.rate(now)
    return min(max(pace.count / rate, _SHORTEST), _LONGEST) if rate else _SHORTEST


def choose(
    found: Sequence[Boundary],
    paces: Mapping[str, Pace],
    rent: Rent,
    now: float,
    *,
    minimum: int,
    already: int = 0,
) -> Choice | None:
    """The handle that is expected to save most; ``None`` when none would repay what it costs.

    Args:
        found: where one may end.
        paces: how often each was asked for.
        rent: what it costs.
        now: the moment, in unix seconds.
        minimum: least tokens of a handle.
        already: tokens that another handle serves of the same requests.
    """
    worth = (_worth(one, paces[one.key], rent, now, already) for one in found if _may(one, paces, minimum, already))
    best = max(worth, key=lambda choice: choice.gain, default=None)
    return best if best is not None and best.gain > 0 else None


def _may(boundary: Boundary, paces: Mapping[str, Pace], minimum: int, already: int) -> bool:
    return boundary.tokens >= minimum and boundary.tokens > already and boundary.key in paces


def _worth(boundary: Boundary, pace: Pace, rent: Rent, now: float, already: int) -> Choice:
    seconds = life_of(pace, now)
    reads = pace.expected(now, seconds)
    saved = _saved(rent.base, rent.read, pace.hit_rate) * Fraction(reads) * (boundary.tokens - already)
    cost = boundary.tokens * rent.base + storage_rent(boundary.tokens, rent.storage, seconds)
    return Choice(boundary, seconds, round(saved - cost), reads, pace.hit_rate)


def _saved(base: int, read: int, hit_rate: float) -> Fraction:
    return Fraction(base - read) * (1 - Fraction(hit_rate))


def spent(handle: Handle, now: float) -> tuple[int, int, int]:
    """Pico-dollars: creation, storage so far, and what its reads have saved so far against no handle."""
    rent = round(storage_rent(handle.tokens, handle.storage, handle.held(now)))
    saved = round(_saved(handle.base, handle.read, handle.hit_rate) * handle.tokens * handle.count)
    return handle.tokens * handle.base, rent, saved


def verdict(handle: Handle, now: float) -> Literal["being created", "ended", "keep", "let go"]:
    """Whether it is worth its rent from now on: reads at the pace they come at, against storage.

    What its creation cost is spent, whatever is done. One that nobody reads any more is kept until its rent since
    the last read comes to what it would cost to create it again: whoever is wrong then has paid twice at most.
    """
    if not handle.name:
        return "being created"
    if not handle.alive(now):
        return "ended"
    idle = now - max(handle.times, default=handle.created)
    if storage_rent(1, handle.storage, idle) >= handle.base:
        return "let go"
    seconds = min(max(handle.expires - now, 1.0), life_of(handle.pace, now))
    saved = _saved(handle.base, handle.read, handle.hit_rate) * Fraction(handle.pace.expected(now, seconds))
    return "keep" if saved >= storage_rent(1, handle.storage, seconds) else "let go"

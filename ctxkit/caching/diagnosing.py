"""Follows requests from leaving to settlement, and says of each why it read less than it might have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.caching.flights import Flights
from ctxkit.caching.footprints import WIDTH, Footprints, own_names
from ctxkit.caching.imprint import Imprints
from ctxkit.caching.misses import Earlier, Settled, diagnose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ctxkit.cacheable import Diagnosis, Miss
    from ctxkit.caching.footprints import Footprint, Memory, Names
    from ctxkit.caching.forecast import Foreseen
    from ctxkit.caching.prefixes import Hasher
    from ctxkit.caching.simulator.entries import Entry
    from ctxkit.model import Usage

__all__ = ["Diagnosing"]

_COMPARED = 64  # latest messages of two conversations that are compared
_TRIED = 3  # requests that are looked at whether this one continues them
_ALIKE = 0.1  # by which the lengths of two openings may differ that are one with something put in


class Diagnosing:
    """One per kit, for all threads; all its memories are bounded.

    Args:
        store: shared memory of workers and restarts.
        hasher: keyed hashes.
        held: the entry believed under a name, ended or not.
    """

    def __init__(self, store: Memory, hasher: Hasher, held: Callable[[bytes], Entry | None]) -> None:
        self._imprints = Imprints(hasher)
        self._footprints = Footprints(store)
        self._flights = Flights()
        self._held = held

    def left(self, attempt: str, foreseen: Foreseen, now: float) -> None:
        """A request leaves; ``now``: in unix seconds."""
        self._flights.left(attempt, foreseen, now)

    def began(self, attempt: str, foreseen: Foreseen) -> None:
        """The answer to it begins."""
        if foreseen.rule.visible == "begins":
            self._flights.began(attempt)

    def ended(self, attempt: str) -> None:
        """It is over and reported nothing."""
        self._flights.ended(attempt)

    def settled(
        self,
        attempt: str,
        at: float,
        foreseen: Foreseen,
        usage: Usage,
        *,
        thread: str,
        feature: str | None,
        said: Diagnosis | None = None,
    ) -> Miss | None:
        """Why a request read less than it might have, before anything is learned from it.

        Args:
            attempt: its id.
            at: when it was planned, in unix seconds.
            foreseen: what was forecast.
            usage: what the provider reported.
            thread: its conversation.
            feature: that sent it.
            said: the provider's own diagnosis.
        """
        raced = self._flights.ended(attempt)
        total, seen = usage.input_total, foreseen.seen
        if seen is None or total is None or usage.read is None or not 0 <= usage.read <= total:
            return None  # what was not reported, or cannot be, tells nothing
        continued = self._footprints.continued(seen.chain)
        now = self._imprints.footprint(attempt, at, foreseen, seen, usage, continued)
        names = self._imprints.names(now, foreseen.layout, seen, thread, feature)
        earlier = list(self._earlier(names, now, continued))
        miss = diagnose(Settled(foreseen, usage, now, earlier, raced, self._held, said))
        # Most requests that are too short to be cached are nobody's loss: no other worker need hear of them.
        self._footprints.keep(names, now, shared=total >= (foreseen.rule.minimum or 0))
        return miss

    def _earlier(self, names: Names, now: Footprint, continued: Footprint | None) -> Iterator[Earlier]:
        """The request that it continues, one that it would have continued, or else one that opened alike."""
        if continued is not None:
            yield Earlier(continued)
        akin = self._akin(names, continued, shared=continued is None)
        if akin is not None:
            yield Earlier(akin)
        elif continued is None:
            opened = self._footprints.opened(names, shared=True)
            yield from (Earlier(one, "opening") for one in opened if _opens_alike(one, now))

    def _akin(self, names: Names, continued: Footprint | None, *, shared: bool) -> Footprint | None:
        for place, found in enumerate(self._footprints.alike(names, shared=shared)):
            if place >= _TRIED or (continued is not None and found.attempt == continued.attempt):
                return None
            if _related(found.own, names.own):
                return found
        return None


def _related(one: bytes, other: bytes) -> bool:
    """They have half of their messages in common, of the shorter conversation."""
    ones, others = (set(own_names(own[-_COMPARED * WIDTH :])) for own in (one, other))
    return bool(ones) and 2 * len(ones & others) >= min(len(ones), len(others))


def _opens_alike(one: Footprint, other: Footprint) -> bool:
    """They share tools, or open with as many blocks of about the same length."""
    if one.tools and one.tools == other.tools:
        return True
    length, reached = one.tokens(one.opening), other.tokens(other.opening)
    if one.opening != other.opening or not length or not reached:
        return bool(one.tools) and bool({tool.name for tool in one.tools} & {tool.name for tool in other.tools})
    return abs(length - reached) <= _ALIKE * max(length, reached)

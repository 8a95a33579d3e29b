"""How often a beginning of prompts is asked for: what has been seen is expected once more, at the pace it was seen at.

That is the bet of whoever rents skis: a beginning that was read ten times within a minute is taken to be read ten times
within the next one, and not for ever. Whoever is wrong with it has paid at most about twice what the best choice was.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ctxkit.forks import on_fork

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ctxkit.caching.handles.boundaries import Boundary

__all__ = ["Demands", "Pace"]

_RECENT = 16  # moments by which the pace goes
_FIRST = 4  # boundaries from the beginning that are always noted; of the others the last one
_LIMIT = 20_000


@dataclass(slots=True)
class Pace:
    """How often something was asked for.

    Attributes:
        count: how often.
        times: the latest moments, in unix seconds.
        shares: sum of the shares of it that the provider's own cache served, from the second time on.
        told: how often that was reported.
    """

    count: int = 0
    times: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))
    shares: float = 0.0
    told: int = 0

    def rate(self, now: float) -> float:
        """Times per second, until now; 0.0 while there is nothing to go by."""
        if not self.times:
            return 0.0
        return len(self.times) / max(now - min(self.times), 1.0)

    def expected(self, now: float, seconds: float) -> float:
        """How often it will be asked for within so many seconds: no more often than it was so far."""
        return min(self.rate(now) * seconds, float(self.count))

    @property
    def hit_rate(self) -> float:
        """Share of it that the provider's own cache served without a handle, 0 to 1."""
        return min(self.shares / self.told, 1.0) if self.told else 0.0


class Demands:
    """What was asked for in this process, by the keys of boundaries; bounded, safe for threads."""

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._paces: OrderedDict[str, Pace] = OrderedDict()
        self._fresh_lock()
        on_fork(self, "_fresh_lock")

    def _fresh_lock(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()

    def note(self, found: Sequence[Boundary], now: float, read: int | None) -> None:
        """A request with these boundaries was answered.

        Args:
            found: its boundaries, the shortest first.
            now: when it was sent.
            read: tokens that the provider's own cache served of it; ``None``: unknown, or a handle served them.
        """
        with self._lock:
            for number, boundary in enumerate(found):
                pace = self._paces.get(boundary.key)
                if pace is None and (number < _FIRST or number == len(found) - 1):
                    pace = self._paces[boundary.key] = Pace()
                if pace is not None:
                    _count(pace, boundary, now, read)
                    self._paces.move_to_end(boundary.key)
            while len(self._paces) > self._limit:
                self._paces.popitem(last=False)

    def of(self, keys: Iterable[str]) -> dict[str, Pace]:
        """The paces of those of the keys that are known."""
        with self._lock:
            return {key: self._paces[key] for key in keys if key in self._paces}


def _count(pace: Pace, boundary: Boundary, now: float, read: int | None) -> None:
    if pace.count and read is not None and boundary.tokens > 0:
        pace.shares += min(read / boundary.tokens, 1.0)
        pace.told += 1
    pace.count += 1
    pace.times.append(now)

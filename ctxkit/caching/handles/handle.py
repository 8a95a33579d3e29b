"""One cache object as the registry knows it; holds no text of a prompt and no key of an account."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from ctxkit.caching.handles.demand import Pace

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Handle"]

_SAFE = 10.0  # seconds before its end from which it is not relied on any more


@dataclass(frozen=True, slots=True)
class Handle:
    """A cache object of the provider.

    Attributes:
        key: keyed hash of what it holds, of its account and model.
        account: keyed hash of whose it is: project, location or API key.
        platform: who keeps it.
        model: the only model that may read it.
        name: the provider's name of it; ``""`` while it is being created.
        tokens: it holds, as the provider counted.
        created: unix time in seconds.
        expires: unix time at which it ends.
        ended: unix time at which it was deleted or found to be gone.
        owner: who creates it at the moment.
        lease: unix time until which nobody else does.
        reads: requests that read it, by feature.
        times: when it was read, the latest.
        base: pico-dollars per token of plain input.
        read: pico-dollars per token of a read.
        storage: pico-dollars per token and hour.
        hit_rate: share of it that the provider's own cache would have served.
        pinned: its user made it: it is neither prolonged nor deleted unasked.
    """

    key: str
    account: str
    platform: str = ""
    model: str = ""
    name: str = ""
    tokens: int = 0
    created: float = 0.0
    expires: float = 0.0
    ended: float | None = None
    owner: str = ""
    lease: float = 0.0
    reads: Mapping[str, int] = field(default_factory=dict)
    times: tuple[float, ...] = ()
    base: int = 0
    read: int = 0
    storage: int = 0
    hit_rate: float = 0.0
    pinned: bool = False

    def ready(self, now: float) -> bool:
        """It can be read, as far as is known, and will still stand when a request gets there.

        After a clock went back it may be gone all the same: then the provider says so.
        """
        return bool(self.name) and self.ended is None and now < self.expires - _SAFE

    def alive(self, now: float) -> bool:
        """It stands and is charged for."""
        return bool(self.name) and self.ended is None and now < self.expires

    def held(self, now: float) -> float:
        """Seconds for which it has stood until now: storage is charged for these, not for the life asked for."""
        end = min(now, self.expires, self.ended if self.ended is not None else now)
        return max(end - self.created, 0.0)

    @property
    def count(self) -> int:
        """How often it was read."""
        return sum(self.reads.values())

    @property
    def pace(self) -> Pace:
        """How often it is read."""
        return Pace(max(self.count, len(self.times)), deque(self.times, maxlen=16))

    def to_dict(self) -> dict[str, Any]:
        """For JSON; what stands at its default is left out."""
        return {name: value for name, value in asdict(self).items() if value not in ("", 0, None, {}, ())}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Handle:
        """From JSON; what another version wrote beside it is left out.

        Raises:
            TypeError: it is none.
        """
        known = {one.name for one in fields(cls)}
        values = {name: value for name, value in told.items() if name in known}
        values["times"] = tuple(values.get("times", ()))
        return cls(**values)

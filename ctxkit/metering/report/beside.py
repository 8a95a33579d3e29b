"""What stands beside the rows of a report: what stronger modes would have saved, and how tidying stands per feature."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ctxkit.metering.report.row import rounded
from ctxkit.money import plain, usd_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

__all__ = ["Foregone", "Shadow", "Tidied"]


@dataclass(frozen=True, slots=True)
class Foregone:
    """What the requests of one feature would have cost in stronger modes, by simulation.

    Attributes:
        feature: ``""``: unattributed.
        threads: conversations that were planned.
        requests: of them.
        as_sent: what they cost in the mode they were sent in, simulated like the others, in pico-dollars.
        costs: by mode, the same.
    """

    feature: str
    threads: int
    requests: int
    as_sent: int
    costs: Mapping[str, int]

    def saved(self, mode: str) -> Decimal:
        """USD that a mode would have saved, signed."""
        return usd_of(self.as_sent - self.costs[mode])

    def share(self, mode: str) -> float | None:
        """The same as a share of the cost."""
        return (self.as_sent - self.costs[mode]) / self.as_sent if self.as_sent else None

    def to_dict(self) -> dict[str, Any]:
        """For JSON; money in USD as decimal strings."""
        return {
            "feature": self.feature or None,
            "threads": self.threads,
            "requests": self.requests,
            "as_sent": plain(usd_of(self.as_sent)),
            "modes": {
                mode: {
                    "cost": plain(usd_of(cost)),
                    "saved": plain(self.saved(mode)),
                    "share": rounded(self.share(mode)),
                }
                for mode, cost in self.costs.items()
            },
        }


@dataclass(frozen=True, slots=True)
class Shadow:
    """What stronger modes would have saved.

    Attributes:
        mode: in which requests were sent.
        seen: requests that were settled.
        planned: those of them that were planned in the shadow, too, at prices that are known.
        features: dearest first.
    """

    mode: str
    seen: int
    planned: int
    features: tuple[Foregone, ...] = ()

    @property
    def coverage(self) -> float | None:
        """Share of the requests that were planned in the shadow."""
        return self.planned / self.seen if self.seen else None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "mode": self.mode,
            "seen": self.seen,
            "planned": self.planned,
            "coverage": rounded(self.coverage),
            "features": [one.to_dict() for one in self.features],
        }

    def lines(self, name: Any) -> Iterator[str]:
        """For people; ``name`` makes a feature readable."""
        if not self.features:
            return
        share = f"{self.coverage:.0%}" if self.coverage is not None else "none"
        yield f"What stronger modes would have saved (simulated, {share} of the requests in mode '{self.mode}'):"
        for one in self.features[:_SHOWN]:
            modes = ", ".join(f"{mode} {_signed(one.saved(mode), one.share(mode))}" for mode in one.costs)
            yield f"  {name(one.feature)}: {modes}, of ${usd_of(one.as_sent):,.4f} in {one.requests:,} requests"


@dataclass(frozen=True, slots=True)
class Tidied:
    """How tidying stands for one feature; money in pico-dollars.

    Attributes:
        feature: ``""``: unattributed.
        state: ``"edit"``, or ``"resting"`` after it lost.
        closed: tidied threads that are over.
        judged: those by which it is judged.
        saved: by these, signed.
        predicted: what their rewrites were expected to save.
        cost: what they cost.
        under_way: saved by threads that are not over.
        measured: against threads that were left as they are: ``edited``, ``held``, ``saved``, ``low`` and ``high`` per
            thread.
        refetched: calls that came again: ``removed``, ``missed``, ``left``, ``repeated``.
    """

    feature: str
    state: str
    closed: int = 0
    judged: int = 0
    saved: int = 0
    predicted: int = 0
    cost: int = 0
    under_way: int = 0
    measured: Mapping[str, float] | None = None
    refetched: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """For JSON; money in USD as decimal strings."""
        money = ("saved", "predicted", "cost", "under_way")
        measured: Any = self.measured and {
            name: int(value) if name in ("edited", "held") else plain(usd_of(round(value)))
            for name, value in self.measured.items()
        }
        return {
            "feature": self.feature or None,
            "state": self.state,
            "closed": self.closed,
            "judged": self.judged,
            **{name: plain(usd_of(getattr(self, name))) for name in money},
            "measured": measured,
            "refetched": {**self.refetched, "rate": rounded(self.rate), "base": rounded(self.base)},
        }

    @property
    def rate(self) -> float | None:
        """Share of removed results whose call came again soon."""
        return _ratio(self.refetched.get("missed", 0), self.refetched.get("removed", 0))

    @property
    def base(self) -> float | None:
        """Share of results that were left whose call came again soon all the same."""
        return _ratio(self.refetched.get("repeated", 0), self.refetched.get("left", 0))

    def line(self, name: Any) -> str:
        """For people."""
        state = "observes again, because tidying lost" if self.state == "resting" else "is tidied"
        told = f"{name(self.feature)} {state}: {self.closed:,} threads over"
        if self.judged:
            told += (
                f"; the last {self.judged:,} saved ${usd_of(self.saved):,.4f} of ${usd_of(self.cost + self.saved):,.4f}"
            )
        if self.rate is not None:
            base = f", {self.base:.1%} anyway" if self.base is not None else ""
            told += f"; {self.rate:.1%} of what was removed was fetched again{base}"
        return told


_SHOWN = 10


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _signed(saved: Decimal, share: float | None) -> str:
    return f"${saved:,.4f}" + (f" ({share:+.1%})" if share is not None else "")

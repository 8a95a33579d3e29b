"""Names and amounts as people read them, for the pages of a report. Sentences are made of figures, never the reverse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ctxkit.metering.report.row import NAMELESS
from ctxkit.money import EXACT, usd_of
from ctxkit.page.formats import format_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from ctxkit.metering.report.details import Details
    from ctxkit.metering.report.found import Report

__all__ = ["PARTS", "REASONS", "Told", "counted", "headed", "many", "named", "percent", "ratio", "seconds"]

PARTS: Final[Mapping[str, tuple[str, str]]] = {
    "fresh": ("Fresh input", "input tokens at the plain rate"),
    "read": ("Read from cache", "input tokens that the provider's cache held"),
    "written.5m": ("Written for 5 minutes", "input tokens written to the cache"),
    "written.30m": ("Written for 30 minutes", "input tokens written to the cache"),
    "written.1h": ("Written for an hour", "input tokens written to the cache"),
    "written.12h": ("Written for 12 hours", "input tokens written to the cache"),
    "output": ("Output", "what was answered, without reasoning"),
    "reasoning": ("Reasoning", "what was thought before the answer"),
    "calls": ("Tools and fees", "the provider's own tools, and fees per request"),
    "storage": ("Storage", "cache objects, charged by time"),
    "waste": ("Waste: missed cache", "what missed tokens cost more than reading them would have"),
    "unsplit": (
        "Not split",
        "the provider's own sums, estimates of answers without usage, and sums that the price list of now does not come to",
    ),
}
"""What parts of the cost are called, and what they are."""

REASONS: Final[Mapping[str, str]] = {
    "ttl_expired": "the entry's life had ended before the request came",
    "prefix_changed": "something before the end of the cached prefix is not what it was",
    "tools_changed": "tools were added, removed, reordered or defined in another way",
    "model_changed": "another model was asked",
    "scope_changed": "another organisation, platform or region",
    "parameters_changed": "a parameter that belongs to the prefix: thinking, tool choice, format, a cache key",
    "below_minimum": "what both requests share is shorter than the provider caches",
    "not_marked": "no marker, or none behind the entry",
    "lookback_exceeded": "the entry stands further before the marker than the provider looks",
    "raced": "a request with the same cold prefix was still writing it",
    "evicted_or_rerouted": "everything was as it should be, and the provider did not read it",
    "unknown": "none of the known reasons, or rules that do not hold",
}
"""What reasons of misses mean."""


@dataclass(frozen=True, slots=True)
class Told:
    """A report, with its details where they can be had, and how its money is written.

    Attributes:
        report: what is told.
        details: ``None`` where there are none.
        money: an amount in the report's currency.
    """

    report: Report
    details: Details | None
    money: Callable[[Decimal], str]

    @classmethod
    def of(cls, report: Report, details: Details | None) -> Told:
        """With as many places as the whole cost asks for."""
        return cls(report, details, format_of("usd", report.currency, (report.total.cost,)))

    def spent(self, cost: Decimal | None, *, least: bool) -> str:
        """A cost in a sentence."""
        if cost is None:
            return "an unknown sum"
        return f"at least {self.money(cost)}" if least else self.money(cost)

    def of_usd(self, pico: int | None) -> Decimal | None:
        """Pico-dollars in the report's currency."""
        return None if pico is None else EXACT.multiply(usd_of(pico), self.report.total.rate)


def named(by: str, value: str) -> str:
    """The value of a grouping; what is not known has a name, too."""
    return value or NAMELESS.get(by, "(none)")


def headed(by: str) -> str:
    """A grouping as the head of a column."""
    return by.removeprefix("label:").replace("_", " ").capitalize()


def counted(counts: Mapping[str, int], otherwise: str) -> str:
    """``spent 8, stale 2``; names that are empty are told otherwise."""
    return ", ".join(f"{(name or otherwise).replace('_', ' ')} {count:,}" for name, count in counts.items())


def many(count: int, one: str, more: str | None = None) -> str:
    """``1 request``, ``1,000 requests``."""
    return f"{count:,} {one if count == 1 else more or f'{one}s'}"


def percent(share: float) -> str:
    """``61 %``; a part that is there never looks like nothing, nor like the whole."""
    if 0 < share < 0.005:
        return "less than 1 %"
    if 0.995 <= share < 1:
        return "over 99 %"
    return f"{share:.0%}".replace("%", " %")


def ratio(part: Decimal | None, whole: Decimal | None) -> float | None:
    """A share; ``None`` where one of them is not known or the whole is nothing."""
    if part is None or not whole:
        return None
    return float(EXACT.divide(part, whole))


def seconds(span: float) -> str:
    """A duration in a sentence."""
    return f"{span * 1000:.0f} ms" if span < 1 else f"{span:.1f} s"

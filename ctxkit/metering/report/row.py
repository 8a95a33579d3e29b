"""One line of a report: what was added up, told as figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal

from ctxkit.metering.ledger.rollup import CAUSES
from ctxkit.money import EXACT, plain, usd_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctxkit.metering.report.reading import Group

__all__ = ["LATENCIES", "LEVELS", "NAMELESS", "QUANTILES", "TTLS", "Row", "rounded"]

LATENCIES: Final = ("ttft", "ttfc", "tpot", "e2e")
QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
LEVELS: Final[tuple[Literal["drifting", "lost", "stuck"], ...]] = ("drifting", "lost", "stuck")
TTLS: Final = ("5m", "30m", "1h", "12h", "other")
NAMELESS: Final = {
    "feature": "(unattributed)",
    "model": "(no model)",
    "dialect": "(unmetered)",
    "miss_reason": "(no miss)",
}
"""How a key is told that is not known, by what it would be."""
_MILLION: Final = 10**6


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a report.

    Attributes:
        key: the values it stands for, in the order of ``Report.by``; ``""`` for what was not known (a feature of
            ``""`` is unattributed).
        group: what was added up; the properties below tell it.
        rate: units of the report's currency per USD.
    """

    key: tuple[str, ...]
    group: Group = field(repr=False)
    rate: Decimal = Decimal(1)

    @property
    def requests(self) -> int:
        """Calls the application made, each counted at its first attempt."""
        return self.group.counters["operations"]

    @property
    def attempts(self) -> int:
        """Requests that left, retries included."""
        return self.group.counters["attempts"]

    def status(self, name: str) -> int:
        """Attempts that ended so (see :data:`ctxkit.model.Status`)."""
        return self.group.statuses.get(name, 0)

    @property
    def reused(self) -> int:
        """Requests that were not sent, but answered with what the same one got before."""
        return self.group.counters["reused"]

    @property
    def reused_unpriced(self) -> int:
        """How many of them saved nobody knows what."""
        return self.reused - self.group.counters["reused_known"]

    @property
    def reused_savings(self) -> Decimal | None:
        """What the others saved: what their answers did cost; ``None`` where that is known of none."""
        return self._money("saved_answers_pico") if self.group.counters["reused_known"] else None

    @property
    def errors(self) -> int:
        """Attempts that were refused or never answered."""
        return self.status("failed")

    def _known(self, figure: str, by: str = "metered") -> int | None:
        return self.group.counters[figure] if self.group.counters[by] else None

    @property
    def fresh(self) -> int | None:
        """Input tokens billed at the plain rate."""
        return self._known("fresh")

    @property
    def read(self) -> int | None:
        """Input tokens read from the provider's cache."""
        return self._known("read", "readable")

    @property
    def written(self) -> dict[str, int]:
        """Input tokens written to the cache by time to live; only lives that occur."""
        return {ttl: tokens for ttl in TTLS if (tokens := self.group.counters[f"written_{ttl}"])}

    @property
    def output(self) -> int | None:
        """Output tokens, reasoning included."""
        return self._known("output")

    @property
    def reasoning(self) -> int | None:
        """How many of them were reasoning, where the provider tells."""
        return self._known("reasoning", "reasoned")

    @property
    def input_total(self) -> int | None:
        """The whole prompts."""
        return None if self.fresh is None else self.fresh + (self.read or 0) + sum(self.written.values())

    @property
    def cached(self) -> float | None:
        """Share of input tokens read from the cache, over the answers that tell."""
        readable = self.group.counters["readable"]
        return self.group.counters["read"] / readable if readable else None

    @property
    def cost(self) -> Decimal | None:
        """What it cost, the unpriced left out; ``None`` when nothing has a known price."""
        return self._money("cost_pico") if self.group.counters["priced"] else None

    @property
    def estimated(self) -> Decimal:
        """The part of the cost that rests on estimates: cut answers and answers without usage."""
        return self._money("estimated_pico")

    def _money(self, name: str) -> Decimal:
        return EXACT.multiply(usd_of(self.group.counters[name]), self.rate)

    @property
    def unpriced(self) -> int:
        """Attempts that were answered and have no known price: ``cost`` is a lower bound when there are any."""
        return sum(self.group.unpriced.values())

    @property
    def misses(self) -> int:
        """Answers that read less from the provider's cache than they might have."""
        return self.group.counters["misses"]

    @property
    def missed(self) -> int:
        """Tokens that they did not read."""
        return self.group.counters["miss_tokens"]

    @property
    def miss_cost(self) -> Decimal | None:
        """What those cost more than a read; ``None`` when no price is known, a lower bound when some are not."""
        return self._money("miss_pico") if self.group.counters["miss_priced"] else None

    @property
    def misses_unpriced(self) -> int:
        """Misses whose cost is not known."""
        return self.misses - self.group.counters["miss_priced"]

    @property
    def forecasts(self) -> int:
        """Answers whose cache reads were forecast, and reported."""
        return self.group.counters["foreseen"]

    @property
    def forecasts_right(self) -> float | None:
        """Share of them whose forecast was of the right kind: nothing read, at least half of what may be, or less."""
        return self.group.counters["foreseen_right"] / self.forecasts if self.forecasts else None

    @property
    def forecast_bias(self) -> float | None:
        """Tokens forecast as read over tokens read, minus 1."""
        read = self.group.counters["foreseen_actual"]
        return self.group.counters["foreseen_read"] / read - 1 if read else None

    @property
    def savings(self) -> Decimal | None:
        """What edits and markers saved (negative: cost), where that is known."""
        known = self.group.counters["saved"] or self.group.counters["savings_pico"]
        return self._money("savings_pico") if known else None

    @property
    def savings_by(self) -> dict[str, Decimal]:
        """The same by cause, those that saved or cost anything; passes of the user's own are ``"other"``."""
        return {cause: self._money(name) for cause in CAUSES if self.group.counters[name := f"saved_{cause}_pico"]}

    @property
    def predicted(self) -> Decimal:
        """What removals decided in these requests were expected to save over the rest of their threads."""
        return self._money("predicted_pico")

    @property
    def storage(self) -> Decimal:
        """The part of the cost that was charged by time: storage of cache objects."""
        return self._money("storage_pico")

    @property
    def drifts(self) -> int:
        """Requests whose drift was measured."""
        return self.group.counters["drifts"]

    @property
    def drift(self) -> float | None:
        """Mean of their scores, from 0 (calm) to 1."""
        return self.group.counters["drift_score"] / _MILLION / self.drifts if self.drifts else None

    @property
    def noise(self) -> int:
        """Tokens of their conversations that neither bore on the goal nor were referred to lately."""
        return self.group.counters["drift_noise"]

    @property
    def noise_share(self) -> float | None:
        """Share of their conversations that was noise."""
        tokens = self.group.counters["drift_tokens"]
        return self.noise / tokens if tokens else None

    @property
    def noise_fee(self) -> Decimal | None:
        """What that cost; ``None`` when no price is known, a lower bound when some are not."""
        return self._money("noise_pico") if self.group.counters["drift_priced"] else None

    @property
    def noise_unpriced(self) -> int:
        """Measured requests whose fee is not known."""
        return self.drifts - self.group.counters["drift_priced"]

    def drifted(self, level: Literal["drifting", "lost", "stuck"]) -> int:
        """Measured requests at this level, or whose model seemed to be stuck."""
        return self.group.counters[f"drift_{level}"]

    def error(self, share: float) -> float | None:
        """Quantile of the size of the estimate's error: ``0.01`` is one per cent."""
        return self.group.sketches["error"].sketch().quantile(share)

    @property
    def bias(self) -> float | None:
        """Estimated prompts over reported prompts, minus 1: negative when too little was estimated."""
        actual = self.group.counters["act_input"]
        return self.group.counters["est_input"] / actual - 1 if actual else None

    def latency(self, name: str, share: float) -> float | None:
        """Quantile of one of :data:`LATENCIES`, or of ``"reuse"``, in seconds."""
        return self.group.sketches[name].sketch().quantile(share)

    def to_dict(self, by: Sequence[str]) -> dict[str, Any]:
        """All figures under their documented names; money as decimal strings, what is unknown as ``None``."""
        return {
            **{name: value or None for name, value in zip(by, self.key, strict=False)},
            "requests": self.requests,
            "attempts": self.attempts,
            "statuses": {name: count for name, count in sorted(self.group.statuses.items()) if count},
            "errors": self.errors,
            "input_tokens": self.input_total,
            "fresh_tokens": self.fresh,
            "read_tokens": self.read,
            "written_tokens": self.written,
            "output_tokens": self.output,
            "reasoning_tokens": self.reasoning,
            "cached": rounded(self.cached),
            "cost": plain(self.cost),
            "cost_estimated": plain(self.estimated),
            "unpriced": self.unpriced,
            "estimate_error": {
                "median": rounded(self.error(0.5)),
                "p90": rounded(self.error(0.9)),
                "bias": rounded(self.bias),
            },
            "latency": {
                name: {label: rounded(self.latency(name, share)) for label, share in QUANTILES.items()}
                for name in LATENCIES
            },
            "misses": {
                "requests": self.misses,
                "tokens": self.missed,
                "cost": plain(self.miss_cost),
                "unpriced": self.misses_unpriced,
            },
            "forecast": {
                "requests": self.forecasts,
                "right": rounded(self.forecasts_right),
                "bias": rounded(self.forecast_bias),
            },
            "savings": plain(self.savings),
            "savings_by": {cause: plain(amount) for cause, amount in self.savings_by.items()},
            "predicted": plain(self.predicted),
            "storage": plain(self.storage),
            "drift": {
                "requests": self.drifts,
                "score": rounded(self.drift),
                "noise_tokens": self.noise if self.drifts else None,
                "noise_share": rounded(self.noise_share),
                "noise_fee": plain(self.noise_fee),
                "unpriced": self.noise_unpriced,
                **{level: self.drifted(level) for level in LEVELS},
            },
            "reused": {
                "requests": self.reused,
                "savings": plain(self.reused_savings),
                "unpriced": self.reused_unpriced,
                "latency": {label: rounded(self.latency("reuse", share)) for label, share in QUANTILES.items()},
            },
            "edits": self.group.counters["edits"],
            "edit_tokens": self.group.counters["edit_tokens"],
            "problems": self.group.counters["problems"],
        }


def rounded(value: float | None) -> float | None:
    """A share or a duration to six places, which is more than anybody knows."""
    return None if value is None else round(value, 6)

"""The report: what each feature, model, day, ... asked for, what it cost, how well that was known before, how fast.

What is not known is ``None`` here, is left empty in tables, and never counts as 0. A sum with parts whose price is
unknown is a lower bound and says so (``unpriced``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from ctxkit.errors import ConfigurationError
from ctxkit.metering.ledger.rollup import CAUSES
from ctxkit.metering.ledger.sketch import ACCURACY
from ctxkit.metering.report.period import iso, moment, zone_of
from ctxkit.metering.report.reading import TIMES, Group, Question, read_groups
from ctxkit.money import EXACT, usd_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console, ConsoleOptions, RenderResult

    from ctxkit.metering.ledger import Ledger
    from ctxkit.metering.report.beside import Shadow, Tidied
    from ctxkit.metering.report.period import Moment

__all__ = ["DIMENSIONS", "LATENCIES", "QUANTILES", "Report", "Row", "report"]

DIMENSIONS: Final = ("feature", "model", "platform", "dialect", "tier", "scope", "status", "miss_reason", *TIMES)
"""What a report can be grouped by, besides ``label:NAME``."""

LATENCIES: Final = ("ttft", "ttfc", "tpot", "e2e")
QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
TTLS: Final = ("5m", "30m", "1h", "12h", "other")

DEFINITIONS: Final = {
    "requests": "calls the application made; an attempt is one try of a request, retries included",
    "ttft": "time to first token: first non-empty content minus sent, seconds",
    "ttfc": "time to first chunk of any kind minus sent, seconds",
    "tpot": "time per output token: (last - first content) / (visible output tokens - 1), seconds",
    "e2e": "end to end: end of the answer minus sent, seconds",
    "estimate_error": "size of (estimated prompt / reported prompt - 1); bias is the same of the sums, with its sign",
    "cached": "tokens read from the provider's cache / input tokens, where the provider tells",
    "misses": "answers that read less from the provider's cache than they might have; cost is what the missed tokens "
    "cost more than reading them would have",
    "forecast": "right: share of forecasts of the right kind (nothing read, at least half of what the rules allow, "
    "less); bias is forecast / reported reads - 1, of the sums",
    "percentiles": f"of attempts that were answered, within {ACCURACY:.1%} of the true value",
}


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

    def error(self, share: float) -> float | None:
        """Quantile of the size of the estimate's error: ``0.01`` is one per cent."""
        return self.group.sketches["error"].sketch().quantile(share)

    @property
    def bias(self) -> float | None:
        """Estimated prompts over reported prompts, minus 1: negative when too little was estimated."""
        actual = self.group.counters["act_input"]
        return self.group.counters["est_input"] / actual - 1 if actual else None

    def latency(self, name: str, share: float) -> float | None:
        """Quantile of one of :data:`LATENCIES` in seconds."""
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
            "cached": _rounded(self.cached),
            "cost": plain(self.cost),
            "cost_estimated": plain(self.estimated),
            "unpriced": self.unpriced,
            "estimate_error": {
                "median": _rounded(self.error(0.5)),
                "p90": _rounded(self.error(0.9)),
                "bias": _rounded(self.bias),
            },
            "latency": {
                name: {label: _rounded(self.latency(name, share)) for label, share in QUANTILES.items()}
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
                "right": _rounded(self.forecasts_right),
                "bias": _rounded(self.forecast_bias),
            },
            "savings": plain(self.savings),
            "savings_by": {cause: plain(amount) for cause, amount in self.savings_by.items()},
            "predicted": plain(self.predicted),
            "storage": plain(self.storage),
            "edits": self.group.counters["edits"],
            "edit_tokens": self.group.counters["edit_tokens"],
            "problems": self.group.counters["problems"],
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What :func:`report` found. Prints itself, with or without rich.

    Attributes:
        by: what the rows are grouped by.
        rows: dearest first, or by time where the first grouping is a time.
        total: everything in one row.
        since: first moment in unix seconds, or ``None`` for the ledger's beginning.
        until: the moment it ends before, or ``None`` for now.
        timezone: name of the user's zone, or ``None`` for local time.
        currency: of all money in it.
        under_way: attempts that are not answered yet; they are in no row.
        attributed: share of the requests that belong to a feature.
        metered: share of the attempts that were understood.
        quality: what is to be known of the data, as sentences.
        shadow: what stronger modes would have saved, over whole days; ``None`` where that is not looked at.
        tidied: how tidying stands for each feature, of all time.
    """

    by: tuple[str, ...]
    rows: tuple[Row, ...]
    total: Row
    since: float | None
    until: float | None
    timezone: str | None
    currency: str
    under_way: int
    attributed: float | None
    metered: float | None
    quality: tuple[str, ...]
    shadow: Shadow | None = None
    tidied: tuple[Tidied, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The report for ``json.dumps``: see docs/how-to/report.md for the names."""
        zone = zone_of(self.timezone)
        return {
            "by": list(self.by),
            "since": iso(self.since, zone),
            "until": iso(self.until, zone),
            "timezone": self.timezone,
            "currency": self.currency,
            "rows": [row.to_dict(self.by) for row in self.rows],
            "total": self.total.to_dict(()),
            "coverage": {"attributed": _rounded(self.attributed), "metered": _rounded(self.metered)},
            "under_way": self.under_way,
            "quality": list(self.quality),
            "shadow": self.shadow.to_dict() if self.shadow is not None else None,
            "tidied": [one.to_dict() for one in self.tidied],
            "definitions": DEFINITIONS,
        }

    def to_csv(self) -> str:
        """One line per row under the names of :meth:`to_dict`, nested ones joined by a dot; no total."""
        from ctxkit.metering.report.render import csv_of

        return csv_of(self)

    def text(self, width: int = 100) -> str:
        """The report as plain text, at most ``width`` columns where the keys allow it."""
        from ctxkit.metering.report.render import text_of

        return text_of(self, width)

    def __str__(self) -> str:
        return self.text()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from ctxkit.metering.report.render import renderables_of

        del console
        yield from renderables_of(self, options.max_width)


def report(
    ledger: Ledger,
    by: str | Iterable[str] = ("feature",),
    since: Moment = None,
    until: Moment = None,
    timezone: str | None = None,
    *,
    now: float,
    currency: str = "USD",
    rate: Decimal | None = None,
) -> Report:
    """What the ledger says of a period.

    Args:
        ledger: read once it is up to date; if it cannot be brought there, ``quality`` says so.
        by: any of :data:`DIMENSIONS` and ``label:NAME``; one text may name several, with commas.
        since: ``"7d"``, ``"24h"``, ``"today"``, an ISO date or time in ``timezone``, unix seconds; ``None`` for all.
        until: the same; a day is included whole.
        timezone: IANA name, whose days and hours are meant; ``None`` for local time.
        now: unix time in seconds.
        currency: of the report.
        rate: its units per USD; must be given for any currency but USD.

    Raises:
        ConfigurationError: a grouping, time or zone that cannot be.
        StoreError: the ledger cannot be read.
    """
    names = _names(by)
    if rate is None and currency != "USD":
        raise ConfigurationError(f"money is kept in USD: give the rate of {currency} per USD")
    zone = zone_of(timezone)
    start = moment(since, now=now, zone=zone)
    end = moment(until, now=now, zone=zone, end=True)
    question = Question(names, start, end, zone, now)
    groups, under_way = ledger.read(lambda db: read_groups(db, question))
    total = Group()
    for group in groups.values():
        total.merge(group)
    whole = Row((), total, rate or Decimal(1))
    rows = [Row(key, group, whole.rate) for key, group in groups.items() if group.used]
    return Report(
        by=names,
        rows=tuple(_sorted(rows, names)),
        total=whole,
        since=start,
        until=end,
        timezone=timezone,
        currency=currency,
        under_way=under_way,
        attributed=total.counters["attributed"] / whole.requests if whole.requests else None,
        metered=1 - whole.status("unmetered") / whole.attempts if whole.attempts else None,
        quality=tuple(_quality(ledger, whole, under_way)),
    )


def _names(by: str | Iterable[str]) -> tuple[str, ...]:
    names = tuple(name.strip() for text in ([by] if isinstance(by, str) else by) for name in text.split(","))
    for name in names:
        if name not in DIMENSIONS and not (name.startswith("label:") and len(name) > len("label:")):
            raise ConfigurationError(f"cannot group by {name!r}: there are {', '.join(DIMENSIONS)} and label:NAME")
    return tuple(dict.fromkeys(names))


def _sorted(rows: list[Row], names: tuple[str, ...]) -> list[Row]:
    money = "miss_pico" if "miss_reason" in names else "cost_pico"
    dearest = sorted(rows, key=lambda row: (-row.group.counters[money], -row.attempts, row.key))
    times = [names.index(name) for name in TIMES if name in names]
    return sorted(dearest, key=lambda row: [row.key[place] for place in times]) if 0 in times else dearest


def _quality(ledger: Ledger, total: Row, under_way: int) -> Iterable[str]:
    """What the figures do not show of themselves."""
    if total.unpriced:
        commonest = sorted(((m, n) for m, n in total.group.unpriced.items() if n), key=lambda item: -item[1])
        named = ", ".join(model or "(no model)" for model, _ in commonest[:3])
        more = f" and {len(commonest) - 3} more" if len(commonest) > 3 else ""
        yield f"{_many(total.unpriced, 'attempt')} of models without a known price ({named}{more}): costs are lower bounds"
    for name, why in (("partial", "the answer was cut"), ("unverified", "no usage was reported")):
        if count := total.status(name):
            yield f"{_many(count, f'{name} attempt')} ({why}): priced, in part or whole, by the estimate"
    if unmetered := total.status("unmetered"):
        yield f"{_many(unmetered, 'attempt')} passed unmetered: counted, not priced"
    if under_way:
        yield f"{_many(under_way, 'attempt')} under way, in no row yet"
    if problems := total.group.counters["problems"]:
        yield f"{_many(problems, 'attempt')} with figures that do not add up or were never settled"
    state = ledger.state()
    if state.refused:
        yield f"{_many(state.refused, 'line')} of journals were no entries: kept in the table 'refused' of the ledger"
    if state.waiting or state.lost:
        yield f"{_many(state.waiting, 'entry', 'entries')} waiting in memory for the disk, {state.lost:,} lost"
    if state.fault:
        yield f"not up to date, {_many(state.backlog, 'byte')} of journals are missing: {state.fault}"


def _many(count: int, one: str, more: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else more or f'{one}s'}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def plain(amount: Decimal | None) -> str | None:
    """Money as a decimal string without an exponent or needless zeros."""
    if amount is None:
        return None
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text

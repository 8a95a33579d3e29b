"""What a report found: rows, a total, and what is to be known of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ctxkit.metering.ledger.sketch import ACCURACY
from ctxkit.metering.report.period import iso, zone_of
from ctxkit.metering.report.row import rounded

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console, ConsoleOptions, RenderResult

    from ctxkit.metering.prices.coming import Change
    from ctxkit.metering.report.beside import Shadow, Tidied
    from ctxkit.metering.report.details import Details
    from ctxkit.metering.report.frames import Money
    from ctxkit.metering.report.row import Row
    from ctxkit.page.values import Page

__all__ = ["DEFINITIONS", "Report"]

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
    "drift": "score: mean over the measured requests, from 0 (calm) to 1; noise: tokens of a conversation that neither bear "
    "on its goal nor were referred to lately; noise_fee is what they cost at the mix of the cache that was billed",
    "reused": "requests that were not sent, but answered with what the very same request got before; savings: what those answers "
    "did cost; latency: from asking to handing over, seconds, in none of the other figures",
    "percentiles": f"of attempts that were answered, within {ACCURACY:.1%} of the true value",
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
        coming: changes of price that are known to come, of what was in use; the soonest first.
        details: reads what a page of figures shows beside the rows (see :class:`Details`), once and when it is first
            asked for; ``None`` where there is no ledger to read it from.
        made: unix time in seconds at which it was asked for.
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
    coming: tuple[Change, ...] = ()
    details: Callable[[], Details] | None = field(default=None, repr=False, compare=False)
    made: float | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """The report for ``json.dumps``: see docs/reference/report.md for the names."""
        zone = zone_of(self.timezone)
        return {
            "by": list(self.by),
            "since": iso(self.since, zone),
            "until": iso(self.until, zone),
            "timezone": self.timezone,
            "currency": self.currency,
            "rows": [row.to_dict(self.by) for row in self.rows],
            "total": self.total.to_dict(()),
            "coverage": {"attributed": rounded(self.attributed), "metered": rounded(self.metered)},
            "under_way": self.under_way,
            "quality": list(self.quality),
            "shadow": self.shadow.to_dict() if self.shadow is not None else None,
            "tidied": [one.to_dict() for one in self.tidied],
            "coming": [one.to_dict() for one in self.coming],
            "definitions": DEFINITIONS,
        }

    def to_csv(self) -> str:
        """One line per row under the names of :meth:`to_dict`, nested ones joined by a dot; no total."""
        from ctxkit.metering.report.render import csv_of

        return csv_of(self)

    def to_pandas(self, *, money: Money = "float") -> Any:
        """The rows as a ``pandas.DataFrame``, keys first, under the names of :meth:`to_csv`; no total.

        Counts are ``Int64`` and shares ``Float64``, missing where they are not known; days and hours are times.

        Args:
            money: ``"float"`` to draw and to compute with, or ``"decimal"``: objects that are exact.

        Raises:
            ConfigurationError: pandas is not installed.
        """
        from ctxkit.metering.report.frames import pandas_of

        return pandas_of(self, money)

    def to_polars(self, *, money: Money = "float") -> Any:
        """The same as a ``polars.DataFrame``; decimals of polars are exact and can be computed with.

        Raises:
            ConfigurationError: polars is not installed.
        """
        from ctxkit.metering.report.frames import polars_of

        return polars_of(self, money)

    def page(self) -> Page:
        """The report as a page: headline, cost over time, where the money went, what was saved, misses, threads, ...

        Reads :attr:`details`, which takes a few seconds over a million attempts.
        """
        from ctxkit.metering.report.pages import page_of

        return page_of(self)

    def to_html(self) -> str:
        """The page as one file of HTML that opens offline: charts, and tables that can be sorted and filtered."""
        from ctxkit.page import render

        return render(self.page())

    def text(self, width: int = 100) -> str:
        """The report as plain text, at most ``width`` columns where the keys allow it."""
        from ctxkit.metering.report.render import text_of

        return text_of(self, width)

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        from ctxkit.display import html_of
        from ctxkit.metering.report.pages import parts_of

        return html_of(lambda: parts_of(self), self.text, self.currency)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        del cycle
        printer.text(self.text())

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from ctxkit.metering.report.render import renderables_of

        del console
        yield from renderables_of(self, options.max_width)

"""What the provider's cache did, how fast answers came, how well their size was known before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.metering.report.pages.words import REASONS, many, named, percent, seconds
from ctxkit.page.values import Chart, Column, Section, Series, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxkit.metering.report.details import Details, Speed
    from ctxkit.metering.report.pages.words import Told

__all__ = ["cached", "estimated", "fast"]

_CHARTED = 6  # features and models
_SPEEDS = {"ttft": "First token", "tpot": "Per output token", "e2e": "Whole answer"}


def cached(told: Told) -> Section:
    """Hits and misses over time, and why."""
    details, title = told.details, "The provider's cache"
    if details is None or not any(step.input_tokens or step.misses for step in details.caching):
        return Section(title)
    charts = [
        Chart(
            f"Share of the input read from the cache, by {details.unit}",
            "lines",
            details.steps,
            (Series("Read from the cache", tuple(step.cached for step in details.caching)),),
            "share",
            "Over those answers that tell.",
        )
    ]
    if details.misses:
        charts.append(
            Chart(
                f"Tokens read and missed, by {details.unit}",
                "stacked",
                details.steps,
                (
                    Series("Read", tuple(step.read for step in details.caching)),
                    Series("Missed", tuple(step.missed for step in details.caching)),
                ),
                "count",
            )
        )
    return Section(
        title,
        text=tuple(_sentences(told, details)),
        charts=tuple(charts),
        tables=(_misses(details),) * bool(details.misses),
    )


def _sentences(told: Told, details: Details) -> Iterator[str]:
    share = told.report.total.cached
    if share is not None:
        yield f"{percent(share)} of the input was read from the provider's cache."
    if not details.misses:
        yield "No answer read less than it might have."
        return
    first = details.misses[0]
    requests = sum(one.requests for one in details.misses)
    cost = told.report.total.miss_cost
    costing = (
        "at a cost that is not known" if cost is None else f"which cost {told.money(cost)} more than reading would have"
    )
    yield f"{many(requests, 'answer')} read less than {'it' if requests == 1 else 'they'} might have, {costing}."
    if len(details.misses) > 1:
        reason = first.reason.replace("_", " ")
        yield f"The dearest reason is {reason}: {REASONS.get(first.reason, 'see the documentation')}."


def _misses(details: Details) -> Table:
    columns = (
        Column("Reason"),
        Column("What happened"),
        Column("Requests", "count"),
        Column("Tokens missed", "count"),
        Column("Cost", "usd", "what these tokens cost more than reading them would have"),
        Column("Unpriced", "count", "misses whose cost is not known"),
    )
    rows = tuple(
        (one.reason.replace("_", " "), REASONS.get(one.reason, ""), one.requests, one.tokens, one.cost, one.unpriced)
        for one in details.misses
    )
    return Table("Why the cache was missed", columns, rows)


def fast(told: Told) -> Section:
    """Latency percentiles with and without cache."""
    details, title = told.details, "How fast answers came"
    known = [one for one in details.speeds if one.cached.count or one.cold.count] if details is not None else []
    if details is None or not known:
        return Section(title)
    both = [one for one in known if one.cached.count and one.cold.count]
    columns = (
        Column("Time"),
        Column("Cache"),
        Column("Answers", "count"),
        *(Column(name, "seconds") for name in ("p50", "p90", "p99")),
    )
    rows = tuple(
        (_SPEEDS[one.name], said, spans.count, spans.p50, spans.p90, spans.p99)
        for one in known
        for said, spans in (("read something", one.cached), ("read nothing", one.cold))
        if spans.count
    )
    note = "Only answers that tell what they read."
    charts = [_with_and_without(one) for one in both if one.name in ("ttft", "e2e")]
    return Section(
        title,
        text=tuple(_compared(both)),
        charts=tuple(charts),
        tables=(Table("With and without the cache", columns, rows, note=note),),
    )


def _with_and_without(one: Speed) -> Chart:
    quantiles = ("p50", "p90", "p99")
    return Chart(
        f"{_SPEEDS[one.name]}, with and without the cache",
        "columns",
        quantiles,
        (
            Series("Read something", tuple(getattr(one.cached, name) for name in quantiles)),
            Series("Read nothing", tuple(getattr(one.cold, name) for name in quantiles)),
        ),
        "seconds",
    )


def _compared(both: list[Speed]) -> Iterator[str]:
    first = next((one for one in both if one.name == "ttft"), None)
    if first is None or not first.cached.p50 or not first.cold.p50:
        return
    change = first.cached.p50 / first.cold.p50 - 1
    way = f"{percent(abs(change))} {'sooner' if change < 0 else 'later'}" if abs(change) >= 0.01 else "as soon"
    than = "than" if abs(change) >= 0.01 else "as"
    yield (
        f"At the median, answers that read something from the cache began {way} {than} those that read nothing "
        f"({seconds(first.cached.p50)} against {seconds(first.cold.p50)}). They are not the same requests, so that is not "
        "all the cache's doing."
    )


def estimated(told: Told) -> Section:
    """Estimates against what was reported."""
    details, title = told.details, "Estimates against what was reported"
    if details is None or not details.accuracy:
        return Section(title)
    columns = (
        Column("Feature"),
        Column("Model"),
        Column("Requests", "count", "with an estimate and a reported prompt"),
        Column("Error, median", "share", "size of estimated / reported prompt - 1"),
        Column("p90", "share"),
        Column("p99", "share"),
        Column("Bias", "share", "the same of the sums, signed: negative when too little was estimated"),
    )
    rows = tuple(
        (named("feature", one.feature), named("model", one.model), one.requests, one.median, one.p90, one.p99, one.bias)
        for one in details.accuracy
    )
    few = [one for one in details.accuracy if one.median is not None][:_CHARTED]
    chart = Chart(
        "Size of the error",
        "columns",
        tuple(f"{named('feature', one.feature)}, {named('model', one.model)}" for one in few),
        (Series("Median", tuple(one.median for one in few)), Series("p90", tuple(one.p90 for one in few))),
        "share",
        "Those with most requests." if len(few) < len(details.accuracy) else "",
    )
    table = Table("By feature and model", columns, rows)
    return Section(title, text=tuple(_within(told)), charts=(chart,), tables=(table,))


def _within(told: Told) -> Iterator[str]:
    half, most = told.report.total.error(0.5), told.report.total.error(0.9)
    if half is not None and most is not None:
        text = (
            f"Half of the prompts were estimated within {half:.1%} of what was reported, nine in ten within {most:.1%}."
        )
        yield text.replace("%", " %")

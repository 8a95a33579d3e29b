"""What was spent: over time, on what, by whom."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ctxkit.metering.report.pages.words import PARTS, headed, named, percent, ratio
from ctxkit.money import EXACT
from ctxkit.page.values import Chart, Column, Section, Series, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ctxkit.metering.report.details import Course, Details
    from ctxkit.metering.report.pages.words import Told
    from ctxkit.metering.report.row import Row
    from ctxkit.page.values import Cell

__all__ = ["by_row", "coming", "over_time", "parts"]


def over_time(told: Told) -> Section:
    """Cost by feature, step by step."""
    details = told.details
    if details is None or not details.courses:
        return Section("Cost over time")
    series = tuple(Series(_name(course), course.costs) for course in details.courses)
    unknown = any(cost is None for course in details.courses for cost in course.costs)
    chart = Chart(
        f"Cost by feature and {details.unit}",
        "stacked",
        details.steps,
        series,
        note="A gap is a price that is not known." if unknown else "",
    )
    return Section("Cost over time", text=tuple(_dearest(told, details)), charts=(chart,))


def _name(course: Course) -> str:
    return "all other features" if course.feature is None else named("feature", course.feature)


def _dearest(told: Told, details: Details) -> Iterator[str]:
    """The feature and the step that cost most, where there is more than one of them."""
    sums = {_name(course): _sum(cost for cost in course.costs if cost is not None) for course in details.courses}
    whole, first = _sum(sums.values()), details.courses[0].feature
    share = ratio(sums[_name(details.courses[0])], whole)
    if len(sums) > 1 and share and first is not None:
        yield f"{_feature(first)} spends {percent(share)} of the money."
    steps = [
        _sum(cost for course in details.courses if (cost := course.costs[place]) is not None)
        for place in range(len(details.steps))
    ]
    if len(steps) > 1 and whole:
        place = max(range(len(steps)), key=steps.__getitem__)
        share = ratio(steps[place], whole)
        yield (
            f"The dearest {details.unit} was {details.steps[place]}: {told.money(steps[place])}, "
            f"{percent(share or 0)} of the whole."
        )


def _feature(name: str) -> str:
    return f"Feature {name}" if name else "What belongs to no feature"


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total


def parts(told: Told) -> Section:
    """Where each dollar went."""
    details = told.details
    title = "Where the money went"
    if details is None or not details.parts:
        return Section(title)
    whole = details.cost
    rows: list[tuple[Cell, ...]] = []
    for part in details.parts:
        name, what = PARTS[part.name]
        each = EXACT.divide(EXACT.multiply(part.cost, Decimal(10**6)), Decimal(part.tokens)) if part.tokens else None
        rows.append((name, what, part.cost, ratio(part.cost, whole), part.tokens, each))
    table = Table(
        "Parts of the cost",
        (
            Column("Part"),
            Column("What it is"),
            Column("Cost", "usd"),
            Column("Share", "share"),
            Column("Tokens", "count", "that were billed; missed tokens stand in fresh or written, too"),
            Column("Per million tokens", "usd"),
        ),
        tuple(rows),
        ("All", "", whole, None if not whole else 1.0, None, None),
        "The parts are disjoint and add up to the cost exactly."
        + (" What has no known price is in none of them." if details.unpriced else ""),
    )
    chart = Chart(
        "Cost by part",
        "bars",
        tuple(PARTS[part.name][0] for part in details.parts),
        (Series("Cost", tuple(part.cost for part in details.parts)),),
    )
    return Section(title, text=tuple(_most(told, details)), charts=(chart,), tables=(table,))


def _most(told: Told, details: Details) -> Iterator[str]:
    split = [part for part in details.parts if part.name != "unsplit"]
    if split and details.cost:
        largest = max(split, key=lambda part: part.cost)
        share = ratio(largest.cost, details.cost)
        yield f"Most went to {_said(PARTS[largest.name][0])}: {told.money(largest.cost)}, {percent(share or 0)} of the cost."
    waste = next((part for part in details.parts if part.name == "waste"), None)
    if waste is not None and details.cost:
        share = ratio(waste.cost, details.cost)
        yield f"Missed cache reads cost {told.money(waste.cost)} more than they had to, {percent(share or 0)} of the cost."
    rest = next((part for part in details.parts if part.name == "unsplit"), None)
    if rest is not None and details.cost:
        share = ratio(rest.cost, details.cost)
        yield f"{told.money(rest.cost)} ({percent(share or 0)}) cannot be split: {PARTS['unsplit'][1]}."


def _said(name: str) -> str:
    return f"{name[0].lower()}{name[1:]}"


def by_row(told: Told) -> Section:
    """The rows of the report."""
    report = told.report
    whole = report.total.cost
    columns = (
        *(Column(headed(name)) for name in report.by),
        Column("Requests", "count", "calls the application made"),
        Column("Errors", "count", "attempts that were refused or never answered"),
        Column("Input", "count", "tokens of the whole prompts"),
        Column("Cached", "share", "of the input, read from the provider's cache"),
        Column("Output", "count", "tokens, reasoning among them"),
        Column("Cost", "usd", "a lower bound where attempts are unpriced"),
        Column("Share", "share", "of the whole cost"),
        Column("Unpriced", "count", "answered attempts without a known price"),
        Column("Saved", "saved", "by edits and markers; negative: it cost"),
    )
    rows = tuple((*map(named, report.by, row.key), *_figures(row, whole)) for row in report.rows)
    total = ("All", *[""] * (len(report.by) - 1), *_figures(report.total, whole))
    table = Table("Requests, tokens and cost", columns, rows, total)
    return Section(f"By {', '.join(headed(name).lower() for name in report.by)}", tables=(table,) if rows else ())


def _figures(row: Row, whole: Decimal | None) -> tuple[Cell, ...]:
    share = ratio(row.cost, whole)
    figures = (row.requests, row.errors, row.input_total, row.cached, row.output, row.cost, share, row.unpriced)
    return (*figures, row.savings)


def coming(told: Told) -> Section:
    """Prices that will change."""
    changes = told.report.coming
    if not changes:
        return Section("Prices that will change")
    columns = (
        Column("Model"),
        Column("Platform"),
        Column("From", "time"),
        Column("What"),
        Column("Now", "usd", "per million tokens, or per thousand calls"),
        Column("Then", "usd", "the same; a dash where it is not known"),
        Column("Would have cost more", "usd", "of what was used in the last 30 days; negative: less"),
    )
    rows = []
    for one in changes:
        calls = one.bucket == "request" or one.bucket.startswith("call.")
        per = 1_000 if calls else 1_000_000
        before, after = (None if rate is None else told.of_usd(rate * per) for rate in (one.before, one.after))
        model = one.model if one.tier == "standard" else f"{one.model}, {one.tier}"
        above = f" beyond {one.above:,} tokens" if one.above else ""
        rows.append((model, one.platform, one.at, _bucket(one.bucket) + above, before, after, told.of_usd(one.spend)))
    table = Table("Known changes within thirty days", columns, tuple(rows))
    return Section("Prices that will change", text=tuple(_meant(told, [one.spend for one in changes])), tables=(table,))


def _meant(told: Told, spends: list[int | None]) -> Iterator[str]:
    """What all changes together mean, where it is known of each of them."""
    known = [spend for spend in spends if spend is not None]
    if known and len(known) == len(spends):
        amount = told.of_usd(abs(sum(known)))
        way = "more" if sum(known) >= 0 else "less"
        yield f"What was used in the last 30 days would have cost {told.money(amount or Decimal(0))} {way}."


def _bucket(name: str) -> str:
    names = {"fresh": "input", "read": "cache read", "storage": "storage per hour", "request": "request"}
    return names.get(name) or name.replace("written.", "cache write ").replace("call.", "tool ").replace("_", " ")

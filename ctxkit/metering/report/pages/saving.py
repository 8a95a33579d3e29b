"""What was saved, and what could be saved next."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ctxkit.metering.report.details import REMOVALS
from ctxkit.metering.report.pages.words import many, named, percent, ratio
from ctxkit.money import EXACT
from ctxkit.page.values import Chart, Column, Figure, Section, Series, Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from ctxkit.metering.report.beside import Shadow, Tidied
    from ctxkit.metering.report.pages.words import Told
    from ctxkit.page.values import Cell

__all__ = ["Next", "next_mode", "saved"]


class Next(NamedTuple):
    """The stronger mode that would have saved most.

    Attributes:
        mode: its name.
        saved: in the report's currency, signed.
        as_sent: what the same requests cost, simulated too.
        planned: requests that this rests on.
    """

    mode: str
    saved: Decimal
    as_sent: Decimal
    planned: int

    @property
    def share(self) -> float | None:
        """Of what the same requests cost."""
        return ratio(self.saved, self.as_sent)


def next_mode(told: Told) -> Next | None:
    """What could be saved next, by simulation; ``None`` where nothing was planned in the shadow."""
    shadow = told.report.shadow
    if shadow is None or not shadow.features:
        return None
    as_sent = sum(one.as_sent for one in shadow.features)
    modes = [mode for mode in shadow.features[0].costs if all(mode in one.costs for one in shadow.features)]
    if not modes:
        return None
    sums = {mode: as_sent - sum(one.costs[mode] for one in shadow.features) for mode in modes}
    best = max(modes, key=lambda mode: sums[mode])
    amounts = told.of_usd(sums[best]), told.of_usd(as_sent)
    return None if None in amounts else Next(best, amounts[0], amounts[1], shadow.planned)  # type: ignore[arg-type]


def saved(told: Told) -> Section:
    """Savings by cause with their sign, predicted beside realised, and the next mode."""
    total = told.report.total
    causes = sorted(total.savings_by.items(), key=lambda one: one[1].copy_abs(), reverse=True)
    charts = []
    if causes:
        values = tuple(amount for _, amount in causes)
        names = tuple(name for name, _ in causes)
        note = "Against the same requests as they were written. Negative: it cost."
        charts.append(Chart("Saved by cause", "bars", names, (Series("Saved", values),), "saved", note))
    figures = []
    if total.predicted:
        figures.append(Figure("Removals, predicted", total.predicted, "saved", "over the rest of their threads"))
    if realised := told.of_usd(sum(total.group.counters[f"saved_{name}_pico"] for name in REMOVALS)):
        figures.append(Figure("Removals, realised", realised, "saved", "in this period; threads may go on"))
    if total.reused:
        figures.append(Figure("Requests not sent", total.reused, "count", "answered with what the same one got before"))
    tables = [table for table in (_shadow(told), _tidied(told)) if table is not None]
    return Section(
        "What was saved, and what could be",
        text=tuple(_sentences(told)),
        figures=tuple(figures),
        charts=tuple(charts),
        tables=tuple(tables),
    )


def _sentences(told: Told) -> Iterator[str]:
    total = told.report.total
    if total.savings is None:
        if total.attempts:
            yield "Nothing was changed in these requests, or nobody knows what that saved: see what could be saved below."
    elif total.savings >= 0:
        whole = EXACT.add(total.cost, total.savings) if total.cost is not None else None
        share = ratio(total.savings, whole)
        part = f", {percent(share)} of what they would have cost" if share is not None else ""
        yield f"Against the same requests as they were written, {told.money(total.savings)} was saved{part}."
    else:
        yield f"Against the same requests as they were written, {told.money(total.savings.copy_abs())} was lost."
    found, shadow = next_mode(told), told.report.shadow
    if found is not None and shadow is not None:
        yield _said(told, found, shadow)


def _said(told: Told, found: Next, shadow: Shadow) -> str:
    seen = f", {percent(shadow.coverage)} of those in mode {shadow.mode}" if shadow.coverage is not None else ""
    basis = f"{many(found.planned, 'request')} planned in the shadow{seen}"
    if found.saved <= 0:
        return f"No stronger mode would have saved anything on the {basis}."
    share = f" ({percent(found.share)})" if found.share is not None else ""
    return f"Mode {found.mode} would have saved {told.money(found.saved)}{share} on the {basis}, by simulation."


def _shadow(told: Told) -> Table | None:
    shadow = told.report.shadow
    if shadow is None or not shadow.features:
        return None
    modes = list(dict.fromkeys(mode for one in shadow.features for mode in one.costs))
    columns = (
        Column("Feature"),
        Column("Conversations", "count"),
        Column("Requests", "count"),
        Column("As sent", "usd", "what they cost as they were sent, simulated like the others"),
        *(
            column
            for mode in modes
            for column in (Column(f"Mode {mode} saves", "saved"), Column(f"Share, {mode}", "share"))
        ),
    )
    rows: list[tuple[Cell, ...]] = []
    for one in shadow.features:
        cells: list[Cell] = [named("feature", one.feature), one.threads, one.requests, told.of_usd(one.as_sent)]
        for mode in modes:
            known = mode in one.costs
            cells += [told.of_usd(one.as_sent - one.costs[mode]), one.share(mode)] if known else [None, None]
        rows.append(tuple(cells))
    return Table("What stronger modes would have saved", columns, tuple(rows), note="Simulated; days are those of UTC.")


def _tidied(told: Told) -> Table | None:
    if not told.report.tidied:
        return None
    columns = (
        Column("Feature"),
        Column("State", "text", "resting: it observes again, because tidying lost"),
        Column("Conversations over", "count"),
        Column("Judged", "count", "those by which it is judged"),
        Column("They saved", "saved"),
        Column("Predicted", "saved", "what their rewrites were expected to save"),
        Column("They cost", "usd"),
        Column("Fetched again", "share", "results that were removed and whose call came again soon"),
        Column("Anyway", "share", "results that were left and whose call came again soon all the same"),
    )
    return Table(
        "How tidying stands", columns, tuple(_standing(told, one) for one in told.report.tidied), note="Of all time."
    )


def _standing(told: Told, one: Tidied) -> tuple[Cell, ...]:
    judged = bool(one.judged)
    money = [told.of_usd(amount) if judged else None for amount in (one.saved, one.predicted, one.cost)]
    state = "resting" if one.state == "resting" else "tidied"
    return (named("feature", one.feature), state, one.closed, one.judged, *money, one.rate, one.base)

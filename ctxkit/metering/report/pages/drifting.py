"""How conversations drifted, and what their noise cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ctxkit.metering.report.columns import drifts
from ctxkit.metering.report.pages.words import headed, many, named, percent, ratio
from ctxkit.metering.report.row import LEVELS
from ctxkit.page.curves import curves
from ctxkit.page.values import Column, Figure, Section, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxkit.metering.report.details import Strayed
    from ctxkit.metering.report.pages.words import Told
    from ctxkit.metering.report.row import Row
    from ctxkit.page.values import Cell

__all__ = ["strayed"]

_CURVES: Final = 6
_TITLE: Final = "Drift"


def strayed(told: Told) -> Section:
    """Score, noise and its fee; by row; the conversations that drift most, and the course of it."""
    total, details = told.report.total, told.details
    if not total.drifts:
        return Section(_TITLE)
    found = details.strayed if details is not None else ()
    lines = [(one.thread, one.course) for one in found if len(one.course) > 1][:_CURVES]
    chart = curves(
        "Score over the requests of the conversations that drift most",
        lines,
        "score",
        "0: all of it serves the goal; 1: nothing does.",
    )
    tables = (*((_by_row(told),) if drifts(total) else ()), *((_threads(found),) if found else ()))
    return Section(
        _TITLE,
        text=tuple(_sentences(told)),
        figures=tuple(_figures(total)),
        charts=(chart,) * bool(lines),
        tables=tables,
    )


def _figures(total: Row) -> Iterator[Figure]:
    yield Figure("Drift", total.drift, "score", f"mean of {many(total.drifts, 'measured request')}, from 0 to 1")
    yield Figure("Noise", total.noise_share, "share", f"of their conversations; {many(total.noise, 'token')}")
    unpriced = f"a lower bound: {total.noise_unpriced:,} of unknown price" if total.noise_unpriced else ""
    yield Figure("Cost of noise", total.noise_fee, "usd", unpriced or "at the mix of the cache that was billed")
    lost = total.drifted("lost")
    yield Figure("Drifting or lost", total.drifted("drifting") + lost, "count", f"requests; {lost:,} of them lost")
    yield Figure("Stuck", total.drifted("stuck"), "count", "requests: the same again, and nothing new")


def _sentences(told: Told) -> Iterator[str]:
    total = told.report.total
    if total.noise_share:
        share = ratio(total.noise_fee, total.cost)
        fee = f", which cost {told.money(total.noise_fee)}" if total.noise_fee is not None else ""
        part = f" ({percent(share)} of the bill)" if share else ""
        yield f"{percent(total.noise_share)} of what stood in conversations bore on nothing any more{fee}{part}."
    if not any(map(total.drifted, LEVELS)):
        yield "Nothing drifts."
    if total.drifts < total.attempts:
        yield f"Measured: {many(total.drifts, 'request')} of {many(total.attempts, 'attempt')}."


def _by_row(told: Told) -> Table:
    columns = (
        *(Column(headed(name)) for name in told.report.by),
        Column("Measured", "count", "requests"),
        Column("Score", "score", "mean, from 0 (calm) to 1"),
        Column("Noise", "share", "of the conversations"),
        Column("Its cost", "usd", "at the mix of the cache that was billed"),
        Column("Drifting", "count", "requests"),
        Column("Lost", "count", "requests"),
        Column("Stuck", "count", "requests"),
    )
    rows = tuple(_row(told, row) for row in told.report.rows if row.drifts)
    return Table("By row of the report", columns, rows)


def _row(told: Told, row: Row) -> tuple[Cell, ...]:
    keys = tuple(named(name, value) for name, value in zip(told.report.by, row.key, strict=True))
    levels = (row.drifted("drifting"), row.drifted("lost"), row.drifted("stuck"))
    return (*keys, row.drifts, row.drift, row.noise_share, row.noise_fee, *levels)


def _threads(found: tuple[Strayed, ...]) -> Table:
    columns = (
        Column("Conversation"),
        Column("Feature"),
        Column("Measured", "count", "requests"),
        Column("Score", "score", "of its latest request"),
        Column("Level"),
        Column("Noise", "share", "of the conversation, over its requests"),
        Column("Its cost", "usd"),
        Column("Stuck"),
    )
    rows = tuple(
        (
            *(one.thread, named("feature", one.feature), one.measured, one.score, one.level),
            *(one.noise_share, one.noise_fee, "yes" if one.stuck else ""),
        )
        for one in found
    )
    return Table("Conversations that drift most", columns, rows, note="Ten at most; by their latest measured request.")

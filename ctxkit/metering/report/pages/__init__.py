"""A report as a page of figures, in the order in which one asks: how much, when, for what, by whom, what was saved, why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.errors import StoreError
from ctxkit.metering.report.found import DEFINITIONS
from ctxkit.metering.report.pages.caching import cached, estimated, fast
from ctxkit.metering.report.pages.drifting import strayed
from ctxkit.metering.report.pages.saving import next_mode, saved
from ctxkit.metering.report.pages.spend import by_row, coming, over_time, parts
from ctxkit.metering.report.pages.threads import conversations
from ctxkit.metering.report.pages.words import Told, many, percent, ratio
from ctxkit.metering.report.period import minute, stretch, zone_of
from ctxkit.money import EXACT
from ctxkit.page.values import Column, Figure, Page, Section, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxkit.metering.report.details import Details
    from ctxkit.metering.report.found import Report

__all__ = ["page_of", "parts_of"]

_MUCH = 0.1
"""Share of the money from which on a feature is worth a word at the top."""


def page_of(report: Report) -> Page:
    """The page of a report: its rows, and its details where the ledger can still be read."""
    details, fault = _details(report)
    told = Told.of(report, details)
    sections = (over_time, parts, by_row, saved, cached, strayed, fast, estimated, conversations, coming)
    found = [section for tell in sections if _filled(section := tell(told))]
    return Page(
        title="What was spent, and what was saved",
        lead=" ".join(_lead(told)),
        sections=(_headline(told), *found, _quality(told, fault), _definitions()),
        made=_period(report),
        currency=report.currency,
    )


def parts_of(report: Report) -> tuple[Section, ...]:
    """What a notebook shows of it: all that needs no further look at the ledger."""
    told = Told.of(report, None)
    sections = (_headline(told), by_row(told), saved(told), strayed(told), coming(told))
    return (*filter(_filled, sections), _quality(told, ""))


def _filled(section: Section) -> bool:
    return bool(section.charts or section.tables or section.figures)


def _details(report: Report) -> tuple[Details | None, str]:
    if report.details is None:
        return None, ""
    try:
        return report.details(), ""
    except StoreError as error:
        return None, f"details cannot be read, rows alone are shown: {error}"


def _period(report: Report) -> str:
    made = f"; made {minute(report.made, zone_of(report.timezone))}" if report.made is not None else ""
    return f"From {stretch(report.since, report.until, report.timezone)}{made}"


def _lead(told: Told) -> Iterator[str]:
    """The most important things in a few sentences."""
    report, total = told.report, told.report.total
    if not total.attempts:
        yield "No requests in this period."
        if total.cost:
            yield f"Charges by time came to {told.money(total.cost)}."
        return
    yield f"{many(total.requests, 'request')} cost {told.spent(total.cost, least=bool(total.unpriced))}."
    if len(report.rows) > 1 and report.by == ("feature",):
        share = ratio(report.rows[0].cost, total.cost)
        if share and share >= _MUCH:
            name = report.rows[0].key[0]
            whom = f"feature {name} spends" if name else "what belongs to no feature spends"
            yield f"Of that, {whom} {percent(share)}."
    if total.savings:
        yield f"{told.money(total.savings.copy_abs())} was {'saved' if total.savings > 0 else 'lost'} by what was changed."
    found = next_mode(told)
    if found is not None and found.saved > 0 and found.share is not None:
        yield f"Mode {found.mode} could save {percent(found.share)}, by simulation."


def _headline(told: Told) -> Section:
    """Numbers that matter."""
    total = told.report.total
    return Section("At a glance", figures=tuple(_figures(told)) if total.attempts or total.cost else ())


def _figures(told: Told) -> Iterator[Figure]:
    total = told.report.total
    notes = [_tries(told)]
    if total.unpriced:
        notes.append(f"a lower bound: {many(total.unpriced, 'attempt')} without a known price")
    if total.estimated:
        notes.append(f"{told.money(total.estimated)} of it estimated")
    yield Figure("Spent", total.cost, "usd", "; ".join(notes))
    yield Figure("Saved", total.savings, "saved", _saved(told))
    yield Figure("Read from the cache", total.cached, "share", "of the input, where the provider tells")
    if total.misses:
        note = f"{many(total.misses, 'answer')} read less than {'it' if total.misses == 1 else 'they'} might have"
        unpriced = f"; {total.misses_unpriced:,} of unknown cost" if total.misses_unpriced else ""
        yield Figure("Cost of misses", total.miss_cost, "usd", note + unpriced)
    if (found := next_mode(told)) is not None:
        share = f"{percent(found.share)} " if found.share is not None and found.share > 0 else ""
        note = f"{share}by simulation, on {many(found.planned, 'request')} in mode {found.mode}"
        yield Figure("Could be saved next", found.saved, "saved", note)


def _tries(told: Told) -> str:
    total = told.report.total
    retried = f", {many(total.attempts, 'attempt')}" if total.attempts != total.requests else ""
    errors = f", {total.errors:,} failed" if total.errors else ""
    return f"in {many(total.requests, 'request')}{retried}{errors}"


def _saved(told: Told) -> str:
    total = told.report.total
    if total.savings is None:
        return "nothing was changed, or nobody knows"
    whole = EXACT.add(total.cost, total.savings) if total.cost is not None else None
    share = ratio(total.savings, whole)
    return "against the same requests as written" + (f": {percent(share)}" if share is not None and share > 0 else "")


def _quality(told: Told, fault: str) -> Section:
    """What the figures do not show of themselves."""
    report = told.report
    lines = []
    if report.attributed is not None and report.metered is not None:
        lines.append(
            f"{percent(report.attributed)} of the requests belong to a feature; {percent(report.metered)} of the attempts "
            "were understood."
        )
    lines += [f"{line[0].upper()}{line[1:]}." for line in report.quality]
    if told.details is not None:
        lines += [f"{line[0].upper()}{line[1:]}." for line in told.details.limits]
    if fault:
        lines.append(f"{fault[0].upper()}{fault[1:]}.")
    if report.shadow is not None and report.shadow.coverage is not None:
        lines.append(
            f"{percent(report.shadow.coverage)} of the requests in mode {report.shadow.mode} were planned in the shadow."
        )
    return Section("How far to trust it", text=tuple(lines))


def _definitions() -> Section:
    columns = (Column("Figure"), Column("What it means"))
    rows = tuple((name.replace("_", " "), text) for name, text in DEFINITIONS.items())
    return Section("What the figures mean", tables=(Table("Definitions", columns, rows),))

"""An audit as a page for people to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.money import usd_of
from ctxkit.page import Chart, Column, Figure, Page, Section, Series, Table
from ctxkit.page.curves import curves
from ctxkit.replay.advising import largest, missed
from ctxkit.replay.drifting import worst
from ctxkit.replay.rendering import ABOUT, REASONS, costs_of, headline, notes
from ctxkit.replay.resending import OPTIMUM, RAW
from ctxkit.replay.waste import KINDS

if TYPE_CHECKING:
    from decimal import Decimal

    from ctxkit.page.values import Cell
    from ctxkit.replay.auditing import Audit
    from ctxkit.replay.drifting import Drifted
    from ctxkit.replay.measuring import Measured

__all__ = ["shown"]

_ROWS = 1_000  # threads shown: those that cost most
_CURVES = 6  # threads whose course is drawn
_DRIFTS = "0: all of it serves the goal; 1: nothing does. Some requests of each thread are measured."


def shown(audit: Audit) -> Page:
    """The page."""
    return Page(
        "Audit",
        _lead(audit),
        (_bill(audit), _todo(audit), _waste(audit), _drift(audit), _cache(audit), _threads(audit), _about(audit)),
    )


def _lead(audit: Audit) -> str:
    said, best = headline(audit), next(iter(audit.todo), None)
    return f"{said}. First of what to do: {best.what}." if best else f"{said}. Nothing to complain of."


def _bill(audit: Audit) -> Section:
    costs = costs_of(audit)
    tokens = sum(one.as_sent.tokens for one in audit.threads)
    wasted = sum(sum(one.waste.values()) for one in audit.threads)
    figures = (
        Figure("Paid as sent", usd_of(audit.as_sent), "usd"),
        Figure(f"With ctxkit ({audit.mode})", usd_of(audit.total(audit.mode)), "usd"),
        Figure("Least possible", usd_of(audit.total(OPTIMUM)), "usd"),
        Figure("Input tokens", tokens, "count"),
        Figure("Of them waste", wasted / tokens if tokens else None, "share"),
    )
    chart = Chart(
        "What it cost, and would have cost",
        "bars",
        tuple(one.name for one in costs),
        (Series("USD", tuple(usd_of(one.pico) for one in costs)),),
    )
    columns = (
        Column("Sent as"),
        Column("Cost", "usd"),
        Column("To as sent", "share"),
        Column("Low", "usd"),
        Column("High", "usd"),
    )
    rows: list[tuple[Cell, ...]] = []
    for one in costs:
        low, high = one.interval or (None, None)
        rows.append((one.name, usd_of(one.pico), one.share, usd_of(low), usd_of(high)))
    sampled = any(one.interval for one in costs)
    kept = len(columns) if sampled else 3
    table = Table("The bill", columns[:kept], tuple(row[:kept] for row in rows))
    return Section("The bill", figures=figures, charts=(chart,) if audit.totals else (), tables=(table,))


def _todo(audit: Audit) -> Section:
    rows = tuple((one.what, usd_of(one.per_1000), usd_of(one.per_month), one.requests, one.where) for one in audit.todo)
    columns = (
        Column("What"),
        Column("Per 1,000 requests", "usd"),
        Column("Per month", "usd", "at the recorded rate"),
        Column("Times", "count"),
        Column("For example"),
    )
    return Section("What to do", tables=(Table("What each would save by itself", columns, rows),) if rows else ())


def _waste(audit: Audit) -> Section:
    priced = audit.as_sent is not None
    whole = sum(one.as_sent.tokens for one in audit.threads) or 1
    rows: list[tuple[Cell, ...]] = []
    for kind in KINDS:
        tokens = sum(one.waste.get(kind, 0) for one in audit.threads)
        pico = sum(one.waste_pico.get(kind, 0) for one in audit.threads) if priced else None
        rows.append((kind, ABOUT[kind], tokens, tokens / whole, usd_of(pico)))
    columns = (
        Column("Kind"),
        Column("What"),
        Column("Tokens", "count"),
        Column("Of input", "share"),
        Column("Cost", "usd"),
    )
    chart = Chart("Wasted tokens", "bars", KINDS, (Series("tokens", tuple(_count(row[2]) for row in rows)),), "count")
    return Section(
        "Waste", charts=(chart,), tables=(Table("Tokens that need not have been sent", columns, tuple(rows)),)
    )


def _count(cell: Cell) -> int:
    return cell if isinstance(cell, int) else 0


def _drift(audit: Audit) -> Section:
    found = audit.drift
    if found is None:
        return Section("Drift")
    levels = found.levels
    figures = (
        Figure("Drift", found.score, "score", f"of 1, in the mean of the last requests: {found.level}"),
        Figure("Noise", found.noise_share, "share", f"of the conversations; {round(found.noise):,} tokens"),
        Figure("Cost of noise", _pico(found.pico), "usd", "where it stood in the prompts"),
        Figure(
            "Drifting or lost", levels["drifting"] + levels["lost"], "count", f"of {found.measured:,} threads measured"
        ),
        Figure("Stuck", found.stuck, "count", "threads in which the model did the same again and again"),
    )
    bad = worst(audit.threads)
    curved = [(one.name, [(at.request, at.score) for at in drift.curve]) for one, drift in bad if len(drift.curve) > 1]
    chart = curves("Drift over the requests of those that drifted most", curved[:_CURVES], "score", _DRIFTS)
    columns = (
        Column("Thread"),
        Column("Requests", "count"),
        Column("Score", "score", "of its last request, from 0 (calm) to 1"),
        Column("Level"),
        Column("Noise", "share", "of the conversation, over all its requests"),
        Column("Its cost", "usd", "where it stood in the prompts"),
        Column("Repeated", "share", "of the last request"),
        Column("Stuck", "share", "how sure that is"),
        Column("Goal kept", "share", "likeness of what is done to the goal, measured by what it was at first"),
        Column("Taken back", "count", "what the user wanted, does not want any more, and still stands there"),
        Column("At risk", "share", "of what matters: it stands in the middle of a very long prompt"),
    )
    rows = tuple(_drifted(one, drift) for one, drift in bad[:_ROWS])
    table = Table("Threads that drifted", columns, rows)
    return Section("Drift", figures=figures, charts=(chart,) if curved else (), tables=(table,) if rows else ())


def _drifted(one: Measured, drift: Drifted) -> tuple[Cell, ...]:
    end = drift.end
    rest = (end.repetition, drift.loop, end.goal, len(end.superseded), end.position)
    return (one.name, drift.requests, end.score, end.level, drift.noise_share, _pico(drift.pico), *rest)


def _pico(amount: float | None) -> Decimal | None:
    return usd_of(None if amount is None else round(amount))


def _cache(audit: Audit) -> Section:
    priced, found = audit.as_sent is not None, missed(audit.threads)
    if not found:
        return Section("Cache")
    rows = tuple(
        (REASONS.get(reason, reason), one.requests, one.tokens, usd_of(one.pico if priced else None), one.said)
        for reason, one in found.items()
    )
    columns = (
        Column("Why"),
        Column("Requests", "count"),
        Column("Tokens", "count"),
        Column("Cost", "usd"),
        Column("What differed"),
    )
    return Section("Cache", tables=(Table("What was not read and might have been", columns, rows),))


def _threads(audit: Audit) -> Section:
    order = sorted(
        range(len(audit.threads)), key=lambda at: -(audit.threads[at].as_sent.pico or audit.threads[at].as_sent.tokens)
    )
    rows: list[tuple[Cell, ...]] = []
    for at in order[:_ROWS]:
        one, again = audit.threads[at], audit.replays.get(at)
        bills = again.bills if again else None
        rows.append(
            (
                one.name,
                one.source,
                one.requests,
                one.as_sent.tokens,
                sum(one.waste.values()),
                usd_of(one.as_sent.pico),
                usd_of(bills[RAW].pico) if bills else None,
                usd_of(bills[audit.mode].pico) if bills else None,
                usd_of(again.optimum) if again else None,
                one.drift.end.score if one.drift is not None else None,
                largest(one),
            )
        )
    columns = (
        Column("Thread"),
        Column("File"),
        Column("Requests", "count"),
        Column("Input tokens", "count"),
        Column("Waste", "count"),
        Column("As sent", "usd"),
        Column("Raw, well cached", "usd"),
        Column(f"Mode {audit.mode}", "usd"),
        Column("Least possible", "usd"),
        Column("Drift", "score", "of its last request, from 0 (calm) to 1"),
        Column("Largest finding"),
    )
    note = f"The {_ROWS:,} dearest of {len(order):,}." if len(order) > _ROWS else ""
    return Section("Threads", tables=(Table("By thread", columns, tuple(rows), note=note),))


def _about(audit: Audit) -> Section:
    unread = tuple((one,) for one in audit.unread[:_ROWS])
    tables = (Table("What could not be read", (Column("Where and why"),), unread),) if unread else ()
    return Section("About these figures", text=tuple(notes(audit)), tables=tables)

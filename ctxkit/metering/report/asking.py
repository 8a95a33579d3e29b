"""Asking the ledger for a report."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from ctxkit.errors import ConfigurationError
from ctxkit.metering.prices import Prices
from ctxkit.metering.report.detailing import details_of
from ctxkit.metering.report.found import Report
from ctxkit.metering.report.period import moment, zone_of
from ctxkit.metering.report.reading import TIMES, Group, Question, read_groups
from ctxkit.metering.report.row import Row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ctxkit.metering.ledger import Ledger
    from ctxkit.metering.report.period import Moment

__all__ = ["DIMENSIONS", "report"]

DIMENSIONS: Final = ("feature", "model", "platform", "dialect", "tier", "scope", "status", "miss_reason", *TIMES)
"""What a report can be grouped by, besides ``label:NAME``."""


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
    prices: Prices | None = None,
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
        prices: the price lists by which costs are split into parts; default: those of ctxkit alone.

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
        details=details_of(ledger, question, whole.rate, (prices or Prices()).card),
        made=now,
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
        yield f"{_many(total.unpriced, 'attempt')} without a known price ({named}{more}): costs are lower bounds"
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

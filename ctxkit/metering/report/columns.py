"""The columns of a report's tables: their heads, how each figure is written, and which go first where there is little room.

``-`` is not known, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Final

from ctxkit.metering.report.row import LEVELS
from ctxkit.money import EXACT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ctxkit.metering.report import Report, Row

__all__ = ["Column", "as_seconds", "as_share", "columns_of", "drifts", "money_format", "noise_fee"]

_UNKNOWN: Final = "-"
_NOISY: Final = 0.1
"""Share of noise from which on it is worth a table although nothing drifts."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of figures. Those of the highest ``rank`` are the first to go when a table is too wide."""

    rank: int
    head: tuple[str, str]
    tell: Callable[[Row], str]


def columns_of(report: Report, *, compact: bool) -> Iterator[tuple[str, list[Column]]]:
    """The tables that a report has, with their titles; ``compact``: figures are short, those of a high rank left out."""
    yield "Tokens and cost", _cost_columns(report, compact=compact)
    if "miss_reason" in report.by or report.total.misses:
        yield "Cache misses", _miss_columns(report, compact=compact)
    causes = set(report.total.savings_by)
    if len(causes) > 1 or causes - {"cache", "answers"}:  # of these alone the column above says enough
        yield "Saved by cause", _saved_columns(report)
    if drifts(report.total):
        yield "Drift", _drift_columns(report)
    if any(merger.used for name, merger in report.total.group.sketches.items() if name != "reuse"):
        yield "Speed and accuracy", _speed_columns(compact=compact)


def _cost_columns(report: Report, *, compact: bool) -> list[Column]:
    money = money_format(report)
    count = _short_count if compact else _count
    retried = report.total.attempts != report.total.requests
    columns = [
        Column(1, ("", "Requests"), lambda row: _count(row.requests)),
        Column(3 if retried else 10, ("", "Attempts"), lambda row: _count(row.attempts)),
        Column(3, ("", "Errors"), lambda row: _count(row.errors)),
        Column(0, ("", "Input"), lambda row: count(row.input_total)),
        Column(7, ("", "Fresh"), lambda row: count(row.fresh)),
        Column(4, ("Cache", "read"), lambda row: count(row.read)),
        Column(5, ("Cache", "write"), lambda row: count(sum(row.written.values()) if row.written else None)),
        Column(2, ("Cached", "share"), lambda row: as_share(row.cached)),
        Column(1, ("", "Output"), lambda row: count(row.output)),
        Column(8, ("", "Reasoning"), lambda row: count(row.reasoning)),
        Column(0, ("Cost", f"({report.currency})"), lambda row: _cost(row, money)),
        Column(9, ("of it", "estimated"), lambda row: money(row.estimated) if row.estimated else _UNKNOWN),
    ]
    if report.total.reused:
        columns.insert(2, Column(2, ("", "Reused"), lambda row: _count(row.reused)))
    if report.total.savings is not None:  # nobody saves anything who only observes
        columns.append(Column(1, ("Saved", f"({report.currency})"), lambda row: _signed(row.savings, money)))
    return [column for column in columns if column.rank <= 2] if compact else columns


def _signed(amount: Decimal | None, money: Callable[[Decimal], str]) -> str:
    return _UNKNOWN if amount is None else ("-" if amount < 0 else "") + money(amount.copy_abs())


def _saved_columns(report: Report) -> list[Column]:
    money = money_format(report)
    causes = sorted(report.total.savings_by, key=lambda cause: report.total.savings_by[cause].copy_abs(), reverse=True)
    return [
        Column(rank, (cause, f"({report.currency})"), partial(_saved_by, cause=cause, money=money))
        for rank, cause in enumerate(causes)
    ]


def _saved_by(row: Row, *, cause: str, money: Callable[[Decimal], str]) -> str:
    return _signed(row.savings_by.get(cause), money)


def _miss_columns(report: Report, *, compact: bool) -> list[Column]:
    money = money_format(report)
    count = _short_count if compact else _count
    return [
        Column(1, ("Requests", "that missed"), lambda row: _count(row.misses or None)),
        Column(0, ("Tokens", "missed"), lambda row: count(row.missed if row.misses else None)),
        Column(0, ("Cost of", f"misses ({report.currency})"), lambda row: _miss_cost(row, money)),
        Column(2, ("Forecasts", "right"), lambda row: as_share(row.forecasts_right)),
    ]


def _miss_cost(row: Row, money: Callable[[Decimal], str]) -> str:
    if not row.misses:
        return _UNKNOWN
    if row.miss_cost is None:
        return "unknown"
    return f"≥ {money(row.miss_cost)}" if row.misses_unpriced else money(row.miss_cost)


def drifts(row: Row) -> bool:
    """Its drift is worth a look."""
    return any(map(row.drifted, LEVELS)) or (row.noise_share or 0.0) >= _NOISY


def _drift_columns(report: Report) -> list[Column]:
    money = money_format(report)
    return [
        Column(2, ("Requests", "measured"), lambda row: _count(row.drifts or None)),
        Column(0, ("Drift", "score"), lambda row: _UNKNOWN if row.drift is None else f"{row.drift:.2f}"),
        Column(0, ("Noise", "share"), lambda row: as_share(row.noise_share)),
        Column(0, ("Cost of", f"noise ({report.currency})"), lambda row: noise_fee(row, money)),
        Column(1, ("Requests", "drifting"), lambda row: _count(row.drifted("drifting") if row.drifts else None)),
        Column(1, ("", "lost"), lambda row: _count(row.drifted("lost") if row.drifts else None)),
        Column(1, ("", "stuck"), lambda row: _count(row.drifted("stuck") if row.drifts else None)),
    ]


def noise_fee(row: Row, money: Callable[[Decimal], str]) -> str:
    """What its noise cost; at least that where some of it has no known price."""
    if row.noise_fee is None:
        return "unknown" if row.drifts else _UNKNOWN
    return f"≥ {money(row.noise_fee)}" if row.noise_unpriced else money(row.noise_fee)


def _speed_columns(*, compact: bool) -> list[Column]:
    columns = [
        Column(0, ("TTFT", "p50"), lambda row: as_seconds(row.latency("ttft", 0.5))),
        Column(6, ("TTFT", "p90"), lambda row: as_seconds(row.latency("ttft", 0.9))),
        Column(2, ("TTFT", "p99"), lambda row: as_seconds(row.latency("ttft", 0.99))),
        Column(3, ("TPOT", "p50"), lambda row: as_seconds(row.latency("tpot", 0.5))),
        Column(7, ("TPOT", "p90"), lambda row: as_seconds(row.latency("tpot", 0.9))),
        Column(7, ("TPOT", "p99"), lambda row: as_seconds(row.latency("tpot", 0.99))),
        Column(1, ("E2E", "p50"), lambda row: as_seconds(row.latency("e2e", 0.5))),
        Column(6, ("E2E", "p90"), lambda row: as_seconds(row.latency("e2e", 0.9))),
        Column(2, ("E2E", "p99"), lambda row: as_seconds(row.latency("e2e", 0.99))),
        Column(0, ("Est. error", "p50"), lambda row: _percent(row.error(0.5))),
        Column(5, ("Est. error", "p90"), lambda row: _percent(row.error(0.9))),
        Column(4, ("Est.", "bias"), lambda row: _percent(row.bias, signed=True)),
    ]
    return [column for column in columns if column.rank <= 3] if compact else columns


def _count(figure: int | None) -> str:
    return _UNKNOWN if figure is None else f"{figure:,}"


def _short_count(figure: int | None) -> str:
    if figure is None or figure < 100_000:
        return _count(figure)
    unit, size = next((unit, size) for unit, size in (("G", 10**9), ("M", 10**6), ("k", 1000)) if figure >= size)
    return f"{figure / size:,.1f}{unit}"


def as_share(share: float | None) -> str:
    """Per cent, to a tenth."""
    return _UNKNOWN if share is None else f"{share:.1%}"


def _percent(share: float | None, *, signed: bool = False) -> str:
    if share is None:
        return _UNKNOWN
    return f"{share:+.2%}" if signed and round(share, 4) else f"{abs(share):.2%}"


def as_seconds(seconds: float | None) -> str:
    """A duration, in milliseconds where it is short."""
    if seconds is None:
        return _UNKNOWN
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s" if seconds < 100 else f"{seconds:,.0f} s"


def money_format(report: Report) -> Callable[[Decimal], str]:
    """Cents where the total has dollars, more places where it has not."""
    total = report.total.cost or Decimal(0)
    places = 2 if total >= 1 else 4 if total >= Decimal("0.01") else 6
    least = EXACT.scaleb(Decimal(1), -places)
    sign = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}.get(report.currency, "")

    def money(amount: Decimal) -> str:
        return f"<{sign}{least}" if 0 < amount < least / 2 else f"{sign}{amount:,.{places}f}"

    return money


def _cost(row: Row, money: Callable[[Decimal], str]) -> str:
    if row.cost is None:
        return "unknown" if row.unpriced else _UNKNOWN
    return f"≥ {money(row.cost)}" if row.unpriced else money(row.cost)

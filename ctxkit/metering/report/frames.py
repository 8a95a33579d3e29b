"""A report as a data frame: of pandas, or of polars.

One line per row of the report, the keys first, under the names of :meth:`Report.to_csv`. A count that is not known is
missing, and never 0. The only place that knows either package.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from ctxkit.errors import ConfigurationError
from ctxkit.metering.report.period import zone_of
from ctxkit.metering.report.reading import TIMES
from ctxkit.metering.report.row import LATENCIES, LEVELS, QUANTILES
from ctxkit.money import EXACT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ctxkit.metering.report.found import Report
    from ctxkit.metering.report.row import Row

__all__ = ["Money", "pandas_of", "polars_of"]

Money: TypeAlias = Literal["float", "decimal"]
"""How money stands in a frame: ``"float"`` can be drawn and computed with, ``"decimal"`` is exact."""

_Kind: TypeAlias = Literal["key", "day", "hour", "count", "figure", "money"]
_SECOND: Final = " (2nd)"
_DIGITS: Final = 38  # of a decimal in polars
_PLACES: Final = 12  # pico-dollars
_MOST_PLACES: Final = 24  # a rate of exchange adds some; there are digits before the point, too


@dataclass(frozen=True, slots=True)
class _Column:
    """A column, and what it holds."""

    name: str
    kind: _Kind
    cells: list[Any]


def _columns(report: Report) -> Iterator[_Column]:
    """Of all rows, in order; which nested names there are goes by what occurs."""
    rows = report.rows
    for place, name in enumerate(report.by):
        kind: _Kind = "day" if name == "day" else "hour" if name == "hour" else "key"
        values = [_moment(row.key[place], report.timezone) if name in TIMES else row.key[place] or None for row in rows]
        yield _Column(name, kind, values)
    for name, kind, tell in _figures(report):
        yield _Column(name, kind, [tell(row) for row in rows])


_Tell: TypeAlias = "Callable[[Row], Any]"


def _figures(report: Report) -> Iterator[tuple[str, _Kind, _Tell]]:
    """Names, kinds and where the values come from."""
    yield "requests", "count", lambda row: row.requests
    yield "attempts", "count", lambda row: row.attempts
    for name in _occurring(report, lambda row: [one for one, count in row.group.statuses.items() if count]):
        yield f"statuses.{name}", "count", _status(name)
    yield "errors", "count", lambda row: row.errors
    yield "input_tokens", "count", lambda row: row.input_total
    yield "fresh_tokens", "count", lambda row: row.fresh
    yield "read_tokens", "count", lambda row: row.read
    for name in _occurring(report, lambda row: row.written):
        yield f"written_tokens.{name}", "count", _written(name)
    yield "output_tokens", "count", lambda row: row.output
    yield "reasoning_tokens", "count", lambda row: row.reasoning
    yield "cached", "figure", lambda row: row.cached
    yield "cost", "money", lambda row: row.cost
    yield "cost_estimated", "money", lambda row: row.estimated
    yield "unpriced", "count", lambda row: row.unpriced
    yield "estimate_error.median", "figure", lambda row: row.error(0.5)
    yield "estimate_error.p90", "figure", lambda row: row.error(0.9)
    yield "estimate_error.bias", "figure", lambda row: row.bias
    for name in LATENCIES:
        for label, share in QUANTILES.items():
            yield f"latency.{name}.{label}", "figure", _latency(name, share)
    yield from _more_figures(report)


def _more_figures(report: Report) -> Iterator[tuple[str, _Kind, _Tell]]:
    yield "misses.requests", "count", lambda row: row.misses
    yield "misses.tokens", "count", lambda row: row.missed
    yield "misses.cost", "money", lambda row: row.miss_cost
    yield "misses.unpriced", "count", lambda row: row.misses_unpriced
    yield "forecast.requests", "count", lambda row: row.forecasts
    yield "forecast.right", "figure", lambda row: row.forecasts_right
    yield "forecast.bias", "figure", lambda row: row.forecast_bias
    yield "savings", "money", lambda row: row.savings
    for name in _occurring(report, lambda row: row.savings_by):
        yield f"savings_by.{name}", "money", _saved_by(name)
    yield "predicted", "money", lambda row: row.predicted
    yield "storage", "money", lambda row: row.storage
    yield from _drift_figures()
    yield "reused.requests", "count", lambda row: row.reused
    yield "reused.savings", "money", lambda row: row.reused_savings
    yield "reused.unpriced", "count", lambda row: row.reused_unpriced
    for label, share in QUANTILES.items():
        yield f"reused.latency.{label}", "figure", _latency("reuse", share)
    for name in ("edits", "edit_tokens", "problems"):
        yield name, "count", _counted(name)


def _drift_figures() -> Iterator[tuple[str, _Kind, _Tell]]:
    yield "drift.requests", "count", lambda row: row.drifts
    yield "drift.score", "figure", lambda row: row.drift
    yield "drift.noise_tokens", "count", lambda row: row.noise if row.drifts else None
    yield "drift.noise_share", "figure", lambda row: row.noise_share
    yield "drift.noise_fee", "money", lambda row: row.noise_fee
    yield "drift.unpriced", "count", lambda row: row.noise_unpriced
    for name in LEVELS:
        yield f"drift.{name}", "count", _counted(f"drift_{name}")


def _status(name: str) -> _Tell:
    return lambda row: row.status(name)


def _written(name: str) -> _Tell:
    return lambda row: None if row.fresh is None else row.written.get(name, 0)


def _latency(name: str, share: float) -> _Tell:
    return lambda row: row.latency(name, share)


def _saved_by(name: str) -> _Tell:
    return lambda row: None if row.savings is None else row.savings_by.get(name, Decimal(0))


def _counted(name: str) -> _Tell:
    return lambda row: row.group.counters[name]


def _occurring(report: Report, tell: _Tell) -> list[str]:
    return sorted({str(name) for row in report.rows for name in tell(row)})


def _moment(label: str, zone: str | None) -> datetime:
    """A day as its midnight, without a zone; an hour as a moment of the user's zone, or of UTC for local time."""
    if " " not in label:
        return datetime.fromisoformat(label)
    local = datetime.fromisoformat(label.removesuffix(_SECOND)).replace(fold=int(label.endswith(_SECOND)))
    user = zone_of(zone)
    return local.astimezone(UTC) if user is None else local.replace(tzinfo=user)


def _exact(amounts: Sequence[Decimal | None]) -> tuple[list[Decimal | None], int]:
    """Amounts with the same number of places, as many as they need, and how many those are."""
    needed = max((-int(one.as_tuple().exponent) for one in amounts if one is not None), default=_PLACES)
    places = min(max(needed, _PLACES), _MOST_PLACES)
    unit = EXACT.scaleb(Decimal(1), -places)
    return [None if one is None else EXACT.quantize(one, unit) for one in amounts], places


def _floats(values: Sequence[Any]) -> list[float | None]:
    return [None if one is None else float(one) for one in values]


def _in_utc(moments: Sequence[datetime]) -> list[datetime]:
    return [at.astimezone(UTC) for at in moments]


def pandas_of(report: Report, money: Money) -> Any:
    """A ``pandas.DataFrame``: nullable dtypes, ``Decimal`` objects for money where they are asked for.

    Raises:
        ConfigurationError: pandas is not there, or no such money.
    """
    _check(money)
    try:
        import pandas as pd
    except ImportError as error:
        raise ConfigurationError("to_pandas() needs pandas: pip install ctxkit[pandas]") from error

    def series(column: _Column) -> Any:
        values = column.cells
        if column.kind == "day":
            return pd.Series(values, dtype="datetime64[ns]")
        if column.kind == "hour":
            zone = report.timezone or "UTC"
            return pd.Series(pd.to_datetime(_in_utc(values), utc=True).as_unit("ns").tz_convert(zone))
        if column.kind == "money" and money == "decimal":
            return pd.Series(values, dtype=object)
        dtype = {"key": "string", "count": "Int64", "figure": "Float64", "money": "Float64"}[column.kind]
        return pd.Series(_floats(values) if dtype == "Float64" else values, dtype=dtype)

    columns = list(_columns(report))
    frame = pd.DataFrame({column.name: series(column) for column in columns}, columns=[one.name for one in columns])
    frame.attrs["currency"] = report.currency
    return frame


def polars_of(report: Report, money: Money) -> Any:
    """A ``polars.DataFrame``; its decimals are exact and can be computed with.

    Raises:
        ConfigurationError: polars is not there, or no such money.
    """
    _check(money)
    try:
        import polars as pl
    except ImportError as error:
        raise ConfigurationError("to_polars() needs polars: pip install ctxkit[polars]") from error

    def series(column: _Column) -> Any:
        name, values = column.name, column.cells
        if column.kind == "hour":
            told = pl.Series(name, _in_utc(values), dtype=pl.Datetime("us", "UTC"))
            return told.dt.convert_time_zone(report.timezone or "UTC")
        if column.kind == "money" and money == "decimal":
            amounts, places = _exact(values)
            return pl.Series(name, amounts, dtype=pl.Decimal(_DIGITS, places))
        kinds = {"key": pl.String, "day": pl.Datetime("us"), "count": pl.Int64}
        dtype: Any = kinds.get(column.kind, pl.Float64)
        return pl.Series(name, _floats(values) if dtype == pl.Float64 else values, dtype=dtype)

    return pl.DataFrame([series(column) for column in _columns(report)])


def _check(money: str) -> None:
    if money not in ("float", "decimal"):
        raise ConfigurationError(f'money is "float" or "decimal", not {money!r}')

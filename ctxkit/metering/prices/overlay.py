"""Price rows in TOML: what the price list lacks, and what the user knows better.

One form serves the overlay that comes with ctxkit (``data/prices.toml``), a user's own file and an imported LiteLLM
price map; ``docs/how-to/prices.md`` shows it. This module reads and checks rows; :mod:`ctxkit.metering.prices.draft` lays
them over a price.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ctxkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["FIELDS", "Layer", "Rate", "Row", "Times", "matches", "read_rows"]

DAY = 86_400
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

FIELDS: Mapping[str, str] = {
    "input": "fresh",
    "read": "read",
    "write": "written",
    "write_5m": "written.5m",
    "write_30m": "written.30m",
    "write_1h": "written.1h",
    "write_12h": "written.12h",
    "output": "output",
    "reasoning": "reasoning",
    "storage": "storage",
    "request": "request",
}
"""Names in a row and the buckets they price: USD per million tokens; ``storage`` per million tokens and hour of a
cache handle; ``request`` per thousand requests."""

_RATE_KEYS = {*FIELDS, "media", "calls"}
_ROW_KEYS = {
    *("provider", "model", "tier", "region", "valid_from", "valid_to", "hours", "days", "source", "as_of"),
    *("mode", "same_as", "same_provider", "factor", "context_window", "max_output"),
    *_RATE_KEYS,
}


@dataclass(frozen=True, slots=True)
class Times:
    """A rate given as a multiple of another one of the same tier: ``"2.5 x input"``."""

    factor: Decimal
    bucket: str


Rate: TypeAlias = Decimal | Times


@dataclass(frozen=True, slots=True)
class Row:
    """One row: whom it is about, when it holds, and what it says.

    Attributes:
        where: file, number and model, for messages.
        providers: provider ids; ``"*"`` for any.
        models: model ids, ``*`` standing for any run of characters.
        tiers: service tiers the row is about; ``"*"`` for any.
        regions: regions it is about (``!x`` for any named region but x); empty: whatever the region is.
        start: unix time from which it holds, or ``None``.
        end: unix time at which it ends, exclusive, or ``None``.
        hours: daily windows in seconds after midnight UTC; empty: all day.
        days: weekdays in UTC, Monday is 0; empty: every day.
        mode: ``"patch"`` changes what it names, ``"replace"`` forgets what was known first, ``"fill"`` is used only
            where nothing else has a price.
        same_as: the model whose prices these are (an alias or the name of a deployment).
        same_provider: the provider whose prices these are (a gateway in front of it).
        factor: what every token rate is multiplied by (surcharge or discount).
        rates: figures by prompt threshold (exclusive), 0 for the row itself.
    """

    where: str
    providers: tuple[str, ...]
    models: tuple[str, ...]
    tiers: tuple[str, ...]
    regions: tuple[str, ...] = ()
    start: float | None = None
    end: float | None = None
    hours: tuple[tuple[int, int], ...] = ()
    days: frozenset[int] = frozenset()
    mode: Literal["patch", "replace", "fill"] = "patch"
    same_as: str | None = None
    same_provider: str | None = None
    factor: Decimal | None = None
    rates: Mapping[int, Mapping[str, Rate]] = field(default_factory=dict)
    context_window: int | None = None
    max_output: int | None = None
    source: str = ""
    as_of: str | None = None

    @property
    def founds(self) -> bool:
        """The row alone makes a price: it says what input or output (or a request) costs."""
        base = self.rates.get(0, {})
        return any(isinstance(base.get(name), Decimal) for name in ("fresh", "output", "request"))

    @property
    def prices(self) -> bool:
        """The row changes a price, and not only what is told beside it."""
        same = self.same_as or self.same_provider
        return bool(same or self.factor is not None or self.rates.get(0) or len(self.rates) > 1)

    def active(self, at: float) -> bool:
        """The row holds at unix time ``at``."""
        if (self.start is not None and at < self.start) or (self.end is not None and at >= self.end):
            return False
        day, second = divmod(at, DAY)
        # 1 January 1970 was a Thursday.
        if self.days and (int(day) + 3) % 7 not in self.days:
            return False
        return not self.hours or any(_within(second, window) for window in self.hours)

    def edges(self, at: float) -> Iterable[float]:
        """Moments around ``at`` at which the row begins or ceases to hold."""
        yield from (edge for edge in (self.start, self.end) if edge is not None)
        marks = {0, *(second for window in self.hours for second in window)} if self.hours or self.days else set()
        midnight = at - at % DAY
        for day in (-1, 0, 1, 2):
            yield from (midnight + day * DAY + mark for mark in marks)


class Layer:
    """The rows of one file, in order, those of a plain model id at hand without a search.

    Args:
        rows: the rows.
        kind: ``"ctxkit"`` for the rows that come with it, ``"overrides"`` for the user's.
        path: the file; a digest of the user's stands in the name, so that a card says which version priced it.
    """

    def __init__(self, rows: Iterable[Row], kind: str, path: Path) -> None:
        self.rows = rows = tuple(rows)
        mark = max((row.as_of or "" for row in rows), default="") if kind == "ctxkit" else _digest(path)
        self.name = f"{kind}:{mark}"
        self._exact: dict[str, list[tuple[int, Row]]] = {}
        self._patterns: list[tuple[int, Row]] = []
        for n, row in enumerate(rows):
            for model in row.models:
                target = self._patterns if "*" in model else self._exact.setdefault(model, [])
                target.append((n, row))

    def about(self, providers: set[str], models: set[str], tier: str, region: str | None) -> Iterator[Row]:
        """Rows about any of these spellings in this tier and region, whether they hold now or not."""
        places = {n: row for model in models for n, row in self._exact.get(model, ())}
        places |= {
            n: row
            for n, row in self._patterns
            if any(matches(pattern, model) for pattern in row.models for model in models)
        }
        for _, row in sorted(places.items(), key=lambda place: place[0]):
            tiered = "*" in row.tiers or tier in row.tiers
            if tiered and _regional(row.regions, region) and ("*" in row.providers or providers & {*row.providers}):
                yield row


def _digest(path: Path) -> str:
    from hashlib import sha256

    return sha256(path.read_bytes()).hexdigest()[:8]


def _regional(regions: tuple[str, ...], region: str | None) -> bool:
    if not regions:
        return True
    name = (region or "").lower()
    return bool(name) and any(
        not matches(want[1:], name) if want.startswith("!") else matches(want, name) for want in regions
    )


def _within(second: float, window: tuple[int, int]) -> bool:
    start, end = window
    return start <= second < end if start < end else second >= start or second < end


def matches(pattern: str, text: str) -> bool:
    """``text`` fits ``pattern``, where ``*`` stands for any run of characters and nothing else is special."""
    return pattern == text if "*" not in pattern else _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=1024)  # a price file has dozens; each is held against every model that is asked for
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)


def read_rows(path: Path) -> tuple[Row, ...]:
    """Read a file of price rows.

    Raises:
        ConfigurationError: the file cannot be read or a row cannot work; the message names file and row.
    """
    import tomllib

    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: the price file cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: the price file is not TOML: {error}") from error
    unknown = sorted(set(data) - {"source", "as_of", "price"})
    rows = data.get("price", [])
    if unknown or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        what = f"{', '.join(unknown)} is not known here" if unknown else "`price` is not a list of tables"
        raise ConfigurationError(f"{path}: {what}; the file has `source`, `as_of` and rows that begin with [[price]]")
    shared: dict[str, Any] = {key: data[key] for key in ("source", "as_of") if key in data}
    return tuple(_row({"source": path.name, **shared, **row}, f"{path}, row {n}") for n, row in enumerate(rows, 1))


def _row(raw: dict[str, Any], where: str) -> Row:
    from ctxkit.metering.prices.names import provider_id, tier_name

    where = f"{where} ({raw.get('provider', '?')} / {raw.get('model', '?')})"
    _known(raw, _ROW_KEYS | {"beyond"}, where)
    start, end = _moment(raw, "valid_from", where), _moment(raw, "valid_to", where)
    if start is not None and end is not None and start >= end:
        raise _wrong(where, "valid_to is not after valid_from (valid_to is the first moment that is not meant)")
    same = _text(raw, "same_as", where) or _text(raw, "same_provider", where)
    row = Row(
        where=where,
        providers=tuple(name if name == "*" else provider_id(name) for name in _names(raw, "provider", where)),
        models=tuple(name.lower() for name in _names(raw, "model", where)),
        tiers=tuple(tier_name(name) for name in _names(raw, "tier", where, "*" if same else "standard")),
        regions=tuple(name.lower() for name in _names(raw, "region", where, "")),
        start=start,
        end=end,
        hours=tuple(_window(text, where) for text in _names(raw, "hours", where, "")),
        days=frozenset(_day(text, where) for text in _names(raw, "days", where, "")),
        mode=_mode(raw, where),
        same_as=_text(raw, "same_as", where),
        same_provider=provider_id(raw["same_provider"]) if _text(raw, "same_provider", where) else None,
        factor=_decimal(raw["factor"], "factor", where) if "factor" in raw else None,
        rates=_thresholds(raw, where),
        context_window=_count(raw, "context_window", where),
        max_output=_count(raw, "max_output", where),
        source=str(raw["source"]),
        as_of=str(raw["as_of"]) if "as_of" in raw else None,
    )
    return _sensible(row)


def _sensible(row: Row) -> Row:
    if not (row.prices or row.context_window or row.max_output):
        raise _wrong(row.where, "it says nothing; give a price such as input, or same_as, or factor")
    if (row.same_as or row.same_provider) and row.mode != "patch":
        raise _wrong(row.where, "it takes the prices of another model: leave `mode` out")
    if row.mode != "patch" and not row.founds:
        raise _wrong(row.where, f"mode {row.mode!r} needs a price of its own: give at least input or output")
    return row


def _thresholds(raw: Mapping[str, Any], where: str) -> Mapping[int, Mapping[str, Rate]]:
    rates = {0: _rates(raw, where)}
    tiers = raw.get("beyond", [])
    if not isinstance(tiers, list) or not all(isinstance(tier, dict) for tier in tiers):
        raise _wrong(where, "prices beyond a prompt length stand under [[price.beyond]]")
    for tier in tiers:
        _known(tier, _RATE_KEYS | {"above", "from"}, where)
        if ("above" in tier) == ("from" in tier):
            raise _wrong(where, "a [[price.beyond]] has either `above` (exclusive) or `from` (inclusive)")
        above = tier["above"] if "above" in tier else tier["from"] - 1 if isinstance(tier["from"], int) else 0
        if not isinstance(above, int) or isinstance(above, bool) or above <= 0 or above in rates:
            raise _wrong(where, "the threshold of a [[price.beyond]] is a whole number of tokens, each one once")
        rates[above] = _rates(tier, where)
    return dict(sorted(rates.items()))


def _rates(raw: Mapping[str, Any], where: str) -> Mapping[str, Rate]:
    rates: dict[str, Rate] = {FIELDS[key]: _rate(raw[key], key, where) for key in FIELDS if key in raw}
    for key, prefix in (("media", ""), ("calls", "call.")):
        table = raw.get(key, {})
        if not isinstance(table, dict):
            raise _wrong(where, f"{key} is a table of names and prices")
        rates |= {prefix + name: _decimal(value, f"{key}.{name}", where) for name, value in table.items()}
    return rates


def _rate(value: Any, key: str, where: str) -> Rate:
    times = (
        re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) x (input|read|write|output)", value) if isinstance(value, str) else None
    )
    return Times(Decimal(times[1]), FIELDS[times[2]]) if times else _decimal(value, key, where)


def _decimal(value: Any, key: str, where: str) -> Decimal:
    if isinstance(value, str) and re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        return Decimal(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Decimal(value)
    raise _wrong(where, f'{key} = {value!r} is not a price; write it as text, exactly: {key} = "0.25"')


def _names(raw: Mapping[str, Any], key: str, where: str, default: str | None = None) -> tuple[str, ...]:
    value = raw.get(key, default)
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise _wrong(where, f"{key} is a name or a list of names")
    return tuple(name for name in names if name)


def _text(raw: Mapping[str, Any], key: str, where: str) -> str | None:
    value = raw.get(key)
    if value is not None and (not isinstance(value, str) or not value):
        raise _wrong(where, f"{key} is a name")
    return value


def _count(raw: Mapping[str, Any], key: str, where: str) -> int | None:
    value = raw.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value <= 0):
        raise _wrong(where, f"{key} is a whole number of tokens")
    return value


def _mode(raw: Mapping[str, Any], where: str) -> Literal["patch", "replace", "fill"]:
    match raw.get("mode", "patch"):
        case "patch":
            return "patch"
        case "replace":
            return "replace"
        case "fill":
            return "fill"
    raise _wrong(where, "mode is patch, replace or fill")


def _moment(raw: Mapping[str, Any], key: str, where: str) -> float | None:
    value = raw.get(key)
    if value is None:
        return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        raise _wrong(where, f"{key} is a date or a moment without quotes, in UTC: {key} = 2026-12-01")
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()


def _window(text: str, where: str) -> tuple[int, int]:
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)", text)
    if not found:
        raise _wrong(where, f'{text!r} is no window of the day; write hours = ["01:00-04:00"], in UTC')
    a, b, c, d = map(int, found.groups())
    start, end = (a * 60 + b) * 60, (c * 60 + d) * 60
    if start == end or end > DAY:
        raise _wrong(where, f"{text!r} is no window of the day")
    return start, end


def _day(text: str, where: str) -> int:
    if text.lower() not in _DAYS:
        raise _wrong(where, f"{text!r} is no weekday; they are {', '.join(_DAYS)}")
    return _DAYS.index(text.lower())


def _known(raw: Mapping[str, Any], keys: set[str], where: str) -> None:
    if unknown := sorted(set(raw) - keys):
        raise _wrong(where, f"{', '.join(unknown)} is not known; known are {', '.join(sorted(keys))}")


def _wrong(where: str, what: str) -> ConfigurationError:
    return ConfigurationError(f"{where}: {what}")

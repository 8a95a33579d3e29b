"""Prices: resolved once per (platform, model, tier, region, window of time), then a look-up.

The list is genai-prices (https://github.com/pydantic/genai-prices), imported on the first card and never asked to
fetch anything. Over it lie the rows of ``data/prices.toml`` for what it lacks, and over those the user's own. This
module is the only one that knows genai-prices, and it uses only its public names: ``calc_price`` finds the model and
the rates that are active; the constraints of its rows say until when.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import ceil, inf
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.errors import ConfigurationError
from ctxkit.metering.prices.card import Card, charge, convert, storage_cost
from ctxkit.metering.prices.draft import Draft, lay, tiers_of
from ctxkit.metering.prices.names import (
    ALIASES,
    SELF_HOSTED,
    model_names,
    provider_id,
    tier_name,
    write_ttl,
    writes_unasked,
)
from ctxkit.metering.prices.overlay import Layer, Row, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from collections.abc import Set as AbstractSet
    from decimal import Decimal

    from genai_prices.types import ModelInfo, ModelPrice, PriceCalculation, PriceVariant

__all__ = [
    "BUNDLED",
    "PRICED",
    "Card",
    "Prices",
    "Window",
    "charge",
    "convert",
    "list_state",
    "load",
    "provider_names",
    "storage_cost",
    "tier_names",
]

BUNDLED = Path(__file__).parent.parent / "data" / "prices.toml"
"""The rows that come with ctxkit."""

_KINDS = ("text", "audio", "image", "video")

PRICED: Mapping[str, str] = {
    "input_mtok": "fresh",
    "cache_read_mtok": "read",
    "cache_write_mtok": "written",
    "cache_write_5m_mtok": "written.5m",
    "cache_write_1h_mtok": "written.1h",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    **{f"input_{kind}_mtok": f"{kind}.fresh" for kind in _KINDS},
    **{f"cache_{kind}_read_mtok": f"{kind}.read" for kind in _KINDS},
    **{f"output_{kind}_mtok": f"{kind}.output" for kind in _KINDS},
    "web_searches_kcount": "call.web_search",
    "storage_searches_kcount": "call.file_search",
    "code_executions_kcount": "call.code_execution",
    "social_searches_kcount": "call.x_search",
    "requests_kcount": "request",
}
"""Price keys of genai-prices and the buckets they price. Its other keys price what usage does not count: characters,
pages, hours of sound, citations."""

_WEEK = 7 * 86_400
_MOST = 4096  # cards remembered; a program that makes up model names must not fill the memory


class Prices:
    """Finds rate cards.

    Args:
        overrides: a TOML file of the user's own rows; it is read at once.
        currency: in what :meth:`money` speaks.
        rate: how much of ``currency`` one US dollar is; needed for any currency but USD.

    Raises:
        ConfigurationError: the file or the currency cannot work; the message says what to change.
    """

    def __init__(self, overrides: Path | None = None, currency: str = "USD", rate: Decimal | None = None) -> None:
        if rate is None and currency.upper() != "USD":
            raise ConfigurationError(f"currency {currency!r} needs a rate: how much of it one US dollar is")
        if rate is not None and not (rate.is_finite() and rate > 0):
            raise ConfigurationError(f"the rate {rate} of {currency} cannot be: it is how much of it one US dollar is")
        self.currency = currency.upper()
        self.rate = rate
        own = None if overrides is None else overrides.expanduser()
        self._own = None if own is None else Layer(read_rows(own), "overrides", own)
        self._layers: tuple[Layer, ...] = ()
        self._cards: dict[tuple[str, str, str | None, str | None], Window] = {}

    def card(
        self, platform: str, model: str, *, at: float, tier: str | None = None, region: str | None = None
    ) -> Card | None:
        """The rates of ``model`` on ``platform`` at unix time ``at``; ``None`` is UNKNOWN, never free.

        Unknown are a model that no source lists, whatever is self-hosted, a service tier without a price of its own,
        and a price that hangs on what usage does not show. The answer is remembered, an unknown one too, until the
        next known change of price.
        """
        return self.window(platform, model, at, tier, region)[0]

    def window(
        self, platform: str, model: str, at: float, tier: str | None = None, region: str | None = None
    ) -> Window:
        """The same with the stretch of time that it holds for, an unknown price too; see :meth:`card`."""
        key = (platform, model, tier, region)
        entry = self._cards.get(key)
        if entry is None or not entry[1] <= at < entry[2]:
            if len(self._cards) >= _MOST:
                self._cards.clear()
            entry = self._cards[key] = self._resolve(provider_id(platform), model, tier, region, at)
        return entry

    def money(self, pico: int) -> Decimal:
        """Pico-dollars in the configured currency: conversion happens here, at the edge, and nowhere else."""
        return convert(pico, self.rate)

    def scheduled(
        self, platform: str, model: str, *, at: float, until: float, tier: str | None = None, region: str | None = None
    ) -> Iterator[tuple[float, Card, Card | None]]:
        """Changes of price that are known to come: the moment, the card before it and the one from it on.

        ``None`` for a price that ends, and what follows is not known. Tariffs by hour or weekday are no changes; a model
        that has them is looked at in the same moment of each week.

        Args:
            platform: as for :meth:`card`.
            model: likewise.
            at: unix time after which a change counts.
            until: unix time up to which it does.
            tier: service tier.
            region: where it is served.
        """
        window = self.window(platform, model, at, tier, region)
        for edge in sorted({edge for edge in window.dates if at < edge <= until}):
            after = at + ceil((edge - at) / _WEEK) * _WEEK if window.hourly else edge
            before = max(at, after - _WEEK) if window.hourly else edge - 1
            old = self.card(platform, model, at=before, tier=tier, region=region)
            new = self.card(platform, model, at=after, tier=tier, region=region)
            if old is not None and (new is None or (old.tiers, old.storage) != (new.tiers, new.storage)):
                yield edge, old, new

    def _resolve(self, provider: str, model: str, tier: str | None, region: str | None, at: float) -> Window:
        wanted, names, home = tier_name(tier, provider), model_names(provider, model), provider
        edges: list[float] = []
        dates, hourly = set[float](), False
        for _, row in self._about({provider}, set(names), wanted, region):
            if (row.same_as or row.same_provider) and row.active(at):
                home = row.same_provider or provider
                names = model_names(home, row.same_as or model)
        listed = _find(home, names, wanted, at)
        draft = listed.draft() if listed else None
        hours = listed.edges if listed else ()
        spelt = {*model_names(provider, model), *names, *([listed.model.id.lower()] if listed else [])}
        place = ""
        for layer, row in self._about({provider, home}, spelt, wanted, region):
            edges += row.edges(at)
            dates |= {edge for edge in (row.start, row.end) if edge is not None}
            hourly = hourly or bool(row.hours or row.days)
            if row.active(at) and (row.founds or draft) and not (row.mode == "fill" and draft):
                draft = draft or Draft(names[0] if names else model)
                lay(draft, row, layer.name)
                place = f"/{region}" if row.regions else place
                hours = () if row.mode == "replace" else hours
        start = max((edge for edge in (*edges, *hours) if edge <= at), default=-inf)
        end = min((edge for edge in (*edges, *hours) if edge > at), default=inf)
        dates |= listed.dates if listed else frozenset()
        hourly = hourly or bool(listed and set(listed.edges) - listed.dates)
        return Window(_card(draft, home, wanted, place, start, end) if draft else None, start, end, dates, hourly)

    def rows(self) -> Iterator[Row]:
        """All rows, those that come with ctxkit first."""
        for layer in self._read():
            yield from layer.rows

    def _read(self) -> tuple[Layer, ...]:
        if not self._layers:
            bundled = Layer(read_rows(BUNDLED), "ctxkit", BUNDLED)
            self._layers = (bundled, self._own) if self._own else (bundled,)
        return self._layers

    def _about(
        self, providers: set[str], models: set[str], tier: str, region: str | None
    ) -> Iterator[tuple[Layer, Row]]:
        """Rows about a model, those that come with ctxkit first; whether they hold now is for the caller to see."""
        for layer in self._read():
            yield from ((layer, row) for row in layer.about(providers, models, tier, region))


class Window(NamedTuple):
    """A price and the stretch of time it holds for.

    Attributes:
        card: ``None``: unknown.
        start: unix time.
        end: exclusive.
        dates: at which something begins or ends for good, as far as is known.
        hourly: the price also goes by the hour or the weekday.
    """

    card: Card | None
    start: float
    end: float
    dates: AbstractSet[float]
    hourly: bool


def _card(draft: Draft, provider: str, tier: str, place: str, start: float, end: float) -> Card | None:
    ttl = write_ttl(provider, draft.model)
    tiers, storage = tiers_of(draft, ttl)
    if not any(one.rates for one in tiers):
        return None
    source = "+".join(draft.sources)
    since = "" if start == -inf else datetime.fromtimestamp(start, UTC).strftime("@%Y-%m-%dT%H:%MZ")
    return Card(
        id=f"{source}/{provider}/{draft.model}/{tier}{place}{since.removesuffix('T00:00Z')}",
        provider=provider,
        model=draft.model,
        tier=tier,
        source=source,
        as_of=draft.as_of,
        valid_from=None if start == -inf else start,
        valid_to=None if end == inf else end,
        tiers=tiers,
        storage=storage,
        context_window=draft.context_window,
        max_output=draft.max_output,
        automatic_writes=(ttl,) if "written" in tiers[0].rates and writes_unasked(provider, draft.model) else (),
    )


@dataclass(frozen=True, slots=True)
class _Listed:
    """What genai-prices says of a model at one moment in one tier, and when that may change."""

    provider: str
    model: ModelInfo
    price: ModelPrice
    tiered: bool
    source: str
    edges: tuple[float, ...]
    dates: frozenset[float]

    def draft(self) -> Draft | None:
        """The figures; ``None`` when the tier has no price here or the price hangs on what usage does not show."""
        if not self.tiered or self.price.output_citation_mtok is not None:
            return None
        figures = _figures(self.price)
        if self.provider == "openrouter" and "gemini" in self.model.id:
            # What stands there is five minutes of storage (1/12 of the hourly price), never a write rate.
            for rates in figures.values():
                rates.pop("written", None)
        if not any(figures.values()):
            return None
        return Draft(self.model.id, figures, self.model.context_window, sources=[self.source])


def load() -> None:
    """Import genai-prices here and now, without its data.

    It brings httpx2, and SDKs look into ``sys.modules`` for that without holding an import lock: while another thread
    is half way through importing it, openai 2 finds a module without names and breaks the user's call.
    """
    import genai_prices  # noqa: F401


def _find(provider: str, names: tuple[str, ...], tier: str, at: float) -> _Listed | None:
    if provider in SELF_HOSTED or not provider:
        return None
    import genai_prices

    moment, context = datetime.fromtimestamp(at, UTC), _context(tier)
    for name in names:
        try:
            found = genai_prices.calc_price(
                genai_prices.Usage(),
                name,
                provider_id=provider,
                genai_request_timestamp=moment,
                price_context=context,
            )
        except LookupError:
            continue
        except ValueError:  # rows that genai-prices itself finds contradictory
            return None
        # It matches provider ids loosely: "openai-compatible" would be taken for OpenAI.
        if found.provider.id != provider:
            return None
        tiered = not context or _prices_tier(found, context, moment)
        edges = tuple(_edges(found.model, context or {}, moment))
        dates = frozenset(edge for edge, dated in edges if dated)
        moments = tuple(edge for edge, _ in edges)
        return _Listed(provider, found.model, found.model_price, tiered, _source(found), moments, dates)
    return None


def _context(tier: str) -> dict[str, str] | None:
    """How genai-prices calls a tier; its rows ask for one key each, so a further key does no harm."""
    if tier == "standard":
        return None
    return {"processing": "batch"} if tier == "batch" else {"service_tier": tier, "speed": tier}


def _prices_tier(found: PriceCalculation, context: Mapping[str, str], moment: datetime) -> bool:
    """The model has a row for this tier at this moment; without one genai-prices gives the standard price.

    It does so too for a model found through another provider's list (OpenAI models on Azure).
    """

    def meant(variant: PriceVariant) -> bool:
        return _asked(variant, context) and (variant.constraint is None or variant.constraint.active(moment))

    own = any(found.model is model for model in found.provider.models)
    return own and any(map(meant, found.model.price_variants or ()))


def _asked(variant: PriceVariant, context: Mapping[str, str]) -> bool:
    return all(context.get(key) == value for key, value in variant.when.items())


def _source(found: PriceCalculation) -> str:
    import genai_prices

    updated = found.auto_update_timestamp
    return f"genai-prices:{genai_prices.__version__}" + (f".{updated:%Y%m%dT%H%M%S}" if updated else "")


def _figures(price: ModelPrice) -> dict[int, dict[str, Decimal]]:
    """USD by threshold and bucket: every tier complete, so that a request needs to look into one only."""
    from genai_prices.types import TieredPrices

    values = {bucket: value for key, bucket in PRICED.items() if (value := getattr(price, key)) is not None}
    starts = {tier.start for value in values.values() if isinstance(value, TieredPrices) for tier in value.tiers}
    figures: dict[int, dict[str, Decimal]] = {}
    for start in sorted({0, *starts}):
        figures[start] = {}
        for bucket, value in values.items():
            if isinstance(value, TieredPrices):
                reached = [tier.price for tier in value.tiers if tier.start <= start and start]
                figures[start][bucket] = reached[-1] if reached else value.base
            else:
                figures[start][bucket] = value
    return figures


def _edges(model: ModelInfo, context: Mapping[str, str], moment: datetime) -> Iterator[tuple[float, bool]]:
    """Moments around ``moment`` at which another row of the model may take over; whether that is for good."""
    from genai_prices.types import ModelPrice, StartDateConstraint, TimeOfDateConstraint

    rows = [] if isinstance(model.prices, ModelPrice) else model.prices
    constraints = [row.constraint for row in rows]
    constraints += [variant.constraint for variant in model.price_variants or () if _asked(variant, context)]
    for constraint in constraints:
        match constraint:
            case StartDateConstraint(start_date=start):
                yield _midnight(start), True
            case TimeOfDateConstraint(start_time=start_time, end_time=end_time):
                for days in (-1, 0, 1, 2):
                    day = (moment + timedelta(days=days)).date()
                    yield from ((_on(day, start_time), False), (_on(day, end_time), False))
            case _:
                pass


def _midnight(day: date) -> float:
    return _on(day, time())


def _on(day: date, hour: time) -> float:
    return datetime.combine(day, hour, hour.tzinfo or UTC).timestamp()


def tier_names(prices: Prices) -> tuple[str, ...]:
    """Service tiers that any price list or row knows, ``"standard"`` first."""
    from genai_prices.data_snapshot import get_snapshot

    keys = ("processing", "service_tier", "speed")
    variants = (
        one for maker in get_snapshot().providers for model in maker.models for one in model.price_variants or ()
    )
    found = {value for one in variants for key, value in one.when.items() if key in keys}
    found |= {tier for row in prices.rows() for tier in row.tiers if tier != "*"}
    return ("standard", *sorted({tier_name(tier) for tier in found} - {"standard"}))


def provider_names(prices: Prices) -> set[str]:
    """Names of platforms that any price list or row knows, in all their spellings, and those of one's own hardware."""
    from genai_prices.data_snapshot import get_snapshot

    listed = {one.id for one in get_snapshot().providers} | SELF_HOSTED | set(ALIASES)
    return listed | {name for row in prices.rows() for name in row.providers if name != "*"}


def list_state(at: float) -> tuple[str, date | None]:
    """Version of genai-prices, and the newest change of a price it knows that had begun by ``at``.

    The package carries no date of its own; the second figure says how fresh its data are at least.
    """
    import genai_prices
    from genai_prices.data_snapshot import get_snapshot

    today = datetime.fromtimestamp(at, UTC).date()
    rows: list[object] = []
    for provider in get_snapshot().providers:
        for model in provider.models:
            rows += [*(model.prices if isinstance(model.prices, list) else ()), *(model.price_variants or ())]
    starts = [getattr(getattr(row, "constraint", None), "start_date", None) for row in rows]
    return genai_prices.__version__, max((day for day in starts if day is not None and day <= today), default=None)

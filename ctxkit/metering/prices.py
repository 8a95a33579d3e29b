"""Prices: resolved once per (platform, model, tier, region, window of time), then a look-up.

The list is genai-prices (https://github.com/pydantic/genai-prices), imported on the first card and never asked to
fetch anything. Over it lie the rows of ``data/prices.toml`` for what it lacks, and over those the user's own. This
module is the only one that knows genai-prices, and it uses only its public names: ``calc_price`` finds the model and
the rates that are active, ``ConditionalPrice`` and ``PriceVariant`` say until when.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctxkit.errors import ConfigurationError
from ctxkit.metering.card import Card, convert
from ctxkit.metering.draft import Draft, lay, tiers_of
from ctxkit.metering.overlay import Row, matches, read_rows
from ctxkit.metering.pricenames import SELF_HOSTED, model_names, provider_id, tier_name, write_ttl

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, PriceCalculation, TieredPrices

__all__ = ["BUNDLED", "PRICED", "Prices"]

BUNDLED = Path(__file__).parent / "data" / "prices.toml"
"""The rows that come with ctxkit."""

PRICED: Mapping[str, str] = {
    "input_mtok": "fresh",
    "cache_read_mtok": "read",
    "cache_write_mtok": "written",
    "cache_write_5m_mtok": "written.5m",
    "cache_write_1h_mtok": "written.1h",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    **{f"input_{kind}_mtok": f"{kind}.fresh" for kind in ("text", "audio", "image", "video")},
    **{f"cache_{kind}_read_mtok": f"{kind}.read" for kind in ("text", "audio", "image", "video")},
    **{f"output_{kind}_mtok": f"{kind}.output" for kind in ("text", "audio", "image", "video")},
    "web_searches_kcount": "call.web_search",
    "storage_searches_kcount": "call.file_search",
    "code_executions_kcount": "call.code_execution",
    "social_searches_kcount": "call.x_search",
    "requests_kcount": "request",
}
"""Price keys of genai-prices and the buckets they price; the other keys price what usage does not count (characters,
pages, hours of sound)."""

_UNSEEN = "output_citation_mtok"
_MOST = 4096
_Key = tuple[str, str, str | None, str | None]
_Entry = tuple[Card | None, float, float]


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
        if currency.upper() != "USD" and rate is None:
            raise ConfigurationError(f"currency {currency!r} needs a rate: how much of it one US dollar is")
        if rate is not None and not rate > 0:
            raise ConfigurationError(f"the rate of {currency} is {rate}; it is how much of it one US dollar is")
        self.currency = currency.upper()
        self.rate = rate
        self._own = _Rows(read_rows(overrides), f"overrides:{_digest(overrides)}") if overrides is not None else None
        self._layers: tuple[_Rows, ...] | None = None
        self._cards: dict[_Key, _Entry] = {}

    def card(
        self, platform: str, model: str, *, at: float, tier: str | None = None, region: str | None = None
    ) -> Card | None:
        """The rates of ``model`` on ``platform`` at unix time ``at``; ``None`` is UNKNOWN, never free.

        Unknown are: a model that no source lists, whatever is self-hosted, a service tier that has no price of its
        own there, and prices that depend on what usage does not show. An answer is remembered, unknown ones too, until
        the next known change of price.
        """
        key = (platform, model, tier, region)
        entry = self._cards.get(key)
        if entry is None or not entry[1] <= at < entry[2]:
            if len(self._cards) >= _MOST:
                self._cards.clear()
            entry = self._cards[key] = self._resolve(provider_id(platform), model, tier, region, at)
        return entry[0]

    def money(self, pico: int) -> Decimal:
        """Pico-dollars in the configured currency; conversion happens here, at the edge, and nowhere else."""
        return convert(pico, self.rate)

    def upcoming(
        self, platform: str, model: str, *, at: float, days: int = 14, tier: str | None = None
    ) -> Card | None:
        """The card of the same hour within ``days`` whose rates differ from those at ``at``: a scheduled change.

        ``days`` is best a multiple of seven, so that weekday tariffs are not taken for a change.
        """
        now = self.card(platform, model, at=at, tier=tier)
        later = self.card(platform, model, at=at + days * 86_400, tier=tier)
        if now is None or later is None or (now.tiers, now.storage) == (later.tiers, later.storage):
            return None
        return later

    def _resolve(self, provider: str, model: str, tier: str | None, region: str | None, at: float) -> _Entry:
        layers = self._rows()
        names = model_names(provider, model)
        wanted = tier_name(tier, provider)
        edges = [-inf, inf]
        alias = _alias(layers, provider, names, at, edges)
        found = _Listed.find(provider, model_names(provider, alias) if alias else names, wanted, at)
        edges += found.edges(at) if found else ()
        draft = found.draft() if found else None
        known = {*names, *(model_names(provider, alias) if alias else ()), *([found.model.id.lower()] if found else [])}
        for layer in layers:
            for row in layer.about(provider, known, wanted, region):
                edges += row.edges(at)
                if row.active(at) and (draft is not None or row.founds) and not (row.mode == "fill" and draft):
                    draft = draft or Draft(names[0] if names else model)
                    lay(draft, row, layer.name)
        start, end = max(edge for edge in edges if edge <= at), min(edge for edge in edges if edge > at)
        return _card(draft, provider, wanted, region, start, end), start, end

    def _rows(self) -> tuple[_Rows, ...]:
        if self._layers is None:
            rows = read_rows(BUNDLED)
            bundled = _Rows(rows, f"ctxkit:{max((row.as_of or '' for row in rows), default='')}")
            self._layers = (bundled, self._own) if self._own else (bundled,)
        return self._layers


class _Rows:
    """The rows of one file, in order, with those of one plain model id at hand without a search."""

    def __init__(self, rows: Iterable[Row], name: str) -> None:
        self.name = name
        self._exact: dict[str, list[tuple[int, Row]]] = {}
        self._patterns: list[tuple[int, Row]] = []
        for place in enumerate(rows):
            for model in place[1].models:
                target = self._patterns if "*" in model else self._exact.setdefault(model, [])
                target.append(place)

    def about(self, provider: str, models: set[str], tier: str, region: str | None) -> list[Row]:
        """Rows about any of these spellings, in the order of the file, whether they hold now or not."""
        return [
            row
            for row in self._of(provider, models)
            if ("*" in row.tiers or tier in row.tiers) and _regional(row.regions, region)
        ]

    def aliases(self, provider: str, models: Iterable[str]) -> list[Row]:
        """Rows that say that one of these models costs what another one does."""
        return [row for row in self._of(provider, set(models)) if row.same_as]

    def _of(self, provider: str, models: set[str]) -> Iterator[Row]:
        places = {n: row for model in models for n, row in self._exact.get(model, ())}
        places |= {
            n: row for n, row in self._patterns if any(matches(p, model) for p in row.models for model in models)
        }
        yield from (row for _, row in sorted(places.items()) if "*" in row.providers or provider in row.providers)


class _Listed:
    """A model that genai-prices lists, with the rates that are active at one moment in one tier."""

    def __init__(self, found: PriceCalculation, context: Mapping[str, str]) -> None:
        self.model: ModelInfo = found.model
        self.found = found
        self.context = context

    @classmethod
    def find(cls, provider: str, names: tuple[str, ...], tier: str, at: float) -> _Listed | None:
        if not names or not provider or provider in SELF_HOSTED:
            return None
        import genai_prices

        context = _context(tier)
        moment = datetime.fromtimestamp(at, UTC)
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
            except ValueError:  # a row that genai-prices itself finds contradictory
                return None
            # Provider ids are matched loosely there: "openai-compatible" would be taken for OpenAI.
            return cls(found, context) if found.provider.id == provider else None
        return None

    def draft(self) -> Draft | None:
        """The active figures; ``None`` when this tier has no price here, or not one that usage can be held against."""
        price = self.found.model_price
        if (self.context and not self._tier_is_priced()) or getattr(price, _UNSEEN) is not None:
            return None
        draft = Draft(self.model.id, context_window=self.model.context_window, sources=[_version(self.found)])
        draft.tiers = _figures(price)
        if self.found.provider.id == "openrouter" and self.model.id.startswith(("google/", "~google/")):
            # These are five minutes of storage (1/12 of the hour), never a write rate.
            for figures in draft.tiers.values():
                figures.pop("written", None)
        return draft if any(draft.tiers.values()) else None

    def _tier_is_priced(self) -> bool:
        # A model found through another provider's list has no tiers here: genai-prices then ignores the context.
        own = any(self.model is model for model in self.found.provider.models)
        at = self._moment_of
        return own and any(
            all(self.context.get(key) == value for key, value in variant.when.items())
            and (variant.constraint is None or variant.constraint.active(at))
            for variant in self.model.price_variants or ()
        )

"""The price list, genai-prices: the only module that knows it, and it uses only its public names.

``calc_price`` finds the model and the rates that are active; the constraints of its rows say until when.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from ctxkit.metering.prices.draft import Draft
from ctxkit.metering.prices.names import ALIASES, SELF_HOSTED, tier_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from genai_prices.types import ModelInfo, ModelPrice, PriceCalculation, PriceVariant

    from ctxkit.metering.prices import Prices

__all__ = ["PRICED", "Listed", "find", "list_state", "load", "provider_names", "tier_names"]

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


@dataclass(frozen=True, slots=True)
class Listed:
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


def find(provider: str, names: tuple[str, ...], tier: str, at: float) -> Listed | None:
    """The first of these spellings that the list knows; ``None``: none of them, or nobody could price it."""
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
        return Listed(provider, found.model, found.model_price, tiered, _source(found), moments, dates)
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

"""A price in the making: list figures in exact decimals, rows laid over them, a card in whole numbers at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from ctxkit.metering.prices.card import Tier, to_pico
from ctxkit.metering.prices.overlay import Rate, Row, Times
from ctxkit.money import EXACT

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Draft", "lay", "tiers_of"]

_MILLION = 1_000_000
_THOUSAND = 1_000
_UNSCALED = ("storage", "request", "call.")


@dataclass(slots=True)
class Draft:
    """USD figures by prompt threshold (exclusive; 0 is the first tier) and bucket, as price lists write them."""

    model: str
    tiers: dict[int, dict[str, Decimal]] = field(default_factory=lambda: {0: {}})
    context_window: int | None = None
    max_output: int | None = None
    sources: list[str] = field(default_factory=list)
    as_of: str | None = None


def lay(draft: Draft, row: Row, source: str) -> None:
    """Lay one row over a draft. Figures of the row itself hold for prompts of every length.

    A threshold's figures hold from that length on; what it does not name stays as it was at that length.
    """
    if row.mode != "patch":
        draft.tiers, draft.sources = {0: {}}, []
    for above in row.rates:
        _split(draft.tiers, above)
    for above, rates in row.rates.items():
        for start, figures in draft.tiers.items():
            if start >= above:
                _put(figures, rates)
    if row.factor is not None:
        for figures in draft.tiers.values():
            scaled = {name: usd for name, usd in figures.items() if not name.startswith(_UNSCALED)}
            figures |= {name: EXACT.multiply(usd, row.factor) for name, usd in scaled.items()}
    draft.context_window = row.context_window or draft.context_window
    draft.max_output = row.max_output or draft.max_output
    if row.prices and source not in draft.sources:
        draft.sources.append(source)
    if row.founds:
        draft.as_of = row.as_of


def _split(tiers: dict[int, dict[str, Decimal]], above: int) -> None:
    if above not in tiers:
        below = max(start for start in tiers if start < above)
        tiers[above] = dict(tiers[below])


def _put(figures: dict[str, Decimal], rates: Mapping[str, Rate]) -> None:
    figures |= {name: rate for name, rate in rates.items() if isinstance(rate, Decimal)}
    for name, rate in rates.items():
        if isinstance(rate, Times) and rate.bucket in figures:
            figures[name] = EXACT.multiply(figures[rate.bucket], rate.factor)


def tiers_of(draft: Draft, ttl: str) -> tuple[tuple[Tier, ...], int | None]:
    """The draft's tiers in integer pico-dollars, and what a handle costs to hold per token and hour.

    Args:
        draft: the figures.
        ttl: time to live of the provider's ordinary cache write; the plain write rate is listed under it too.
    """
    tiers = []
    for above, figures in sorted(draft.tiers.items()):
        rates = {name: _whole(name, usd) for name, usd in figures.items() if name != "storage"}
        if "written" in rates:
            rates.setdefault("written." + ttl, rates["written"])
        tiers.append(Tier(above, rates))
    storage = draft.tiers[0].get("storage")
    return tuple(tiers), None if storage is None else to_pico(storage, _MILLION)


def _whole(name: str, usd: Decimal) -> int:
    return to_pico(usd, _THOUSAND if name == "request" or name.startswith("call.") else _MILLION)

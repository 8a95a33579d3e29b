"""Prices: resolved once per (platform, model, tier, region, window of time), then a look-up.

The list is genai-prices (https://github.com/pydantic/genai-prices), imported on the first card and never asked to
fetch anything (:mod:`.listed`). Over it lie the rows of ``data/prices.toml`` for what it lacks, and over those the
user's own.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from math import ceil, inf
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.errors import ConfigurationError
from ctxkit.metering.prices.card import Card, charge, convert
from ctxkit.metering.prices.draft import Draft, lay, tiers_of
from ctxkit.metering.prices.listed import PRICED, find, list_state, load, provider_names, tier_names
from ctxkit.metering.prices.names import model_names, provider_id, tier_name, write_ttl, writes_unasked
from ctxkit.metering.prices.overlay import Layer, Row, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet
    from decimal import Decimal

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
    "tier_names",
]

BUNDLED = Path(__file__).parent.parent / "data" / "prices.toml"
"""The rows that come with ctxkit."""

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
        listed = find(home, names, wanted, at)
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
        for layer in self._layers():
            yield from layer.rows

    def _layers(self) -> tuple[Layer, ...]:
        return (_bundled(), self._own) if self._own else (_bundled(),)

    def _about(
        self, providers: set[str], models: set[str], tier: str, region: str | None
    ) -> Iterator[tuple[Layer, Row]]:
        """Rows about a model, those that come with ctxkit first; whether they hold now is for the caller to see."""
        for layer in self._layers():
            yield from ((layer, row) for row in layer.about(providers, models, tier, region))


@cache
def _bundled() -> Layer:
    """The rows that come with ctxkit: a dozen milliseconds to read, so once for all kits of a process."""
    return Layer(read_rows(BUNDLED), "ctxkit", BUNDLED)


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

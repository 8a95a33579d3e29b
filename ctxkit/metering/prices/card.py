"""Rate cards: what one model costs at one moment, in whole numbers, and what a usage costs by it.

All money here is an integer number of pico-dollars (1e-12 USD): 1 USD per million tokens is 1,000,000 pico-dollars
per token, so nearly every list price is a whole number and sums are exact. Nano-dollars would be too coarse: 233 of
the 6,991 rates of genai-prices 0.2.3 are no whole number of them. ``Decimal`` begins where people read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctxkit.money import EXACT, PICO, usd_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from ctxkit.model import Usage

__all__ = ["Card", "Tier", "charge", "convert", "missed", "region_of", "to_pico"]


@dataclass(frozen=True, slots=True)
class Tier:
    """The rates of every request whose whole prompt is longer than ``above`` tokens.

    A cliff moves *every* token of the request, not just those beyond the threshold.

    Attributes:
        above: the threshold, exclusive (an inclusive one of 200,000 is written 199,999); 0 for the first tier.
        rates: integer pico-dollars by bucket: per token for ``"fresh"``, ``"read"``, ``"written.5m"``,
            ``"written.30m"``, ``"written.1h"``, ``"written.12h"``, ``"output"``, ``"reasoning"`` and the media
            buckets of :class:`~ctxkit.model.Usage` (``"audio.fresh"``, ``"image.output"``, ...); per call for
            ``"call.NAME"`` by the names of ``Usage.calls``; ``"request"`` once per request. ``"written"`` is the
            provider's ordinary write, whichever short time to live it has. What is not there has no known price.
    """

    above: int
    rates: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Card:
    """The prices of one (provider, model, service tier, region) that hold for a window of time.

    Attributes:
        id: names source, provider, model, tier and window; it stands in every ledger row, so that history can be
            priced again: ``"genai-prices:0.2.3/anthropic/claude-sonnet-4-6/standard@2026-03-13"``.
        provider: whose price list it is.
        model: the model of that list that was matched.
        tier: service tier that is priced (``"standard"``, ``"batch"``, ``"flex"``, ``"priority"``, ``"fast"``, ...).
        source: where the figures come from.
        as_of: ISO date at which a person checked them, where the source says so.
        valid_from: unix time in seconds from which the card holds; ``None``: as far back as is known.
        valid_to: unix time at which it ends (exclusive), a known change of price or of the hour's tariff; ``None``:
            no end is known.
        tiers: rates by prompt length, ascending; the first one starts at 0.
        storage: pico-dollars per token and hour of an explicit cache handle; ``None`` where none is known.
        context_window: most tokens that fit, where known.
        max_output: most tokens of one answer, where known.
        automatic_writes: times to live of the cache writes that are billed without being asked for.
    """

    id: str
    provider: str
    model: str
    tier: str
    source: str
    as_of: str | None
    valid_from: float | None
    valid_to: float | None
    tiers: tuple[Tier, ...]
    storage: int | None = None
    context_window: int | None = None
    max_output: int | None = None
    automatic_writes: tuple[str, ...] = ()

    def rates(self, input_total: int) -> Mapping[str, int]:
        """The rates of a request whose whole prompt (fresh, read and written) has ``input_total`` tokens."""
        for tier in reversed(self.tiers):
            if input_total > tier.above:
                return tier.rates
        return self.tiers[0].rates


def region_of(card: str) -> str | None:
    """What stands at the end of a card's id, where it names one: its region, if it has one, or else its tier."""
    return card.partition("@")[0].rpartition("/")[2] or None


def charge(card: Card, usage: Usage) -> int | None:
    """What ``usage`` costs by ``card``, in pico-dollars, exactly.

    ``None`` when it cannot be known: a bucket that has tokens (or a call that was made) has no rate, or the input or
    output count itself is unknown. A partial price is unknown, not complete. Tokens of a modality that the price
    list does not tell apart cost what their bucket costs. A write whose rate is not listed under its own short time
    to live (5 or 30 minutes) costs the provider's ordinary write.
    """
    fresh, output = usage.fresh, usage.output
    if fresh is None or output is None:
        return None
    read, written = usage.read or 0, usage.written
    rates = card.tiers[0].rates
    if len(card.tiers) > 1:
        rates = card.rates(fresh + read + (sum(written.values()) if written else 0))
    try:
        pico = rates.get("request", 0)
        if fresh:
            pico += fresh * rates["fresh"]
        if read:
            pico += read * rates["read"]
        if output:
            pico += output * rates["output"]
        if written:
            pico += _written(rates, written)
        if usage.reasoning and "reasoning" in rates:
            pico += _moved(rates, "reasoning", "output", usage.reasoning, output)
        if usage.media:
            pico += _media(rates, usage)
        if usage.calls:
            pico += sum(count * rates["call." + name] for name, count in usage.calls.items() if count)
    except KeyError:  # a bucket with tokens and without a rate
        return None
    return pico


def _written(rates: Mapping[str, int], written: Mapping[str, int]) -> int:
    pico = 0
    for ttl, tokens in written.items():
        if tokens:
            rate = rates.get("written." + ttl)
            if rate is None and ttl in ("5m", "30m"):
                # An answer that names no time to live is filed under the dialect's short default.
                rate = rates["written"]
            if rate is None:
                raise KeyError(ttl)
            pico += tokens * rate
    return pico


def _media(rates: Mapping[str, int], usage: Usage) -> int:
    pico = 0
    for name, tokens in usage.media.items():
        if tokens and name in rates:
            bucket = name.partition(".")[2]
            pico += _moved(rates, name, bucket, tokens, _tokens(usage, bucket))
    return pico


def _moved(rates: Mapping[str, int], name: str, bucket: str, tokens: int, whole: int) -> int:
    """The difference when ``tokens`` of a bucket cost their own rate; KeyError when the bucket has fewer."""
    if tokens > whole:
        raise KeyError(name)
    return tokens * (rates[name] - rates[bucket])


def _tokens(usage: Usage, bucket: str) -> int:
    if bucket.startswith("written."):
        return (usage.written or {}).get(bucket.removeprefix("written."), 0)
    return {"fresh": usage.fresh, "read": usage.read, "output": usage.output}.get(bucket) or 0


def missed(card: Card, usage: Usage, tokens: int) -> int | None:
    """What ``tokens`` that were not read cost more than reading them would have, in pico-dollars, exactly.

    They were written again, the dearest lives first, and what was not written was fresh. ``None`` when a price that
    this takes is unknown; negative where a read costs more than what came in its place.
    """
    rates, pico, left = card.rates(usage.input_total or 0), 0, tokens
    written = {ttl: count for ttl, count in (usage.written or {}).items() if count > 0}
    try:
        for ttl in sorted(written, key=lambda ttl: -_written(rates, {ttl: 1})):
            again = min(left, written[ttl])
            pico += _written(rates, {ttl: again})
            left -= again
        return pico + (left * rates["fresh"] if left else 0) - tokens * rates["read"]
    except KeyError:
        return None


def convert(pico: int, rate: Decimal | None = None) -> Decimal:
    """Pico-dollars as USD, or in another currency when one dollar is ``rate`` of it."""
    usd = usd_of(pico)
    return usd if rate is None else EXACT.multiply(usd, rate)


def to_pico(usd: Decimal, per: int) -> int:
    """A list price of ``usd`` per ``per`` units as pico-dollars per unit.

    A rate that is no whole number of pico-dollars is rounded half to even: 28 of the 6,991 rates in genai-prices
    0.2.3 are such, all float noise or repeating decimals in their source.
    """
    return int(EXACT.to_integral_value(EXACT.divide(EXACT.multiply(usd, PICO), per)))

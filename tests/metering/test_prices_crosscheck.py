"""Our integer cards against genai-prices' own arithmetic: equal to the pico-dollar, model by model.

Where the two differ on purpose, the reason has a name here (``differs``), and a test of its own elsewhere.
"""

from datetime import UTC, datetime
from decimal import Decimal

import genai_prices
import pytest
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelPrice, TieredPrices

from ctxkit.metering.prices import PRICED, Prices, charge
from ctxkit.metering.prices.card import to_pico
from ctxkit.model import Usage

MOMENTS = {
    "today": datetime(2026, 11, 20, 12, tzinfo=UTC),
    "last year": datetime(2025, 11, 3, 5, tzinfo=UTC),
    "a peak hour": datetime(2026, 11, 19, 7, 30, tzinfo=UTC),
    "next year": datetime(2027, 2, 1, tzinfo=UTC),
}
TIERS = {"batch": {"processing": "batch"}, "flex": {"service_tier": "flex"}, "priority": {"service_tier": "priority"}}
# (fresh, read, written for the short life, written for an hour, output)
SHAPES = ((1_000, 0, 0, 0, 77), (120, 8_000, 3_001, 513, 500), (250_000, 90_000, 1, 2, 3), (700_003, 0, 0, 0, 9))

REPLACED = {("deepseek", model) for model in ("deepseek-chat", "deepseek-reasoner")} | {("mistral", "mistral-large")}
WEEKEND = {("deepseek", model) for model in ("deepseek-v4-pro", "deepseek-v4-flash", "deepseek-flash")}


def models():
    return [(provider, model) for provider in get_snapshot().providers for model in provider.models]


def differs(found, moment):
    """Why ours is meant to differ from genai-prices, or None."""
    where = (found.provider.id, found.model.id)
    price = found.model_price
    if where in REPLACED:
        return "a stale row, replaced by data/prices.toml"
    if where in WEEKEND and moment < datetime(2026, 9, 10, tzinfo=UTC):
        return "its peak hours also stand before there was a peak"
    if price.output_citation_mtok is not None:
        return "bills citations, which usage does not count"
    if price.input_mtok is None:
        return "a price that is not by tokens"
    return None


def rounding(price, usage):
    """Pico-dollars that rounding may cost: half of one a token, where a rate is no whole number of them."""
    uneven = any(rate * 10**12 % 1 for rate in pico_rates(price))
    return Decimal(usage.input_total + usage.output) / 2 if uneven else 0


def pico_rates(price):
    for key in PRICED:
        value = getattr(price, key)
        if value is not None:
            per = 1_000 if key.endswith("kcount") else 1_000_000
            figures = (
                [value.base, *(tier.price for tier in value.tiers)] if isinstance(value, TieredPrices) else [value]
            )
            yield from (figure / per for figure in figures)


def usages(card, price, provider, model):
    """The same usage in both forms, in the buckets that both have a price for."""
    short = next((name for name in ("5m", "30m") if "written." + name in card.tiers[0].rates), None)
    priced = (True, price.cache_read_mtok, short, price.cache_write_1h_mtok, price.output_mtok)
    for shape in SHAPES:
        fresh, read, written, hour, output = (
            n if rate is not None else 0 for n, rate in zip(shape, priced, strict=True)
        )
        theirs = {"input_tokens": fresh + read + written + hour, "output_tokens": output}
        theirs |= {"cache_read_tokens": read} if read else {}
        theirs |= {"cache_write_tokens": written + hour} if written + hour else {}
        theirs |= {"cache_write_1h_tokens": hour} if hour else {}
        ours = Usage(fresh=fresh, read=read, written={short or "5m": written, "1h": hour}, output=output)
        yield ours, genai_prices.Usage(**theirs)


def compare(prices, provider, model, moment, tier=None):
    """(bills compared, reason why not, difference)."""
    context = TIERS.get(tier)
    try:
        price = genai_prices.calc_price(
            genai_prices.Usage(),
            model.id,
            provider_id=provider.id,
            genai_request_timestamp=moment,
            price_context=context,
        )
    except LookupError:
        return 0, "genai-prices does not find it under its own id", None
    card = prices.card(provider.id, model.id, at=moment.timestamp(), tier=tier)
    reason = differs(price, moment)
    if reason is None and card is None and tier is not None and not priced_tier(price, context, moment):
        reason = "no row for the tier: unknown here, the standard price there"
    if reason is not None:
        return 0, reason, None
    if card is None:
        return 0, None, f"{provider.id}/{model.id} {tier} {moment}: no card"
    n = 0
    for ours, theirs in usages(card, price.model_price, provider, model):
        bill = genai_prices.calc_price(
            theirs, model.id, provider_id=provider.id, genai_request_timestamp=moment, price_context=context
        )
        if abs(charge(card, ours) - bill.total_price * 10**12) > rounding(price.model_price, ours):
            return n, None, f"{card.id} {ours}: {charge(card, ours)} here, {bill.total_price} USD there"
        n += 1
    return n, None, None


def priced_tier(price, context, moment):
    return any(price.model is model for model in price.provider.models) and any(
        all(context.get(key) == value for key, value in variant.when.items())
        and (variant.constraint is None or variant.constraint.active(moment))
        for variant in price.model.price_variants or ()
    )


def sweep(choice, moments, tiers):
    prices, compared, reasons, wrong = Prices(), 0, {}, []
    for provider, model in choice:
        for moment in moments:
            for tier in tiers:
                n, reason, difference = compare(prices, provider, model, moment, tier)
                compared += n
                if reason:
                    reasons[reason] = reasons.get(reason, 0) + 1
                if difference:
                    wrong.append(difference)
    print(f"\n{compared:,} bills compared; left out: {reasons}")
    return compared, reasons, wrong


@pytest.mark.slow
def test_every_model_costs_to_the_pico_what_genai_prices_says():
    compared, reasons, wrong = sweep(models(), [MOMENTS["today"]], [None])
    assert not wrong, wrong[:5]
    assert compared > 8_000
    assert sum(reasons.values()) < 320, reasons


def test_tiers_cost_to_the_pico_what_genai_prices_says():
    choice = [(provider, model) for provider, model in models() if model.price_variants]
    compared, _, wrong = sweep(choice, [MOMENTS["today"]], TIERS)
    assert not wrong, wrong[:5]
    assert compared > 500


@pytest.mark.slow
def test_every_model_at_every_moment_in_every_tier():
    compared, _, wrong = sweep(models(), MOMENTS.values(), [None, *TIERS])
    assert not wrong, wrong[:5]
    assert compared > 30_000


def test_the_dated_rows_agree_with_the_list_at_every_change():
    """Just before and at each moment at which genai-prices changes a price, the card that was kept is the right one."""
    prices = Prices()
    for provider, model in models():
        if provider.id in {"deepseek", "openrouter"} or isinstance(model.prices, ModelPrice):
            continue
        for row in model.prices:
            if start := getattr(row.constraint, "start_date", None):
                change = datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp()
                for moment in (change - 1, change):
                    _, _, difference = compare(prices, provider, model, datetime.fromtimestamp(moment, UTC))
                    assert difference is None, difference


def test_rates_are_rounded_half_to_even_and_only_the_known_few():
    assert to_pico(Decimal("0.1375"), 1_000_000) == 137_500
    assert [to_pico(Decimal(n) / 10, 10**12) for n in (5, 15, 25, 26)] == [0, 2, 2, 3]
    rates = [rate for _, model in models() for price in rows(model) for rate in pico_rates(price)]
    uneven = [rate for rate in rates if rate * 10**12 != (rate * 10**12).to_integral_value()]
    assert len(rates) > 6_000
    assert 0 < len(uneven) < 60, len(uneven)


def rows(model):
    yield from [model.prices] if isinstance(model.prices, ModelPrice) else [row.prices for row in model.prices]
    yield from (variant.prices for variant in model.price_variants or ())

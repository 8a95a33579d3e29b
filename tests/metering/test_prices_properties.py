"""What must hold of every charge, whatever the card and the usage."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxkit.metering.prices import Prices
from ctxkit.metering.prices.card import Card, Tier, charge, convert
from ctxkit.metering.prices.names import model_names, provider_id, tier_name
from ctxkit.model import Usage

counts = st.integers(0, 2_000_000)
rates = st.integers(0, 10**10)
BUCKETS = ("fresh", "read", "written.5m", "written.1h", "output")


def card(*tiers):
    return Card("id", "p", "m", "standard", "test", None, None, None, tuple(tiers))


@st.composite
def cards(draw):
    tables = [{name: draw(rates) for name in BUCKETS} for _ in range(draw(st.integers(1, 3)))]
    starts = [0, *sorted(draw(st.sets(st.integers(1, 3_000_000), min_size=len(tables) - 1, max_size=len(tables) - 1)))]
    return card(*(Tier(start, table) for start, table in zip(starts, tables, strict=True)))


usages = st.builds(
    lambda fresh, read, short, hour, output: Usage(
        fresh=fresh, read=read, written={"5m": short, "1h": hour}, output=output
    ),
    *(counts,) * 5,
)


@given(cards(), usages)
def test_a_charge_is_the_sum_of_its_disjoint_buckets(chosen, usage):
    rates = chosen.rates(usage.input_total)
    alone = [
        usage.fresh * rates["fresh"],
        usage.read * rates["read"],
        usage.written["5m"] * rates["written.5m"],
        usage.written["1h"] * rates["written.1h"],
        usage.output * rates["output"],
    ]
    assert charge(chosen, usage) == sum(alone)


@given(cards(), usages, usages)
def test_a_charge_is_linear_within_a_tier(chosen, one, other):
    flat = card(chosen.tiers[0])
    both = Usage(
        fresh=one.fresh + other.fresh,
        read=one.read + other.read,
        written={ttl: one.written[ttl] + other.written[ttl] for ttl in one.written},
        output=one.output + other.output,
    )
    assert charge(flat, both) == charge(flat, one) + charge(flat, other)


@given(cards(), usages, st.sampled_from(BUCKETS))
def test_a_bucket_with_tokens_and_without_a_rate_has_no_price(chosen, usage, name):
    bare = card(*(replace(tier, rates={k: v for k, v in tier.rates.items() if k != name}) for tier in chosen.tiers))
    kind, _, ttl = name.partition(".")
    tokens = usage.written[ttl] if ttl else getattr(usage, kind)
    assert charge(bare, usage) == (None if tokens else charge(chosen, usage))


@given(cards(), usages, st.floats(0, 1), rates)
def test_a_modality_moves_tokens_and_never_adds_any(chosen, usage, share, rate):
    part = round(usage.fresh * share)
    heard = card(*(replace(tier, rates={**tier.rates, "audio.fresh": rate}) for tier in chosen.tiers))
    plain = chosen.rates(usage.input_total)["fresh"]
    assert charge(heard, replace(usage, media={"audio.fresh": part})) == charge(chosen, usage) + part * (rate - plain)


@given(cards(), usages)
def test_reasoning_is_inside_the_output(chosen, usage):
    assert charge(chosen, replace(usage, reasoning=usage.output)) == charge(chosen, usage)
    apart = card(*(replace(tier, rates={**tier.rates, "reasoning": 7}) for tier in chosen.tiers))
    rates = chosen.rates(usage.input_total)
    moved = charge(apart, replace(usage, reasoning=usage.output))
    assert moved == charge(chosen, usage) + usage.output * (7 - rates["output"])
    assert charge(apart, replace(usage, reasoning=usage.output + 1)) is None


@given(st.integers(0, 10**24))
def test_conversion_to_dollars_is_exact(pico):
    assert convert(pico) * 10**12 == pico


@pytest.fixture(scope="module")
def prices():
    return Prices()


@given(st.floats(datetime(2025, 1, 1, tzinfo=UTC).timestamp(), datetime(2027, 12, 31, tzinfo=UTC).timestamp()))
def test_a_card_holds_for_all_of_its_window(prices, at):
    """A fresh look at both ends of the window finds the same rates; the moments just outside are other windows."""
    for platform, model in (("deepseek", "deepseek-v4-pro"), ("google", "gemini-3.8-flash"), ("openai", "gpt-5.6-sol")):
        found = prices.card(platform, model, at=at)
        assert found.valid_from is None or found.valid_from <= at
        assert found.valid_to is None or at < found.valid_to
        for moment in (found.valid_from, found.valid_to and found.valid_to - 0.001):
            if moment is not None:
                assert Prices().card(platform, model, at=moment) == found
        if found.valid_to is not None:
            assert Prices().card(platform, model, at=found.valid_to).valid_from == found.valid_to


@given(st.text(max_size=60), st.sampled_from(["", "aws", "azure", "google", "openrouter", "openai"]))
def test_any_name_has_a_few_spellings_and_none_is_an_error(name, provider):
    names = model_names(provider, name)
    assert len(names) == len(set(names)) <= 12
    assert provider_id(name) == provider_id(provider_id(name))
    assert tier_name(tier_name(name)) == tier_name(name)


@settings(deadline=None)
@given(st.text(max_size=40), st.text(max_size=20), st.text(max_size=10))
def test_any_model_platform_and_tier_is_a_card_or_unknown(prices, model, platform, tier):
    found = prices.card(platform, model, at=1_795_000_000, tier=tier)
    assert found is None or found.tiers[0].rates

"""Known bills, cliffs, dates, tiers, regions and names: what a rate card must say."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ctxkit.errors import ConfigurationError
from ctxkit.metering.prices import Prices, charge, convert
from ctxkit.model import Usage


def at(*moment):
    return datetime(*moment, tzinfo=UTC).timestamp()


NOW = at(2026, 11, 20, 12)


@pytest.fixture(scope="module")
def prices():
    return Prices()


@pytest.fixture(scope="module")
def usd(prices):
    def bill(platform, model, *, when=NOW, tier=None, region=None, **usage):
        card = prices.card(platform, model, at=when, tier=tier, region=region)
        assert card is not None, f"{platform}/{model} has no price"
        pico = charge(card, Usage(**usage))
        return None if pico is None else convert(pico)

    return bill


SONNET = {"fresh": 1_000, "written": {"5m": 1_000, "1h": 2_000}, "read": 8_000, "output": 500}
SOL = {"fresh": 1_000, "written": {"30m": 3_000}, "read": 8_000, "output": 500}


@pytest.mark.parametrize(
    ("platform", "model", "tier", "usage", "dollars"),
    [
        ("anthropic", "claude-sonnet-4-6", None, SONNET, "0.02865"),
        ("anthropic", "claude-sonnet-4-6", "batch", SONNET, "0.014325"),
        (
            "anthropic",
            "claude-sonnet-4-6",
            None,
            {"fresh": 900, "written": {"5m": 50, "1h": 50}, "output": 1},
            "0.0032025",
        ),
        ("openai", "gpt-5.6-sol", None, SOL, "0.0322"),
        ("openai", "gpt-5.6", "flex", SOL, "0.0161"),
        (
            "google",
            "gemini-2.5-pro",
            None,
            {"fresh": 50_000, "read": 200_000, "output": 2_000, "reasoning": 1_500},
            "0.205",
        ),
    ],
)
def test_known_bills_hold_exactly(usd, platform, model, tier, usage, dollars):
    assert usd(platform, model, tier=tier, **usage) == Decimal(dollars)


def test_a_dated_price_is_that_of_the_day(usd):
    assert usd("openai", "o3", when=at(2025, 6, 1), fresh=1_000_000, output=0) == 10
    assert usd("openai", "o3", when=at(2025, 6, 12), fresh=1_000_000, output=0) == 2


def everything(prices, platform, model, tokens, **where):
    """The rate of every bucket for a prompt of ``tokens``."""
    return dict(prices.card(platform, model, at=where.pop("when", NOW), **where).rates(tokens))


def per_token(rates):
    return {name: rate for name, rate in rates.items() if not name.startswith(("call.", "request"))}


@pytest.mark.parametrize(
    ("model", "platform", "last", "inputs", "outputs"),
    [
        ("claude-haiku-5-5", "anthropic", 100_000, 5, 5),
        ("gpt-5.6-sol", "openai", 272_000, 2, Decimal("1.5")),
        ("gpt-6.1-terra", "openai", 272_000, 2, Decimal("1.5")),
        ("gemini-2.5-pro", "google", 200_000, 2, Decimal("1.5")),
        ("grok-4.6", "xai", 199_999, 2, 2),
        ("grok-4.20", "xai", 199_999, 2, 2),
    ],
)
def test_beyond_a_cliff_every_bucket_moves(prices, model, platform, last, inputs, outputs):
    below, above = (per_token(everything(prices, platform, model, tokens)) for tokens in (last, last + 1))
    assert below.keys() == above.keys()
    assert len(below) >= 3
    for bucket, rate in below.items():
        assert above[bucket] == rate * (outputs if bucket == "output" else inputs), bucket


def test_the_cliff_is_chosen_by_the_whole_prompt(usd):
    whole = usd("anthropic", "claude-haiku-5-5", fresh=1, read=50_000, written={"5m": 49_999}, output=10)
    more = usd("anthropic", "claude-haiku-5-5", fresh=2, read=50_000, written={"5m": 49_999}, output=10)
    assert (
        whole
        == (1 * Decimal("0.10") + 50_000 * Decimal("0.01") + 49_999 * Decimal("0.125") + 10 * Decimal("0.5")) / 10**6
    )
    assert (
        more
        == 5
        * (2 * Decimal("0.10") + 50_000 * Decimal("0.01") + 49_999 * Decimal("0.125") + 10 * Decimal("0.5"))
        / 10**6
    )


@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-sonnet-5-5", "claude-fable-5-2"])
def test_flat_windows_have_no_cliff(prices, model):
    assert len(prices.card("anthropic", model, at=NOW).tiers) == 1


@pytest.mark.parametrize(
    ("platform", "model", "before", "after", "rates"),
    [
        ("google", "gemini-4-argon", at(2026, 11, 30, 23, 59), at(2026, 12, 1), {"fresh": (2, 4), "read": (0.1, 0.2), "output": (10, 20)}),
        ("google", "gemini-3.8-flash", at(2026, 12, 31, 23, 59), at(2027, 1, 1), {"fresh": (0.75, 1.5), "read": (0.075, 0.15), "output": (3.75, 7.5)}),
        ("openai", "gpt-5.6-sol", at(2026, 8, 20, 23), at(2026, 8, 21), {"fresh": (5, 4), "output": (30, 20)}),
        ("deepseek", "deepseek-v4-pro", at(2026, 11, 20, 0, 59), at(2026, 11, 20, 1), {"fresh": (0.66, 1.32), "output": (1.98, 3.96)}),
        ("deepseek", "deepseek-v4-pro", at(2026, 11, 20, 3, 59), at(2026, 11, 20, 4), {"fresh": (1.32, 0.66), "output": (3.96, 1.98)}),
        ("deepseek", "deepseek-v4-pro", at(2026, 11, 20, 5, 59), at(2026, 11, 20, 6), {"fresh": (0.66, 1.32), "output": (1.98, 3.96)}),
        ("deepseek", "deepseek-v4-pro", at(2026, 11, 20, 9, 59), at(2026, 11, 20, 10), {"fresh": (1.32, 0.66), "output": (3.96, 1.98)}),
    ],
)  # fmt: skip
def test_prices_change_on_their_day_and_hour(prices, platform, model, before, after, rates):
    first, second = (prices.card(platform, model, at=moment) for moment in (before, after))
    assert first.valid_to == after == second.valid_from
    assert first.id != second.id
    for bucket, (old, new) in rates.items():
        assert (first.tiers[0].rates[bucket], second.tiers[0].rates[bucket]) == (round(old * 10**6), round(new * 10**6))


def test_deepseek_has_no_peak_at_weekends_nor_before_there_was_one(prices):
    friday, saturday = at(2026, 11, 20, 2), at(2026, 11, 21, 2)
    assert prices.card("deepseek", "deepseek-flash", at=friday).tiers[0].rates["fresh"] == 300_000
    assert prices.card("deepseek", "deepseek-flash", at=saturday).tiers[0].rates["fresh"] == 150_000
    assert prices.card("deepseek", "deepseek-v4-pro", at=at(2026, 8, 14, 2)).tiers[0].rates["fresh"] == 435_000


def test_a_cached_card_is_dropped_when_its_window_ends(prices):
    card = prices.card("deepseek", "deepseek-v4-pro", at=at(2026, 11, 20, 3))
    assert prices.card("deepseek", "deepseek-v4-pro", at=at(2026, 11, 20, 3, 30)) is card
    assert prices.card("deepseek", "deepseek-v4-pro", at=at(2026, 11, 20, 4)) is not card


def test_storage_of_a_handle(prices):
    expected = {
        "gemini-2.5-pro": 4_500_000,
        "gemini-3.1-pro-preview": 4_500_000,
        "gemini-2.5-flash": 1_000_000,
        "gemini-3.8-flash": 500_000,
        "gemini-3.5-flash": None,  # not published
        "gemini-4-argon": None,  # has no handles
    }
    assert {model: prices.card("google", model, at=NOW).storage for model in expected} == expected
    assert prices.card("google", "gemini-3.6-flash", at=at(2026, 12, 31, 23)).storage == 500_000
    assert prices.card("google", "gemini-3.6-flash", at=at(2027, 1, 1)).storage == 1_000_000


@pytest.mark.parametrize("tier", [None, "flex", "batch", "priority"])
@pytest.mark.parametrize("model", ["gpt-6.1-sol", "gpt-6-astra"])
def test_openai_writes_for_30_minutes_and_12_hours(prices, model, tier):
    for row in prices.card("openai", model, at=NOW, tier=tier).tiers:
        assert row.rates["written.30m"] * 4 == row.rates["fresh"] * 5
        assert row.rates["written.12h"] * 2 == row.rates["fresh"] * 5


def test_how_long_an_ordinary_write_lives(prices):
    kept = {
        ("anthropic", "claude-opus-5-5"): "5m",
        ("vertex", "claude-opus-5-5"): "5m",
        ("bedrock", "us.anthropic.claude-opus-5-5"): "5m",
        ("openai", "gpt-6-sol"): "30m",
        ("azure", "gpt-6-sol"): "30m",
        ("openrouter", "openai/gpt-6-sol"): "30m",
        ("bedrock", "global.openai.gpt-6-sol"): "30m",
        ("bedrock", "us.moonshotai.kimi-k3"): "30m",
        ("moonshot", "kimi-k3"): "5m",
    }
    for (platform, model), ttl in kept.items():
        rates = prices.card(platform, model, at=NOW).tiers[0].rates
        short = {name for name in rates if name in ("written.5m", "written.30m")}
        assert short == {"written." + ttl}, (platform, model)


def test_a_write_filed_under_the_short_default_costs_the_ordinary_write(usd):
    named = usd("bedrock", "us.moonshotai.kimi-k3", fresh=0, written={"30m": 1_000}, output=0)
    assert usd("bedrock", "us.moonshotai.kimi-k3", fresh=0, written={"5m": 1_000}, output=0) == named
    assert usd("bedrock", "us.moonshotai.kimi-k3", fresh=0, written={"1h": 1_000}, output=0) is None


def test_which_providers_write_without_being_asked(prices):
    assert prices.card("openai", "gpt-6-sol", at=NOW).automatic_writes == ("30m",)
    assert prices.card("moonshot", "kimi-k3", at=NOW).automatic_writes == ("5m",)
    assert prices.card("openai", "gpt-4o", at=NOW).automatic_writes == ()  # reads its cache, bills no write
    assert prices.card("anthropic", "claude-opus-5-5", at=NOW).automatic_writes == ()


def test_openrouters_gemini_write_row_is_storage_and_never_a_write(prices):
    for model in ("google/gemini-2.5-pro", "google/gemini-3.8-flash", "~google/gemini-flash-latest"):
        card = prices.card("openrouter", model, at=NOW)
        assert not any(name.startswith("written") for tier in card.tiers for name in tier.rates)
    assert "written.5m" in prices.card("openrouter", "anthropic/claude-sonnet-4.6", at=NOW).tiers[0].rates


def test_bedrock_profiles_cost_what_their_geography_costs(prices):
    home = prices.card("bedrock", "global.anthropic.claude-haiku-5-5", at=NOW).tiers[0].rates
    for model in ("us.anthropic.claude-haiku-5-5-v1:0", "anthropic.claude-haiku-5-5", "eu.anthropic.claude-haiku-5-5"):
        regional = prices.card("bedrock", model, at=NOW).tiers[0].rates
        assert {name: rate * 10 for name, rate in regional.items()} == {name: rate * 11 for name, rate in home.items()}
    assert prices.card("bedrock", "us.anthropic.claude-haiku-5-5", at=NOW).tiers[0].rates["written.5m"] == 137_500


@pytest.mark.parametrize(
    ("platform", "model", "region", "dearer"),
    [
        ("anthropic", "claude-opus-5-5", "us", True),
        ("anthropic", "claude-opus-5-5", "global", False),
        ("anthropic", "claude-opus-4-5", "us", False),
        ("vertex", "claude-opus-5-5", "us-east5", True),
        ("vertex", "claude-opus-5-5", "global", False),
        ("openai", "gpt-6-sol", "eu", True),
        ("openai", "gpt-4o", "eu", False),
    ],
)
def test_regions_that_cost_more(prices, platform, model, region, dearer):
    plain = prices.card(platform, model, at=NOW)
    there = prices.card(platform, model, at=NOW, region=region)
    factor = 11 if dearer else 10
    for here, abroad in zip(plain.tiers, there.tiers, strict=True):
        assert {name: rate * 10 for name, rate in per_token(abroad.rates).items()} == {
            name: rate * factor for name, rate in per_token(here.rates).items()
        }
        assert abroad.rates.get("call.web_search") == here.rates.get("call.web_search")
    assert (plain.id == there.id) is not dearer


def test_tiers_are_taken_as_reported(prices):
    def fresh(platform, model, tier):
        card = prices.card(platform, model, at=NOW, tier=tier)
        return card and card.tiers[0].rates["fresh"]

    assert {fresh("openai", "gpt-6.1-terra", tier) for tier in (None, "", "default", "auto", "standard")} == {1_000_000}
    assert [fresh("openai", "gpt-6.1-terra", t) for t in ("flex", "batch", "priority", "fast")] == [
        500_000,
        500_000,
        2_000_000,
        2_000_000,
    ]
    assert fresh("anthropic", "claude-opus-5-5", "fast") == 8_000_000
    assert fresh("google", "gemini-3.8-flash", "ON_DEMAND") == 750_000
    assert fresh("groq", "openai/gpt-oss-120b", "flex") == fresh("groq", "openai/gpt-oss-120b", "on_demand")


@pytest.mark.parametrize(
    ("platform", "model", "tier"),
    [
        ("openai", "gpt-6.1-terra", "scale"),  # bought in advance
        ("anthropic", "claude-opus-5-5", "priority"),  # a commitment
        ("vertex", "gemini-2.5-pro", "PROVISIONED_THROUGHPUT"),
        ("azure", "gpt-5", "batch"),  # the list has no batch rows for Azure; standard would be wrong
        ("groq", "openai/gpt-oss-120b", "performance"),
    ],
)
def test_a_tier_without_a_price_is_unknown_and_not_standard(prices, platform, model, tier):
    assert prices.card(platform, model, at=NOW) is not None
    assert prices.card(platform, model, at=NOW, tier=tier) is None


def test_a_tier_is_unknown_before_its_price_is_known(prices):
    assert prices.card("anthropic", "claude-sonnet-4-6", at=at(2026, 10, 13), tier="batch") is None
    assert prices.card("anthropic", "claude-sonnet-4-6", at=at(2026, 10, 14), tier="batch") is not None


@pytest.mark.parametrize(
    ("platform", "model", "listed"),
    [
        ("google", "models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("vertex", "publishers/google/models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("openai", "openai/gpt-5", "gpt-5"),
        ("openai", "gpt-5-2025-08-07", "gpt-5"),
        ("azure", "azure/gpt-5", "gpt-5"),
        ("anthropic", "claude-sonnet-4-5[1m]", "claude-sonnet-4-5"),
        ("anthropic", "claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("vertex", "claude-opus-4-6@default", "claude-opus-4-6"),
        ("openai", "ft:gpt-4o-mini-2024-07-18:acme::7p4lURel", "ft:gpt-4o-mini"),
        (
            "bedrock",
            "bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0",
            "regional.anthropic.claude-haiku-4-5-20251001-v1:0",
        ),
        (
            "bedrock",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/global.anthropic.claude-haiku-5-5",
            "global.anthropic.claude-haiku-5-5",
        ),
        ("xai", "grok-4.6", "grok-4.6"),
        ("mistral", "mistral-large-latest", "mistral-large-2512"),
        ("mistral", "ministral-3b-latest", "ministral-3b-2512"),
        ("bedrock", "openai.gpt-oss-120b", "openai.gpt-oss-120b-1:0"),
    ],
)
def test_a_model_is_found_however_it_is_spelt(prices, platform, model, listed):
    assert prices.card(platform, model, at=NOW).model == listed


@pytest.mark.parametrize(
    ("platform", "model"),
    [
        ("openai", "no-such-model"),
        ("openai", ""),
        ("", "gpt-4o"),
        ("no-such-platform", "gpt-4o"),
        ("openai-compatible", "gpt-4o"),  # a name that contains "openai" is not OpenAI
        ("unknown", "gpt-4o"),
        ("vllm", "gpt-4o"),
        ("ollama", "llama3.1:8b"),
        ("llama.cpp", "claude-opus-5-5"),
        ("sglang", "deepseek-v4-pro"),
        ("bedrock", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/x9k2anthropic"),
        ("openai", "ft:no-such-base:acme::1"),
        ("openrouter", "google/gemini-2.0-flash-exp:free"),
        ("perplexity", "sonar-deep-research"),  # citations are billed and usage does not count them
    ],
)
def test_unknown_is_none_and_never_free(prices, platform, model):
    assert prices.card(platform, model, at=NOW) is None


def test_the_stale_rows_of_the_list_are_replaced(prices):
    rates = prices.card("deepseek", "deepseek-chat", at=NOW).tiers[0].rates
    assert rates == {"fresh": 280_000, "read": 28_000, "output": 420_000}
    large = prices.card("mistral", "mistral-large-latest", at=NOW)
    assert large.tiers[0].rates == {"fresh": 500_000, "read": 50_000, "output": 1_500_000}
    assert large.source.startswith("genai-prices:")
    batch = prices.card("mistral", "mistral-large-latest", at=NOW, tier="batch")
    assert batch.tiers[0].rates["fresh"] == 250_000


def test_a_card_says_where_it_comes_from(prices):
    from importlib.metadata import version

    card = prices.card("anthropic", "claude-sonnet-4-6", at=NOW)
    assert card.id == f"genai-prices:{version('genai-prices')}/anthropic/claude-sonnet-4-6/standard@2026-03-13"
    assert (card.provider, card.tier, card.context_window, card.max_output) == (
        "anthropic",
        "standard",
        1_000_000,
        128_000,
    )
    assert prices.card("deepseek", "deepseek-v4-pro", at=at(2026, 11, 20, 7)).id.endswith("@2026-11-20T06:00Z")


def test_a_scheduled_change_is_seen_coming(prices):
    def scheduled(platform, model, moment=NOW):
        return list(prices.scheduled(platform, model, at=moment, until=moment + 14 * 86_400))

    ((moment, before, after),) = scheduled("google", "gemini-4-argon")
    assert (moment, before.valid_to, after.valid_from) == (at(2026, 12, 1),) * 3
    assert scheduled("google", "gemini-4-argon", at(2026, 12, 2)) == []
    assert scheduled("deepseek", "deepseek-v4-pro") == []  # the hour's tariff is no change
    assert scheduled("openai", "no-such-model") == []


def test_calls_and_requests_cost_by_the_piece(usd):
    plain = usd("anthropic", "claude-opus-5-5", fresh=10, output=10)
    assert usd("anthropic", "claude-opus-5-5", fresh=10, output=10, calls={"web_search": 3}) == plain + Decimal("0.03")
    assert usd("anthropic", "claude-opus-5-5", fresh=10, output=10, calls={"moon_landing": 1}) is None
    assert usd("anthropic", "claude-opus-5-5", fresh=10, output=10, calls={"moon_landing": 0}) == plain


def test_other_modalities_cost_their_own_rate_inside_the_buckets(usd):
    text = {"fresh": 1_000, "read": 100, "output": 0}
    assert usd("google", "gemini-2.5-flash", **text) == Decimal("0.000303")
    heard = usd("google", "gemini-2.5-flash", **text, media={"audio.fresh": 600, "audio.read": 100})
    assert heard == (400 * Decimal("0.3") + 600 + 100 * Decimal("0.1")) / 10**6
    # Images have no rate of their own there: they cost what text costs.
    assert usd("google", "gemini-2.5-flash", **text, media={"image.fresh": 600}) == Decimal("0.000303")
    assert (
        usd("google", "gemini-3-pro-image-preview", fresh=0, output=2_000, media={"image.output": 1_120})
        == (880 * Decimal(12) + 1_120 * Decimal(120)) / 10**6
    )
    # More sound than input cannot be: such figures have no price.
    assert usd("google", "gemini-2.5-flash", **text, media={"audio.fresh": 1_001}) is None


def test_what_is_not_known_has_no_price(usd):
    assert usd("openai", "gpt-4o", fresh=None, output=1) is None
    assert usd("openai", "gpt-4o", fresh=1, output=None) is None
    assert usd("openai", "gpt-4-turbo", fresh=1, read=1, output=1) is None  # it has no price for reads
    assert usd("openai", "gpt-4-turbo", fresh=1, read=0, output=1) is not None
    assert usd("openai", "gpt-4o", fresh=1, read=1, written={"1h": 1}, output=1) is None
    assert usd("openai", "gpt-4o", fresh=0, read=0, written={}, output=0) == 0


def test_other_currencies_are_made_at_the_edge():
    yen = Prices(currency="jpy", rate=Decimal("157.25"))
    assert (yen.currency, yen.money(2 * 10**12)) == ("JPY", Decimal("314.50"))
    assert Prices().money(1) == Decimal("0.000000000001")
    assert convert(28_650_000_000, Decimal("0.5")) == Decimal("0.014325")
    for wrong in ({"currency": "EUR"}, {"currency": "EUR", "rate": Decimal(0)}, {"rate": Decimal("NaN")}):
        with pytest.raises(ConfigurationError, match="dollar"):
            Prices(**wrong)


def test_made_up_names_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr("ctxkit.metering.prices._MOST", 10)
    prices = Prices()
    for n in range(50):
        assert prices.card("vllm", f"model-{n}", at=NOW) is None
    assert len(prices._cards) <= 10


def test_genai_prices_is_imported_on_the_first_card_only():
    import subprocess
    import sys

    code = """
import sys
from ctxkit.metering.prices import Prices
prices = Prices()
assert "genai_prices" not in sys.modules
assert prices.card("ollama", "llama3", at=0) is None
assert "genai_prices" not in sys.modules, "what is self-hosted needs no list"
assert prices.card("openai", "gpt-4o", at=1_780_000_000)
assert "genai_prices" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)

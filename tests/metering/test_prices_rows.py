"""Price rows: the user's own, the ones that come along, and an imported LiteLLM price map."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ctxkit.errors import ConfigurationError
from ctxkit.metering.prices import BUNDLED, Prices, charge, convert
from ctxkit.metering.prices.litellm_map import read_map, to_toml
from ctxkit.metering.prices.overlay import matches, read_rows
from ctxkit.model import Usage

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
DAY = 86_400


@pytest.fixture
def priced(tmp_path):
    """Prices with rows of the user's own."""

    def make(text):
        file = tmp_path / "prices.toml"
        file.write_text(text, encoding="utf-8")
        return Prices(file)

    return make


def first(card):
    return dict(card.tiers[0].rates)


def test_the_rows_that_come_along_say_where_they_come_from():
    rows = read_rows(BUNDLED)
    assert len(rows) > 15
    for row in rows:
        assert row.as_of, row.where
        assert row.source != BUNDLED.name, row.where


def test_a_row_gives_a_self_hosted_model_a_price(priced):
    prices = priced("""
[[price]]
provider = "vllm"
model = "qwen3-32b*"
input = "0.07"
read = "0.01"
output = "0.2"
context_window = 32768
source = "our own hardware, see the wiki"
as_of = 2026-11-01
""")
    card = prices.card("vllm", "Qwen3-32B-AWQ", at=NOW)
    assert first(card) == {"fresh": 70_000, "read": 10_000, "output": 200_000}
    assert (card.context_window, card.as_of, card.model) == (32_768, "2026-11-01", "qwen3-32b-awq")
    assert card.id.startswith("overrides:")
    assert prices.card("vllm", "qwen3-8b", at=NOW) is None
    assert prices.card("ollama", "qwen3-32b", at=NOW) is None


def test_a_patch_changes_what_it_names_and_leaves_the_rest(priced):
    row = '[[price]]\nprovider = "openai"\nmodel = "gpt-6-sol"\n'
    listed = Prices().card("openai", "gpt-6-sol", at=NOW)
    patched = priced(row + 'output = "9"').card("openai", "gpt-6-sol", at=NOW)
    assert [tier.above for tier in patched.tiers] == [0, 272_000]
    for before, after in zip(listed.tiers, patched.tiers, strict=True):
        assert after.rates["output"] == 9_000_000  # a figure of the row itself holds for every length
        assert {k: v for k, v in after.rates.items() if k != "output"} == {
            k: v for k, v in before.rates.items() if k != "output"
        }
    flat = priced(row + 'mode = "replace"\ninput = "1"\noutput = "2"').card("openai", "gpt-6-sol", at=NOW)
    assert (len(flat.tiers), first(flat)) == (1, {"fresh": 1_000_000, "output": 2_000_000})


def test_fill_is_used_only_where_nothing_else_has_a_price(priced):
    prices = priced("""
[[price]]
provider = "openai"
model = ["gpt-4o", "gpt-next"]
mode = "fill"
input = "1"
output = "2"
""")
    assert first(prices.card("openai", "gpt-4o", at=NOW))["fresh"] == 2_500_000
    assert first(prices.card("openai", "gpt-next", at=NOW)) == {"fresh": 1_000_000, "output": 2_000_000}


def test_a_deployment_or_a_gateway_costs_what_stands_behind_it(priced):
    prices = priced("""
[[price]]
provider = "azure"
model = "our-chat"
same_as = "gpt-6.1-terra"

[[price]]
provider = "gateway"
model = "*"
same_provider = "anthropic"
factor = "1.05"
""")
    assert first(prices.card("azure", "our-chat", at=NOW))["fresh"] == 1_000_000
    assert prices.card("azure", "our-chat", at=NOW).model == "gpt-6.1-terra"
    card = prices.card("gateway", "claude-opus-5-5", at=NOW)
    assert (card.provider, first(card)["fresh"], first(card)["written.1h"]) == ("anthropic", 4_200_000, 8_400_000)
    assert first(card)["call.web_search"] == 10**10  # a factor is on tokens
    # A row about another model's prices is about all of its tiers.
    assert first(prices.card("gateway", "claude-opus-5-5", at=NOW, tier="batch"))["fresh"] == 2_100_000


def test_cliffs_dates_hours_days_tiers_and_regions_of_a_row(priced):
    prices = priced("""
source = "contract 7"
as_of = 2026-10-01

[[price]]
provider = "acme"
model = "m"
input = "1"
read = "0.1 x input"
output = "4"
[[price.beyond]]
from = 200000
input = "2"
read = "0.1 x input"
output = "6"

[[price]]
provider = "acme"
model = "m"
valid_from = 2026-12-01
input = "3"

[[price]]
provider = "acme"
model = "m"
hours = ["22:00-02:00"]
days = ["sat"]
output = "1"

[[price]]
provider = "acme"
model = "m"
tier = "batch"
input = "0.5"
output = "2"

[[price]]
provider = "acme"
model = "m"
region = ["eu-*", "ch"]
factor = "1.2"
""")
    card = prices.card("acme", "m", at=NOW)
    assert card.rates(199_999) == {"fresh": 1_000_000, "read": 100_000, "output": 4_000_000}
    assert card.rates(200_000) == {"fresh": 2_000_000, "read": 200_000, "output": 6_000_000}
    assert first(prices.card("acme", "m", at=NOW + 11 * DAY))["fresh"] == 3_000_000
    saturday_night = NOW + DAY + 11 * 3_600
    assert datetime.fromtimestamp(saturday_night, UTC).strftime("%a %H") == "Sat 23"
    assert first(prices.card("acme", "m", at=saturday_night))["output"] == 1_000_000
    assert first(prices.card("acme", "m", at=saturday_night + 7_200))["output"] == 4_000_000  # it is Sunday
    assert first(prices.card("acme", "m", at=NOW, tier="batch")) == {"fresh": 500_000, "output": 2_000_000}
    assert prices.card("acme", "m", at=NOW, tier="flex") is None
    assert first(prices.card("acme", "m", at=NOW, region="eu-west-1"))["fresh"] == 1_200_000
    assert first(prices.card("acme", "m", at=NOW, region="us-east-1"))["fresh"] == 1_000_000
    assert card.source.startswith("overrides:")


def test_media_calls_requests_and_storage_of_a_row(priced):
    prices = priced("""
[[price]]
provider = "acme"
model = "m"
input = "1"
output = "2"
storage = "0.75"
request = "5"
media = { "audio.fresh" = "10" }
calls = { web_search = "8" }
""")
    card = prices.card("acme", "m", at=NOW)
    assert card.storage == 750_000
    usage = Usage(fresh=100, output=0, media={"audio.fresh": 10}, calls={"web_search": 1})
    assert convert(charge(card, usage)) == (90 + 100) / Decimal(10**6) + Decimal("0.005") + Decimal("0.008")


def test_a_later_row_wins_and_the_users_come_last(priced):
    prices = priced("""
[[price]]
provider = "deepseek"
model = "deepseek-*"
input = "7"

[[price]]
provider = "*"
model = "deepseek-chat"
input = "8"
""")
    assert first(prices.card("deepseek", "deepseek-chat", at=NOW)) == {
        "fresh": 8_000_000,
        "read": 28_000,
        "output": 420_000,
    }
    assert first(prices.card("deepseek", "deepseek-flash", at=NOW))["fresh"] == 7_000_000


HEAD = '[[price]]\nprovider = "acme"\nmodel = "m"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[price", "not TOML"),
        ("prices = 1", "prices is not known"),
        ("price = 1", "not a list of tables"),
        ('[[price]]\nmodel = "m"\ninput = "1"', "provider is a name"),
        ('[[price]]\nprovider = "acme"\ninput = "1"', "model is a name"),
        (HEAD + "input = 0.25", 'write it as text, exactly: input = "0.25"'),
        (HEAD + 'input = "-1"', "is not a price"),
        (HEAD + 'input = "1e-6"', "is not a price"),
        (HEAD + 'input = "free"', "is not a price"),
        (HEAD + "input = true", "is not a price"),
        (HEAD + 'input = "2 x moon"', "is not a price"),
        (HEAD + 'inptu = "1"', "inptu is not known; known are"),
        (HEAD, "it says nothing"),
        (HEAD + 'mode = "overwrite"\ninput = "1"', "mode is patch, replace or fill"),
        (HEAD + 'mode = "replace"\nread = "1"', "needs a price of its own"),
        (HEAD + 'mode = "replace"\nsame_as = "n"\ninput = "1"', "leave `mode` out"),
        (HEAD + 'input = "1"\nvalid_from = "2026-01-01"', "without quotes"),
        (HEAD + 'input = "1"\nvalid_from = 2026-02-01\nvalid_to = 2026-02-01', "valid_to is not after"),
        (HEAD + 'input = "1"\nhours = ["25:00-26:00"]', "no window of the day"),
        (HEAD + 'input = "1"\nhours = ["01:00-01:00"]', "no window of the day"),
        (HEAD + 'input = "1"\ndays = ["caturday"]', "no weekday"),
        (HEAD + 'input = "1"\ncontext_window = "big"', "whole number of tokens"),
        (HEAD + 'input = "1"\nsame_as = 7', "same_as is a name"),
        (HEAD + 'input = "1"\nbeyond = 1', "[[price.beyond]]"),
        (HEAD + 'input = "1"\n[[price.beyond]]\ninput = "2"', "either `above`"),
        (HEAD + 'input = "1"\n[[price.beyond]]\nabove = 1\nfrom = 2\ninput = "2"', "either `above`"),
        (HEAD + 'input = "1"\n[[price.beyond]]\nabove = "200k"\ninput = "2"', "whole number of tokens"),
        (HEAD + 'input = "1"\n[[price.beyond]]\nfrom = true\ninput = "2"', "whole number of tokens"),
        (HEAD + 'input = "1"\n[[price.beyond]]\nabove = 9\ncheap = "2"', "cheap is not known"),
        (HEAD + 'input = "1"\nmedia = 3', "media is a table"),
        (HEAD + 'input = "1"\nmedia = { "audio.fresh" = 0.5 }', "media.audio.fresh"),
    ],
)
def test_a_wrong_row_is_named_with_what_to_do(priced, text, says):
    with pytest.raises(ConfigurationError) as error:
        priced(text)
    message = str(error.value)
    assert says in message
    assert "prices.toml" in message
    if text.startswith("[[price]]"):
        assert "row 1" in message


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"gone\.toml: the price file cannot be read: No such file"):
        Prices(tmp_path / "gone.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="not TOML"):
        Prices(tmp_path / "bytes.toml")


def test_only_the_star_is_special_in_a_pattern():
    assert matches("a*c", "abbc")
    assert matches("*", "")
    assert not matches("a.c", "abc")
    assert not matches("a*c", "abcd")
    assert matches("[x]?", "[x]?")


# ---------------------------------------------------------------------------------------------- LiteLLM price maps

MAP = {
    "sample_spec": {"litellm_provider": "one of many", "mode": "chat", "input_cost_per_token": 0.0},
    "acme/m-1": {
        "litellm_provider": "acme",
        "mode": "chat",
        "input_cost_per_token": 2.8e-07,
        "output_cost_per_token": 4.2e-07,
        "cache_read_input_token_cost": 2.8e-08,
        "cache_creation_input_token_cost": 0.0,
        "max_input_tokens": 131072,
        "max_output_tokens": 8192,
    },
    "m-1": {"litellm_provider": "acme", "mode": "chat", "input_cost_per_token": 9e-07},
    "gpt-cliff": {
        "litellm_provider": "openai",
        "mode": "responses",
        "input_cost_per_token": 2e-06,
        "input_cost_per_token_above_272k_tokens": 4e-06,
        "cache_read_input_token_cost": 2e-07,
        "cache_creation_input_token_cost": 2.5e-06,
        "cache_creation_input_token_cost_above_272k_tokens": 5e-06,
        "cache_creation_input_token_cost_above_12hr": 5e-06,
        "cache_creation_input_token_cost_above_12hr_above_272k_tokens": 1e-05,
        "output_cost_per_token": 1e-05,
        "output_cost_per_token_above_272k_tokens": 1.5e-05,
        "input_cost_per_audio_token": 1e-05,
        "input_cost_per_image_token": 2e-06,
        "input_cost_per_token_flex": 1e-06,
        "input_cost_per_token_above_272k_tokens_flex": 2e-06,
        "output_cost_per_token_flex": 5e-06,
        "output_cost_per_token_batches": 5e-06,
        "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_high": 0.01},
        "regional_processing_uplift_multiplier_eu": 1.1,
    },
    "xai/grok-x": {
        "litellm_provider": "xai",
        "mode": "chat",
        "input_cost_per_token": 1.25e-06,
        "input_cost_per_token_above_200k_tokens": 2.5e-06,
        "output_cost_per_token": 2.5e-06,
    },
    "bedrock/us-gov-west-1/anthropic.claude-x": {
        "litellm_provider": "bedrock",
        "mode": "chat",
        "input_cost_per_token": 3.6e-06,
        "output_cost_per_token": 1.8e-05,
    },
    "bedrock/us-west-2/1-month-commitment/anthropic.claude-x": {
        "litellm_provider": "bedrock",
        "mode": "chat",
        "input_cost_per_token": 1,
    },
    "ollama/llama": {"litellm_provider": "ollama", "mode": "chat", "input_cost_per_token": 0.0},
    "acme/paint": {"litellm_provider": "acme", "mode": "image_generation", "output_cost_per_image": 0.04},
    "embed": {"litellm_provider": "openai", "mode": "embedding", "input_cost_per_token": 1.3e-07},
    "odd": 7,
}


@pytest.fixture
def imported(tmp_path):
    made = read_map(MAP, source='a map with "quotes" \\ and \n a line', as_of="2026-11-01")
    file = tmp_path / "imported.toml"
    file.write_text(to_toml(made.rows, "made by a test\n\nkeep"), encoding="utf-8")
    return made, Prices(file)


def test_an_imported_map_prices_exactly(imported):
    _, prices = imported
    card = prices.card("acme", "m-1", at=NOW)
    assert first(card) == {"fresh": 280_000, "read": 28_000, "output": 420_000}
    assert (card.context_window, card.max_output, card.as_of) == (131_072, 8_192, "2026-11-01")
    assert first(prices.card("openai", "embed", at=NOW)) == {"fresh": 130_000, "output": 0}


def test_an_imported_cliff_moves_every_bucket(imported):
    _, prices = imported
    card = prices.card("openai", "gpt-cliff", at=NOW)
    below, above = card.rates(272_000), card.rates(272_001)
    assert below["call.web_search"] == 10**10
    assert (below["written.30m"], below["written.12h"], below["audio.fresh"]) == (2_500_000, 5_000_000, 10_000_000)
    assert {
        name: above[name] / below[name] for name in ("fresh", "read", "written", "written.30m", "written.12h", "output")
    } == {
        **dict.fromkeys(("fresh", "read", "written", "written.30m", "written.12h"), 2),
        "output": 1.5,
    }
    assert "image.fresh" not in below  # the same as the input: nothing is said by it
    flex = prices.card("openai", "gpt-cliff", at=NOW, tier="flex")
    assert (flex.rates(272_001)["fresh"], flex.rates(1)["output"]) == (2_000_000, 5_000_000)
    assert prices.card("openai", "gpt-cliff", at=NOW, tier="batch") is None  # it has no input price there
    assert first(prices.card("openai", "gpt-cliff", at=NOW, region="eu"))["fresh"] == 2_200_000
    assert prices.card("xai", "grok-x", at=NOW).rates(200_000)["fresh"] == 2_500_000
    assert prices.card("xai", "grok-x", at=NOW).rates(199_999)["fresh"] == 1_250_000


def test_an_imported_region_holds_there_only(imported):
    _, prices = imported
    assert first(prices.card("bedrock", "anthropic.claude-x", at=NOW, region="us-gov-west-1"))["fresh"] == 3_600_000
    assert prices.card("bedrock", "anthropic.claude-x", at=NOW, region="us-east-1") is None


def test_what_an_import_leaves_out_is_counted(imported):
    made, prices = imported
    assert made.left_out == {
        "the same model under another key": 1,
        "capacity bought in advance": 1,
        "no input price, or 0": 1,
        "not priced by tokens": 1,
        "not an entry with a provider": 1,
    }
    assert prices.card("ollama", "llama", at=NOW) is None


def test_an_import_can_be_narrowed_and_can_step_back():
    made = read_map(MAP, source="x", mode="fill", providers=["grok"], models=["grok-*"])
    assert [(row["provider"], row["model"], row["mode"]) for row in made.rows] == [("x-ai", "grok-x", "fill")]
    assert read_map(MAP, source="x", models=["nothing"]).rows == []


def test_the_rows_of_the_guide_work(priced):
    import re
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs" / "how-to" / "prices.md").read_text()
    (block,) = re.findall(r"^```toml\n(.*?)^```$", page, re.M | re.S)
    prices = priced(block)
    assert first(prices.card("vllm", "qwen3-32b", at=NOW)) == {"fresh": 70_000, "read": 10_000, "output": 200_000}
    assert prices.card("azure", "our-chat", at=NOW).model == "gpt-6.1-terra"
    assert first(prices.card("our-gateway", "claude-opus-5-5", at=NOW))["fresh"] == 4_200_000
    december = prices.card("openai", "gpt-6-sol", at=NOW + 11 * DAY)
    assert december.rates(272_001)["written.12h"] == 9_000_000
    assert prices.card("openai", "gpt-6-sol", at=NOW).rates(1)["fresh"] == 2_000_000

"""How providers cache, as data: every row is read, dated, sourced; names are found in all spellings; users override."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.cacheable import Ask
from ctxkit.caching import rules
from ctxkit.caching.rules import Rule, Table, find, load, mode_of, model_name
from ctxkit.caching.rules.fields import FIELDS
from ctxkit.caching.rules.finding import shipped
from ctxkit.caching.rules.table import parse
from ctxkit.dialects.platforms import PLATFORMS, platform_named
from ctxkit.errors import ConfigurationError

FILE = Path(rules.__file__).parents[1] / "data" / "rules.toml"

# One model of each row, by which it is found.
FOUND = {
    "anthropic.direct": ("anthropic", "claude-opus-5", None),
    "anthropic.vertex": ("vertex", "claude-haiku-4-5@20251001", None),
    "openai.5_6plus.implicit": ("openai", "gpt-5.6-sol", None),
    "openai.5_6plus.explicit": ("openai", "gpt-6.1-terra", "explicit"),
    "openai.5_5": ("openai", "gpt-5.5-pro", None),
    "openai.pre_5_5": ("openai", "gpt-4o-mini-2024-07-18", None),
    "azure.5_6plus.implicit": ("azure", "gpt-5.6-terra", None),
    "azure.5_6plus.explicit": ("azure", "gpt-5.6-terra", "explicit"),
    "azure.5_5": ("azure", "gpt-5.5", None),
    "azure.pre_5_6": ("azure", "gpt-4.1", None),
    "gemini.implicit": ("google", "models/gemini-2.5-flash", None),
    "gemini.explicit": ("google", "gemini-2.5-pro", "explicit"),
    "vertex.gemini.implicit": ("vertex", "projects/p/locations/l/publishers/google/models/gemini-2.5-flash", None),
    "vertex.gemini.explicit": ("vertex", "gemini-2.5-pro", "explicit"),
    "bedrock.claude.explicit": ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", None),
    "bedrock.claude.implicit": ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "implicit"),
    "bedrock.nova.explicit": ("bedrock", "amazon.nova-lite-v1:0", None),
    "bedrock.nova.implicit": ("bedrock", "us.amazon.nova-2-lite-v1:0", "implicit"),
    "bedrock.openai.5_6plus.implicit": ("bedrock", "openai.gpt-5.6-luna", None),
    "bedrock.openai.5_6plus.explicit": ("bedrock", "openai.gpt-5.6-luna", "explicit"),
    "bedrock.openai.pre_5_6": ("bedrock", "openai.gpt-5.5", None),
    "bedrock.kimi_glm": ("bedrock", "moonshot.kimi-k3", None),
    "bedrock.grok": ("bedrock", "xai.grok-4.6", None),
    "bedrock.gpt_oss": ("bedrock", "openai.gpt-oss-120b-1:0", None),
    "deepseek": ("deepseek", "deepseek-chat", None),
    "xai": ("xai", "grok-4.3", None),
    "azure.grok": ("azure", "grok-4-1-fast-non-reasoning", None),
    "mistral": ("mistral", "magistral-small-latest", None),
    "groq": ("groq", "openai/gpt-oss-120b", None),
    "moonshot.k3plus": ("moonshot", "kimi-k3.1-pro", None),
    "moonshot.k2": ("moonshot", "kimi-k2.5", None),
    "qwen.implicit": ("qwen", "qwen3.7-max", None),
    "qwen.explicit_pre4": ("qwen", "qwen3.7-max", "explicit"),
    "qwen.explicit_4": ("qwen", "qwen4-max", "explicit"),
    "zai": ("zai", "glm-4.7", None),
    "cohere": ("cohere", "command-a-03-2025", None),
    "openrouter.gemini.explicit": ("openrouter", "google/gemini-2.5-flash", "explicit"),
    "openrouter/anthropic.direct": ("openrouter", "anthropic/claude-sonnet-4.6:beta", None),
    "vllm": ("vllm", "Qwen/Qwen3-32B", None),
    "sglang": ("sglang", "anything", None),
    "llamacpp": ("llamacpp", "anything.gguf", None),
    "dynamo": ("dynamo", "anything", None),
}


@pytest.mark.parametrize("name", FOUND)
def test_every_row_is_found_by_a_model(name):
    platform, model, mode = FOUND[name]
    rule = find(platform, model, mode=mode)
    assert rule is not None
    assert rule.id == name
    assert rule.as_of


def test_no_row_is_out_of_reach():
    rows = {row.id for row in shipped().rows if not row.upstream}
    assert rows == {name for name in FOUND if "/" not in name}


@pytest.mark.parametrize("name", FOUND)
def test_every_figure_says_where_it_comes_from(name):
    platform, model, mode = FOUND[name]
    rule = find(platform, model, mode=mode)
    assert rule is not None
    for field in ("minimum", "granularity", "read", "lookback", "slots", "interval", "refresh"):
        value = getattr(rule, field)
        if value not in (None, 1):
            claims = rule.claims[field]
            assert all(claim.source for claim in claims), field
            assert value in [claim.value for claim in claims if not claim.aside], field
    for field in ("lives", "write"):
        for key, value in getattr(rule, field).items():
            assert value in [claim.value for claim in rule.claims[f"{field}.{key}"] if not claim.aside]
    assert not [key for key in rule.claims if key.startswith("lives.") and key[6:] not in rule.lives]


def test_every_source_is_used_and_every_short_name_is_known():
    content = tomllib.loads(FILE.read_text(encoding="utf-8"))
    text = FILE.read_text(encoding="utf-8")
    named = set(re.findall(r'source = "([^"]+)"', text))
    assert named <= set(content["sources"])
    assert {name for name in content["sources"] if f'"{name}"' not in text} <= {
        "anthropic-sdk",
        "google-sdk",
    }


def test_conflicts_are_kept_and_the_pessimistic_claim_counts():
    rule = find("bedrock", "anthropic.claude-opus-4-7-v1:0")
    assert rule is not None
    assert rule.minimum == 4096
    assert {claim.value for claim in rule.claims["minimum"]} == {4096, 2048}
    direct = find("anthropic", "claude-opus-4-7")
    assert direct is not None
    assert direct.minimum == 2048
    assert [claim.value for claim in direct.claims["minimum"] if claim.aside] == [4096, 4096, 4096]
    code = find("xai", "grok-code-fast-1")
    assert code is not None
    assert (code.read, [claim.value for claim in code.claims["read"]]) == (0.2, [0.2, 0.1])


def test_names_of_platforms_are_those_of_the_table_and_their_other_names():
    known = {platform.name for platform in PLATFORMS} | {"dynamo"}
    assert {name for row in shipped().rows for name in row.platforms} <= known
    for alias, name in shipped().aliases.items():
        assert alias == "foundry" or platform_named(alias).name == name


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("claude-4-sonnet-20250514", "claude-sonnet-4"),
        ("claude-3-5-haiku-latest", "claude-haiku-3-5"),
        ("claude-sonnet-4-0", "claude-sonnet-4"),
        ("anthropic/claude-3.7-sonnet:thinking", "claude-sonnet-3-7"),
        ("claude-opus-5[1m]", "claude-opus-5"),
        ("claude-haiku-4-5@20251001", "claude-haiku-4-5"),
        ("us.anthropic.claude-opus-4-8", "claude-opus-4-8"),
        ("us-gov.anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-sonnet-3-5"),
        ("arn:aws:bedrock:us-west-2:906383545488:inference-profile/us.amazon.nova-lite-v1:0", "nova-lite"),
        ("arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-tg1-large", "titan-tg1-large"),
        ("arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/abcd123", ""),
        ("arn:aws:bedrock:us-east-1:1:provisioned-model/abcd123", ""),
        ("gpt-5.2_2025-12-11", "gpt-5-2"),
        ("ft:gpt-4o-mini-2024-07-18:acme::7p4lURel", "gpt-4o-mini"),
        ("openai/gpt-5.6-sol", "gpt-5-6-sol"),
        ("openai.gpt-oss-20b-1:0", "gpt-oss-20b-1"),
        ("models/gemini-2.5-pro", "gemini-2-5-pro"),
        ("o3-2025-04-16", "o3"),
        ("grok-4-0709", "grok-4-0709"),
        ("qwen/qwen3-30b-a3b:free", "qwen3-30b-a3b"),
        ("gemini-2.0-flash-001", "gemini-2-0-flash-001"),
    ],
)
def test_the_name_of_a_model(model, name):
    assert model_name(model) == name
    assert model_name(name) == name


@given(st.text(max_size=60), st.sampled_from([platform.name for platform in PLATFORMS]))
def test_any_name_is_answered(model, platform):
    assert find(platform, model) is None or isinstance(find(platform, model), Rule)


def test_generations_of_openai_models():
    generations = {
        "openai.pre_5_5": ["gpt-4o", "chatgpt-4o-latest", "gpt-4.1-nano", "gpt-4.5-preview", "gpt-5", "gpt-5-mini",
                           "gpt-5-2025-08-07", "gpt-5.1-codex", "gpt-5.4", "o1-mini", "o3", "o4-mini-2025-04-16",
                           "ft:gpt-4.1:acme::1"],
        "openai.5_5": ["gpt-5.5", "gpt-5.5-pro", "gpt-5.5-2026-04-01"],
        "openai.5_6plus.implicit": ["gpt-5.6", "gpt-5.6-luna", "gpt-6-sol", "gpt-6.1-terra"],
    }  # fmt: skip
    for row, models in generations.items():
        for model in models:
            rule = find("openai", model)
            assert rule is not None, model
            assert rule.id == row, model
    for model in ("gpt-4", "gpt-3.5-turbo", "gpt-oss-120b", "gpt-5.7", "gpt-7", "text-embedding-3-small", "o5"):
        assert find("openai", model) is None, model


def test_a_gateway_shows_its_upstream_through_its_own_rules():
    direct, passed = find("anthropic", "claude-sonnet-4-6"), find("openrouter", "anthropic/claude-sonnet-4.6")
    assert direct is not None
    assert passed is not None
    assert (passed.minimum, passed.slots, passed.lives) == (direct.minimum, direct.slots, direct.lives)
    assert (passed.key_field, passed.provider, passed.match) == ("session_id", "anthropic", "marks")
    assert "account" in passed.isolation
    assert find("openrouter", "openrouter/auto") is None
    assert find("openrouter", "unheard-of/claude-sonnet-4.6") is None
    gpt = find("openrouter", "openai/gpt-5.6-sol", dialect="openai.responses")
    assert gpt is not None
    assert set(gpt.lives) == {"30m"}


def test_what_a_request_asks_for():
    assert mode_of(Ask(), marked=False) is None
    assert mode_of(Ask(mode="implicit"), marked=True) == "implicit"
    assert mode_of(Ask(handle="cachedContents/x"), marked=False) == "handle"
    assert mode_of(Ask(), marked=True) == mode_of(Ask(automatic=""), marked=False) == "marked"


@pytest.mark.parametrize(
    ("platform", "model", "mode", "row"),
    [
        ("qwen", "qwen3.7-max", "marked", "qwen.explicit_pre4"),
        ("qwen", "qwen4-max", "marked", "qwen.explicit_4"),
        ("openai", "gpt-5.6", "marked", "openai.5_6plus.implicit"),
        ("anthropic", "claude-opus-5", "marked", "anthropic.direct"),
        ("bedrock", "anthropic.claude-opus-5", "marked", "bedrock.claude.explicit"),
        ("openrouter", "google/gemini-2.5-flash", "marked", "openrouter.gemini.explicit"),
        ("openrouter", "qwen/qwen3.7-max", "marked", "openrouter/qwen.explicit_pre4"),
        ("openrouter", "openai/gpt-5.6-sol", "marked", "openrouter/openai.5_6plus.implicit"),
        ("deepseek", "deepseek-chat", "marked", "deepseek"),
        ("google", "gemini-2.5-pro", "handle", "gemini.explicit"),
        ("google", "gemini-4-argon", "handle", "gemini.implicit"),
        ("google", "gemini-2.5-pro", None, "gemini.implicit"),
    ],
)
def test_the_row_of_what_a_request_asks_for(platform, model, mode, row):
    rule = find(platform, model, mode=mode)
    assert rule is not None
    assert rule.id == row


def test_what_differs_by_wire():
    chat, responses = (find("openai", "gpt-5.6-sol", dialect=f"openai.{api}") for api in ("chat", "responses"))
    assert chat is not None
    assert responses is not None
    assert (set(chat.lives), chat.prewarm) == ({"30m"}, None)
    assert (set(responses.lives), responses.prewarm) == ({"30m", "12h"}, "prewarm")
    converse, invoke = (
        find("bedrock", "anthropic.claude-opus-5", dialect=f"bedrock.{api}") for api in ("converse", "invoke")
    )
    assert converse is not None
    assert invoke is not None
    assert (converse.marker, invoke.marker) == ("cachePoint", "cache_control")
    grok, reply = (find("xai", "grok-4.3", dialect=f"openai.{api}") for api in ("chat", "responses"))
    assert grok is not None
    assert reply is not None
    assert (grok.key_header, reply.key_header, reply.key_field) == ("x-grok-conv-id", None, "prompt_cache_key")


def test_every_field_of_a_rule_can_be_written():
    assert set(FIELDS) == {field.name for field in fields(Rule)} - {"id", "claims"}


# ---- A user's own rows ----------------------------------------------------------------------------------------------


@pytest.fixture
def write(tmp_path):
    def load_text(text: str) -> Table:
        file = tmp_path / "rules.toml"
        file.write_text(text, encoding="utf-8")
        return load(file)

    return load_text


def test_a_row_changes_what_it_names_and_leaves_the_rest(write):
    own = write(
        '[[rule]]\nid = "anthropic.direct"\nmodels = ["claude-opus-4.8"]\nminimum = 4096\nlives = { 5m = 240 }\n'
    )
    rule, untouched = (
        find("anthropic", "claude-opus-4-8", overrides=own),
        find("anthropic", "claude-opus-5", overrides=own),
    )
    assert rule is not None
    assert (rule.minimum, dict(rule.lives), rule.slots) == (4096, {"5m": 240, "1h": 3600}, 4)
    assert rule.claims["minimum"][0].source.endswith("rules.toml")
    assert untouched == find("anthropic", "claude-opus-5")


def test_a_row_of_ones_own_comes_first(write):
    own = write(
        '[[rule]]\nid = "ours"\nprovider = "ours"\nplatforms = ["our-gateway", "openai"]\nmodels = ["*"]\n'
        'match = "prefix"\nautomatic = true\nminimum = [{value = 64, source = "us"}, {value = 32, source = "them"}]\n'
        '[[rule.when]]\nmodels = ["big*"]\nminimum = 128\n'
    )
    rule = find("our-gateway", "some-model", overrides=own)
    assert rule is not None
    assert (rule.id, rule.minimum, len(rule.claims["minimum"])) == ("ours", 64, 2)
    big, gpt = find("our-gateway", "Big-1", overrides=own), find("openai", "gpt-5.6", overrides=own)
    assert big is not None
    assert gpt is not None
    assert (big.minimum, gpt.id) == (128, "ours")
    assert find("our-gateway", "some-model") is None


def test_a_row_may_be_like_a_shipped_one(write):
    own = write('[[rule]]\nid = "proxy"\nlike = "vllm"\nplatforms = ["proxy"]\ngranularity = 32\n')
    rule = find("proxy", "m", overrides=own)
    assert rule is not None
    assert (rule.id, rule.granularity, rule.key_field) == ("proxy", 32, "cache_salt")


def test_a_deployment_or_profile_is_what_one_says_it_is(write):
    arn = "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc"
    own = write(f'[same_as]\n"Our-Chat" = "gpt-5.6-sol"\n"{arn}" = "anthropic.claude-opus-5"\n')
    chat, profile = find("azure", "our-chat", overrides=own), find("bedrock", arn, overrides=own)
    assert chat is not None
    assert profile is not None
    assert (chat.id, profile.id, profile.minimum) == ("azure.5_6plus.implicit", "bedrock.claude.explicit", 512)


def test_the_rows_of_the_guide_work(write):
    guide = (Path(__file__).parents[2] / "docs" / "how-to" / "cache-rules.md").read_text(encoding="utf-8")
    own = write(guide.split("```toml\n")[1].split("```")[0])
    sonnet = find("anthropic", "claude-sonnet-4-6", overrides=own)
    large, chat = find("our-gateway", "large-one", overrides=own), find("azure", "our-chat-deployment", overrides=own)
    assert sonnet is not None
    assert large is not None
    assert chat is not None
    assert (sonnet.minimum, dict(sonnet.lives)) == (2048, {"5m": 240, "1h": 3600})
    assert (large.minimum, chat.id) == (4096, "azure.5_6plus.implicit")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rule = 1", r"write \[\[rule\]\] with double brackets"),
        ("[[rule", "is not TOML"),
        ("[[rules]]\nid = 'a'", "unknown key 'rules'"),
        ("[[rule]]\nminimum = 1", "has no 'id'"),
        ("[[rule]]\nid = 'vllm'\n[[rule]]\nid = 'vllm'", "two rows have the id 'vllm'"),
        (
            "[[rule]]\nid = 'new'\nmatch = 'prefix'",
            "'new', which no shipped row is called, lacks provider, platforms, models",
        ),
        ("[[rule]]\nid = 'vllm'\nminimun = 3", "'vllm', key 'minimun' is not known; known keys: .*minimum"),
        ("[[rule]]\nid = 'vllm'\nminimum = 'many'", "key 'minimum': expected a whole number, or 'unknown'"),
        ("[[rule]]\nid = 'vllm'\nminimum = -1", "key 'minimum': expected a whole number"),
        ("[[rule]]\nid = 'vllm'\nminimum = true", "key 'minimum': expected a whole number"),
        ("[[rule]]\nid = 'vllm'\nminimum = []", "key 'minimum': expected"),
        ("[[rule]]\nid = 'vllm'\nminimum = [{value = 1, src = 'x'}]", "key 'minimum': expected"),
        ("[[rule]]\nid = 'vllm'\nminimum = [{source = 'x'}]", "key 'minimum': expected"),
        ("[[rule]]\nid = 'vllm'\ngranularity = 0", "key 'granularity': expected a whole number from 1 on"),
        ("[[rule]]\nid = 'vllm'\nlives = 300", "key 'lives': expected a table of seconds"),
        ("[[rule]]\nid = 'vllm'\nread = nan", "key 'read': expected"),
        ("[[rule]]\nid = 'vllm'\nhidden = [5, 1]", "key 'hidden': expected a list of two whole numbers"),
        ("[[rule]]\nid = 'vllm'\nhidden = [1]", "key 'hidden': expected a list of two whole numbers"),
        ("[[rule]]\nid = 'vllm'\nautomatic = 1", "key 'automatic': expected true or false"),
        ("[[rule]]\nid = 'vllm'\nmatch = 'magic'", "key 'match': expected one of 'marks'"),
        ("[[rule]]\nid = 'vllm'\ntiers = ['tail']", "key 'tiers': expected a list of tools, system, messages"),
        ("[[rule]]\nid = 'vllm'\nmodels = 'a'", "key 'models': expected a list of names"),
        ("[[rule]]\nid = 'vllm'\nmodels = [1]", "key 'models': expected a list of names"),
        ("[[rule]]\nid = 'vllm'\nmarker = 3", "key 'marker': expected text"),
        ("[[rule]]\nid = 'vllm'\nnotes = 'a'", "key 'notes': expected a list of texts"),
        ("[[rule]]\nid = 'vllm'\nwhen = 3", "key 'when': expected tables"),
        ("[[rule]]\nid = 'vllm'\n[[rule.when]]\nminimum = 3", "key 'when': name the models or the dialects"),
        ("[[rule]]\nid = 'a'\nlike = 'nobody'", "key 'like': no row 'nobody'"),
        ("[[rule]]\nid = 'vllm'\nmode = 3", "key 'mode': expected 'implicit' or 'explicit'"),
        ("[[rule]]\nid = 'vllm'\nupstream = 'a'", "key 'upstream': expected"),
        ("[same_as]\na = 1", "key 'a': expected the name of a model"),
        ("same_as = 3", "'same_as': expected"),
        ("sources = 3", "'sources': expected"),
        ("[sources]\na = 'b'", "'sources': expected"),
    ],
)
def test_a_wrong_row_is_named_with_what_to_do(write, tmp_path, text, says):
    with pytest.raises(ConfigurationError, match=says) as caught:
        write(text)
    assert str(tmp_path / "rules.toml") in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"gone\.toml cannot be read: No such file.*; check cache_rules"):
        load(tmp_path / "gone.toml")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "source", "a"]), inner),
    max_leaves=6,
)


@given(st.sampled_from([*FIELDS, "models", "platforms", "mode", "like", "when", "upstream", "source"]), VALUES)
def test_whatever_stands_in_a_row_it_is_read_or_refused(key, value):
    try:
        own = parse({"rule": [{"id": "vllm", key: value}]}, "own.toml", shipped())
    except ConfigurationError:
        return
    assert find("vllm", "any", overrides=own) is not None or key in ("models", "platforms", "mode", "upstream")


def test_what_differs_for_some_models_is_said_by_the_source_of_its_row():
    values = [value for row in shipped().rows for case in row.cases for value in case.values.values()]
    claims = [claim for value in values for said in value.claims.values() for claim in said]
    assert claims
    assert not [claim for claim in claims if claim.source.endswith(".toml")]


def test_qwen_takes_no_markers_on_the_responses_api():
    assert find("qwen", "qwen3-max", dialect="openai.chat", mode="explicit").marker == "cache_control"
    assert find("qwen", "qwen3-max", dialect="openai.responses", mode="explicit").marker is None

"""What the other providers' caches do, statement by statement, on the simulator; and what holds for all of them."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit import dialects
from ctxkit.cacheable import Ask
from ctxkit.caching.expected import relative_rates
from ctxkit.caching.layout import Space, lay_out
from ctxkit.caching.prefixes import Hasher
from ctxkit.caching.rules import find
from ctxkit.caching.rules.finding import shipped
from ctxkit.caching.simulator import State, bill, match, refusal, serve
from ctxkit.metering.prices import Prices
from tests.caching.conversations import Piece, Provider, answer, buckets, system, tool, user

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"

# One model of every kind of cache that needs no handle.
KINDS = [
    ("anthropic", "claude-opus-5", ""),
    ("openai", "gpt-5.6-sol", "openai.responses"),
    ("openai", "gpt-5.5", ""),
    ("openai", "gpt-4o", ""),
    ("azure", "gpt-5.6-sol", ""),
    ("google", "gemini-2.5-flash", ""),
    ("bedrock", CLAUDE, "bedrock.converse"),
    ("deepseek", "deepseek-chat", ""),
    ("xai", "grok-4.3", ""),
    ("mistral", "mistral-large-latest", ""),
    ("groq", "openai/gpt-oss-120b", ""),
    ("moonshot", "kimi-k3", ""),
    ("qwen", "qwen3.7-max", ""),
    ("vllm", "anything", ""),
    ("openrouter", "anthropic/claude-sonnet-4.6", ""),
]
BEST_EFFORT = [
    ("openai", "gpt-5.5", None),
    ("openai", "gpt-4.1", None),
    ("google", "gemini-2.5-flash", None),
    ("xai", "grok-4.3", None),
    ("groq", "openai/gpt-oss-120b", None),
    ("mistral", "mistral-small-latest", None),
    ("deepseek", "deepseek-chat", None),
    ("bedrock", CLAUDE, "implicit"),
]


# ---- For all of them --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("platform", "model", "mode"), BEST_EFFORT)
def test_g1_best_effort_is_an_upper_bound_of_unknown_probability(platform, model, mode):
    provider = Provider(platform, model, mode=mode)
    request = [user("a", 50_000)]
    provider.send(request, 0)
    outcome = provider.look(request, 100)
    assert 0 < outcome.read <= outcome.most <= 50_000
    assert outcome.miss_probability is None
    assert not outcome.guaranteed
    assert not provider.rule.guaranteed


def test_g1_only_a_guarantee_is_certain():
    qwen = Provider("qwen", "qwen3.7-max", mode="explicit")
    assert qwen.send([user("a", 2000, "")], 0).miss_probability == 0.0
    for row in shipped().rows:
        for model in ("claude-opus-5", "gpt-5.6-sol", "grok-4.3", "deepseek-chat", "kimi-k3"):
            rule = find(min(row.platforms), model)
            assert rule is None or not rule.guaranteed


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}
TURNED = {"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "string"}}}
WIRES = {
    "anthropic.messages": lambda schema: {"name": "f", "input_schema": schema},
    "openai.chat": lambda schema: {"type": "function", "function": {"name": "f", "parameters": schema}},
    "openai.responses": lambda schema: {"type": "function", "name": "f", "parameters": schema},
    "gemini.generate": lambda schema: {"functionDeclarations": [{"name": "f", "parameters": schema}]},
    "bedrock.converse": lambda schema: {"toolSpec": {"name": "f", "inputSchema": {"json": schema}}},
}


@pytest.mark.parametrize("dialect", WIRES)
def test_g2_another_order_of_keys_in_a_tool_is_another_prefix(dialect):
    def links(schema):
        tools = [WIRES[dialect](schema)]
        body = {"toolConfig": {"tools": tools}} if dialect == "bedrock.converse" else {"tools": tools}
        messages = {
            "openai.responses": {"input": "hi"},
            "gemini.generate": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
            "bedrock.converse": {"messages": [{"role": "user", "content": [{"text": "hi"}]}]},
        }.get(dialect, {"messages": [{"role": "user", "content": "hi"}]})
        named, caches = dialects.get(dialect), dialects.caches(dialect)
        view = named.view({**body, **messages})
        weights = [10.0] * len(view.messages)
        layout = lay_out(
            Hasher(b"k" * 32),
            view.messages,
            weights,
            caches.blocks,
            caches.ask(view),
            Space("p", "m"),
            None,
            total=20,
        )
        return [position.link for position in layout.positions]

    assert SCHEMA == TURNED
    assert links(SCHEMA) == links(dict(SCHEMA))
    assert set(links(SCHEMA)).isdisjoint(links(TURNED))


@pytest.mark.parametrize(("platform", "model", "dialect"), KINDS)
def test_g3_the_same_requests_at_the_same_moments_have_the_same_outcomes(platform, model, dialect):
    def run():
        provider = Provider(platform, model, dialect=dialect)
        grown = [system(tokens=3000, mark=None), user("a", 3000)]
        outcomes = [provider.send(grown, moment) for moment in (5.0, 5.0, 4.0, 300.0, 1e9)]
        return outcomes, provider.state

    assert run() == run()


@pytest.mark.parametrize("platform", ["anthropic", "openai", "google", "bedrock", "deepseek", "openrouter", "unknown"])
def test_g4_an_unknown_model_has_no_rule(platform):
    for model in ("some-new-model", "claude-opus-99", "gpt-5.7", "gemini-9", "", "my-deployment"):
        assert find(platform, model) is None
        assert find(platform, f"vendor/{model}") is None


def test_g4_without_a_rule_everything_is_fresh():
    provider = Provider("anthropic", "claude-opus-5")
    layout = provider.layout([user("a", 5000, "")])
    state, outcome = serve(State(), layout, None, 0.0)
    assert (buckets(outcome), state.entries) == ((0, {}, 5000), {})


def test_g5_a_cost_carries_the_date_of_its_price_and_an_unknown_price_is_unknown():
    at = datetime(2026, 11, 20, tzinfo=UTC).timestamp()
    card = Prices().card("anthropic", "claude-opus-5", at=at)
    assert card is not None
    assert card.as_of or re.search(r":\d+\.\d+\.\d+/", card.id)  # a release of the price list has a date
    claude = Provider("anthropic", "claude-opus-5")
    outcome = claude.send([user("a", 1000, "1h")], 0)
    rates = card.rates(outcome.total)
    assert bill(outcome, rates) == 1000 * rates["written.1h"] > 0
    assert bill(outcome, {"fresh": 1, "read": 1, "output": 1}) is None
    assert bill(outcome, {**rates, "written.5m": 0}) == 1000 * rates["written.1h"]


# ---- Bedrock ----------------------------------------------------------------------------------------------------------


def test_b1_a_checkpoint_is_a_block_of_its_own_and_no_prefix_ends_at_it():
    body = {
        "modelId": CLAUDE,
        "toolConfig": {"tools": [{"toolSpec": {"name": "f"}}, {"cachePoint": {"type": "default"}}]},
        "system": [{"text": "be kind"}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
        "messages": [{"role": "user", "content": [{"text": "a"}, {"cachePoint": {"type": "default"}}]}],
    }
    layout = wired(body, "bedrock.converse", "bedrock", CLAUDE)
    assert [position.kind for position in layout.positions] == ["tool", "text", "text"]
    assert layout.marks == {0: "", 1: "1h", 2: ""}


def wired(body, dialect, platform, model):
    named, caches = dialects.get(dialect), dialects.caches(dialect)
    view = named.view(body)
    weights = [10.0] * len(view.messages)
    rule, space = find(platform, model, dialect=dialect), Space(platform, model)
    hasher = Hasher(b"k" * 32)
    return lay_out(hasher, view.messages, weights, caches.blocks, caches.ask(view), space, rule, total=sum(weights))


def test_b2_the_input_count_leaves_the_cache_out():
    assert find("bedrock", CLAUDE, dialect="bedrock.converse").usage == "bedrock_converse_exclusive"
    answered = {"usage": {"inputTokens": 3, "outputTokens": 1, "cacheReadInputTokens": 1712, "totalTokens": 1716}}
    found = dialects.get("bedrock.converse").answer(answered, "bedrock").usage
    assert (found.fresh, found.read, found.input_total) == (3, 1712, 1715)


def test_b3_the_minimum_counts_tools_system_and_messages_together():
    bedrock = Provider("bedrock", CLAUDE, dialect="bedrock.converse")
    request = [tool(tokens=400, mark=""), system(tokens=400, mark=""), user("a", 224, "")]
    outcome = bedrock.send(request, 0)
    assert [write.at for write in outcome.matched.writes] == [2]
    assert outcome.written == {"5m": 1024}


@pytest.mark.parametrize(
    ("model", "direct", "bedrock"),
    [
        ("claude-opus-4-7", 2048, 4096),
        ("claude-mythos-preview", 2048, 4096),
        ("claude-opus-4-8", 1024, 1024),
        ("claude-opus-5", 512, 512),
        ("claude-sonnet-5-5", 512, 512),
        ("claude-haiku-4-5", 4096, 4096),
        ("claude-sonnet-4-5", 1024, 1024),
    ],
)
def test_b4_minimums_differ_by_platform(model, direct, bedrock):
    assert find("anthropic", model).minimum == direct
    assert find("bedrock", f"global.anthropic.{model}-v1:0").minimum == bedrock


def test_b6_a_checkpoint_for_a_model_without_them_is_refused():
    for model in ("us.meta.llama4-maverick-17b-instruct-v1:0", "moonshot.kimi-k3"):
        provider = Provider("bedrock", CLAUDE)
        layout = provider.layout([user("a", 5000, "")], model=model)
        error = refusal(find("bedrock", model, dialect="bedrock.converse"), layout)
        assert error is not None
        assert (error.status, error.kind) == (400, "ValidationException")
        assert "doesn't support the cachePoint field" in error.message


def test_b7_a_checkpoint_below_the_minimum_succeeds_and_caches_nothing():
    bedrock = Provider("bedrock", CLAUDE, dialect="bedrock.converse")
    for moment in range(2):
        outcome = bedrock.send([user("a", 1023, "")], moment)
        assert (outcome.error, buckets(outcome)) == (None, (0, {}, 1023))


# ---- DeepSeek ---------------------------------------------------------------------------------------------------------

A, B, C, D = user("A", 640), user("B", 640), user("C", 640), user("D", 640)


@pytest.fixture
def deepseek() -> Provider:
    return Provider("deepseek", "deepseek-chat")


def test_d1_what_extends_a_whole_unit_reads_it(deepseek):
    deepseek.send([A, B], 0)
    assert deepseek.look([A, B, C], 100).read == 1280


def test_d1_the_answer_to_a_request_is_part_of_what_it_leaves(deepseek):
    deepseek.send([A, B], 0)
    assert deepseek.look([A, B, answer("x", 640), C], 100).read == 1920


def test_d2_a_common_beginning_alone_is_no_hit(deepseek):
    deepseek.send([A, B], 0)
    assert deepseek.look([A, C], 100).read == 0


def test_d3_a_common_beginning_that_was_noticed_is_one(deepseek):
    deepseek.send([A, B], 0)
    deepseek.send([A, C], 100)
    assert deepseek.look([A, D], 200).read == 640


def test_d4_units_need_seconds_to_appear(deepseek):
    deepseek.send([A, B], 0)
    appears = deepseek.rule.appears
    assert appears > 0
    assert deepseek.look([A, B], appears / 2).read == 0
    assert deepseek.look([A, B], appears).read > 0


@given(st.lists(st.lists(st.sampled_from([A, B, C, D]), min_size=1, max_size=4), min_size=1, max_size=5))
def test_d5_hits_and_misses_sum_to_the_prompt(requests):
    deepseek = Provider("deepseek", "deepseek-chat")
    for moment, request in enumerate(requests):
        outcome = deepseek.send(request, moment * 100)
        assert outcome.read + outcome.fresh == sum(piece.tokens for piece in request)
        assert outcome.read % 64 == 0
        assert outcome.written == {}


def test_d5_the_price_is_that_of_the_hour():
    prices = Prices()
    moments = {2: 300_000, 5: 150_000, 8: 300_000, 12: 150_000}  # 2026-11-20 is a Friday
    for hour, rate in moments.items():
        at = datetime(2026, 11, 20, hour, tzinfo=UTC).timestamp()
        assert prices.card("deepseek", "deepseek-flash", at=at).rates(1000)["fresh"] == rate


# ---- Qwen -------------------------------------------------------------------------------------------------------------


def numbered(count: int, *marked: int) -> list[Piece]:
    return [user(f"block {number}", 200, "" if number in marked else None) for number in range(1, count + 1)]


@pytest.fixture
def qwen() -> Provider:
    return Provider("qwen", "qwen3.7-max", mode="explicit")


def test_q1_marked_as_with_anthropic(qwen):
    assert buckets(qwen.send(numbered(10, 10), 0)) == (0, {"5m": 2000}, 0)
    assert buckets(qwen.send(numbered(15, 15), 1)) == (2000, {"5m": 1000}, 0)
    assert qwen.look(numbered(35, 35), 2).read == 0
    assert qwen.look(numbered(35, 15, 35), 2).read == 3000


def test_q1_1024_tokens_at_least_and_five_minutes_that_begin_anew(qwen):
    assert buckets(qwen.send([user("a", 1023, "")], 0)) == (0, {}, 1023)
    request = [user("b", 1024, "")]
    qwen.send(request, 0)
    assert qwen.send(request, 299).read == 1024
    assert qwen.send(request, 598).read == 1024
    assert qwen.look(request, 900).read == 0


def test_q2_a_request_uses_the_explicit_cache_or_the_implicit_one():
    implicit, explicit = Provider("qwen", "qwen3.7-max"), Provider("qwen", "qwen3.7-max", mode="explicit")
    request = [user("a", 2000, ""), user("b", 2000)]
    assert buckets(explicit.send(request, 0)) == (0, {"5m": 2000}, 2000)
    assert buckets(explicit.send([*request, user("c", 10)], 1)) == (2000, {}, 2010)
    assert buckets(implicit.send(request, 0)) == (0, {}, 4000)
    assert implicit.look([*request, user("c", 10)], 1).read == 4000
    assert not implicit.rule.write
    assert not explicit.rule.automatic


def test_q3_a_hit_lives_on_by_the_time_to_live_of_its_request():
    qwen = Provider("qwen", "qwen4-max", mode="explicit")
    hour, minutes = [user("a", 2000, "1h")], [user("a", 2000, "5m")]
    qwen.send(hour, 0)
    assert qwen.send(minutes, 3000).read == 2000
    assert qwen.look(minutes, 3299).read == 2000
    assert qwen.look(minutes, 3301).read == 0
    qwen.send(minutes, 4000)
    qwen.send(hour, 4001)
    assert qwen.look(hour, 4001 + 3599).read == 2000


# ---- Mistral, vLLM ----------------------------------------------------------------------------------------------------


@given(st.integers(1, 5000))
def test_m1_reads_are_multiples_of_64_though_the_page_contradicts_itself(tokens):
    mistral = Provider("mistral", "mistral-large-latest")
    mistral.send([user("a", tokens)], 0)
    read = mistral.look([user("a", tokens), user("b", 100)], 1).read
    assert read % 64 == 0
    assert read == tokens // 64 * 64


def test_m1_an_answer_that_is_none_is_not_rejected():
    usage = {"prompt_tokens": 1100, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1008}}
    found = dialects.get("openai.chat").answer({"id": "c", "choices": [], "usage": usage}, "mistral")
    assert (found.usage.read, found.problems) == (1008, ())
    claims = find("mistral", "mistral-large-latest").claims["granularity"]
    assert [claim.value for claim in claims if claim.aside] == [16, 16]


@pytest.mark.parametrize("platform", ["mistral", "vllm"])
def test_m2_v3_what_is_left_out_is_unknown(platform):
    usage = {"prompt_tokens": 1100, "completion_tokens": 1}
    found = dialects.get("openai.chat").answer({"id": "c", "choices": [], "usage": usage}, platform)
    assert found.usage.read is None
    usage = {**usage, "prompt_tokens_details": None}
    found = dialects.get("openai.chat").answer({"id": "c", "choices": [], "usage": usage}, platform)
    assert found.usage.read is None


@given(st.integers(1, 3000), st.integers(0, 3000), st.sampled_from([1, 16, 832]))
def test_v1_at_most_whole_blocks_without_the_last_token(tokens, more, block):
    vllm = Provider("vllm", "any", changed={"granularity": block})
    vllm.send([user("a", tokens)], 0)
    whole = tokens + more
    read = vllm.look([user("a", tokens), *([user("b", more)] if more else [])], 1).read
    assert read <= (whole - 1) // block * block
    assert read == min(tokens // block, (whole - 1) // block) * block


def test_v2_different_salts_never_share():
    vllm = Provider("vllm", "any")
    vllm.send([user("a", 1000)], 0, ask=Ask(key="one"))
    assert vllm.look([user("a", 1000)], 1, ask=Ask(key="other")).read == 0
    assert vllm.look([user("a", 1000)], 1).read == 0
    assert vllm.look([user("a", 1000), user("b")], 1, ask=Ask(key="one")).read == 992


def test_an_engine_evicts_what_was_not_used_for_longest_and_of_a_prefix_its_end():
    vllm = Provider("vllm", "any", state=State(capacity=2000), changed={"granularity": 1})
    old, new = [user("old", 600), user("old end", 300)], [user("new", 900), user("more", 500)]
    vllm.send(old, 0)
    vllm.send(new[:1], 1)
    assert vllm.look([*old, user("x")], 2).read == 900
    vllm.send(new, 2)
    assert vllm.look([*new, user("x")], 3).read == 1400
    assert vllm.look([*old, user("x")], 3).read == 600


# ---- Prices (where they move cache prices) ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rates():
    prices = Prices()

    def of(platform, model, tokens, *day):
        at = datetime(*(day or (2026, 11, 20)), tzinfo=UTC).timestamp()
        return prices.card(platform, model, at=at).rates(tokens)

    return of


def test_p1_haiku_5_5_costs_five_times_above_100_000_tokens(rates):
    below, above = (rates("anthropic", "claude-haiku-5-5", tokens) for tokens in (100_000, 100_001))
    for bucket in ("fresh", "read", "written.5m", "written.1h", "output"):
        assert above[bucket] == 5 * below[bucket]


@pytest.mark.parametrize("model", ["gpt-5.6-sol", "gpt-6-sol", "gpt-6.1-terra"])
def test_p2_openai_costs_twice_above_272_000_tokens(rates, model):
    below, above = (rates("openai", model, tokens) for tokens in (272_000, 272_001))
    for bucket in ("fresh", "read", "written.30m"):
        assert above[bucket] == 2 * below[bucket]
    assert 2 * above["output"] == 3 * below["output"]


def test_p3_gemini_has_a_long_context_rate_above_200_000_tokens(rates):
    below, above = (rates("google", "gemini-2.5-pro", tokens) for tokens in (200_000, 200_001))
    assert (below["read"], above["read"]) == (125_000, 250_000)
    assert above["fresh"] == 2 * below["fresh"]


@pytest.mark.parametrize("model", ["grok-4.20", "grok-4.6"])
def test_p4_grok_costs_twice_from_200_000_tokens_on(rates, model):
    below, above = (rates("xai", model, tokens) for tokens in (199_999, 200_000))
    assert above["read"] == 2 * below["read"]
    assert above["fresh"] == 2 * below["fresh"]


def test_p5_dated_prices(rates):
    old, new = (rates("google", "gemini-3.8-flash", 1000, *day) for day in ((2026, 12, 31), (2027, 1, 1)))
    assert (old["read"], new["read"]) == (75_000, 150_000)
    old, new = (rates("google", "gemini-4-argon", 1000, *day) for day in ((2026, 11, 30), (2026, 12, 1)))
    assert (old["read"], new["read"]) == (100_000, 200_000)
    prices = Prices()
    days = [datetime(*day, tzinfo=UTC).timestamp() for day in ((2026, 12, 31), (2027, 1, 1))]
    storage = [prices.card("google", "gemini-3.8-flash", at=day).storage for day in days]
    assert storage[1] == 2 * storage[0]


# ---- Properties of every simulated cache --------------------------------------------------------------------------------

PIECES = st.lists(
    st.builds(
        lambda text, tokens, role, mark: Piece(text, tokens, role, mark=mark),
        st.sampled_from("abc"),
        st.integers(1, 4000),
        st.sampled_from(["user", "assistant", "tool"]),
        st.sampled_from([None, None, None, ""]),
    ),
    min_size=1,
    max_size=4,
)
REQUESTS = st.lists(st.tuples(PIECES, st.floats(0, 4000), st.integers(0, 300)), min_size=1, max_size=6)


@pytest.mark.parametrize(("platform", "model", "dialect"), KINDS)
@given(requests=REQUESTS)
def test_buckets_are_disjoint_and_sum_and_nothing_is_read_that_was_not_sent(platform, model, dialect, requests):
    provider, sent = Provider(platform, model, dialect=dialect), 0
    for pieces, moment, extra in requests:
        total = sum(piece.tokens for piece in pieces) + extra
        outcome = provider.send(pieces, moment, total=total)
        if outcome.error is not None:
            assert outcome.total == 0
            continue
        assert min(outcome.read, outcome.fresh, *outcome.written.values(), 0) == 0
        assert outcome.read + outcome.fresh + sum(outcome.written.values()) == total
        assert outcome.least <= outcome.read <= outcome.most <= total
        assert outcome.read <= sent or platform == "deepseek"  # which also caches what it answered
        sent = max(sent, total)


@pytest.mark.parametrize(("platform", "model", "dialect"), KINDS)
@given(requests=REQUESTS, later=st.tuples(st.floats(0, 1e5), st.floats(0, 1e5)))
def test_reads_only_fade_with_time(platform, model, dialect, requests, later):
    provider = Provider(platform, model, dialect=dialect)
    for pieces, moment, _ in requests:
        provider.send(pieces, moment)
    first, second = sorted(later)
    start = 4000 + provider.rule.appears
    pieces = requests[-1][0]
    assert provider.look(pieces, start + first).read >= provider.look(pieces, start + second).read


@pytest.mark.parametrize(("platform", "model", "dialect"), KINDS)
@given(requests=REQUESTS)
def test_looking_changes_nothing_and_is_the_same_again(platform, model, dialect, requests):
    provider = Provider(platform, model, dialect=dialect)
    for pieces, moment, _ in requests:
        before = dict(provider.state.entries)
        assert provider.look(pieces, moment) == provider.look(pieces, moment)
        assert provider.state.entries == before
        provider.send(pieces, moment)


def test_only_a_few_positions_of_a_long_prompt_are_looked_at():
    claude = Provider("anthropic", "claude-opus-5")
    long = [user(f"{number}", 100) for number in range(3000)]
    layout = claude.layout([*long, user("end", 100, "")])
    asked = []
    match(claude.rule, layout, asked.append)
    assert len(asked) == 20
    gpt = Provider("openai", "gpt-5.6-sol")
    layout = gpt.layout([*long, user("end", 100)])
    asked.clear()
    match(gpt.rule, layout, asked.append)
    assert len(asked) == 21


def test_a_state_is_bounded(monkeypatch):
    monkeypatch.setattr("ctxkit.caching.simulator.serving._ENTRIES", 50)
    vllm = Provider("vllm", "any")
    for moment in range(30):
        vllm.send([user(f"{moment} {number}") for number in range(5)], moment)
    assert 45 <= len(vllm.state.entries) <= 50
    assert math.isinf(min(entry.expires for entry in vllm.state.entries.values()))
    assert vllm.look([user(f"29 {number}") for number in range(5)], 31).read == 496


@pytest.mark.parametrize(
    ("platform", "model", "dialect", "ttl", "reads"),
    [
        ("anthropic", "claude-opus-5", "anthropic.messages", "5m", 1),
        ("anthropic", "claude-opus-5", "anthropic.messages", "1h", 2),
        ("openai", "gpt-5.6-sol", "openai.responses", "12h", 2),
    ],
)
def test_p6_reads_that_repay_a_write(platform, model, dialect, ttl, reads):
    provider = Provider(platform, model, dialect)
    rates = relative_rates(provider.rule)
    assert rates is not None
    request = [user("a", 10_000, ttl)]
    write, read = (bill(provider.send(request, moment, ask=Ask(mode="explicit")), rates) for moment in range(2))
    plain = 10_000 * rates["fresh"]
    assert write is not None
    assert read is not None
    least = next(count for count in range(100) if write + count * read <= (count + 1) * plain)
    assert least == reads

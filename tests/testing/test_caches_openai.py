"""OpenAI's cache behind the real client (developers.openai.com, 2026-10-02), and engines that speak its format."""

from __future__ import annotations

from typing import Any

import pytest

from ctxkit import dialects
from tests.testing.caching import Metered, text

SOL = "gpt-6-sol"


@pytest.fixture
def client(metered: Metered) -> Any:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=metered.provider.openai_url, api_key="none", max_retries=0) as client:
        yield metered.kit.wrap(client, platform="openai")


def user(tokens: int, about: str) -> dict[str, Any]:
    return {"role": "user", "content": text(tokens, about)}


def assistant(tokens: int, about: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text(tokens, about)}


def marked(tokens: int, about: str, kind: str = "input_text", **marker: str) -> dict[str, Any]:
    block = {"type": kind, "text": text(tokens, about), "prompt_cache_breakpoint": {"mode": "explicit", **marker}}
    return {"role": "user", "content": [block]}


def chat(client: Any, *messages: dict[str, Any], stream: bool = False, model: str = SOL, **options: Any) -> Any:
    def call() -> Any:
        if not stream:
            return client.chat.completions.create(model=model, messages=messages, extra_body=options)
        usage = {"stream_options": {"include_usage": True}}
        return list(
            client.chat.completions.create(model=model, messages=messages, stream=True, **usage, extra_body=options)
        )

    return call


def respond(client: Any, *items: dict[str, Any], stream: bool = False, model: str = SOL, **options: Any) -> Any:
    def call() -> Any:
        made = client.responses.create(model=model, input=list(items), stream=stream, extra_body=options)
        return list(made)[-1].response if stream else made

    return call


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("ask", [chat, respond])
def test_o1_o12_a_conversation_reads_what_it_wrote(client: Any, metered: Metered, ask: Any, stream: bool) -> None:
    first = [user(12_000, "a")]
    assert metered.of(ask(client, *first, stream=stream)) == (0, {"30m": 12_000}, 0)
    second = [*first, assistant(1_000, "b"), user(2_000, "c")]
    assert metered.of(ask(client, *second, stream=stream)) == (12_000, {"30m": 3_000}, 0)


def test_o2_explicit_only_reads_at_markers_only(client: Any, metered: Metered) -> None:
    explicit = {"prompt_cache_options": {"mode": "explicit"}}
    metered.of(respond(client, user(2_000, "a")))
    assert metered.of(respond(client, user(2_000, "a"), **explicit)) == (0, {}, 2_000)
    assert metered.of(respond(client, marked(2_000, "a"), user(10, "b"), **explicit)) == (2_000, {}, 10)


def test_o6_short_prompts_are_not_cached(client: Any, metered: Metered) -> None:
    for _ in range(2):
        assert metered.of(chat(client, user(1_023, "a"))) == (0, {}, 1_023)


def test_o8_another_key_shares_nothing(client: Any, metered: Metered) -> None:
    for key in ("one", "two"):
        call = respond(client, user(2_000, "a"), prompt_cache_key=key)
        assert metered.of(call) == (0, {"30m": 2_000}, 0)
        assert metered.of(call) == (2_000, {}, 0)


def test_o9_an_entry_lives_half_an_hour_from_its_last_use(client: Any, metered: Metered) -> None:
    call = chat(client, user(2_000, "a"))
    metered.of(call)
    for pause, read in ((1_799, 2_000), (1_799, 2_000), (1_801, 0)):
        metered.clock.now += pause
        assert metered.of(call)[0] == read


def test_o16_a_prewarming_request_answers_nothing(client: Any, metered: Metered) -> None:
    answers = []
    warm = respond(client, user(2_000, "a"), prompt_cache_options={"prewarm": True})
    assert metered.of(lambda: answers.append(warm())) == (0, {"30m": 2_000}, 0)
    assert (answers[0].output, answers[0].status, answers[0].usage.output_tokens) == ([], "completed", 0)
    assert metered.of(respond(client, user(2_000, "a"))) == (2_000, {}, 0)


def test_o16_chat_has_no_prewarming(client: Any) -> None:
    openai = pytest.importorskip("openai")
    with pytest.raises(openai.BadRequestError, match="prewarm"):
        chat(client, user(2_000, "a"), prompt_cache_options={"prewarm": True})()


@pytest.mark.parametrize("stream", [False, True])
def test_o17_writes_are_told_by_time_to_live(client: Any, metered: Metered, stream: bool) -> None:
    answers = []
    call = respond(client, marked(2_000, "a", ttl="12h"), user(1_000, "b"), stream=stream)
    assert metered.of(lambda: answers.append(call())) == (0, {"12h": 2_000, "30m": 1_000}, 0)
    details = answers[0].to_dict()["usage"]["input_tokens_details"]
    assert details["cache_write_tokens"] == 3_000
    assert details["cache_write_tokens_details"] == {"ttl_30m_tokens": 1_000, "ttl_12h_tokens": 2_000}


def test_o18_a_marker_on_an_unsupported_block_is_400(client: Any, metered: Metered) -> None:
    openai = pytest.importorskip("openai")
    wrong = {"role": "assistant", "content": marked(2_000, "a", "refusal")["content"]}
    with pytest.raises(openai.BadRequestError) as caught:
        chat(client, wrong, user(10, "b"))()
    assert caught.value.type == "invalid_request_error"
    assert not metered.caches.state.entries


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ("cache_hit", None, None, None)),
        ({"model": "gpt-6-luna"}, ("cache_miss", "model_changed", 2_010, 0)),
        ({"prompt_cache_key": "k"}, ("cache_miss", "prompt_cache_key_changed", 2_010, 0)),
        ({"reasoning": {"effort": "low"}}, ("cache_miss", "reasoning_effort_changed", 2_010, 0)),
        ({"text": {"verbosity": "low"}}, ("cache_miss", "verbosity_changed", 2_010, 0)),
        ({"service_tier": "flex"}, ("cache_miss", "service_tier_changed", 2_010, 0)),
        ({"input": [user(1_000, "other")]}, ("cache_miss", "input_changed", 1_000, 0)),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_the_first_divergence_is_told_to_who_asks(
    client: Any, change: dict[str, Any], expected: Any, stream: bool
) -> None:
    first = respond(client, user(2_000, "a"), stream=stream)()
    told = first.to_dict()
    assert "prompt_cache_diagnostics" not in told
    assert told["prompt_cache_options"] == {"mode": "implicit", "ttl": "30m"}
    asked = {**change, "prompt_cache_options": {"comparison_response_id": first.id}}
    later = respond(client, user(2_000, "a"), user(10, "b"), stream=stream, **asked)().to_dict()
    found = later["prompt_cache_diagnostics"]
    names = ("type", "reason", "cache_missed_tokens", "comparison_reusable_tokens")
    assert tuple(found.get(name) for name in names) == expected
    assert later["prompt_cache_options"]["comparison_response_id"] == first.id


def test_an_unknown_response_cannot_be_compared(client: Any) -> None:
    later = respond(client, user(10, "a"), prompt_cache_options={"comparison_response_id": "resp_never"})()
    assert later.to_dict()["prompt_cache_diagnostics"] == {"type": "comparison_response_not_found"}


def test_ctxkit_reads_the_diagnosis(client: Any) -> None:
    first = respond(client, user(2_000, "a"))()
    asked = {"tools": [], "prompt_cache_options": {"comparison_response_id": first.id}}
    later = respond(client, user(1_500, "b"), **asked)()
    dialect = dialects.get("openai.responses")
    assert dialect is not None
    found = dialect.answer(later.to_dict(), "openai").diagnosis
    assert found is not None
    assert (found.state, found.type, found.missed, found.reusable) == ("missed", "input_changed", 1_500, 0)


def test_older_models_report_multiples_of_128(client: Any, metered: Metered) -> None:
    call = chat(client, user(3_000, "a"), model="gpt-4o")
    assert metered.of(call)[1] == {}
    read, written, fresh = metered.of(call)
    assert 0 < read < 3_000
    assert (read % 128, written, fresh) == (0, {}, 3_000 - read)


def test_lost_entries_are_missed(client: Any, metered: Metered) -> None:
    call = chat(client, user(2_000, "a"))
    metered.of(call)
    metered.caches.evict()
    assert metered.of(call) == (0, {"30m": 2_000}, 0)


class TestEngine:
    """Whole blocks of a server that people run themselves."""

    @pytest.fixture
    def simulated(self) -> dict[str, Any]:
        return {"platform": "vllm", "granularity": 16, "capacity": 10_000}

    def test_v1_whole_blocks_are_read_and_the_last_token_is_computed(self, client: Any, metered: Metered) -> None:
        for tokens, read in ((160, 144), (161, 160)):
            call = chat(client, user(tokens, f"{tokens}"), model="Qwen/Qwen3-8B")
            assert metered.of(call) == (0, {}, tokens)
            assert metered.of(call) == (read, {}, tokens - read)

    def test_v2_another_salt_shares_nothing(self, client: Any, metered: Metered) -> None:
        for salt in ("one", "two"):
            call = chat(client, user(161, "a"), model="Qwen/Qwen3-8B", cache_salt=salt)
            assert metered.of(call)[0] == 0
            assert metered.of(call)[0] == 160

    def test_what_was_not_used_for_longest_is_evicted(self, client: Any, metered: Metered) -> None:
        first = chat(client, user(6_000, "first"), model="Qwen/Qwen3-8B")
        second = chat(client, user(6_000, "second"), model="Qwen/Qwen3-8B")
        metered.of(first)
        metered.clock.now += 1
        metered.of(second)
        metered.clock.now += 1
        assert metered.of(second)[0] == 5_984
        assert metered.of(first)[0] == 0

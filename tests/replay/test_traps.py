"""Nine ways in which real traffic misleads a meter, end to end: real SDK, local server, row of the ledger.

The bodies are written by hand after what providers really send.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ctxkit.dialects.eventstream import encode
from ctxkit.kit import Kit
from ctxkit.model import Record, Usage
from ctxkit.testing import FakeProvider, Reply, Tokens

ASK = [{"role": "user", "content": "What is the capital of France?"}]
SSE = "text/event-stream"
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    made = Kit(store=None, ledger=tmp_path / "ledger.db", strict=True)
    yield made
    made.close()


@pytest.fixture
def row(kit: Kit) -> Callable[[], Record]:
    """The last row, read back from the ledger's file."""

    def read() -> Record:
        kit.flush()
        return list(kit.ledger.records())[-1]

    return read


@pytest.fixture
def openai_at(provider: FakeProvider, kit: Kit) -> Iterator[Callable[[str], Any]]:
    """An OpenAI client that believes it talks to the base URL it is given."""
    openai = pytest.importorskip("openai")
    with openai.DefaultHttpxClient(proxy=provider.proxy_url) as http_client:
        yield lambda base: kit.wrap(openai.OpenAI(base_url=base, api_key="none", http_client=http_client))


@pytest.fixture
def claude(provider: FakeProvider, kit: Kit) -> Iterator[Any]:
    anthropic = pytest.importorskip("anthropic")
    with anthropic.Anthropic(base_url=provider.anthropic_url, api_key="none") as client:
        yield kit.wrap(client)


@pytest.fixture
def bedrock(provider: FakeProvider, kit: Kit) -> Iterator[Any]:
    boto3 = pytest.importorskip("boto3")
    keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none", "region_name": "us-east-1"}
    client = boto3.client("bedrock-runtime", endpoint_url=provider.bedrock_url, **keys)
    yield kit.wrap(client)
    client.close()


def chat(usage: dict[str, Any]) -> bytes:
    message = {"role": "assistant", "content": "Paris."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "some-model"}
    return json.dumps({**head, "choices": [choice], "usage": usage}).encode()


def sse(*events: Any, named: bool = False) -> bytes:
    texts = [event if isinstance(event, str) else json.dumps(event) for event in events]
    names = [f"event: {event['type']}\n" if named else "" for event in events]
    return "".join(f"{name}data: {text}\n\n" for name, text in zip(names, texts, strict=True)).encode()


def chunk(**fields: Any) -> dict[str, Any]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "some-model"}
    return {**head, "choices": [], **fields}


SAID = chunk(choices=[{"index": 0, "delta": {"content": "Paris."}, "finish_reason": "stop"}])


def message(usage: dict[str, Any]) -> bytes:
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-6"}
    said = {"content": [{"type": "text", "text": "Paris."}], "stop_reason": "end_turn", "stop_sequence": None}
    return json.dumps({**head, **said, "usage": usage}).encode()


# 1 --------------------------------------------------------------------------- cached inside, cached outside


@pytest.mark.parametrize(
    ("base", "usage"),
    [
        ("http://api.openai.com/v1", {"prompt_tokens_details": {"cached_tokens": 1_024}}),
        ("http://api.x.ai/v1", {"prompt_tokens_details": {"cached_tokens": 1_024}}),
        ("http://api.z.ai/api/paas/v4", {"prompt_tokens_details": {"cached_tokens": 1_024}}),
        ("http://api.deepseek.com", {"prompt_cache_hit_tokens": 1_024, "prompt_cache_miss_tokens": 476}),
    ],
)
def test_trap_1_cached_tokens_are_inside_the_prompt_of_openai_like_servers(
    base: str, usage: dict[str, Any], provider: FakeProvider, openai_at: Any, row: Any
) -> None:
    provider.reply(chat({"prompt_tokens": 1_500, "completion_tokens": 5, "total_tokens": 1_505, **usage}))
    openai_at(base).chat.completions.create(model="some-model", messages=ASK)
    seen = row().usage
    assert (seen.fresh, seen.read, seen.output, seen.input_total) == (476, 1_024, 5, 1_500)


def test_trap_1_cached_tokens_are_inside_the_prompt_of_gemini(provider: FakeProvider, kit: Kit, row: Any) -> None:
    genai = pytest.importorskip("google.genai")
    options = kit.google_http_options(base_url=provider.gemini_url)
    client = genai.Client(api_key="none", http_options=options)
    usage = {"promptTokenCount": 1_500, "cachedContentTokenCount": 1_024, "candidatesTokenCount": 5}
    candidate = {"content": {"role": "model", "parts": [{"text": "Paris."}]}, "finishReason": "STOP"}
    body = {"candidates": [candidate], "usageMetadata": {**usage, "totalTokenCount": 1_505}}
    provider.reply(json.dumps(body).encode())
    client.models.generate_content(model="gemini-2.5-flash", contents="What is the capital of France?")
    client.close()
    options.httpx_client.close()
    seen = row().usage
    assert (seen.fresh, seen.read, seen.output, seen.input_total) == (476, 1_024, 5, 1_500)


def test_trap_1_cached_tokens_are_outside_the_input_of_anthropic(provider: FakeProvider, claude: Any, row: Any) -> None:
    usage = {"input_tokens": 12, "cache_read_input_tokens": 1_024, "cache_creation_input_tokens": 464}
    provider.reply(message({**usage, "output_tokens": 5}))
    claude.messages.create(model="claude-sonnet-4-6", max_tokens=10, messages=ASK)
    seen = row().usage
    assert (seen.fresh, seen.read, seen.written_total, seen.output) == (12, 1_024, 464, 5)
    assert seen.input_total == 1_500


def test_trap_1_cached_tokens_are_outside_the_input_of_bedrock(provider: FakeProvider, bedrock: Any, row: Any) -> None:
    usage = {"inputTokens": 12, "outputTokens": 5, "totalTokens": 1_505}
    cached = {"cacheReadInputTokens": 1_024, "cacheWriteInputTokens": 464}
    said = {"role": "assistant", "content": [{"text": "Paris."}]}
    body = {"output": {"message": said}, "stopReason": "end_turn", "usage": {**usage, **cached}}
    provider.reply(json.dumps({**body, "metrics": {"latencyMs": 1}}).encode())
    bedrock.converse(modelId=CLAUDE, messages=[{"role": "user", "content": [{"text": "Capital of France?"}]}])
    seen = row().usage
    assert (seen.fresh, seen.read, seen.written_total, seen.output) == (12, 1_024, 464, 5)


# 2 --------------------------------------------------------------------------------- a gateway net of cache


def test_trap_2_a_gateway_reports_the_prompt_net_of_its_cache(provider: FakeProvider, openai_at: Any, row: Any) -> None:
    details = {"prompt_tokens_details": {"cached_tokens": 1_024}}
    provider.reply(chat({"prompt_tokens": 476, "completion_tokens": 5, "total_tokens": 1_505, **details}))
    openai_at("http://gateway.example/v1").chat.completions.create(model="some-model", messages=ASK)
    seen = row().usage
    assert (seen.fresh, seen.read, seen.input_total) == (476, 1_024, 1_500)


# 3 ------------------------------------------------------------------------------ iterations beside the top


def _iterations() -> dict[str, Any]:
    cache = {"cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
    rounds = [
        {"type": "compaction", "input_tokens": 55_196, "output_tokens": 125, **cache},
        {"type": "message", "input_tokens": 220, "output_tokens": 8, **cache},
    ]
    return {"input_tokens": 220, "output_tokens": 8, **cache, "iterations": rounds}


def test_trap_3_compaction_is_billed_beside_the_top_level_figures(
    provider: FakeProvider, claude: Any, row: Any
) -> None:
    provider.reply(message(_iterations()))
    claude.messages.create(model="claude-sonnet-4-6", max_tokens=10, messages=ASK)
    assert (row().usage.input_total, row().usage.output) == (55_416, 133)


def test_trap_3_in_a_stream_too(provider: FakeProvider, claude: Any, row: Any) -> None:
    start = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-6", "content": []}
    first = {"type": "message_start", "message": {**start, "usage": {"input_tokens": 220, "output_tokens": 1}}}
    last = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": _iterations()}
    provider.reply(sse(first, last, {"type": "message_stop"}, named=True), content_type=SSE)
    list(claude.messages.create(model="claude-sonnet-4-6", max_tokens=10, messages=ASK, stream=True))
    assert (row().usage.input_total, row().usage.output) == (55_416, 133)


# 4 ------------------------------------------------------------------------------ streamed usage in pieces


def test_trap_4_anthropic_tells_the_input_first_and_the_output_last(
    provider: FakeProvider, claude: Any, row: Any
) -> None:
    split = {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 364}
    usage = {"input_tokens": 12, "cache_read_input_tokens": 1_024, "cache_creation_input_tokens": 464}
    start = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-6", "content": []}
    told = {**usage, "cache_creation": split, "output_tokens": 1}
    first = {"type": "message_start", "message": {**start, "usage": told}}
    nulls = {"input_tokens": None, "cache_read_input_tokens": None, "output_tokens": 5}
    last = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": nulls}
    provider.reply(sse(first, last, {"type": "message_stop"}, named=True), content_type=SSE)
    list(claude.messages.create(model="claude-sonnet-4-6", max_tokens=10, messages=ASK, stream=True))
    seen = row()
    assert (seen.status, seen.usage.fresh, seen.usage.read, seen.usage.output) == ("settled", 12, 1_024, 5)
    assert seen.usage.written == {"5m": 100, "1h": 364}


def test_trap_4_groq_tells_it_in_a_field_of_its_own(provider: FakeProvider, openai_at: Any, row: Any) -> None:
    usage = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
    provider.reply(sse(SAID, {**SAID, "x_groq": {"id": "req_1", "usage": usage}}, "[DONE]"), content_type=SSE)
    list(openai_at("http://api.groq.com/openai/v1").chat.completions.create(model="m", messages=ASK, stream=True))
    seen = row()
    assert (seen.platform, seen.status, seen.usage.input_total, seen.usage.output) == ("groq", "settled", 20, 5)


def test_trap_4_bedrock_tells_it_in_the_metrics_of_the_last_event(
    provider: FakeProvider, bedrock: Any, row: Any
) -> None:
    metrics = {"inputTokenCount": 20, "outputTokenCount": 5, "invocationLatency": 9, "firstByteLatency": 3}
    events = [{"generation": "Paris."}, {"generation": "", "amazon-bedrock-invocationMetrics": metrics}]
    wrapped = [{"bytes": base64.b64encode(json.dumps(event).encode()).decode()} for event in events]
    body = b"".join(encode("chunk", json.dumps(event).encode()) for event in wrapped)
    provider.reply(Reply(body, content_type="application/vnd.amazon.eventstream"))
    answer = bedrock.invoke_model_with_response_stream(modelId="meta.llama3-8b-instruct-v1:0", body='{"prompt": "x"}')
    assert [json.loads(event["chunk"]["bytes"]) for event in answer["body"]] == events
    assert (row().status, row().usage.input_total, row().usage.output) == ("settled", 20, 5)


def test_trap_4_openai_tells_it_only_when_asked(provider: FakeProvider, openai_at: Any, row: Any) -> None:
    client = openai_at("http://api.openai.com/v1")
    list(client.chat.completions.create(model="gpt-4o", messages=ASK, stream=True))
    unasked = row()
    assert (unasked.status, unasked.usage) == ("unverified", None)
    list(
        client.chat.completions.create(
            model="gpt-4o", messages=ASK, stream=True, stream_options={"include_usage": True}
        )
    )
    assert row().status == "settled"


# 5 ------------------------------------------------------------------------- what is billed is not what is read


def test_trap_5_billed_units_are_not_tokens(provider: FakeProvider, bedrock: Any, row: Any) -> None:
    meta = {
        "billed_units": {"input_tokens": 6, "output_tokens": 33},
        "tokens": {"input_tokens": 501, "output_tokens": 35},
    }
    headers = {"x-amzn-bedrock-input-token-count": "6", "x-amzn-bedrock-output-token-count": "33"}
    provider.reply(json.dumps({"text": "Paris.", "meta": meta}).encode(), headers=headers)
    bedrock.invoke_model(modelId="cohere.command-r-v1:0", body='{"message": "Capital of France?"}')["body"].read()
    assert (row().usage.input_total, row().usage.output) == (6, 33)


# 7 ----------------------------------------------------------------------------- markers without any effect


def test_trap_7_a_marker_below_the_minimum_has_no_effect_and_is_no_error(
    provider: FakeProvider, claude: Any, row: Any
) -> None:
    cache = {"cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
    provider.reply(message({"input_tokens": 30, "output_tokens": 5, **cache}))
    marked = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    claude.messages.create(model="claude-sonnet-4-6", max_tokens=10, system=marked, messages=ASK)
    seen = row()
    assert provider.requests[0].json["system"] == marked
    assert (seen.usage.fresh, seen.usage.read, seen.usage.written_total) == (30, 0, 0)
    assert (seen.usage.written, seen.problems) == ({}, ())


# 9 ------------------------------------------------------------------------------------- loops are not retries


def test_trap_9_an_agent_that_repeats_itself_makes_operations_and_not_retries(
    provider: FakeProvider, openai_at: Any, kit: Kit
) -> None:
    client = openai_at("http://api.openai.com/v1")
    for _ in range(3):
        client.chat.completions.create(model="gpt-4o", messages=ASK)
    provider.behave(failures=2, retry_after=0.01)
    client.with_options(max_retries=2).chat.completions.create(model="gpt-4o", messages=ASK)
    kit.flush()
    rows = list(kit.ledger.records())
    assert [seen.status for seen in rows] == ["settled"] * 3 + ["failed", "failed", "settled"]
    assert [seen.number for seen in rows] == [1, 1, 1, 1, 2, 3]
    assert len({seen.operation for seen in rows}) == 4


# ------------------------------------------------------------------------------------------- no figures at all


def test_no_usage_is_unknown_and_not_nothing(provider: FakeProvider, openai_at: Any, row: Any) -> None:
    provider.behave(usage=False)
    openai_at("http://api.openai.com/v1").chat.completions.create(model="gpt-4o", messages=ASK)
    seen = row()
    assert (seen.status, seen.usage, seen.cost_source) == ("unverified", None, "estimate")
    assert seen.estimate is not None
    assert seen.cost
    assert seen.cost > 0


def test_a_cut_stream_is_partial(provider: FakeProvider, claude: Any, row: Any) -> None:
    provider.behave(fault="cut", tokens=Tokens(input=15, output=7))
    with pytest.raises(Exception, match="(?i)peer closed|incomplete|connection"):
        list(claude.messages.create(model="claude-sonnet-4-6", max_tokens=10, messages=ASK, stream=True))
    seen = row()
    assert seen.status == "partial"
    assert isinstance(seen.usage, Usage)
    assert seen.usage.input_total == 15  # the first event told it

"""Answers settled by hand: JSON, text, bytes, event lists, event streams."""

import base64
import json

import pytest

from ctxkit import Kit, dialects
from ctxkit.dialects.eventstream import encode
from ctxkit.dialects.raw import read
from ctxkit.errors import ProviderShapeError

WHOLE = {
    "model": "gpt-4o",
    "choices": [{"finish_reason": "stop", "message": {"content": "Hi"}}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
}
EVENTS = [
    {"model": "gpt-4o", "choices": [{"delta": {"content": "Hi"}, "finish_reason": None}]},
    {"model": "gpt-4o", "choices": [{"delta": {}, "finish_reason": "stop"}]},
    {"model": "gpt-4o", "choices": [], "usage": WHOLE["usage"]},
]
SSE = "".join(f"data: {json.dumps(event)}\r\n\r\n" for event in EVENTS) + "data: [DONE]\n\n"


@pytest.mark.parametrize(
    "response",
    [WHOLE, json.dumps(WHOLE), json.dumps(WHOLE).encode(), "\n " + json.dumps(WHOLE), SSE, SSE.encode(), EVENTS],
    ids=["object", "text", "bytes", "padded", "sse text", "sse bytes", "events"],
)
def test_every_form_of_an_answer_settles_alike(response):
    kit = Kit(strict=True)
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello!"}]}
    record = kit.settle(kit.plan(body, dialect="openai.chat", platform="openai"), response)
    assert (record.usage.fresh, record.usage.output, record.status) == (9, 2, "settled")
    kit.close()


def test_a_cut_stream_is_partial():
    kit = Kit(strict=True)
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello!"}]}
    record = kit.settle(kit.plan(body, dialect="openai.chat", platform="openai"), SSE[:90])
    assert record.status == "partial"
    kit.close()


def test_an_event_stream_of_bedrock():
    frames = [
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": {"inputTokens": 9, "outputTokens": 2}}),
    ]
    body = b"".join(encode(kind, json.dumps(payload).encode()) for kind, payload in frames)
    answer = read(dialects.get("bedrock.converse"), "bedrock", body)
    assert (answer.usage.fresh, answer.usage.output, answer.complete) == (9, 2, True)


@pytest.mark.parametrize("dialect", ["anthropic.messages", "bedrock.invoke"])
def test_chunks_of_bedrock_are_what_the_model_wrote(dialect):
    events = [
        {"type": "message_start", "message": {"id": "m", "model": "claude", "usage": {"input_tokens": 9}}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 9, "outputTokenCount": 2}},
    ]
    chunks = [{"bytes": base64.b64encode(json.dumps(event).encode()).decode()} for event in events]
    body = b"".join(encode("chunk", json.dumps(chunk).encode()) for chunk in chunks)
    answer = read(dialects.get(dialect), "bedrock", body)
    assert (answer.usage.fresh, answer.usage.output, answer.complete) == (9, 2, True)


def test_gemini_streams_end_with_their_bytes():
    chunk = {"candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 2, "totalTokenCount": 11}}  # fmt: skip
    for response in (f"data: {json.dumps(chunk)}\r\n\r\n", json.dumps([chunk]), [chunk]):
        answer = read(dialects.get("gemini.generate"), "google", response)
        assert (answer.usage.fresh, answer.usage.output, answer.complete) == (9, 2, True)


@pytest.mark.parametrize("response", ["", "not json", b"\xff\xfe", 7, "<html>busy</html>"])
def test_anything_else_is_unverified_and_said(response):
    with pytest.raises(ProviderShapeError):
        read(dialects.get("openai.chat"), "openai", response)
    kit = Kit(strict=True)
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello!"}]}
    record = kit.settle(kit.plan(body, dialect="openai.chat", platform="openai"), response)
    assert (record.status, record.cost_source) == ("unverified", "estimate")
    assert kit.faults.counts == {"settle: malformed answer": 1}
    kit.close()


def test_names_that_other_libraries_use_for_platforms():
    from ctxkit.dialects.platforms import platform_named

    assert platform_named("google-gla").name == "google"
    assert platform_named("x-ai").rule.ticks
    assert platform_named("somebody").name == "somebody"

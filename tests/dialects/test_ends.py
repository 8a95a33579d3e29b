"""Whether an answer is whole, and whether the very same request may be answered with it again."""

import copy
import json
import lzma
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit import dialects
from ctxkit.dialects import wire
from ctxkit.dialects.complete import repeatable, whole
from ctxkit.dialects.eventstream import encode
from ctxkit.dialects.raw import read

ALL = dialects.EDITABLE + dialects.METER_ONLY


def sse(*events):
    return b"".join(
        b"data: " + (event if isinstance(event, bytes) else json.dumps(event).encode()) + b"\n\n" for event in events
    )


def framed(*events):
    return b"".join(encode(kind, json.dumps(payload).encode()) for event in events for kind, payload in event.items())


CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
RESPONSES = {"model": "m", "input": "Hi"}
MESSAGES = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
GENERATE = {"contents": [{"parts": [{"text": "Hi"}]}]}
CONVERSE = {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}

CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CHOICE = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Yes", "refusal": None}}
SAID = {"id": "c1", "choices": [CHOICE], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
CHUNKS = (
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]},
    {"choices": [{"index": 0, "delta": {"content": "Yes"}, "finish_reason": None}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}},
    b"[DONE]",
)
RESPONSE = {
    "id": "r1",
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "output": [
        {"type": "reasoning", "summary": []},
        {
            "type": "message",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Yes", "annotations": []}],
        },
    ],
}
RESPONSE_EVENTS = (
    {"type": "response.created", "response": {"id": "r1", "status": "in_progress"}},
    {"type": "response.output_text.delta", "delta": "Yes"},
    {"type": "response.completed", "response": RESPONSE},
)
MESSAGE = {
    "type": "message",
    "id": "m1",
    "stop_reason": "end_turn",
    "content": [{"type": "text", "text": "Yes"}],
    "usage": {},
}
MESSAGE_EVENTS = (
    {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}},
    {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}},
    },
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 1}},
    {"type": "message_stop"},
)
GENERATED = {"candidates": [{"content": {"parts": [{"text": "Yes"}]}, "finishReason": "STOP"}], "usageMetadata": {}}
GENERATED_CHUNKS = ({"candidates": [{"content": {"parts": [{"text": "Y"}]}, "index": 0}]}, GENERATED)
CONVERSED = {"output": {"message": {"content": [{"text": "Yes"}]}}, "stopReason": "end_turn", "usage": {}}
CONVERSE_EVENTS = (
    {"messageStart": {"role": "assistant"}},
    {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "Yes"}}},
    {"contentBlockStop": {"contentBlockIndex": 0}},
    {"messageStop": {"stopReason": "end_turn"}},
    {"metadata": {"usage": {"inputTokens": 1, "outputTokens": 1}}},
)

WHOLE = {
    "chat": ("openai.chat", CHAT, SAID),
    "responses": ("openai.responses", RESPONSES, RESPONSE),
    "messages": ("anthropic.messages", MESSAGES, MESSAGE),
    "generate": ("gemini.generate", GENERATE, GENERATED),
    "converse": ("bedrock.converse", CONVERSE, CONVERSED),
    "invoke claude": ("bedrock.invoke", {**MESSAGES, "anthropic_version": "x"}, MESSAGE),
    "invoke nova": ("bedrock.invoke", CONVERSE, CONVERSED),
    "completions": ("openai.completions", {"prompt": "Hi"}, {"choices": [{"index": 0, "finish_reason": "stop", "text": "Yes"}]}),
    "embeddings": ("openai.embeddings", {"input": ["a", "b"]}, {"data": [{"embedding": [1.0]}, {"embedding": [2.0]}]}),
    "embeddings of tokens": ("openai.embeddings", {"input": [1, 2, 3]}, {"data": [{"object": "embedding", "embedding": "AAA="}]}),
}  # fmt: skip
STREAMED = {
    "chat": ("openai.chat", CHAT, sse(*CHUNKS)),
    "responses": ("openai.responses", RESPONSES, sse(*RESPONSE_EVENTS)),
    "messages": ("anthropic.messages", MESSAGES, sse(*MESSAGE_EVENTS)),
    "generate": ("gemini.generate", GENERATE, sse(*GENERATED_CHUNKS)),
    "converse": ("bedrock.converse", CONVERSE, framed(*CONVERSE_EVENTS)),
}


@pytest.mark.parametrize("name", WHOLE)
def test_an_answer_that_came_to_a_good_end_is_whole(name):
    dialect, body, said = WHOLE[name]
    raw = b" " + json.dumps(said, indent=1).encode() + b"\n"
    assert repeatable(dialect, body)
    assert whole(dialect, body, raw) == (raw,)
    assert whole(dialect, body, raw[:-3]) is None
    assert whole(dialect, body, json.dumps({**said, "error": {"code": "x"}}).encode()) is None


@pytest.mark.parametrize("name", STREAMED)
def test_a_stream_is_whole_with_its_last_event_and_not_before(name):
    dialect, body, raw = STREAMED[name]
    events = whole(dialect, body, raw)
    assert events is not None
    assert len(events) > 1
    assert b"".join(events) == raw
    for cut in range(len(raw) - 2):  # the blank line behind the last event may be missing
        found = whole(dialect, body, raw[:cut])
        assert found is None or b"".join(found).rstrip() == raw.rstrip(), cut
    for left_out in range(len(events)):
        if name == "chat" and left_out in (0, 3):
            continue  # nothing but a role, and the usage
        rest = b"".join(event for index, event in enumerate(events) if index != left_out)
        assert whole(dialect, body, rest) is None or is_idle(events[left_out], name), left_out


def is_idle(event, name):
    """Without it the answer is as whole as with it, as far as anybody can tell."""
    return {
        "messages": b"ping" in event or b"content_block_delta" in event,
        "responses": b"completed" not in event,
        "generate": b"STOP" not in event,
    }.get(name, False)


def test_keep_alives_and_comments_come_along():
    raw = b": hello\n\n" + sse(*CHUNKS[:2]) + b"\r\n: still here\r\n\r\n" + sse(*CHUNKS[2:])
    assert b"".join(whole("openai.chat", CHAT, raw)) == raw


BAD_ENDS = {
    "openai.chat": ("length", "content_filter", "max_tokens", "error", "end_turn", "", None, "STOP", 1, "insufficient_system_resource"),
    "anthropic.messages": ("max_tokens", "refusal", "pause_turn", "model_context_window_exceeded", "stop", None, "", "compaction"),
    "gemini.generate": ("MAX_TOKENS", "SAFETY", "RECITATION", "MALFORMED_FUNCTION_CALL", "OTHER", "BLOCKLIST", None, 2, 0, "stop", "FINISH_REASON_UNSPECIFIED"),
    "bedrock.converse": ("max_tokens", "guardrail_intervened", "content_filtered", "malformed_model_output", None, "", "stop"),
    "openai.responses": ("incomplete", "failed", "cancelled", "in_progress", "queued", None, "complete", "stop"),
}  # fmt: skip


@pytest.mark.parametrize("dialect", BAD_ENDS)
def test_an_end_that_is_bad_or_unknown_is_none(dialect):
    name = dialect.partition(".")[2]
    _, body, said = WHOLE[name]
    _, _, stream = STREAMED[name]
    for end in BAD_ENDS[dialect]:
        other = copy.deepcopy(said)
        if dialect == "openai.chat":
            other["choices"][0]["finish_reason"] = end
        elif dialect == "gemini.generate":
            other["candidates"][0]["finishReason"] = end
        else:
            other[{"anthropic.messages": "stop_reason", "bedrock.converse": "stopReason"}.get(dialect, "status")] = end
        assert whole(dialect, body, json.dumps(other).encode()) is None, end
        ends = {"stop", "tool_use", "STOP", "end_turn", "completed"}
        changed = stream
        for good in ends:
            changed = changed.replace(b'on": "%s"' % good.encode(), b'on": ' + json.dumps(end).encode())
            changed = changed.replace(b'us": "%s"' % good.encode(), b'us": ' + json.dumps(end).encode())
        if dialect != "bedrock.converse":  # there a checksum says so first
            assert changed != stream
        assert changed == stream or whole(dialect, body, changed) is None, end


@pytest.mark.parametrize(
    ("dialect", "body", "said"),
    [
        ("openai.chat", CHAT, {"choices": []}),
        ("openai.chat", CHAT, {"choices": [{**CHOICE, "message": {"content": None, "refusal": "No."}}]}),
        ("openai.chat", CHAT, {"choices": [{**CHOICE, "message": {"content": ""}}]}),
        ("openai.chat", CHAT, {"choices": [{**CHOICE, "message": {"content": "x", "audio": {"id": "a"}}}]}),
        ("openai.chat", CHAT, {"choices": [{**CHOICE, "message": {"content": "x", "annotations": [{}]}}]}),
        ("openai.chat", CHAT, {"choices": [{**CHOICE, "content_filter_results": {"hate": {"filtered": True}}}]}),
        ("openai.chat", CHAT, {**SAID, "prompt_filter_results": [{"content_filter_results": {"jailbreak": {"filtered": True}}}]}),
        ("openai.chat", CHAT, {**SAID, "citations": ["https://example.com"]}),
        ("openai.chat", CHAT, {**SAID, "error": {"code": 502}}),
        ("openai.chat", {**CHAT, "n": 2}, SAID),
        ("openai.chat", {**CHAT, "n": 2}, {"choices": [CHOICE, CHOICE]}),
        ("openai.chat", {**CHAT, "n": 2}, {"choices": [CHOICE, {**CHOICE, "index": 1, "finish_reason": "length"}]}),
        ("openai.chat", CHAT, {"choices": [CHOICE, {**CHOICE, "index": 1}]}),
        ("openai.chat", CHAT, {"choices": ["text"]}),
        ("openai.chat", CHAT, []),
        ("openai.responses", RESPONSES, {**RESPONSE, "output": []}),
        ("openai.responses", RESPONSES, {**RESPONSE, "error": {"code": "x"}}),
        ("openai.responses", RESPONSES, {**RESPONSE, "incomplete_details": {"reason": "max_output_tokens"}}),
        ("openai.responses", RESPONSES, {**RESPONSE, "output": RESPONSE["output"][:1]}),
        ("openai.responses", RESPONSES, {**RESPONSE, "output": [{"type": "message", "status": "incomplete", "content": []}]}),
        ("openai.responses", RESPONSES, {**RESPONSE, "output": [{"type": "message", "content": [{"type": "refusal"}]}]}),
        ("openai.responses", RESPONSES, {**RESPONSE, "output": [*RESPONSE["output"], {"type": "web_search_call"}]}),
        ("anthropic.messages", MESSAGES, {**MESSAGE, "content": []}),
        ("anthropic.messages", MESSAGES, {**MESSAGE, "type": "error"}),
        ("anthropic.messages", MESSAGES, {**MESSAGE, "content": [{"type": "web_search_tool_result"}]}),
        ("gemini.generate", GENERATE, {"promptFeedback": {"blockReason": "SAFETY"}}),
        ("gemini.generate", GENERATE, {**GENERATED, "promptFeedback": {"blockReason": "OTHER"}}),
        ("gemini.generate", GENERATE, {"candidates": [{"content": {"parts": []}, "finishReason": "STOP"}]}),
        ("gemini.generate", GENERATE, {"candidates": [{**GENERATED["candidates"][0], "groundingMetadata": {"a": 1}}]}),
        ("gemini.generate", GENERATE, {"candidates": [{**GENERATED["candidates"][0], "safetyRatings": [{"blocked": True}]}]}),
        ("gemini.generate", {**GENERATE, "generationConfig": {"candidateCount": 2}}, GENERATED),
        ("bedrock.converse", CONVERSE, {**CONVERSED, "output": {"message": {"content": []}}}),
        ("bedrock.invoke", CONVERSE, {"generation": "Yes", "stop_reason": "stop"}),
        ("openai.completions", {"prompt": ["a", "b"]}, {"choices": [{"index": 0, "finish_reason": "stop", "text": "Yes"}]}),
        ("openai.embeddings", {"input": ["a", "b"]}, {"data": [{"embedding": [1.0]}]}),
        ("openai.embeddings", {"input": "a"}, {"data": [{"embedding": []}]}),
    ],
)  # fmt: skip
def test_what_is_not_whole_in_every_part_is_not_kept(dialect, body, said):
    assert whole(dialect, body, json.dumps(said).encode()) is None


def test_every_choice_of_a_stream_has_to_end_well():
    def chunk(index, **more):
        return {"choices": [{"index": index, **more}]}

    both = [
        chunk(0, delta={"content": "a"}),
        chunk(1, delta={"tool_calls": [CALL]}),
        chunk(0, delta={}, finish_reason="stop"),
    ]
    ends = [*both, chunk(1, delta={}, finish_reason="tool_calls"), b"[DONE]"]
    asked = {**CHAT, "n": 2}
    assert whole("openai.chat", asked, sse(*ends)) is not None
    assert whole("openai.chat", CHAT, sse(*ends)) is None
    assert whole("openai.chat", asked, sse(*both, b"[DONE]")) is None
    assert whole("openai.chat", asked, sse(*both, chunk(1, delta={}, finish_reason="length"), b"[DONE]")) is None
    assert whole("openai.chat", asked, sse(chunk(1, delta={"refusal": "No"}), *ends)) is None
    assert whole("openai.chat", asked, sse({"error": {"code": 500}}, *ends)) is None
    assert whole("openai.chat", asked, sse(*ends, chunk(0, delta={"content": "more"}))) is None


def test_a_failure_in_a_binary_stream_is_none():
    failed = encode("x", b"{}", {":message-type": "exception", ":exception-type": "throttlingException"})
    raw = framed(*CONVERSE_EVENTS)
    assert whole("bedrock.converse", CONVERSE, raw) is not None
    assert whole("bedrock.converse", CONVERSE, failed + raw) is None
    assert whole("bedrock.converse", CONVERSE, raw + failed) is None
    assert whole("bedrock.converse", CONVERSE, raw[:-1] + bytes((raw[-1] ^ 1,))) is None


def test_large_binary_events_are_read():
    long = {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "Yes" * 30_000}}}
    raw = framed(CONVERSE_EVENTS[0], long, *CONVERSE_EVENTS[2:])
    assert len(whole("bedrock.converse", CONVERSE, raw)) == 5
    assert raw[1] == 0
    first_is_long = framed({"messageStart": {"role": "assistant", "p": "x" * 300}}, *CONVERSE_EVENTS[1:])
    assert whole("bedrock.converse", CONVERSE, first_is_long) is not None


def test_a_list_of_chunks_is_a_stream_in_one_piece():
    raw = json.dumps(GENERATED_CHUNKS).encode()
    assert whole("gemini.generate", GENERATE, raw) == (raw,)
    assert whole("gemini.generate", GENERATE, json.dumps(GENERATED_CHUNKS[:1]).encode()) is None


@pytest.mark.parametrize(
    "raw",
    [b"", b"null", b"{", b"[]", b"data: \n\n", b"\0" * 20, b"\0\0\0\x10", b"<html>", b"data: {\n\n", b"[[]]", b"[1]"],
)
@pytest.mark.parametrize("dialect", ALL)
def test_what_is_no_answer_is_not_whole(dialect, raw):
    body = {"openai.embeddings": {"input": "a"}}.get(dialect, CHAT)
    assert whole(dialect, body, raw) is None


SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 10**12) | st.floats() | st.sampled_from(["stop", "STOP", "message", "text", ""]),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(
        st.sampled_from(
            ["choices", "finish_reason", "message", "delta", "content", "index", "n", "tools", "type", "status", "output", "candidates", "parts",
             "finishReason", "stop_reason", "stopReason", "data", "input", "prompt", "generationConfig", "candidateCount", "response", "event"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(st.sampled_from(ALL), SHAPES, SHAPES, st.booleans())
def test_no_shape_is_too_odd_and_no_number_too_large(dialect, body, said, is_streamed):
    assert repeatable(dialect, body) in (True, False)
    raw = sse(said, b"[DONE]") if is_streamed else json.dumps(said).encode()
    body = body if isinstance(body, dict) else {"n": body, "generationConfig": {"candidateCount": body}}
    found = whole(dialect, body, raw)
    assert found is None or b"".join(found) == raw


NOT_AGAIN = (
    ("openai.chat", {**CHAT, "tools": [{"type": "web_search"}]}),
    ("openai.chat", {**CHAT, "tools": [{"type": "function"}, {"type": "mcp"}]}),
    ("openai.chat", {**CHAT, "tools": {"type": "function"}}),
    ("openai.chat", {**CHAT, "web_search_options": {"search_context_size": "low"}}),
    ("openai.chat", {**CHAT, "search_parameters": {"mode": "auto"}}),
    ("openai.chat", {**CHAT, "plugins": [{"id": "web"}]}),
    ("openai.chat", {**CHAT, "enable_search": True}),
    ("openai.chat", {**CHAT, "model": "openai/gpt-5:online"}),
    ("openai.responses", {**RESPONSES, "previous_response_id": "r"}),
    ("openai.responses", {**RESPONSES, "conversation": {"id": "c"}}),
    ("openai.responses", {**RESPONSES, "conversation": "c"}),
    ("openai.responses", {**RESPONSES, "background": True}),
    ("openai.responses", {**RESPONSES, "prompt": {"id": "p"}}),
    ("openai.responses", {**RESPONSES, "tools": [{"type": "file_search"}]}),
    ("openai.responses", {**RESPONSES, "tools": [{"type": "code_interpreter"}]}),
    ("openai.responses", {**RESPONSES, "tools": [{"type": "something_new"}]}),
    ("anthropic.messages", {**MESSAGES, "tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
    ("anthropic.messages", {**MESSAGES, "tools": [{"type": "code_execution_20250825", "name": "x"}]}),
    ("anthropic.messages", {**MESSAGES, "mcp_servers": [{"type": "url"}]}),
    ("anthropic.messages", {**MESSAGES, "container": "c"}),
    ("gemini.generate", {**GENERATE, "tools": [{"googleSearch": {}}]}),
    ("gemini.generate", {**GENERATE, "tools": [{"functionDeclarations": [], "codeExecution": {}}]}),
    ("gemini.generate", {**GENERATE, "tools": {"url_context": {}}}),
    ("bedrock.converse", {**CONVERSE, "toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]}}),
    ("bedrock.converse", {**CONVERSE, "guardrailConfig": {"guardrailVersion": "DRAFT"}}),
    ("bedrock.invoke", {**MESSAGES, "anthropic_version": "x", "tools": [{"type": "web_search_20250305"}]}),
    ("no.such", CHAT),
    ("openai.chat", []),
    ("openai.chat", {}),
)


@pytest.mark.parametrize(("dialect", "body"), NOT_AGAIN)
def test_what_does_not_say_all_that_its_answer_depends_on_is_not_asked_again(dialect, body):
    assert repeatable(dialect, body) is False


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("openai.chat", {**CHAT, "tools": [{"type": "function", "function": {"name": "f"}}], "background": False}),
        ("openai.chat", {**CHAT, "tools": None, "store": True, "user": "u"}),
        (
            "openai.responses",
            {**RESPONSES, "tools": [{"type": "function"}, {"type": "custom"}], "previous_response_id": None},
        ),
        ("openai.responses", {**RESPONSES, "prompt": {"id": "p", "version": "3"}}),
        ("anthropic.messages", {**MESSAGES, "tools": [{"name": "f"}, {"type": "bash_20250124", "name": "bash"}]}),
        ("gemini.generate", {**GENERATE, "tools": [{"functionDeclarations": []}], "cachedContent": "cachedContents/1"}),
        ("bedrock.converse", {**CONVERSE, "toolConfig": {"tools": [{"toolSpec": {}}, {"cachePoint": {}}]}}),
    ],
)
def test_tools_of_the_application_and_cache_objects_are_fine(dialect, body):
    assert repeatable(dialect, body)


FORMATS = {
    "chat": "openai.chat",
    "responses": "openai.responses",
    "messages": "anthropic.messages",
    "generate": "gemini.generate",
    "generate_stream": "gemini.generate",
    "converse": "bedrock.converse",
    "invoke": "bedrock.invoke",
    "completions": "openai.completions",
}
GOOD = {"stop", "tool_calls", "function_call", "end_turn", "tool_use", "stop_sequence", "STOP", "1", "completed"}


@pytest.mark.slow
def test_recorded_answers_are_kept_if_and_only_if_they_came_to_a_good_end(recorded):
    asked, kept, left = {}, Counter(), Counter()
    for record in lines(recorded / "exchanges" / "requests.jsonl.xz"):
        asked[record["id"]] = record["endpoint"], record["provider"], record["request"]
    for record in lines(recorded / "exchanges" / "responses.jsonl.xz"):
        endpoint, provider, body = asked.get(record["id"], ("", "", None))
        if endpoint not in FORMATS or record["body"] is None:
            continue
        said = record["body"]
        raw = said.encode("utf-8", "surrogatepass") if isinstance(said, str) else wire.dumps(said)
        dialect = FORMATS[endpoint]
        answer = read(dialects.get(dialect), provider, raw)
        events = whole(dialect, body, raw)
        if events is None:
            left[repeatable(dialect, body) and answer.finish in GOOD and answer.complete] += 1
            continue
        assert b"".join(events) == raw
        assert answer.complete
        assert answer.finish in GOOD, record["id"]
        kept[endpoint, record["streamed"]] += 1
        for cut in (len(raw) // 3, len(raw) - 30):
            assert whole(dialect, body, raw[:cut]) is None or record["streamed"], record["id"]
    assert sum(kept.values()) > 17_500
    # Nothing said, a tool of the provider's own after all, no terminator, too few choices.
    assert left[True] < 0.015 * sum(kept.values())


def lines(path):
    with lzma.open(path) as file:
        yield from map(wire.loads, file)

"""What holds for the formats of Anthropic, Gemini and Bedrock alike, whatever stands in a body or an answer."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit import dialects
from ctxkit.dialects import blocks, sse
from ctxkit.errors import ProviderShapeError

MARK = {"cache_control": {"type": "ephemeral"}}
POINT = {"cachePoint": {"type": "default"}}

ANTHROPIC = {
    "model": "claude-x",
    "max_tokens": 9,
    "system": [{"type": "text", "text": "be brief", **MARK}],
    "tools": [{"name": "read", "input_schema": {"type": "object"}, **MARK}, {"type": "bash_20250124", "name": "bash"}],
    "messages": [
        {"role": "user", "content": "hello"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "Eo"},
                {"type": "text", "text": "let me see", "citations": [{"type": "char_location"}]},
                {"type": "tool_use", "id": "t1", "name": "read", "input": {"path": "a"}},
                {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}},
                {
                    "type": "web_search_tool_result",
                    "tool_use_id": "s1",
                    "content": [{"type": "web_search_result", "title": "T", "url": "U", "encrypted_content": "Eo"}],
                },
                {"type": "compaction", "content": "so far"},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t1",
                    "content": [{"type": "text", "text": "x", **MARK}, {"type": "image", "source": {"type": "base64"}}],
                    **MARK,
                },
                {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "d"}]}},
                {"type": "search_result", "title": "T", "source": "S", "content": [{"type": "text", "text": "x"}]},
                {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "fx"}},
                {"type": "text", "text": "and now?", **MARK},
            ],
        },
    ],
}
GEMINI = {
    "systemInstruction": {"parts": [{"text": "be brief"}]},
    "tools": [{"functionDeclarations": [{"name": "f"}]}, {"googleSearch": {}}],
    "contents": [
        {"role": "user", "parts": [{"text": "hi"}, {"inlineData": {"mimeType": "image/png", "data": "AA"}}]},
        {
            "role": "model",
            "parts": [
                {"text": "hm", "thought": True},
                {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "Eo"},
                {"executableCode": {"code": "1+1"}},
                {"codeExecutionResult": {"output": "2"}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {
                    "functionResponse": {
                        "name": "f",
                        "response": {"output": "x"},
                        "parts": [{"fileData": {"mimeType": "audio/wav", "fileUri": "u"}}],
                    }
                }
            ],
        },
    ],
    "generationConfig": {"temperature": 0},
}
CONVERSE = {
    "modelId": "m",
    "system": [{"text": "be brief"}, POINT],
    "toolConfig": {"tools": [{"toolSpec": {"name": "read"}}, POINT], "toolChoice": {"auto": {}}},
    "messages": [
        {
            "role": "user",
            "content": [{"text": "hi"}, {"image": {"format": "png", "source": {"bytes": b"\x89"}}}, POINT],
        },
        {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "Eo"}}},
                {"toolUse": {"toolUseId": "t", "name": "read", "input": {"a": 1}}},
                {"citationsContent": {"content": [{"text": "x"}], "citations": []}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "t", "content": [{"json": {"a": 1}}, {"document": {"name": "d"}}]}},
                {"guardContent": {"text": {"text": "g"}}},
                {"searchResult": {"title": "T", "content": [{"text": "x"}]}},
            ],
        },
    ],
}
INVOKE = {"prompt": "hi", "chat_history": [{"role": "USER", "message": "x"}], "messages": ANTHROPIC["messages"], "k": 1}
BODIES = {
    "anthropic.messages": ANTHROPIC,
    "gemini.generate": GEMINI,
    "bedrock.converse": CONVERSE,
    "bedrock.invoke": INVOKE,
}

ANTHROPIC_USAGE = {
    "input_tokens": 12,
    "cache_creation_input_tokens": 7,
    "cache_read_input_tokens": 5,
    "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4},
    "output_tokens": 9,
    "output_tokens_details": {"thinking_tokens": 2},
    "server_tool_use": {"web_search_requests": 1},
    "iterations": [{"type": "message", "input_tokens": 12, "output_tokens": 9}],
}
ANSWERS = {
    "anthropic.messages": {"id": "m", "model": "c", "stop_reason": "end_turn", "usage": ANTHROPIC_USAGE},
    "gemini.generate": {
        "candidates": [
            {
                "content": {"parts": [{"text": "hi"}]},
                "finishReason": "STOP",
                "groundingMetadata": {"webSearchQueries": ["q"]},
            }
        ],
        "usageMetadata": {
            "promptTokenCount": 12,
            "cachedContentTokenCount": 4,
            "candidatesTokenCount": 5,
            "thoughtsTokenCount": 2,
            "totalTokenCount": 19,
            "promptTokensDetails": [{"modality": "IMAGE", "tokenCount": 3}],
            "trafficType": "ON_DEMAND",
        },
        "modelVersion": "gemini-3",
    },
    "bedrock.converse": {
        "stopReason": "end_turn",
        "usage": {
            "inputTokens": 3,
            "outputTokens": 2,
            "totalTokens": 12,
            "cacheReadInputTokens": 4,
            "cacheWriteInputTokens": 3,
            "cacheDetails": [{"ttl": "5m", "inputTokens": 3}],
        },
    },
    "bedrock.invoke": {
        "usage": ANTHROPIC_USAGE,
        "meta": {"tokens": {"input_tokens": 3}},
        "results": [{"tokenCount": 2, "completionReason": "FINISH"}],
        "amazon-bedrock-invocationMetrics": {"inputTokenCount": 3, "outputTokenCount": 2},
    },
}
ANTHROPIC_EVENTS = [
    {"type": "message_start", "message": {"id": "m", "model": "c", "usage": ANTHROPIC_USAGE}},
    {"type": "content_block_start", "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "h\u2028i \U0001f600"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 11}},
    {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 12, "outputTokenCount": 11}},
]
EVENTS = {
    "anthropic.messages": ANTHROPIC_EVENTS,
    "gemini.generate": [ANSWERS["gemini.generate"], {"error": {"status": "X"}}, ANSWERS["gemini.generate"]],
    "bedrock.converse": [
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"delta": {"text": "hi"}}},
        {"messageStop": {"stopReason": "end_turn"}},
        {"metadata": {"usage": ANSWERS["bedrock.converse"]["usage"]}},
    ],
    "bedrock.invoke": [*ANTHROPIC_EVENTS, {"generation": "hi", "prompt_token_count": 3, "metadata": {"usage": {}}}],
}

every_dialect = pytest.mark.parametrize("name", sorted(BODIES))

leaves = st.none() | st.booleans() | st.integers(-5, 2**70) | st.floats() | st.text(max_size=5)
junk = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "content", "parts", "usage", "role", "source", "x", "cache_control"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@st.composite
def mutated(draw, original):
    """``original`` with one to four places replaced, removed or added."""
    body = copy.deepcopy(original)
    for _ in range(draw(st.integers(1, 4))):
        node = body
        while isinstance(node, dict | list) and node:
            key = draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
            if not isinstance(node[key], dict | list) or draw(st.integers(0, 3)) == 0:
                change(draw, node, key)
                break
            node = node[key]
    return body


def change(draw, node, key):
    how = draw(st.sampled_from(["replace", "remove", "add"]))
    if how == "remove":
        del node[key]
    elif how == "replace" or isinstance(node, list):
        node[key] = draw(junk)
    else:
        node[draw(st.text(min_size=1, max_size=3))] = draw(junk)


def stands_at(body, path):
    for key in path:
        body = body[key]
    return body


def has_marker(value):
    return any(mark in json.dumps(value, default=repr) for mark in ('"cache_control"', '"cachePoint"'))


@every_dialect
def test_with_no_edits_the_body_is_the_same_object(name):
    assert dialects.get(name).apply(BODIES[name], []) is BODIES[name]


@every_dialect
@given(data=st.data())
def test_a_view_of_anything_fails_in_one_way_only_and_shows_everything(name, data):
    dialect = dialects.get(name)
    body = data.draw(mutated(BODIES[name]))
    before = copy.deepcopy(body)
    try:
        seen = dialect.view(body)
    except ProviderShapeError:
        return
    for message in seen.messages:
        parts = message.parts
        assert stands_at(body, message.path) is message.value
        assert all(stands_at(body, part.path) is part.value for part in parts)
        assert all(isinstance(part.text, str) for part in parts)
        if isinstance(message.value, dict) and message.path[0] in {"messages", "contents"}:
            depth = len(message.path)
            shown = {part.path[depth] for part in parts if len(part.path) > depth}
            hidden = message.value.keys() - shown - {"role"}
            assert all(message.value[key] in (None, [], ()) for key in hidden)
    assert repr(body) == repr(before), "looking must not change anything"


@every_dialect
@given(data=st.data())
def test_identities_are_free_of_markers_and_stable(name, data):
    dialect = dialects.get(name)
    body = data.draw(mutated(BODIES[name]))
    try:
        seen = dialect.view(body)
    except ProviderShapeError:
        return
    for message in seen.messages:
        bare = dialect.identity(message.value)
        assert dialect.identity(bare) is bare
        if bare is not message.value:
            assert has_marker(message.value)


@pytest.mark.parametrize("name", ["anthropic.messages", "bedrock.converse"])
def test_a_marker_does_not_change_an_identity(name):
    dialect = dialects.get(name)
    for message in dialect.view(BODIES[name]).messages:
        assert not has_marker(dialect.identity(message.value))


@every_dialect
@given(data=st.data())
def test_no_answer_raises(name, data):
    found = dialects.get(name).answer(data.draw(mutated(ANSWERS[name])), "x")
    assert_sound(found.usage)


@every_dialect
@given(data=st.data())
def test_no_event_raises(name, data):
    reader = dialects.get(name).stream("x")
    for event in data.draw(mutated(EVENTS[name])):
        assert reader.feed(json.dumps(event).encode()) is False
    assert_sound(reader.answer().usage)


def assert_sound(usage):
    if usage is not None:
        figures = (usage.fresh, usage.read, usage.output, usage.reasoning, *(usage.written or {}).values())
        assert all(figure is None or figure >= 0 for figure in figures)


@pytest.mark.parametrize("name", ["anthropic.messages", "gemini.generate"])
@given(data=st.data())
def test_a_stream_split_anywhere_gives_the_same_answer(name, data):
    end = data.draw(st.sampled_from(["\n\n", "\r\n\r\n", "\r\r"]))
    whole = "".join(f"data: {json.dumps(event, ensure_ascii=False)}{end}" for event in EVENTS[name]).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=20)))
    pieces = [whole[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert read(name, pieces) == read(name, [whole])


def read(name, pieces):
    splitter, reader = sse.Splitter(), dialects.get(name).stream("x")
    events = [event for piece in pieces for event in splitter.feed(piece)] + splitter.finish()
    for event in events:
        if event.data:
            reader.feed(event.data)
    return reader.answer()


@every_dialect
def test_a_stream_says_what_an_answer_says(name):
    """Figures of the two ways must not drift apart."""
    streamed = dialects.get(name).stream("x")
    for event in EVENTS[name]:
        streamed.see(event) if hasattr(streamed, "see") else streamed.feed(json.dumps(event).encode())
    whole = dialects.get(name).answer(ANSWERS[name], "x")
    assert streamed.answer().usage.fresh == whole.usage.fresh
    assert streamed.answer().usage.written == whole.usage.written


def test_text_of_values_without_json():
    assert blocks.spell({"a": b"\x00", (1, 2): 3, "n": float("nan")}) == '{"a": "<bytes>", "n": NaN}'
    assert blocks.spell("\ud800") == '"\ud800"'


def test_a_dialect_stays_a_module_of_its_own():
    for name in BODIES:
        assert dialects.get(name).__name__ == f"ctxkit.dialects.{name}"

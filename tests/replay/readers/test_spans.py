"""Exports of spans: OTLP, flat attributes, every form of contents, usage alone."""

import json

import pytest

from ctxkit.replay.readers import read_recordings

START = 1_790_848_800
TOOL = {"type": "function", "name": "find", "description": "Finds.", "parameters": {"type": "object"}}
PROMPT = [
    {"role": "user", "parts": [{"type": "text", "content": "Where is it?"}]},
    {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "find", "arguments": {"id": 7}}]},
    {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": {"at": "home"}}]},
]
ANSWER = [{"role": "assistant", "parts": [{"type": "text", "content": "At home."}], "finish_reason": "stop"}]
USAGE = {
    "gen_ai.usage.input_tokens": 1200,
    "gen_ai.usage.output_tokens": 9,
    "gen_ai.usage.cache_read.input_tokens": 1024,
}
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-5", **USAGE}
CONTENTS = {
    "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be brief."}]),
    "gen_ai.input.messages": json.dumps(PROMPT),
    "gen_ai.output.messages": json.dumps(ANSWER),
    "gen_ai.tool.definitions": json.dumps([TOOL]),
}


def any_value(value):
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(one) for one in value]}}
    return {"kvlistValue": {"values": keyed(value)}}


def keyed(attributes):
    return [{"key": key, "value": any_value(value)} for key, value in attributes.items()]


def otlp(*spans):
    listed = [
        {
            "traceId": "t1",
            "spanId": f"s{number}",
            "name": "chat gpt-5",
            "startTimeUnixNano": str((START + number) * 10**9),
            "attributes": keyed(attributes),
            "events": [{"name": name, "attributes": keyed(about)} for name, about in events],
        }
        for number, (attributes, events) in enumerate(spans)
    ]
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": listed}]}]}


def flat(attributes, events=()):
    listed = [{"name": name, "attributes": about} for name, about in events]
    context = {"trace_id": "0x1", "span_id": "0x2"}
    return {
        "name": "chat",
        "context": context,
        "start_time": "2026-10-01T10:00:00Z",
        "attributes": attributes,
        "events": listed,
    }


@pytest.fixture
def write(tmp_path):
    def written(*values, indent=None):
        path = tmp_path / "spans.json"
        path.write_text("\n".join(json.dumps(one, indent=indent) for one in values))
        return path

    return written


def only(path):
    [recording] = read_recordings(path)
    [asked] = recording.requests
    return recording, asked


FORMS = {
    "otlp": otlp(({**CHAT, **CONTENTS}, ())),
    "structured": otlp(({**CHAT, **{key: json.loads(value) for key, value in CONTENTS.items()}}, ())),
    "flat": flat({**CHAT, **CONTENTS}),
    "event": flat(CHAT, [("gen_ai.client.inference.operation.details", CONTENTS)]),
}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("form", FORMS)
def test_contents_become_a_body(write, form, indent):
    recording, asked = only(write(FORMS[form], indent=indent))
    assert (recording.format, recording.dialect, recording.platform) == ("spans", "openai.chat", "openai")
    assert not recording.partial
    assert asked.body["model"] == "gpt-5"
    assert [one["role"] for one in asked.body["messages"]] == ["system", "user", "assistant", "tool"]
    assert asked.body["messages"][2]["tool_calls"][0]["function"] == {"name": "find", "arguments": '{"id":7}'}
    assert asked.body["messages"][3] == {"role": "tool", "tool_call_id": "c1", "content": '{"at":"home"}'}
    assert asked.body["tools"][0]["function"]["name"] == "find"
    assert asked.answer == {"role": "assistant", "content": "At home."}
    assert (asked.usage.fresh, asked.usage.read, asked.usage.output, asked.at) == (176, 1024, 9, START)


def test_claude_has_its_own_shape(write):
    claude = {"gen_ai.provider.name": "anthropic", "gen_ai.request.model": "claude-sonnet-4-5"}
    written = {"gen_ai.usage.cache_creation.input_tokens": 100}
    recording, asked = only(write(flat({**CHAT, **CONTENTS, **claude, **written})))
    assert (recording.dialect, recording.platform) == ("anthropic.messages", "anthropic")
    assert asked.body["system"] == [{"type": "text", "text": "Be brief."}]
    assert asked.body["messages"][2]["content"][0]["tool_use_id"] == "c1"
    assert (asked.usage.fresh, asked.usage.read, asked.usage.written) == (76, 1024, {"5m": 100})


def test_figures_that_leave_the_cached_ones_out(write):
    claude = {"gen_ai.provider.name": "anthropic", "gen_ai.usage.input_tokens": 3}
    asked = only(write(flat({**CHAT, **CONTENTS, **claude})))[1]
    assert (asked.usage.fresh, asked.usage.read) == (3, 1024)


NUMBERED = {
    "gen_ai.system": "OpenAI",
    "gen_ai.request.model": "gpt-4o",
    "llm.request.type": "chat",
    "gen_ai.prompt.0.role": "user",
    "gen_ai.prompt.0.content": "Where?",
    "gen_ai.prompt.1.role": "assistant",
    "gen_ai.prompt.1.tool_calls.0.id": "c1",
    "gen_ai.prompt.1.tool_calls.0.name": "find",
    "gen_ai.prompt.1.tool_calls.0.arguments": "{}",
    "gen_ai.prompt.10.role": "user",
    "gen_ai.prompt.10.content": json.dumps([{"type": "text", "text": "And?"}]),
    "gen_ai.prompt.2.role": "tool",
    "gen_ai.prompt.2.tool_call_id": "c1",
    "gen_ai.prompt.2.content": "home",
    "gen_ai.completion.0.content": "There.",
    "llm.request.functions.0.name": "find",
    "llm.request.functions.0.parameters": '{"type": "object"}',
    "gen_ai.usage.prompt_tokens": 50,
    "gen_ai.usage.completion_tokens": 3,
}


def test_numbered_attributes(write):
    asked = only(write(otlp((NUMBERED, ()))))[1]
    assert [one["role"] for one in asked.body["messages"]] == ["user", "assistant", "tool", "user"]
    assert asked.body["messages"][2]["tool_call_id"] == "c1"
    assert asked.body["messages"][3]["content"] == [{"type": "text", "text": "And?"}]
    assert asked.body["tools"][0]["function"]["parameters"] == {"type": "object"}
    assert (asked.usage.fresh, asked.usage.output) == (50, 3)
    assert asked.answer["content"] == "There."


EVENTS = [
    ("gen_ai.system.message", {"content": "Be brief."}),
    ("gen_ai.user.message", {"content": "Where?"}),
    ("gen_ai.choice", {"index": 0, "message": json.dumps({"content": "There."})}),
]


def test_messages_without_parts(write):
    told = [{"role": "user", "content": "Where?"}, {"role": "tool", "id": "c1", "content": "home"}]
    bare = {"gen_ai.response.model": "gpt-5", "gen_ai.input.messages": json.dumps(told)}
    asked = only(write(otlp((bare, ()))))[1]
    assert asked.body["messages"] == [told[0], {"role": "tool", "content": "home", "tool_call_id": "c1"}]
    assert asked.body["model"] == "gpt-5"


@pytest.mark.parametrize("embedded", [False, True])
def test_events(write, embedded):
    listed = json.dumps([{"event.name": name, **about} for name, about in EVENTS])
    span = flat({**CHAT, "events": listed}) if embedded else flat(CHAT, EVENTS)
    asked = only(write(span))[1]
    assert [(one["role"], one["content"]) for one in asked.body["messages"]] == [
        ("system", "Be brief."),
        ("user", "Where?"),
    ]
    assert asked.answer == {"role": "assistant", "content": "There."}


def test_usage_alone_stands_together_by_conversation(write):
    named = {**CHAT, "gen_ai.conversation.id": "v1"}
    found = list(read_recordings(write(otlp((named, ()), (CHAT, ()), (named, ())))))
    assert [(one.name, len(one.requests), one.partial) for one in found] == [("v1", 2, True), ("t1", 1, True)]
    assert found[0].requests[0].body == {"model": "gpt-5"}
    assert found[0].requests[0].usage.input_total == 1200


def test_spans_that_sum_up_others_are_passed_over(write):
    agent = {**CHAT, **CONTENTS, "gen_ai.operation.name": "invoke_agent"}
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "find"}
    assert (
        len(list(read_recordings(write(otlp((agent, ()), (tool, ()), ({"http.method": "GET"}, ()), (CHAT, ())))))) == 1
    )


def test_turns_of_a_conversation_are_found_by_their_contents(write):
    longer = [*PROMPT, *ANSWER, {"role": "user", "parts": [{"type": "text", "content": "Sure?"}]}]
    second = {**CHAT, **CONTENTS, "gen_ai.input.messages": json.dumps(longer)}
    [recording] = read_recordings(write(flat({**CHAT, **CONTENTS}), flat(second)))
    first, later = recording.requests
    assert later.body["messages"][: len(first.body["messages"])] == first.body["messages"]


def test_odd_spans(write):
    odd = [
        flat({**CHAT, "gen_ai.input.messages": "[[[", "gen_ai.usage.input_tokens": -4}),
        flat({**CHAT, "gen_ai.input.messages": [1, {"parts": 4, "role": []}], "gen_ai.request.model": 3}),
        flat({**CHAT, "gen_ai.operation.name": ["chat"]}),
        {"resourceSpans": [3, {"scopeSpans": [{"spans": [None, {"attributes": 4, "events": 3}]}]}]},
        {"attributes": [{"key": 3}, {"key": "gen_ai.x", "value": {"kvlistValue": {"values": 3}}}]},
        {"nothing": 1},
    ]
    complaints = []
    found = list(read_recordings(write(*odd, flat({**CHAT, **CONTENTS})), complain=complaints.append))
    assert sum(len(one.requests) for one in found) == 3
    assert len(complaints) == 1

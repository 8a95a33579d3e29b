"""What a provider's cache sees of each wire: blocks, markers, parameters; and markers put where they are wanted."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit import dialects
from ctxkit.cacheable import Breakpoint, Wish
from ctxkit.dialects.anthropic import messages as anthropic
from ctxkit.dialects.openai import chat, responses

LONG = {"type": "ephemeral", "ttl": "1h"}
SHORT = {"type": "ephemeral"}
POINT = {"cachePoint": {"type": "default"}}


def read(name, body):
    """(conversation, its blocks without markers that are blocks)"""
    conversation = dialects.get(name).view(body)
    found = [block for message in conversation.messages for block in dialects.caches(name).blocks(message)]
    return conversation, found


def told(name, body):
    return [(b.role, b.kind, b.markable, b.mark) for b in read(name, body)[1]]


def asked(name, body):
    return dialects.caches(name).ask(dialects.get(name).view(body))


ANTHROPIC = {
    "model": "claude-opus-5",
    "max_tokens": 5,
    "tools": [{"name": "f", "input_schema": {}, "cache_control": LONG}, {"name": "g", "input_schema": {}}],
    "system": "be brief",
    "messages": [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "x", "signature": "s"},
                {"type": "text", "text": ""},
                {"type": "tool_use", "id": "t", "name": "f", "input": {"cache_control": "the application's own"}},
                {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
                {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t",
                    "content": [{"type": "text", "text": "r", "cache_control": SHORT}],
                },
                {"type": "image", "source": {"type": "base64", "data": "A"}},
                {"type": "of_tomorrow"},
            ],
        },
    ],
}


def test_anthropic():
    assert told("anthropic.messages", ANTHROPIC) == [
        ("tools", "tool", True, "1h"),
        ("tools", "tool", True, None),
        ("system", "text", True, None),
        ("user", "text", True, None),
        ("assistant", "reasoning", False, None),
        ("assistant", "text", False, None),
        ("assistant", "tool_call", True, None),
        ("assistant", "tool_call", True, None),
        ("assistant", "tool_result", True, None),
        ("tool", "tool_result", True, ""),
        ("user", "image", True, None),
        ("user", "other", False, None),
    ]
    values = [block.value for block in read("anthropic.messages", ANTHROPIC)[1]]
    assert values[0] == {"name": "f", "input_schema": {}}
    assert values[6]["input"] == {"cache_control": "the application's own"}
    assert "cache_control" not in json.dumps(values[9])


def test_what_an_image_or_citations_sway():
    _, found = read("anthropic.messages", ANTHROPIC)
    assert [block.sways for block in found if block.sways] == [(("messages", "image"),)]
    document = {"type": "document", "source": {"type": "text", "data": "x"}, "citations": {"enabled": True}}
    _, (block,) = read("anthropic.messages", {"messages": [{"role": "user", "content": [document]}]})
    assert block.sways == (("system", "citations"),)


@pytest.mark.parametrize(
    ("extra", "tier", "parameters"),
    [
        ({"tool_choice": {"type": "auto"}}, None, None),
        ({"tool_choice": {"type": "auto", "disable_parallel_tool_use": False}}, None, None),
        ({"tool_choice": {"type": "any"}}, "messages", {"tool_choice": {"type": "any"}}),
        (
            {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
            "messages",
            {"disable_parallel_tool_use": True},
        ),
        ({"thinking": {"type": "adaptive"}}, "messages", {"thinking": {"type": "adaptive"}}),
        ({"output_config": {"effort": "high"}}, None, None),
        ({"output_config": {"effort": "low"}}, "messages", {"effort": "low"}),
        ({"output_config": {"format": {"type": "x"}}}, "messages", {"output_config": {"format": {"type": "x"}}}),
        ({"speed": "standard"}, None, None),
        ({"speed": "fast"}, "tools", {"speed": "fast"}),
        ({"temperature": 0.3, "max_tokens": 7, "stop_sequences": ["x"]}, None, None),
    ],
)
def test_anthropic_parameters(extra, tier, parameters):
    found = asked("anthropic.messages", {"messages": [], **extra}).parameters
    assert found == ({tier: parameters} if tier else {})


def test_anthropic_asks():
    found = asked(
        "anthropic.messages",
        {"messages": [], "cache_control": LONG, "max_tokens": 0, "diagnostics": {"previous_message_id": "msg_1"}},
    )
    assert (found.automatic, found.prewarm, found.compared) == ("1h", True, "msg_1")
    plain = asked("anthropic.messages", {"messages": [], "max_tokens": 1})
    assert (plain.automatic, plain.prewarm, plain.compared) == (None, False, None)


CONVERSE = {
    "toolConfig": {"tools": [{"toolSpec": {"name": "f"}}, POINT, {"toolSpec": {"name": "g"}}]},
    "system": [{"text": "s"}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
    "messages": [
        {
            "role": "user",
            "content": [{"text": "a"}, POINT, {"toolResult": {"toolUseId": "t", "content": [{"image": {}}]}}],
        },
        {"role": "assistant", "content": [{"reasoningContent": {}}, {"text": "n", **POINT}]},
    ],
}


def test_converse():
    assert told("bedrock.converse", CONVERSE) == [
        ("tools", "tool", True, None),
        ("tools", "marker", False, ""),
        ("tools", "tool", True, None),
        ("system", "text", True, None),
        ("system", "marker", False, "1h"),
        ("user", "text", True, ""),
        ("tool", "tool_result", True, None),
        ("assistant", "reasoning", False, None),
        ("assistant", "text", True, ""),
    ]
    found = asked(
        "bedrock.converse",
        {
            **CONVERSE,
            "toolConfig": {**CONVERSE["toolConfig"], "toolChoice": {"any": {}}},
            "additionalModelRequestFields": {"thinking": {"type": "enabled"}, "output_config": {"effort": "low"}},
        },
    )
    assert found.parameters == {
        "messages": {"tool_choice": {"any": {}}, "thinking": {"type": "enabled"}, "effort": "low"}
    }


CHAT = {
    "model": "gpt-6-sol",
    "tools": [{"type": "function", "function": {"name": "f"}}],
    "messages": [
        {"role": "developer", "content": "s"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}},
                {"type": "image_url", "image_url": {"url": "u"}},
                {"type": "refusal", "refusal": "no"},
            ],
        },
        {"role": "assistant", "reasoning_content": "hm", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "tool", "tool_call_id": "1", "content": "r"},
        {"role": "function", "name": "f", "content": "r"},
        {"role": "user", "content": "", "cache_control": SHORT},
    ],
}


def test_chat():
    assert told("openai.chat", CHAT) == [
        ("tools", "tool", False, None),
        ("developer", "text", True, None),
        ("user", "text", True, "30m"),
        ("user", "image", True, None),
        ("user", "text", False, None),
        ("assistant", "reasoning", False, None),
        ("assistant", "tool_call", False, None),
        ("tool", "tool_result", True, None),
        ("tool", "tool_result", True, None),
        ("user", "text", False, ""),
    ]


def test_names_and_ids_beside_the_content_belong_to_what_is_read():
    def value(message):
        return read("openai.chat", {"messages": [message]})[1][0].value

    assert value({"role": "user", "content": "x"}) != value({"role": "user", "name": "n", "content": "x"})
    assert value({"role": "tool", "tool_call_id": "1", "content": "x"}) != value(
        {"role": "tool", "tool_call_id": "2", "content": "x"}
    )


@pytest.mark.parametrize("name", ["openai.chat", "openai.responses"])
@pytest.mark.parametrize(
    ("extra", "parameters"),
    [
        ({"parallel_tool_calls": True}, {}),
        ({"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
        ({"tool_choice": "none"}, {}),
        ({"temperature": 1.0, "store": True, "user": "u"}, {}),
        ({"service_tier": "auto"}, {}),
        ({"service_tier": "flex"}, {"service_tier": "flex"}),
    ],
)
def test_openai_parameters(name, extra, parameters):
    start = {"messages": []} if name == "openai.chat" else {"input": "x"}
    assert asked(name, {**start, **extra}).parameters == ({"tools": parameters} if parameters else {})


def test_openai_parameters_that_the_two_formats_spell_differently():
    schema = {"type": "json_schema"}
    one = {"messages": [], "response_format": schema, "verbosity": "low", "reasoning_effort": "low"}
    other = {"input": "x", "text": {"format": schema, "verbosity": "low"}, "reasoning": {"effort": "low"}}
    wanted = {"tools": {"response_format": schema, "verbosity": "low", "effort": "low"}}
    assert asked("openai.chat", one).parameters == asked("openai.responses", other).parameters == wanted
    plain = {"messages": [], "response_format": {"type": "text"}, "verbosity": "medium"}
    assert asked("openai.chat", plain).parameters == {}
    assert asked("openai.responses", {"input": "x", "text": {"format": {"type": "text"}}}).parameters == {}


@pytest.mark.parametrize(
    ("extra", "key"),
    [
        ({"prompt_cache_key": "k"}, "k"),
        ({"session_id": "s", "prompt_cache_key": "k"}, "s"),
        ({"cache_salt": "c"}, "c"),
        ({"nvext": {"session_control": {"session_id": "d"}}}, "d"),
        ({"prompt_cache_key": ""}, None),
        ({}, None),
    ],
)
def test_keys(extra, key):
    assert asked("openai.chat", {"messages": [], **extra}).key == key


def test_openai_asks():
    options = {"mode": "explicit", "ttl": "12h", "prewarm": True, "comparison_response_id": "resp_1"}
    found = asked("openai.responses", {"input": "x", "prompt_cache_options": options, "prompt_cache_retention": "24h"})
    assert (found.mode, found.ttl, found.prewarm, found.compared) == ("explicit", "12h", True, "resp_1")
    assert found.retention == "24h"
    assert asked("openai.chat", {"messages": [], "prompt_cache_options": {"mode": "of tomorrow"}}).mode is None
    assert asked("openai.chat", {"messages": [], "cache_control": SHORT}).automatic == ""


RESPONSES = {
    "model": "gpt-6-sol",
    "instructions": "i",
    "tools": [{"type": "function", "name": "f"}],
    "input": [
        {"role": "user", "content": "s"},
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}}],
        },
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]},
        {"type": "reasoning", "encrypted_content": "e"},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "r"},
        {"type": "function_call_output", "call_id": "2", "output": [{"type": "input_image", "image_url": "u"}]},
        {"type": "additional_tools", "tools": []},
        {"role": "assistant", "content": "said"},
    ],
}


def test_responses():
    assert told("openai.responses", RESPONSES) == [
        ("tools", "tool", False, None),
        ("system", "text", False, None),
        ("user", "text", True, None),
        ("user", "text", True, ""),
        ("assistant", "text", False, None),
        ("assistant", "reasoning", False, None),
        ("assistant", "tool_call", False, None),
        ("tool", "tool_result", True, None),
        ("tool", "tool_result", True, None),
        ("assistant", "other", False, None),
        ("assistant", "text", False, None),
    ]
    _, found = read("openai.responses", {"input": [{"type": "message", "id": "1", "role": "user", "content": "x"}]})
    assert found[0].value == "x"  # ids are the provider's own


GEMINI = {
    "cachedContent": "cachedContents/1",
    "tools": [{"functionDeclarations": []}],
    "systemInstruction": "s",
    "contents": [
        {"role": "user", "parts": [{"text": "x"}, {"inlineData": {"mimeType": "image/png", "data": "A"}}]},
        {"role": "model", "parts": [{"functionCall": {"name": "f"}}, {"text": "t", "thought": True}]},
        {"role": "user", "parts": {"functionResponse": {"name": "f"}}},
    ],
}


def test_gemini():
    assert [(role, kind) for role, kind, _, _ in told("gemini.generate", GEMINI)] == [
        ("tools", "tool"),
        ("system", "text"),
        ("user", "text"),
        ("user", "image"),
        ("assistant", "tool_call"),
        ("assistant", "reasoning"),
        ("tool", "tool_result"),
    ]
    assert asked("gemini.generate", GEMINI).handle == "cachedContents/1"
    assert dialects.caches("gemini.generate").mark(dialects.get("gemini.generate").view(GEMINI), Wish()) == ()


def test_formats_that_are_only_metered_have_none():
    assert [dialects.caches(name) for name in dialects.METER_ONLY] == [None, None, None]
    assert all(dialects.caches(name) for name in dialects.EDITABLE)


BODIES = {
    "anthropic.messages": ({k: v for k, v in ANTHROPIC.items() if k != "tools"}, "cache_control"),
    "bedrock.converse": (CONVERSE, "cachePoint"),
    "openai.chat": (CHAT, "prompt_cache_breakpoint"),
    "openai.responses": (RESPONSES, "prompt_cache_breakpoint"),
}


@pytest.mark.parametrize("name", BODIES)
@given(data=st.data())
def test_what_is_marked_reads_as_before_but_for_the_markers(name, data):
    body, field = BODIES[name]
    before = copy.deepcopy(body)
    conversation, found = read(name, body)
    able = [block for block in found if block.markable and block.mark is None]
    chosen = data.draw(st.lists(st.sampled_from(range(len(able))), min_size=1, unique=True))
    points = tuple(Breakpoint(able[index].path, data.draw(st.sampled_from(["", "1h"])), "why") for index in chosen)
    edits = dialects.caches(name).mark(conversation, Wish(points, field))
    edited = dialects.get(name).apply(body, edits)
    assert body == before
    _, after = read(name, edited)
    # A marker of its own behind a block is told with that block only where both stand in one message.
    solid = [block for block in found if block.kind != "marker"]
    remarked = [block for block in after if block.kind != "marker"]
    assert [b.value for b in remarked] == [b.value for b in solid]
    assert [(b.tier, b.role, b.kind, b.size) for b in remarked] == [(b.tier, b.role, b.kind, b.size) for b in solid]
    marks = [block.mark for block in after if block.mark is not None]
    assert len(marks) == len([block for block in found if block.mark is not None]) + len(points)
    assert all(edit.reason.startswith("why") for edit in edits)
    assert json.dumps(edited)


@pytest.mark.parametrize(
    ("name", "body", "path", "wanted"),
    [
        (
            "anthropic.messages",
            {"system": "s", "messages": []},
            ("system",),
            {"system": [{"type": "text", "text": "s", "cache_control": LONG}], "messages": []},
        ),
        ("anthropic.messages", {"messages": []}, (), {"messages": [], "cache_control": LONG}),
        (
            "openai.responses",
            {"input": "x"},
            ("input",),
            {
                "input": [
                    {
                        "role": "user",
                        "content": [
                            {
                                "type": "input_text",
                                "text": "x",
                                "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "1h"},
                            }
                        ],
                    }
                ]
            },
        ),
        (
            "bedrock.converse",
            {"system": [{"text": "s"}], "messages": []},
            ("system", 0),
            {"system": [{"text": "s"}, {"cachePoint": {"type": "default", "ttl": "1h"}}], "messages": []},
        ),
    ],
)
def test_marked_bodies(name, body, path, wanted):
    field = {"anthropic.messages": "cache_control", "bedrock.converse": "cachePoint"}.get(
        name, "prompt_cache_breakpoint"
    )
    wish = Wish((Breakpoint(path, "1h"),), field)
    edits = dialects.caches(name).mark(dialects.get(name).view(body), wish)
    assert dialects.get(name).apply(body, edits) == wanted


@pytest.mark.parametrize(
    ("options", "wish", "wanted"),
    [
        ({}, Wish(mode="explicit", ttl="30m"), {"prompt_cache_options": {"mode": "explicit", "ttl": "30m"}}),
        (
            {"prompt_cache_options": {"prewarm": True}},
            Wish(ttl="12h"),
            {"prompt_cache_options": {"prewarm": True, "ttl": "12h"}},
        ),
        ({}, Wish(key="k", key_field="prompt_cache_key"), {"prompt_cache_key": "k"}),
        ({}, Wish(key="k", key_field="cache_salt"), {"cache_salt": "k"}),
        (
            {"nvext": {"agent_hints": {"priority": 1}}},
            Wish(key="k", key_field="nvext.session_control.session_id"),
            {"nvext": {"agent_hints": {"priority": 1}, "session_control": {"action": "bind", "session_id": "k"}}},
        ),
    ],
)
def test_fields_of_the_whole_request(options, wish, wanted):
    body = {"messages": [], **options}
    edits = dialects.caches("openai.chat").mark(chat.view(body), wish)
    assert chat.apply(body, edits) == {"messages": [], **wanted}


DIAGNOSES = [
    ({}, None),
    ({"diagnostics": None}, ("same", "", None)),
    ({"diagnostics": {"cache_miss_reason": None}}, ("pending", "", None)),
    (
        {"diagnostics": {"cache_miss_reason": {"type": "tools_changed", "cache_missed_input_tokens": 812}}},
        ("missed", "tools_changed", 812),
    ),
    (
        {"diagnostics": {"cache_miss_reason": {"type": "previous_message_not_found"}}},
        ("unknown", "previous_message_not_found", None),
    ),
    ({"diagnostics": {"cache_miss_reason": {"type": "a sentence that quotes a prompt"}}}, ("unknown", "", None)),
]


@pytest.mark.parametrize(("extra", "wanted"), DIAGNOSES)
def test_diagnoses_of_anthropic(extra, wanted):
    message = {"id": "msg_1", "usage": {"input_tokens": 3, "output_tokens": 1}, **extra}
    stream = anthropic.stream("anthropic")
    stream.feed(json.dumps({"type": "message_start", "message": message}).encode())
    stream.feed(json.dumps({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}}).encode())
    stream.feed(b'{"type": "message_stop"}')
    for answer in (anthropic.answer(message, "anthropic"), stream.answer()):
        found = answer.diagnosis
        assert (found and (found.state, found.type, found.missed)) == wanted


@pytest.mark.parametrize(
    ("diagnostics", "wanted"),
    [
        (None, None),
        ({"type": "cache_hit"}, ("same", "cache_hit", None, None)),
        (
            {
                "type": "cache_miss",
                "reason": "input_changed",
                "cache_missed_tokens": 9,
                "comparison_reusable_tokens": 4,
            },
            ("missed", "input_changed", 9, 4),
        ),
        ({"type": "comparison_response_not_found"}, ("unknown", "comparison_response_not_found", None, None)),
        ({"type": "unavailable"}, ("unknown", "unavailable", None, None)),
        ({"type": "in the words of a prompt"}, None),
    ],
)
def test_diagnoses_of_openai(diagnostics, wanted):
    response = {"id": "r", "status": "completed", "prompt_cache_diagnostics": diagnostics}
    stream = responses.stream("openai")
    stream.feed(json.dumps({"type": "response.completed", "response": response}).encode())
    for answer in (responses.answer(response, "openai"), stream.answer()):
        found = answer.diagnosis
        assert (found and (found.state, found.type, found.missed, found.reusable)) == wanted

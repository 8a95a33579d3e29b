"""What of each wire may be tidied: pieces with their places, and the same body again when they say what they said."""

import copy
import json
import lzma
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit import dialects
from ctxkit.errors import ProviderShapeError
from ctxkit.model import Edit
from tests.dialects.test_block_formats import BODIES as BLOCKS
from tests.dialects.test_block_formats import mutated, stands_at

MARK = {"cache_control": {"type": "ephemeral"}}
NOTE = [{"type": "url_citation", "start_index": 0, "end_index": 1, "url": "u", "title": "t"}]
CHAT = {
    "model": "gpt-x",
    "tools": [{"type": "function", "function": {"name": "f"}}],
    "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "look", **MARK}, {"type": "image_url", "image_url": {"url": "u"}}]},
        {
            "role": "assistant",
            "content": "I read",
            "reasoning_content": "hm",
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
                {"id": "2", "type": "custom", "custom": {"name": "sh", "input": "ls"}},
                {"id": "3", "type": "function", "function": {"name": "g", "arguments": "{}"}, "extra_content": {"s": "E"}},
                {"id": "4", "type": "function", "function": {"name": "h", "arguments": ""}},
                {"id": "5", "type": "function", "function": {"name": "h", "arguments": {"a": 1}}},
            ],
        },
        {"role": "tool", "tool_call_id": "1", "content": "one"},
        {"role": "tool", "tool_call_id": "2", "content": [{"type": "text", "text": "two"}, {"type": "text", "text": "too"}]},
        {"role": "tool", "tool_call_id": "3", "content": [{"type": "of_tomorrow"}]},
        {"role": "tool", "tool_call_id": "4", "content": ""},
        {"role": "developer", "content": "be kind"},
        {"role": "assistant", "content": None, "refusal": "no", "function_call": {"name": "old", "arguments": "{}"}},
        {"role": "function", "name": "old", "content": "gave"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}, {"type": "text", "text": "cited", "annotations": NOTE}]},
        {"role": "of_tomorrow", "content": "?"},
        {"role": "user", "content": ["bare", {"text": "no type"}, {"type": "text", "text": ""}]},
    ],
}  # fmt: skip
RESPONSES = {
    "model": "gpt-x",
    "instructions": "be brief",
    "prompt": {"id": "p", "variables": {"v": "x"}},
    "tools": [{"type": "function", "name": "f"}],
    "input": [
        {"role": "user", "content": "hi"},
        {"role": "user", "content": [{"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": "u"}]},
        {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "E"},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": '{"a": 1}'},
        {"type": "custom_tool_call", "call_id": "2", "name": "sh", "input": "ls"},
        {"type": "function_call_output", "call_id": "1", "output": "one"},
        {"type": "custom_tool_call_output", "call_id": "2", "output": [{"type": "input_text", "text": "two"}, {"type": "input_image"}]},
        {"type": "program", "id": "pr", "call_id": "3", "code": "f()", "fingerprint": "E"},
        {"type": "function_call", "call_id": "4", "name": "f", "arguments": "{}", "caller": {"type": "program", "caller_id": "3"}},
        {"type": "function_call_output", "call_id": "4", "output": "x", "caller": {"type": "program", "caller_id": "3"}},
        {"type": "program_output", "id": "po", "call_id": "3", "result": "x", "status": "completed"},
        {"type": "local_shell_call", "call_id": "5", "action": {"type": "exec", "command": ["ls"]}},
        {"type": "local_shell_call_output", "call_id": "5", "output": "files"},
        {"type": "web_search_call", "id": "ws", "action": {"query": "q"}},
        {"type": "mcp_approval_request", "id": "a", "name": "m", "arguments": "{}", "server_label": "s"},
        {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True},
        {"type": "message", "role": "assistant", "id": "msg", "content": [{"type": "output_text", "text": "said", "annotations": []}]},
        {"type": "compaction", "encrypted_content": "E"},
        {"type": "item_reference", "id": "x"},
        {"type": "additional_tools", "role": "developer", "tools": []},
        {"role": "developer", "content": "be kind"},
        {"role": "user", "content": "go on"},
    ],
}  # fmt: skip
BODIES = {
    "openai.chat": CHAT,
    "openai.responses": RESPONSES,
    **{name: body for name, body in BLOCKS.items() if name in dialects.EDITABLE},
}
DIALECTS = {
    "chat": "openai.chat",
    "responses": "openai.responses",
    "messages": "anthropic.messages",
    "generate": "gemini.generate",
    "generate_stream": "gemini.generate",
    "converse": "bedrock.converse",
    "converse_stream": "bedrock.converse",
}
SPOKEN = {"text", "tool_call", "tool_result"}
every_dialect = pytest.mark.parametrize("name", dialects.EDITABLE)


def taken(name, body):
    """Every piece of a body."""
    conversation = dialects.get(name).view(body)
    return [
        piece for index, one in enumerate(conversation.messages) for piece in dialects.texts(name).pieces(one, index)
    ]


def told(name, body):
    """(what it is, its text, whether it may be changed) of every piece."""
    return [(f"{one.speaker}.{one.kind}", one.text, not one.locked) for one in taken(name, body)]


def edit(name, piece, text):
    return Edit("replace", piece.path, "test", dialects.texts(name).written(piece, text))


def rewritten(name, body, chosen):
    """The body with these (piece, text) said."""
    return dialects.get(name).apply(body, [edit(name, piece, text) for piece, text in chosen])


def test_chat():
    assert told("openai.chat", CHAT) == [
        ("system.text", "be brief", False),
        ("user.text", "look", True),
        ("assistant.text", "I read", True),
        ("assistant.arguments", '{"a": 1}', True),
        ("assistant.arguments", "ls", True),
        ("assistant.arguments", "{}", False),
        ("assistant.arguments", "", False),
        ("assistant.arguments", '{"a": 1}', True),
        ("tool.result", "one", True),
        ("tool.result", "two", True),
        ("tool.result", "too", True),
        ("tool.result", "", False),
        ("system.text", "", False),
        ("tool.result", "", False),
        ("system.text", "be kind", False),
        ("assistant.text", "no", False),
        ("assistant.arguments", "{}", True),
        ("tool.result", "gave", True),
        ("assistant.text", "no", False),
        ("assistant.text", "cited", False),
        ("user.text", "?", False),
        ("user.text", "bare", True),
        ("user.text", "no type", True),
    ]
    pairs = [(one.pair, one.name) for one in taken("openai.chat", CHAT) if one.kind != "text"]
    calls = [("1", "f"), ("2", "sh"), ("3", "g"), ("4", "h"), ("5", "h")]
    assert pairs == [*calls, *((each, None) for each in "12234"), ("old", "old"), ("old", "old")]


def test_responses():
    assert told("openai.responses", RESPONSES) == [
        ("system.text", "be brief", False),
        ("user.text", "hi", True),
        ("user.text", "look", True),
        ("assistant.arguments", '{"a": 1}', True),
        ("assistant.arguments", "ls", True),
        ("tool.result", "one", True),
        ("tool.result", "two", True),
        ("assistant.arguments", "", False),
        ("tool.arguments", "{}", False),
        ("tool.result", "x", False),
        ("tool.result", "", False),
        ("assistant.arguments", '{"type": "exec", "command": ["ls"]}', False),
        ("tool.result", "files", False),
        ("assistant.arguments", '{"query": "q"}', False),
        ("assistant.arguments", "{}", False),
        ("tool.result", taken("openai.responses", RESPONSES)[15].text, False),
        ("assistant.text", "said", True),
        ("system.text", "", False),
        ("system.text", "", False),
        ("system.text", "", False),
        ("system.text", "be kind", False),
        ("user.text", "go on", True),
    ]
    counts = Counter(one.pair for one in taken("openai.responses", RESPONSES) if one.kind != "text")
    assert counts == {**dict.fromkeys(["1", "2", "3", "4", "5", "a"], 2), None: 1}
    assert told("openai.responses", {"input": "hi"}) == [("user.text", "hi", True)]


def test_anthropic():
    assert told("anthropic.messages", BODIES["anthropic.messages"]) == [
        ("system.text", "be brief", False),
        ("user.text", "hello", True),
        ("assistant.text", "let me see", False),
        ("assistant.arguments", '{"path": "a"}', True),
        ("assistant.arguments", '{"query": "q"}', False),
        ("tool.result", "T\nU", False),
        ("system.text", "", False),
        ("tool.result", "x", True),
        ("system.text", "", False),
        ("user.text", "and now?", True),
    ]


def test_anthropic_results():
    blocks = [
        {"type": "tool_result", "tool_use_id": "1", "content": "bare", "is_error": True, **MARK},
        {"type": "tool_result", "tool_use_id": "2", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"type": "tool_result", "tool_use_id": "3"},
        {"type": "tool_result", "tool_use_id": "4", "content": [{"type": "tool_reference", "tool_name": "x"}]},
        {"type": "tool_use", "id": "5", "name": "f", "input": {}, "caller": {"type": "code_execution_20260120", "tool_id": "s"}},
    ]  # fmt: skip
    body = {"system": [{"type": "text", "text": "s"}], "messages": [{"role": "user", "content": blocks}]}
    found = taken("anthropic.messages", body)
    assert [(one.pair, one.text, one.failed, one.locked) for one in found] == [
        (None, "s", False, True),
        ("1", "bare", True, False),
        ("2", "a", False, False),
        ("2", "b", False, False),
        ("3", "", False, True),
        ("4", "", False, True),
        (None, "", False, True),
        ("5", "{}", False, True),
    ]
    assert found[2].path == ("messages", 0, "content", 1, "content", 0, "text")


def test_gemini():
    assert told("gemini.generate", BODIES["gemini.generate"]) == [
        ("system.text", "be brief", False),
        ("user.text", "hi", True),
        ("assistant.arguments", '{"a": 1}', False),
        ("assistant.arguments", '{"code": "1+1"}', False),
        ("tool.result", '{"output": "2"}', False),
        ("tool.result", "x", True),
    ]


def test_gemini_results():
    call = {"function_call": {"name": "f", "args": {"a": 1}}}
    parts = [
        {"function_response": {"name": "f", "response": {"output": "text"}}},
        {"function_response": {"name": "f", "response": {"a": 1, "b": "x"}}},
        {"functionResponse": {"id": "7", "name": "g", "response": {"error": "text"}}},
        {"functionResponse": {"name": "f"}},
        {"text": "signed", "thought_signature": "E"},
        {"of_tomorrow": 1},
        "bare",
    ]
    body = {
        "contents": [
            {"role": "model", "parts": [call, call, {"functionCall": {"name": "g"}}]},
            {"role": "user", "parts": parts},
        ]
    }
    found = taken("gemini.generate", body)
    assert [(one.pair, one.text, one.structured, one.failed, one.locked) for one in found] == [
        ("f", '{"a": 1}', True, False, False),
        ("f#2", '{"a": 1}', True, False, False),
        ("g", "", True, False, True),
        ("f", "text", False, False, False),
        ("f#2", '{"a": 1, "b": "x"}', True, False, False),
        ("7", "text", False, True, False),
        ("f#3", "", True, False, True),
        (None, "signed", False, False, True),
        (None, "", False, False, True),
        (None, "bare", False, False, False),
    ]  # fmt: skip
    new = rewritten("gemini.generate", body, [(found[4], "[ctxkit: gone]"), (found[3], "x"), (found[0], '{"a": 2}')])
    assert new["contents"][1]["parts"][1] == {
        "function_response": {"name": "f", "response": {"output": "[ctxkit: gone]"}}
    }
    assert new["contents"][1]["parts"][0] == {"function_response": {"name": "f", "response": {"output": "x"}}}
    assert new["contents"][0]["parts"][0] == {"function_call": {"name": "f", "args": {"a": 2}}}
    assert told(
        "gemini.generate", {"contents": "hi", "systemInstruction": {"role": "user", "parts": {"text": "s"}}}
    ) == [
        ("system.text", "s", False),
        ("user.text", "hi", True),
    ]


def test_converse():
    assert told("bedrock.converse", BODIES["bedrock.converse"]) == [
        ("system.text", "be brief", False),
        ("user.text", "hi", True),
        ("assistant.arguments", '{"a": 1}', True),
        ("assistant.text", "x", False),
        ("tool.result", '{"a": 1}', True),
        ("user.text", "g", False),
    ]


def test_converse_results():
    content = [
        {"json": {"a": 1}},
        {"json": {"output": "text"}},
        {"json": "bare"},
        {"json": [1]},
        {"text": "plain", "cachePoint": {"type": "default"}},
        {"json": {"when": b"no JSON"}},
        {"of_tomorrow": 1},
    ]
    result = {"toolResult": {"toolUseId": "t", "content": content, "status": "error"}}
    body = {"messages": [{"role": "user", "content": [result, {"toolResult": {"toolUseId": "u", "content": []}}]}]}
    found = taken("bedrock.converse", body)
    assert [(one.pair, one.text, one.structured, one.failed, one.locked) for one in found] == [
        ("t", '{"a": 1}', True, True, False),
        ("t", "text", False, True, False),
        ("t", "bare", False, True, False),
        ("t", "[1]", True, True, False),
        ("t", "plain", False, True, False),
        ("t", "", True, True, True),
        (None, "", False, False, True),
        ("u", "", False, False, True),
    ]
    said = ['{"a": 2}', "x", "y", "[ctxkit: gone]", "z"]
    new = rewritten("bedrock.converse", body, list(zip(found, said, strict=False)))
    assert new["messages"][0]["content"][0]["toolResult"]["content"][:5] == [
        {"json": {"a": 2}},
        {"json": {"output": "x"}},
        {"json": "y"},
        {"text": "[ctxkit: gone]"},
        {"text": "z", "cachePoint": {"type": "default"}},
    ]


def test_arguments_that_are_an_object_stay_one():
    body = {
        "messages": [
            {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}}]}
        ]
    }
    (call,) = taken("anthropic.messages", body)
    for text, value in [('{"a": 2}', {"a": 2}), ("[1]", {"text": "[1]"}), ("{", {"text": "{"}), ("", {"text": ""})]:
        new = rewritten("anthropic.messages", body, [(call, text)])
        assert new["messages"][0]["content"][0]["input"] == value


@pytest.mark.parametrize(
    ("name", "bare", "listed"),
    [
        ("openai.chat", {"role": "tool", "tool_call_id": "1", "content": "x"}, {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "x"}]}),
        ("openai.responses", {"type": "function_call_output", "call_id": "1", "output": "x"}, {"type": "function_call_output", "call_id": "1", "output": [{"type": "input_text", "text": "x"}]}),
        ("anthropic.messages", {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "x"}]}, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "x"}]}]}),
        ("anthropic.messages", {"role": "user", "content": "x"}, {"role": "user", "content": [{"type": "text", "text": "x", **MARK}]}),
        ("openai.chat", {"role": "user", "content": "x"}, {"role": "user", "content": [{"type": "text", "text": "x", **MARK}]}),
        ("openai.responses", {"role": "user", "content": "x"}, {"role": "user", "content": [{"type": "input_text", "text": "x"}]}),
        ("bedrock.converse", {"role": "user", "content": [{"toolResult": {"toolUseId": "1", "content": [{"text": "x"}]}}]}, {"role": "user", "content": [{"toolResult": {"toolUseId": "1", "content": [{"json": {"output": "x"}}]}}, {"cachePoint": {"type": "default"}}]}),
    ],
)  # fmt: skip
def test_both_shapes_have_the_same_pieces_but_for_their_paths(name, bare, listed):
    key = "input" if name == "openai.responses" else "messages"
    one, two = ([piece._replace(path=()) for piece in taken(name, {key: [message]})] for message in (bare, listed))
    assert len(one) == 1
    assert one == two


@every_dialect
@given(data=st.data())
def test_saying_the_same_again_changes_nothing(name, data):
    body = data.draw(mutated(BODIES[name]))
    try:
        found = taken(name, body)
    except ProviderShapeError:
        return
    before = copy.deepcopy(body)
    assert [one.place for one in found] == sorted({one.place for one in found})
    assert all(stands_at(body, one.path) == one.text for one in found if not one.structured and not one.locked)
    assert repr(rewritten(name, body, [(one, one.text) for one in found if not one.locked])) == repr(before)
    assert repr(body) == repr(before)


@every_dialect
@given(data=st.data())
def test_what_is_said_anew_stands_where_it_stood(name, data):
    body = data.draw(mutated(BODIES[name]))
    try:
        found = taken(name, body)
    except ProviderShapeError:
        return
    free = [one for one in found if not one.locked and not one.structured]
    chosen = data.draw(st.lists(st.sampled_from(free), unique=True)) if free else []
    said = {one.place: data.draw(st.text(min_size=1)) for one in chosen}
    new = taken(name, rewritten(name, body, [(one, said[one.place]) for one in chosen]))
    assert new == [one._replace(text=said.get(one.place, one.text)) for one in found]


@every_dialect
def test_what_stands_beside_a_text_survives(name):
    body = BODIES[name]
    free = [one for one in taken(name, body) if not one.locked and not one.structured]
    new = rewritten(name, body, [(one, "\0new\0") for one in free])
    old = [one.text for one in free]
    assert json.dumps(new, default=repr).count('"\\u0000new\\u0000"') == len(old) > 0
    restored = rewritten(name, new, [(one, text) for one, text in zip(free, old, strict=True)])
    assert restored == body


@pytest.mark.slow
def test_recorded_requests_are_taken_apart_nearly_whole(recorded):
    shown, spoken = Counter(), Counter()
    with lzma.open(recorded / "exchanges" / "requests.jsonl.xz") as file:
        for record in map(json.loads, file):
            name, body = DIALECTS.get(record["endpoint"]), record["request"]
            try:
                conversation = dialects.get(name).view(body) if name else None
            except ProviderShapeError:
                continue
            if conversation is None or conversation.server_history is not None:
                continue
            found = taken(name, body)
            assert rewritten(name, body, [(one, one.text) for one in found if not one.locked]) == body
            shown[name] += sum(len(one.text) for one in found)
            spoken[name] += sum(len(part.text) for part in conversation.parts if part.kind in SPOKEN)
    assert set(shown) == set(dialects.EDITABLE)
    assert {name: (count, spoken[name]) for name, count in shown.items() if count < 0.95 * spoken[name]} == {}

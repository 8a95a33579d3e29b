from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ctxkit.caching.prefixes import Hasher
from ctxkit.dialects.openai import responses
from ctxkit.errors import ProviderShapeError
from ctxkit.model import Edit


def parts(item):
    (found,) = responses.view({"input": [item]}).messages
    return [(part.kind, part.role, part.path[2:], part.text, part.pair) for part in found.parts]


def test_the_view_stands_in_cache_order():
    body = {
        "model": "gpt-6-sol", "input": "hi", "instructions": "be", "tools": [{"type": "function", "name": "f"}, {"type": "mcp", "server_label": "s"}],
        "prompt": {"id": "pmpt", "variables": {"name": "Ann", "file": {"type": "input_file", "file_id": "f"}}}, "store": True,
    }  # fmt: skip
    found = responses.view(body)
    assert [message.path for message in found.messages] == [
        ("prompt",),
        ("tools", 0),
        ("tools", 1),
        ("instructions",),
        ("input",),
    ]
    assert [(part.kind, part.name or part.text) for part in found.parts] == [
        ("text", "Ann"), ("document", ""), ("other", "pmpt"), ("tool", "f"), ("tool", "s"), ("text", "be"), ("text", "hi"),
    ]  # fmt: skip
    assert dict(found.options) == {"model": "gpt-6-sol", "store": True}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"role": "user", "content": "t"}, [("text", "user", ("content",), "t", None)]),
        ({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "t"}]}, [("text", "assistant", ("content", 0), "t", None)]),
        ({"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}, [("image", "user", ("content", 0), "", None)]),
        ({"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}, [("document", "user", ("content", 0), "", None)]),
        ({"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"}, [("tool_call", "assistant", (), "{}", "c")]),
        ({"type": "function_call_output", "call_id": "c", "output": "o"}, [("tool_result", "tool", ("output",), "o", "c")]),
        (
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "o"}, {"type": "input_image", "image_url": "u"}]},
            [("tool_result", "tool", ("output",), "o", "c"), ("image", "tool", ("output", 1), "", None)],
        ),
        ({"type": "custom_tool_call", "call_id": "c", "name": "n", "input": "raw"}, [("tool_call", "assistant", (), "raw", "c")]),
        ({"type": "apply_patch_call", "call_id": "c", "operation": {"type": "x"}}, [("tool_call", "assistant", (), '{"type": "x"}', "c")]),
        ({"type": "apply_patch_call_output", "call_id": "c", "output": "done"}, [("tool_result", "tool", ("output",), "done", "c")]),
        (
            {"type": "shell_call_output", "call_id": "c", "output": [{"stdout": "a", "stderr": "b", "outcome": {"type": "exit"}}]},
            [("tool_result", "tool", ("output",), "a\nb", "c")],
        ),
        (
            {"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot", "image_url": "u"}},
            [("tool_result", "tool", ("output",), "", "c"), ("image", "tool", ("output",), "", None)],
        ),
        ({"type": "reasoning", "summary": [{"type": "summary_text", "text": "s"}]}, [("reasoning", "assistant", (), "s", None)]),
        ({"type": "web_search_call", "id": "w", "action": {"query": "q"}}, [("tool_call", "assistant", (), '{"query": "q"}', "w")]),
        (
            {"type": "mcp_call", "id": "m", "name": "n", "arguments": "{}", "output": "o"},
            [("tool_call", "assistant", (), "{}", "m"), ("tool_result", "assistant", ("output",), "o", "m")],
        ),
        (
            {"type": "code_interpreter_call", "id": "i", "code": "1", "outputs": [{"type": "logs", "logs": "2"}]},
            [("tool_call", "assistant", (), "1", "i"), ("tool_result", "assistant", ("outputs",), '{"type": "logs", "logs": "2"}', "i")],
        ),
        ({"type": "additional_tools", "role": "developer", "tools": [{"name": "f"}]}, [("tool", "developer", ("tools", 0), '{"name": "f"}', None)]),
        ({"type": "item_reference", "id": "x"}, [("other", "assistant", (), '{"type": "item_reference", "id": "x"}', None)]),
        ({"type": "brand_new", "x": 1}, [("other", "assistant", (), '{"type": "brand_new", "x": 1}', None)]),
    ],
)  # fmt: skip
def test_every_item_is_parts(item, expected):
    assert parts(item) == expected


def test_what_is_encrypted_is_signed():
    items = [
        {"type": "reasoning", "summary": [], "encrypted_content": "x"},
        {"type": "compaction", "encrypted_content": "x"},
    ]
    assert [part.signed for part in responses.view({"input": items}).parts] == [True, True]


def test_fields_that_nobody_knows_are_seen():
    item = {
        "type": "message",
        "role": "user",
        "content": "t",
        "id": "m",
        "status": "completed",
        "prompt_cache_breakpoint": {},
    }
    assert {path: kind for kind, _, path, _, _ in parts(item)} == {
        ("content",): "text", ("id",): "other", ("status",): "other", ("prompt_cache_breakpoint",): "marker",
    }  # fmt: skip


@pytest.mark.parametrize(
    "held", [{"previous_response_id": "resp_1"}, {"conversation": "resp_1"}, {"conversation": {"id": "resp_1"}}]
)
def test_a_history_that_the_provider_holds_is_never_edited(held):
    body = {"input": "hi", **held}
    assert responses.view(body).server_history == "resp_1"
    assert responses.apply(body, []) is body
    with pytest.raises(ProviderShapeError, match="holds this history"):
        responses.apply(body, [Edit("replace", ("input",), "test", "x")])


@pytest.mark.parametrize(
    "body", [None, [], {}, {"messages": []}, {"input": 5}, {"input": {}}, {"input": ["x"]}, {"input": [None]}]
)
def test_what_is_no_responses_request_is_refused(body):
    with pytest.raises(ProviderShapeError, match=r"openai\.responses"):
        responses.view(body)


def test_markers_do_not_count_for_identity():
    plain = {"role": "user", "content": [{"type": "input_text", "text": "t"}]}
    marked = {
        "role": "user",
        "content": [{"type": "input_text", "text": "t", "prompt_cache_breakpoint": {"mode": "explicit"}}],
    }
    assert responses.identity(marked) == plain
    assert responses.identity(plain) is plain
    result = {"type": "function_call_output", "call_id": "c", "output": marked["content"]}
    assert responses.identity(result) == {**result, "output": plain["content"]}
    shot = {"type": "computer_call_output", "output": {"type": "computer_screenshot", "prompt_cache_breakpoint": {}}}
    assert responses.identity(shot) == {"type": "computer_call_output", "output": {"type": "computer_screenshot"}}


def test_an_input_that_is_text_is_the_message_that_a_list_begins_with():
    text = responses.view({"model": "m", "instructions": "Be brief.", "input": "Hi."})
    listed = responses.view({"model": "m", "instructions": "Be brief.", "input": [{"role": "user", "content": "Hi."}]})
    hasher = Hasher(b"key")
    assert hasher.digests(text.messages, responses.identity) == hasher.digests(listed.messages, responses.identity)
    assert hasher.digests(text.messages, responses.identity)[1] == [], "and text carries no marker"


json_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "role", "content", "output", "tools", "summary", "variables", "prompt_cache_breakpoint"]
            ),
            inner,
        )
    ),
    max_leaves=20,
)
kinds = st.sampled_from(
    [
        "message",
        "function_call",
        "function_call_output",
        "reasoning",
        "mcp_call",
        "tool_search_output",
        "mcp_list_tools",
        "shell_call_output",
        "compaction",
    ]
)
items = st.builds(lambda kind, rest: {**rest, "type": kind}, kinds, st.dictionaries(st.text(max_size=3) | st.sampled_from(["content", "output", "tools", "summary", "arguments"]), json_values))  # fmt: skip


@example([{"type": "reasoning", "content": 1, "summary": {"a": 2}}], None, None)
@given(st.lists(items, max_size=3) | json_values, json_values, json_values)
def test_any_body_is_viewed_or_refused(value, prompt, tools):
    body = {"input": value, "prompt": prompt, "tools": tools}
    try:
        found = responses.view(body)
    except ProviderShapeError:
        return
    for part in found.parts:
        here = body
        for key in part.path:
            here = here[key]
        assert here is part.value
        assert isinstance(part.text, str)
    for message in found.messages:
        once = responses.identity(message.value)
        assert responses.identity(once) is once


# --- answers

ANSWER = {
    "id": "resp_1", "model": "gpt-6-sol", "status": "completed", "service_tier": "flex",
    "usage": {
        "input_tokens": 5405, "output_tokens": 179, "total_tokens": 5584, "output_tokens_details": {"reasoning_tokens": 32},
        "input_tokens_details": {"cached_tokens": 5000, "cache_write_tokens": 400, "cache_write_tokens_details": {"ttl_30m_tokens": 100, "ttl_12h_tokens": 300}},
    },
    "output": [
        {"type": "web_search_call", "action": {"type": "search"}}, {"type": "web_search_call", "action": {"type": "open_page"}},
        {"type": "file_search_call"}, {"type": "message"},
    ],
}  # fmt: skip


def test_a_whole_answer():
    found = responses.answer(ANSWER, "openai")
    assert (found.id, found.model, found.finish, found.tier, found.complete, found.problems) == (
        "resp_1",
        "gpt-6-sol",
        "completed",
        "flex",
        True,
        (),
    )
    usage = found.usage
    assert (usage.fresh, usage.read, usage.written, usage.output, usage.reasoning) == (
        5,
        5000,
        {"30m": 100, "12h": 300},
        179,
        32,
    )
    assert usage.calls == {"web_search": 1, "file_search": 1}


def test_the_providers_own_count_of_searches_wins():
    assert responses.answer({**ANSWER, "tool_usage": {"web_search": {"num_requests": 3}}}, "openai").usage.calls == {
        "web_search": 3,
        "file_search": 1,
    }
    none = responses.answer({**ANSWER, "tool_usage": {"web_search": {"num_requests": 0}}}, "openai")
    assert none.usage.calls == {"file_search": 1}


def test_xai_says_what_it_cost():
    reported = {
        "input_tokens": 5689,
        "output_tokens": 444,
        "total_tokens": 6133,
        "cost_in_usd_ticks": 160708500,
        "server_side_tool_usage_details": {"web_search_calls": 2},
    }
    found = responses.answer({"usage": reported}, "xai")
    assert (found.cost, found.usage.calls) == (Decimal("0.01607085"), {"web_search": 2})


def test_what_is_incomplete_says_why():
    assert (
        responses.answer(
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "openai"
        ).finish
        == "max_output_tokens"
    )
    queued = responses.answer({"status": "queued", "usage": None}, "openai")
    assert (queued.complete, queued.usage) == (False, None)
    failed = responses.answer({"status": "failed", "error": {"code": "server_error", "message": "secret"}}, "openai")
    assert failed.problems == ("the provider reported an error: server_error",)


def feed(*events):
    found = responses.stream("openai", hide_usage=True)
    assert not any(found.feed(event if isinstance(event, bytes) else json.dumps(event).encode()) for event in events)
    return found


CREATED = {"type": "response.created", "response": {"id": "resp_1", "model": "gpt-6-sol", "usage": None}}


@pytest.mark.parametrize("end", ["response.completed", "response.incomplete", "response.failed"])
def test_a_stream_ends_with_its_own_event(end):
    found = feed(CREATED, {"type": "response.output_item.added", "item": {}})
    assert (found.content, found.done) == (False, False)
    found.feed(json.dumps({"type": "response.output_text.delta", "delta": ""}).encode())
    assert found.content is False
    found.feed(json.dumps({"delta": "say response.completed", "type": "response.output_text.delta"}).encode())
    assert (found.content, found.done) == (True, False)
    found.feed(json.dumps({"response": ANSWER, "type": end}).encode())
    assert found.done
    found.feed(b"[DONE]")
    assert found.answer() == responses.answer(ANSWER, "openai")


def test_a_cut_stream_is_incomplete_and_known_by_its_id():
    found = feed(CREATED, {"type": "response.output_text.delta", "delta": "x"}).answer()
    assert (found.complete, found.id, found.model, found.usage) == (False, "resp_1", "gpt-6-sol", None)


@pytest.mark.parametrize(
    "event",
    [{"type": "error", "code": "rate_limit", "message": "secret"}, {"type": "error", "error": {"code": "rate_limit"}}],
)
def test_an_error_inside_a_stream(event):
    found = feed(CREATED, {"type": "response.output_text.delta", "delta": "x"}, event).answer()
    assert (found.complete, found.problems) == (False, ("the provider reported an error: rate_limit",))


@pytest.mark.parametrize(
    "event",
    [
        b"",
        b"{",
        b"[]",
        b'{"type": 5, "response": 1}',
        b'{"type":"response.completed"}',
        b'{"error": null, "type": "keepalive"}',
    ],
)
def test_broken_events_never_raise(event):
    feed(event, CREATED, event).answer()


@given(
    json_values
    | st.dictionaries(
        st.sampled_from(["usage", "output", "error", "status", "tool_usage", "incomplete_details"]), json_values
    )
)
def test_no_answer_raises(response):
    responses.answer(response if isinstance(response, dict) else {}, "openai")

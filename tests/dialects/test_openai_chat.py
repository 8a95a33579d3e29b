from __future__ import annotations

import copy
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.dialects.openai import chat
from ctxkit.dialects.sse import Splitter
from ctxkit.errors import ProviderShapeError
from ctxkit.model import Edit


def parts(message, **body):
    (found,) = chat.view({"model": "m", "messages": [message], **body}).messages
    return [(part.kind, part.path[2:], part.text) for part in found.parts]


def usage(reported, platform="openai", **response):
    return chat.answer({"usage": reported, "choices": [{}], **response}, platform)


def buckets(answer):
    found = answer.usage
    return found.fresh, found.read, found.written, found.output, found.reasoning


# --- the view


def test_the_view_stands_in_cache_order_and_looks_at_the_same_objects():
    body = {
        "model": "gpt-5",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "functions": [{"name": "g"}],
        "temperature": 0,
    }
    found = chat.view(body)
    assert [(m.role, m.path) for m in found.messages] == [
        ("tools", ("tools", 0)), ("tools", ("functions", 0)), ("system", ("messages", 0)), ("user", ("messages", 1)),
    ]  # fmt: skip
    assert found.messages[2].value is body["messages"][0]
    assert [part.name for part in found.parts][:2] == ["f", "g"]
    assert (found.model, dict(found.options), found.server_history) == (
        "gpt-5",
        {"model": "gpt-5", "temperature": 0},
        None,
    )


def test_a_call_and_its_result_have_the_same_pair():
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}}
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "out"},
    ]
    asked, gave = chat.view({"messages": messages}).parts
    assert (asked.kind, asked.pair, asked.name, asked.text, asked.value) == ("tool_call", "c1", "look", '{"a":1}', call)
    assert (gave.kind, gave.pair, gave.text, gave.path) == ("tool_result", "c1", "out", ("messages", 1, "content"))


def test_custom_and_legacy_calls():
    assert parts(
        {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "n", "input": "raw"}}]}
    ) == [("tool_call", ("tool_calls", 0), "raw")]
    assert parts({"role": "assistant", "content": None, "function_call": {"name": "n", "arguments": "{}"}}) == [
        ("tool_call", ("function_call",), "{}")
    ]
    assert parts({"role": "function", "name": "n", "content": "r"}) == [("tool_result", ("content",), "r")]


def test_a_result_of_blocks_is_one_text_and_its_media_are_parts_of_their_own():
    image = {"type": "image_url", "image_url": {"url": "data:"}}
    content = [{"type": "text", "text": "a"}, image, {"type": "text", "text": "b"}]
    assert parts({"role": "tool", "tool_call_id": "c", "content": content}) == [
        ("tool_result", ("content",), "a\nb"), ("image", ("content", 1), ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("block", "kind", "text"),
    [
        ({"type": "text", "text": "t"}, "text", "t"),
        ({"type": "text", "text": "t", "cache_control": {"type": "ephemeral"}}, "text", "t"),
        ({"type": "refusal", "refusal": "no"}, "text", "no"),
        ({"type": "image_url", "image_url": {"url": "u"}}, "image", ""),
        ({"image_url": {"url": "u"}}, "image", ""),
        ({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, "audio", ""),
        ({"type": "video_url", "video_url": {"url": "u"}}, "video", ""),
        ({"type": "file", "file": {"file_id": "f"}}, "document", ""),
        ({"type": "document_url", "document_url": "u"}, "document", ""),
        ({"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, "reasoning", "hm"),
        ({"type": "thinking", "thinking": "hm", "signature": "s"}, "reasoning", "hm"),
        ("bare", "text", "bare"),
        ({"type": "new_thing", "x": 1}, "other", '{"type": "new_thing", "x": 1}'),
        (7, "other", "7"),
        (None, "other", "null"),
    ],
)
def test_every_block_is_a_part(block, kind, text):
    assert parts({"role": "user", "content": [block]}) == [(kind, ("content", 0), text)]


def test_reasoning_stands_first_and_what_is_signed_says_so():
    message = {
        "role": "assistant", "content": "c", "reasoning_content": "r",
        "reasoning_details": [{"type": "reasoning.text", "text": "d", "signature": "s"}, {"type": "reasoning.encrypted", "data": "x"}, 1],
    }  # fmt: skip
    (found,) = chat.view({"messages": [message]}).messages
    assert [(p.kind, p.text, p.signed) for p in found.parts] == [
        ("reasoning", "r", False), ("reasoning", "d", True), ("reasoning", "", True), ("other", "1", False), ("text", "c", False),
    ]  # fmt: skip


def test_nothing_of_a_message_is_invisible():
    message = {
        "role": "assistant", "content": None, "name": "ann", "refusal": "no", "audio": {"id": "a"}, "prefix": True,
        "images": [{"type": "image_url", "image_url": {"url": "u"}}], "cache_control": {"type": "ephemeral"}, "tool_call_id": "odd",
        "new": {"deep": 1},
    }  # fmt: skip
    found = {path[0]: kind for kind, path, _ in parts(message)}
    assert found == {
        "refusal": "text", "audio": "audio", "images": "image", "cache_control": "marker",
        "name": "other", "prefix": "other", "tool_call_id": "other", "new": "other",
    }  # fmt: skip


@pytest.mark.parametrize(
    "body", [None, [], "x", {}, {"messages": None}, {"messages": {}}, {"messages": ["x"]}, {"messages": [{}, None]}]
)
def test_what_is_no_chat_request_is_refused(body):
    with pytest.raises(ProviderShapeError, match=r"openai\.chat"):
        chat.view(body)


def test_odd_fields_are_looked_at_and_never_an_error():
    message = {
        "role": 5,
        "content": {"odd": 1},
        "tool_calls": {"not": "a list"},
        "reasoning_details": 3,
        "images": "x",
        "function_call": 1,
    }
    assert {kind for kind, _, _ in parts(message)} == {"other"}


# --- identity and apply


def test_markers_do_not_count_for_identity():
    plain = {"role": "user", "content": [{"type": "text", "text": "t"}]}
    for key in ("cache_control", "prompt_cache_breakpoint"):
        marked = {"role": "user", "content": [{"type": "text", "text": "t", key: {"x": 1}}]}
        before = copy.deepcopy(marked)
        assert chat.identity(marked) == plain
        assert marked == before
        assert chat.identity({**plain, key: {}}) == plain
    tool = {"type": "function", "function": {"name": "f", "parameters": {"properties": {"cache_control": {}}}}}
    assert chat.identity({**tool, "cache_control": {}}) == tool
    assert chat.identity({"type": "function", "function": {**tool["function"], "cache_control": {}}}) == tool


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "text",
                    "role",
                    "content",
                    "cache_control",
                    "tool_calls",
                    "function",
                    "id",
                    "name",
                    "image_url",
                ]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@given(json_values)
def test_identity_is_idempotent_and_the_same_object_without_markers(value):
    once = chat.identity(value)
    assert chat.identity(once) is once
    if "cache_control" not in json.dumps(value):
        assert once is value


@given(json_values, json_values)
def test_any_body_is_viewed_or_refused_and_every_path_leads_to_its_value(messages, tools):
    body = {"messages": messages, "tools": tools}
    try:
        found = chat.view(body)
    except ProviderShapeError:
        return
    assert chat.apply(body, []) is body
    for part in found.parts:
        value = body
        for key in part.path:
            value = value[key]
        assert value is part.value
        assert isinstance(part.text, str)
        assert isinstance(part.role, str)


def test_an_edit_changes_what_it_names():
    body = {"messages": [{"role": "tool", "tool_call_id": "c", "content": "long"}, {"role": "user", "content": "u"}]}
    (part, _) = chat.view(body).parts
    new = chat.apply(body, [Edit("replace", part.path, "shorter", "short")])
    assert new["messages"][0]["content"] == "short"
    assert new["messages"][1] is body["messages"][1]


# --- usage: the traps that real answers hold


def test_trap_1_cached_tokens_are_inside_prompt_tokens():
    found = usage(
        {
            "prompt_tokens": 2006,
            "completion_tokens": 300,
            "total_tokens": 2306,
            "prompt_tokens_details": {"cached_tokens": 1920},
        }
    )
    assert buckets(found) == (86, 1920, None, 300, None)
    assert (found.usage.input_total, found.problems) == (2006, ())


def test_trap_1_deepseek_partitions_the_prompt_into_hits_and_misses():
    reported = {
        "prompt_tokens": 356,
        "completion_tokens": 164,
        "total_tokens": 520,
        "prompt_cache_hit_tokens": 256,
        "prompt_cache_miss_tokens": 100,
    }
    assert buckets(usage(reported, "deepseek")) == (100, 256, {}, 164, None)
    odd = usage({**reported, "prompt_cache_miss_tokens": 90}, "deepseek")
    assert odd.problems == ("cache hits 256 and misses 90 do not sum to the prompt 356",)


def test_trap_2_a_gateway_that_reports_the_prompt_net_of_its_cache():
    reported = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 1144,
        "prompt_tokens_details": {"cached_tokens": 1024},
    }
    found = usage(reported, "my-gateway")
    assert buckets(found) == (100, 1024, None, 20, None)
    assert (found.usage.input_total, found.problems) == (1124, ())


def test_trap_2_also_when_it_wrote():
    reported = {
        "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 315,
        "cache_read_input_tokens": 100, "cache_creation_input_tokens": 200,
    }  # fmt: skip
    assert buckets(usage(reported, "my-gateway")) == (10, 100, {"5m": 200}, 5, None)


def test_trap_4_groq_reports_the_usage_of_streams_in_its_own_field():
    found = feed(
        {"id": "1", "choices": [{"delta": {"role": "assistant", "content": ""}}], "x_groq": {"id": "r"}},
        {"id": "1", "choices": [{"delta": {"content": "hi"}}]},
        {"id": "1", "choices": [{"delta": {}, "finish_reason": "stop"}], "x_groq": {"usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}}},
        platform="groq",
    )  # fmt: skip
    assert buckets(found.answer()) == (9, None, {}, 2, None)
    assert found.answer().complete


def test_trap_4_usage_of_streams_comes_only_when_it_was_asked_for():
    found = feed({"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}]}, b"[DONE]").answer()
    assert (found.usage, found.complete, found.finish) == (None, True, "stop")


def test_trap_8_a_prompt_below_the_minimum_has_a_known_zero_and_an_absent_field_is_unknown():
    assert (
        usage({"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 0}}).usage.read
        == 0
    )
    assert usage({"prompt_tokens": 9, "completion_tokens": 1}).usage.read is None
    assert usage({"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": None}, "vllm").usage.read is None


def test_cache_writes_are_part_of_the_prompt_by_time_to_live():
    details = {"cached_tokens": 5392, "cache_write_tokens": 10}
    reported = {"prompt_tokens": 5405, "completion_tokens": 1, "total_tokens": 5406, "prompt_tokens_details": details}
    assert buckets(usage(reported))[:3] == (3, 5392, {"30m": 10})
    details["cache_write_tokens_details"] = {"ttl_30m_tokens": 4, "ttl_12h_tokens": 6}
    assert usage(reported).usage.written == {"30m": 4, "12h": 6}
    details["cache_write_tokens_details"] = {"ttl_30m_tokens": 40}
    assert usage(reported).problems == ("cache writes by time to live sum to more than 10",)
    assert usage({**reported, "prompt_tokens_details": {"cache_write_tokens": 0}}).usage.written == {}


def test_qwen_splits_its_explicit_cache():
    details = {
        "cached_tokens": 0,
        "cache_creation_input_tokens": 1500,
        "cache_creation": {"ephemeral_5m_input_tokens": 1500},
    }
    reported = {"prompt_tokens": 1600, "completion_tokens": 4, "total_tokens": 1604, "prompt_tokens_details": details}
    assert buckets(usage(reported, "qwen")) == (100, 0, {"5m": 1500}, 4, None)


def test_a_gateway_keeps_the_time_to_live_of_whom_it_serves():
    reported = {
        "prompt_tokens": 20,
        "completion_tokens": 1,
        "total_tokens": 21,
        "prompt_tokens_details": {"cache_write_tokens": 20},
    }
    assert usage(reported, "openrouter", model="openai/gpt-6-sol").usage.written == {"30m": 20}
    assert usage(reported, "openrouter", model="anthropic/claude").usage.written == {"5m": 20}


def test_tokens_both_written_and_read_stand_in_one_bucket():
    details = {"cached_tokens": 2161, "cache_write_tokens": 2161}
    found = usage(
        {"prompt_tokens": 2168, "completion_tokens": 100, "total_tokens": 2268, "prompt_tokens_details": details},
        "openrouter",
    )
    assert found.usage.input_total == 2168
    assert (found.usage.read, found.usage.written_total) == (2161, 7)
    assert "exceed the prompt" in found.problems[0]


@pytest.mark.parametrize("platform", ["xai", "azure"])
def test_grok_counts_reasoning_beside_the_completion(platform):
    details = {"reasoning_tokens": 511}
    reported = {"prompt_tokens": 34, "completion_tokens": 70, "total_tokens": 615, "completion_tokens_details": details}
    found = usage(reported, platform)
    assert (found.usage.output, found.usage.reasoning, found.problems) == (581, 511, ())


def test_without_a_total_the_platform_says_where_reasoning_is():
    reported = {"prompt_tokens": 34, "completion_tokens": 70, "completion_tokens_details": {"reasoning_tokens": 50}}
    assert usage(reported, "xai").usage.output == 120
    assert usage(reported, "openai").usage.output == 70


def test_google_hides_its_thoughts_in_the_total():
    found = usage({"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 126}, "google")
    assert (found.usage.output, found.usage.reasoning, found.problems) == (91, 79, ())


def test_mistral_counts_audio_beside_the_prompt_and_names_its_cache_in_three_ways():
    found = usage(
        {
            "prompt_tokens": 9,
            "completion_tokens": 248,
            "total_tokens": 632,
            "prompt_tokens_details": {"audio_tokens": 375},
        },
        "mistral",
    )
    assert (found.usage.input_total, found.usage.media, found.problems) == (384, {"audio.fresh": 375}, ())
    assert usage({"prompt_tokens": 997, "completion_tokens": 1, "num_cached_tokens": 976}, "mistral").usage.read == 976
    assert usage({"prompt_tokens": 9, "completion_tokens": 1, "service_tier": "standard"}, "mistral").tier == "standard"


def test_moonshot_and_together_report_the_cache_beside_the_details():
    assert buckets(usage({"prompt_tokens": 300, "completion_tokens": 1, "cached_tokens": 256}, "moonshot"))[:2] == (
        44,
        256,
    )


def test_ollama_did_not_count_a_prompt_it_had_in_its_cache():
    found = usage({"prompt_tokens": 0, "completion_tokens": 26, "total_tokens": 26}, "ollama")
    assert (found.usage.fresh, found.usage.output, len(found.problems)) == (None, 26, 1)


def test_media_stand_inside_the_buckets():
    inside, outside = (
        {"audio_tokens": 171, "text_tokens": 67, "image_tokens": 0},
        {"audio_tokens": 387, "image_tokens": 20},
    )
    reported = {
        "prompt_tokens": 238,
        "completion_tokens": 479,
        "prompt_tokens_details": inside,
        "completion_tokens_details": outside,
    }
    assert usage(reported).usage.media == {"audio.fresh": 171, "audio.output": 387, "image.output": 20}
    cached = {
        "prompt_tokens": 504,
        "completion_tokens": 1,
        "prompt_tokens_details": {"cached_tokens": 370, "image_tokens": 256},
    }
    assert usage(cached, "xai").usage.media == {"image.fresh": 134, "image.read": 122}


def test_searches_are_calls():
    assert usage({"prompt_tokens": 1, "completion_tokens": 1, "num_search_queries": 2}, "perplexity").usage.calls == {
        "web_search": 2
    }
    details = {"web_search_calls": 2, "x_search_calls": 0}
    assert usage(
        {"prompt_tokens": 1, "completion_tokens": 1, "server_side_tool_usage_details": details}, "xai"
    ).usage.calls == {"web_search": 2}


@pytest.mark.parametrize(
    ("platform", "reported", "cost"),
    [
        ("openrouter", {"cost": 0.0007169}, "0.0007169"),
        ("openrouter", {"cost": 0}, "0"),
        ("openrouter", {"cost": 0.01, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.2}}, "0.21"),
        ("openrouter", {"cost": 0.01, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.2}}, "0.01"),
        ("perplexity", {"cost": {"input_tokens_cost": 0, "total_cost": 0.005796}}, "0.005796"),
        ("perplexity", {"cost": {"currency": "EUR", "total_cost": 1}}, None),
        ("xai", {"cost_in_usd_ticks": 63420000}, "0.006342"),
        ("azure", {"cost_in_usd_ticks": 0}, None),
        ("openai", {}, None),
        ("openrouter", {"cost": "n/a"}, None),
        ("openrouter", {"cost": float("nan")}, None),
    ],
)
def test_the_cost_that_the_provider_says(platform, reported, cost):
    found = usage({"prompt_tokens": 536, "completion_tokens": 527, **reported}, platform).cost
    assert found == (None if cost is None else Decimal(cost))


@pytest.mark.parametrize(
    ("reported", "problem"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 109, "total_tokens": 119, "prompt_tokens_details": {"cached_tokens": 161}}, "sum to 161"),
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 99}, "do not sum to the reported 99"),
        ({"prompt_tokens": 1, "completion_tokens": 10, "total_tokens": 11, "completion_tokens_details": {"reasoning_tokens": 11}}, "exceed 10 output"),
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, "every figure"),
        ({"foo": 1}, "names no tokens"),
    ],
)  # fmt: skip
def test_figures_that_do_not_add_up_are_problems_and_never_raise(reported, problem):
    (found,) = usage(reported).problems
    assert problem in found


@given(json_values | st.dictionaries(st.sampled_from(["usage", "choices", "error", "model", "x_groq"]), json_values))
def test_no_answer_raises(response):
    found = chat.answer(response if isinstance(response, dict) else {}, "openai")
    assert found.usage is None or found.usage.fresh is None or found.usage.fresh >= 0


figures = st.none() | st.integers(-2, 3000) | st.floats() | st.text(max_size=2)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(
                ("prompt_tokens", "completion_tokens", "total_tokens", "cost", "cached_tokens", "cost_in_usd_ticks"),
                figures,
            ),
            "prompt_tokens_details": st.dictionaries(
                st.sampled_from(
                    ["cached_tokens", "cache_write_tokens", "audio_tokens", "image_tokens", "cached_tokens_details"]
                ),
                figures,
            ),
            "completion_tokens_details": st.dictionaries(
                st.sampled_from(["reasoning_tokens", "audio_tokens"]), figures
            ),
        },
    ),
    st.sampled_from(["openai", "xai", "google", "mistral", "ollama", "deepseek", "openrouter", "unknown"]),
)
def test_buckets_are_never_negative_and_sum_or_say_why(reported, platform):
    found = usage(reported, platform)
    if found.usage is None:
        return
    counts = [
        found.usage.fresh,
        found.usage.read,
        found.usage.output,
        found.usage.reasoning,
        *(found.usage.written or {}).values(),
    ]
    assert all(
        count is None or (isinstance(count, int) and count >= 0) for count in [*counts, *found.usage.media.values()]
    )
    total = reported.get("total_tokens")
    known = isinstance(total, int) and found.usage.input_total is not None and found.usage.output is not None
    if (
        known
        and total > 0
        and isinstance(reported.get("completion_tokens"), int)
        and isinstance(reported.get("prompt_tokens"), int)
    ):
        assert found.problems or found.usage.input_total + found.usage.output == total


# --- streams


def feed(*events, platform="openai", hide=False):
    found = chat.stream(platform, hide_usage=hide)
    for event in events:
        found.feed(event if isinstance(event, bytes) else json.dumps(event).encode())
    return found


CHUNKS = [
    {"id": "c-1", "model": "", "choices": [], "prompt_filter_results": []},
    {"id": "c-1", "model": "gpt-5", "service_tier": "default", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}], "usage": None},
    {"id": "c-1", "model": "gpt-5", "choices": [{"index": 0, "delta": {"content": 'the "usage" of "error"'}, "finish_reason": None}], "usage": None},
    {"id": "c-1", "model": "gpt-5", "choices": [{"index": 0, "delta": {}, "finish_reason": "length"}], "usage": None},
    {"id": "c-1", "model": "gpt-5", "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}},
]  # fmt: skip


def test_a_stream_is_read_as_it_passes():
    found = chat.stream("openai")
    seen = []
    for chunk in CHUNKS:
        assert found.feed(json.dumps(chunk).encode()) is False
        seen.append(found.content)
    assert seen == [False, False, True, True, True]
    assert not found.done
    assert found.feed(b"[DONE]") is False
    answer = found.answer()
    assert (answer.id, answer.model, answer.finish, answer.tier, answer.complete) == (
        "c-1",
        "gpt-5",
        "length",
        "default",
        True,
    )
    assert (answer.usage.fresh, answer.usage.output) == (7, 3)


def test_only_the_usage_chunk_that_we_asked_for_is_hidden():
    found = chat.stream("openai", hide_usage=True)
    assert [found.feed(json.dumps(chunk).encode()) for chunk in CHUNKS] == [False, False, False, False, True]
    assert found.feed(b"[DONE]") is False
    with_choices = {
        "choices": [{"delta": {}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    }
    assert chat.stream("deepseek", hide_usage=True).feed(json.dumps(with_choices).encode()) is False


def test_a_cut_stream_is_incomplete():
    found = feed(*CHUNKS[:3]).answer()
    assert (found.complete, found.usage, found.id) == (False, None, "c-1")


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"tool_calls": [{"index": 0}]},
        {"refusal": "n"},
        {"audio": {"id": "a"}},
    ],
)
def test_reasoning_and_calls_are_content_too(delta):
    assert feed({"choices": [{"delta": delta}]}).content
    assert feed({"choices": [{"text": "legacy"}]}).content
    assert not feed({"choices": [{"delta": dict.fromkeys(delta)}]}).content


def test_an_error_inside_a_stream_makes_it_incomplete_and_quotes_nothing():
    found = feed(
        {"choices": [{"delta": {"content": "x"}}]}, {"error": {"code": 502, "message": "secret prompt"}}, b"[DONE]"
    ).answer()
    assert (found.complete, found.problems) == (False, ("the provider reported an error: 502",))


def test_figures_that_are_repeated_are_read_from_the_last():
    events = [
        {
            "choices": [{"delta": {"content": "x"}}],
            "usage": {"prompt_tokens": 7, "completion_tokens": n, "total_tokens": 7 + n},
        }
        for n in (1, 2, 3)
    ]
    last = {"choices": [{"delta": {"content": ""}, "finish_reason": "stop"}], "usage": {"cost": {"total_cost": 0.005}}}
    found = feed(*events[:2], last, platform="perplexity").answer()
    assert (found.usage.output, found.cost, found.complete) == (2, Decimal("0.005"), True)


@pytest.mark.parametrize(
    "event",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"usage"',
        b'{"usage":',
        b"\xff\xfe",
        b'{"choices":[null,1]}',
        b'{"choices":[{"delta":3}]}',
    ],
)
def test_broken_events_are_nobodys_fault(event):
    found = feed(event, *CHUNKS, event, b"[DONE]").answer()
    assert (found.complete, found.usage.output) == (True, 3)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_any_split_of_the_bytes_gives_the_same_answer(sizes):
    raw = b"".join(b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n" for chunk in CHUNKS) + b"data: [DONE]\n\n"
    splitter, found, start, turn = Splitter(), chat.stream("openai"), 0, 0
    while start < len(raw):
        size = sizes[turn % len(sizes)]
        for event in splitter.feed(raw[start : start + size]):
            found.feed(event.data)
        start, turn = start + size, turn + 1
    assert found.answer() == feed(*CHUNKS, b"[DONE]").answer()

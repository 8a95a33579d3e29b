"""The calibrated sum: weights, frames, intervals, and what happens without its data."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.dialects.anthropic import messages as anthropic_messages
from ctxkit.dialects.bedrock import converse as bedrock_converse
from ctxkit.dialects.gemini import generate as gemini_generate
from ctxkit.dialects.openai import chat as openai_chat
from ctxkit.metering import fitted, textkinds
from ctxkit.metering.families import writing_of
from ctxkit.metering.features import format_traits, traits_of
from ctxkit.metering.fitted import row_for, row_names, spread, table
from ctxkit.metering.frame import frame_of
from ctxkit.model import Message, Part

TOOL = {
    "name": "get_weather",
    "description": "Current weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture
def fresh():
    """Caches that hold what the table or the vocabulary gave are emptied before and after."""
    caches = (fitted.table, fitted.row_for, fitted._row, fitted._steps)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


def claude(messages, **body):
    return anthropic_messages.view({"model": "claude-sonnet-4-5", "messages": messages, **body})


def weigh(conversation, model="claude-sonnet-4-5", platform="anthropic"):
    row = row_for(platform, model)
    messages = conversation.messages
    return (
        sum(row.message(messages, place).tokens for place in range(len(messages)))
        + row.frame(conversation, row.schema)[0]
    )


def said(text):
    return claude([{"role": "user", "content": text}])


def test_the_table_is_small_dated_and_measured():
    found = table()
    assert found["date"]
    assert found["vocabulary"] == "o200k_base"
    assert found["measured"]["claude-4.5"]["n"] > 100
    assert fitted._TABLE.stat().st_size < 200_000


def test_every_family_builds_on_all_families():
    assert row_names("anthropic", "claude-opus-4-8", "claude-4.8") == (
        "*",
        "~claude-new",
        "claude-4.8",
        "claude-4.8@anthropic",
        "=claude-opus-4-8",
        "=claude-opus-4-8@anthropic",
    )
    assert row_names("x", "y", "unknown") == ("*",)


def test_what_tools_add_is_near_what_anthropic_documents():
    hello = [{"role": "user", "content": "Hi"}]
    without = weigh(claude(hello))
    with_tools = weigh(claude(hello, tools=[TOOL]))
    assert 496 < with_tools - without < 496 + 120


def test_a_newer_tokenizer_counts_more():
    text = "The quick brown fox jumps over the lazy dog. " * 50
    older, newer = weigh(said(text), "claude-opus-4-5"), weigh(said(text), "claude-opus-4-8")
    assert 1.15 < newer / older < 1.6


def test_thoughts_count_only_while_their_turn_runs():
    thought = {"type": "thinking", "thinking": "Let me think about it at length. " * 40, "signature": "x" * 200}
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    message = claude([{"role": "assistant", "content": [thought, call]}]).messages
    weight = row_for("anthropic", "claude-sonnet-4-5").message(message, 0)
    assert weight.current > 100
    assert not weight.turn


def test_a_result_of_a_tool_opens_no_turn():
    result = [{"type": "tool_result", "tool_use_id": "t", "content": "42"}]
    row = row_for("anthropic", "claude-sonnet-4-5")
    assert not row.message(claude([{"role": "user", "content": result}]).messages, 0).turn
    assert row.message(said("and now?").messages, 0).turn


def test_thoughts_in_tags_are_thoughts():
    body = {"model": "qwen3", "messages": [{"role": "assistant", "content": "<think>long thought</think>Short."}]}
    traits = traits_of(openai_chat.view(body).messages[0])
    assert traits.tagged == ["<think>long thought"]
    assert traits.texts == [("", "Short.")]


def test_tools_that_may_not_be_called_are_left_out_where_the_family_does_so():
    function = {"name": TOOL["name"], "parameters": TOOL["input_schema"]}
    body = {
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": [{"type": "function", "function": function}],
        "tool_choice": "none",
    }
    row = row_for("mistral", "mistral-small-latest")
    assert row.frame(openai_chat.view(body), row.schema)[2]
    kept = claude([{"role": "user", "content": "Hi"}], tools=[TOOL], tool_choice={"type": "none"})
    assert not row_for("anthropic", "claude-sonnet-4-5").frame(kept, row.schema)[2]


@pytest.mark.parametrize(
    ("view", "body", "flag"),
    [
        (anthropic_messages, {"tools": [TOOL], "tool_choice": {"type": "any"}}, "tools.forced"),
        (
            anthropic_messages,
            {"tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
            "tools.single",
        ),
        (anthropic_messages, {"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking"),
        (anthropic_messages, {"thinking": {"type": "disabled"}}, "thinking.off"),
        (anthropic_messages, {}, "bare"),
        (anthropic_messages, {"output_format": {"type": "json_schema", "schema": {"type": "object"}}}, "format"),
        (openai_chat, {"response_format": {"type": "json_object"}}, "json"),
        (openai_chat, {"reasoning_effort": "low"}, "thinking.effort"),
    ],
)
def test_what_a_request_asks_for_is_seen(view, body, flag):
    found = frame_of(view.view({"messages": [{"role": "user", "content": "Hi"}], **body}))
    assert flag in found.flags


def test_the_forms_of_answers_of_gemini_and_converse_are_seen():
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    gemini = {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "generationConfig": {"responseMimeType": "application/json", "responseSchema": schema},
    }
    assert frame_of(gemini_generate.view(gemini)).format == schema
    converse = {
        "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
        "outputConfig": {"textFormat": {"structure": {"jsonSchema": {"schema": json.dumps(schema)}}}},
    }
    assert frame_of(bedrock_converse.view(converse)).format == schema


def test_what_only_the_provider_sees_widens_the_interval():
    hidden = claude([{"role": "user", "content": "Hi"}], mcp_servers=[{"type": "url", "url": "https://x", "name": "x"}])
    row = row_for("anthropic", "claude-sonnet-4-5")
    assert row.frame(hidden, row.schema)[1] > 1000


@given(st.text(max_size=400), st.text(max_size=100))
def test_more_text_never_counts_much_less(text, more):
    row = row_for("anthropic", "claude-sonnet-4-5")
    before = row.message(said(text).messages, 0).tokens
    after = row.message(said(text + "\n\n" + more).messages, 0).tokens
    # Merges across the joint may save a token or two.
    assert after >= before - 4


@given(st.floats(1, 1e6), st.floats(0, 1e5), st.booleans())
def test_an_interval_holds_what_it_is_around(tokens, slack, tools):
    low, high = row_for("anthropic", "claude-sonnet-4-5").interval(tokens, slack, tools=tools)
    assert 0 <= low <= tokens <= high


def test_an_unknown_family_is_rough_and_wide():
    unknown = row_for("somewhere", "somebody/else-9b")
    known = row_for("anthropic", "claude-sonnet-4-5")
    assert (unknown.method, known.method) == ("rough", "fitted")
    widths = [high - low for low, high in (row.interval(2000, 0, tools=False) for row in (unknown, known))]
    assert widths[0] > 2 * widths[1]


def test_japanese_and_digits_have_kinds_of_their_own():
    assert set(textkinds.kinds_of("会議は明日の10時に始まります。")) >= {"han", "kana", "digit.2"}
    assert textkinds.kinds_of("안녕하세요")["hangul"] > 0
    assert textkinds.kinds_of("Привет, мир")["script"] > 0


def test_text_that_no_recording_holds_widens_the_interval():
    row = row_for("anthropic", "claude-sonnet-4-5")
    assert row.message(said("The meeting begins at ten.").messages, 0).slack == 0
    japanese = row.message(said("会議は明日の十時に始まります。" * 20).messages, 0)
    assert 0.1 * japanese.tokens < japanese.slack < 0.5 * japanese.tokens


def test_without_a_vocabulary_characters_are_counted(monkeypatch, fresh):
    text = "The quick brown fox jumps over the lazy dog. " * 40
    exact = weigh(said(text))
    for module in (textkinds, fitted):
        monkeypatch.setattr(module, "token_ids", lambda *_: None)
    fitted.row_for.cache_clear()
    fitted._row.cache_clear()
    row = row_for("anthropic", "claude-sonnet-4-5")
    assert row.method == "rough"
    assert 0.6 < weigh(said(text)) / exact < 1.6
    low, high = row.interval(500, 0, tools=False)
    assert high - low > 3 * 0.4 * spread(500)


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"rows": {}}', "\x00"])
def test_a_missing_or_broken_table_is_said_once_and_counted_without(content, tmp_path, monkeypatch, fresh, caplog):
    path = tmp_path / "calibration.json"
    if content is not None:
        path.write_text(content)
    monkeypatch.setattr(fitted, "_TABLE", path)
    with caplog.at_level(logging.WARNING, "ctxkit"):
        for _ in range(3):
            assert row_for("anthropic", "claude-sonnet-4-5").method == "rough"
            assert 1 <= weigh(said("Hello there, how are you today?")) < 60
    # A thread of a test before may have something to say as well.
    assert len([record for record in caplog.records if path.name in record.getMessage()]) == 1


FUNCTION = {"name": "get_weather", "description": "Weather", "parameters": {"type": "object", "title": "Args"}}


def tool_texts(writing):
    conversation = openai_chat.view({"messages": [], "tools": [{"type": "function", "function": FUNCTION}]})
    traits = traits_of(conversation.messages[0], writing)
    assert traits.counts["tool"] == 1
    return dict(traits.texts)


def test_tools_are_read_as_their_family_writes_them():
    assert [writing_of(family) for family in ("claude-4.5", "gpt-oss", "gemini-2", "unknown")] == [
        "json",
        "types",
        "parts",
        "json",
    ]
    assert tool_texts("json") == {"tool.json": json.dumps(FUNCTION)}
    assert tool_texts("types") == {"tool.types": "// Weather\ntype get_weather = () => any"}
    assert tool_texts("parts")["tool.name"] == "get_weather"
    assert tool_texts("parts")["param.titles"] == "Args"


def called(name, arguments):
    call = {"id": name, "type": "function", "function": {"name": "f", "arguments": arguments}}
    return openai_chat.view({"messages": [{"role": "assistant", "tool_calls": [call]}]})


def test_arguments_of_calls_are_counted():
    found = [
        traits_of(called("a", arguments).messages[0]).counts["call.argument"]
        for arguments in ('{"a": 1, "b": {"c": 2}}', "{}", "[1]", "no json")
    ]
    assert found == [2, 0, 0, 0]


def test_ids_of_calls_count_only_where_a_template_writes_them():
    short, long = called("a", "{}"), called("Xq7" * 30, "{}")
    claude_row = ("claude-sonnet-4-5", "openrouter")
    assert weigh(short, *claude_row) == weigh(long, *claude_row)
    assert weigh(long, "ministral-3b-2410", "mistral") > weigh(short, "ministral-3b-2410", "mistral") + 30


def test_a_schema_of_the_answer_is_one_text_where_it_is_written_as_json():
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert format_traits(schema).texts == [("format.json", json.dumps(schema))]
    assert format_traits(schema, "parts").counts["format"] == 1


def test_a_model_that_is_better_known_has_a_narrower_interval():
    conversation = claude([{"role": "user", "content": "Hello there. " * 40}], tools=[TOOL])
    tokens = weigh(conversation)
    names = ("claude-sonnet-4-5", "claude-3-5-sonnet-20990101-of-nobody", "a-model-that-nobody-knows")
    widths = []
    for name in names:
        low, high = row_for("anthropic" if "claude" in name else "?", name).interval(tokens, 0.0, tools=True)
        widths.append(high - low)
    assert widths[0] < min(widths[1:])


def test_hostile_tools_are_counted_without_harm():
    deep: object = {"type": "object"}
    for _ in range(50_000):
        deep = {"type": "object", "properties": {"a": deep}}
    row = row_for("anthropic", "claude-sonnet-4-5")
    for schema in (deep, [[[[]]]], 7, "no json", {"properties": 3, "enum": {}, "required": "x"}):
        tool = {"name": "f", "input_schema": schema, "input_examples": [deep]}
        part = Part("tool", "tools", ("tools", 0), tool, name="f")
        message = Message("tools", ("tools", 0), tool, lambda _, part=part: (part,))
        assert row.message([message], 0).tokens > 0
    while deep:  # taken apart by hand, since freeing it recursively would be as deep
        deep = deep.pop("properties", {}).get("a")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    ["name", "type", "properties", "required", "enum", "function", "parameters", "description", "anyOf"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_tool_is_counted(tool):
    conversation = openai_chat.view({"messages": [], "tools": [tool]})
    row = row_for("openrouter", "anthropic/claude-haiku-4.5")
    assert row.message(conversation.messages, 0).tokens >= 0

"""Filling a cache without an answer, as each provider wants it said, and never with a prompt that nobody will send."""

from __future__ import annotations

import copy

import pytest

from ctxkit.dialects.prewarming import prewarmed
from ctxkit.errors import ConfigurationError

MARK = {"type": "ephemeral"}
SYSTEM = [{"type": "text", "text": "Be brief.", "cache_control": MARK}]
REQUEST = {
    "model": "claude-opus-5",
    "max_tokens": 500,
    "system": SYSTEM,
    "messages": [{"role": "user", "content": "."}],
}


def claude(*, early=None, **changes):
    return prewarmed({**REQUEST, **changes}, "anthropic.messages", "max_tokens", early=early)


def test_a18_no_answer_is_asked_for():
    before = copy.deepcopy(REQUEST)
    assert claude() == {**REQUEST, "max_tokens": 0}
    assert before == REQUEST


def test_a18_streaming_is_no_part_of_the_prompt_and_is_left_out():
    assert claude(stream=True) == {**REQUEST, "max_tokens": 0}


def test_a18_thinking_is_refused_where_it_may_change_what_is_cached():
    thinking = {"type": "enabled", "budget_tokens": 1024}
    for early in (None, True):
        with pytest.raises(ConfigurationError, match=r"together with thinking.*; send a real request"):
            claude(thinking=thinking, early=early)
    assert "thinking" not in claude(thinking=thinking, early=False)
    assert claude(thinking={"type": "disabled"})["thinking"] == {"type": "disabled"}


def test_a18_a_forced_tool_is_left_out_unless_a_marker_stands_behind_it():
    assert "tool_choice" not in claude(tool_choice={"type": "any"})
    assert claude(tool_choice={"type": "auto"})["tool_choice"] == {"type": "auto"}
    marked = [{"role": "user", "content": [{"type": "text", "text": "Hi", "cache_control": MARK}]}]
    for choice in ({"type": "any"}, {"type": "tool", "name": "look"}):
        with pytest.raises(ConfigurationError, match="leave out tool_choice"):
            claude(tool_choice=choice, messages=marked)
        with pytest.raises(ConfigurationError, match="tool_choice"):
            claude(tool_choice=choice, cache_control=MARK)


@pytest.mark.parametrize(
    "given", [{"output_config": {"format": {"type": "json_schema"}}}, {"output_format": {"type": "json_schema"}}]
)
def test_a18_a_format_is_refused(given):
    with pytest.raises(ConfigurationError, match="format"):
        claude(**given, early=False)


def test_effort_stays_as_it_is_in_real_requests():
    assert claude(output_config={"effort": "low"})["output_config"] == {"effort": "low"}


def test_without_a_marker_nothing_would_be_cached():
    with pytest.raises(ConfigurationError, match="no cache_control stands in the request"):
        claude(system="Be brief.")


def test_where_markers_are_ours_the_end_of_what_all_share_is_marked():
    warm = prewarmed({**REQUEST, "system": "Be brief."}, "anthropic.messages", "max_tokens", marks=True)
    assert warm["system"] == SYSTEM
    assert warm["messages"] == REQUEST["messages"]
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in ("look", "take")]
    bare = {**REQUEST, "tools": tools}
    del bare["system"]
    warm = prewarmed(bare, "anthropic.messages", "max_tokens", marks=True)
    assert warm["tools"] == [tools[0], {**tools[1], "cache_control": MARK}]
    assert prewarmed(REQUEST, "anthropic.messages", "max_tokens", marks=True)["system"] == SYSTEM
    del bare["tools"]
    with pytest.raises(ConfigurationError, match="nothing would be cached"):
        prewarmed(bare, "anthropic.messages", "max_tokens", marks=True)


def test_o16_openai_has_a_word_for_it():
    body = {"model": "gpt-5.6-sol", "input": "Hi", "prompt_cache_options": {"ttl": "12h"}}
    options = prewarmed(body, "openai.responses", "prewarm")["prompt_cache_options"]
    assert options == {"ttl": "12h", "prewarm": True}
    assert body["prompt_cache_options"] == {"ttl": "12h"}


@pytest.mark.parametrize(
    ("dialect", "form"),
    [("openai.chat", None), ("openai.responses", None), ("bedrock.converse", "max_tokens"), ("gemini.generate", None)],
)
def test_who_has_no_form_for_it_says_what_to_do(dialect, form):
    with pytest.raises(ConfigurationError, match="send a real request with a short answer"):
        prewarmed({"messages": []}, dialect, form)

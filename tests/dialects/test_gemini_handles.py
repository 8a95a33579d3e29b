"""What a handle holds and what is sent beside it are together the request, and nothing stands in both."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.dialects.gemini import generate, handles

TEXTS = st.text(max_size=8)
TURNS = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "model"]), "parts": st.just([{"text": "x"}])}),
    min_size=1,
    max_size=6,
)
BODIES = st.fixed_dictionaries(
    {"contents": TURNS},
    optional={
        "systemInstruction": st.fixed_dictionaries({"parts": st.lists(st.fixed_dictionaries({"text": TEXTS}))}),
        "tools": st.just([{"functionDeclarations": [{"name": "f"}]}]),
        "toolConfig": st.just({"functionCallingConfig": {"mode": "ANY"}}),
        "generationConfig": st.just({"temperature": 0}),
        "safetySettings": st.just([]),
    },
)
BESIDE = {"systemInstruction", "tools", "toolConfig"}


@given(body=BODIES, place=st.integers(0, 20))
def test_what_is_held_and_what_is_sent_are_the_request(body, place):
    messages = generate.view(body).messages
    last = messages[place % len(messages)]
    held, edits = handles.content(body, last), handles.reading(body, last, "cachedContents/1")
    if not edits:
        assert last.path == ("contents", len(body["contents"]) - 1), "nothing would be left to be sent"
        return
    sent = generate.apply(body, edits)
    assert sent["cachedContent"] == "cachedContents/1"
    assert not BESIDE & set(sent)
    assert [*held.get("contents", []), *sent["contents"]] == body["contents"]
    assert {name: held[name] for name in BESIDE & set(held)} == {name: body[name] for name in BESIDE & set(body)}
    assert {name for name in sent if name != "cachedContent"} | set(held) == set(body)


@pytest.mark.parametrize("body", [{"contents": "text"}, {"contents": {"parts": [{"text": "x"}]}}])
def test_a_lone_content_is_not_divided(body):
    (message,) = generate.view(body).messages
    assert handles.content(body, message) is None
    assert handles.reading(body, message, "n") == ()


def test_both_spellings_are_held_in_one():
    body = {"system_instruction": {"parts": []}, "tool_config": {"a": 1}, "contents": [{"role": "user", "parts": []}]}
    system = generate.view(body).messages[0]
    assert handles.content(body, system) == {"systemInstruction": {"parts": []}, "toolConfig": {"a": 1}}
    assert generate.apply(body, handles.reading(body, system, "n")) == {
        "contents": body["contents"],
        "cachedContent": "n",
    }
    assert handles.tool_config(body) == {"a": 1}
    assert handles.tool_config(None) is None


def test_tools_alone_may_be_held_without_a_system_instruction():
    body = {"tools": [{"x": 1}, {"y": 2}], "contents": [{"role": "user", "parts": []}]}
    tools = generate.view(body).messages
    assert handles.content(body, tools[1]) == {"tools": body["tools"]}

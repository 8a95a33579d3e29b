"""Tidied bodies are as valid as the originals: the checker itself, then any conversation with anything taken out of it."""

import copy
import json
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit import Kit, Policy, dialects
from ctxkit.editable import Fold, Stub
from ctxkit.hygiene.passes import MARK
from tests.hygiene.structure import altered, problems, worse
from tests.hygiene.wires import body_of, everything, proposed, requested, tidied

every_dialect = pytest.mark.parametrize("name", dialects.EDITABLE)
FILLER = "the quick brown fox jumps over the lazy dog and runs on "


def call(number, name="read", arguments='{"path": "src/app.py"}'):
    return {"id": f"c{number}", "type": "function", "function": {"name": name, "arguments": arguments}}


def result(number, text="fine"):
    return {"role": "tool", "tool_call_id": f"c{number}", "content": text}


def talk(turns=6):
    """A task, then turns with calls of one or two tools and large results, each closed by words."""
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "The task. " + FILLER * 20}]
    messages.append({"role": "assistant", "content": "I begin."})
    for number in range(turns):
        messages.append({"role": "user", "content": f"Look into number {number}. " + FILLER * 30})
        messages.append(
            {"role": "assistant", "content": "I look.", "tool_calls": [call(2 * number), call(2 * number + 1, "list")]}
        )
        messages += [result(2 * number, FILLER * 60), result(2 * number + 1, FILLER * 40)]
        messages.append({"role": "assistant", "content": f"Number {number} is well. " + FILLER * 20})
    return [*messages, {"role": "user", "content": "And now?"}]


GOOD = talk()
BAD = [
    ("a call without its result", lambda m: m[:5] + m[6:], "has no result"),
    ("a result without its call", lambda m: m[:4] + m[5:], "has no call"),
    ("a result that comes later", lambda m: [*m[:5], *m[6:8], m[5], *m[8:]], "has no"),
]


@every_dialect
def test_a_sound_conversation_has_no_problems(name):
    assert problems(body_of(name, GOOD), name) == []


@every_dialect
@pytest.mark.parametrize(("_", "broken", "says"), BAD, ids=[one[0] for one in BAD])
def test_what_is_not_paired_is_found(name, _, broken, says):
    found = problems(body_of(name, broken(GOOD)), name)
    if name == "openai.responses" and broken is BAD[2][1]:
        assert found == []  # this wire pairs by id, wherever the output stands behind the call
    elif name == "gemini.generate":
        assert any("calls and" in one for one in found)
    else:
        assert any(says in one for one in found), found


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        ("openai.chat", {"messages": []}, "no messages"),
        ("openai.chat", {"messages": [{"role": "user", "content": ""}]}, "empty user message"),
        ("openai.chat", {"messages": [{"role": "assistant", "content": None, "tool_calls": [call(1), call(1)]}, result(1), result(1)]}, "id c1 comes more than once"),
        ("openai.chat", {"messages": [{"role": "assistant", "content": None, "tool_calls": [call(1, "f", "{")]}, result(1)]}, "arguments are no JSON object"),
        ("openai.responses", {"input": [{"role": "user", "content": ""}]}, "empty message"),
        ("openai.responses", {"input": [{"type": "reasoning", "id": "r"}, {"role": "user", "content": "x"}]}, "reasoning without what it led to"),
        ("openai.responses", {"input": [{"type": "function_call_output", "call_id": "1", "output": "x"}]}, "result 1 has no call before it"),
        ("anthropic.messages", {"messages": [{"role": "assistant", "content": "x"}]}, "the first message is not the user's"),
        ("anthropic.messages", {"messages": [{"role": "user", "content": [{"type": "text", "text": " \n"}]}]}, "blank text"),
        ("gemini.generate", {"contents": [{"role": "user", "parts": []}]}, "content without parts"),
        ("gemini.generate", {"contents": [{"role": "model", "parts": [{"functionCall": {"name": "f"}}]}, {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]}]}, "a call does not follow a user's turn"),
        ("bedrock.converse", {"messages": [{"role": "user", "content": [{"text": "x"}]}, {"role": "user", "content": [{"text": "x"}]}]}, "roles do not alternate"),
        ("bedrock.converse", {"messages": [{"role": "user", "content": [{"text": " "}]}]}, "blank text"),
        ("bedrock.converse", {"messages": [{"role": "user", "content": []}]}, "empty message"),
    ],
)  # fmt: skip
def test_what_providers_refuse_is_found(name, body, says):
    assert says in problems(body, name)


def test_what_stands_before_a_result_is_found():
    body = body_of("anthropic.messages", GOOD)
    body["messages"][4]["content"].insert(0, {"type": "text", "text": "first"})
    assert problems(body, "anthropic.messages") == ["something stands before a result"]


def test_what_is_signed_may_not_change():
    thought = {"type": "thinking", "thinking": "hm", "signature": "E"}
    body = {
        "messages": [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": [thought, {"type": "text", "text": "y"}]},
        ]
    }
    assert altered(body, body, "anthropic.messages") == []
    other = copy.deepcopy(body)
    other["messages"][1]["content"][0]["thinking"] = "other"
    assert altered(body, other, "anthropic.messages") != []
    other = {**body, "system": "new"}
    assert altered(body, other, "anthropic.messages") == ["the opening changed"]


def test_reasoning_stays_before_what_it_led_to():
    items = [
        {"role": "user", "content": "x"},
        {"type": "reasoning", "id": "r", "encrypted_content": "E"},
        {"type": "function_call", "id": "f", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "x"},
    ]
    body = {"input": items}
    assert altered(body, {"input": items[:3]}, "openai.responses") == []
    assert altered(body, {"input": [items[0], *items[2:]]}, "openai.responses") == [
        "reasoning is missing before what it led to"
    ]
    assert "reasoning stands before something else" in altered(
        body, {"input": [*items[:2], items[3]]}, "openai.responses"
    )


# ---------------------------------------------------------------------------------------------------- tidied bodies


@every_dialect
def test_with_everything_gone_that_may_go_a_body_is_sound(name):
    body = body_of(name, GOOD)
    before = copy.deepcopy(body)
    request = requested(body, name)
    actions = proposed(request)
    kinds = {type(one) for one in actions}
    assert kinds == {Stub, Fold}
    new = everything(body, name)
    assert worse(body, new, name) == []
    assert body == before
    assert len(json.dumps(new)) < 0.6 * len(json.dumps(body))
    stubs = [one for one in actions if isinstance(one, Stub)]
    assert worse(body, tidied(body, name, request, stubs, arrival=False), name) == []


words = st.sampled_from(
    ["", "fine", FILLER * 3, FILLER * 12, f"{MARK}: old]", '{"a":   [1, 2,   3]}' * 20, "\ud83d", " \n"]
)
spoken = st.sampled_from(["well", FILLER * 3, FILLER * 12, '{"path": "src/app.py"}'])


@st.composite
def talks(draw):
    """Conversations as applications hold them: turns of a user, calls with their results, words in between, or none."""
    messages = [{"role": "system", "content": "be brief"}] if draw(st.booleans()) else []
    number = 0
    for _ in range(draw(st.integers(2, 9))):
        messages.append({"role": "user", "content": draw(spoken)})
        for _ in range(draw(st.integers(0, 3))):
            count = draw(st.integers(1, 3))
            calls = [called(draw, number + place) for place in range(count)]
            messages.append({"role": "assistant", "content": draw(st.none() | spoken), "tool_calls": calls})
            messages += [result(number + place, draw(words) or "nothing") for place in range(count)]
            number += count
        if draw(st.integers(0, 4)):
            messages.append({"role": "assistant", "content": draw(spoken)})
    return messages


def called(draw, number):
    return call(number, draw(st.sampled_from(["read", "write"])), json.dumps({"path": "a", "content": draw(spoken)}))


@every_dialect
@given(data=st.data())
def test_whatever_goes_leaves_a_sound_body(name, data):
    body = body_of(name, data.draw(talks()))
    request = requested(body, name)
    allowed = proposed(request)
    actions = data.draw(st.lists(st.sampled_from(allowed), unique=True)) if allowed else []
    new = tidied(body, name, request, actions, arrival=data.draw(st.booleans()))
    assert worse(body, new, name) == []


@every_dialect
@given(data=st.data())
def test_what_arrived_smaller_is_left_as_it_is(name, data):
    body = body_of(name, data.draw(talks()))
    new = tidied(body, name, requested(body, name), [])
    assert worse(body, new, name) == []
    assert tidied(new, name, requested(new, name), []) == new


@pytest.mark.parametrize("mode", ["lossless", "prune"])
def test_what_a_program_reads_is_left_as_it_is(mode):
    spaced = json.dumps([{"name": "a", "value": number} for number in range(200)], indent=4)
    code = {"type": "code_execution_20260120", "tool_id": "s"}

    def turn(pair, caller):
        called = {"type": "tool_use", "id": pair, "name": "rows", "input": {"of": "a"}, "caller": caller}
        given = {"type": "tool_result", "tool_use_id": pair, "content": spaced}
        return [{"role": "assistant", "content": [called]}, {"role": "user", "content": [given]}]

    messages = [
        {"role": "user", "content": "Begin."},
        *turn("1", code),
        *turn("2", {"type": "direct"}),
        *turn("3", code),
    ]
    body = {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": messages}
    with closing(Kit(strict=True, policy=Policy(mode=mode))) as kit:
        plan = kit.plan(body, dialect="anthropic.messages", platform="anthropic")
    assert [edit.path[1] for edit in plan.edits if edit.by] == [4]

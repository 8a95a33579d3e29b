"""Nothing is decided that a wire format has no words for."""

import json

import pytest

from ctxkit import Kit, Policy

LONG = "You are a careful assistant of a small shop and answer in one short sentence. " * 300


@pytest.fixture
def kit():
    kit = Kit(Policy(mode="cache"), strict=True)
    yield kit
    kit.close()


def test_openrouter_hears_of_the_session_in_a_header_where_the_wire_has_no_field(kit):
    body = {
        "model": "anthropic/claude-sonnet-4.6",
        "max_tokens": 9,
        "system": LONG,
        "messages": [{"role": "user", "content": "Hello?"}],
    }
    plan = kit.plan(body, dialect="anthropic.messages", platform="openrouter")
    assert plan.headers["x-session-id"]
    assert "session_id" not in plan.body
    chat = {"model": "anthropic/claude-sonnet-4.6", "messages": [{"role": "user", "content": LONG}]}
    plan = kit.plan(chat, dialect="openai.chat", platform="openrouter")
    assert plan.body["session_id"]
    assert "x-session-id" not in plan.headers


def test_bedrock_is_not_said_to_be_asked_for_a_mode_that_converse_cannot_ask_for(kit):
    usage = {"inputTokens": 6_000, "outputTokens": 5, "totalTokens": 6_005}
    for number in range(30):
        question = [{"role": "user", "content": [{"text": f"{number}: " + LONG[number:]}]}]
        body = {"messages": question, "inferenceConfig": {"maxTokens": 9}}
        plan = kit.plan(
            body, dialect="bedrock.converse", platform="bedrock", model="openai.gpt-6-sol", now=1e9 + 90 * number
        )
        assert plan.forecast.rule.startswith("bedrock.openai.5_6plus")
        assert not any("write nothing" in note for note in plan.notes)
        assert json.dumps(plan.body).replace(json.dumps({"cachePoint": {"type": "default"}}), "").count("mode") == 0
        kit.settle(plan, {"output": {}, "stopReason": "end_turn", "usage": usage})

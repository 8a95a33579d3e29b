"""Prewarming through the real SDKs: no answer, a write that is metered, and a burst that reads it."""

from __future__ import annotations

from typing import Any

import pytest

from ctxkit import Kit, Policy
from ctxkit.errors import ConfigurationError
from ctxkit.testing import FakeProvider, SimulatedCaches, capture
from tests.contract.test_coldstarts import NUMBER, SHARED, at_once, claude, shares

CLAUDE = {"dialect": "anthropic.messages", "platform": "anthropic"}
OPENAI = {"dialect": "openai.responses", "platform": "openai"}


@pytest.fixture
def kit():
    made = Kit(strict=True)
    yield made
    made.close()


@pytest.fixture
def provider():
    with FakeProvider(text="Yes.", caches=SimulatedCaches()) as running:
        yield running


def test_anthropic_writes_answers_nothing_and_the_burst_reads(kit, provider):
    sdk = pytest.importorskip("anthropic")
    with sdk.Anthropic(base_url=provider.anthropic_url, api_key="none", max_retries=0) as plain, capture(kit) as seen:
        client = kit.wrap(plain)
        plan = kit.prewarm(claude("."), **CLAUDE)
        answer = client.messages.create(**plan.body)
        at_once(lambda question: client.messages.create(**claude(question)))
    assert (answer.content, answer.stop_reason) == ([], "max_tokens")
    first, *others = seen
    assert (first.status, first.usage.output) == ("settled", 0)
    assert sum(first.usage.written.values()) > 4_000
    assert first.cost > 0
    assert shares(others) == (0, NUMBER)


async def test_anthropic_with_an_async_client(kit, provider):
    sdk = pytest.importorskip("anthropic")
    async with sdk.AsyncAnthropic(base_url=provider.anthropic_url, api_key="none", max_retries=0) as plain:
        client = kit.wrap(plain)
        with capture(kit) as seen:
            await client.messages.create(**kit.prewarm(claude("."), **CLAUDE).body)
            await client.messages.create(**claude("question"))
    assert shares(seen) == (1, 1)


def test_openai_writes_answers_nothing_and_the_next_one_reads(kit, provider):
    sdk = pytest.importorskip("openai", minversion="3")

    def body(question: str) -> dict[str, Any]:
        block = {"type": "input_text", "text": SHARED, "prompt_cache_breakpoint": {"mode": "explicit"}}
        asked = [{"role": "developer", "content": [block]}, {"role": "user", "content": question}]
        return {"model": "gpt-5.6-sol", "input": asked}

    with sdk.OpenAI(base_url=provider.openai_url, api_key="none", max_retries=0) as plain, capture(kit) as seen:
        client = kit.wrap(plain, platform="openai")
        plan = kit.prewarm(body("."), **OPENAI)
        client.responses.create(**plan.body)
        client.responses.create(**body("question"))
    assert [record.usage.output > 0 for record in seen] == [False, True]
    assert shares(seen) == (1, 1)


def test_in_cache_mode_the_end_of_the_instructions_is_marked():
    kit = Kit(Policy(mode="cache"), strict=True)
    plan = kit.prewarm({**claude("."), "system": SHARED, "stream": True}, **CLAUDE)
    assert plan.body["system"][-1]["cache_control"]["type"] == "ephemeral"
    assert plan.body["max_tokens"] == 0
    assert "stream" not in plan.body
    kit.close()


@pytest.mark.parametrize(
    ("body", "options", "advice"),
    [
        ({**claude("."), "thinking": {"type": "enabled", "budget_tokens": 1024}}, CLAUDE, "thinking"),
        ({**claude("."), "system": SHARED}, CLAUDE, "no cache_control"),
        ({**claude("."), "model": "claude-opus-99"}, CLAUDE, "nobody has described how anthropic caches"),
        ({"model": "gpt-5.4", "input": "Hi"}, OPENAI, "send a real request with a short answer"),
        ({"model": "gpt-5.6-sol", "messages": []}, {**OPENAI, "dialect": "openai.chat"}, "has no form of its own"),
        ({"model": "x", "messages": 7}, CLAUDE, "prewarm: "),
        ({"model": "x"}, {"dialect": "none"}, "no dialect 'none'"),
    ],
)
def test_what_cannot_be_prewarmed_is_refused_with_what_to_do(kit, body, options, advice):
    with pytest.raises(ConfigurationError, match=advice):
        kit.prewarm(body, **options)

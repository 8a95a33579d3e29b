"""Mode ``cache`` through LiteLLM: what is marked reaches the provider, whichever way the arguments were given."""

from __future__ import annotations

import copy
import json
import os
from typing import Any

import pytest

from ctxkit import Kit, Policy
from ctxkit.testing import FakeProvider, SimulatedCaches, capture

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it asks the network when imported
litellm = pytest.importorskip("litellm", reason="LiteLLM is not installed")

pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{name}")
    for name in (
        "ResourceWarning",
        "pytest.PytestUnraisableExceptionWarning",
        "DeprecationWarning",
        "UserWarning",
        "RuntimeWarning",
    )
]

LONG = "You are a careful assistant of a small shop and answer in one short sentence. " * 200


@pytest.fixture
def provider():
    with FakeProvider(text="Yes.", caches=SimulatedCaches()) as running:
        yield running


@pytest.fixture
def kit():
    made = Kit(Policy(mode="cache", cold_start_wait=0), strict=True)
    yield made
    made.close()


def bodies(provider: FakeProvider) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in provider.requests]


def turn_of(messages: list[dict[str, Any]], turn: int) -> None:
    messages.append({"role": "assistant", "content": f"answer {turn}"})
    messages.append({"role": "user", "content": [{"type": "text", "text": f"go on {turn}"}]})


@pytest.mark.parametrize("by_place", [False, True])
def test_claude(kit, provider, by_place):
    completion = kit.wrap(litellm.completion)
    messages: list[dict[str, Any]] = [{"role": "system", "content": LONG}, {"role": "user", "content": "hello"}]
    turn_of(messages, 99)
    options = {"api_base": provider.anthropic_url, "api_key": "none", "max_tokens": 50}
    with capture(kit) as records:
        for turn in range(4):
            before = copy.deepcopy(messages)
            if by_place:
                completion("anthropic/claude-sonnet-4-5", messages, **options)
            else:
                completion(model="anthropic/claude-sonnet-4-5", messages=messages, **options)
            assert messages == before
            turn_of(messages, turn)
    assert [record.status for record in records] == ["settled"] * 4
    reads = [record.usage.read for record in records]
    assert reads[0] == 0
    assert all(read > 3_000 for read in reads[1:]), reads
    assert all("cache_control" in json.dumps(sent) for sent in bodies(provider))


def test_fields_that_it_does_not_know(kit, provider):
    completion = kit.wrap(litellm.completion, platform="dynamo")
    completion("openai/m", [{"role": "user", "content": "x"}], api_base=provider.openai_url, api_key="none")
    assert bodies(provider)[0]["nvext"]["session_control"]["action"] == "bind"


def test_headers(kit, provider):
    completion = kit.wrap(litellm.completion, platform="xai")
    asked = {"model": "openai/grok-4.6", "messages": [{"role": "user", "content": "x"}], "api_key": "none"}
    completion(**asked, api_base=provider.openai_url)
    completion(**asked, api_base=provider.openai_url, extra_headers={"x-grok-conv-id": "mine"})
    chosen, mine = (request.headers["x-grok-conv-id"] for request in provider.requests)
    assert len(chosen) == 32
    assert mine == "mine"

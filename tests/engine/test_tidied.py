"""Tidied requests against a real engine (vLLM): accepted, and read from its prefix cache as foreseen. See test_engine.py."""

import json
import os
import random
import urllib.request

import pytest

from ctxkit import Kit, Policy
from ctxkit.tidiness import Tidy
from tests.engine.test_engine import ENGINE, model  # noqa: F401 - a fixture
from tests.engine.test_forecast import words
from tests.hygiene.structure import worse
from tests.hygiene.test_structure import GOOD
from tests.hygiene.wires import body_of, everything

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ENGINE, reason="no engine: set CTXKIT_ENGINE_URL to the URL of a vLLM server"),
]
PATHS = {"openai.chat": "/v1/chat/completions", "anthropic.messages": "/v1/messages"}


def post(body, dialect):
    """The engine's answer; an error for any status but 200."""
    headers = {"content-type": "application/json", "anthropic-version": "2023-06-01", "x-api-key": "none"}
    request = urllib.request.Request(f"{ENGINE}{PATHS[dialect]}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
        return json.load(answer)


@pytest.fixture
def kit(request):
    kit = Kit(strict=True, policy=Policy(**request.param))
    yield kit
    kit.close()


def modes(*chosen):
    return pytest.mark.parametrize("kit", chosen, indirect=True, ids=lambda policy: policy["mode"])


LOSSLESS = {"mode": "lossless"}
PRUNE = {"mode": "prune", "tidy": Tidy(max_input_tokens=2_500, keep_last=2)}  # less than is said: something has to go


def asked(kit, model, messages, dialect="openai.chat"):  # noqa: F811 - the fixture
    """Plan, send and settle one request; gives the plan, and the usage that the engine reported."""
    body = {**body_of(dialect, messages), "model": model, "max_tokens": 4}
    plan = kit.plan(body, dialect=dialect, platform="vllm")
    assert worse(body, plan.body, dialect) == []
    return plan, kit.settle(plan, post(plan.body, dialect)).usage


@pytest.mark.parametrize("dialect", PATHS)
@modes(LOSSLESS, PRUNE)
def test_tidied_requests_are_accepted(kit, model, dialect):  # noqa: F811 - the fixture
    body = {**body_of(dialect, GOOD), "model": model, "max_tokens": 4}
    whole = post(body, dialect)["usage"]  # Anthropic's: beside what was read
    tokens = whole.get("prompt_tokens") or whole["input_tokens"] + whole["cache_read_input_tokens"]
    plan, usage = asked(kit, model, GOOD, dialect)
    assert {edit.by for edit in plan.edits} - {""}
    assert usage.input_total < 0.8 * tokens


@pytest.mark.parametrize("dialect", PATHS)
def test_what_is_left_when_everything_went_is_accepted(model, dialect):  # noqa: F811 - the fixture
    body = {**body_of(dialect, GOOD), "model": model, "max_tokens": 4}
    assert post(everything(body, dialect), dialect)["usage"]


def turn(chance, number, seen):
    """A call whose result stands earlier already, now and then, and one whose result is new."""
    seen.append(words(chance, 150))
    texts = [seen[-1], chance.choice(seen)]
    calls = [
        {"id": f"c{number}-{place}", "type": "function", "function": {"name": "read", "arguments": json.dumps({"path": f"{number}/{place}"})}}
        for place in range(2)
    ]  # fmt: skip
    yield {"role": "user", "content": f"Look into number {number}. {words(chance, 20)}"}
    yield {"role": "assistant", "content": None, "tool_calls": calls}
    for call, text in zip(calls, texts, strict=True):
        yield {"role": "tool", "tool_call_id": call["id"], "content": text}


@modes(LOSSLESS, PRUNE)
def test_the_engine_reads_what_is_foreseen_after_tidying(kit, model):  # noqa: F811 - the fixture
    chance = random.Random(os.urandom(8))
    compared, passes = [], set()
    for _ in range(3):
        messages, seen = [{"role": "user", "content": f"{os.urandom(8).hex()} {words(chance, 100)}"}], []
        messages.append({"role": "assistant", "content": "I begin."})
        for number in range(10):
            messages += turn(chance, number, seen)
            plan, usage = asked(kit, model, messages)
            compared.append((plan.tidied.rewritten, plan.forecast.cached_tokens, usage.read))
            passes |= {edit.by for edit in plan.edits}
            messages.append({"role": "assistant", "content": f"Number {number} is well. {words(chance, 30)}"})
    late = compared[10:]  # the first thread taught the size of a block
    assert [foreseen for rewritten, foreseen, _ in late if not rewritten] == [
        read for rewritten, _, read in late if not rewritten
    ]
    # Behind a rewrite nobody has said yet where the block ends that is still the same.
    assert all(abs(foreseen - read) <= 128 for _, foreseen, read in late)
    assert sum(read > 0 for _, _, read in late) >= 15
    assert "repeats" in passes
    assert any(rewritten for rewritten, _, _ in late) == (kit.policy.mode == "prune")

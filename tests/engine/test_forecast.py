"""Forecasts against a real engine (vLLM): predicted cached tokens are the reported ones. See test_engine.py."""

import itertools
import json
import os
import random

import pytest

from ctxkit import Kit
from tests.engine.test_engine import ENGINE, model  # noqa: F401 - a fixture

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ENGINE, reason="no engine: set CTXKIT_ENGINE_URL to the URL of a vLLM server"),
]
WORDS = ["alpha", "beta", "gamma", "delta", "cache", "prefix", "model", "token", "engine", "block", "window"]


@pytest.fixture
def kit():
    kit = Kit(strict=True)
    yield kit
    kit.close()


@pytest.fixture
def ask(kit, model):  # noqa: F811 - the fixture
    """Plan, send and settle one request; gives the forecast, the usage and the answer's text."""
    sdk = pytest.importorskip("openai")
    with sdk.OpenAI(base_url=f"{ENGINE}/v1", api_key="none") as client:

        def asked(messages, most=16, **fields):
            body = {"model": model, "messages": messages, "max_tokens": most, **fields}
            plan = kit.plan(body, dialect="openai.chat", platform="vllm")
            answer = client.chat.completions.create(model=model, messages=messages, max_tokens=most, extra_body=fields)
            record = kit.settle(plan, json.loads(answer.model_dump_json()))
            return plan.forecast, record.usage, answer.choices[0].message.content

        yield asked


def words(chance, count):
    return " ".join(chance.choices(WORDS, k=count))


def opening(chance):
    return [{"role": "system", "content": os.urandom(8).hex() + " " + words(chance, 300)}]


def teach(ask, chance):
    """Enough answers to learn the block size from."""
    messages = opening(chance)
    seen = set()
    while len(seen) < 12:  # fewer may all be multiples of twice the size by chance
        messages.append({"role": "user", "content": words(chance, chance.randrange(20, 200))})
        _, usage, _ = ask(messages, 1)
        seen.update({usage.read} - {0})
        messages.append({"role": "assistant", "content": words(chance, 20)})


def test_what_is_predicted_is_what_is_reported(ask):
    chance = random.Random(os.urandom(8))
    teach(ask, chance)
    compared = []
    for _ in range(3):
        messages = opening(chance)
        for _ in range(6):
            messages.append({"role": "user", "content": words(chance, chance.randrange(10, 120))})
            for _ in range(chance.choice((1, 1, 2))):  # now and then the same request again
                forecast, usage, _ = ask(messages)
                compared.append((forecast.cached_tokens, usage.read))
            messages.append({"role": "assistant", "content": words(chance, 40)})
    assert [expected for expected, _ in compared] == [read for _, read in compared]
    assert sum(read > 0 for _, read in compared) >= 15


def test_a_fork_reads_what_both_share(ask):
    chance = random.Random(os.urandom(8))
    teach(ask, chance)
    trunk = [*opening(chance), {"role": "user", "content": words(chance, 200)}]
    ask(trunk)
    answers = [{"role": "assistant", "content": words(chance, 60)} for _ in range(2)]
    for answer in answers:
        forecast, usage, _ = ask([*trunk, answer, {"role": "user", "content": words(chance, 20)}])
        assert forecast.cached_tokens == usage.read > 0


def test_answers_that_are_sent_back_stay_within_what_was_computed(ask):
    """Whether the words of an answer become the same tokens again is the tokenizer's affair."""
    chance = random.Random(os.urandom(8))
    teach(ask, chance)
    messages, before = opening(chance), None
    for _ in range(8):
        messages.append({"role": "user", "content": words(chance, 60)})
        forecast, usage, text = ask(messages, 40)
        if before is not None:
            assert before.input_total - 128 < usage.read <= before.input_total + before.output
            assert abs(forecast.cached_tokens - usage.read) <= 128
        before = usage
        messages.append({"role": "assistant", "content": text})


def test_salts_share_nothing(ask):
    chance = random.Random(os.urandom(8))
    teach(ask, chance)
    messages = [*opening(chance), {"role": "user", "content": words(chance, 200)}]
    reads = [ask(messages, cache_salt=salt)[:2] for salt in ("one", "one", "two", "two")]
    assert [forecast.cached_tokens for forecast, _ in reads] == [usage.read for _, usage in reads]
    assert [usage.read > 0 for _, usage in reads] == [False, True, False, True]


def test_a_clock_in_front_of_everything_breaks_every_prefix(ask):
    chance = random.Random(os.urandom(8))
    teach(ask, chance)
    rest = words(chance, 400)
    for second in itertools.islice(itertools.count(), 3):
        stamped = [{"role": "system", "content": f"It is {os.urandom(4).hex()} o'clock {second}. {rest}"}]
        forecast, usage, _ = ask([*stamped, {"role": "user", "content": "Hello"}])
        assert forecast.cached_tokens == usage.read == 0

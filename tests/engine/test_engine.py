"""Against a real inference engine (vLLM): its usage, cache figures and streams, read through the real SDKs.

Set ``CTXKIT_ENGINE_URL`` to the base URL of a vLLM server (``http://127.0.0.1:8127``) started with
``--enable-prefix-caching --enable-prompt-tokens-details``; skipped where there is none.
"""

import json
import os
import urllib.request

import pytest

from ctxkit import Kit, Policy
from ctxkit.testing import capture

ENGINE = os.environ.get("CTXKIT_ENGINE_URL") or os.environ.get("CTXKIT_ENGINE")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ENGINE, reason="no engine: set CTXKIT_ENGINE_URL to the URL of a vLLM server"),
]


@pytest.fixture
def kit():
    kit = Kit(strict=True, policy=Policy(usage_probe=True))
    yield kit
    kit.close()


@pytest.fixture
def model():
    with urllib.request.urlopen(f"{ENGINE}/v1/models") as answer:
        return json.load(answer)["data"][0]["id"]


@pytest.fixture
def openai(kit):
    sdk = pytest.importorskip("openai")
    with kit.wrap(sdk.OpenAI(base_url=f"{ENGINE}/v1", api_key="none"), platform="vllm") as client:
        yield client


@pytest.fixture
def anthropic(kit):
    sdk = pytest.importorskip("anthropic")
    with kit.wrap(sdk.Anthropic(base_url=ENGINE, api_key="none"), platform="vllm") as client:
        yield client


def turns(count):
    """A conversation that grows: every turn repeats all before it."""
    seed = os.urandom(8).hex()  # a prefix of its own, so that nothing is cached before
    messages = [{"role": "system", "content": f"{seed} You are a helper. " * 60}]
    for turn in range(count):
        messages.append({"role": "user", "content": f"Question {turn}. " * 40})
        yield list(messages)
        messages.append({"role": "assistant", "content": f"Answer {turn}. " * 10})


def test_chat_usage_and_cache_reads_are_what_the_engine_says(kit, openai, model):
    with capture(kit) as records:
        for messages in turns(4):
            said = openai.chat.completions.create(model=model, messages=messages, max_tokens=8).usage
            usage = records[-1].usage
            assert usage.input_total == said.prompt_tokens
            assert usage.read == said.prompt_tokens_details.cached_tokens
            assert usage.output == said.completion_tokens
    reads = [record.usage.read for record in records]
    assert reads[0] == 0
    assert all(later > 0 for later in reads[1:]), "the engine's prefix cache serves the growing history"
    assert len({record.thread for record in records}) == 1, "found by its prefix, without being named"


def test_a_stream_reports_usage_that_only_we_asked_for(kit, openai, model):
    [messages] = turns(1)
    with capture(kit) as records:
        plain = openai.chat.completions.create(model=model, messages=messages, max_tokens=8, temperature=0)
        chunks = list(
            openai.chat.completions.create(model=model, messages=messages, max_tokens=8, temperature=0, stream=True)
        )
    assert all(chunk.choices for chunk in chunks), "the usage chunk is hidden"
    assert all(chunk.usage is None for chunk in chunks)
    streamed = records[-1]
    assert streamed.status == "settled"
    assert streamed.usage.input_total == plain.usage.prompt_tokens
    assert streamed.timing.ttft <= streamed.timing.e2e


def test_responses(kit, openai, model):
    text = os.urandom(8).hex() + " rivers and lakes" * 200
    with capture(kit) as records:
        said = openai.responses.create(model=model, input=text, max_output_tokens=8).usage
        with openai.responses.stream(model=model, input=text, max_output_tokens=8) as stream:
            stream.until_done()
    assert [record.status for record in records] == ["settled", "settled"]
    assert {record.usage.input_total for record in records} == {said.input_tokens}
    assert records[0].usage.read == said.input_tokens_details.cached_tokens
    assert records[1].usage.read > 0


def test_messages(kit, anthropic, model):
    text = os.urandom(8).hex() + " rivers and lakes" * 200
    ask = {"model": model, "max_tokens": 8, "messages": [{"role": "user", "content": text}]}
    with capture(kit) as records:
        said = anthropic.messages.create(**ask).usage
        with anthropic.messages.stream(**ask) as stream:
            stream.get_final_message()
    first, second = (record.usage for record in records)
    assert (first.fresh, first.output) == (said.input_tokens, said.output_tokens)
    assert first.read == said.cache_read_input_tokens
    assert second.read > 0
    assert first.input_total == second.input_total


def test_after_some_settlements_the_estimate_is_near(kit, openai, model):
    with capture(kit) as records:
        for messages in turns(20):
            openai.chat.completions.create(model=model, messages=messages, max_tokens=2)
    late = [abs(record.error_vs_estimate) for record in records[-5:]]
    assert max(late) < 0.05, late

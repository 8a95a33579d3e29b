"""The counter: each message once, whatever the order, in bounds, over threads and forks, and without network."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.dialects.anthropic import messages as anthropic_messages
from ctxkit.dialects.openai import chat as openai_chat
from ctxkit.dialects.openai import responses as openai_responses
from ctxkit.metering import count as counting
from ctxkit.metering.count import Counter
from ctxkit.metering.openai_tokens import frame_tokens, message_weight, reader_of

CLAUDE = {"platform": "anthropic", "model": "claude-sonnet-4-5"}
GPT = {"platform": "openai", "model": "gpt-4o"}
TOOL = {
    "name": "get_weather",
    "description": "Current weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
SCHEMA = {"type": "json_schema", "schema": {"type": "object", "properties": {"answer": {"type": "string"}}}}


def digests(conversation):
    return [
        hashlib.sha256(repr((one.role, one.value)).encode("utf-8", "surrogatepass")).digest()[:16]
        for one in conversation.messages
    ]


def claude(*texts, **body):
    roles = ("user", "assistant")
    messages = [{"role": roles[place % 2], "content": text} for place, text in enumerate(texts)]
    return anthropic_messages.view({"messages": messages, **body})


def tokens(counter, conversation, **who):
    return counter.count(conversation, digests(conversation), **(who or CLAUDE))


class Spy:
    """A scale that counts how often it weighs."""

    def __init__(self, scale):
        self.scale, self.weighed = scale, 0

    def __getattr__(self, name):
        return getattr(self.scale, name)

    def message(self, messages, index):
        self.weighed += 1
        return self.scale.message(messages, index)


@pytest.fixture
def spy(monkeypatch):
    real, spies = counting.scale_for, {}

    def spied(platform, model):
        return spies.setdefault((platform, model), Spy(real(platform, model)))

    monkeypatch.setattr(counting, "scale_for", spied)
    return lambda: sum(one.weighed for one in spies.values())


def test_openai_text_is_exact():
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Say this is a test"}]}
    found = tokens(Counter(), openai_chat.view(body), **GPT)
    assert (found.tokens, found.method) == (12, "exact")  # OpenAI's own example, usage.prompt_tokens
    assert found.low <= 12 <= found.high


def test_claude_is_fitted_and_a_stranger_rough():
    conversation = claude("Hello")
    assert tokens(Counter(), conversation).method == "fitted"
    assert tokens(Counter(), conversation, platform="x", model="somebody-9b").method == "rough"


def test_open_weights_of_openai_are_fitted():
    assert tokens(Counter(), claude("Hello"), platform="groq", model="openai/gpt-oss-120b").family == "gpt-oss"


def test_a_growing_thread_weighs_only_what_is_new(spy):
    counter = Counter()
    texts = [f"message {place}" for place in range(20)]
    for length in range(1, 21):
        tokens(counter, claude(*texts[:length]))
    assert spy() == 20


def test_families_do_not_share_what_they_remember():
    counter = Counter()
    conversation = claude("The quick brown fox jumps over the lazy dog. " * 50)
    old = tokens(counter, conversation, platform="anthropic", model="claude-opus-4-5").tokens
    new = tokens(counter, conversation, platform="anthropic", model="claude-opus-4-8").tokens
    assert new > old * 1.1
    assert tokens(counter, conversation, platform="anthropic", model="claude-opus-4-5").tokens == old


texts = st.lists(st.text(max_size=60), min_size=1, max_size=8)


@given(texts, st.randoms())
def test_what_is_remembered_equals_a_fresh_count_in_any_order(said, random):
    counter = Counter(memory=16)
    conversations = [claude(*said[: place + 1]) for place in range(len(said))] * 2
    random.shuffle(conversations)
    for conversation in conversations:
        assert tokens(counter, conversation) == tokens(Counter(), conversation)


@given(texts, st.text(min_size=1, max_size=200))
def test_another_message_adds_tokens(said, more):
    counter = Counter()
    assert tokens(counter, claude(*said, more)).tokens >= tokens(counter, claude(*said)).tokens


@pytest.mark.parametrize("who", [CLAUDE, GPT])
def test_an_interval_holds_its_expected_count(who):
    found = tokens(Counter(), claude("Hello there", tools=[TOOL], output_format=SCHEMA), **who)
    assert 0 <= found.low <= found.tokens <= found.high


def test_the_schema_of_an_answer_counts_and_is_remembered(spy):
    counter = Counter()
    without = tokens(counter, claude("Hello")).tokens
    first = tokens(counter, claude("Hello", output_format=SCHEMA)).tokens
    assert first > without + 20
    assert tokens(counter, claude("Hello", output_format=SCHEMA)).tokens == first


@pytest.mark.parametrize("told", [{}, {"description": "A person somebody wrote about"}])
def test_the_counter_sees_name_and_description_of_an_answer(told):
    schema = {"type": "object", "properties": {"answer": {"type": "string"}}}
    form = {"type": "json_schema", "json_schema": {"name": "a_person_of_note", "schema": schema, **told}}
    conversation = openai_chat.view({"messages": [{"role": "user", "content": "Hi"}], "response_format": form})
    reader = reader_of("gpt-4o", "openai")
    exact = message_weight(conversation.messages, 0, reader).tokens + frame_tokens(conversation, reader)[0]
    assert [tokens(counter, conversation, **GPT).tokens for counter in [Counter()] * 2] == [exact, exact]


def test_thoughts_of_past_turns_weigh_less():
    thought = [
        {"type": "thinking", "thinking": "Consider this from every side. " * 60, "signature": "s"},
        {"type": "text", "text": "Done."},
    ]
    counter = Counter()
    running = tokens(counter, claude("Think", thought)).tokens
    over = tokens(counter, claude("Think", thought, "And?")).tokens
    assert running > over


def test_the_shape_is_that_of_tools_and_options():
    counter = Counter()
    plain, longer = tokens(counter, claude("a")), tokens(counter, claude("a", "b", "c"))
    tooled = tokens(counter, claude("a", tools=[TOOL]))
    assert plain.shape == longer.shape != tooled.shape
    assert tooled.shape == tokens(counter, claude("other", tools=[TOOL])).shape


# ------------------------------------------------------------------------------------------ uncounted


def test_a_model_not_met_yet_may_take_long():
    conversation = claude("Hello")
    assert Counter().uncounted(conversation, digests(conversation), **CLAUDE) == sys.maxsize


def test_a_model_met_on_another_platform_is_loaded():
    counter = Counter()
    conversation = claude("Hello")
    tokens(counter, conversation)
    assert counter.uncounted(conversation, digests(conversation), platform="", model=CLAUDE["model"]) == 0


def test_uncounted_bounds_the_characters_that_are_new():
    counter = Counter()
    counter.warm(**CLAUDE)
    old, new = claude("x" * 1000), claude("x" * 1000, "y" * 500)
    assert counter.uncounted(old, digests(old), **CLAUDE) >= 1000
    tokens(counter, old)
    assert counter.uncounted(old, digests(old), **CLAUDE) == 0
    assert 500 <= counter.uncounted(new, digests(new), **CLAUDE) < 600


# ------------------------------------------------------------------------------------------ bounds, threads, forks


def kept(counter):
    return sum(len(memory.young) + len(memory.old) for memory in counter._memories.values())


def test_memory_is_bounded():
    counter = Counter(memory=64)
    for place in range(1000):
        tokens(counter, claude(f"message {place}"))
        assert kept(counter) <= 64


def test_memory_is_bounded_when_old_messages_are_asked_for_again():
    counter = Counter(memory=64)
    thread = [f"m{place}" for place in range(30)]
    for place in range(300):
        tokens(counter, claude(*thread, f"turn {place}"))
        assert kept(counter) <= 64 + 2 * 31


def test_what_is_used_is_not_forgotten(spy):
    counter = Counter(memory=400)
    for place in range(500):
        tokens(counter, claude("the same beginning", f"turn {place}"))
    assert spy() == 501


def test_many_models_do_not_fill_the_memory():
    counter = Counter()
    for place in range(2000):
        counter.count(claude("Hi"), digests(claude("Hi")), platform="x", model=f"model-{place}")
    assert len(counter._scales) <= 514
    assert len(counter._memories) < 5


def test_many_names_of_models_with_a_scale_each_do_not_fill_the_memory():
    counter = Counter()
    hello = openai_chat.view({"messages": [{"role": "user", "content": "hi"}]})
    for place in range(600):
        assert tokens(counter, hello, platform="azure", model=f"gpt-4o-tenant-{place}").tokens == 8
    assert len(counter._memories) <= 512


def test_threads_count_alike():
    counter, found, failed = Counter(memory=256), [], []
    conversations = [claude(*[f"thread {place} says {n}" for n in range(place + 1)]) for place in range(40)]
    expected = [tokens(Counter(), one).tokens for one in conversations]

    def run():
        try:
            found.append([tokens(counter, one).tokens for one in conversations])
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert found == [expected] * 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_counts_though_the_lock_was_held():
    counter = Counter()
    tokens(counter, claude("before"))
    with counter._lock:
        child = os.fork()
        if child == 0:  # pragma: no cover - another process
            os._exit(0 if tokens(counter, claude("in the child")).tokens > 0 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# ------------------------------------------------------------------------------------------ bad input, no network


@pytest.fixture
def offline(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize("who", [CLAUDE, GPT, {"platform": "x", "model": "y"}])
def test_counting_needs_no_network(offline, who):
    assert tokens(Counter(), claude("Hello"), **who).tokens > 0


HOSTILE = ["a" * 300_000, " " * 300_000, "\n" * 100_000, "\ud800" * 1000, "🎈" * 50_000, "東" * 100_000, "\x00" * 1000]


@pytest.mark.parametrize("text", HOSTILE, ids=["letters", "blanks", "lines", "surrogates", "emoji", "han", "nul"])
def test_hostile_texts_are_counted(text):
    for who in (CLAUDE, GPT):
        assert 1 <= tokens(Counter(), claude(text), **who).tokens <= 4 * len(text) + 1000


def test_an_empty_request_is_counted():
    assert tokens(Counter(), anthropic_messages.view({"messages": []})).tokens >= 1


def test_many_results_of_one_turn_take_no_time_of_their_square():
    items = [{"type": "function_call_output", "call_id": str(n), "output": "x"} for n in range(3000)]
    conversation = openai_responses.view({"model": "gpt-5", "input": items})
    assert tokens(Counter(), conversation, platform="openai", model="gpt-5").tokens > 3000

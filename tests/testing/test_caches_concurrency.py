"""What requests at the same time see of each other: an entry can be read once the answer that wrote it begins."""

from __future__ import annotations

import json
import os
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ctxkit.testing import FakeProvider, SimulatedCaches
from tests.testing.caching import Clock, text

OPUS = "claude-opus-5"


def body(about: str = "shared", *, stream: bool = False, question: str = "q") -> dict[str, Any]:
    shared = {"type": "text", "text": text(600, about), "cache_control": {"type": "ephemeral"}}
    content = [shared, {"type": "text", "text": text(10, question)}]
    return {"model": OPUS, "max_tokens": 10, "stream": stream, "messages": [{"role": "user", "content": content}]}


def opened(provider: FakeProvider, asked: dict[str, Any]) -> Any:
    request = urllib.request.Request(f"{provider.anthropic_url}/v1/messages", json.dumps(asked).encode())
    return urllib.request.urlopen(request, timeout=30)


def read_of(provider: FakeProvider, asked: dict[str, Any]) -> tuple[int, int]:
    """(read, written)"""
    with opened(provider, asked) as response:
        usage = json.load(response)["usage"]
    return usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]


class Gate:
    """An ``answer`` of the provider that holds requests back until so many have come."""

    def __init__(self, parties: int) -> None:
        self.barrier = threading.Barrier(parties)

    def __call__(self, _: Any) -> None:
        self.barrier.wait(30)


def test_a9_cold_requests_that_start_together_all_write() -> None:
    caches = SimulatedCaches(clock=Clock())
    with FakeProvider(caches=caches, delay=0.5, answer=Gate(4)) as provider, ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: read_of(provider, body()), range(4)))
    assert found == [(0, 600)] * 4


def test_an_engine_shares_what_it_is_still_computing() -> None:
    caches = SimulatedCaches(clock=Clock(), platform="vllm")
    asked = {"model": "llama-3-8b", "messages": [{"role": "user", "content": text(1_600, "shared")}]}
    with FakeProvider(caches=caches, delay=0.5, answer=Gate(4)) as provider, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: call(provider, asked), range(4)))
    assert sorted(outcome.read for outcome in caches.outcomes) == [0, 1_584, 1_584, 1_584]


def test_an_entry_is_there_once_the_answer_begins_while_it_still_streams() -> None:
    caches = SimulatedCaches(clock=Clock())
    with FakeProvider(text="one two three four", caches=caches) as provider:
        provider.behave(chunk_delay=30)
        first = opened(provider, body(stream=True))
        assert first.readline() == b"event: message_start\n"
        provider.behave(chunk_delay=0)
        assert read_of(provider, body()) == (600, 0)
        assert caches.state.entries
    first.close()


def test_an_entry_is_not_there_before_the_answer_begins() -> None:
    caches = SimulatedCaches(clock=Clock())
    with FakeProvider(caches=caches, delay=30) as provider:
        held = threading.Thread(target=abandoned, args=(provider,))
        held.start()
        while not caches.outcomes:
            os.sched_yield()
        assert not caches.state.entries
        provider.behave(delay=0)
        assert read_of(provider, body()) == (0, 600)
        assert read_of(provider, body()) == (600, 0)
    held.join(30)


def abandoned(provider: FakeProvider) -> None:
    """A request whose server goes away."""
    with pytest.raises(OSError):
        read_of(provider, body())


@pytest.mark.parametrize("stream", [False, True])
def test_who_has_the_whole_answer_can_rely_on_what_it_wrote(stream: bool) -> None:
    """OpenAI's entries are only promised once the answer has ended."""
    with FakeProvider(caches=SimulatedCaches(clock=Clock()), piece=7) as provider:
        for number in range(20):
            asked = {"model": "gpt-6-sol", "messages": [{"role": "user", "content": text(2_000, f"{number}")}]}
            call(provider, {**asked, "stream": stream})
            usage = json.loads(call(provider, asked))["usage"]
            assert usage["prompt_tokens_details"]["cached_tokens"] == 2_000


def call(provider: FakeProvider, asked: dict[str, Any]) -> bytes:
    url = f"{provider.openai_url}/chat/completions"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(asked).encode()), timeout=30) as response:
        return response.read()


def test_many_threads_get_sums_that_fit() -> None:
    caches = SimulatedCaches(clock=Clock())
    with FakeProvider(caches=caches) as provider, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: read_of(provider, body(f"{number % 5}")), range(100)))
    assert {sum(pair) for pair in found} == {600}
    assert len(caches.outcomes) == 100
    assert sum(written > 0 for _, written in found) >= 5


def status_of(request: urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


@pytest.mark.parametrize(
    "odd",
    [
        b'{"model": "claude-opus-5", "messages": 7}',
        b'{"model": "claude-opus-5", "messages": [7]}',
        b'{"model": 7}',
        b'{"model": "claude-opus-5", "messages": [{"role": "user", "content": [{"cache_control": 7}, null, 7]}]}',
        b'{"model": "claude-opus-5", "cache_control": {"type": "ephemeral"}}',
    ],
)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions", "/v1/responses", "/model/x/converse"])
def test_requests_of_odd_shapes_are_answered_and_cache_nothing(odd: bytes, path: str) -> None:
    caches = SimulatedCaches(clock=Clock())
    with FakeProvider(caches=caches) as provider:
        for _ in range(2):
            assert status_of(urllib.request.Request(provider.base_url + path, odd)) in {200, 400}
    assert all(outcome.read == 0 for outcome in caches.outcomes)

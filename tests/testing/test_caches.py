"""What holds for the caches of the fake provider on every wire."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.testing import FakeProvider, SimulatedCaches, Tokens
from ctxkit.testing.asks import ask_of, family_of
from ctxkit.testing.values import Behaviour, Request, four_characters
from tests.testing.caching import Clock, text

PATHS = {
    "/v1/messages": "claude-opus-5",
    "/v1/chat/completions": "gpt-6-sol",
    "/v1/responses": "gpt-6-sol",
    "/v1beta/models/gemini-2.5-flash:generateContent": "",
    "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse": "",
}


def request(path: str, body: dict[str, Any], number: int = 1, **headers: str) -> Request:
    return Request("POST", path, "", headers, b"", body, "127.0.0.1", number)


def body_of(path: str, sizes: list[int], marked: set[int]) -> dict[str, Any]:
    """A conversation of texts of these sizes in the form of each wire; some are marked where the wire has markers."""
    texts = [text(size, f"{index} of {size}") for index, size in enumerate(sizes)]
    if ":generateContent" in path:
        return {"contents": [{"role": "user", "parts": [{"text": each}]} for each in texts]}
    if "converse" in path:
        point = {"cachePoint": {"type": "default"}}
        blocks = [block for index, each in enumerate(texts) for block in ({"text": each}, *[point] * (index in marked))]
        return {"messages": [{"role": "user", "content": blocks}]}
    kind, field, marker = {
        "/v1/messages": ("text", "cache_control", {"type": "ephemeral"}),
        "/v1/chat/completions": ("text", "prompt_cache_breakpoint", {"mode": "explicit"}),
        "/v1/responses": ("input_text", "prompt_cache_breakpoint", {"mode": "explicit"}),
    }[path]
    content = [{"type": kind, "text": each} for each in texts]
    for index in marked & set(range(len(content))):
        content[index][field] = marker  # type: ignore[assignment]
    turns = [{"role": "user", "content": content}]
    return {"model": PATHS[path], "input" if path == "/v1/responses" else "messages": turns}


def served(caches: SimulatedCaches, path: str, body: dict[str, Any], number: int = 1) -> Tokens:
    ask = ask_of(request(path, body, number), Behaviour())
    assert ask is not None
    pending = caches.serve(ask, family_of(path))
    assert pending.refusal is None
    pending.begins()
    pending.ends()
    pending.ends()  # as the server does, to be sure
    assert pending.ask.tokens is not None
    return pending.ask.tokens


@pytest.mark.parametrize("path", PATHS)
@given(
    turns=st.lists(
        st.tuples(st.lists(st.integers(1, 3_000), min_size=1, max_size=6), st.sets(st.integers(0, 5), max_size=4)),
        min_size=1,
        max_size=6,
    )
)
def test_every_token_stands_in_one_bucket(path: str, turns: list[tuple[list[int], set[int]]]) -> None:
    clock = Clock()
    caches = SimulatedCaches(clock=clock)
    for number, (sizes, marked) in enumerate(turns):
        tokens = served(caches, path, body_of(path, sizes, marked), number)
        assert tokens.input == sum(sizes) == caches.outcomes[-1].total
        assert 0 <= tokens.read <= tokens.input - tokens.written
        assert sum(tokens.lives.values()) == tokens.written
        clock.now += 1


@pytest.mark.parametrize("path", PATHS)
def test_what_is_asked_once_more_is_read(path: str) -> None:
    caches = SimulatedCaches(clock=Clock())
    body = body_of(path, [3_000, 3_000], {0, 1})
    first, second = served(caches, path, body), served(caches, path, body)
    assert first.read == 0
    assert second.written == 0
    assert second.read >= 5_999


@pytest.mark.parametrize("path", PATHS)
def test_it_is_lost_when_entries_are_evicted_or_expired(path: str) -> None:
    clock = Clock()
    caches = SimulatedCaches(clock=clock)
    body = body_of(path, [3_000, 3_000], {0, 1})
    served(caches, path, body)
    caches.evict()
    assert served(caches, path, body).read == 0
    clock.now += 7 * 86_400
    assert served(caches, path, body).read == 0


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ({"x-api-key": "a"}, {"x-api-key": "a"}, True),
        ({"x-api-key": "a"}, {"x-api-key": "b"}, False),
        ({"authorization": "Bearer a"}, {"x-goog-api-key": "a"}, True),
        ({"authorization": "Bearer a", "openai-organization": "x"}, {"authorization": "Bearer a"}, False),
    ],
)
def test_keys_tell_accounts_apart(one: dict[str, str], other: dict[str, str], shared: bool) -> None:
    caches = SimulatedCaches(clock=Clock())
    spaces = [caches.space(request("/v1/messages", {}, **headers), "anthropic", "m") for headers in (one, other)]
    assert (spaces[0] == spaces[1]) is shared
    assert "Bearer" not in repr(spaces)


@pytest.mark.parametrize(
    ("path", "host", "platform"),
    [
        ("/v1/messages", "127.0.0.1:1", "anthropic"),
        ("/v1/chat/completions", "127.0.0.1:1", "openai"),
        ("/v1/chat/completions", "api.x.ai", "xai"),
        ("/v1/chat/completions", "openrouter.ai", "openrouter"),
        ("/v1beta/openai/chat/completions", "127.0.0.1:1", "google"),
        ("/v1/projects/p/locations/us-east5/publishers/anthropic/models/m:rawPredict", "127.0.0.1:1", "vertex"),
    ],
)
def test_the_host_tells_the_platform(path: str, host: str, platform: str) -> None:
    asked = Request("POST", path, "", {}, b"", {}, host, 1)
    assert SimulatedCaches().space(asked, family_of(path), "m").platform == platform
    assert SimulatedCaches(platform="vllm").space(asked, family_of(path), "m").platform == "vllm"


def test_another_rule_of_counting_holds_for_every_block() -> None:
    words = {"model": "claude-opus-5", "messages": [{"role": "user", "content": "one two three"}]}
    ask = ask_of(request("/v1/messages", words), Behaviour(count=lambda said: len(said.split())))
    assert ask is not None
    assert SimulatedCaches(clock=Clock()).serve(ask, "anthropic").ask.tokens == Tokens(3, ask.tokens.output)  # type: ignore[union-attr]
    assert four_characters("one two three") == 4


def test_lives_can_be_told_by_hand() -> None:
    told = Tokens(input=1_000, output=3, written=400, lives={"5m": 100, "1h": 300})
    with FakeProvider(tokens=told) as provider:
        url = f"{provider.anthropic_url}/v1/messages"
        with urllib.request.urlopen(urllib.request.Request(url, b'{"model": "m", "messages": []}')) as response:
            usage = json.load(response)["usage"]
    assert usage["cache_creation"] == {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 300}
    assert usage["cache_creation_input_tokens"] == 400


def test_a_provider_that_fails_caches_nothing() -> None:
    caches = SimulatedCaches(clock=Clock())
    body = json.dumps(body_of("/v1/messages", [3_000], {0})).encode()
    with FakeProvider(caches=caches, failures=1) as provider:
        asked = urllib.request.Request(f"{provider.anthropic_url}/v1/messages", body)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(asked)
        caught.value.close()
        assert not caches.outcomes
        with urllib.request.urlopen(asked) as response:
            assert json.load(response)["usage"]["cache_creation_input_tokens"] == 3_000

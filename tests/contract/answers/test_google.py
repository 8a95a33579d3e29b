"""Answers reused through google-genai, sync and async, whichever way its HTTP clients are made."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json

import pytest

from tests.contract.answers.answering import (
    at_once,
    at_once_async,
    sent_once,
    sent_once_async,
    sent_twice,
)

genai = pytest.importorskip("google.genai", reason="google-genai is not installed")
from tests.contract.test_google import AIOHTTP, ASK, CALLS, drain, dumped, made, metered, pytestmark  # noqa: E402, F401


@pytest.fixture(autouse=True, scope="module")
def left_behind():
    """What the SDK leaves open of loops that are over is let go here, where it is known."""
    yield
    gc.collect()


@pytest.fixture(params=["options", "wrap"])
def client(request, provider, kit):
    if request.param == "options":
        with metered(provider, kit) as made_client:
            yield made_client
    else:
        if AIOHTTP:
            pytest.skip("aiohttp is installed: async calls would go past the door, which refuses such a client")
        made_client = kit.wrap(made(provider))
        yield made_client
        made_client.close()
        with contextlib.suppress(RuntimeError):  # its loop is over: nothing can be closed in it any more
            asyncio.run(made_client.aio.aclose())


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_every_way_of_calling_is_sent_once(provider, kit, client, call):
    provider.behave(gzip=True)
    sent_once(provider, kit, lambda: call(client))


def test_it_says_that_it_was_reused(client):
    first, again = (client.models.generate_content(**ASK) for _ in range(2))
    assert "x-ctxkit-answer" not in first.sdk_http_response.headers
    assert again.sdk_http_response.headers["x-ctxkit-answer"] == "reused"
    assert again.usage_metadata == first.usage_metadata


def test_async(provider, kit, client):
    async def whole():
        return dumped(await client.aio.models.generate_content(**ASK))

    async def streamed():
        return drain([chunk async for chunk in await client.aio.models.generate_content_stream(**ASK)])

    async def both():
        await sent_once_async(provider, kit, whole)
        provider.clear()
        return await sent_once_async(provider, kit, streamed)

    first = asyncio.run(both())
    assert asyncio.run(streamed()) == first, (
        "another loop has another HTTP client behind the SDK's own, and needs no connection"
    )
    assert len(provider.requests) == 1


def test_both_sides_share(provider, client):
    first = client.models.generate_content(**ASK)
    asked = asyncio.run(client.aio.models.generate_content(**ASK))
    assert dumped(asked) == dumped(first)
    assert len(provider.requests) == 1


def test_another_key_is_somebody_else(provider, kit, client):
    first = client.models.generate_content(**ASK)
    http = kit.google_http_options(base_url=provider.gemini_url)
    other = genai.Client(api_key="other", http_options=http)
    assert other.models.generate_content(**ASK).response_id != first.response_id
    other.close()
    http.httpx_client.close()
    assert len(provider.requests) == 2


@pytest.mark.parametrize("finish", ["MAX_TOKENS", "SAFETY", "RECITATION", "MALFORMED_FUNCTION_CALL"])
def test_answers_that_are_not_whole_are_asked_for_again(provider, kit, client, finish):
    candidate = {"content": {"role": "model", "parts": [{"text": "Four."}]}, "finishReason": finish}
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}
    for _ in range(2):
        provider.reply(json.dumps({"candidates": [candidate], "usageMetadata": usage}).encode())
    sent_twice(provider, kit, lambda: client.models.generate_content(**ASK))


def test_streams_that_are_left_are_asked_for_again(provider, kit, client):
    def left():
        stream = client.models.generate_content_stream(**ASK)
        next(iter(stream))
        stream.close()

    sent_twice(provider, kit, left)


@pytest.mark.parametrize("stream", [False, True])
def test_threads_that_ask_the_same_send_one_request(provider, kit, client, stream):
    models = client.models
    at_once(
        provider,
        kit,
        lambda: drain(models.generate_content_stream(**ASK)) if stream else dumped(models.generate_content(**ASK)),
    )


def test_tasks_that_ask_the_same_send_one_request(provider, kit, client):
    async def call():
        return dumped(await client.aio.models.generate_content(**ASK))

    asyncio.run(at_once_async(provider, kit, call))

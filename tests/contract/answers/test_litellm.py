"""Answers reused through LiteLLM's functions, as the objects that it makes itself."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from tests.contract.answers.answering import (
    at_once,
    at_once_async,
    reusing,
    sent_once,
    sent_once_async,
    sent_twice,
)
from tests.contract.shared import MESSAGES

pytest.importorskip("litellm", reason="LiteLLM is not installed")
from tests.contract.test_litellm import ROUTES, litellm, pytestmark, quiet  # noqa: F401


class Sum(BaseModel):
    """What is asked for by a class."""

    value: int


@pytest.fixture(params=ROUTES.values(), ids=ROUTES)
def ask(request, provider):
    model, url, *_ = request.param
    return {"model": model, "api_base": url(provider), "api_key": "none", "messages": MESSAGES, "max_tokens": 50}


def drain(stream):
    return [chunk.model_dump() for chunk in stream]


def test_whole_answers_are_sent_for_once(provider, kit, ask):
    completion = kit.wrap(litellm.completion)
    sent_once(provider, kit, lambda: completion(**ask).model_dump())
    answer = completion(**ask)
    assert isinstance(answer, litellm.ModelResponse)
    assert answer._hidden_params == {"cache_hit": True, "response_cost": 0.0}


@pytest.mark.parametrize("more", [{}, {"stream_options": {"include_usage": True}}], ids=["plain", "usage"])
def test_streams_are_sent_for_once(provider, kit, ask, more):
    completion = kit.wrap(litellm.completion)
    chunks = sent_once(provider, kit, lambda: drain(completion(**ask, stream=True, **more)))
    stream = completion(**ask, stream=True, **more)
    assert isinstance(stream, litellm.CustomStreamWrapper)
    built = litellm.stream_chunk_builder([*stream], messages=MESSAGES)
    assert [call.function.name for call in built.choices[0].message.tool_calls] == ["add", "look"]
    assert chunks[0]["choices"]


def test_what_only_we_asked_for_is_not_replayed(provider, ask):
    with reusing(usage_probe=True) as kit:
        completion = kit.wrap(litellm.completion)
        sent_once(provider, kit, lambda: drain(completion(**ask, stream=True)))


async def test_async(provider, kit, ask):
    acompletion = kit.wrap(litellm.acompletion)

    async def whole():
        return (await acompletion(**ask)).model_dump()

    async def streamed():
        return [chunk.model_dump() async for chunk in await acompletion(**ask, stream=True)]

    await sent_once_async(provider, kit, whole)
    provider.clear()
    await sent_once_async(provider, kit, streamed)


def test_who_asks_is_told_by_arguments_settings_and_environment(provider, kit, ask, monkeypatch):
    completion = kit.wrap(litellm.completion)
    completion(**ask)
    completion(**{**ask, "api_key": "other"})
    completion(**ask, extra_headers={"x-user": "b"})
    monkeypatch.setattr(litellm, "organization", "other")
    completion(**ask)
    monkeypatch.setenv("SOME_API_KEY", "other")
    completion(**ask)
    assert len(provider.requests) == 5
    completion(**ask)
    assert len(provider.requests) == 5


def test_a_router_is_asked_by_its_deployments(provider, kit, ask):
    def routed(key):
        there = {name: ask[name] for name in ("model", "api_base")}
        return litellm.Router(model_list=[{"model_name": "mine", "litellm_params": {**there, "api_key": key}}])

    ways = [kit.wrap(routed(key).completion) for key in ("none", "other")]
    ids = [way(model="mine", messages=MESSAGES).id for way in ways]
    assert [way(model="mine", messages=MESSAGES).id for way in ways] == ids
    assert len(set(ids)) == len(provider.requests) == 2


def test_arguments_that_are_objects_go_out(provider, kit, ask):
    """What cannot be written down cannot be told from another."""
    completion = kit.wrap(litellm.completion)
    provider.behave(text='{"value": 4}', calls=())
    sent_twice(provider, kit, lambda: completion(**ask, response_format=Sum))


def test_a_stream_that_is_left_is_asked_for_again(provider, kit, ask):
    completion = kit.wrap(litellm.completion)

    sent_twice(provider, kit, lambda: next(completion(**ask, stream=True)))


def test_inside_a_wrapped_client_of_openai(provider, kit):
    """LiteLLM may be given a client that is wrapped; then its HTTP client answers."""
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=provider.openai_url, api_key="none") as sdk:
        client = kit.wrap(sdk)
        ask = {"model": "openai/gpt-4o", "messages": MESSAGES, "client": client}
        sent_once(provider, kit, lambda: litellm.completion(**ask).id)


def test_threads_that_ask_the_same_send_one_request(provider, kit, ask):
    completion = kit.wrap(litellm.completion)
    at_once(provider, kit, lambda: completion(**ask).model_dump())


async def test_tasks_that_ask_the_same_send_one_request(provider, kit, ask):
    acompletion = kit.wrap(litellm.acompletion)

    async def call():
        return (await acompletion(**ask)).model_dump()

    await at_once_async(provider, kit, call)

"""Answers reused through Anthropic's SDK, on the platforms that its clients know."""

from __future__ import annotations

import asyncio
import json

import pytest

from ctxkit.errors import BudgetExceeded
from ctxkit.integrations.anthropic_middleware import middleware
from ctxkit.testing import Behaviour, FakeProvider, capture
from tests.contract.answers.answering import (
    TOOLS,
    at_once,
    at_once_async,
    sent_once,
    sent_once_async,
    sent_twice,
)
from tests.contract.shared import TOKENS

anthropic = pytest.importorskip("anthropic", reason="the Anthropic SDK is not installed")
from tests.contract.test_anthropic import ASK, CALLS, drain, helped, made, made_async  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:The model:DeprecationWarning")


@pytest.fixture
def provider():
    behaviour = Behaviour(text="Four, naïve 漢字.", calls=TOOLS, reasoning="Two and two.", tokens=TOKENS, piece=3)
    with FakeProvider(behaviour) as running:
        yield running


@pytest.fixture
def client(provider, kit):
    with made(provider) as sdk:
        yield kit.wrap(sdk)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_every_way_of_calling_is_sent_once(provider, kit, client, call):
    sent_once(provider, kit, lambda: call(client))


def test_it_says_that_it_was_reused(client):
    raw = client.messages.with_raw_response
    first, again = raw.create(**ASK), raw.create(**ASK)
    assert (first.headers.get("x-ctxkit-answer"), again.headers["x-ctxkit-answer"]) == (None, "reused")
    assert again.parse() == first.parse()
    assert again.parse()._request_id == first.parse()._request_id


async def test_async(provider, kit):
    async def streamed(client):
        return [event.model_dump() async for event in await client.messages.create(**ASK, stream=True)]

    async def helped_along(client):
        async with client.messages.stream(**ASK) as stream:
            return [*[event.model_dump(warnings=False) async for event in stream], await stream.get_final_text()]

    async def whole(client):
        return await client.messages.create(**ASK)

    async with made_async(provider) as sdk:
        client = kit.wrap(sdk)
        await sent_once_async(provider, kit, lambda: streamed(client))
        assert await helped_along(client) == await helped_along(client)
        assert len(provider.requests) == 1
        provider.clear()
        await sent_once_async(provider, kit, lambda: whole(client))


def test_copies_with_other_credentials_are_somebody_else(provider, client):
    who = [{}, {"api_key": "other"}, {"auth_token": "third"}, {"default_headers": {"x-user": "b"}}]
    ids = [client.with_options(**one).messages.create(**ASK).id for one in who]
    assert len(set(ids)) == len(provider.requests) == len(who)
    assert [client.with_options(**one).messages.create(**ASK).id for one in who] == ids
    assert len(provider.requests) == len(who)


def test_betas_are_another_request(provider, client):
    client.messages.create(**ASK)
    client.messages.create(**ASK, extra_headers={"anthropic-beta": "context-1m-2025-08-07"})
    assert len(provider.requests) == 2


def test_a_copy_with_another_http_client_goes_out_and_is_metered(provider, kit, client):
    with anthropic.DefaultHttpxClient() as http, capture(kit) as records:
        other = client.with_options(http_client=http)
        sent_twice(provider, kit, lambda: other.messages.create(**ASK))
    assert [record.status for record in records] == ["settled"] * 2


def test_the_middleware_alone_meters(provider, kit):
    """It does not see who asks: what it has no transport for goes out."""
    with made(provider, middleware=[middleware(kit)]) as client:
        sent_twice(provider, kit, lambda: client.messages.create(**ASK))


def test_a_metered_http_client_answers_too(provider, kit):
    with made(provider, http_client=kit.attach(anthropic.DefaultHttpxClient())) as client:
        sent_once(provider, kit, lambda: client.messages.create(**ASK).model_dump())
        provider.clear()
        wrapped = kit.wrap(client)
        sent_once(provider, kit, lambda: wrapped.messages.create(**{**ASK, "max_tokens": 99}).model_dump())


def test_a_middleware_of_the_users_own_sees_the_answer(provider, kit):
    seen = []

    def own(request, call_next):
        response = call_next(request)
        seen.append(response.parse().id)
        return response

    with made(provider, middleware=[own]) as sdk:
        client = kit.wrap(sdk)
        first = client.messages.create(**ASK)
        assert client.messages.create(**ASK) == first
    assert seen == [first.id, first.id]
    assert len(provider.requests) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_bedrock_signs_and_is_reused(provider, kit, stream):
    pytest.importorskip("botocore")

    def bedrock(key):
        return anthropic.AnthropicBedrock(
            base_url=provider.bedrock_url, aws_access_key=key, aws_secret_key="s", aws_region="eu-west-1", max_retries=0
        )

    ask = {**ASK, "model": "anthropic.claude-sonnet-4-5-20250929-v1:0", "stream": stream}
    with bedrock("AKIA1") as sdk, bedrock("AKIA2") as other:
        client, another = kit.wrap(sdk), kit.wrap(other)

        def call(client):
            found = client.messages.create(**ask)
            return drain(found) if stream else found.model_dump()

        first = sent_once(provider, kit, lambda: call(client))
        assert call(another) != first
    assert len(provider.requests) == 2


# ---- What is not kept -------------------------------------------------------------------------------------------------


def answer(stop, *blocks):
    usage = {"input_tokens": 5, "output_tokens": 2}
    head = {"id": "1", "type": "message", "role": "assistant", "model": ASK["model"], "stop_sequence": None}
    return json.dumps({**head, "content": list(blocks), "stop_reason": stop, "usage": usage}).encode()


SAYS = {"type": "text", "text": "Four."}


@pytest.mark.parametrize(
    "body",
    [answer("max_tokens", SAYS), answer("refusal", SAYS), answer("pause_turn", SAYS), answer("end_turn")],
    ids=["truncated", "refused", "paused", "empty"],
)
def test_answers_that_are_not_whole_are_asked_for_again(provider, kit, client, body):
    for _ in range(2):
        provider.reply(body)
    sent_twice(provider, kit, lambda: client.messages.create(**ASK))


@pytest.mark.parametrize("status", [400, 529])
def test_errors_are_asked_for_again(provider, client, status):
    provider.behave(status=status)
    for number in (1, 2):
        with pytest.raises(anthropic.APIStatusError):
            client.messages.create(**ASK)
        assert len(provider.requests) == number


def test_streams_that_are_cut_or_left_are_asked_for_again(provider, kit, client):
    def left():
        with client.messages.create(**ASK, stream=True) as stream:
            next(iter(stream))

    def cut():
        with pytest.raises(Exception):  # noqa: B017 - each version raises its own
            helped(client.messages.stream(**ASK))

    sent_twice(provider, kit, left)
    provider.behave(fault="cut")
    sent_twice(provider, kit, cut)


def test_retries_go_out_and_their_answer_is_kept(provider, kit):
    provider.behave(failures=1, retry_after=0.01)
    with made(provider, max_retries=1) as sdk:
        client = kit.wrap(sdk)
        first = client.messages.create(**ASK)
        assert client.messages.create(**ASK) == first
    assert len(provider.requests) == 2


def test_a_connection_that_fails_holds_nobody_up(provider, kit):
    url = provider.anthropic_url
    provider.close()
    with anthropic.Anthropic(base_url=url, api_key="none", max_retries=1) as sdk:
        client = kit.wrap(sdk)
        with pytest.raises(anthropic.APIConnectionError), capture(kit) as records:
            client.messages.create(**ASK)
    assert [record.status for record in records] == ["failed"] * 2


@pytest.mark.parametrize("stream", [False, True])
def test_a_refused_budget_is_raised_as_it_is(provider, kit, client, monkeypatch, stream):
    def spent(_plan):
        raise BudgetExceeded("support-chat has spent its 5 USD of today")

    monkeypatch.setattr(kit, "hold", spent)
    patient = client.with_options(max_retries=2)
    with pytest.raises(BudgetExceeded, match="5 USD"):
        patient.messages.create(**ASK, stream=stream)
    assert provider.requests == []
    monkeypatch.undo()
    client.messages.create(**ASK, stream=stream)
    assert len(provider.requests) == 1, "nobody waits for the request that was refused"


# ---- Many at once -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_threads_that_ask_the_same_send_one_request(provider, kit, client, stream):
    def call():
        found = client.messages.create(**ASK, stream=stream)
        return drain(found) if stream else found.model_dump()

    at_once(provider, kit, call)


@pytest.mark.parametrize("stream", [False, True])
async def test_tasks_that_ask_the_same_send_one_request(provider, kit, stream):
    async with made_async(provider) as sdk:
        client = kit.wrap(sdk)

        async def call():
            found = await client.messages.create(**ASK, stream=stream)
            return [event.model_dump() async for event in found] if stream else found.model_dump()

        await at_once_async(provider, kit, call)


async def test_when_the_first_is_cancelled_another_goes(provider, kit):
    provider.behave(delay=30)
    async with made_async(provider) as sdk:
        client = kit.wrap(sdk)
        first = asyncio.create_task(client.messages.create(**ASK))
        while not provider.requests:  # noqa: ASYNC110 - the server is a thread
            await asyncio.sleep(0.005)
        provider.behave(delay=0)
        other = asyncio.create_task(client.messages.create(**ASK))
        await asyncio.sleep(0.02)
        first.cancel()
        await other
    assert len(provider.requests) == 2

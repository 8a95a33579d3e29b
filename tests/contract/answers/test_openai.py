"""Answers reused through OpenAI's SDK: the second call is not sent, and sees what the first one saw."""

from __future__ import annotations

import asyncio
import json

import pytest

from ctxkit.testing import Behaviour, FakeProvider
from tests.contract.answers.answering import (
    LONG,
    TOOLS,
    at_once,
    at_once_async,
    reusing,
    sent_once,
    sent_once_async,
    sent_twice,
)
from tests.contract.shared import MESSAGES, TOKENS, collected

openai = pytest.importorskip("openai", reason="the OpenAI SDK is not installed")
from tests.contract.test_openai import CHAT, MODEL, RESPONSES, USAGE, Sum, drain, made, made_async  # noqa: E402

CALLS = [
    *[pytest.param(call, id=f"chat {name}") for name, call in CHAT.items()],
    *[pytest.param(call, id=f"responses {name}") for name, call in RESPONSES.items()],
]
ASK = {"model": MODEL, "messages": MESSAGES}


@pytest.fixture
def provider():
    with FakeProvider(Behaviour(text="Four, naïve 漢字 \U0001f600.", calls=TOOLS, tokens=TOKENS, piece=3)) as running:
        yield running


@pytest.fixture
def client(provider, kit):
    with made(provider) as sdk:
        yield kit.wrap(sdk)


@pytest.mark.parametrize("call", CALLS)
def test_every_way_of_calling_is_sent_once(provider, kit, client, call):
    sent_once(provider, kit, lambda: call(client))


def lines(response):
    with response as opened:
        return list(opened.iter_lines())


def pieces(response):
    with response as opened:
        return b"".join(opened.iter_bytes())


@pytest.mark.parametrize("read", [lines, pieces])
@pytest.mark.parametrize("stream", [False, True])
def test_bytes_and_lines_are_the_same(provider, kit, client, read, stream):
    provider.behave(gzip=True)
    more = {"stream": True, "stream_options": USAGE} if stream else {}
    sent_once(provider, kit, lambda: read(client.chat.completions.with_streaming_response.create(**ASK, **more)))


@pytest.mark.parametrize("kind", ["chat", "responses"])
def test_parse(provider, kit, client, kind):
    provider.behave(text='{"value": 4}', calls=())
    calls = {
        "chat": lambda: client.chat.completions.parse(**ASK, response_format=Sum),
        "responses": lambda: client.responses.parse(model=MODEL, input="2 + 2", text_format=Sum),
    }
    sent_once(provider, kit, calls[kind])


def test_it_says_that_it_was_reused(client):
    raw = client.chat.completions.with_raw_response
    first, again = raw.create(**ASK), raw.create(**ASK)
    assert "x-ctxkit-answer" not in first.headers
    assert again.headers["x-ctxkit-answer"] == "reused"
    assert again.status_code == 200
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.parse().usage == first.parse().usage, "the usage of the answer that was sent"


def test_a_stream_without_usage_is_reused_too(provider, kit, client):
    sent_once(provider, kit, lambda: drain(client.chat.completions.create(**ASK, stream=True)))


def test_what_only_we_asked_for_is_not_replayed(provider):
    with reusing(usage_probe=True) as kit, made(provider) as sdk:
        client = kit.wrap(sdk)
        chunks = sent_once(provider, kit, lambda: drain(client.chat.completions.create(**ASK, stream=True)))
    assert b"include_usage" in provider.requests[0].body
    assert all(chunk["choices"] for chunk in chunks)


def test_what_ctxkit_changes_on_the_way_does_not_count(provider):
    with reusing(mode="cache") as kit, made(provider) as sdk:
        client = kit.wrap(sdk, platform="openai")
        long = [{"role": "system", "content": "Be brief. " * 2_000}, *MESSAGES]
        sent_once(provider, kit, lambda: client.chat.completions.create(model="gpt-5.6-sol", messages=long).id)


async def test_async(provider, kit):
    async def streamed(client):
        return [event.model_dump() async for event in await client.chat.completions.create(**ASK, stream=True)]

    async def helped(client):
        async with client.responses.stream(model=MODEL, input="2 + 2") as stream:
            return [event.model_dump(warnings=False) async for event in stream]

    async def whole(client):
        return await client.chat.completions.create(**ASK)

    async with made_async(provider) as sdk:
        client = kit.wrap(sdk)
        for call in (streamed, helped, whole):
            provider.clear()
            await sent_once_async(provider, kit, lambda call=call: call(client))


def test_another_key_organisation_or_project_is_somebody_else(provider, kit, client):
    who = [
        {},
        {"api_key": "other"},
        {"organization": "other"},
        {"project": "other"},
        {"default_headers": {"x-user": "b"}},
    ]
    ids = [client.with_options(**one).chat.completions.create(**ASK).id for one in who]
    assert len(set(ids)) == len(provider.requests) == len(who)
    again = [client.with_options(**one).chat.completions.create(**ASK).id for one in who]
    assert again == ids
    assert len(provider.requests) == len(who)


def test_clients_with_the_same_key_share(provider, kit, client):
    first = client.chat.completions.create(**ASK)
    with made(provider) as sdk:
        assert kit.wrap(sdk).chat.completions.create(**ASK) == first
    assert len(provider.requests) == 1


@pytest.mark.parametrize("change", [{"temperature": 0.5}, {"seed": 1}, {"user": "b"}, {"model": "gpt-4o-mini"}])
def test_any_other_field_is_another_request(provider, client, change):
    client.chat.completions.create(**ASK)
    client.chat.completions.create(**{**ASK, **change})
    assert len(provider.requests) == 2


# ---- What is not kept -------------------------------------------------------------------------------------------------


def answer(finish="stop", **message):
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": "Four.", **message}}
    head = {"id": "1", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice]}
    return json.dumps({**head, "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}}).encode()


@pytest.mark.parametrize(
    "body",
    [answer("length"), answer("content_filter"), answer(content=None, refusal="No."), answer(content=None)],
    ids=["truncated", "filtered", "refused", "empty"],
)
def test_answers_that_are_not_whole_are_asked_for_again(provider, kit, client, body):
    for _ in range(2):
        provider.reply(body)
    sent_twice(provider, kit, lambda: client.chat.completions.create(**ASK))


@pytest.mark.parametrize("status", [400, 429, 500])
def test_errors_are_asked_for_again(provider, kit, client, status):
    provider.behave(status=status)
    for number in (1, 2):
        with pytest.raises(openai.APIStatusError):
            client.chat.completions.create(**ASK)
        assert len(provider.requests) == number
    provider.behave(status=200)
    sent_once_more = client.chat.completions.create(**ASK)
    assert client.chat.completions.create(**ASK) == sent_once_more


@pytest.mark.parametrize("fault", ["cut", "broken_stream"])
def test_damaged_streams_are_asked_for_again(provider, kit, client, fault):
    def call():
        with pytest.raises(Exception):  # noqa: B017 - each version raises its own
            drain(client.chat.completions.create(**ASK, stream=True))

    provider.behave(fault=fault)
    kit.faults.strict = False  # a broken event is said, and not raised
    sent_twice(provider, kit, call)


def test_a_stream_that_is_left_is_asked_for_again(provider, kit, client):
    def call():
        with client.chat.completions.create(**ASK, stream=True) as stream:
            next(iter(stream))

    sent_twice(provider, kit, call)


def test_what_a_provider_holds_is_asked_for_again(provider, kit, client):
    sent_twice(provider, kit, lambda: client.responses.create(model=MODEL, input="x", previous_response_id="resp_1"))


def test_retries_go_out_and_their_answer_is_kept(provider, kit):
    provider.behave(failures=2, retry_after=0.01)
    with made(provider, max_retries=2) as sdk:
        client = kit.wrap(sdk)
        first = client.chat.completions.create(**ASK)
        assert client.chat.completions.create(**ASK) == first
    assert len(provider.requests) == 3


def test_redirected_answers_are_asked_for_again(provider, kit, client):
    provider.behave(redirects=1)
    client.chat.completions.create(**ASK)
    client.chat.completions.create(**ASK)
    assert len(provider.requests) == 3


# ---- Many at once -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_threads_that_ask_the_same_send_one_request(provider, kit, client, stream):
    def call():
        found = client.chat.completions.create(**ASK, stream=stream)
        return drain(found) if stream else found.model_dump()

    at_once(provider, kit, call)


@pytest.mark.parametrize("stream", [False, True])
async def test_tasks_that_ask_the_same_send_one_request(provider, kit, stream):
    async with made_async(provider) as sdk:
        client = kit.wrap(sdk)

        async def call():
            found = await client.chat.completions.create(**ASK, stream=stream)
            return [chunk.model_dump() async for chunk in found] if stream else found.model_dump()

        await at_once_async(provider, kit, call)


async def until(condition):
    async with asyncio.timeout(LONG):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in threads that know no event of ours
            await asyncio.sleep(0.005)


async def waiting(provider, client, number=3):
    """One request under way, and others that wait for it."""
    provider.behave(delay=LONG)
    first = asyncio.create_task(client.chat.completions.create(**ASK))
    await until(lambda: provider.requests)
    provider.behave(delay=0)
    others = [asyncio.create_task(client.chat.completions.create(**ASK)) for _ in range(number)]
    await asyncio.sleep(0.02)
    assert len(provider.requests) == 1
    return first, others


async def test_when_the_first_is_cancelled_another_goes(provider, kit):
    async with made_async(provider) as sdk:
        first, others = await waiting(provider, kit.wrap(sdk))
        first.cancel()
        found = await asyncio.gather(*others)
        with pytest.raises(asyncio.CancelledError):
            await first
    assert found == [found[0]] * len(found)
    assert len(provider.requests) == 2


async def test_one_that_waits_may_be_cancelled(provider, kit):
    async with made_async(provider) as sdk:
        first, others = await waiting(provider, kit.wrap(sdk))
        others[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await others[0]
        first.cancel()
        found = await asyncio.gather(*others[1:])
    assert found[0] == found[1]
    assert len(provider.requests) == 2


async def test_when_the_stream_of_the_first_is_left_another_goes(provider, kit):
    async with made_async(provider) as sdk:
        client = kit.wrap(sdk)
        stream = await client.chat.completions.create(**ASK, stream=True)
        await anext(aiter(stream))
        other = asyncio.create_task(client.chat.completions.create(**ASK, stream=True))
        await asyncio.sleep(0.02)
        assert len(provider.requests) == 1
        await stream.close()
        chunks = [chunk async for chunk in await other]
    assert len(provider.requests) == 2
    assert len({chunk.id for chunk in chunks}) == 1


async def test_nobody_waits_longer_than_its_own_time_out(provider, kit):
    async with made_async(provider) as sdk:
        client = kit.wrap(sdk)
        provider.behave(delay=LONG)
        first = asyncio.create_task(client.chat.completions.create(**ASK))
        await until(lambda: provider.requests)
        provider.behave(delay=0)
        await client.with_options(timeout=0.2).chat.completions.create(**ASK)
        assert len(provider.requests) == 2
        first.cancel()


def test_a_connection_that_fails_holds_nobody_up(provider, kit):
    url = provider.openai_url
    provider.close()
    with openai.OpenAI(base_url=url, api_key="none", max_retries=1) as sdk:
        client = kit.wrap(sdk)
        with pytest.raises(openai.APIConnectionError):
            client.chat.completions.create(**ASK)
    assert kit.answers.tally.asked == 2, "the retry asks, and does not wait for the attempt that failed"


def test_a_stream_that_nobody_holds_frees_those_who_wait(provider, kit, client):
    records = []
    kit.listeners.append(records.append)
    stream = client.chat.completions.create(**ASK, stream=True)
    next(iter(stream))
    del stream
    collected(records)
    drain(client.chat.completions.create(**ASK, stream=True))
    assert len(provider.requests) == 2

"""Anthropic's SDK (0.108 and later on httpx, 2.x on httpx2) through its middleware."""

from __future__ import annotations

import asyncio

import pytest

from ctxkit import feature
from ctxkit.errors import BudgetExceeded, UnsupportedClientError
from ctxkit.integrations.anthropic_middleware import middleware
from tests.contract.shared import MESSAGES, collected, only, settled, wire

anthropic = pytest.importorskip("anthropic", reason="the Anthropic SDK is not installed")

MODEL = "claude-opus-4-8"
ASK = {"model": MODEL, "max_tokens": 100, "messages": MESSAGES}
pytestmark = pytest.mark.filterwarnings("ignore:The model:DeprecationWarning")


def made(provider, **options):
    return anthropic.Anthropic(base_url=provider.anthropic_url, api_key="none", **{"max_retries": 0, **options})


def made_async(provider, **options):
    return anthropic.AsyncAnthropic(base_url=provider.anthropic_url, api_key="none", **{"max_retries": 0, **options})


@pytest.fixture
def client(provider, kit):
    with made(provider) as sdk:
        yield kit.wrap(sdk)


def drain(stream):
    return [event.model_dump(warnings=False) for event in stream]


def helped(manager):
    with manager as stream:
        return [*drain(stream), stream.get_final_message().model_dump(warnings=False)]


def read(manager):
    with manager as response:
        return response.parse().model_dump()


CALLS = {
    "create": lambda c: c.messages.create(**ASK).model_dump(),
    "stream": lambda c: drain(c.messages.create(**ASK, stream=True)),
    "stream helper": lambda c: helped(c.messages.stream(**ASK)),
    "raw": lambda c: c.messages.with_raw_response.create(**ASK).parse().model_dump(),
    "raw stream": lambda c: drain(c.messages.with_raw_response.create(**ASK, stream=True).parse()),
    "streaming response": lambda c: read(c.messages.with_streaming_response.create(**ASK)),
    "with_options": lambda c: c.with_options(timeout=30).messages.create(**ASK).model_dump(),
    "beta": lambda c: c.beta.messages.create(**ASK).model_dump(),
    "beta stream": lambda c: drain(c.beta.messages.create(**ASK, stream=True)),
    "extra_body": lambda c: c.messages.create(**ASK, extra_body={"top_k": 3}).model_dump(),
    "post": lambda c: c.post("/v1/messages", body=ASK, cast_to=object),
}


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_every_way_of_calling_settles_once_and_changes_nothing(provider, kit, records, call, gzip):
    provider.behave(gzip=gzip)
    with made(provider) as plain:
        expected = call(plain)
    sent = wire(provider)
    provider.clear()
    with made(provider) as sdk:
        client = kit.wrap(sdk)
        assert type(client) is anthropic.Anthropic
        assert call(client) == expected
    assert wire(provider) == sent, "not one byte of the request may change"
    settled(records, "anthropic.messages", model=MODEL, platform="anthropic", number=1)


async def test_async(provider, kit, records):
    async with made_async(provider) as sdk:
        client = kit.wrap(sdk)
        assert type(client) is anthropic.AsyncAnthropic
        await client.messages.create(**ASK)
        async for _ in await client.messages.create(**ASK, stream=True):
            pass
        async with client.messages.stream(**ASK) as stream:
            async for _ in stream:
                pass
        async with client.messages.with_streaming_response.create(**ASK) as response:
            await response.parse()
        await client.with_options(timeout=30).messages.create(**ASK)
    assert [(r.status, r.usage.input_total, r.usage.output) for r in records] == [("settled", 100, 20)] * 5


def test_the_record_is_there_before_message_stop(client, records):
    seen = []
    for event in client.messages.create(**ASK, stream=True):
        seen.append((event.type, len(records)))
    assert seen[-2] == ("message_delta", 0)
    assert seen[-1] == ("message_stop", 1)
    settled(records, "anthropic.messages", stream=True)


def test_the_public_way_in(provider, kit, records):
    with made(provider, middleware=[middleware(kit)]) as client:
        client.messages.create(**ASK)
    settled(records, "anthropic.messages")


def test_a_metered_http_client_is_a_way_in_too(provider, kit, records):
    with made(provider, http_client=kit.attach(anthropic.DefaultHttpxClient())) as client:
        client.messages.create(**ASK)
        assert kit.wrap(client).messages.create(**ASK)
    assert len(records) == 2, "both doors on one client count once"


def test_wrapping_twice_meters_once(provider, kit, records):
    with made(provider) as sdk:
        once = kit.wrap(sdk)
        assert kit.wrap(once) is once
        once.messages.create(**ASK)
    settled(records, "anthropic.messages")


def test_the_middleware_of_the_user_stays(provider, kit, records):
    seen = []

    def theirs(request, call_next):
        seen.append(request.json["model"])
        return call_next(request)

    with made(provider, middleware=[theirs]) as sdk:
        kit.wrap(sdk).messages.create(**ASK)
    assert seen == [MODEL]
    settled(records, "anthropic.messages")


def test_an_answer_of_another_middleware_is_no_call(provider, kit, records):
    with made(provider) as sdk:
        client = kit.wrap(sdk)
        client.with_middleware(lambda request, call_next: "cached").messages.create(**ASK)
    assert only(records).status == "failed", "nothing was answered, nothing was billed"
    assert provider.requests == []


def test_retries_are_attempts_of_one_operation(provider, kit, records):
    provider.behave(failures=2, retry_after=0.01, failure_status=529)
    with made(provider, max_retries=2) as sdk:
        kit.wrap(sdk).messages.create(**ASK)
    assert [(r.status, r.http_status, r.number) for r in records] == [
        ("failed", 529, 1),
        ("failed", 529, 2),
        ("settled", 200, 3),
    ]
    assert len({r.operation for r in records}) == 1


def test_refused(provider, client, records):
    provider.behave(status=400)
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(**ASK)
    assert (only(records).status, only(records).http_status) == ("failed", 400)


def test_no_connection(provider, kit, records):
    with made(provider) as sdk:
        client = kit.wrap(sdk)
        provider.close()
        with pytest.raises(anthropic.APIConnectionError):
            client.messages.create(**ASK)
    assert (only(records).status, only(records).http_status) == ("failed", None)


async def test_no_async_connection(provider, kit, records):
    async with made_async(provider) as sdk:
        client = kit.wrap(sdk)
        provider.close()
        with pytest.raises(anthropic.APIConnectionError):
            await client.messages.create(**ASK)
    assert (only(records).status, only(records).http_status) == ("failed", None)


def test_redirect(provider, client, records):
    provider.behave(redirects=1)
    client.messages.create(**ASK)
    settled(records, "anthropic.messages", number=1)


@pytest.mark.parametrize("way", ["close", "drop"])
def test_abandoned_stream_settles_as_partial(client, records, way):
    stream = client.messages.create(**ASK, stream=True)
    for event in stream:
        if event.type == "content_block_delta":
            break
    if way == "close":
        stream.close()
    del stream
    collected(records)
    record = only(records)
    assert record.status == "partial"
    assert record.usage.input_total == 100, "message_start told the prompt"


def test_what_is_no_model_call_passes_unseen(provider, kit, records):
    with made(provider) as plain:
        plain.messages.count_tokens(model=MODEL, messages=MESSAGES)
    sent = wire(provider)
    provider.clear()
    with made(provider) as sdk:
        kit.wrap(sdk).messages.count_tokens(model=MODEL, messages=MESSAGES)
    assert wire(provider) == sent
    assert records == []
    assert list(kit.ledger.records()) == []


def test_what_cannot_be_metered_is_counted(client, kit):
    with pytest.raises(anthropic.NotFoundError):
        client.messages.batches.create(requests=[])
    (record,) = kit.ledger.records()
    assert (record.status, record.model) == ("unmetered", "batches")


async def test_concurrent_labels_keep_apart(provider, kit, records):
    async with made_async(provider) as sdk:
        client = kit.wrap(sdk)

        async def ask(name):
            with feature(name):
                stream = await client.messages.create(**ASK, stream=True)
            async for _ in stream:
                await asyncio.sleep(0)

        await asyncio.gather(*(ask(name) for name in ("alpha", "beta", "gamma")))
    assert sorted(r.feature for r in records) == ["alpha", "beta", "gamma"]


def test_a_refused_budget_reaches_the_user(provider, kit, monkeypatch):
    def refuse(*_, **__):
        raise BudgetExceeded("spent")

    monkeypatch.setattr(kit, "plan", refuse)
    with made(provider, max_retries=2) as sdk, pytest.raises(BudgetExceeded):
        kit.wrap(sdk).messages.create(**ASK)
    assert provider.requests == []


def test_clients_from_before_middleware_are_refused(kit):
    old = type("Anthropic", (), {"__module__": "anthropic._client"})()
    with pytest.raises(UnsupportedClientError, match=r"0\.108"):
        kit.wrap(old)


class TestBedrock:
    """``AnthropicBedrock``: signed after the middleware, answered in AWS's binary event stream."""

    @pytest.fixture
    def bedrock(self, provider, kit):
        pytest.importorskip("botocore", reason="AnthropicBedrock needs botocore")
        with anthropic.AnthropicBedrock(
            base_url=provider.bedrock_url,
            aws_access_key="none",
            aws_secret_key="none",
            aws_region="eu-west-1",
            max_retries=0,
        ) as sdk:
            client = kit.wrap(sdk)
            assert type(client) is anthropic.AnthropicBedrock
            yield client

    def test_create(self, bedrock, provider, records):
        bedrock.messages.create(**{**ASK, "model": "anthropic.claude-opus-4-8"})
        assert provider.requests[0].path.endswith("/invoke")
        settled(records, "anthropic.messages", platform="bedrock")

    def test_stream(self, bedrock, provider, records):
        drain(bedrock.messages.create(**{**ASK, "model": "anthropic.claude-opus-4-8"}, stream=True))
        assert provider.requests[0].path.endswith("/invoke-with-response-stream")
        settled(records, "anthropic.messages", platform="bedrock", stream=True)


def test_vertex(provider, kit, records, monkeypatch):
    regions = []
    plan = kit.plan
    monkeypatch.setattr(kit, "plan", lambda body, **options: regions.append(options["region"]) or plan(body, **options))
    with anthropic.AnthropicVertex(
        base_url=provider.base_url + "/v1", project_id="p", region="europe-west1", access_token="none", max_retries=0
    ) as sdk:
        client = kit.wrap(sdk)
        assert type(client) is anthropic.AnthropicVertex
        client.messages.create(**ASK)
        drain(client.messages.create(**ASK, stream=True))
    assert "rawPredict" in provider.requests[0].path
    assert regions == ["europe-west1"] * 2, "prices differ by region"
    assert [(r.status, r.platform, r.usage.input_total) for r in records] == [("settled", "vertex", 100)] * 2

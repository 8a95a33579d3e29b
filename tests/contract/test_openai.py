"""OpenAI's SDK (2.x on httpx, 3.x on httpx2) with its client wrapped."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import inspect
import json
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from ctxkit import feature
from ctxkit.errors import BudgetExceeded
from ctxkit.integrations.nesting import nested
from ctxkit.integrations.tee import library_of
from ctxkit.testing import Tokens
from tests.contract.shared import MESSAGES, collected, only, settled, wire

openai = pytest.importorskip("openai", reason="the OpenAI SDK is not installed")
from pydantic import BaseModel  # noqa: E402

LEGACY = openai.__version__.startswith("2.")
MODEL = "gpt-4o"
USAGE = {"include_usage": True}


class Sum(BaseModel):
    """What parse is asked for."""

    value: int


def made(provider, **options):
    return openai.OpenAI(base_url=provider.openai_url, api_key="none", **{"max_retries": 0, **options})


def made_async(provider, **options):
    return openai.AsyncOpenAI(base_url=provider.openai_url, api_key="none", **{"max_retries": 0, **options})


def renewing(http_client):
    """Authentication that asks once more when it is refused."""

    class Renewing(library_of(http_client).Auth):
        def auth_flow(self, request):
            response = yield request
            if response.status_code == 401:
                yield request

    return Renewing()


@pytest.fixture
def client(provider, kit):
    with made(provider) as sdk:
        yield kit.wrap(sdk)


def drain(stream):
    return [event.model_dump(warnings=False) for event in stream]


def helped(manager):
    with manager as stream:
        return drain(stream)


def read(manager):
    with manager as response:
        return response.parse().model_dump()


CHAT = {
    "create": lambda c: c.chat.completions.create(model=MODEL, messages=MESSAGES).model_dump(),
    "stream": lambda c: drain(
        c.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True, stream_options=USAGE)
    ),
    "stream helper": lambda c: helped(c.chat.completions.stream(model=MODEL, messages=MESSAGES, stream_options=USAGE)),
    "raw": lambda c: c.chat.completions.with_raw_response.create(model=MODEL, messages=MESSAGES).parse().model_dump(),
    "raw stream": lambda c: drain(
        c.chat.completions.with_raw_response.create(
            model=MODEL, messages=MESSAGES, stream=True, stream_options=USAGE
        ).parse()
    ),
    "streaming response": lambda c: read(
        c.chat.completions.with_streaming_response.create(model=MODEL, messages=MESSAGES)
    ),
    "with_options": lambda c: (
        c.with_options(timeout=30).chat.completions.create(model=MODEL, messages=MESSAGES).model_dump()
    ),
    "post": lambda c: c.post("/chat/completions", body={"model": MODEL, "messages": MESSAGES}, cast_to=object),
    "extra_body": lambda c: c.chat.completions.create(
        model=MODEL, messages=MESSAGES, extra_body={"top_k": 3}
    ).model_dump(),
}
RESPONSES = {
    "create": lambda c: c.responses.create(model=MODEL, input="What is 2 + 2?").model_dump(),
    "stream": lambda c: drain(c.responses.create(model=MODEL, input="What is 2 + 2?", stream=True)),
    "stream helper": lambda c: helped(c.responses.stream(model=MODEL, input="What is 2 + 2?")),
    "raw": lambda c: c.responses.with_raw_response.create(model=MODEL, input="What is 2 + 2?").parse().model_dump(),
}
CALLS = [
    *[pytest.param(call, "openai.chat", id=f"chat {name}") for name, call in CHAT.items()],
    *[pytest.param(call, "openai.responses", id=f"responses {name}") for name, call in RESPONSES.items()],
]


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize(("call", "dialect"), CALLS)
def test_every_way_of_calling_settles_once_and_changes_nothing(provider, kit, records, call, dialect, gzip):
    provider.behave(gzip=gzip)
    with made(provider) as plain:
        expected = call(plain)
    sent = wire(provider)
    provider.clear()
    with made(provider) as sdk:
        client = kit.wrap(sdk)
        assert client is sdk
        assert call(client) == expected
    assert wire(provider) == sent, "not one byte of the request may change"
    settled(records, dialect, model=MODEL, number=1)


@pytest.mark.parametrize("kind", ["chat", "responses"])
def test_parse(provider, client, records, kind):
    provider.behave(text='{"value": 4}')
    if kind == "chat":
        parsed = client.chat.completions.parse(model=MODEL, messages=MESSAGES, response_format=Sum)
        assert parsed.choices[0].message.parsed == Sum(value=4)
    else:
        assert client.responses.parse(model=MODEL, input="2 + 2", text_format=Sum).output_parsed == Sum(value=4)
    settled(records, f"openai.{kind}")


def test_embeddings_and_completions_are_metered(client, records):
    client.embeddings.create(model="text-embedding-3-small", input="x")
    client.completions.create(model="gpt-3.5-turbo-instruct", prompt="x")
    assert [(r.dialect, r.status, r.usage.fresh) for r in records] == [
        ("openai.embeddings", "settled", 100),
        ("openai.completions", "settled", 100),
    ]


def test_azure(provider, kit, records):
    with openai.AzureOpenAI(
        azure_endpoint=provider.azure_url, api_key="none", api_version="2024-10-21", max_retries=0
    ) as sdk:
        client = kit.wrap(sdk)
        assert type(client) is openai.AzureOpenAI
        client.chat.completions.create(model="my-deployment", messages=MESSAGES)
    settled(records, "openai.chat", model="my-deployment")


async def test_async(provider, kit, records):
    async with made_async(provider) as sdk:
        client = kit.wrap(sdk)
        assert client is sdk
        await client.chat.completions.create(model=MODEL, messages=MESSAGES)
        stream = await client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True, stream_options=USAGE)
        async for _ in stream:
            pass
        async with client.chat.completions.stream(model=MODEL, messages=MESSAGES, stream_options=USAGE) as helper:
            async for _ in helper:
                pass
        async with client.responses.stream(model=MODEL, input="2 + 2") as helper:
            async for _ in helper:
                pass
        async with client.chat.completions.with_streaming_response.create(model=MODEL, messages=MESSAGES) as response:
            await response.parse()
    assert [(r.status, r.usage.input_total, r.usage.output) for r in records] == [("settled", 100, 20)] * 5


def test_the_record_is_there_before_the_stream_has_ended(client, records):
    stream = client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True, stream_options=USAGE)
    events = iter(stream)
    for _ in range(3):
        next(events)
    assert records == []
    for _ in events:
        pass
    settled(records, "openai.chat", stream=True)


def test_timing_of_a_stream(provider, client, records):
    provider.behave(delay=0.05, piece=None)
    drain(client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True, stream_options=USAGE))
    timing = only(records).timing
    assert timing.sent < timing.first_chunk <= timing.first_content <= timing.last
    assert timing.ttft >= 0.05


def test_retries_are_attempts_of_one_operation(provider, kit, records):
    provider.behave(failures=2, retry_after=0.01)
    with made(provider, max_retries=2) as sdk:
        kit.wrap(sdk).chat.completions.create(model=MODEL, messages=MESSAGES)
    assert [(r.status, r.http_status, r.number) for r in records] == [
        ("failed", 503, 1),
        ("failed", 503, 2),
        ("settled", 200, 3),
    ]
    assert len({r.operation for r in records}) == 1
    assert len({r.attempt for r in records}) == 3


async def test_async_retries(provider, kit, records):
    provider.behave(failures=1, retry_after=0.01)
    async with made_async(provider, max_retries=2) as sdk:
        await kit.wrap(sdk).responses.create(model=MODEL, input="x")
    assert [(r.status, r.number) for r in records] == [("failed", 1), ("settled", 2)]
    assert len({r.operation for r in records}) == 1


def test_refused(provider, client, records):
    provider.behave(status=400)
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model=MODEL, messages=MESSAGES)
    record = only(records)
    assert (record.status, record.http_status, record.cost) == ("failed", 400, None)


def test_no_connection(provider, kit, records):
    with made(provider) as sdk:
        client = kit.wrap(sdk)
        provider.close()
        with pytest.raises(openai.APIConnectionError):
            client.chat.completions.create(model=MODEL, messages=MESSAGES)
        collected(records)
    record = only(records)
    assert (record.status, record.http_status) == ("failed", None)


def test_redirect_keeps_the_plan(provider, client, records):
    provider.behave(redirects=1)
    client.chat.completions.create(model=MODEL, messages=MESSAGES)
    assert len(provider.requests) == 2
    assert provider.requests[0].body == provider.requests[1].body
    settled(records, "openai.chat", number=1)


@pytest.mark.parametrize("way", ["close", "with", "drop"])
def test_abandoned_stream_settles_as_partial(client, records, way):
    stream = client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True, stream_options=USAGE)
    next(iter(stream))
    if way == "close":
        stream.close()
    elif way == "with":
        with stream:
            pass
    del stream
    collected(records)
    record = only(records)
    assert (record.status, record.usage) == ("partial", None)
    assert record.http_status == 200


async def test_abandoned_async_stream(provider, kit, records):
    async with made_async(provider) as sdk:
        client = kit.wrap(sdk)
        stream = await client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
        async for _ in stream:
            break
        await stream.close()
        assert only(records).status == "partial"


async def test_dropped_async_stream(provider, kit, records):
    async with made_async(provider) as sdk:
        stream = await kit.wrap(sdk).chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
        async for _ in stream:
            break
        del stream
        for _ in range(100):
            gc.collect()
            await asyncio.sleep(0.01)
            if records:
                break
    assert only(records).status == "partial"


def test_many_threads_share_a_client(provider, kit, records):
    provider.behave(piece=None)

    def ask(number):
        with feature(f"f{number % 4}"):
            drain(client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True, stream_options=USAGE))

    with made(provider) as sdk, ThreadPoolExecutor(8) as pool:
        client = kit.wrap(sdk)
        list(pool.map(ask, range(80)))
    assert Counter((r.feature, r.status, r.number) for r in records) == {(f"f{n}", "settled", 1): 20 for n in range(4)}
    assert len({r.operation for r in records}) == 80


def test_cut_stream_settles_as_partial(provider, client, records):
    provider.behave(fault="cut")
    with pytest.raises(Exception):  # noqa: B017 - each version raises its own
        drain(client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True, stream_options=USAGE))
    collected(records)
    assert only(records).status == "partial"


def test_stream_without_usage_is_unverified(client, records):
    drain(client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True))
    assert (only(records).status, only(records).usage) == ("unverified", None)


class TestProbe:
    """The policy ``usage_probe``."""

    def test_asks_and_hides(self, provider, probing, probed):
        provider.behave(gzip=True)
        with made(provider) as plain:
            expected = drain(plain.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True))
        bare = provider.requests[0]
        provider.clear()
        with made(provider) as sdk:
            events = drain(probing.wrap(sdk).chat.completions.create(model=MODEL, messages=MESSAGES, stream=True))
        sent = provider.requests[0]
        assert events == expected, "the caller sees no chunk more and no other"
        assert sent.json == {**bare.json, "stream_options": USAGE}
        assert sent.headers["content-length"] == str(len(sent.body))
        assert sent.headers["accept-encoding"] == "gzip"
        assert sent.body.replace(b'"stream_options":{"include_usage":true},', b"") == bare.body
        settled(probed, "openai.chat")

    async def test_async(self, provider, probing, probed):
        provider.behave(gzip=True)
        async with made_async(provider) as sdk:
            client = probing.wrap(sdk)
            stream = await client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
            assert all([event.choices async for event in stream])
        settled(probed, "openai.chat")

    def test_keeps_what_the_user_asked_for(self, provider, probing, probed):
        with made(provider) as sdk:
            client = probing.wrap(sdk)
            call = CHAT["stream"]
            events = call(client)
        assert events[-1]["usage"]["prompt_tokens"] == 100
        assert events[-1]["choices"] == []
        settled(probed, "openai.chat")

    def test_leaves_everything_else_alone(self, provider, probing, probed):
        with made(provider) as plain:
            CHAT["create"](plain)
            RESPONSES["stream"](plain)
        sent = wire(provider)
        provider.clear()
        with made(provider) as sdk:
            client = probing.wrap(sdk)
            CHAT["create"](client)
            RESPONSES["stream"](client)
        assert wire(provider) == sent

    def test_retry_and_redirect(self, provider, probing, probed):
        provider.behave(failures=1, redirects=1, retry_after=0.01)
        with made(provider, max_retries=1) as sdk:
            drain(probing.wrap(sdk).chat.completions.create(model=MODEL, messages=MESSAGES, stream=True))
        assert len({request.body for request in provider.requests}) == 1, "a retry sends the same bytes"
        assert [(r.status, r.number) for r in probed] == [("failed", 1), ("settled", 2)]

    @pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
    def test_a_server_that_refuses_the_option_gets_the_call_as_it_was_and_is_not_asked_again(
        self, provider, probing, probed, asynchronous
    ):
        refusal = b'{"error": {"message": "extra fields not permitted: stream_options"}}'
        provider.reply(refusal, status=422)

        async def call():
            async with made_async(provider, max_retries=0) as sdk:
                client = probing.wrap(sdk)
                for _ in range(2):
                    async for _ in await client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True):
                        pass

        if asynchronous:
            asyncio.run(call())
        else:
            with made(provider, max_retries=0) as sdk:
                client = probing.wrap(sdk)
                for _ in range(2):
                    drain(client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True))
        assert ["stream_options" in request.json for request in provider.requests] == [True, False, False]
        assert [(r.status, r.number) for r in probed] == [("failed", 1), ("unverified", 2), ("unverified", 1)]

    def test_what_is_wrong_with_the_request_itself_is_told(self, provider, probing, probed):
        for _ in range(2):
            provider.reply(b'{"error": {"message": "no stream_options, no nothing"}}', status=400)
        with made(provider, max_retries=0) as sdk, pytest.raises(openai.BadRequestError, match="no nothing"):
            probing.wrap(sdk).chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
        assert ["stream_options" in request.json for request in provider.requests] == [True, False]
        assert [r.status for r in probed] == ["failed", "failed"]

    def test_a_request_that_its_authentication_sends_again_is_the_users_own(self, provider, probing, probed):
        """A token that ended is renewed inside one call of the HTTP client, which sends the very same request object."""
        provider.reply(b"{}", status=401)
        with openai.DefaultHttpxClient() as http_client, made(provider, http_client=http_client) as sdk:
            http_client.auth = renewing(http_client)
            events = drain(probing.wrap(sdk).chat.completions.create(model=MODEL, messages=MESSAGES, stream=True))
        assert all(event["choices"] for event in events), "the chunk that only we asked for is hidden"
        assert [request.json["stream_options"] for request in provider.requests] == [USAGE, USAGE]
        assert [(r.status, r.number) for r in probed] == [("failed", 1), ("settled", 2)]

    def test_a_signed_request_is_sent_as_it_is(self, provider, probing, probed):
        with made(provider, default_headers={"Authorization": "AWS4-HMAC-SHA256 Credential=x"}) as sdk:
            client = probing.wrap(sdk)
            drain(client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True))
            drain(client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True))
        assert "stream_options" not in provider.requests[0].json
        assert [r.status for r in probed] == ["unverified", "unverified"]
        assert probing.faults.counts["door: signed request"] == 2


def test_the_sdks_own_bedrock_provider_signs_before_us(provider, probing, probed, monkeypatch):
    """Its signature covers the body: metered, said once, sent as it was signed."""
    bedrock = pytest.importorskip("openai.providers", reason="this SDK has no providers").bedrock
    pytest.importorskip("botocore", reason="botocore is not installed")
    signed = bedrock(region="eu-west-1", access_key_id="none", secret_access_key="none", base_url=provider.openai_url)
    with openai.OpenAI(provider=signed, max_retries=0) as sdk:
        drain(probing.wrap(sdk).chat.completions.create(model=MODEL, messages=MESSAGES, stream=True))
    request = provider.requests[0]
    assert request.headers["authorization"].startswith("AWS4-HMAC-SHA256")
    assert request.headers["x-amz-content-sha256"] == hashlib.sha256(request.body).hexdigest()
    assert only(probed).status == "unverified"
    assert probing.faults.counts["door: signed request"] == 1


def test_line_separators_in_content(provider, client, records):
    provider.behave(text="one\u2028two\u2029three")
    events = drain(client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True, stream_options=USAGE))
    said = "".join(event["choices"][0]["delta"]["content"] or "" for event in events if event["choices"])
    assert said == "one\u2028two\u2029three"
    settled(records, "openai.chat")


def test_wrapping_twice_meters_once(provider, kit, records):
    with made(provider) as sdk:
        kit.wrap(kit.wrap(sdk)).chat.completions.create(model=MODEL, messages=MESSAGES)
        kit.attach(sdk._client)
        sdk.chat.completions.create(model=MODEL, messages=MESSAGES)
    assert len(records) == 2


def test_two_kits_meter_once_each(provider, kit, records, probing, probed):
    with made(provider) as sdk:
        probing.wrap(kit.wrap(sdk)).chat.completions.create(model=MODEL, messages=MESSAGES)
    settled(records, "openai.chat")
    settled(probed, "openai.chat")


def test_the_public_way_in(provider, kit, records):
    http = kit.attach(openai.DefaultHttpxClient())
    with made(provider, http_client=http) as client:
        client.chat.completions.create(model=MODEL, messages=MESSAGES)
    settled(records, "openai.chat")


def test_hooks_of_the_user_stay_and_see_what_leaves(provider, probing, probed):
    seen = []
    hooks = {
        "request": [lambda request: seen.append(("request", request.content))],
        "response": [lambda response: seen.append(("response", response.read()))],
    }
    http = probing.attach(openai.DefaultHttpxClient(event_hooks=hooks))
    with made(provider, http_client=http) as client:
        client.chat.completions.create(model=MODEL, messages=MESSAGES)
    assert [name for name, _ in seen] == ["request", "response"]
    assert json.loads(seen[1][1])["object"] == "chat.completion"
    settled(probed, "openai.chat")


async def test_concurrent_labels_keep_apart(provider, kit, records):
    async with made_async(provider) as sdk:
        client = kit.wrap(sdk)

        async def ask(name):
            with feature(name, team=name[0]):
                stream = await client.chat.completions.create(
                    model=MODEL, messages=MESSAGES, stream=True, stream_options=USAGE
                )
            async for _ in stream:
                await asyncio.sleep(0)

        await asyncio.gather(*(ask(name) for name in ("alpha", "beta", "gamma")))
    assert sorted((r.feature, dict(r.labels)) for r in records) == [
        ("alpha", {"team": "a"}),
        ("beta", {"team": "b"}),
        ("gamma", {"team": "g"}),
    ]


def test_inner_doors_stand_aside(provider, kit, client, records):
    with nested():
        client.chat.completions.create(model=MODEL, messages=MESSAGES)
    assert records == []
    client.chat.completions.create(model=MODEL, messages=MESSAGES)
    settled(records, "openai.chat")


def test_what_is_no_model_call_passes_unseen(provider, kit, client, records):
    client.models.list()
    assert records == []
    assert list(kit.ledger.records()) == []


def test_what_cannot_be_metered_is_counted(provider, kit, client):
    with pytest.raises(openai.NotFoundError):  # the fake provider makes no images
        client.images.generate(model="gpt-image-1", prompt="x")
    (record,) = kit.ledger.records()
    assert (record.status, record.model) == ("unmetered", "images")


def test_environment_proxies_and_pool_limits_are_kept(monkeypatch, provider, kit):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with made(provider) as plain, made(provider) as sdk:
        before, after = plain._client, kit.wrap(sdk)._client
        assert type(before) is type(after)
        assert [str(pattern.pattern) for pattern in after._mounts] == [
            str(pattern.pattern) for pattern in before._mounts
        ]
        assert after.timeout == before.timeout
        assert after.follow_redirects == before.follow_redirects


@pytest.mark.skipif(
    "except OpenAIError" not in inspect.getsource(openai._base_client.SyncAPIClient.request) and LEGACY,
    reason="this openai 2 wraps every error of its HTTP client: the refusal is the cause of its APIConnectionError",
)
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_a_refused_budget_reaches_the_user_at_once(provider, kit, asynchronous, monkeypatch):
    def refuse(*_, **__):
        raise BudgetExceeded("support-chat has spent its 5 USD of today")

    async def arefuse(*_, **__):
        refuse()

    monkeypatch.setattr(kit, "plan", refuse)
    monkeypatch.setattr(kit, "aplan", arefuse)
    with pytest.raises(BudgetExceeded, match="5 USD"):
        if asynchronous:
            asyncio.run(asked_async(provider, kit))
        else:
            with made(provider, max_retries=2) as sdk:
                kit.wrap(sdk).chat.completions.create(model=MODEL, messages=MESSAGES)
    assert provider.requests == []


async def asked_async(provider, kit):
    async with made_async(provider, max_retries=2) as sdk:
        await kit.wrap(sdk).chat.completions.create(model=MODEL, messages=MESSAGES)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_meters_its_own_calls_and_leaves_the_parents_alone(provider, kit, records):
    with made(provider) as sdk:
        client = kit.wrap(sdk)
        stream = client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True, stream_options=USAGE)
        next(iter(stream))
        child = os.fork()
        if child == 0:
            status = 1
            try:
                stream.response.stream._exchange.settle()  # the child's copy of the parent's stream
                with made(provider) as own:
                    kit.wrap(own).chat.completions.create(model=MODEL, messages=MESSAGES)
                kit.flush()
                status = 0 if len(records) == 1 and records[0].status == "settled" else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        drain(stream)
    settled(records, "openai.chat")
    kit.flush()
    assert sorted(r.status for r in kit.ledger.records()) == ["settled", "settled"]


def test_usage_of_a_gateway_that_counts_net_of_cache(provider, kit, records):
    provider.behave(tokens=Tokens(input=100, output=20, read=0))
    with made(provider) as sdk:
        kit.wrap(sdk).chat.completions.create(model=MODEL, messages=MESSAGES)
    assert only(records).usage.fresh == 100

"""google-genai (1.x on httpx and aiohttp, 3.x on httpx2): both sides metered, or refused."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util

import pytest

from ctxkit import feature
from ctxkit.errors import ConfigurationError, UnsupportedClientError
from tests.contract.shared import collected, only, settled, wire

genai = pytest.importorskip("google.genai", reason="google-genai is not installed")
from google.genai import errors, types  # noqa: E402

MODEL = "gemini-2.5-flash"
AIOHTTP = importlib.util.find_spec("aiohttp") is not None
ASK = {"model": MODEL, "contents": "What is 2 + 2?"}
# The SDK leaves the connections of event loops that are over to the garbage collector, and those of dropped streams.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def made(provider, **options):
    return genai.Client(api_key="none", http_options={"base_url": provider.gemini_url, **options})


@contextlib.contextmanager
def metered(provider, kit, **options):
    """A client made the public way, which works with aiohttp installed too."""
    http = kit.google_http_options(base_url=provider.gemini_url, **options)
    client = genai.Client(api_key="none", http_options=http)
    yield client
    client.close()
    http.httpx_client.close()
    with contextlib.suppress(RuntimeError):  # its loop is over: nothing can be closed in it any more
        asyncio.run(http.httpx_async_client.aclose())


@pytest.fixture
def client(provider, kit):
    with metered(provider, kit) as made_client:
        yield made_client


def drain(stream):
    return [chunk.model_dump(exclude={"sdk_http_response"}) for chunk in stream]


def dumped(response):
    return response.model_dump(exclude={"sdk_http_response"})


def chatted(client):
    chat = client.chats.create(model=MODEL)
    return dumped(chat.send_message("What is 2 + 2?"))


CALLS = {
    "generate": lambda c: dumped(c.models.generate_content(**ASK)),
    "stream": lambda c: drain(c.models.generate_content_stream(**ASK)),
    "chat": chatted,
    "per-call options": lambda c: dumped(
        c.models.generate_content(**ASK, config={"http_options": types.HttpOptions(timeout=30_000)})
    ),
    "config": lambda c: dumped(
        c.models.generate_content(
            **ASK, config=types.GenerateContentConfig(system_instruction="Be brief.", temperature=0)
        )
    ),
}


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_every_way_of_calling_settles_once_and_changes_nothing(provider, kit, records, call, gzip):
    provider.behave(gzip=gzip)
    plain = made(provider)
    expected = call(plain)
    plain.close()
    sent = wire(provider)
    provider.clear()
    with metered(provider, kit) as client:
        assert call(client) == expected
    assert wire(provider) == sent, "not one byte of the request may change"
    settled(records, "gemini.generate", model=MODEL, platform="google", number=1)


async def ask_async(client):
    await client.aio.models.generate_content(**ASK)
    async for _ in await client.aio.models.generate_content_stream(**ASK):
        pass


def test_async_over_several_event_loops(client, records):
    per_loop = "_client_kwargs" in vars(client._api_client._async_httpx_client)
    for _ in range(2 if per_loop else 1):
        asyncio.run(ask_async(client))
    assert [(r.status, r.usage.input_total, r.usage.output) for r in records] == [("settled", 100, 20)] * len(records)
    assert len(records) == (4 if per_loop else 2)


@pytest.mark.skipif(AIOHTTP, reason="with aiohttp installed wrap refuses, see below")
def test_wrap_meters_both_sides(provider, kit, records):
    client = made(provider)
    assert kit.wrap(client) is client
    assert kit.wrap(client) is client
    CALLS["generate"](client)
    CALLS["stream"](client)
    asyncio.run(ask_async(client))
    asyncio.run(ask_async(client))
    client.close()
    assert [(r.status, r.usage.input_total, r.platform) for r in records] == [("settled", 100, "google")] * 6


@pytest.mark.skipif(AIOHTTP, reason="with aiohttp installed wrap refuses, see below")
def test_wrap_reaches_loops_that_are_running_already(provider, kit, records):
    client = made(provider)

    async def both():
        await ask_async(client)
        kit.wrap(client)
        await ask_async(client)
        await client.aio.aclose()

    asyncio.run(both())
    assert len(records) == 2


@pytest.mark.skipif(not AIOHTTP, reason="aiohttp is not installed: async stays with httpx")
class TestAiohttp:
    """Where aiohttp is installed, the SDK's async side leaves httpx."""

    def test_wrap_refuses_and_says_what_to_do(self, provider, kit):
        client = made(provider)
        with pytest.raises(UnsupportedClientError, match="google_http_options"):
            kit.wrap(client)
        client.close()

    def test_wrap_takes_a_client_that_was_given_its_http_clients(self, provider, kit, records):
        http = types.HttpOptions(
            base_url=provider.gemini_url,
            httpx_async_client=importlib.import_module("httpx").AsyncClient(),
        )
        client = kit.wrap(genai.Client(api_key="none", http_options=http))
        asyncio.run(ask_async(client))
        client.close()
        assert [r.status for r in records] == ["settled", "settled"]

    def test_an_aiohttp_client_is_refused(self, kit):
        with pytest.raises(ConfigurationError, match="aiohttp"):
            kit.google_http_options(aiohttp_client=object())


def test_record_is_there_when_the_stream_has_ended(client, records):
    """Gemini has no terminator: the finish reason of a candidate is none."""
    chunks = client.models.generate_content_stream(**ASK)
    next(iter(chunks))
    assert records == []
    for _ in chunks:
        pass
    settled(records, "gemini.generate", stream=True)


def test_retries_are_attempts_of_one_operation(provider, kit, records):
    provider.behave(failures=1)
    retry = types.HttpRetryOptions(attempts=2, initial_delay=0.01, max_delay=0.01, jitter=0.0)
    with metered(provider, kit, retry_options=retry) as client:
        CALLS["generate"](client)
    assert [(r.status, r.http_status, r.number) for r in records] == [("failed", 503, 1), ("settled", 200, 2)]
    assert len({r.operation for r in records}) == 1


def test_refused(provider, client, records):
    provider.behave(status=400)
    with pytest.raises(errors.ClientError):
        CALLS["generate"](client)
    assert (only(records).status, only(records).http_status) == ("failed", 400)


def test_redirect(provider, client, records):
    provider.behave(redirects=1)
    CALLS["generate"](client)
    settled(records, "gemini.generate", number=1)


def test_abandoned_stream(client, records):
    chunks = client.models.generate_content_stream(**ASK)
    next(iter(chunks))
    del chunks
    collected(records)
    assert only(records).status == "partial"


def test_what_is_no_model_call_passes_unseen(client, kit, records):
    client.models.count_tokens(**ASK)
    assert records == []
    assert list(kit.ledger.records()) == []


def test_embeddings_are_counted_as_unmetered(client, kit):
    client.models.embed_content(model="gemini-embedding-001", contents="x")
    (record,) = kit.ledger.records()
    assert (record.status, record.model) == ("unmetered", "embeddings")


def test_vertex(provider, kit, records):
    from google.oauth2.credentials import Credentials

    http = kit.google_http_options(base_url=provider.gemini_url)
    client = genai.Client(
        vertexai=True, project="p", location="europe-west1", credentials=Credentials("none"), http_options=http
    )
    CALLS["generate"](client)
    client.close()
    assert "/locations/europe-west1/" in provider.requests[0].path
    settled(records, "gemini.generate", model=MODEL)


async def test_concurrent_labels_keep_apart(provider, kit, records):
    http = kit.google_http_options(base_url=provider.gemini_url)
    client = genai.Client(api_key="none", http_options=http)

    async def ask(name):
        with feature(name):
            async for _ in await client.aio.models.generate_content_stream(**ASK):  # lazy: the request leaves in here
                await asyncio.sleep(0)

    await asyncio.gather(*(ask(name) for name in ("alpha", "beta", "gamma")))
    await http.httpx_async_client.aclose()
    client.close()
    assert sorted(r.feature for r in records) == ["alpha", "beta", "gamma"]


def test_options_reach_the_clients(provider, kit):
    http = kit.google_http_options(
        base_url=provider.gemini_url, client_args={"headers": {"x-mine": "1"}}, timeout=9_000
    )
    assert http.httpx_client.headers["x-mine"] == "1"
    assert http.httpx_client.follow_redirects
    assert http.httpx_async_client.follow_redirects
    assert (http.base_url, http.timeout) == (provider.gemini_url, 9_000)

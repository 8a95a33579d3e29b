"""Reused answers at an HTTP client of httpx or httpx2: whatever it was made of, and whatever goes wrong in here."""

from __future__ import annotations

import asyncio
import json

import pytest

from ctxkit import Kit, Policy
from ctxkit.answers import Answers
from ctxkit.testing import Behaviour, FakeProvider, capture
from tests.contract.answers.answering import TOOLS, sent_once
from tests.contract.shared import MESSAGES, TOKENS, wire

PATH = "/v1/chat/completions"
BODY = {"model": "gpt-4o", "messages": MESSAGES}
STREAM = {**BODY, "stream": True, "stream_options": {"include_usage": True}}


@pytest.fixture
def provider():
    with FakeProvider(Behaviour(text="Four, naïve 漢字.", calls=TOOLS, tokens=TOKENS, piece=7)) as running:
        yield running


@pytest.fixture(params=["httpx", "httpx2"])
def library(request):
    return pytest.importorskip(request.param, reason=f"{request.param} is not installed")


def streamed(client, body=STREAM):
    with client.stream("POST", PATH, json=body) as response:
        return b"".join(response.iter_raw())


def test_events_come_one_by_one_and_are_the_same_bytes(library, provider, kit):
    with library.Client(base_url=provider.base_url) as client:
        kit.attach(client)
        whole = sent_once(provider, kit, lambda: streamed(client))
        with client.stream("POST", PATH, json=STREAM) as response:
            pieces = list(response.iter_raw())
    assert b"".join(pieces) == whole
    assert len(pieces) == whole.count(b"\n\n")


def test_a_compressed_answer_is_given_again_decoded(library, provider, kit):
    provider.behave(gzip=True)
    with library.Client(base_url=provider.base_url) as client:
        kit.attach(client)
        first, again = client.post(PATH, json=BODY), client.post(PATH, json=BODY)
    assert (first.headers["content-encoding"], first.headers.get("x-ctxkit-answer")) == ("gzip", None)
    assert ("content-encoding" in again.headers, again.headers["x-ctxkit-answer"]) == (False, "reused")
    assert again.json() == first.json()
    assert again.elapsed is not None
    assert again.request.url == first.request.url


def test_what_the_client_is_made_of_stays(library, provider, kit):
    """Its own transport, the proxies of its mounts and of the environment, its hooks and its authentication."""
    seen = []

    class Own(library.HTTPTransport):
        def handle_request(self, request):
            seen.append("own")
            return super().handle_request(request)

    class Mounted(Own):
        def handle_request(self, request):
            seen.append("mounted")
            return super().handle_request(request)

    hooks = {"request": [lambda _: seen.append("asked")], "response": [lambda _: seen.append("answered")]}
    mounts = {"all://localhost": Mounted(), "all://nowhere": None}
    options = {"transport": Own(), "mounts": mounts, "event_hooks": hooks, "auth": ("user", "password")}
    with library.Client(base_url=provider.base_url, **options) as client:
        kit.attach(client)
        for _ in range(2):
            client.post(PATH, json=BODY)
        assert seen == ["asked", "own", "answered", "asked", "answered"]
        seen.clear()
        client.post(provider.base_url.replace("127.0.0.1", "localhost") + PATH, json=BODY)
    assert seen == ["asked", "mounted", "own", "answered"]


def test_a_proxy_of_the_environment_is_used(library, provider, kit, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", provider.proxy_url)
    with library.Client(base_url="http://api.example.com") as client:
        kit.attach(client)
        sent_once(provider, kit, lambda: client.post(PATH, json=BODY).json())
    assert provider.requests[0].host == "api.example.com"


def test_attaching_twice_asks_once(library, provider, kit):
    with library.Client(base_url=provider.base_url) as client:
        kit.attach(client)
        kit.attach(client)
        sent_once(provider, kit, lambda: client.post(PATH, json=BODY).json())
    assert kit.answers.tally.asked == 2


def test_what_is_asked_of_a_transport_reaches_it(library, kit):
    class Own(library.BaseTransport):
        name = "mine"

    with library.Client(transport=Own()) as client:
        kit.attach(client)
        assert client._transport.name == "mine"
        assert isinstance(client._transport, library.BaseTransport)
        with pytest.raises(AttributeError):
            _ = client._transport.nothing


def test_other_requests_pass(library, provider, kit):
    with library.Client(base_url=provider.base_url) as client:
        kit.attach(client)
        for _ in range(2):
            assert client.get("/v1/models").status_code == 200
            client.post("/v1/messages/count_tokens", json={"model": "claude-opus-5", "messages": MESSAGES})
    assert len(provider.requests) == 4


def test_a_key_that_stands_twice_is_read_by_nobody(library, provider, kit):
    raw = b'{"model": "gpt-4o", "model": "gpt-5", "messages": [{"role": "user", "content": "x"}]}'
    with library.Client(base_url=provider.base_url) as client:
        kit.attach(client)
        for _ in range(2):
            client.post(PATH, content=raw, headers={"content-type": "application/json"})
    assert len(provider.requests) == 2


def test_not_one_byte_changes_of_what_is_sent(library, provider, kit):
    with library.Client(base_url=provider.base_url) as plain, library.Client(base_url=provider.base_url) as client:
        kit.attach(client)
        for one in (plain, client):
            one.post(PATH, json=BODY)
    before, after = wire(provider)
    assert after == before


def test_off_no_transport_is_touched(library, provider):
    kit = Kit(strict=True)
    with library.Client(base_url=provider.base_url) as client:
        before = (client._transport, dict(client._mounts))
        kit.attach(client)
        assert (client._transport, dict(client._mounts)) == before
    kit.close()


def test_a_client_whose_transports_cannot_be_reached_is_metered(library, provider, kit):
    class Closed(library.Client):
        def __getattribute__(self, name):
            if name == "_mounts" and not inside:
                raise AttributeError(name)
            return super().__getattribute__(name)

    inside = False
    with capture(kit) as records:
        inside = True
        client = Closed(base_url=provider.base_url)
        inside = False
        kit.attach(client)
        inside = True
        for _ in range(2):
            client.post(PATH, json=BODY)
        client.close()
    assert [record.status for record in records] == ["settled"] * 2


def test_async_clients(library, provider, kit):
    async def asked():
        async with library.AsyncClient(base_url=provider.base_url) as client:
            kit.attach(client)
            found = []
            for _ in range(2):
                async with client.stream("POST", PATH, json=STREAM) as response:
                    found.append(b"".join([piece async for piece in response.aiter_raw()]))
            return found

    first, again = asyncio.run(asked())
    assert first == again
    assert len(provider.requests) == 1


def test_hits_spend_no_budget_and_say_whose_they_are(library, provider, kit):
    with library.Client(base_url=provider.base_url) as client, capture(kit) as records:
        kit.attach(client, platform="openai")
        for _ in range(2):
            client.post(PATH, json=BODY)
    first, again = records
    assert (again.status, again.http_status, again.platform, again.model) == ("reused", 200, "openai", "gpt-4o")
    assert again.cost == 0
    assert again.savings_by == {"answers": first.cost}


# ---- Faults of ours ---------------------------------------------------------------------------------------------------


def broken(*_arguments, **_options):
    raise RuntimeError("of ours")


@pytest.fixture
def tolerant():
    made_kit = Kit(Policy(answers=Answers(wait=30)))
    yield made_kit
    made_kit.close()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "place",
    [
        "ctxkit.hall.answering.key_of",
        "ctxkit.hall.answering.complete.whole",
        "ctxkit.caching.answers.shelf.Shelf.get",
        "ctxkit.caching.answers.shelf.Shelf.put",
        "ctxkit.caching.answers.underway.UnderWay.take",
        "ctxkit.hall.answering._Lead.feed",
        "ctxkit.hall.answering._Lead.keep",
        "ctxkit.integrations.httpx_hooks._origin",
        "ctxkit.integrations.transports._Answering._reply",
    ],
)
def test_a_fault_of_ours_lets_every_request_out(library, provider, tolerant, monkeypatch, place, stream):
    monkeypatch.setattr(place, broken)
    with library.Client(base_url=provider.base_url) as client, capture(tolerant) as records:
        tolerant.attach(client)
        for _ in range(2):
            body = streamed(client) if stream else client.post(PATH, json=BODY).content
            assert "Four, naïve 漢字.".encode() in body or b"Four, " in body
    assert len(provider.requests) == 2
    assert [record.status for record in records] == ["settled"] * 2
    assert sum(tolerant.faults.counts.values()) >= 1


def test_a_fault_in_writing_it_down_hides_no_answer(library, provider, tolerant, monkeypatch):
    with library.Client(base_url=provider.base_url) as client:
        tolerant.attach(client)
        first = client.post(PATH, json=BODY).json()
        monkeypatch.setattr("ctxkit.hall.bookkeeping.reused", broken)
        assert client.post(PATH, json=BODY).json() == first


def test_a_damaged_entry_goes_out_again(library, provider, tmp_path):
    def asked():
        kit = Kit(Policy(answers=Answers(where="disk")), store=tmp_path)
        with library.Client(base_url=provider.base_url) as client:
            kit.attach(client)
            found = client.post(PATH, json=BODY).json()
        kit.close()
        return found["id"]

    first = asked()
    assert asked() == first
    for file in sorted((tmp_path / "answers").rglob("*")):
        if file.is_file():
            raw = file.read_bytes()
            file.write_bytes(raw.replace(b"chatcmpl", b"chatcmpX"))
    assert asked() != first
    assert len(provider.requests) == 2
    assert json.loads(provider.requests[1].body) == BODY

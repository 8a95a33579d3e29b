"""Any HTTP client of httpx or httpx2, without an SDK: what the doors for SDKs are built on."""

from __future__ import annotations

import gzip
import importlib
import json
import zlib

import pytest

from ctxkit.errors import UnsupportedClientError
from ctxkit.testing import Reply
from tests.contract.shared import MESSAGES, collected, only, settled, wire

BODY = {"model": "gpt-4o", "messages": MESSAGES}
STREAM = {**BODY, "stream": True, "stream_options": {"include_usage": True}}


@pytest.fixture(params=["httpx", "httpx2"])
def library(request):
    return pytest.importorskip(request.param, reason=f"{request.param} is not installed")


@pytest.fixture
def http(library, provider, kit):
    with library.Client(base_url=provider.base_url) as client:
        assert kit.attach(client) is client
        yield client


def test_not_one_byte_changes(library, provider, kit, records):
    odd = b'{ "model":"gpt-4o" ,\n "messages":[{"role":"user","content":"\\u00e9 caf\xc3\xa9"}], "seed":1e2, "n": 18446744073709551617}'
    for attached in (False, True):
        with library.Client(base_url=provider.base_url) as client:
            if attached:
                kit.attach(client)
            client.post("/v1/chat/completions", content=odd, headers={"content-type": "application/json"})
    plain, metered = wire(provider)
    assert metered == plain
    assert metered[-1] == odd
    settled(records, "openai.chat")


def test_streams_and_chunks_pass_as_they_come(library, provider, kit, records):
    provider.behave(piece=7)

    def chunks(client):
        with client.stream("POST", "/v1/chat/completions", json=STREAM) as response:
            return list(response.iter_raw()), response.elapsed is not None

    with library.Client(base_url=provider.base_url) as client:
        expected, _ = chunks(client)
        provider.clear()
        kit.attach(client)
        found, timed = chunks(client)
    assert b"".join(found) == b"".join(expected)
    assert timed
    settled(records, "openai.chat", stream=True)


async def test_async(library, provider, kit, records):
    async with library.AsyncClient(base_url=provider.base_url) as client:
        kit.attach(client)
        await client.post("/v1/chat/completions", json=BODY)
        async with client.stream("POST", "/v1/chat/completions", json=STREAM) as response:
            await response.aread()
        async with client.stream("POST", "/v1/chat/completions", json=STREAM) as response:
            async for _ in response.aiter_bytes():
                break
    assert [r.status for r in records] == ["settled", "settled", "partial"]


def packed(encoding):
    """``(whole, piecewise)`` of an encoding, or a skip."""
    if encoding == "gzip":
        return gzip.compress
    if encoding == "deflate":
        return zlib.compress
    if encoding == "raw deflate":
        return lambda data: zlib.compress(data, wbits=-zlib.MAX_WBITS)
    if encoding == "gzip, deflate":
        return lambda data: zlib.compress(gzip.compress(data))
    if encoding == "br":
        return pytest.importorskip("brotli", reason="brotli is not installed").compress
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name).compress
        except ImportError:
            continue
    return pytest.importorskip("zstandard", reason="no package for zstd is installed").ZstdCompressor().compress


CHUNKS = [
    {"id": "1", "choices": [{"delta": {"content": "Four."}}]},
    {"id": "1", "choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 64}}},
]  # fmt: skip
EVENTS = b"".join(b"data: %s\n\n" % json.dumps(chunk).encode() for chunk in CHUNKS) + b"data: [DONE]\n\n"


@pytest.mark.parametrize("hide", [False, True], ids=["shown", "hidden"])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw deflate", "gzip, deflate", "br", "zstd"])
def test_encodings(library, provider, kit, probing, records, probed, encoding, hide):
    body = packed(encoding)(EVENTS)
    name = encoding.removeprefix("raw ")
    pieces = (*[5] * (len(body) // 5), len(body) % 5)
    provider.reply(Reply(body, 200, "text/event-stream", {"content-encoding": name}, pieces))
    with library.Client(base_url=provider.base_url) as client:
        (probing if hide else kit).attach(client)
        response = client.post("/v1/chat/completions", json={**BODY, "stream": True})
    assert (b'"usage"' in response.content) is not hide
    assert response.content.endswith(b"data: [DONE]\n\n")
    settled(probed if hide else records, "openai.chat")


def test_an_encoding_nobody_knows(library, provider, kit, records):
    provider.reply(Reply(b"???", 200, "application/json", {"content-encoding": "rot13"}))
    with library.Client(base_url=provider.base_url) as client:
        kit.attach(client)
        assert client.post("/v1/chat/completions", json=BODY).content == b"???"
    assert only(records).status == "unverified"


def test_answers_of_a_mock_transport(library, kit, records):
    answer = {"usage": {"prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 64}}}
    transport = library.MockTransport(lambda request: library.Response(200, json=answer))
    with library.Client(transport=transport, base_url="https://api.openai.com/v1") as client:
        kit.attach(client)
        assert client.post("/chat/completions", json=BODY).json() == answer
    settled(records, "openai.chat", platform="openai")


def test_a_one_shot_body_is_sent_and_counted(http, kit, provider):
    raw = json.dumps(BODY).encode()
    http.post("/v1/chat/completions", content=iter([raw[:10], raw[10:]]), headers={"content-type": "application/json"})
    assert provider.requests[0].body == raw
    (record,) = kit.ledger.records()
    assert record.status == "unmetered"


def test_a_redirect_that_is_not_followed(http, provider, records):
    provider.behave(redirects=1)
    response = http.post("/v1/chat/completions", json=BODY)
    assert response.status_code == 307
    del response
    collected(records)
    assert only(records).status == "failed"


def test_a_digest_of_two_requests_counts_what_was_answered(library, provider, kit, records):
    """Authentication sends the request again: the refusal is an attempt, the answer another."""
    provider.reply(Reply(b"{}", 401, headers={"www-authenticate": 'Digest realm="x", nonce="y", qop="auth"'}))
    with library.Client(base_url=provider.base_url, auth=library.DigestAuth("user", "secret")) as client:
        kit.attach(client)
        client.post("/v1/chat/completions", json=BODY)
    assert [(r.status, r.http_status) for r in records] == [("failed", 401), ("settled", 200)]


def test_the_platform_can_be_named(library, provider, kit, records):
    with library.Client(base_url=provider.base_url) as client:
        kit.attach(client, platform="vllm")
        client.post("/v1/chat/completions", json=BODY)
    settled(records, "openai.chat", platform="vllm")


@pytest.mark.parametrize(
    ("path", "body", "dialect"),
    [
        ("/v1/messages", {"model": "claude-opus-4-8", "max_tokens": 9, "messages": MESSAGES}, "anthropic.messages"),
        ("/v1/responses", {"model": "gpt-4o", "input": "x"}, "openai.responses"),
        ("/v1beta/models/gemini-2.5-flash:generateContent", {"contents": [{"parts": [{"text": "x"}]}]}, "gemini.generate"),
        (
            "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
            {"contents": [{"parts": [{"text": "x"}]}]},
            "gemini.generate",
        ),
        ("/model/amazon.nova-lite-v1%3A0/converse", {"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "bedrock.converse"),
        ("/model/amazon.nova-lite-v1%3A0/converse-stream", {"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "bedrock.converse"),
        (
            "/model/amazon.nova-lite-v1%3A0/invoke-with-response-stream",
            {"messages": [{"role": "user", "content": [{"text": "x"}]}]},
            "bedrock.invoke",
        ),
    ],
)  # fmt: skip
def test_every_format_over_plain_http(http, records, path, body, dialect):
    http.post(path, json=body)
    settled(records, dialect)


def test_gemini_streams_a_json_array_when_nobody_asks_for_events(http, provider, records):
    usage = {"promptTokenCount": 100, "cachedContentTokenCount": 64, "candidatesTokenCount": 20, "totalTokenCount": 120}
    parts = [
        {"candidates": [{"content": {"parts": [{"text": "Four."}]}}]},
        {"candidates": [{"finishReason": "STOP"}], "usageMetadata": usage},
    ]
    provider.reply(json.dumps(parts).encode())
    http.post("/v1beta/models/gemini-2.5-flash:streamGenerateContent", json={"contents": []})
    settled(records, "gemini.generate", stream=True)


def test_housekeeping_is_left_alone(http, kit):
    http.get("/v1/models")
    http.post("/v1/files", content=b"x")
    http.post("/v1/messages/count_tokens", json={})
    assert list(kit.ledger.records()) == []


@pytest.mark.parametrize("client", [object(), "https://api.openai.com", print])
def test_other_clients_are_refused(kit, client):
    with pytest.raises(UnsupportedClientError, match=r"kit\.plan"):
        kit.attach(client)

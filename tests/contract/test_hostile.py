"""Hostile upstreams and careless callers: the SDK gives what it gives without ctxkit, and the attempt is settled once."""

from __future__ import annotations

import asyncio
import gc
import gzip
import http.server
import json
import threading
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import pytest

from ctxkit import Kit, Policy
from ctxkit.metering.ledger import Ledger
from ctxkit.testing import capture
from tests.contract.shared import MESSAGES, collected, only

openai = pytest.importorskip("openai", reason="the OpenAI SDK is not installed")

USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}


def event(text: str | None = None, **more: object) -> bytes:
    choices = [] if text is None else [{"index": 0, "delta": {"content": text}, "finish_reason": None}]
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o", "choices": choices, **more}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


STREAM = event("a") + event("b") + event(usage=USAGE) + b"data: [DONE]\n\n"
WHOLE = json.dumps(
    {"id": "i", "object": "chat.completion", "created": 1, "model": "gpt-4o", "choices": [], "usage": USAGE}
)


def bomb() -> bytes:
    """70 MB in 70 KB."""
    codec = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return codec.compress(b": " + b"a" * 70_000_000 + b"\n\n" + STREAM) + codec.flush()


PACKED = gzip.compress(STREAM)
ENCODED = {
    "broken gzip": ("gzip", PACKED[:20] + b"XXXXXXXX" + PACKED[28:]),
    "no gzip at all": ("gzip", STREAM),
    "cut gzip": ("gzip", PACKED[:-9]),
    "gzip twice": ("gzip, gzip", gzip.compress(PACKED)),
    "an encoding nobody knows": ("rot13", STREAM),
}
BODIES = {
    "nothing": b"",
    "no terminator": event("a") + event(usage=USAGE),
    "cut inside an event": event("a") + event("b")[:30],
    "cut inside a character": event("a") + 'data: "é'.encode()[:-1],
    "broken JSON": b"data: {broken\n\n" + STREAM,
    "lists, numbers, null": b"data: [1]\n\ndata: 1\n\ndata: null\n\n" + STREAM,
    "no events": b"\x00\xff\xfe" * 1_000,
    "CR alone": STREAM.replace(b"\n", b"\r"),
    "an event of 10 MB": event("z" * 10_000_000) + STREAM,
    "an event of 20 MB": event("z" * 20_000_000) + STREAM,
    "JSON where a stream was asked": WHOLE.encode(),
    "nested too deeply": b'data: {"usage": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n\n" + STREAM,
    "an error without end": b'data: {"error": {"message": "no", "code": {"a": ["b"]}}}\n\n',
}


class Upstream(http.server.ThreadingHTTPServer):
    """Answers every request with the bytes it is told to."""

    daemon_threads = True
    request_queue_size = 500
    status = 200
    body = b""
    headers: Mapping[str, str] = MappingProxyType({})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Upstream

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(self.server.status)
        for name, value in {"content-type": "text/event-stream", **self.server.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    gc.freeze()  # as in conftest
    with Upstream(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(params=[False, True], ids=["observing", "probing"])
def lenient(request) -> Iterator[Kit]:
    """A kit that is not strict; it may ask for usage."""
    kit = Kit(Policy(usage_probe=request.param))
    yield kit
    kit.close()


def outcome(upstream, *, kit=None, stream=True):
    """What the caller sees: the texts of a stream, or the types of the error and of what caused it."""
    try:
        with openai.OpenAI(base_url=upstream.url, api_key="none", max_retries=0) as client:
            chat = (kit.wrap(client) if kit else client).chat.completions
            answer = chat.create(model="gpt-4o", messages=MESSAGES, stream=stream)
            if not stream:
                return repr(answer)
            return [chunk.choices[0].delta.content if chunk.choices else None for chunk in answer]
    except Exception as error:
        kinds = [type(error)]
        while (error := error.__cause__ or error.__context__) is not None:
            kinds.append(type(error))
        return kinds


def unseen(outcome, kit):
    """Without the chunk that carries usage, which a probing kit hides."""
    return (
        [text for text in outcome if text is not None]
        if kit.policy.usage_probe and isinstance(outcome, list)
        else outcome
    )


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("body", [pytest.param(n, marks=pytest.mark.slow) if "MB" in n else n for n in BODIES])
def test_bodies(upstream, lenient, body):
    upstream.body = BODIES[body]
    with capture(lenient) as records:
        assert unseen(outcome(upstream, kit=lenient), lenient) == unseen(outcome(upstream), lenient)
        collected(records)
    assert only(records).http_status == 200
    assert not [key for key in lenient.faults.counts if "Error" in key], lenient.faults.counts


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("encoded", ENCODED)
def test_encodings(upstream, lenient, encoded):
    """Where the kit decodes in place of the client, broken data are the client's own error all the same."""
    encoding, upstream.body = ENCODED[encoded]
    upstream.headers = {"content-encoding": encoding}
    with capture(lenient) as records:
        assert unseen(outcome(upstream, kit=lenient), lenient) == unseen(outcome(upstream), lenient)
        collected(records)
    only(records)


@pytest.mark.slow
def test_what_inflates_without_measure(upstream, lenient, monkeypatch):
    """The client takes it whole; so does a kit that decodes for it, and a kit that only looks stops looking."""
    # The bound is one chunk's, and how the bytes are cut into chunks is the network's affair: any cut is too large.
    monkeypatch.setattr("ctxkit.integrations.reading.LARGEST", 1 << 20)
    upstream.body, upstream.headers = bomb(), {"content-encoding": "gzip"}
    with capture(lenient) as records:
        assert outcome(upstream, kit=lenient) == (["a", "b"] if lenient.policy.usage_probe else ["a", "b", None])
    assert only(records).status == ("settled" if lenient.policy.usage_probe else "partial")


@pytest.mark.parametrize("status", [201, 204, 206, 299, 300, 302, 304, 399, 400, 418, 599, 999])
def test_statuses(upstream, lenient, status):
    upstream.status, upstream.body, upstream.headers = status, b"", {"content-length": "0"}
    with capture(lenient) as records:
        assert outcome(upstream, kit=lenient, stream=False) == outcome(upstream, stream=False)
        collected(records)
    record = only(records)
    assert record.http_status == status
    assert (record.status == "failed") is (status >= 400)


def test_an_answer_that_is_dropped_unread_settles(upstream, lenient):
    """The pool of the HTTP client goes on holding its connection, and with it the request."""
    upstream.body = STREAM
    client = lenient.wrap(openai.OpenAI(base_url=upstream.url, api_key="none", max_retries=0))
    with capture(lenient) as records:
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
        collected(records)
        assert only(records).status == "partial"
        client.close()
    only(records)


def test_two_kits_on_one_client_each_settle_once(upstream, lenient):
    upstream.body = STREAM
    second = Kit(strict=True)
    with capture(lenient) as first_records, capture(second) as second_records:
        with openai.OpenAI(base_url=upstream.url, api_key="none") as client:
            for kit in (lenient, second, lenient, second):
                assert kit.wrap(client) is client
            list(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True))
    assert only(first_records).status == only(second_records).status == "settled"
    second.close()


async def collected_here(records, wanted):
    """As ``collected``, on the loop: a generator that another thread finalises breaks in httpx itself."""
    for _ in range(500):
        gc.collect()
        if len(records) >= wanted:
            return
        await asyncio.sleep(0.01)


@pytest.mark.slow
async def test_200_streams_at_once_of_which_some_are_cancelled(upstream, lenient):
    upstream.body = STREAM
    left = Counter()

    async def ask(client, number):
        stream = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
        async for _ in stream:
            if number % 4 == 1:
                asyncio.current_task().cancel()
                await asyncio.sleep(0)
        left[number % 4] += 1

    with capture(lenient) as records:
        async with openai.AsyncOpenAI(base_url=upstream.url, api_key="none", max_retries=0) as client:
            lenient.wrap(client)
            done = await asyncio.gather(*(ask(client, n) for n in range(200)), return_exceptions=True)
        await collected_here(records, 200)
    assert [type(one) for one in done if one is not None] == [asyncio.CancelledError] * 50
    assert len({record.attempt for record in records}) == len(records) == 200
    assert {record.number for record in records} == {1}
    assert sum(record.status == "settled" for record in records) >= 150


async def test_who_is_cancelled_while_the_ledger_syncs_never_asked(upstream, tmp_path, monkeypatch):
    kit = Kit(ledger=Ledger(tmp_path / "ledger.db", sync="full"), strict=True)

    async def cut(_):
        raise asyncio.CancelledError

    monkeypatch.setattr(kit, "asent", cut)
    with capture(kit) as records:
        async with openai.AsyncOpenAI(base_url=upstream.url, api_key="none") as client:
            with pytest.raises(asyncio.CancelledError):
                await kit.wrap(client).chat.completions.create(model="gpt-4o", messages=MESSAGES)
        await collected_here(records, 1)
    assert (only(records).status, only(records).cost) == ("failed", None)
    kit.close()

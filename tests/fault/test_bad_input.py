"""What comes through the doors broken, foreign or half: passed on as it is, counted, said once."""

from __future__ import annotations

import gzip
import json
import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctxkit import Kit, Policy
from ctxkit.integrations.decoding import decoder
from ctxkit.integrations.reading import Body
from ctxkit.testing import FakeProvider, Reply, capture
from tests.contract.shared import MESSAGES, TOKENS, only

CHAT = {"model": "gpt-4o", "messages": MESSAGES}
STREAM = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
ANSWER = {"id": "x", "choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 20}}
JSON = {"content-type": "application/json"}


@pytest.fixture(params=["httpx", "httpx2"])
def library(request):
    return pytest.importorskip(request.param, reason=f"{request.param} is not installed")


@pytest.fixture
def strict():
    """Bad input is nobody's fault of ours: a strict kit does not raise for it either."""
    kit = Kit(strict=True)
    yield kit
    kit.close()


@pytest.fixture
def records(strict):
    with capture(strict) as seen:
        yield seen


@pytest.fixture
def http(library, provider, strict):
    with library.Client(base_url=provider.base_url) as client:
        strict.attach(client)
        yield client


@pytest.mark.parametrize(
    "raw",
    [b"", b"not json", b'{"model": "gpt-4o"', b"\xff\xfe", b"null", b"[]", b'"x"', b"{}", b'{"messages": 3}'],
    ids=["empty", "text", "cut", "no utf-8", "null", "list", "string", "object", "messages"],
)  # fmt: skip
def test_malformed_requests_go_out_as_they_are_and_are_counted(http, provider, strict, records, raw):
    response = http.post("/v1/chat/completions", content=raw, headers=JSON)
    assert response.status_code == 400 or response.json()
    assert provider.requests[0].body == raw
    (row,) = strict.ledger.records()
    assert row.status in {"unmetered", "failed"}
    assert row.usage is None


def test_a_body_nested_too_deeply_to_be_read(library, strict):
    raw = b'{"messages":' + b"[" * 100_000
    transport = library.MockTransport(lambda request: library.Response(200, content=request.content))
    with library.Client(transport=transport, base_url="https://api.openai.com") as client:
        strict.attach(client)
        assert client.post("/v1/chat/completions", content=raw, headers=JSON).content == raw
    (row,) = strict.ledger.records()
    assert row.status == "unmetered"


@pytest.mark.parametrize("path", ["/v1/audio/speech", "/v1/images/generations", "/v2/rerank", "/v1/videos"])
def test_model_calls_of_other_kinds_are_counted(http, strict, path):
    http.post(path, json={"model": "x"})
    (row,) = strict.ledger.records()
    assert row.status == "unmetered"


@pytest.mark.parametrize(
    "path", ["/", "/v1/unknown", "/chat/completions/x", "/v1/chat/completions/x/cancel", "/%ff%fe", "/v1//"]
)
def test_unknown_paths_are_no_business_of_ours(http, strict, path):
    http.post(path, json=CHAT)
    assert list(strict.ledger.records()) == []


def test_an_unknown_model_is_metered_and_unpriced(http, records):
    http.post("/v1/chat/completions", json={**CHAT, "model": "nobody/knows-this:free"})
    record = only(records)
    assert (record.status, record.usage.output, record.cost) == ("settled", 20, None)


ANSWERS = {
    "html": (b"<html>Bad gateway</html>", "text/html"),
    "text": (b"upstream timed out", "text/plain"),
    "empty": (b"", "application/json"),
    "blanks": (b" \n\t ", "application/json"),
    "half an object": (b'{"id": "x", "usage": {"prompt_', "application/json"),
    "no object": (b"[1, 2]", "application/json"),
    "a number": (b"17", "application/json"),
    "null": (b"null", "application/json"),
    "no utf-8": (b'{"id": "\xff"}', "application/json"),
    "other fields": (b'{"hello": "world"}', "application/json"),
    "odd figures": (b'{"usage": {"prompt_tokens": "many", "completion_tokens": -4}}', "application/json"),
    "usage is a list": (b'{"usage": [1], "choices": 3}', "application/json"),
    "an image": (b"\x89PNG\r\n", "image/png"),
}


@pytest.mark.parametrize(("body", "media_type"), ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize(
    "path",
    ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/models/m:generateContent", "/model/m/converse"],
)
def test_odd_answers_reach_the_caller(http, provider, records, path, body, media_type):
    provider.reply(body, content_type=media_type)
    requests = {**CHAT, "input": "x", "contents": [], "max_tokens": 9}
    assert http.post(path, json=requests).content == body
    record = only(records)
    assert record.status in {"settled", "unverified", "unmetered", "partial"}
    assert record.usage is None or record.usage.fresh is None or record.usage.fresh >= 0


@pytest.mark.parametrize("media_type", ["text/plain", "application/octet-stream", "application/json", ""])
def test_the_body_says_what_it_is_not_the_header(http, provider, records, media_type):
    provider.behave(content_type=media_type)
    http.post("/v1/chat/completions", json=CHAT)
    http.post("/v1/chat/completions", json=STREAM)
    assert [(r.status, r.usage.output) for r in records] == [("settled", 20)] * 2


@pytest.mark.parametrize("kind", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
def test_a_broken_event_is_skipped(http, provider, records, kind):
    provider.behave(fault="broken_stream")
    body = http.post(kind, json={**STREAM, "input": "x", "max_tokens": 9}).content
    assert body
    assert only(records).usage.output == 20, "the events after it are read"


def test_a_broken_event_stream_of_aws(http, provider, records, strict):
    provider.behave(fault="broken_stream")
    assert http.post("/model/amazon.nova-lite-v1:0/converse-stream", json={"messages": []}).content
    assert only(records).status in {"partial", "unverified"}
    assert strict.faults.counts["door: malformed answer"] == 1


def test_a_body_cut_by_the_connection(library, http, provider, records):
    provider.behave(fault="cut")
    with pytest.raises(library.HTTPError):
        http.post("/v1/chat/completions", json=STREAM)
    assert only(records).status == "partial"


@pytest.mark.parametrize("hide", [False, True], ids=["shown", "hidden"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_truncated_gzip(library, provider, stream, hide):
    """The caller sees what it sees without ctxkit: whatever the HTTP client makes of half an answer."""
    provider.behave(fault="truncated_gzip", gzip=True)
    body = {**CHAT, "stream": stream}

    def seen(client):
        try:
            return client.post("/v1/chat/completions", json=body).content
        except library.DecodingError as error:
            return type(error)

    with library.Client(base_url=provider.base_url) as client:
        expected = seen(client)
        provider.clear()
        kit = Kit(Policy(usage_probe=hide), strict=True)
        kit.attach(client)
        with capture(kit) as records:
            found = seen(client)
        kit.close()
    if not hide or not stream:
        assert found == expected
    else:  # other bytes were asked for
        assert found.startswith(b"data: {")
    assert only(records).status in {"partial", "unverified"}


def test_corrupt_gzip(library, http, provider, records):
    packed = bytearray(gzip.compress(json.dumps(ANSWER).encode() * 50))
    packed[12:30] = bytes(18)
    provider.reply(bytes(packed), headers={"content-encoding": "gzip"})
    with pytest.raises(library.DecodingError):
        http.post("/v1/chat/completions", json=CHAT)
    assert only(records).status in {"partial", "unverified"}


def test_a_bomb_is_not_inflated():
    decode = decoder("gzip")
    assert decode is not None
    with pytest.raises(ValueError, match="inflates"):
        decode(gzip.compress(bytes(200 << 20), compresslevel=1))


def test_a_whole_answer_that_is_too_large_to_keep_passes_unread(monkeypatch):
    monkeypatch.setattr("ctxkit.integrations.reading.LARGEST", 1000)
    body = Body("openai.chat", "openai", "application/json")
    pieces = [b'{"x": "', *[b"y" * 400] * 5, b'"}']
    assert [body.feed(piece) for piece in pieces] == pieces
    assert body.result(ended=True) is None
    assert body._kept == [], "nothing is kept of it"


def test_it_is_said_once(http, provider, caplog):
    with caplog.at_level(logging.WARNING, logger="ctxkit"):
        for _ in range(3):
            provider.reply(b'{"half": ')
            http.post("/v1/chat/completions", json=CHAT)
    assert len([record for record in caplog.records if "malformed answer" in record.message]) == 1


def test_errors_inside_a_stream(http, provider, records):
    event = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"x"}}\n\n'
    provider.reply(event, content_type="text/event-stream")
    http.post("/v1/messages", json={**CHAT, "max_tokens": 9, "stream": True})
    assert only(records).status in {"partial", "unverified"}


EVENTS = (
    b'data: {"id":"1","choices":[{"delta":{"content":"na\xc3\xafve\xe2\x80\xa8"}}]}\n\n',
    b": keep-alive\n\n",
    b'event: message\r\ndata: {"id":"1","choices":[]}\r\n\r\n',
    b'data: {"id":"1","choices":[],"usage":{"prompt_tokens":100,"completion_tokens":20}}\n\n',
    b"data: [DONE]\n\n",
)  # fmt: skip


@given(st.lists(st.integers(0, sum(map(len, EVENTS))), max_size=12), st.booleans())
def test_a_stream_reads_alike_however_it_is_cut(cuts, hide):
    whole = b"".join(EVENTS)
    ends = [*sorted(cuts), len(whole)]
    pieces = [whole[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    body = Body("openai.chat", "openai", "text/event-stream", hide_usage=hide)
    shown = b"".join([body.feed(piece) for piece in pieces]) + body.finish()
    assert shown == (b"".join(EVENTS[:3] + EVENTS[4:]) if hide else whole)
    answer = body.result(ended=True)
    assert (answer.complete, answer.usage.fresh, answer.usage.output) == (True, 100, 20)
    assert body.done
    assert body.content


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.binary(max_size=60), max_size=8), st.sampled_from(["", "gzip", "deflate", "br"]), st.booleans())
def test_no_bytes_at_all_can_make_a_reader_lose_any(pieces, encoding, hide):
    """Whatever comes, it goes on; a reader that cannot go on raises, and its door passes the bytes."""
    body = Body("openai.chat", "openai", "text/event-stream", encoding, hide_usage=hide)
    shown = b""
    for piece in pieces:
        try:
            shown += body.feed(piece)
        except Exception:
            return
    shown += body.finish()
    if not body.hides or not encoding:
        assert shown == b"".join(pieces)


bodies = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["model", "messages", "role", "content", "tools", "type", "text", "stream", "stream_options", "input"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    body=bodies,
    path=st.sampled_from(["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/models/m:generateContent"]),
)
def test_any_json_at_all_goes_out_as_it_is(any_client, body, path):
    provider, http = any_client
    raw = json.dumps(body).encode()
    provider.clear()
    http.post(path, content=raw, headers=JSON)
    assert provider.requests[0].body == raw


@pytest.fixture(scope="module")
def any_client():
    library = None
    for name in ("httpx2", "httpx"):
        library = library or pytest.importorskip(name) if name == "httpx" or _installed(name) else library
    kit = Kit(strict=True)
    with FakeProvider(tokens=TOKENS) as provider, library.Client(base_url=provider.base_url) as client:
        yield provider, kit.attach(client)
    kit.close()


def _installed(name):
    import importlib.util

    return importlib.util.find_spec(name) is not None


def test_replies_keep_their_headers_when_nothing_is_hidden(http, provider):
    packed = gzip.compress(json.dumps(ANSWER).encode())
    provider.reply(Reply(packed, 200, "application/json", {"content-encoding": "gzip", "x-request-id": "7"}))
    response = http.post("/v1/chat/completions", json=CHAT)
    assert (response.headers["content-encoding"], response.headers["x-request-id"]) == ("gzip", "7")
    assert response.json() == ANSWER

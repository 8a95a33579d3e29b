"""The proxy of ``ctxkit run``, byte by byte: what arrives at the upstream, what comes back, and who may come in."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
import time
import zlib
from functools import partial

import pytest

from ctxkit import BudgetExceeded, Kit, Policy
from ctxkit.testing import Behaviour, FakeProvider, Reply, capture
from tests.contract.raw import exchange, path_of, proxied, received, reset, upstream
from tests.contract.shared import MESSAGES, TOKENS, only

httpx2 = pytest.importorskip("httpx2")
pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

get, post = partial(httpx2.get, timeout=60), partial(httpx2.post, timeout=60)
BODY = json.dumps({"model": "gpt-4o", "messages": MESSAGES}).encode()
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}"


def asked(url: str, *lines: bytes, body: bytes = b"", method: bytes = b"POST", path: bytes = b"/x") -> bytes:
    head = [method + b" " + path_of(url) + path + b" HTTP/1.1", b"Host: 127.0.0.1", b"Connection: close", *lines]
    if body:
        head.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def told(content: bytes):
    return lambda connection, _request: connection.sendall(content)


def test_a_request_arrives_as_it_was_sent(kit):
    body = os.urandom(300_000)
    lines = (b"X-Twice: 1", b"Accept-Encoding: br;q=1.0, zstd", b"x-twice: 2", b"Authorization: Bearer sk-1")
    with upstream(told(OK)) as there, proxied(kit, there.url) as (_, url):
        exchange(url, asked(url, *lines, b"TE: trailers", b"Keep-Alive: 5", body=body, path=b"/v1/a%2Fb/../c?q=%7e&q"))
    head, _, arrived = there.requests[0].partition(b"\r\n\r\n")
    assert hashlib.sha256(arrived).digest() == hashlib.sha256(body).digest()
    first, *rest = head.split(b"\r\n")
    assert first == b"POST /v1/a%2Fb/../c?q=%7e&q HTTP/1.1"
    assert [line.lower() for line in rest] == [
        b"host: " + there.url.removeprefix("http://").encode(),
        *(line.lower() for line in lines),
        b"content-length: 300000",
    ]


@pytest.mark.parametrize("path", [b"/v1/" + b"a" * 70_000, b"/v1/a?b=[c]|{d}", b"/v1/%zz%", b"//v1//x/./"])
def test_paths_that_are_no_urls_arrive_as_they_came(kit, path):
    with upstream(told(OK)) as there, proxied(kit, there.url) as (_, url):
        assert exchange(url, asked(url, path=path, method=b"GET")).startswith(b"HTTP/1.1 200 OK")
    assert there.requests[0].startswith(b"GET " + path + b" HTTP/1.1\r\n")


def test_what_a_connection_header_names_stays_behind(kit):
    with upstream(told(OK)) as there, proxied(kit, there.url) as (_, url):
        exchange(url, asked(url, b"Connection: x-hop", b"X-Hop: 1", b"X-Stays: 1", method=b"GET"))
    assert b"x-hop" not in there.requests[0].lower()
    assert b"x-stays: 1" in there.requests[0].lower()


def test_an_answer_comes_back_as_it_was_sent(kit):
    squeezed = zlib.compress(os.urandom(100_000))
    headers = (
        b"X-Twice: 1\r\nX-Twice: 2\r\ncontent-encoding: deflate\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nDate: never"
    )
    answer = b"HTTP/1.1 201 Created\r\n%s\r\ncontent-length: %d\r\n\r\n%s" % (headers, len(squeezed), squeezed)
    with upstream(told(answer)) as there, proxied(kit, there.url) as (_, url):
        came = exchange(url, asked(url, method=b"GET"))
    head, _, body = came.partition(b"\r\n\r\n")
    assert body == squeezed
    assert head.split(b"\r\n")[0] == b"HTTP/1.1 201 Created"
    ours = b"connection: close"
    lines = [line.lower() for line in head.split(b"\r\n")[1:] if line.lower() != ours]
    assert lines == [line.lower() for line in (headers + b"\r\ncontent-length: %d" % len(squeezed)).split(b"\r\n")]


@pytest.mark.parametrize(
    ("method", "answer", "status", "body"),
    [
        (b"GET", b"HTTP/1.1 204 No Content\r\nx-a: 1\r\n\r\n", b"204", b""),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\netag: 1\r\n\r\n", b"304", b""),
        (b"HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n", b"200", b""),
        (b"GET", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na", b"200", b"a"),
        (b"GET", b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"200", b"d\r\nuntil the end\r\n0\r\n\r\n"),
        (b"DELETE", b"HTTP/1.1 500 Oh\r\ncontent-length: 3\r\n\r\nbad", b"500", b"bad"),
        (b"GET", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"200", b"3\r\nabc\r\n0\r\n\r\n"),
    ],
)  # fmt: skip
def test_answers_of_every_kind(kit, method, answer, status, body):
    with upstream(told(answer)) as there, proxied(kit, there.url) as (_, url):
        came = exchange(url, asked(url, method=method))
    head, _, rest = came.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == status
    assert rest == body
    if method == b"HEAD":
        assert b"content-length: 1234" in head.lower()


def test_a_connection_is_used_again_on_both_sides(kit):
    def answer(connection, _request):
        for _ in range(3):
            connection.sendall(OK)
            received(connection)

    with upstream(answer) as there, proxied(kit, there.url) as (_, url), httpx2.Client(timeout=60) as client:
        for _ in range(3):
            assert client.get(f"{url}/x").status_code == 200
    assert len(there.requests) == 1  # of the others the second thread knows


def test_who_expects_to_be_asked_on_is_asked_on(kit):
    with upstream(told(OK)) as there, proxied(kit, there.url) as (_, url):
        came = exchange(url, asked(url, b"Expect: 100-continue", body=b"x" * 10))
    assert came.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
    assert there.requests[0].endswith(b"x" * 10)


def test_chunks_of_a_request_are_put_together(kit):
    chunked = b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    with upstream(told(OK)) as there, proxied(kit, there.url) as (_, url):
        exchange(url, asked(url, b"Transfer-Encoding: chunked") + chunked)
    assert there.requests[0].endswith(b"content-length: 11\r\n\r\nhello world") or there.requests[0].endswith(
        b"Content-Length: 11\r\n\r\nhello world"
    )


def test_a_large_request_streams_through_unmetered():
    body = BODY[:-1] + b" " * 1_000_000 + b"}"
    kit = Kit()
    with FakeProvider(tokens=TOKENS) as provider, capture(kit) as records:
        with proxied(kit, provider.openai_url, largest=10_000) as (proxy, url):
            answer = post(f"{url}/v1/chat/completions", content=body)
    assert answer.status_code == 200
    assert hashlib.sha256(provider.requests[0].body).digest() == hashlib.sha256(body).digest()
    assert only(records).status == "unmetered"
    assert proxy.traffic.unread == {"the request is too large to be read": 1}


@pytest.mark.parametrize("accepted", ["gzip", "identity"])
@pytest.mark.parametrize("said", ["no such tool", "no stream_options"])
def test_a_refusal_of_what_was_added_reaches_the_program_or_is_none(accepted, said):
    """A refusal is read by a hook before it is passed on; what is about the addition goes once more without it."""
    kit = Kit(Policy(usage_probe=True), strict=True)
    body, refusal = {**json.loads(BODY), "stream": True}, json.dumps({"error": {"message": said}}).encode()
    with FakeProvider(tokens=TOKENS) as provider, proxied(kit, provider.openai_url) as (_, url):
        provider.behave(gzip=True)
        provider.reply(refusal, status=400)
        answer = post(f"{url}/v1/chat/completions", json=body, headers={"accept-encoding": accepted})
        assert {request.headers["accept-encoding"] for request in provider.requests} == {accepted}
    assert (answer.content == refusal) is (answer.status_code == 400) is (said == "no such tool")


def test_a_fault_in_counting_what_passes_is_not_the_programs(monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("ctxkit.dialects.routing.route", broken)
    kit = Kit()
    with FakeProvider(tokens=TOKENS) as provider, proxied(kit, provider.openai_url) as (_, url):
        assert post(f"{url}/v1/chat/completions", content=BODY).status_code == 200
        assert kit.faults.counts == {"run: ZeroDivisionError": 1, "door: request: ZeroDivisionError": 1}


@pytest.mark.parametrize("name", ["openai.chat", "openai.responses", "anthropic.messages", "gemini.generate"])
@pytest.mark.parametrize(
    "gzip", [pytest.param(False, id="plain", marks=pytest.mark.slow), pytest.param(True, id="gzip")]
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_not_a_byte_differs_in_observe(kit, records, name, gzip, stream):
    paths = {
        "openai.chat": "/v1/chat/completions",
        "openai.responses": "/v1/responses",
        "anthropic.messages": "/v1/messages",
        "gemini.generate": f"/v1beta/models/gemini-2.5-pro:{'streamGenerateContent?alt=sse' if stream else 'generateContent'}",
    }
    content = {
        "openai.chat": {"model": "gpt-4o", "messages": MESSAGES},
        "openai.responses": {"model": "gpt-4o", "input": "2 + 2?"},
        "anthropic.messages": {"model": "claude-sonnet-4-6", "max_tokens": 9, "messages": MESSAGES},
        "gemini.generate": {"contents": [{"role": "user", "parts": [{"text": "2 + 2?"}]}]},
    }[name]
    if name != "gemini.generate" and stream:
        content = {**content, "stream": True}
    body = json.dumps(content, indent=3).encode() + b"\n  "
    with FakeProvider(Behaviour(tokens=TOKENS, gzip=gzip, piece=3, text="Four. \u2028 naïve 漢字")) as provider:
        direct = _raw(provider.base_url + paths[name], body)
        [first] = provider.requests
        provider.clear()  # the answers are numbered
        with proxied(kit, provider.base_url) as (_, url):
            through = _raw(url + paths[name], body)
        [second] = provider.requests
    assert first.body == second.body == body
    own = dict.fromkeys(("host", "connection"), "")  # of each hop
    assert {**first.headers, **own} == {**second.headers, **own}
    assert (first.path, first.query) == (second.path, second.query)
    assert direct == through
    assert direct[0] == 200
    record = only(records)
    assert (record.dialect, record.status) == (name, "unverified" if name == "openai.chat" and stream else "settled")


def _raw(url, body):
    """Status, headers and the bytes as they come."""
    with httpx2.Client(timeout=60, headers={"accept-encoding": "gzip"}) as client:
        with client.stream("POST", url, content=body, headers={"content-type": "application/json"}) as response:
            content = b"".join(response.iter_raw())
    of_a_hop = (b"transfer-encoding", b"date")
    return response.status_code, [item for item in response.headers.raw if item[0].lower() not in of_a_hop], content


def test_every_piece_comes_at_once(kit):
    """The second event is not sent before the first one was read."""
    read = threading.Event()

    def answer(connection, _request):
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        connection.sendall(b'f\r\ndata: {"a":1}\n\n\r\n')
        assert read.wait(30)
        connection.sendall(b'f\r\ndata: {"a":2}\n\n\r\n0\r\n\r\n')

    with upstream(answer) as there, proxied(kit, there.url) as (_, url), httpx2.Client(timeout=60) as client:
        with client.stream("POST", f"{url}/v1/chat/completions", content=BODY, timeout=30) as response:
            pieces = response.iter_raw()
            assert next(pieces) == b'data: {"a":1}\n\n'
            read.set()
            assert b"".join(pieces) == b'data: {"a":2}\n\n'


# ------------------------------------------------------------------ what goes wrong


def test_where_nobody_listens_the_connection_closes_without_an_answer(kit, records):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with proxied(kit, f"http://127.0.0.1:{port}") as (proxy, url):
        assert exchange(url, asked(url, body=BODY, path=b"/v1/chat/completions")) == b""
    assert only(records).status == "failed"
    assert only(records).http_status is None
    [why] = proxy.traffic.unreachable
    assert why.startswith(f"127.0.0.1:{port}: ConnectError, ")


@pytest.mark.parametrize("end", [socket.socket.close, reset], ids=["closed", "reset"])
def test_an_upstream_that_goes_away_without_an_answer(kit, records, end):
    with upstream(lambda connection, _request: end(connection)) as there, proxied(kit, there.url) as (_, url):
        assert exchange(url, asked(url, body=BODY, path=b"/v1/chat/completions")) == b""
    assert (only(records).status, only(records).http_status) == ("failed", None)


@pytest.mark.parametrize("end", [socket.socket.close, reset], ids=["closed", "reset"])
def test_an_answer_that_is_cut_is_cut(kit, records, end):
    def answer(connection, _request):
        connection.sendall(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"id"')
        time.sleep(0.1)
        end(connection)

    with upstream(answer) as there, proxied(kit, there.url) as (_, url), httpx2.Client(timeout=60) as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            client.post(f"{url}/v1/chat/completions", content=BODY)
    assert only(records).status == "partial"


def test_who_goes_away_ends_the_request_upstream(kit, records):
    """In the middle of a stream: the upstream's connection is closed, and the attempt settles as incomplete."""
    gone = threading.Event()

    def answer(connection, _request):
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        connection.sendall(b'f\r\ndata: {"a":1}\n\n\r\n')
        if not connection.recv(1):
            gone.set()

    with upstream(answer) as there, proxied(kit, there.url) as (proxy, url), httpx2.Client(timeout=60) as client:
        with client.stream("POST", f"{url}/v1/chat/completions", content=BODY) as response:
            next(response.iter_raw())
        assert gone.wait(10)
    assert (only(records).status, only(records).http_status) == ("partial", 200)
    assert proxy.traffic.abandoned == 1


def test_who_goes_away_before_the_answer_ends_the_request_upstream(kit, records):
    gone = threading.Event()

    def answer(connection, _request):
        if not connection.recv(1):
            gone.set()

    with upstream(answer) as there, proxied(kit, there.url) as (proxy, url), httpx2.Client(timeout=60) as client:
        with pytest.raises(httpx2.ReadTimeout):
            client.post(f"{url}/v1/chat/completions", content=BODY, timeout=1)
        assert gone.wait(10)
    assert (only(records).status, only(records).http_status) == ("failed", None)
    assert proxy.traffic.abandoned == 1


def test_redirects_are_the_programs(kit, records):
    with FakeProvider(Behaviour(redirects=1, tokens=TOKENS)) as provider, proxied(kit, provider.base_url) as (_, url):
        with httpx2.Client(timeout=60, follow_redirects=False) as client:
            first = client.post(f"{url}/v1/chat/completions", content=BODY)
        assert first.status_code == 307
        assert first.headers["location"] == f"{url}/v1/chat/completions?redirected=1"
        assert post(first.headers["location"], content=BODY).status_code == 200
    assert [(record.status, record.http_status) for record in records][1] == ("settled", 200)


@pytest.mark.parametrize(
    ("location", "becomes"),
    [
        ("/v1/other", "{url}/v1/other"),
        ("{upstream}/v1/other", "{url}/v1/other"),
        ("{upstream}", "{url}"),
        ("{upstream}.evil.example/v1", "{upstream}.evil.example/v1"),
        ("//elsewhere.example/v1", "//elsewhere.example/v1"),
        ("https://elsewhere.example/v1", "https://elsewhere.example/v1"),
        ("other", "other"),
    ],
)
def test_redirects_to_the_same_host_come_by_again(kit, location, becomes):
    places: dict[str, str] = {}

    def answer(connection, _request):
        to = location.format(upstream=places["upstream"])
        connection.sendall(f"HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n".encode())

    with upstream(answer) as there, proxied(kit, there.url) as (_, url):
        places["upstream"] = there.url
        came = get(f"{url}/v1/x", follow_redirects=False)
    assert came.headers["location"] == becomes.format(url=url, upstream=there.url)


def test_what_an_sdk_sends_again_is_one_request(kit, records):
    with FakeProvider(Behaviour(failures=2, tokens=TOKENS)) as provider, proxied(kit, provider.base_url) as (_, url):
        for status in (503, 503, 200, 200):
            assert post(f"{url}/v1/chat/completions", content=BODY).status_code == status
    assert [(record.status, record.number) for record in records] == [
        ("failed", 1), ("failed", 2), ("settled", 3), ("settled", 1),
    ]  # fmt: skip
    assert len({record.operation for record in records}) == 2


# ------------------------------------------------------------------ who may come in


def test_without_the_secret_there_is_nothing(kit, records):
    with FakeProvider() as provider, proxied(kit, provider.base_url) as (proxy, url):
        port = proxy.base.split("/")[2]
        secret = proxy.base.rpartition("/")[2]
        for path in ("", "/", "/openai/v1/models", f"/{secret}", f"/{secret}/", f"/{secret[:-1]}/openai/v1/models",
                     f"/{secret}x/openai/v1/models", f"/{secret}/nobody/v1/models", f"//{secret}/openai/v1/models"):  # fmt: skip
            assert get(f"http://{port}{path}").status_code == 404, path
        assert get(f"{url}/v1/models").status_code == 200
    assert len(provider.requests) == 1
    assert len(secret) >= 32


def test_another_host_is_refused(kit):
    """A web page that makes its own name mean 127.0.0.1 still says its name."""
    with FakeProvider() as provider, proxied(kit, provider.base_url) as (_, url):
        for host, status in (("evil.example", 400), ("127.0.0.1.evil.example:80", 400), ("localhost", 200)):
            assert get(f"{url}/v1/models", headers={"host": host}).status_code == status
    assert len(provider.requests) == 1


def test_it_listens_on_the_loopback_only(kit):
    with FakeProvider() as provider, proxied(kit, provider.base_url) as (proxy, _):
        assert proxy._socket.getsockname()[0] == "127.0.0.1"
        assert proxy._socket.proto == socket.IPPROTO_TCP  # else answers would wait for 40 ms
        other = {here[4][0] for here in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {"127.0.0.1"}
        for address in other:
            if not address.startswith("127."):
                with pytest.raises(OSError):
                    socket.create_connection((address, proxy._socket.getsockname()[1]), timeout=2).close()


def test_no_key_and_no_content_is_written_anywhere(home, caplog, capfd):
    caplog.set_level(0)
    kit = Kit(store=home / "store", ledger=home / "ledger.db", strict=True)
    words = (b"sk-very-secret", b"what is in the prompt", b"AIza-key-in-the-query", b"said by the model")
    body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": words[1].decode()}]})
    with FakeProvider(text="said by the model", tokens=TOKENS) as provider:
        with proxied(kit, provider.base_url) as (_, url):
            headers = {"authorization": "Bearer sk-very-secret"}
            post(f"{url}/v1/chat/completions?key=AIza-key-in-the-query", content=body, headers=headers)
            post(f"{url}/v1/else?key=AIza-key-in-the-query", content=body, headers=headers)
        provider.close()
        with proxied(kit, "http://127.0.0.1:1") as (proxy, url), pytest.raises(httpx2.RemoteProtocolError):
            post(f"{url}/v1/chat/completions?key=AIza-key-in-the-query", content=body, headers=headers)
    kit.close()
    out, err = capfd.readouterr()
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith(("ctxkit", "uvicorn")))
    written = b"".join(file.read_bytes() for file in home.rglob("*") if file.is_file())
    for word in words:
        assert word not in written
        assert word.decode() not in out + err + ours + str(proxy.traffic)


# ------------------------------------------------------------------ going further


def test_a_mode_that_changes_requests_changes_them():
    kit = Kit(Policy(mode="cache"), strict=True)
    body = {"model": "gpt-4o", "messages": MESSAGES, "stream": True}
    with FakeProvider(Behaviour(tokens=TOKENS, gzip=True)) as provider, capture(kit) as records:
        with proxied(kit, provider.base_url) as (_, url):
            answer = post(f"{url}/v1/chat/completions", json=body)
    assert provider.requests[0].json["stream_options"] == {"include_usage": True}
    assert b'"choices":[]' not in answer.content
    assert answer.content.endswith(b"data: [DONE]\n\n")
    assert only(records).status == "settled"


def test_a_spent_budget_is_an_answer_that_is_not_asked_again(kit, monkeypatch):
    async def refuse(*_args, **_options):
        raise BudgetExceeded("support-chat has spent its 5 USD of today")

    monkeypatch.setattr(kit, "aplan", refuse)
    with FakeProvider() as provider, proxied(kit, provider.base_url) as (_, url):
        answer = post(f"{url}/v1/chat/completions", content=BODY)
    assert (answer.status_code, answer.headers["x-should-retry"]) == (429, "false")
    assert "5 USD" in answer.text
    assert provider.requests == []


def test_a_fault_of_ours_lets_the_request_pass(monkeypatch):
    kit = Kit()

    async def fail(*_args, **_options):
        raise RuntimeError("a bug")

    monkeypatch.setattr(kit, "aplan", fail)
    with FakeProvider() as provider, proxied(kit, provider.base_url) as (_, url):
        assert post(f"{url}/v1/chat/completions", content=BODY).status_code == 200
    assert kit.faults.counts


def test_a_signed_request_is_forwarded_as_it_came():
    """The signature is for our host, so the provider refuses it; not a byte of it is ours to change."""
    authorization = "AWS4-HMAC-SHA256 Credential=AKIA/20261121/us-east-1/bedrock/aws4_request, Signature=abc"
    kit = Kit(Policy(mode="cache"))
    with capture(kit) as records, FakeProvider() as provider, proxied(kit, provider.base_url) as (proxy, url):
        provider.reply(Reply(b'{"message":"The request signature does not match"}', 403))
        body = json.dumps({"messages": [{"role": "user", "content": [{"text": "hi"}]}]}).encode()
        answer = post(
            f"{url}/model/anthropic.claude-sonnet-4-6/converse", content=body, headers={"authorization": authorization}
        )
    assert answer.status_code == 403
    assert provider.requests[0].body == body
    assert provider.requests[0].headers["authorization"] == authorization
    assert sum(proxy.traffic.unread.values()) == 1
    assert [(record.status, record.model) for record in records] == [("unmetered", "signed")]


def test_a_header_names_the_feature_and_stays_behind(kit, records):
    from ctxkit import feature

    with FakeProvider(tokens=TOKENS) as provider, feature("tool"):
        with proxied(kit, provider.base_url, within=feature) as (_, url):
            post(f"{url}/v1/chat/completions", content=BODY, headers={"x-ctxkit-feature": "search"})
            post(f"{url}/v1/chat/completions", content=BODY)
    assert [record.feature for record in records] == ["tool/search", "tool"]
    assert "x-ctxkit-feature" not in provider.requests[0].headers


def test_idle_connections_to_the_upstream_are_kept_alive(kit, monkeypatch):
    from asyncio.trsock import TransportSocket

    said = []
    monkeypatch.setattr(TransportSocket, "setsockopt", lambda _self, *option: said.append(option))
    with upstream(told(OK)) as there, proxied(kit, there.url) as (_, url):
        assert get(f"{url}/x").status_code == 200
    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in said


UPGRADE = (b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Key: abc")


def test_websockets_pass_unread(kit, records):
    def answer(connection, _request):
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-A: 1\r\n\r\nhello"
        )
        while data := connection.recv(65536):
            connection.sendall(data.upper())
            if data.endswith(b"bye"):
                break

    with upstream(answer) as there, proxied(kit, there.url) as (proxy, url):
        host, port = url.split("/")[2].split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            head = [b"GET " + path_of(url) + b"/v1/realtime?model=x HTTP/1.1", b"Host: 127.0.0.1", *UPGRADE]
            connection.sendall(b"\r\n".join(head) + b"\r\n\r\nearly ")
            came = b""
            while not came.endswith(b"helloEARLY "):
                came += connection.recv(65536) or pytest.fail("closed")
            for word in (b"x" * 300_000, b"bye"):
                connection.sendall(word)
            rest = b""
            while piece := connection.recv(65536):
                rest += piece
    assert came.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"X-A: 1\r\n" in came
    assert rest == b"X" * 300_000 + b"BYE"
    asked_there = there.requests[0].lower()
    assert asked_there.startswith(b"get /v1/realtime?model=x http/1.1")
    assert b"upgrade: websocket" in asked_there
    assert b"sec-websocket-key: abc" in asked_there
    assert (only(records).status, only(records).model) == ("unmetered", "websocket")
    assert proxy.traffic.unread == {"websockets pass unread": 1}


def test_a_websocket_that_is_refused(kit):
    refusal = b"HTTP/1.1 426 Upgrade Required\r\ncontent-length: 2\r\n\r\nno"
    with upstream(told(refusal)) as there, proxied(kit, there.url) as (_, url), httpx2.Client(timeout=60) as client:
        answer = client.get(f"{url}/v1/responses", headers=[tuple(line.split(b": ")) for line in UPGRADE])
    assert (answer.status_code, answer.content) == (426, b"no")


def test_the_program_ends_its_websocket(kit):
    gone = threading.Event()

    def answer(connection, _request):
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        if not connection.recv(1):
            gone.set()

    with upstream(answer) as there, proxied(kit, there.url) as (_, url):
        host, port = url.split("/")[2].split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(
                b"\r\n".join([b"GET " + path_of(url) + b"/x HTTP/1.1", b"Host: 127.0.0.1", *UPGRADE, b"", b""])
            )
            assert connection.recv(65536).startswith(b"HTTP/1.1 101")
        assert gone.wait(10)


def test_the_upstream_is_reached_through_the_users_proxy(kit, records, monkeypatch):
    with FakeProvider(tokens=TOKENS) as provider:
        monkeypatch.setenv("HTTP_PROXY", provider.proxy_url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        with proxied(kit, "http://api.x.ai") as (_, url), httpx2.Client(timeout=60, trust_env=False) as client:
            assert client.post(f"{url}/v1/chat/completions?a=%7e", content=BODY).status_code == 200
    assert (provider.requests[0].host, provider.requests[0].path) == ("api.x.ai", "/v1/chat/completions")
    assert only(records).platform == "xai"

"""The proxy towards an upstream that speaks HTTP/2 and TLS: what the program sees is the same."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctxkit.testing import capture
from tests.contract.raw import proxied
from tests.contract.shared import MESSAGES, only

httpx2 = pytest.importorskip("httpx2")
pytest.importorskip("uvicorn")
pytest.importorskip("starlette")
h2 = pytest.importorskip("h2", reason="HTTP/2 needs httpx2[http2]")

BODY = json.dumps({"model": "gpt-4o", "messages": MESSAGES}).encode()
USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
ANSWER = json.dumps({"id": "c", "model": "gpt-4o", "choices": [], "usage": USAGE}).encode()


class Http2:
    """An upstream that speaks HTTP/2 alone: ``how`` says what becomes of each stream."""

    def __init__(self, context: ssl.SSLContext, how: str) -> None:
        self.how = how
        self.requests: list[tuple[list[tuple[bytes, bytes]], bytes]] = []
        self.cancelled = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._context = context
        self.url = f"https://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        from contextlib import suppress

        with suppress(OSError):
            while True:
                raw, _ = self._socket.accept()
                threading.Thread(target=self._talk, args=(raw,), daemon=True).start()

    def _talk(self, raw: socket.socket) -> None:
        from contextlib import suppress

        from h2.config import H2Configuration
        from h2.connection import H2Connection

        with suppress(OSError), self._context.wrap_socket(raw, server_side=True) as connection:
            assert connection.selected_alpn_protocol() == "h2"
            state = H2Connection(H2Configuration(client_side=False, header_encoding=None))
            state.initiate_connection()
            connection.sendall(state.data_to_send())
            asked: dict[int, tuple[list[tuple[bytes, bytes]], bytearray]] = {}
            while data := connection.recv(65536):
                for event in state.receive_data(data):
                    self._on(event, state, asked)
                connection.sendall(state.data_to_send())
        self.cancelled.set()

    def _on(self, event, state, asked) -> None:
        name = type(event).__name__
        if name == "RequestReceived":
            asked[event.stream_id] = (event.headers, bytearray())
        elif name == "DataReceived":
            asked[event.stream_id][1].extend(event.data)
            state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif name == "StreamReset":
            self.cancelled.set()
        elif name == "StreamEnded":
            headers, body = asked[event.stream_id]
            self.requests.append((headers, bytes(body)))
            self._answer(state, event.stream_id)

    def _answer(self, state, stream: int) -> None:
        if self.how == "reset":
            state.reset_stream(stream, 2)
            return
        told = [(":status", "200"), ("content-type", "application/json"), ("x-twice", "1"), ("x-twice", "2")]
        state.send_headers(stream, told)
        if self.how == "cut":
            state.send_data(stream, ANSWER[:10])
            state.reset_stream(stream, 2)
        elif self.how == "endless":
            state.send_data(stream, ANSWER[:10])
        else:
            state.send_data(stream, ANSWER, end_stream=True)


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate for 127.0.0.1, which the environment says is to be trusted."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    context.set_alpn_protocols(["h2"])
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(tmp_path / "cert.pem"))
    return context


@pytest.fixture
def upstream(tls: ssl.SSLContext, request: pytest.FixtureRequest) -> Iterator[Http2]:
    running = Http2(tls, request.param)
    yield running
    running._socket.close()


@pytest.mark.parametrize("upstream", ["well"], indirect=True)
def test_a_request_and_its_answer(kit, records, upstream):
    with proxied(kit, upstream.url, http2=True) as (_, url), httpx2.Client(timeout=60) as client:
        for _ in range(2):
            answer = client.post(f"{url}/v1/chat/completions?a=%7e", content=BODY, headers={"x-own": "1"})
            assert (answer.status_code, answer.content) == (200, ANSWER)
            assert answer.headers.get_list("x-twice") == ["1", "2"]
    headers, body = upstream.requests[0]
    assert body == BODY
    assert (b":path", b"/v1/chat/completions?a=%7e") in headers
    assert (b"x-own", b"1") in headers
    assert [record.status for record in records] == ["settled", "settled"]


@pytest.mark.parametrize(("upstream", "status"), [("reset", "failed"), ("cut", "partial")], indirect=["upstream"])
def test_a_stream_that_is_reset_fails_as_a_connection_does(kit, records, upstream, status):
    with proxied(kit, upstream.url, http2=True) as (_, url), httpx2.Client(timeout=60) as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            client.post(f"{url}/v1/chat/completions", content=BODY)
    assert only(records).status == status


@pytest.mark.parametrize("upstream", ["endless"], indirect=True)
def test_who_goes_away_ends_the_stream_upstream(kit, upstream):
    with (
        capture(kit) as records,
        proxied(kit, upstream.url, http2=True) as (_, url),
        httpx2.Client(timeout=60) as client,
    ):
        with client.stream("POST", f"{url}/v1/chat/completions", content=BODY) as response:
            next(response.iter_raw())
    assert only(records).status == "partial"
    assert upstream.cancelled.wait(10)


@pytest.mark.parametrize("upstream", ["well"], indirect=True)
def test_a_certificate_that_nobody_trusts(kit, records, upstream, monkeypatch):
    monkeypatch.delenv("NODE_EXTRA_CA_CERTS")
    with proxied(kit, upstream.url, http2=True) as (proxy, url), httpx2.Client(timeout=60) as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            client.post(f"{url}/v1/chat/completions", content=BODY)
    assert only(records).status == "failed"
    assert "CERTIFICATE_VERIFY_FAILED" in next(iter(proxy.traffic.unreachable))

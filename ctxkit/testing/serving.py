"""HTTP/1.1 over a loopback socket: reads whole requests, writes answers as they were asked to be written."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from ctxkit.testing.values import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ctxkit.testing.values import Answered, Behaviour, Reply

__all__ = ["Server"]

_STREAMS = ("text/event-stream", "application/vnd.amazon.eventstream")


class Server(ThreadingHTTPServer):
    """Listens on a free port of 127.0.0.1 and hands each request to ``handle``.

    ``handle`` gives the reply, and the behaviour that says how it is written. One thread per connection.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handle: Callable[[Request], Answered]) -> None:
        """Bind; nothing is accepted before ``serve_forever``."""
        self.handle = handle
        self.closing = threading.Event()
        self.idle = threading.Condition()
        self.connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def close(self) -> None:
        """Stop accepting, break the connections that are open and wait for their threads."""
        self.closing.set()
        self.shutdown()
        with self.idle:
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self.idle.wait_for(lambda: not self.connections, timeout=5)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is nothing to shout about; anything else is."""
        import sys

        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection. The base class is the standard library's only way in."""

    protocol_version = "HTTP/1.1"
    server_version = "ctxkit-fake-provider"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = 1 << 16  # head and body leave in one write
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride] - it is the one given

    def setup(self) -> None:
        with self.server.idle:
            self.server.connections.add(self.request)
        super().setup()

    def finish(self) -> None:
        try:
            with contextlib.suppress(OSError):
                super().finish()
        finally:
            with self.server.idle:
                self.server.connections.discard(self.request)
                self.server.idle.notify_all()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing."""

    def do_POST(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def do_PATCH(self) -> None:
        self._answer()

    def _answer(self) -> None:
        host, target = _target(self.path, self.headers.get("host", ""))
        path, _, query = target.partition("?")
        body = self._body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, path, query, headers, body, _json(body), host, 0)
        answered = self.server.handle(request)
        if not self.server.closing.wait(answered.behaviour.delay):
            answered.begins()
            self._write(answered, "gzip" in headers.get("accept-encoding", ""))

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        return b"".join(iter(self._chunk, b""))

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline().split(b";")[0], 16)
        data = self.rfile.read(size)
        self.rfile.readline()
        return data

    def _write(self, answered: Answered, accepts_gzip: bool) -> None:
        reply, behaviour = answered.reply, answered.behaviour
        content_type = behaviour.content_type or reply.content_type
        streamed = bool(reply.chunks) or content_type.startswith(_STREAMS)
        damaged = _damaged(reply, behaviour)
        squeezed = behaviour.fault == "truncated_gzip" or (behaviour.gzip and accepts_gzip)
        pieces = list(_squeezed(damaged)) if squeezed else list(damaged)
        if behaviour.fault == "truncated_gzip":
            pieces = _half(pieces)
        pieces = pieces if streamed else [b"".join(pieces)]
        size = sum(map(len, pieces))
        if behaviour.fault == "cut":
            pieces, self.close_connection = _half(pieces), True
        self.send_response(reply.status)
        self.send_header("content-type", content_type)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if squeezed:
            self.send_header("content-encoding", "gzip")
        self.send_header(*(("transfer-encoding", "chunked") if streamed else ("content-length", str(size))))
        try:
            self._send(list(_cut(pieces, behaviour.piece)), streamed, behaviour, answered.ends)
        finally:
            answered.ends()

    def _send(self, pieces: list[bytes], chunked: bool, behaviour: Behaviour, ends: Callable[[], None]) -> None:
        """Send head and body; where nothing is to be waited for, in one write."""
        framed = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces] if chunked else pieces
        if chunked and behaviour.fault != "cut":
            framed.append(b"0\r\n\r\n")
        self.end_headers()
        if not behaviour.chunk_delay and behaviour.piece is None:
            framed = [b"".join(framed)]
        for number, piece in enumerate(framed):
            if number and self.server.closing.wait(behaviour.chunk_delay):
                return
            if number == len(framed) - 1:
                ends()
            self.wfile.write(piece)
            self.wfile.flush()


def _target(line: str, host: str) -> tuple[str, str]:
    """Host and path of a request; a client that takes the server for its proxy sends both in the first line."""
    if not line.startswith("http://"):
        return host, line
    authority, slash, rest = line.removeprefix("http://").partition("/")
    return authority, slash + rest


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _damaged(reply: Reply, behaviour: Behaviour) -> Iterator[bytes]:
    """The body in its chunks; under ``broken_stream`` with the second half of the middle one missing."""
    sizes = reply.chunks or (len(reply.body),)
    middle = len(sizes) // 2 if behaviour.fault == "broken_stream" else -1
    start = 0
    for number, size in enumerate(sizes):
        piece = reply.body[start : start + size]
        start += size
        yield _broken(piece) if number == middle else piece


def _broken(piece: bytes) -> bytes:
    """Half of the JSON of an event, the event whole as an event; of anything else a flipped middle byte."""
    if piece.startswith((b"data:", b"event:")):
        return piece[: len(piece) * 2 // 3].rstrip(b"\r\n") + b"\n\n"
    at = len(piece) // 2
    return piece[:at] + bytes([piece[at] ^ 0xFF]) + piece[at + 1 :] if piece else piece


def _squeezed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Gzip, flushed after every piece, as servers that stream do."""
    squeeze = zlib.compressobj(6, zlib.DEFLATED, 31)
    for piece in pieces:
        yield squeeze.compress(piece) + squeeze.flush(zlib.Z_SYNC_FLUSH)
    yield squeeze.flush()


def _half(pieces: list[bytes]) -> list[bytes]:
    """The first half of the bytes."""
    left = sum(map(len, pieces)) // 2
    kept: list[bytes] = []
    for piece in pieces:
        kept.append(piece[:left])
        left -= len(kept[-1])
    return [piece for piece in kept if piece]


def _cut(pieces: list[bytes], size: int | None) -> Iterator[bytes]:
    for piece in pieces:
        if size is None:
            yield piece
        else:
            yield from (piece[at : at + size] for at in range(0, len(piece), size))

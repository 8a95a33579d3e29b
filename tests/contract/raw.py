"""An upstream that answers bytes, cuts connections and waits, as told; and what speaks to a proxy in bytes."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ctxkit import Kit
from ctxkit.integrations.proxy.server import Proxy
from ctxkit.integrations.proxy.upstreams import upstreams


class Upstream:
    """Listens; ``answer(connection, request)`` writes whatever it likes and closes the connection as it likes."""

    def __init__(self, answer: Callable[[socket.socket, bytes], None]) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self.gone = threading.Event()  # set by answers that wait for the other side to go away
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            request = received(connection)
            self.requests.append(request)
            self.answer(connection, request)

    def close(self) -> None:
        self._socket.close()


def received(connection: socket.socket) -> bytes:
    """One request: its head, and the body that ``content-length`` or chunks announce."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536) or _raise()
    head, _, body = data.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head.lower():
        while not body.endswith(b"0\r\n\r\n"):
            body += connection.recv(65536) or _raise()
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            while len(body) < int(value):
                body += connection.recv(65536) or _raise()
    return head + b"\r\n\r\n" + body


def _raise() -> bytes:
    raise ConnectionError


def reset(connection: socket.socket) -> None:
    """Close with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@contextmanager
def upstream(answer: Callable[[socket.socket, bytes], None]) -> Iterator[Upstream]:
    running = Upstream(answer)
    yield running
    running.close()


@contextmanager
def proxied(kit: Kit, url: str, **options: object) -> Iterator[tuple[Proxy, str]]:
    """A proxy before ``url``, and the base URL that leads there through it."""
    with Proxy(kit, upstreams({}, {"openai": url}), **options) as proxy:  # type: ignore[arg-type]
        yield proxy, f"{proxy.base}/openai"


def exchange(url: str, request: bytes) -> bytes:
    """Everything that comes back for the bytes of a request until the connection closes."""
    host, _, port = url.removeprefix("http://").partition("/")[0].partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(request)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                answer += piece
    return answer


def path_of(url: str) -> bytes:
    """The path of a URL."""
    return b"/" + url.removeprefix("http://").partition("/")[2].encode()

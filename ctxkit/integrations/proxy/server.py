"""The server: on the loopback, on a random port, behind a secret, in a thread of its own.

Whoever else runs on this machine may reach the port, and a web page may be made to (DNS rebinding). So a request must
name the loopback as its host and carry the secret of this run in its path; what does not gets a 404 that says nothing.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import socket
import threading
import time
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from ctxkit.integrations.proxy.bodies import LARGEST
from ctxkit.integrations.proxy.clients import Clients
from ctxkit.integrations.proxy.forwarding import Forwarder
from ctxkit.integrations.proxy.traffic import Traffic
from ctxkit.integrations.proxy.upstreams import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from starlette.types import Receive, Scope, Send

    from ctxkit.integrations.proxy.upstreams import Upstream
    from ctxkit.kit import Kit

__all__ = ["Proxy"]

_HEAD = 1 << 20  # bytes of a request's head; providers take less
_IDLE = 86_400  # seconds: a connection ends when the program ends it, as long as it would at the provider's
_GRACE = 2  # seconds for answers that nobody waits for any more
_QUIET = ("uvicorn", "httpx2", "httpcore2")  # they write URLs, which may hold keys


def _nobody(_feature: str) -> AbstractContextManager[None]:
    return contextlib.nullcontext()


class Proxy:
    """Forwards to upstreams and meters what passes; use it in a ``with`` statement.

    Args:
        kit: what plans and settles.
        upstreams: where to, by name.
        within: attributes what is asked inside to a feature (the header ``x-ctxkit-feature``).
        http2: speak HTTP/2 to upstreams that do.
        largest: bytes of a body that is read whole.

    Attributes:
        traffic: what came by.
        base: of its URLs, secret included; add the name of an upstream and a path.
    """

    def __init__(
        self,
        kit: Kit,
        upstreams: tuple[Upstream, ...],
        *,
        within: Callable[[str], AbstractContextManager[Any]] = _nobody,
        http2: bool = False,
        largest: int = LARGEST,
    ) -> None:
        self.traffic = Traffic()
        self._secret = secrets.token_urlsafe(24).encode()
        self._socket = _listening()
        self.base = f"http://{LOOPBACK}:{self._socket.getsockname()[1]}/{self._secret.decode()}"
        self._upstreams = {one.name.encode(): one for one in upstreams}
        self._clients = Clients(kit, http2=http2)
        self._forwarder = Forwarder(self._clients, self.traffic, self.base, within, largest)
        self._server: Any = None
        self._thread: threading.Thread | None = None
        self._levels: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._levels = {name: logging.getLogger(name).level for name in _QUIET}
        for name in _QUIET:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        self._server = self._made()
        self._thread = threading.Thread(target=self._run, name="ctxkit-proxy", daemon=True)
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.002)
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)

    @property
    def strangers(self) -> list[Upstream]:
        """Upstreams that were asked, and of whom neither their host nor the user says who they are."""
        return [one for one in self._upstreams.values() if self._clients.knows(one) and one.stranger]

    def _run(self) -> None:
        import asyncio

        async def serve() -> None:
            try:
                await self._server.serve(sockets=[self._socket])
            finally:
                await self._clients.close()

        asyncio.run(serve())

    def _made(self) -> Any:
        import uvicorn
        from starlette.middleware.trustedhost import TrustedHostMiddleware

        app = TrustedHostMiddleware(self._gate, allowed_hosts=[LOOPBACK, "localhost"], www_redirect=False)
        return uvicorn.Server(
            uvicorn.Config(
                app,
                loop="asyncio",
                http=_protocol(),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=_IDLE,
                timeout_graceful_shutdown=_GRACE,
                h11_max_incomplete_event_size=_HEAD,
            )
        )

    async def _gate(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let in what knows the secret."""
        _, secret, name, path = (*scope["raw_path"].split(b"/", 3), b"", b"", b"")[:4]
        upstream = self._upstreams.get(name) if secrets.compare_digest(secret, self._secret) else None
        if upstream is None:
            from starlette.responses import PlainTextResponse

            self.traffic.refused += 1
            await PlainTextResponse("not found", status_code=404)(scope, receive, send)
            return
        self.traffic.requests += 1
        query = scope["query_string"]
        target = b"/" + path + (b"?" + query if query else b"")
        await self._forwarder.forward(upstream, target, scope, receive, send)


def _listening() -> socket.socket:
    """A socket that says that it is TCP: asyncio switches Nagle's algorithm off for those alone (40 ms an answer)."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind((LOOPBACK, 0))
    return listening


@cache
def _protocol() -> Any:
    """Uvicorn's own HTTP/1.1, whose requests know the connection that they came by: it may have to be closed."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Connection(H11Protocol):
        def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
            super().__init__(config, server_state, {**app_state, "connection": self}, _loop)

    return Connection

"""The HTTP clients that forward: one per upstream, each with the hooks of the kit. The only door to httpx2 here.

Environment proxies and certificates are those of whoever started us. No time-outs: the program has its own, and when
it gives up, so do we. HTTP/1.1, as the SDKs themselves speak it, unless asked otherwise.
"""

from __future__ import annotations

import contextlib
import os
import socket
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctxkit.integrations.httpx_hooks import attach

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ctxkit.integrations.proxy.headers import Headers
    from ctxkit.integrations.proxy.upstreams import Upstream
    from ctxkit.kit import Kit

__all__ = ["Clients"]

_OWN_CERTIFICATES = ("NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Where programs of other kinds are told of further authorities, which now have to hold for us."""


class Clients:
    """HTTP clients by upstream, made on first use in the event loop that uses them.

    Args:
        kit: what plans and settles; stays at hand.
        http2: speak HTTP/2 where the upstream does.
    """

    def __init__(self, kit: Kit, *, http2: bool = False) -> None:
        self.kit = kit
        self._http2 = http2
        self._made: dict[str, Any] = {}
        self._tls: Any = None

    def of(self, upstream: Upstream) -> Any:
        """The client for an upstream."""
        if upstream.name not in self._made:
            client = self._client()
            attach(client, self.kit, otherwise=upstream.platform)
            self._made[upstream.name] = client
        return self._made[upstream.name]

    def knows(self, upstream: Upstream) -> bool:
        """It was asked."""
        return upstream.name in self._made

    def request(
        self, method: str, origin: str, target: bytes, headers: Headers, content: bytes | AsyncIterator[bytes] | None
    ) -> Any:
        """A request that has these headers, this target and this body, and nothing of a client's own."""
        import httpx2

        try:
            url = httpx2.URL(origin + target.decode("ascii"))
        except (httpx2.InvalidURL, UnicodeDecodeError):  # too long, or no URL at all: the upstream says so
            url = httpx2.URL(origin)
        # A URL is normalised when it is parsed ("/a/../b"): on the wire goes what came.
        return httpx2.Request(
            method, url, headers=headers, content=content, extensions={"target": target, "trace": _traced}
        )

    def unmetered(self, upstream: Upstream, kind: str) -> None:
        """Write down that something passed which no hook sees."""
        self.kit.unmetered(upstream.served_by, kind)

    async def close(self) -> None:
        """Let go of all connections."""
        for client in self._made.values():
            await client.aclose()

    def _client(self) -> Any:
        import httpx2

        if self._tls is None:
            self._tls = _tls()
        return httpx2.AsyncClient(
            verify=self._tls,
            http2=self._http2,
            timeout=None,
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=100),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # they are the program's
        )


_KEEP_ALIVE = (
    ("SOL_SOCKET", "SO_KEEPALIVE", 1),
    ("IPPROTO_TCP", "TCP_KEEPIDLE", 60),  # seconds
    ("IPPROTO_TCP", "TCP_KEEPINTVL", 60),
    ("IPPROTO_TCP", "TCP_KEEPCNT", 5),
)
"""Said to every new connection, as the Anthropic SDK does: a router is not to forget it while a long answer is thought of."""


async def _traced(event: str, info: dict[str, Any]) -> None:
    """Httpcore tells what it does; options of a transport of our own would cost the environment's proxies."""
    if event == "connection.connect_tcp.complete":
        opened = info["return_value"].get_extra_info("socket")
        for level, name, value in _KEEP_ALIVE:
            if opened is not None and hasattr(socket, name):
                with contextlib.suppress(OSError):
                    opened.setsockopt(getattr(socket, level), getattr(socket, name), value)


def _tls() -> Any:
    import httpx2

    context = httpx2.create_ssl_context()
    for name in _OWN_CERTIFICATES:
        place = Path(os.environ.get(name, ""))
        with contextlib.suppress(OSError):  # the program will say so, if it minds
            if place.is_file():
                context.load_verify_locations(place)
            elif name in os.environ and place.is_dir():
                context.load_verify_locations(capath=place)
    return context

"""One request on its way: to its upstream, through the hooks of a kit, and its answer back.

What the program sees is what it would have seen without the proxy, as far as HTTP lets it: bodies byte for byte,
compressed as they came, every piece as it comes; status and headers; a connection that breaks where the upstream's did.
Where no answer came at all, the connection is closed without one: SDKs raise their connection error and retry by
their own rules, which an answer of our own (502) would change.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from ctxkit.dialects import routing
from ctxkit.errors import BudgetExceeded
from ctxkit.integrations.exchange import SIGNED, Exchange, guard
from ctxkit.integrations.nesting import nested
from ctxkit.integrations.proxy import headers, tunnel
from ctxkit.integrations.proxy.bodies import Body, GoneError
from ctxkit.integrations.proxy.retries import Retries

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractContextManager

    from starlette.types import Receive, Scope, Send

    from ctxkit.integrations.proxy.clients import Clients
    from ctxkit.integrations.proxy.traffic import Traffic
    from ctxkit.integrations.proxy.upstreams import Upstream

__all__ = ["Forwarder"]


class Forwarder:
    """Forwards requests.

    Args:
        clients: the HTTP client of each upstream, with the hooks of the kit.
        traffic: what is counted.
        base: of the proxy's own URLs, secret included.
        within: attributes what is asked inside to a feature.
        largest: bytes of a body that is read whole.
    """

    def __init__(
        self,
        clients: Clients,
        traffic: Traffic,
        base: str,
        within: Callable[[str], AbstractContextManager[Any]],
        largest: int,
    ) -> None:
        self._clients = clients
        self._traffic = traffic
        self._base = base
        self._within = within
        self._largest = largest
        self._retries = Retries()

    async def forward(self, upstream: Upstream, target: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward one request and its answer.

        Args:
            upstream: where to.
            target: path and query, as they came, without what leads to the upstream.
            scope: of the request (ASGI); ``state`` holds its connection.
            receive: see ASGI.
            send: see ASGI.
        """
        body = Body(receive, self._largest)
        try:
            await body.read()
        except GoneError:
            return
        key = Retries.key(scope["method"].encode(), upstream.name.encode(), target, body.start)
        context = self._retries.context(key)
        failed = partial(self._retries.failed, key, context)
        work = asyncio.create_task(self._pass_on(upstream, target, scope, body, send, failed), context=context)
        gone = asyncio.create_task(body.abandoned())
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:  # the proxy may be stopped meanwhile, too
            self._traffic.abandoned += not work.done()
            await _ended(work)
            await _ended(gone)
        if work.cancelled() or work.exception() is not None:
            failed()
            await _hang_up(scope, receive)

    async def _pass_on(
        self, upstream: Upstream, target: bytes, scope: Scope, body: Body, send: Send, failed: Callable[[], None]
    ) -> None:
        """Send it and hand the answer on; ``failed`` is called before the program can know that it did."""
        request = self._request(upstream, target, scope, body)
        self._count(upstream, target, scope, body)
        feature = headers.value(scope["headers"], headers.FEATURE).decode("utf-8", "replace").strip("/ ")[:200]
        try:
            with self._within(feature) if feature else contextlib.nullcontext(), _as_it_came(scope):
                response = await self._clients.of(upstream).send(request, stream=True)
        except BudgetExceeded as error:
            await _refuse(str(error), send)
            return
        except BaseException as error:
            await _settle_unanswered(request)
            if not isinstance(error, asyncio.CancelledError | GoneError):
                self._traffic.note(self._traffic.unreachable, f"{upstream.host}: {_told(error)}")
            raise
        await _settle_redirect(request, response)
        if response.status_code == 101:
            await tunnel.join(scope["state"]["connection"], response)
            return
        if response.status_code >= 400:
            failed()
        await self._answer(upstream, response, send)

    def _request(self, upstream: Upstream, target: bytes, scope: Scope, body: Body) -> Any:
        upgrade = tunnel.is_upgrade(scope["headers"])
        passing = headers.asked(scope["headers"], upstream.host.encode(), upgrade=upgrade)
        content = body.stream() if body.large else body.start or None
        return self._clients.request(scope["method"], upstream.origin, target, passing, content)

    async def _answer(self, upstream: Upstream, response: Any, send: Send) -> None:
        pieces = _pieces(response)
        raw = headers.answered(response.headers.raw, upstream.origin, f"{self._base}/{upstream.name}")
        async with contextlib.aclosing(pieces):
            try:
                await send({"type": "http.response.start", "status": response.status_code, "headers": raw})
                async for piece in pieces:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            finally:
                await response.aclose()
        await send({"type": "http.response.body", "body": b""})

    def _count(self, upstream: Upstream, target: bytes, scope: Scope, body: Body) -> None:
        """Count what the hooks will leave alone; they meter all else."""
        with guard(self._clients.kit, "run"):
            path = target.partition(b"?")[0].decode("ascii", "replace")
            if tunnel.is_upgrade(scope["headers"]):
                self._traffic.note(self._traffic.unread, "websockets pass unread")
                self._clients.unmetered(upstream, "websocket")
            elif routing.route(path, upstream.host.partition(":")[0], scope["method"]) is None:
                self._traffic.note(self._traffic.passed, f"{scope['method']} {upstream.host}{path}")
            elif body.large:
                self._traffic.note(self._traffic.unread, "the request is too large to be read")
            elif _signed(scope):
                self._traffic.note(self._traffic.unread, "it is signed, for another host: forwarded as it came")
                self._clients.unmetered(upstream, "signed")


def _pieces(response: Any) -> AsyncGenerator[bytes]:
    """The body as it comes; a refusal that a hook has read is there already, and decoded."""
    if not response.is_stream_consumed:
        return cast("AsyncGenerator[bytes]", response.aiter_raw())
    for name in ("content-encoding", "content-length"):
        response.headers.pop(name, None)
    return cast("AsyncGenerator[bytes]", response.aiter_bytes())


def _signed(scope: Scope) -> bool:
    return headers.value(scope["headers"], b"authorization").startswith(SIGNED.encode())


def _as_it_came(scope: Scope) -> AbstractContextManager[None]:
    """Inside, hooks leave alone what is signed: the provider will refuse it, since its signature names our host."""
    return nested() if _signed(scope) else contextlib.nullcontext()


async def _ended(work: asyncio.Task[Any]) -> None:
    """Stop a task that still runs, and wait for its clean-up."""
    if not work.done():
        work.cancel()
    await asyncio.wait([work])


async def _hang_up(scope: Scope, receive: Receive) -> None:
    """Close the connection as it is: with no answer, or in the middle of one."""
    scope["state"]["connection"].transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _refuse(why: str, send: Send) -> None:
    """A budget is spent. SDKs are asked not to try again."""
    told = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-should-retry", b"false")]
    await send({"type": "http.response.start", "status": 429, "headers": told})
    await send({"type": "http.response.body", "body": why.encode()})


async def _settle_unanswered(request: Any) -> None:
    """The hooks of a client do not see a connection fail."""
    exchange = _exchange(request)
    if exchange is not None:
        await exchange.asettle(ended=False)


async def _settle_redirect(request: Any, response: Any) -> None:
    """Redirects are the program's to follow: what it asks there is another request."""
    exchange = _exchange(request) if response.has_redirect_location else None
    if exchange is not None:
        exchange.status = response.status_code
        await exchange.asettle()


def _exchange(request: Any) -> Exchange | None:
    return next((value for value in request.extensions.values() if isinstance(value, Exchange)), None)


def _told(error: BaseException) -> str:
    """What may be said of an error: nothing that a URL or header could be a part of."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return f"{type(error).__name__}, {cause.strerror}"
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__

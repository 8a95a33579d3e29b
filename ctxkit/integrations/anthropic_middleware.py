"""The door of Anthropic's SDK: its own middleware (since 0.108), for the direct API, Bedrock, Vertex and the rest.

The chain runs inside the SDK's retry loop, once per attempt, before the URL is rebuilt for a cloud and before the
request is signed, so every platform looks alike here: ``/v1/messages`` with the model in the body. 4xx and 5xx come
back as responses; a failed connection raises.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING, Any

from ctxkit.dialects import platforms, routing
from ctxkit.errors import UnsupportedClientError
from ctxkit.integrations.anthropic_attempt import TRANSPORT, Attempt
from ctxkit.integrations.anthropic_header import as_asked, keep
from ctxkit.integrations.exchange import guard
from ctxkit.integrations.nesting import is_nested, nested
from ctxkit.integrations.tee import library_of, tee
from ctxkit.integrations.transports import stand_before

if TYPE_CHECKING:
    from ctxkit.integrations.exchange import Exchange
    from ctxkit.kit import Kit
    from ctxkit.model import Json, Plan

__all__ = ["middleware", "wrap"]

_PLATFORMS = {
    "AnthropicBedrock": "bedrock",
    "AnthropicBedrockMantle": "bedrock",
    "AnthropicVertex": "vertex",
    "AnthropicFoundry": "azure",
    "AnthropicAWS": "anthropic",
    "AnthropicGoogleCloud": "anthropic",
}


def wrap(client: Any, kit: Kit, *, platform: str | None = None) -> Any:
    """A client of the same class whose calls are metered; the client itself, when they are already.

    Raises:
        UnsupportedClientError: an SDK from before 0.108, which has no middleware.
    """
    if not hasattr(client, "middleware") or not hasattr(client, "with_options"):
        raise UnsupportedClientError(
            f"{type(client).__name__} has no middleware; use anthropic >= 0.108, or pass "
            "http_client=kit.attach(anthropic.DefaultHttpxClient())"
        )
    if any(getattr(entry, "kit", None) is kit for entry in client.middleware):
        return client
    region = getattr(client, "aws_region", None) or getattr(client, "region", None)
    ours = middleware(kit, platform=platform or _platform_of(client), region=region)
    # Ours is the innermost: it sees what really leaves, after the user's own middleware.
    wrapped = client.with_options(middleware=[*client.middleware, ours])
    _enter_http(wrapped, kit)  # of 0.125, copies of a Bedrock client have an HTTP client of their own
    return wrapped


def _enter_http(client: Any, kit: Kit) -> None:
    http_client = getattr(client, "_client", None)
    library: Any = library_of(http_client)
    if library is not None:
        with guard(kit, "door: wrap"):
            keep(http_client, is_async=isinstance(http_client, library.AsyncClient))
            if kit.policy.answers is not None:
                stand_before(http_client, TRANSPORT)


def middleware(kit: Kit, *, platform: str = "anthropic", region: str | None = None) -> Any:
    """For ``Anthropic(middleware=[...])`` and ``AsyncAnthropic(middleware=[...])``.

    Args:
        kit: what plans and settles.
        platform: who serves the client: ``"anthropic"``, ``"bedrock"``, ``"vertex"``, ...
        region: of the platform, where prices differ by it.
    """
    kit.warm()
    return _middleware_class(importlib.import_module("anthropic"))(kit, platform, region)


@cache
def _middleware_class(library: Any) -> type:
    return type("CtxkitMiddleware", (_Middleware, library.Middleware), {})


def _platform_of(client: Any) -> str:
    for parent in type(client).__mro__:
        if (named := _PLATFORMS.get(parent.__name__.removeprefix("Async"))) is not None:
            return named
    platform = platforms.platform_of(client.base_url.host)
    return "anthropic" if platform.name == platforms.UNKNOWN.name else platform.name


class _Middleware:
    """Both halves; the SDK checks at construction that each client finds the one it needs."""

    def __init__(self, kit: Kit, platform: str, region: str | None) -> None:
        self.kit = kit
        self._platform = platform
        self._options: dict[str, Any] = {"dialect": "anthropic.messages", "platform": platform, "region": region}

    def handle(self, request: Any, call_next: Any) -> Any:
        response, exchange = self._once(request, call_next)
        if exchange is not None and self._was_ours(exchange):
            with guard(self.kit, "door: again"):
                response.http_response.read()  # gives its connection back
            response, _ = self._once(request, call_next, fixed=True)
            self._again(exchange, response)
        return response

    def _once(self, request: Any, call_next: Any, *, fixed: bool = False) -> tuple[Any, Exchange | None]:
        attempt = None
        with guard(self.kit, "door: request"):
            body = self._body(request)
            if body is not None:
                attempt = Attempt(self.kit, self.kit.plan(body, **self._options, fixed=fixed))
                request = _with_body(request, attempt.plan, body)
                if self.kit.policy.answers is None:
                    attempt.leaves()
        if attempt is None:
            with as_asked(request):
                return call_next(request), None
        try:
            with nested(), as_asked(request), attempt.under_way():
                response = call_next(request)
        except BaseException:
            if attempt.exchange is not None:
                attempt.exchange.settle(ended=False)
            raise
        with guard(self.kit, "door: response"):
            attempt.leaves()
            if attempt.exchange is not None and _is_settled_by(response, attempt.exchange):
                attempt.exchange.settle()
        return response, attempt.exchange

    async def handle_async(self, request: Any, call_next: Any) -> Any:
        response, exchange = await self._aonce(request, call_next)
        if exchange is not None and self._was_ours(exchange):
            with guard(self.kit, "door: again"):
                await response.http_response.aread()
            response, _ = await self._aonce(request, call_next, fixed=True)
            self._again(exchange, response)
        return response

    async def _aonce(self, request: Any, call_next: Any, *, fixed: bool = False) -> tuple[Any, Exchange | None]:
        attempt = None
        with guard(self.kit, "door: request"):
            body = self._body(request)
            if body is not None:
                attempt = Attempt(self.kit, await self.kit.aplan(body, **self._options, fixed=fixed))
                request = _with_body(request, attempt.plan, body)
                if self.kit.policy.answers is None:
                    await attempt.aleaves()
        if attempt is None:
            with as_asked(request):
                return await call_next(request), None
        try:
            with nested(), as_asked(request), attempt.under_way():
                response = await call_next(request)
        except BaseException:
            if attempt.exchange is not None:
                await attempt.exchange.asettle(ended=False)
            raise
        with guard(self.kit, "door: response"):
            await attempt.aleaves()
            if attempt.exchange is not None and _is_settled_by(response, attempt.exchange):
                await attempt.exchange.asettle()
        return response, attempt.exchange

    def _was_ours(self, exchange: Exchange) -> bool:
        """The provider refused what we added: the call goes once more, as it was."""
        with guard(self.kit, "door: again"):
            return self.kit.refused(exchange.plan, exchange.status)
        return False

    def _again(self, exchange: Exchange, response: Any) -> None:
        with guard(self.kit, "door: again"):
            self.kit.refused(exchange.plan, exchange.status, response.http_response.status_code)

    def _body(self, request: Any) -> Json:
        """The wire JSON of a messages call, or ``None`` for everything else."""
        if request.method.upper() != "POST" or is_nested():
            return None
        path = request.url.partition("?")[0]
        route = routing.route(path, "api.anthropic.com", "POST")
        if route is None:
            endpoint = routing.unmetered_kind(path, "api.anthropic.com")
            if endpoint is not None:
                self.kit.unmetered(self._platform, endpoint)
            return None
        extra = getattr(request.options, "extra_json", None)  # merged into the body later, when it is built
        return {**request.json, **extra} if extra and isinstance(request.json, dict) else request.json


def _with_body(request: Any, plan: Plan, body: Json) -> Any:
    return request if plan.body is body else request.copy(body=plan.body)


def _is_settled_by(response: Any, exchange: Exchange) -> bool:
    """Take hold of the body; True when there is nothing to wait for."""
    http = getattr(response, "http_response", None)
    if http is None:  # another middleware answered in place of the provider: nothing was billed
        return True
    if http.status_code >= 400 or exchange.plan.unmetered:
        exchange.status = http.status_code
        return True
    tee(http, exchange)
    return bool(http.is_closed)

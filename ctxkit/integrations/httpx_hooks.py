"""The door of every SDK that speaks through httpx or httpx2: event hooks of its HTTP client.

httpx documents that hooks may look at and change requests and responses. The request hook is appended after the
user's own (it sees the final body), the response hook stands before them (the tee is in place when they read). Hooks
run once per attempt, redirects and authentication included; a redirected request carries the extensions of the one
before, and with them the attempt that is already under way.

Neither library is imported here: what is needed of one comes with the client that is given.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ctxkit.dialects import platforms, routing, wire
from ctxkit.errors import UnsupportedClientError
from ctxkit.integrations import reusing, usage_probe
from ctxkit.integrations.again import Again
from ctxkit.integrations.exchange import SIGNED, Exchange, guard
from ctxkit.integrations.nesting import is_nested
from ctxkit.integrations.passable import passable
from ctxkit.integrations.tee import library_of, tee
from ctxkit.integrations.transports import patience_of, stand_before
from ctxkit.reuse import Origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctxkit.cacheable import Keeper
    from ctxkit.integrations.google_caches import Keepers
    from ctxkit.integrations.transports import Reply
    from ctxkit.kit import Kit
    from ctxkit.model import Json, Plan
    from ctxkit.reuse import Lead

__all__ = ["Hooks", "attach", "attached", "hooked"]


class Call(NamedTuple):
    """A request that a dialect understands."""

    route: routing.Route
    raw: bytes
    body: Json


class Hooks:
    """The four hooks of one HTTP client and one kit.

    Args:
        kit: what plans and settles.
        platform: who serves this client, whatever its host (a server of one's own).
        otherwise: who serves it when nobody knows the host.
        keepers: know whose cache objects a request may use; ``None``: nobody does.
        client: the HTTP client, by which a request goes once more that was refused for what we gave it.

    Attributes:
        answers: requests are looked at by a transport, which can answer them, and not by an event hook.
    """

    __slots__ = ("_again", "_keepers", "_key", "_otherwise", "_platform", "_refusals", "answers", "kit")

    def __init__(
        self,
        kit: Kit,
        platform: str | None = None,
        otherwise: str = platforms.UNKNOWN.name,
        *,
        keepers: Keepers | None = None,
        client: Any = None,
    ) -> None:
        self.kit = kit
        self.answers = False
        self._keepers = keepers if kit.policy.mode != "observe" and kit.policy.cache_objects else None
        self._again = Again(kit, client)
        self._platform = platform
        self._otherwise = otherwise
        self._refusals = usage_probe.Refusals(kit)
        self._key = f"ctxkit.{id(kit):x}"  # in request.extensions; two kits on one client do not meet

    def request(self, request: Any) -> None:
        """Plan an attempt that is about to leave."""
        self.leaving(request)

    async def arequest(self, request: Any) -> None:
        """``request`` for event loops."""
        await self.aleaving(request)

    def leaving(self, request: Any, reply: Reply | None = None) -> Any:
        """Plan an attempt that is about to leave; gives what ``reply`` makes of the answer, where that is there."""
        with passable(), guard(self.kit, "door: request"):
            call = self._call(request)
            if call is None:
                return None
            plan, lead = self.kit.plan(call.body, **self._options(request, call.route)), None
            if reply is not None:
                found, lead = reusing.find(self.kit, plan, partial(_origin, request, call), reply, patience_of(request))
                if found is not None:
                    return found
            with reusing.led(lead):
                exchange = self._exchange_of(request, call, self.kit.hold(plan), lead)
                exchange.sent()
        return None

    async def aleaving(self, request: Any, reply: Reply | None = None) -> Any:
        """``leaving`` for event loops."""
        with passable(), guard(self.kit, "door: request"):
            call = self._call(request)
            if call is None:
                return None
            plan, lead = await self.kit.aplan(call.body, **self._options(request, call.route)), None
            if reply is not None:
                found, lead = await reusing.afind(
                    self.kit, plan, partial(_origin, request, call), reply, patience_of(request)
                )
                if found is not None:
                    return found
            with reusing.led(lead):
                exchange = self._exchange_of(request, call, await self.kit.ahold(plan), lead)
                await exchange.asent()
        return None

    def lost(self, request: Any) -> None:
        """No answer came."""
        exchange = request.extensions.get(self._key)
        if isinstance(exchange, Exchange):
            exchange.settle(ended=False)

    async def alost(self, request: Any) -> None:
        """``lost`` for event loops."""
        exchange = request.extensions.get(self._key)
        if isinstance(exchange, Exchange):
            await exchange.asettle(ended=False)

    def response(self, response: Any) -> None:
        """Read the answer as it passes, or settle what has none."""
        exchange, probe_refused = None, False
        with guard(self.kit, "door: response"):
            exchange = self._exchange(response)
            if exchange is not None and self._is_settled_by(response, exchange):
                exchange.settle()
                if self._refusals.may_be(exchange):
                    response.read()
                    probe_refused = self._refusals.learn(response.request.url.host, response.text)
        if exchange is not None and (probe_refused or self._again.wanted(exchange)):
            self._again.send(response, exchange, ours=probe_refused)

    async def aresponse(self, response: Any) -> None:
        """``response`` for event loops."""
        exchange, probe_refused = None, False
        with guard(self.kit, "door: response"):
            exchange = self._exchange(response)
            if exchange is not None and self._is_settled_by(response, exchange):
                await exchange.asettle()
                if self._refusals.may_be(exchange):
                    await response.aread()
                    probe_refused = self._refusals.learn(response.request.url.host, response.text)
        if exchange is not None and (probe_refused or self._again.wanted(exchange)):
            await self._again.asend(response, exchange, ours=probe_refused)

    def _call(self, request: Any) -> Call | None:
        """The request as a dialect sees it, or ``None`` when it is nothing for us."""
        if request.method != "POST" or is_nested():
            return None
        under_way = request.extensions.get(self._key)
        if under_way is not None and not under_way.settled:
            under_way.let_go()
            return None  # redirected: the plan goes along
        path, host = request.url.raw_path.decode("ascii"), request.url.host
        route = routing.route(path, host, request.method)
        if route is None:
            endpoint = routing.unmetered_kind(path, host)
            if endpoint is not None:
                self.kit.unmetered(self._named(platforms.platform_of(host).name), endpoint)
            return None
        return self._read(request, route)

    def _read(self, request: Any, route: routing.Route) -> Call | None:
        try:
            raw = self._again.as_it_was(request, request.content)
            return Call(route, raw, wire.loads(raw))
        except (ValueError, RuntimeError) as error:  # httpx raises RequestNotRead, a RuntimeError, for one-shot streams
            self.kit.faults.warn("door: unreadable request", f"{route.dialect}: {error}")
            self.kit.unmetered(self._named(route.platform), route.dialect)
            return None

    def _named(self, platform: str) -> str:
        return self._platform or (self._otherwise if platform == platforms.UNKNOWN.name else platform)

    def _options(self, request: Any, route: routing.Route) -> Mapping[str, Any]:
        return {
            "dialect": route.dialect,
            "platform": self._named(route.platform),
            "model": route.model,
            "stream": route.stream,
            "region": route.region,
            "fixed": _signed(request) or self._again.is_again(request),
            "rental": self._keeper(request, route),
        }

    def _keeper(self, request: Any, route: routing.Route) -> Keeper | None:
        """Who keeps cache objects for this request; a fault in finding out leaves it without."""
        if self._keepers is None or route.dialect != "gemini.generate":
            return None
        with guard(self.kit, "door: cache objects"):
            return self._keepers.of(request, self._named(route.platform))
        return None

    def _exchange_of(self, request: Any, call: Call, plan: Plan, lead: Lead | None) -> Exchange:
        """The attempt, whose request is as the plan has it."""
        exchange = request.extensions[self._key] = Exchange(self.kit, plan, lead=lead)
        exchange.adds_usage = self._rewrite(request, call, plan)  # last: nothing is asked for that nobody would hide
        return exchange

    def _rewrite(self, request: Any, call: Call, plan: Plan) -> bool:
        """Change the bytes that leave, if the plan says so; True when we ask for a usage chunk ourselves."""
        raw = call.raw if plan.body is call.body else wire.dumps(plan.body)
        probing = request.url.host not in self._refusals and usage_probe.wanted(self.kit, plan)
        if probing:
            raw = usage_probe.ask(raw, plan.body)
        for name, value in plan.headers.items():
            request.headers.setdefault(name, value)
        if raw is request.content:
            return False
        if _signed(request):
            self.kit.faults.warn("door: signed request", "it is metered, and sent as it is: a change would break it")
            return False
        _put_body(request, raw)
        self._again.remember(request, call.raw, raw)
        if probing:  # what may be hidden must be undone, and gzip always can be
            accepted = request.headers.get("accept-encoding", "")
            request.headers["accept-encoding"] = "gzip" if "gzip" in accepted else "identity"
        return probing

    def _exchange(self, response: Any) -> Exchange | None:
        exchange = response.request.extensions.get(self._key)
        return exchange if isinstance(exchange, Exchange) and not exchange.settled else None

    def _is_settled_by(self, response: Any, exchange: Exchange) -> bool:
        """Take hold of the body; True when there is nothing to wait for."""
        if response.has_redirect_location:
            return False
        if response.status_code >= 400 or exchange.plan.unmetered:
            exchange.status = response.status_code
            return True
        tee(response, exchange)
        # From here the body holds the attempt. The connection pool may hold the request for as long as it lives, and
        # an answer that is dropped unread would never settle.
        response.request.extensions.pop(self._key, None)
        return bool(response.is_closed)


def _origin(request: Any, call: Call) -> Origin:
    return Origin(str(request.url), request.headers.multi_items(), call.raw)


def _signed(request: Any) -> bool:
    return bool(request.headers.get("authorization", "").startswith(SIGNED))


def _put_body(request: Any, raw: bytes) -> None:
    library: Any = library_of(request)
    request.stream = library.ByteStream(raw)
    request.headers["content-length"] = str(len(raw))
    if hasattr(request, "_content"):
        request._content = raw  # noqa: SLF001 - keeps request.content truthful for later readers


def attach(http_client: Any, kit: Kit, **names: Any) -> None:
    """Put the hooks of ``kit`` on an HTTP client; doing it twice changes nothing.

    Args:
        http_client: a ``Client`` or ``AsyncClient`` of httpx or httpx2.
        kit: what plans and settles.
        names: ``platform``, ``otherwise`` and ``keepers`` of :class:`Hooks`.

    Raises:
        UnsupportedClientError: it is no such client.
    """
    library = library_of(http_client)
    if library is None or not hasattr(http_client, "event_hooks"):
        raise UnsupportedClientError(
            f"attach wants a Client or AsyncClient of httpx or httpx2, got {type(http_client).__name__}; "
            "for other HTTP clients use kit.plan, kit.sent and kit.settle"
        )
    if attached(http_client.event_hooks, kit):
        return
    ours = Hooks(kit, **{"client": http_client, **names})
    ours.answers = kit.policy.answers is not None and stand_before(http_client, ours)
    is_async = isinstance(http_client, library.AsyncClient)
    http_client.event_hooks = _among(http_client.event_hooks, ours, is_async=is_async)


def attached(hooks: Mapping[str, list[Any]], kit: Kit) -> bool:
    """Those of ``kit`` are among the event hooks ``hooks``."""
    return any(getattr(getattr(hook, "__self__", None), "kit", None) is kit for hook in hooks.get("response", ()))


def hooked(hooks: Mapping[str, list[Any]], kit: Kit, *, is_async: bool, **names: Any) -> dict[str, list[Any]]:
    """The event hooks ``hooks`` with those of ``kit`` among them, once."""
    return {**hooks} if attached(hooks, kit) else _among(hooks, Hooks(kit, **names), is_async=is_async)


def _among(hooks: Mapping[str, list[Any]], ours: Hooks, *, is_async: bool) -> dict[str, list[Any]]:
    before, after = list(hooks.get("request", ())), list(hooks.get("response", ()))
    ask, answer = (ours.arequest, ours.aresponse) if is_async else (ours.request, ours.response)
    asking = [] if ours.answers else [ask]  # where a transport of ours looks at requests, the hook does not
    return {**hooks, "request": [*before, *asking], "response": [answer, *after]}

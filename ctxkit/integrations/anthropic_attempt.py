"""One attempt of a call of Anthropic's SDK, on its way from the middleware to the transport.

The middleware sees every platform alike, before a URL is rebuilt and signed; but only the request as it leaves says who
asks, since copies of a client with other credentials share their middleware. So what is to be answered without being
sent is asked for by a transport of the HTTP client (policy ``answers``), and made into the SDK's own objects by the SDK.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ctxkit.integrations import reusing
from ctxkit.integrations.exchange import Exchange, guard
from ctxkit.integrations.passable import passable
from ctxkit.integrations.transports import patience_of
from ctxkit.reuse import Origin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxkit.integrations.transports import Reply
    from ctxkit.kit import Kit
    from ctxkit.model import Plan
    from ctxkit.reuse import Lead

__all__ = ["TRANSPORT", "Attempt"]


class Attempt:
    """What the middleware planned.

    Attributes:
        plan: of it.
        exchange: there as soon as it has left; never, where it was answered without.
    """

    __slots__ = ("_answered", "_kit", "exchange", "plan")

    def __init__(self, kit: Kit, plan: Plan) -> None:
        self._kit = kit
        self._answered = False
        self.plan = plan
        self.exchange: Exchange | None = None

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Inside, it is the attempt that a transport asks about."""
        token = _under_way.set(self)
        try:
            yield
        finally:
            _under_way.reset(token)

    def leaves(self, lead: Lead | None = None) -> None:
        """It leaves now, unless it has left or was answered."""
        if self.exchange is None and not self._answered:
            with reusing.led(lead):
                self.exchange = Exchange(self._kit, self._kit.hold(self.plan), lead=lead)
                self.exchange.sent()

    async def aleaves(self, lead: Lead | None = None) -> None:
        """``leaves`` for event loops."""
        if self.exchange is None and not self._answered:
            with reusing.led(lead):
                self.exchange = Exchange(self._kit, await self._kit.ahold(self.plan), lead=lead)
                await self.exchange.asent()

    def answer(self, request: Any, reply: Reply) -> Any:
        """What ``reply`` makes of the answer to what is about to leave, where that is there; otherwise it leaves."""
        with passable(), guard(self._kit, "door: request"):
            if self._has_left():
                return None
            found, lead = reusing.find(self._kit, self.plan, lambda: _origin(request), reply, patience_of(request))
            self._answered = found is not None
            self.leaves(lead)
            return found
        return None

    async def aanswer(self, request: Any, reply: Reply) -> Any:
        """``answer`` for event loops."""
        with passable(), guard(self._kit, "door: request"):
            if self._has_left():
                return None
            found, lead = await reusing.afind(
                self._kit, self.plan, lambda: _origin(request), reply, patience_of(request)
            )
            self._answered = found is not None
            await self.aleaves(lead)
            return found
        return None

    def _has_left(self) -> bool:
        if self.exchange is not None:  # redirected
            self.exchange.let_go()
        return self.exchange is not None


_under_way: ContextVar[Attempt | None] = ContextVar("ctxkit_anthropic_attempt", default=None)


class _Transport:
    """Asks the attempt that is under way."""

    def leaving(self, request: Any, reply: Reply) -> Any:
        attempt = _under_way.get()
        return None if attempt is None else attempt.answer(request, reply)

    async def aleaving(self, request: Any, reply: Reply) -> Any:
        attempt = _under_way.get()
        return None if attempt is None else await attempt.aanswer(request, reply)

    def lost(self, request: Any) -> None:
        """The middleware is told by the SDK."""

    async def alost(self, request: Any) -> None:
        """The middleware is told by the SDK."""


TRANSPORT = _Transport()


def _origin(request: Any) -> Origin:
    return Origin(str(request.url), request.headers.multi_items())

"""A request once more, as it was, when the provider refused it for what we gave it: a cache object, markers, an option.

Event hooks see the answer before anybody else does, and cannot send. But they hold the response that the client will
hand on: the request goes out again through the client itself (its hooks, its pool, its redirects), and the refused
response becomes the other one. No transport is wrapped, so nothing changes for any other request.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from ctxkit.integrations.exchange import guard

if TYPE_CHECKING:
    from ctxkit.integrations.exchange import Exchange
    from ctxkit.kit import Kit

__all__ = ["Again"]

_STATUSES = (400, 403, 404)
_OWN_LENGTH = ("content-length", "transfer-encoding")


class Again:
    """Sends a request again without what it was given, at most once.

    Args:
        kit: says whether it was refused for that.
        client: the HTTP client, held weakly; ``None``: nothing is sent again.
    """

    __slots__ = ("_client", "_kit", "_mark", "_raw")

    def __init__(self, kit: Kit, client: Any) -> None:
        self._kit = kit
        self._client = None if client is None else weakref.ref(client)
        self._raw = f"ctxkit.{id(kit):x}.raw"  # in request.extensions: the body as it was, and as it is
        self._mark = f"ctxkit.{id(kit):x}.again"

    def remember(self, request: Any, raw: bytes, given: bytes) -> None:
        """This is what the body was before it was given anything, and what it is now."""
        request.extensions[self._raw] = raw, given

    def as_it_was(self, request: Any, body: bytes) -> bytes:
        """What ``body`` was before it was given anything: authentication may send one request object several times."""
        raw, given = request.extensions.get(self._raw, (body, body))
        return raw if given == body else body

    def is_again(self, request: Any) -> bool:
        """The request is one of ours, which is not to be changed."""
        return self._mark in request.extensions

    def wanted(self, exchange: Exchange) -> bool:
        """The answer may be a refusal of the object or of markers; the attempt is settled."""
        plan, status = exchange.plan, exchange.status
        with guard(self._kit, "door: again"):
            return (plan.rental is not None and status in _STATUSES) or self._kit.refused(plan, status)
        return False

    def send(self, response: Any, exchange: Exchange, *, ours: bool = False) -> None:
        """Make ``response`` the answer to the request as it was, where what we gave it is to blame.

        Args:
            response: the refusal.
            exchange: the attempt that was refused.
            ours: it is known already that we are to blame.

        Raises:
            Exception: whatever the client raises when it sends, as it would have for the first request.
        """
        client, request = self._there(response), None
        with guard(self._kit, "door: again"):
            text = response.read() if client is not None else b""  # gives its connection back, too
            request = self._request(response, exchange, text, ours) if client is not None else None
        if client is not None and request is not None:
            other = client.send(request, stream=True)
            self._tell(exchange, other)
            _become(response, other)

    async def asend(self, response: Any, exchange: Exchange, *, ours: bool = False) -> None:
        """``send`` for event loops."""
        client, request = self._there(response), None
        with guard(self._kit, "door: again"):
            text = await response.aread() if client is not None else b""
            request = self._request(response, exchange, text, ours) if client is not None else None
        if client is not None and request is not None:
            other = await client.send(request, stream=True)
            self._tell(exchange, other)
            _become(response, other)

    def _tell(self, exchange: Exchange, other: Any) -> None:
        with guard(self._kit, "door: again"):
            self._kit.refused(exchange.plan, exchange.status, other.status_code)

    def _there(self, response: Any) -> Any:
        known = self._raw in response.request.extensions
        return self._client() if self._client is not None and known else None

    def _request(self, response: Any, exchange: Exchange, text: bytes, ours: bool) -> Any:
        before = response.request
        raw, _ = before.extensions.pop(self._raw)
        plan, status = exchange.plan, exchange.status
        gone = plan.rental is not None and self._kit.caches.gone(plan, status, text.decode("utf-8", "replace"))
        if not (ours or gone or self._kit.refused(plan, status)):
            return None
        own = {name for name in before.extensions if name.startswith("ctxkit.")}
        extensions = {name: value for name, value in before.extensions.items() if name not in own}
        headers = [(name, value) for name, value in before.headers.multi_items() if name.lower() not in _OWN_LENGTH]
        return type(before)(
            before.method, before.url, headers=headers, content=raw, extensions={**extensions, self._mark: True}
        )


def _become(response: Any, other: Any) -> None:
    """``response`` is ``other`` from now on: status, headers, body, request, and how far it was read."""
    state = vars(response)
    state.clear()
    state.update(vars(other))
    stream: Any = getattr(other, "stream", None)
    for _ in range(3):  # the client's own stream, below ours, tells its response how long it took
        inner = vars(stream) if hasattr(stream, "__dict__") else {}
        if inner.get("_response") is other:
            stream._response = response  # noqa: SLF001 - as said
        stream = inner.get("_stream")

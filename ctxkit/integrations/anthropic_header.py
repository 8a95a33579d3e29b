"""Keeping one header of Anthropic's SDK as it would be without a middleware.

A client that has any middleware asks itself for raw responses, and says so in a header that travels
(``x-stainless-raw-response``). Metering is to change nothing that leaves; so two hooks of the HTTP client put the
header back to what the application's own call would have sent, and, since the SDK looks it up in the answered
request, undo that when the answer is there. A request that is signed (Bedrock) keeps what was signed.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from ctxkit.integrations.exchange import SIGNED

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["as_asked", "keep"]

_NAME = "X-Stainless-Raw-Response"
_KEPT = "ctxkit.raw"
_NOT_OURS: Final = object()
_asked: ContextVar[object] = ContextVar("ctxkit_anthropic_raw", default=_NOT_OURS)


@contextmanager
def as_asked(request: Any) -> Iterator[None]:
    """Inside, the header leaves as the middleware's ``request`` has it (or not at all)."""
    value = request.headers.get(_NAME)
    token = _asked.set(value if isinstance(value, str) else None)
    try:
        yield
    finally:
        _asked.reset(token)


def keep(http_client: Any, *, is_async: bool) -> None:
    """Put the two hooks on an HTTP client, once."""
    hooks = http_client.event_hooks
    conceal, restore = (_aconceal, _arestore) if is_async else (_conceal, _restore)
    if conceal not in hooks["request"]:
        http_client.event_hooks = {
            **hooks,
            "request": [*hooks["request"], conceal],
            "response": [restore, *hooks["response"]],
        }


def _conceal(request: Any) -> None:
    asked = _asked.get()
    if asked is _NOT_OURS or _NAME not in request.headers:
        return
    if request.headers.get("authorization", "").startswith(SIGNED):
        return
    request.extensions[_KEPT] = request.headers[_NAME]
    if asked is None:
        del request.headers[_NAME]
    else:
        request.headers[_NAME] = asked


def _restore(response: Any) -> None:
    kept = response.request.extensions.pop(_KEPT, None)
    if kept is not None:
        response.request.headers[_NAME] = kept


async def _aconceal(request: Any) -> None:
    _conceal(request)


async def _arestore(response: Any) -> None:
    _restore(response)

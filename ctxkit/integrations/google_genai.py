"""The door of google-genai: the hooks of its two HTTP clients, sync and async.

The trap is on the async side. With aiohttp installed the SDK leaves httpx, and hooks are never called; so ``wrap``
refuses such a client instead of metering half of it. Since 3.0 the SDK's own async client sends through one inner
client per event loop, made from the arguments it was built with: those get the hooks too.
"""

from __future__ import annotations

import importlib
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from ctxkit.errors import ConfigurationError, UnsupportedClientError
from ctxkit.integrations.exchange import guard
from ctxkit.integrations.google_caches import Keepers
from ctxkit.integrations.httpx_hooks import attach, attached, hooked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ctxkit.kit import Kit

__all__ = ["google_http_options", "wrap"]

_REMEDY = (
    "make the client with genai.Client(http_options=kit.google_http_options(...)), which gives it metered httpx "
    "clients for both sides"
)


def wrap(client: Any, kit: Kit, *, platform: str | None = None) -> Any:
    """The same ``genai.Client``, metered on both sides.

    Raises:
        UnsupportedClientError: async calls would go through aiohttp or google-auth's own transport.
    """
    api = getattr(client, "_api_client", None)
    sync = getattr(api, "_httpx_client", None)
    if api is None or sync is None or _calls(api, "_use_google_auth_sync"):
        raise UnsupportedClientError(f"{type(client).__name__} sends no request through httpx; {_REMEDY}")
    asynchronous = getattr(api, "_async_httpx_client", None)
    if asynchronous is None or _calls(api, "_use_aiohttp"):
        raise UnsupportedClientError(
            f"async calls of this {type(client).__name__} go through aiohttp, where they would not be metered; {_REMEDY}"
        )
    otherwise = "vertex" if getattr(api, "vertexai", False) else "google"
    names = {"platform": platform, "otherwise": otherwise, "keepers": Keepers(client)}
    attach(sync, kit, **names)
    _attach_async(asynchronous, kit, names)
    return client


def google_http_options(kit: Kit, *, platform: str | None = None, **options: Any) -> Any:
    """``http_options`` for ``genai.Client``: both HTTP clients metered, redirects followed as the SDK does.

    Hold on to the ``genai.Client``: the SDK closes the pools of one that nobody holds. The HTTP clients made here
    are yours to close (``client.close()`` leaves them open).

    Args:
        kit: what plans and settles.
        platform: who serves the client, where the host does not say it.
        options: fields of ``google.genai.types.HttpOptions`` (``base_url``, ``timeout``, ...). ``client_args`` and
            ``async_client_args`` go to the clients made here; ``httpx_client`` and ``httpx_async_client`` are used.

    Raises:
        ConfigurationError: an ``aiohttp_client``, which no hook can see.
    """
    if options.get("aiohttp_client") is not None:
        raise ConfigurationError("google_http_options: an aiohttp_client cannot be metered; leave it out")
    types = importlib.import_module("google.genai.types")
    sync_class, async_class = _client_classes(options)
    sync = options.pop("httpx_client", None) or sync_class(**_redirecting(options.pop("client_args", None)))
    asynchronous = options.pop("httpx_async_client", None) or async_class(
        **_redirecting(options.pop("async_client_args", None))
    )
    names = {"platform": platform, "otherwise": "google", "keepers": Keepers(http=(sync, asynchronous))}
    attach(sync, kit, **names)
    _attach_async(asynchronous, kit, names)
    return types.HttpOptions(httpx_client=sync, httpx_async_client=asynchronous, **options)


def _redirecting(arguments: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"follow_redirects": True, **(arguments or {})}


def _client_classes(options: Mapping[str, Any]) -> tuple[Any, Any]:
    """The SDK's own client classes where it has them: they keep one pool per event loop. Else the library's."""
    sdk = importlib.import_module("google.genai._api_client")
    choose = getattr(sdk, "_get_http_client_classes", None)
    if choose is not None:
        types = importlib.import_module("google.genai.types")
        sync, asynchronous = choose(types.HttpOptions(**options))
        return sync, asynchronous
    if hasattr(sdk, "SyncHttpxClient") and hasattr(sdk, "AsyncHttpxClient"):
        return sdk.SyncHttpxClient, sdk.AsyncHttpxClient
    library = importlib.import_module("httpx")
    return library.Client, library.AsyncClient


def _attach_async(client: Any, kit: Kit, names: Mapping[str, Any]) -> None:
    if attached(client.event_hooks, kit):
        return
    attach(client, kit, **names)
    arguments, make = getattr(client, "_client_kwargs", None), getattr(client, "_inner_client_cls", None)
    if kit.policy.answers is not None and callable(make):  # a transport that answers stands in no argument
        client._inner_client_cls = partial(_attached, make, weakref.ref(client), kit, names)  # noqa: SLF001
    elif isinstance(arguments, dict):
        hooks = hooked(arguments.get("event_hooks") or {}, kit, is_async=True, client=client, **names)
        client._client_kwargs = {**arguments, "event_hooks": hooks}  # noqa: SLF001 - the inner clients are made of these
    for inner in list(getattr(client, "_loop_clients", {}).values()):
        attach(inner, kit, client=client, **names)


def _attached(
    make: Callable[..., Any], outer: Callable[[], Any], kit: Kit, names: Mapping[str, Any], /, **arguments: Any
) -> Any:
    """The client of an event loop, made when the first request is sent there."""
    inner = make(**arguments)
    with guard(kit, "door: wrap"):
        attach(inner, kit, client=outer(), **names)
    return inner


def _calls(api: Any, name: str) -> bool:
    method = getattr(api, name, None)
    return bool(method()) if callable(method) else False

"""The door of frameworks whose models make their SDK's clients themselves: LangChain's and LlamaIndex's.

Where a framework takes a client, or an HTTP client, that is the better door; docs/how-to/frameworks.md says which. Some
of their models take neither. They hold the clients they made in the attributes named here: each is wrapped by the door
of its SDK, and what comes back takes its place.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from ctxkit.errors import UnsupportedClientError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxkit.kit import Kit

__all__ = ["wrap"]

_HELD = ("root_client", "root_async_client", "_client", "_async_client", "_aclient", "client")
"""Attributes in which a model holds clients of an SDK: two of ChatOpenAI, of ChatAnthropic, of LlamaIndex; Gemini's."""

_MAKERS = ("_get_client", "_get_aclient")
"""Methods by which LlamaIndex's OpenAI models make a client on first use."""

_SDKS = ("openai", "anthropic", "google")


def wrap(model: Any, kit: Kit, *, platform: str | None = None) -> Any:
    """The same model; the clients it holds are metered.

    Raises:
        UnsupportedClientError: it holds none, makes one anew for each call, or holds one that cannot be metered.
    """
    from ctxkit.integrations import wrap as wrap_client

    if getattr(model, "reuse_client", True) is False:
        raise UnsupportedClientError(
            f"{_named(model)} makes a client for each call (reuse_client=False); pass http_client=kit.attach(...) and "
            "async_http_client=kit.attach(...) when it is made"
        )
    held = dict(_clients(model))
    if not held:
        raise UnsupportedClientError(f"{_named(model)} holds no client of an SDK that ctxkit knows")
    for name, client in held.items():
        wrapped = wrap_client(client, kit, platform=platform)
        if wrapped is not client:
            _put(model, name, wrapped)
    return model


def _clients(model: Any) -> Iterator[tuple[str, Any]]:
    for maker in _MAKERS:
        if callable(make := getattr(model, maker, None)):
            make()
    for name in _HELD:
        client = getattr(model, name, None)
        if client is not None and _is_client(client):
            yield name, client


def _is_client(value: object) -> bool:
    """A client of an SDK itself, not one of its resources (``ChatOpenAI.client`` is ``chat.completions``)."""
    kind = type(value)
    return kind.__module__.partition(".")[0] in _SDKS and (hasattr(value, "base_url") or hasattr(value, "_api_client"))


def _put(model: Any, name: str, client: Any) -> None:
    """Into the place of the one that was there; pydantic lets nobody set a cached property by name."""
    if isinstance(getattr(type(model), name, None), cached_property):
        vars(model)[name] = client
    else:
        setattr(model, name, client)


def _named(model: object) -> str:
    return f"{type(model).__module__.partition('.')[0]}'s {type(model).__name__}"

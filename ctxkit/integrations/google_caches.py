"""Cache objects through google-genai: its own ``client.caches``, and whose they are by the requests that pass.

What an object holds is handed to the SDK as ``extra_body``, so that it is what the request said, to the byte. None of
these calls is metered as a model call. Source: google-genai 3.4.0 and 1.75.0, read 2026-11-21.
"""

from __future__ import annotations

import hashlib
import importlib
import re
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

from ctxkit.cacheable import Kept
from ctxkit.errors import CacheObjectError
from ctxkit.forks import on_fork
from ctxkit.integrations.nesting import nested

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from ctxkit.model import Json

__all__ = ["GoogleKeeper", "Keepers", "keeper_of"]

_TIMEOUT: Final = 60_000  # milliseconds for one call; nobody waits for it
_MOST = 64  # accounts remembered of one client
_PLACE = re.compile(r"/projects/([^/]+)/locations/([^/]+)/")
_VERSION = re.compile(r"(?P<base>.*?)/(?P<version>v\d\w*)/")


class GoogleKeeper:
    """The cache objects of one account.

    Args:
        account: whose they are.
        platform: ``"google"`` or ``"vertex"``.
        client: gives the ``genai.Client`` of that account.
    """

    def __init__(self, account: str, platform: str, client: Callable[[], Any]) -> None:
        self.account = account
        self.platform = platform
        self._client = client

    def create(self, model: str, content: Mapping[str, Json], seconds: float, display_name: str) -> Kept:
        """Create one that lives so long."""
        config = {
            "ttl": _life(seconds),
            "display_name": display_name,
            "http_options": {"timeout": _TIMEOUT, "extra_body": dict(content)},
        }
        return _kept(self._call(lambda caches: caches.create(model=model, config=config)))

    def get(self, name: str) -> Kept:
        """What is known of one."""
        return _kept(self._call(lambda caches: caches.get(name=name, config=_patient())))

    def list(self) -> list[Kept]:
        """All of the account."""
        return [_kept(one) for one in self._call(lambda caches: list(caches.list(config=_patient())))]

    def prolong(self, name: str, seconds: float) -> Kept:
        """Have one end so many seconds from now."""
        config = {"ttl": _life(seconds), **_patient()}
        return _kept(self._call(lambda caches: caches.update(name=name, config=config)))

    def delete(self, name: str) -> None:
        """End one at once."""
        self._call(lambda caches: caches.delete(name=name, config=_patient()))

    def _call(self, ask: Callable[[Any], Any]) -> Any:
        try:
            with nested():
                return ask(self._client().caches)
        except CacheObjectError:
            raise
        except Exception as error:
            status = getattr(error, "code", None)
            if isinstance(status, int):
                raise CacheObjectError(f"{status} {getattr(error, 'message', '')}"[:500], status) from error
            raise CacheObjectError(f"no answer of {self.platform}: {type(error).__name__}") from error


def _patient() -> dict[str, Any]:
    return {"http_options": {"timeout": _TIMEOUT}}


def _life(seconds: float) -> str:
    return f"{max(seconds, 1.0):.0f}s"


def _kept(told: Any) -> Kept:
    usage = told.usage_metadata
    return Kept(
        str(told.name),
        str(told.model or "").rpartition("/")[2],
        int(getattr(usage, "total_token_count", None) or 0),
        _moment(told.create_time),
        _moment(told.expire_time),
        told.display_name or "",
    )


def _moment(when: datetime | None) -> float:
    return when.timestamp() if when is not None else 0.0


class Keepers:
    """Finds the keeper of a request by what authenticates it and where it goes.

    Args:
        client: the ``genai.Client`` that was wrapped, held weakly; ``None``: one is made of the request itself.
        http: the two HTTP clients that one is to use.
    """

    def __init__(self, client: Any = None, http: tuple[Any, Any] | None = None) -> None:
        self._wrapped = None if client is None else weakref.ref(client)
        self._http = http
        self._known: dict[str, GoogleKeeper] = {}
        self._tokens: dict[str, Any] = {}
        self._fresh_lock()
        on_fork(self, "_fresh_lock")

    def _fresh_lock(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.RLock()

    def of(self, request: Any, platform: str) -> GoogleKeeper | None:
        """The keeper of a request's account; ``None`` where nobody can tell whose it is."""
        path, key = request.url.path, request.headers.get("x-goog-api-key") or request.url.params.get("key")
        place = _PLACE.search(path)
        if place is None and not key:
            return None
        account = _account(request.url.netloc, place[0] if place else str(key))
        with self._lock:
            if place is not None and self._wrapped is None:
                self._renew(account, request)
            if account not in self._known and len(self._known) < _MOST:
                make = self._client if self._wrapped is not None else self._maker(account, request, place, key)
                self._known[account] = GoogleKeeper(account, platform, make)
            return self._known.get(account)

    def _client(self) -> Any:
        client = self._wrapped() if self._wrapped is not None else None
        if client is None:
            raise CacheObjectError("the genai.Client is gone; hold on to it")
        return client

    def _renew(self, account: str, request: Any) -> None:
        """Tokens of Vertex end within the hour: that of the latest request is used."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if account not in self._tokens and len(self._tokens) < _MOST:
            self._tokens[account] = importlib.import_module("google.oauth2.credentials").Credentials(token)
        if account in self._tokens:
            self._tokens[account].token = token

    def _maker(self, account: str, request: Any, place: re.Match[str] | None, key: str | None) -> Callable[[], Any]:
        """Makes a client of what a request shows; it lives as long as the HTTP clients it uses."""
        url, found = request.url, _VERSION.match(request.url.path)
        options = {
            "base_url": f"{url.scheme}://{url.netloc.decode('ascii')}{found['base'] if found else ''}",
            "api_version": found["version"] if found else None,
        }
        made: list[Any] = []

        def client() -> Any:
            with self._lock:
                if not made:
                    who = {"api_key": key} if place is None else self._place(account, place)
                    made.append(_made(options, self._http, who))
                return made[0]

        return client

    def _place(self, account: str, place: re.Match[str]) -> dict[str, Any]:
        return {
            "vertexai": True,
            "project": place[1],
            "location": place[2],
            "credentials": self._tokens.get(account),
        }


def _made(options: Mapping[str, Any], http: tuple[Any, Any] | None, who: Mapping[str, Any]) -> Any:
    genai = importlib.import_module("google.genai")
    types = importlib.import_module("google.genai.types")
    clients = {} if http is None else {"httpx_client": http[0], "httpx_async_client": http[1]}
    return genai.Client(**who, http_options=types.HttpOptions(**options, **clients))


def _account(netloc: bytes, who: str) -> str:
    return hashlib.sha256(netloc + b"\0" + who.encode()).hexdigest()


def keeper_of(client: Any) -> GoogleKeeper:
    """The keeper of a ``genai.Client``, before it has sent anything.

    Raises:
        CacheObjectError: it does not say whose it is.
    """
    api = getattr(client, "_api_client", None)
    project, location = getattr(api, "project", None), getattr(api, "location", None)
    vertex = bool(getattr(api, "vertexai", False))
    who = f"/projects/{project}/locations/{location}/" if vertex and project else getattr(api, "api_key", None)
    base = getattr(getattr(api, "_http_options", None), "base_url", None)
    if not who or not base:
        raise CacheObjectError(
            f"{type(client).__name__} names neither a project nor an API key: pass a genai.Client made with one"
        )
    netloc = re.sub(r"^\w+://|/.*$", "", str(base)).encode()
    return GoogleKeeper(_account(netloc, who), "vertex" if vertex else "google", lambda: client)

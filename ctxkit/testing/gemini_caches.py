"""Gemini's ``cachedContents``: created, looked up, listed, prolonged and deleted (google-genai 3.4.0, read 2026-11-20).

The same on the Gemini API (``/v1beta/cachedContents``) and on Vertex (below a project and location).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from ctxkit.caching.moments import duration, instant, rfc3339
from ctxkit.caching.simulator import Refusal
from ctxkit.caching.simulator.handles import Handle, Wanted, create, delete, get, pages, update
from ctxkit.testing.caches import owner_of, weigh
from ctxkit.testing.framing import whole
from ctxkit.testing.refusals import refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ctxkit.caching.layout import Space
    from ctxkit.model import Json
    from ctxkit.testing.caches import SimulatedCaches
    from ctxkit.testing.values import Behaviour, Reply, Request

__all__ = ["answer", "named"]

_PATH = re.compile(r".*?/(?P<parent>projects/[^/]+/locations/[^/]+/)?cachedContents(?:/(?P<id>[^/:]+))?")


def named(request: Request) -> re.Match[str] | None:
    """The handle, or the list of them, that a request is about; ``None``: it is about something else."""
    return _PATH.fullmatch(request.path)


def answer(caches: SimulatedCaches, request: Request, found: re.Match[str], says: Behaviour) -> Reply:
    """Answer a request to one of the five methods."""
    parent = found["parent"] or ""
    name = f"{parent}cachedContents/{found['id']}" if found["id"] else ""
    body = request.json if isinstance(request.json, dict) else {}
    space = caches.space(request, "gemini", _bare(body.get("model")))
    method = _METHODS.get((request.method, bool(name)))
    if method is None:
        return refuse("gemini", 404, f"Nothing answers to {request.method} at {request.path}.")
    with caches.lock:
        result = method(caches, request, _Call(name, parent, body, space, says))
    return refuse("gemini", result.status, result.message) if isinstance(result, Refusal) else whole(result)


class _Call:
    """What a method is called with."""

    __slots__ = ("body", "name", "owner", "parent", "says", "space")

    def __init__(self, name: str, parent: str, body: Mapping[str, Json], space: Space, says: Behaviour) -> None:
        self.name, self.parent, self.body, self.space, self.says = name, parent, body, space, says
        self.owner = owner_of(space)


def _bare(model: Json) -> str:
    return str(model or "").rpartition("/")[2]


def _create(caches: SimulatedCaches, _: Request, call: _Call) -> Json:
    body, model = call.body, _bare(call.body.get("model"))
    tokens = weigh(call.says.count, {**body, "contents": body.get("contents") or []})
    ttl, expires = _end_of(body)
    if not model or tokens is None or isinstance(ttl, Refusal):
        return ttl if isinstance(ttl, Refusal) else Refusal(400, "INVALID_ARGUMENT", "Invalid CachedContent.")
    wanted = Wanted(
        model,
        call.owner,
        tokens,
        _last_role(body.get("contents")),
        ttl,
        expires,
        str(body.get("displayName") or ""),
        call.parent,
        body.get("toolConfig"),
    )
    rule = caches.rule(call.space.platform, model, "gemini.generate", "explicit")
    caches.handles, made = create(caches.handles, wanted, rule, caches.clock())
    return _told(made)


def _last_role(contents: Json) -> str:
    last = contents[-1] if isinstance(contents, list) and contents else contents
    return str(last.get("role") or "user") if isinstance(last, dict) else ""


def _end_of(body: Mapping[str, Json]) -> tuple[int | Refusal | None, int | None]:
    """Time to live, or moment of the end, in nanoseconds."""
    ttl, expires = body.get("ttl"), body.get("expireTime")
    life = duration(str(ttl)) if ttl is not None else None
    end = instant(str(expires)) if expires is not None else None
    if (ttl is not None and life is None) or (expires is not None and end is None) or (life and end):
        return Refusal(400, "INVALID_ARGUMENT", "Invalid value for ttl or expire_time."), None
    return life, end


def _get(caches: SimulatedCaches, _: Request, call: _Call) -> Json:
    return _told(get(caches.handles, call.name, call.owner, caches.clock()))


def _list(caches: SimulatedCaches, request: Request, call: _Call) -> Json:
    asked = {name: values[-1] for name, values in parse_qs(request.query).items()}
    size = asked.get("pageSize", "")
    found, token = pages(
        caches.handles,
        call.owner,
        caches.clock(),
        size=int(size) if size.isdecimal() else 0,
        token=asked.get("pageToken", ""),
    )
    return {
        **({"cachedContents": [_told(handle) for handle in found]} if found else {}),
        **({"nextPageToken": token} if token else {}),
    }


def _update(caches: SimulatedCaches, _: Request, call: _Call) -> Json:
    ttl, expires = _end_of(call.body)
    if isinstance(ttl, Refusal):
        return ttl
    if not call.body.keys() <= {"ttl", "expireTime", "name"}:
        return Refusal(400, "INVALID_ARGUMENT", "Only the expiration of CachedContent can be updated.")
    caches.handles, moved = update(caches.handles, call.name, call.owner, caches.clock(), ttl=ttl, expires=expires)
    return _told(moved)


def _delete(caches: SimulatedCaches, _: Request, call: _Call) -> Json:
    caches.handles, refused = delete(caches.handles, call.name, call.owner, caches.clock())
    return refused or {}


_METHODS: Mapping[tuple[str, bool], Callable[[SimulatedCaches, Request, _Call], Json]] = {
    ("POST", False): _create,
    ("GET", False): _list,
    ("GET", True): _get,
    ("PATCH", True): _update,
    ("DELETE", True): _delete,
}


def _told(handle: Handle | Refusal) -> Json:
    """What is told of a handle: nothing of what it holds."""
    if isinstance(handle, Refusal):
        return handle
    parent = handle.name.rpartition("cachedContents/")[0]
    return {
        "name": handle.name,
        "model": f"{parent}publishers/google/models/{handle.model}" if parent else f"models/{handle.model}",
        "createTime": rfc3339(handle.created),
        "updateTime": rfc3339(handle.updated),
        "expireTime": rfc3339(handle.expires),
        **({"displayName": handle.display_name} if handle.display_name else {}),
        "usageMetadata": {"totalTokenCount": handle.tokens},
    }

"""One recorded request out of what stands around it: wire format, platform, model, moment, usage, answer.

A body stands by itself or is wrapped: ``{"request": {...}}``, ``{"body": {...}}``, ``{"kwargs": {...}}`` or
``{"params": {...}}`` (as an object, or as its JSON text), with ``dialect``, ``platform`` or ``provider``, ``model``, ``url``,
``status``, ``feature``, a moment (``created``, ``timestamp``, ``at``, ...), ``usage`` as the provider sent it and the
``response`` beside it. A bare list of messages is taken for an OpenAI-shaped chat.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from ctxkit.dialects.platforms import platform_named
from ctxkit.dialects.routing import route, unmetered_kind
from ctxkit.replay.readers.figures import answer_of, message_of, moment, usage_of
from ctxkit.replay.readers.values import is_messages, parsed

if TYPE_CHECKING:
    from pathlib import Path

    from ctxkit.dialects.routing import Route
    from ctxkit.model import Json, Usage
    from ctxkit.replay.readers.values import Complain

__all__ = ["Body", "Wanted", "body_of", "dialect_of", "spoken"]

_WRAPPERS = ("request", "body", "kwargs", "params")
_ANSWERS = ("response", "answer", "completion", "output")
_MOMENTS = ("at", "created", "created_at", "timestamp", "time", "ts", "date", "start_time", "startTime")
_PLATFORMS = {
    "openai.chat": "openai",
    "openai.responses": "openai",
    "openai.completions": "openai",
    "openai.embeddings": "openai",
    "anthropic.messages": "anthropic",
    "gemini.generate": "google",
    "bedrock.converse": "bedrock",
    "bedrock.invoke": "bedrock",
}
_CLAUDE_BLOCKS = frozenset({"tool_use", "tool_result", "thinking", "redacted_thinking", "document"})
_COUNTS = re.compile(r"[:/]count[_-]?tokens\b|/input_tokens\b|/cachedContents\b", re.IGNORECASE)
"""Addresses of what generates nothing."""


class Wanted(NamedTuple):
    """What is asked of a reader.

    Attributes:
        path: the file.
        dialect: wire format of its requests; by their looks when not given.
        platform: who served them; where the recording does not say it the owner of the wire format, when not given.
        model: for requests that carry none.
        complain: told of what cannot be read.
        seen: keys of what was counted already, in this file or another.
    """

    path: Path
    dialect: str | None = None
    platform: str | None = None
    model: str | None = None
    complain: Complain | None = None
    seen: set[str] | None = None

    def again(self, key: str) -> bool:
        """What has this key was counted already; from now on it was."""
        if self.seen is None:
            return False
        known = key in self.seen
        self.seen.add(key)
        return known


class Body(NamedTuple):
    """One recorded request.

    Attributes:
        json: the wire JSON.
        dialect: its wire format.
        platform: who served it.
        model: where the body does not carry it; else ``""``.
        at: when, in unix seconds.
        usage: that was reported, or ``None``.
        answer: message that answered, or ``None``.
        status: HTTP status of the answer, or ``None``.
        feature: as the recording names it.
        wrapped: something stood around it: it was sent as it is.
    """

    json: dict[str, Json]
    dialect: str
    platform: str
    model: str = ""
    at: float | None = None
    usage: Usage | None = None
    answer: Json | None = None
    status: int | None = None
    feature: str = ""
    wrapped: bool = False


def body_of(
    value: Json, dialect: str | None = None, platform: str | None = None, model: str | None = None
) -> Body | None:
    """The request in a recorded value; ``None`` for a request that generates nothing (a count of tokens).

    Raises:
        ValueError: there is none, or in no known wire format; in words for people.
    """
    beside: dict[str, Json] = value if isinstance(value, dict) else {}
    found = next((inner for name in _WRAPPERS if (inner := _structure(beside.get(name))) is not None), value)
    wrapped = found is not value
    if isinstance(found, list) and is_messages(found):
        found = {"messages": found}
    if not isinstance(found, dict):
        raise ValueError(f"a request is an object, this is a {type(found).__name__}")  # noqa: TRY004 - told to people
    url = _said(beside, "url") or _said(beside, "endpoint_url") or ""
    if _COUNTS.search(url):
        return None
    way = _way(url)
    named = dialect or _said(beside, "dialect") or (way.dialect if way else None) or dialect_of(found)
    if named is None:
        kind = unmetered_kind(urlsplit(url).path) if way is None and url else None
        unread = f"calls of this kind ({kind}) are not read" if kind else "no wire format is known that looks like this"
        raise ValueError(f"{unread}; name one with --dialect")
    served = platform or _served(beside, way) or _hosted(found) or _PLATFORMS.get(named, "")
    asked = _said(found, "model") or _said(found, "modelId")
    return _with_figures(Body(found, named, served, wrapped=wrapped), beside if wrapped else {}, asked, model, way)


def _with_figures(body: Body, beside: dict[str, Json], asked: str | None, model: str | None, way: Route | None) -> Body:
    outside = "" if asked else model or _said(beside, "model") or (way.model if way else None) or ""
    response = next((beside[name] for name in _ANSWERS if beside.get(name)), None)
    if isinstance(response, dict) and isinstance(response.get("body"), dict | list | str):
        response = response["body"]  # as batches hold it
    usage = usage_of(body.dialect, body.platform, beside.get("usage"), asked or outside)
    if usage is None and response is not None:
        answer = answer_of(body.dialect, body.platform, response)
        usage = answer.usage if answer else None
    status = beside.get("status", beside.get("status_code"))
    dialect = spoken(body.dialect, body.json)
    return body._replace(
        dialect=dialect,
        model=outside,
        at=next((at for name in _MOMENTS if (at := moment(beside.get(name))) is not None), None),
        usage=usage,
        answer=message_of(dialect, parsed(response)),
        status=status if isinstance(status, int) and not isinstance(status, bool) else None,
        feature=_said(beside, "feature") or "",
    )


def _structure(value: Json) -> Json | None:
    found = parsed(value)
    return found if isinstance(found, dict | list) else None


def _way(url: str) -> Route | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return route(parts.path, parts.netloc) if url else None


def _served(beside: dict[str, Json], way: Route | None) -> str | None:
    """The platform as the recording names it; a host where there should be a name says nothing."""
    named = _said(beside, "platform")
    if named is None and way is not None and way.platform != "unknown":
        return way.platform
    named = named or _said(beside, "provider")
    return platform_named(named).name if named and not any(mark in named for mark in ":/. ") else None


def _hosted(body: dict[str, Json]) -> str | None:
    """Bodies to Claude on other platforms say which: ``"bedrock-2023-05-31"``, ``"vertex-2023-10-16"``."""
    platform = (_said(body, "anthropic_version") or "").partition("-")[0]
    return platform if platform in ("bedrock", "vertex") else None


def _said(values: dict[str, Json], name: str) -> str | None:
    value = values.get(name)
    return value if isinstance(value, str) and value else None


def spoken(dialect: str, body: dict[str, Json]) -> str:
    """The wire format that a body is written in: Bedrock's ``invoke`` takes that of the model's maker."""
    if dialect != "bedrock.invoke" or not isinstance(body.get("messages"), list):
        return dialect
    return "anthropic.messages" if "anthropic_version" in body else (dialect_of(body) or dialect)


def dialect_of(body: dict[str, Json]) -> str | None:
    """The wire format that a request body has by its looks; ``None`` when nobody writes such bodies."""
    if isinstance(body.get("contents"), list):
        return "gemini.generate"
    messages = body.get("messages")
    if isinstance(messages, list):
        return _of_messages(body, messages)
    return "openai.responses" if "input" in body else None


def _of_messages(body: dict[str, Json], messages: list[Json]) -> str:
    blocks = [block for message in messages if isinstance(message, dict) for block in _blocks(message)]
    if "toolConfig" in body or "inferenceConfig" in body or "modelId" in body:
        return "bedrock.converse"
    if any("type" not in block for block in blocks) and all(
        isinstance(message, dict) and isinstance(message.get("content"), list) for message in messages
    ):
        return "bedrock.converse"
    tools = body.get("tools")
    claude = (
        "system" in body
        or "anthropic_version" in body
        or str(body.get("model", "")).startswith("claude")
        or any(isinstance(tool, dict) and "input_schema" in tool for tool in (tools if isinstance(tools, list) else ()))
        or any(_typed(block) in _CLAUDE_BLOCKS for block in blocks)
    )
    return "anthropic.messages" if claude else "openai.chat"


def _typed(block: dict[str, Json]) -> str:
    kind = block.get("type")
    return kind if isinstance(kind, str) else ""


def _blocks(message: dict[str, Json]) -> list[dict[str, Json]]:
    content = message.get("content")
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []

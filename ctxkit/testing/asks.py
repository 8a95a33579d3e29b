"""What a request asks for, by its path, and the answer that each format gives to it.

The routes are written out here once more, apart from those of ``ctxkit.dialects``: the fake provider is the peer that
the rest of the package is tried against, and a shared mistake would go unseen.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from ctxkit.testing import (
    anthropic_messages,
    bedrock_converse,
    bedrock_invoke,
    gemini_generate,
    openai_chat,
    openai_completions,
    openai_embeddings,
    openai_responses,
)
from ctxkit.testing.framing import compact, whole
from ctxkit.testing.values import Ask, Behaviour, Format, Reply, Request, Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ctxkit.model import Json

__all__ = ["ask_of", "family_of", "respond"]


class _Route(NamedTuple):
    """A pattern of paths; ``stream`` is None where the body says it."""

    pattern: str
    format: Format
    stream: bool | None = None


_ROUTES = (
    _Route(r".*/messages/count_tokens|.*:countTokens|.*/responses/input_tokens|.*/count-tokens", "count", stream=False),
    _Route(r".*/(?:deployments/(?P<model>[^/]+)/)?chat/completions", "openai.chat"),
    _Route(r".*/(?:deployments/(?P<model>[^/]+)/)?completions", "openai.completions"),
    _Route(r".*/(?:deployments/(?P<model>[^/]+)/)?embeddings", "openai.embeddings", stream=False),
    _Route(r".*/responses", "openai.responses"),
    _Route(r".*/v1/messages", "anthropic.messages"),
    _Route(r".*/models/(?P<model>[^/]+):rawPredict", "anthropic.messages", stream=False),
    _Route(r".*/models/(?P<model>[^/]+):streamRawPredict", "anthropic.messages", stream=True),
    _Route(r".*/models/(?P<model>[^/]+):generateContent", "gemini.generate", stream=False),
    _Route(r".*/models/(?P<model>[^/]+):streamGenerateContent", "gemini.generate", stream=True),
    _Route(r".*/models/(?P<model>[^/]+):(?:embedContent|batchEmbedContents)", "gemini.embeddings", stream=False),
    _Route(r".*/model/(?P<model>[^/]+)/converse", "bedrock.converse", stream=False),
    _Route(r".*/model/(?P<model>[^/]+)/converse-stream", "bedrock.converse", stream=True),
    _Route(r".*/model/(?P<model>[^/]+)/invoke", "bedrock.invoke", stream=False),
    _Route(r".*/model/(?P<model>[^/]+)/invoke-with-response-stream", "bedrock.invoke", stream=True),
    _Route(r".*/models", "models", stream=False),
)


def _count(ask: Ask) -> Reply:
    number = ask.tokens.input if ask.tokens else 0
    field = {"gemini": "totalTokens", "bedrock": "inputTokens"}.get(family_of(ask.request.path), "input_tokens")
    return whole({field: number})


def _models(_: Ask) -> Reply:
    return whole({"object": "list", "data": [{"id": "fake-1", "object": "model", "created": 0, "owned_by": "fake"}]})


_ANSWERS: Mapping[Format, tuple[tuple[str, ...], Callable[[Ask], Reply]]] = {
    "openai.chat": (openai_chat.READS, openai_chat.answer),
    "openai.completions": (openai_completions.READS, openai_completions.answer),
    "openai.embeddings": (openai_embeddings.READS, openai_embeddings.answer),
    "openai.responses": (openai_responses.READS, openai_responses.answer),
    "anthropic.messages": (anthropic_messages.READS, anthropic_messages.answer),
    "gemini.generate": (gemini_generate.READS, gemini_generate.answer),
    "gemini.embeddings": (gemini_generate.EMBEDDING_READS, gemini_generate.embed),
    "bedrock.converse": (bedrock_converse.READS, bedrock_converse.answer),
    "bedrock.invoke": (bedrock_invoke.READS, bedrock_invoke.answer),
    "count": (("system", "instructions", "systemInstruction", "messages", "input", "contents", "tools"), _count),
    "models": ((), _models),
}


def ask_of(request: Request, says: Behaviour) -> Ask | None:
    """What ``request`` wants, or ``None`` when no provider answers on its path."""
    for route in _ROUTES:
        found = re.fullmatch(route.pattern, request.path)
        if found is not None:
            body = request.json if isinstance(request.json, dict) else {}
            model = found.groupdict().get("model")
            named = unquote(model) if model else str(body.get("model", "fake-1"))
            stream = body.get("stream") is True if route.stream is None else route.stream
            return Ask(route.format, named, stream, request, says, _tokens(route.format, body, says))
    return None


def respond(ask: Ask) -> Reply:
    """The answer of the format that was asked."""
    return _ANSWERS[ask.format][1](ask)


def family_of(path: str) -> str:
    """Whose error shape a path gets: ``"openai"``, ``"anthropic"``, ``"gemini"`` or ``"bedrock"``."""
    if "/messages" in path or "awPredict" in path:
        return "anthropic"
    if "/model/" in path:
        return "bedrock"
    return "gemini" if ("/models/" in path and ":" in path) or "/cachedContents" in path else "openai"


def _tokens(form: Format, body: Mapping[str, Json], says: Behaviour) -> Tokens | None:
    if not says.usage:
        return None
    if says.tokens is not None:
        return says.tokens
    read = {name: body[name] for name in _ANSWERS[form][0] if name in body}
    given = says.count(compact(read).decode("utf-8", "surrogatepass")) if read else 0
    calls = "".join(compact({call.name: call.arguments}).decode("utf-8", "surrogatepass") for call in says.calls)
    thought = says.count(says.reasoning) if says.reasoning else 0
    written = says.count(says.text + calls) if says.text + calls else 0
    return Tokens(given, thought + written, reasoning=thought)

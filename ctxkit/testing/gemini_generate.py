"""Gemini ``generateContent`` and ``streamGenerateContent`` (API reference, read 2026-11-20).

Streams are server-sent events with CRLF line ends where ``alt=sse`` was asked for, else one JSON array, and carry
no terminator of their own: they end with the body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxkit.testing.framing import compact, events, whole, words
from ctxkit.testing.values import Ask, Reply, Tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxkit.model import Json

__all__ = ["EMBEDDING_READS", "READS", "answer", "embed"]

READS = ("systemInstruction", "system_instruction", "contents", "tools")
"""Fields of a request that the model reads."""

EMBEDDING_READS = ("content", "requests")
"""Fields of an embedding request that the model reads."""


def answer(ask: Ask) -> Reply:
    """Answer a request."""
    if not ask.stream:
        return whole(_chunk(ask, _parts(ask), last=True))
    chunks = [compact(chunk) for chunk in _stream(ask)]
    if "alt=sse" in ask.request.query:
        return events(((None, chunk) for chunk in chunks), end="\r\n")
    return Reply(b"[" + b",\r\n".join(chunks) + b"]", content_type="application/json; charset=UTF-8")


def embed(ask: Ask) -> Reply:
    """Answer ``embedContent`` or ``batchEmbedContents``."""
    vector = {"values": list(ask.says.embedding)}
    many = ask.body.get("requests")
    body: dict[str, Any] = {"embeddings": [vector] * len(many)} if isinstance(many, list) else {"embedding": vector}
    if ask.tokens is not None:
        body["usageMetadata"] = {"promptTokenCount": ask.tokens.input, "totalTokenCount": ask.tokens.input}
    return whole(body)


def _stream(ask: Ask) -> Iterator[Json]:
    for part in _parts(ask):
        if "text" not in part:
            yield _chunk(ask, [part], last=False)
        else:
            yield from (_chunk(ask, [{**part, "text": piece}], last=False) for piece in words(part["text"]))
    yield _chunk(ask, [{"text": ""}], last=True)


def _chunk(ask: Ask, parts: list[dict[str, Any]], *, last: bool) -> Json:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if last:
        candidate["finishReason"] = "STOP"
    body: dict[str, Any] = {"candidates": [candidate], "modelVersion": ask.model, "responseId": f"resp-{ask.id}"}
    if ask.tokens is not None:
        body["usageMetadata"] = _usage(ask.tokens, last=last)
    return body


def _parts(ask: Ask) -> list[dict[str, Any]]:
    thought = [{"text": ask.says.reasoning, "thought": True}] if ask.says.reasoning else []
    text = [{"text": ask.says.text}] if ask.says.text else []
    calls = [{"functionCall": {"name": call.name, "args": dict(call.arguments)}} for call in ask.says.calls]
    return [*thought, *text, *calls]


def _usage(tokens: Tokens, *, last: bool) -> dict[str, Any]:
    """Usage as Gemini reports it: cached inside ``promptTokenCount``, thoughts beside the candidates.

    Chunks before the last tell the prompt alone.
    """
    told: dict[str, Any] = {"promptTokenCount": tokens.input}
    if tokens.read:
        told["cachedContentTokenCount"] = tokens.read
    if not last:
        return {**told, "totalTokenCount": tokens.input}
    told["candidatesTokenCount"] = tokens.output - tokens.reasoning
    if tokens.reasoning:
        told["thoughtsTokenCount"] = tokens.reasoning
    return {**told, "totalTokenCount": tokens.input + tokens.output}

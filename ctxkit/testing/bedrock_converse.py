"""Bedrock ``Converse`` and ``ConverseStream`` (API reference, read 2026-11-20)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxkit.dialects.eventstream import encode
from ctxkit.testing.framing import compact, whole, words
from ctxkit.testing.values import Ask, Reply, Tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["READS", "answer", "binary"]

READS = ("system", "messages", "toolConfig")
"""Fields of a request that the model reads."""


def answer(ask: Ask) -> Reply:
    """Answer a request."""
    if ask.stream:
        return binary((kind, compact(payload)) for kind, payload in _stream(ask))
    message = {"role": "assistant", "content": _blocks(ask)}
    body: dict[str, Any] = {"output": {"message": message}, "stopReason": _stop(ask), "metrics": {"latencyMs": 12}}
    return whole(body if ask.tokens is None else {**body, "usage": _usage(ask.tokens)})


def binary(messages: Iterable[tuple[str, bytes]]) -> Reply:
    """An answer in AWS's binary event stream: pairs of event type and JSON payload."""
    pieces = [encode(kind, payload) for kind, payload in messages]
    return Reply(
        b"".join(pieces),
        content_type="application/vnd.amazon.eventstream",
        chunks=tuple(len(piece) for piece in pieces),
    )


def _stream(ask: Ask) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "messageStart", {"role": "assistant"}
    for index, block in enumerate(_blocks(ask)):
        if "toolUse" in block:
            named = {"toolUseId": block["toolUse"]["toolUseId"], "name": block["toolUse"]["name"]}
            yield "contentBlockStart", {"contentBlockIndex": index, "start": {"toolUse": named}}
        for delta in _deltas(block):
            yield "contentBlockDelta", {"contentBlockIndex": index, "delta": delta}
        yield "contentBlockStop", {"contentBlockIndex": index}
    yield "messageStop", {"stopReason": _stop(ask)}
    if ask.tokens is not None:
        yield "metadata", {"usage": _usage(ask.tokens), "metrics": {"latencyMs": 12}}


def _deltas(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "text" in block:
        yield from ({"text": piece} for piece in words(block["text"]))
    elif "reasoningContent" in block:
        thought = block["reasoningContent"]["reasoningText"]
        yield from ({"reasoningContent": {"text": piece}} for piece in words(thought["text"]))
        yield {"reasoningContent": {"signature": thought["signature"]}}
    else:
        arguments = compact(block["toolUse"]["input"]).decode("utf-8", "surrogatepass")
        yield from ({"toolUse": {"input": piece}} for piece in words(arguments))


def _blocks(ask: Ask) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if ask.says.reasoning:
        blocks.append({"reasoningContent": {"reasoningText": {"text": ask.says.reasoning, "signature": "ZmFrZQ=="}}})
    if ask.says.text:
        blocks.append({"text": ask.says.text})
    for index, call in enumerate(ask.says.calls):
        made = {"toolUseId": f"tooluse_{ask.id}_{index}", "name": call.name, "input": dict(call.arguments)}
        blocks.append({"toolUse": made})
    return blocks


def _stop(ask: Ask) -> str:
    return "tool_use" if ask.says.calls else "end_turn"


def _usage(tokens: Tokens) -> dict[str, Any]:
    """Usage as Converse reports it: ``inputTokens`` without what the cache gave or took."""
    details = [{"ttl": ttl, "inputTokens": number} for ttl, number in tokens.lives.items() if number]
    return {
        "inputTokens": tokens.input - tokens.read - tokens.written,
        "outputTokens": tokens.output,
        "totalTokens": tokens.input + tokens.output,
        "cacheReadInputTokens": tokens.read,
        "cacheWriteInputTokens": tokens.written,
        **({"cacheDetails": details} if details else {}),
    }

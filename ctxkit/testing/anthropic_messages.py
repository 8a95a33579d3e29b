"""Anthropic messages, as ``POST /v1/messages`` answers (API reference and streaming guide, read 2026-11-20)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxkit.testing.framing import compact, events, whole, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxkit.model import Json
    from ctxkit.testing.values import Ask, Reply, Tokens

__all__ = ["READS", "answer", "message", "stream_events"]

READS = ("system", "messages", "tools")
"""Fields of a request that the model reads."""

_SIGNATURE = "c2lnbmF0dXJlIG9mIHRoZSBmYWtlIHByb3ZpZGVy"


def answer(ask: Ask) -> Reply:
    """Answer a request."""
    if ask.stream:
        return events((event["type"], compact(event)) for event in stream_events(ask))
    return whole(message(ask))


def message(ask: Ask) -> Json:
    """The whole message; ``usage`` is left out where none is to be reported."""
    stop = {"stop_reason": _stop(ask), "stop_sequence": None}
    body = {**_head(ask), "content": _blocks(ask), **stop}
    return body if ask.tokens is None else {**body, "usage": _usage(ask.tokens)}


def stream_events(ask: Ask) -> Iterator[dict[str, Any]]:
    """The events of a streamed message: input side at the start, output at the end, cumulative."""
    start = {**_head(ask), "content": [], "stop_reason": None, "stop_sequence": None}
    if ask.tokens is not None:
        start["usage"] = {**_usage(ask.tokens), "output_tokens": 1}
    yield {"type": "message_start", "message": start}
    for index, block in enumerate(_blocks(ask)):
        yield from _block_events(index, block)
        if index == 0:
            yield {"type": "ping"}
    delta: dict[str, Any] = {
        "type": "message_delta",
        "delta": {"stop_reason": _stop(ask), "stop_sequence": None},
    }
    yield delta if ask.tokens is None else {**delta, "usage": {"output_tokens": ask.tokens.output}}
    yield {"type": "message_stop"}


def _block_events(index: int, block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    empty: dict[str, dict[str, Any]] = {
        "text": {"text": ""},
        "thinking": {"thinking": "", "signature": ""},
        "tool_use": {"input": {}},
    }
    yield {"type": "content_block_start", "index": index, "content_block": {**block, **empty[block["type"]]}}
    for delta in _deltas(block):
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def _deltas(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if block["type"] == "text":
        yield from ({"type": "text_delta", "text": piece} for piece in words(block["text"]))
    elif block["type"] == "thinking":
        yield from ({"type": "thinking_delta", "thinking": piece} for piece in words(block["thinking"]))
        yield {"type": "signature_delta", "signature": block["signature"]}
    else:
        arguments = compact(block["input"]).decode("utf-8", "surrogatepass")
        yield from ({"type": "input_json_delta", "partial_json": piece} for piece in ("", *words(arguments)))


def _head(ask: Ask) -> dict[str, Any]:
    return {"id": f"msg_{ask.id}", "type": "message", "role": "assistant", "model": ask.model, **ask.told}


def _blocks(ask: Ask) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if ask.says.reasoning:
        blocks.append({"type": "thinking", "thinking": ask.says.reasoning, "signature": _SIGNATURE})
    if ask.says.text:
        blocks.append({"type": "text", "text": ask.says.text})
    for index, call in enumerate(ask.says.calls):
        name = f"toolu_{ask.id}_{index}"
        blocks.append({"type": "tool_use", "id": name, "name": call.name, "input": dict(call.arguments)})
    return blocks


def _stop(ask: Ask) -> str:
    if ask.silent:
        return "max_tokens"
    return "tool_use" if ask.says.calls else "end_turn"


def _usage(tokens: Tokens) -> dict[str, Any]:
    """Usage as messages reports it: ``input_tokens`` is what neither was read from the cache nor written to it."""
    lives = tokens.lives or {"5m": tokens.written}
    return {
        "input_tokens": tokens.input - tokens.read - tokens.written,
        "cache_creation_input_tokens": tokens.written,
        "cache_read_input_tokens": tokens.read,
        "cache_creation": {f"ephemeral_{ttl}_input_tokens": lives.get(ttl, 0) for ttl in ("5m", "1h")},
        "output_tokens": tokens.output,
        "service_tier": "standard",
    }

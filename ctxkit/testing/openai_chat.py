"""OpenAI chat completions, as ``POST /v1/chat/completions`` answers (API reference, read 2026-11-20)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxkit.testing.framing import CREATED, compact, events, whole, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxkit.model import Json
    from ctxkit.testing.values import Ask, Reply, Tokens, ToolCall

__all__ = ["READS", "answer", "usage"]

READS = ("messages", "tools", "functions")
"""Fields of a request that the model reads."""


def answer(ask: Ask) -> Reply:
    """Answer a request."""
    return events(_stream(ask)) if ask.stream else whole(_whole(ask))


def usage(tokens: Tokens) -> Json:
    """Usage as chat reports it: the cached part stands inside ``prompt_tokens``."""
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": {
            "cached_tokens": tokens.read,
            "cache_write_tokens": tokens.written,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning, "audio_tokens": 0},
    }


def _whole(ask: Ask) -> Json:
    message: dict[str, Any] = {"role": "assistant", "content": ask.says.text or None, "refusal": None}
    if ask.says.calls:
        message["tool_calls"] = [_call(ask, index, call) for index, call in enumerate(ask.says.calls)]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(ask)}
    body = {**_head(ask, "chat.completion"), "choices": [choice]}
    return body if ask.tokens is None else {**body, "usage": usage(ask.tokens)}


def _stream(ask: Ask) -> Iterator[tuple[None, bytes]]:
    asked = ask.wants_usage
    head = {**_head(ask, "chat.completion.chunk"), **({"usage": None} if asked else {})}
    for delta, finish in _deltas(ask):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        yield None, compact({**head, "choices": [choice]})
    if asked and ask.tokens is not None:
        yield None, compact({**head, "choices": [], "usage": usage(ask.tokens)})
    yield None, b"[DONE]"


def _deltas(ask: Ask) -> Iterator[tuple[Json, str | None]]:
    yield {"role": "assistant", "content": "", "refusal": None}, None
    for piece in words(ask.says.text):
        yield {"content": piece}, None
    for index, call in enumerate(ask.says.calls):
        made = _call(ask, index, call)
        arguments = made["function"].pop("arguments")
        yield {"tool_calls": [{"index": index, **made, "function": {**made["function"], "arguments": ""}}]}, None
        for piece in words(arguments):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}, None
    yield {}, _finish(ask)


def _head(ask: Ask, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{ask.id}",
        "object": kind,
        "created": CREATED,
        "model": ask.model,
        "service_tier": "default",
        "system_fingerprint": "fp_fake",
    }


def _call(ask: Ask, index: int, call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": compact(call.arguments).decode("utf-8", "surrogatepass")}
    return {"id": f"call_{ask.id}_{index}", "type": "function", "function": function}


def _finish(ask: Ask) -> str:
    return "tool_calls" if ask.says.calls else "stop"

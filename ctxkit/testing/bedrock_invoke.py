"""Bedrock ``InvokeModel``: the body is whatever the model's maker defined (user guide, read 2026-11-20).

Anthropic, Amazon Nova, Meta Llama and Amazon Titan (text and embeddings) are spoken. Every answer also tells its
tokens in headers, every stream in ``amazon-bedrock-invocationMetrics`` of its last event.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from ctxkit.testing import anthropic_messages
from ctxkit.testing.bedrock_converse import binary
from ctxkit.testing.framing import compact, whole, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxkit.model import Json
    from ctxkit.testing.values import Ask, Reply, Tokens

__all__ = ["READS", "answer"]

READS = ("system", "messages", "tools", "prompt", "inputText")
"""Fields of a request that the model reads."""


def answer(ask: Ask) -> Reply:
    """Answer a request."""
    if ask.stream:
        return binary(("chunk", _wrapped(event)) for event in _metered(ask))
    headers = {} if ask.tokens is None else _headers(ask.tokens)
    return whole(_whole(ask), headers)


def _wrapped(event: Json) -> bytes:
    return compact({"bytes": base64.b64encode(compact(event)).decode()})


def _metered(ask: Ask) -> Iterator[Json]:
    """The events, with the metrics added to the last."""
    listed = list(_events(ask))
    yield from listed[:-1]
    yield listed[-1] if ask.tokens is None else {**listed[-1], "amazon-bedrock-invocationMetrics": _metrics(ask.tokens)}


def _whole(ask: Ask) -> Json:
    family = _family(ask.model)
    if family == "anthropic":
        return anthropic_messages.message(ask)
    if family == "nova":
        body: dict[str, Any] = {"output": {"message": {"role": "assistant", "content": [{"text": ask.says.text}]}}}
        body["stopReason"] = "end_turn"
        return body if ask.tokens is None else {**body, "usage": _nova(ask.tokens)}
    if family == "llama":
        return {"generation": ask.says.text, **_llama(ask.tokens), "stop_reason": "stop"}
    read = {} if ask.tokens is None else {"inputTextTokenCount": ask.tokens.input}
    if "embed" in ask.model:
        return {"embedding": list(ask.says.embedding), **read}
    count = {} if ask.tokens is None else {"tokenCount": ask.tokens.output}
    return {**read, "results": [{**count, "outputText": ask.says.text, "completionReason": "FINISH"}]}


def _events(ask: Ask) -> Iterator[dict[str, Any]]:
    family = _family(ask.model)
    if family == "anthropic":
        yield from anthropic_messages.stream_events(ask)
    elif family == "nova":
        yield {"messageStart": {"role": "assistant"}}
        for piece in words(ask.says.text):
            yield {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": piece}}}
        yield {"contentBlockStop": {"contentBlockIndex": 0}}
        yield {"messageStop": {"stopReason": "end_turn"}}
        yield {"metadata": {} if ask.tokens is None else {"usage": _nova(ask.tokens)}}
    elif family == "llama":
        yield from ({"generation": piece, "stop_reason": None} for piece in words(ask.says.text))
        yield {"generation": "", "stop_reason": "stop"}
    else:
        yield from ({"outputText": piece, "completionReason": None} for piece in words(ask.says.text))
        yield {"outputText": "", "completionReason": "FINISH"}


def _family(model: str) -> str:
    names = ("anthropic", "nova", "llama")
    return next((name for name in names if name in model), "titan")


def _nova(tokens: Tokens) -> dict[str, int]:
    used = {"inputTokens": tokens.input - tokens.read - tokens.written, "outputTokens": tokens.output}
    return {**used, "cacheReadInputTokenCount": tokens.read, "cacheWriteInputTokenCount": tokens.written}


def _llama(tokens: Tokens | None) -> dict[str, int]:
    if tokens is None:
        return {}
    return {"prompt_token_count": tokens.input, "generation_token_count": tokens.output}


def _metrics(tokens: Tokens) -> dict[str, int]:
    return {
        "inputTokenCount": tokens.input - tokens.read - tokens.written,
        "outputTokenCount": tokens.output,
        "invocationLatency": 12,
        "firstByteLatency": 4,
        "cacheReadInputTokenCount": tokens.read,
        "cacheWriteInputTokenCount": tokens.written,
    }


def _headers(tokens: Tokens) -> dict[str, str]:
    fresh = tokens.input - tokens.read - tokens.written
    return {
        "X-Amzn-Bedrock-Input-Token-Count": str(fresh),
        "X-Amzn-Bedrock-Output-Token-Count": str(tokens.output),
        "X-Amzn-Bedrock-Invocation-Latency": "12",
    }

"""OpenAI legacy completions, as ``POST /v1/completions`` answers (API reference, read 2026-11-20)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxkit.testing.framing import CREATED, compact, events, whole, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxkit.testing.values import Ask, Reply

__all__ = ["READS", "answer"]

READS = ("prompt", "suffix")
"""Fields of a request that the model reads."""


def answer(ask: Ask) -> Reply:
    """Answer a request."""
    if ask.stream:
        return events(_stream(ask))
    body = {**_head(ask), "choices": [_choice(ask.says.text, "stop")]}
    return whole({**body, **_usage(ask)})


def _stream(ask: Ask) -> Iterator[tuple[None, bytes]]:
    for piece in words(ask.says.text):
        yield None, compact({**_head(ask), "choices": [_choice(piece, None)]})
    yield None, compact({**_head(ask), "choices": [_choice("", "stop")]})
    if ask.wants_usage:
        yield None, compact({**_head(ask), "choices": [], **_usage(ask)})
    yield None, b"[DONE]"


def _head(ask: Ask) -> dict[str, Any]:
    return {"id": f"cmpl-{ask.id}", "object": "text_completion", "created": CREATED, "model": ask.model}


def _choice(text: str, finish: str | None) -> dict[str, Any]:
    return {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}


def _usage(ask: Ask) -> dict[str, Any]:
    if ask.tokens is None:
        return {}
    used = {"prompt_tokens": ask.tokens.input, "completion_tokens": ask.tokens.output}
    return {"usage": {**used, "total_tokens": ask.tokens.input + ask.tokens.output}}

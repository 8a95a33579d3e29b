"""OpenAI embeddings, as ``POST /v1/embeddings`` answers (API reference, read 2026-11-20)."""

from __future__ import annotations

import base64
import struct
from typing import TYPE_CHECKING

from ctxkit.testing.framing import whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctxkit.model import Json
    from ctxkit.testing.values import Ask, Reply

__all__ = ["READS", "answer"]

READS = ("input",)
"""Fields of a request that the model reads."""


def answer(ask: Ask) -> Reply:
    """Answer a request: one vector for each input, as floats or base64, as asked."""
    vector = _vector(ask.says.embedding, ask.body.get("encoding_format"))
    data = [{"object": "embedding", "index": index, "embedding": vector} for index in range(_inputs(ask.body))]
    body: dict[str, Json] = {"object": "list", "data": data, "model": ask.model}
    if ask.tokens is not None:
        body["usage"] = {"prompt_tokens": ask.tokens.input, "total_tokens": ask.tokens.input}
    return whole(body)


def _inputs(body: Mapping[str, Json]) -> int:
    given = body.get("input")
    many = isinstance(given, list) and bool(given) and not isinstance(given[0], int)
    return len(given) if many and isinstance(given, list) else 1


def _vector(values: Sequence[float], form: Json) -> Json:
    if form == "base64":
        return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
    return list(values)

"""Legacy completions in OpenAI's format (vLLM, llama.cpp, Mistral's ``fim`` and others speak it): never edited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.dialects.blocks import request, said, whole
from ctxkit.dialects.openai.answers import ChatStream, chat_answer
from ctxkit.dialects.openai.inputs import identity, input_messages
from ctxkit.dialects.openai.inputs import refuse as apply
from ctxkit.model import Conversation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctxkit.model import Answer, Json

__all__ = ["answer", "apply", "editable", "identity", "name", "stream", "view"]

name = "openai.completions"
editable = False


def view(body: Json) -> Conversation:
    """A look at a completion request: the prompt (or each of several), then the suffix.

    Raises:
        ProviderShapeError: not an object, or without ``prompt``.
    """
    body = request(body, name)
    suffix = input_messages(body, "suffix", name) if isinstance(body.get("suffix"), str) else ()
    taken = ("prompt", "suffix") if suffix else ("prompt",)
    return Conversation(
        dialect=name,
        model=said(body.get("model")),
        messages=(*input_messages(body, "prompt", name), *suffix),
        options={key: value for key, value in body.items() if key not in taken},
        max_output=whole(body.get("max_tokens")),
        choices=whole(body.get("best_of"), body.get("n")) or 1,
        stream=body.get("stream") is True,
    )


def answer(response: Mapping[str, Json], platform: str) -> Answer:
    """Read a whole answer. Figures that do not add up become ``problems``."""
    return chat_answer(response, platform)


def stream(platform: str, *, hide_usage: bool = False) -> ChatStream:
    """Begin to read a streamed answer; ``hide_usage``: the usage chunk was asked for by us alone."""
    return ChatStream(platform, hide_usage=hide_usage)

"""Embeddings in OpenAI's format (Azure, Mistral, Voyage, OpenRouter and others speak it): metered, never edited."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ctxkit.dialects.blocks import request, said
from ctxkit.dialects.openai.answers import ChatStream, chat_answer
from ctxkit.dialects.openai.inputs import identity, input_messages
from ctxkit.dialects.openai.inputs import refuse as apply
from ctxkit.model import Conversation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctxkit.model import Answer, Json

__all__ = ["answer", "apply", "editable", "identity", "name", "stream", "view"]

name = "openai.embeddings"
editable = False


def view(body: Json) -> Conversation:
    """A look at an embeddings request: every input is a message of its own.

    Raises:
        ProviderShapeError: not an object, or without ``input``.
    """
    body = request(body, name)
    return Conversation(
        dialect=name,
        model=said(body.get("model")),
        messages=input_messages(body, "input", name),
        options={key: value for key, value in body.items() if key != "input"},
        max_output=0,
    )


def answer(response: Mapping[str, Json], platform: str) -> Answer:
    """Read an answer. Embeddings have no output: that is known, and not reported."""
    found = chat_answer(response, platform)
    if found.usage is None or found.usage.output is not None:
        return found
    return replace(found, usage=replace(found.usage, output=0))


def stream(platform: str, *, hide_usage: bool = False) -> ChatStream:
    """Embeddings are not streamed; what comes all the same is read like a chat stream."""
    return ChatStream(platform, hide_usage=hide_usage)

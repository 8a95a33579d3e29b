"""``bedrock.invoke``: InvokeModel of Amazon Bedrock, whose body is each model family's own. Metered, never edited.

The view knows the bodies of Claude (Anthropic's messages), Nova (Converse's messages), OpenAI-shaped families, and
those with one prompt (Titan, Llama, Mistral, Cohere, embeddings); any other body is all ``options``.

Some families report no usage in the body: Bedrock counts for them, in the headers of the answer
(``x-amzn-bedrock-input-token-count``) or at the end of a stream (``amazon-bedrock-invocationMetrics``). A door hands
the headers over with :func:`metered`, which puts them into the answer under the name they have in streams.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ctxkit.dialects.anthropic import messages as anthropic_messages
from ctxkit.dialects.bedrock import converse as bedrock_converse
from ctxkit.dialects.bedrock.invoke_usage import InvokeStream, metered, read_answer
from ctxkit.dialects.blocks import each, listed, mapped, request, whole
from ctxkit.errors import ProviderShapeError
from ctxkit.model import Conversation, Message, Part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctxkit.dialects.base import AnswerStream
    from ctxkit.model import Answer, Edit, Json

__all__ = ["answer", "apply", "editable", "identity", "metered", "name", "stream", "view"]

name = "bedrock.invoke"
editable = False

_PROMPTS = ("preamble", "chat_history", "prompt", "inputText", "message", "texts", "inputs", "input")
"""Where families without messages keep what the model reads, in the order in which it reads them."""


_LIMITS = (
    "max_tokens",
    "max_completion_tokens",
    "max_gen_len",
    "max_tokens_to_sample",
    "maxTokens",
    "maxTokenCount",
    "max_new_tokens",
)


def view(body: Json) -> Conversation:
    """A read-only look at ``body``, as far as its family is known.

    Raises:
        ProviderShapeError: the body is no object, or its messages are not what its family documents.
    """
    body = request(body, name)
    if "messages" in body:
        seen = bedrock_converse.view(body) if _is_nova(body) else anthropic_messages.view(body)
        return replace(seen, dialect=name, model=_model(body), max_output=seen.max_output or _limit(body))
    found = [Message("user", (key,), body[key], _read) for key in _PROMPTS if body.get(key) is not None]
    used = {message.path[0] for message in found} | {"modelId"}
    options = {key: body[key] for key in body if key not in used}
    return Conversation(
        dialect=name,
        model=_model(body),
        messages=tuple(found),
        options=options,
        max_output=_limit(body),
        choices=whole(body.get("num_generations")) or 1,
    )


def _is_nova(body: dict[str, Json]) -> bool:
    """Nova names its blocks by their only key; the others give every block a type."""
    if not {"schemaVersion", "inferenceConfig", "toolConfig"}.isdisjoint(body):
        return True
    blocks = [block for _, message in each(body["messages"], ()) for block in _blocks(message)]
    return bool(blocks) and not any("type" in block for block in blocks)


def _blocks(message: Json) -> list[dict[str, Json]]:
    content = message.get("content") if isinstance(message, dict) else None
    return [block for _, block in each(content, ()) if isinstance(block, dict)]


def _limit(body: dict[str, Json]) -> int | None:
    """The longest answer allowed, by the name that the family has for it."""
    inner = mapped(body.get("textGenerationConfig")) | mapped(body.get("inferenceConfig"))
    return whole(*(body.get(key) for key in _LIMITS), *(inner.get(key) for key in _LIMITS))


def _model(body: dict[str, Json]) -> str:
    model = body.get("modelId", body.get("model"))
    return model if isinstance(model, str) else ""


def _read(message: Message) -> tuple[Part, ...]:
    places = each(message.value, message.path) if listed(message.value) else [(message.path, message.value)]
    return tuple(_part(message.role, place, value) for place, value in places)


def _part(role: str, path: tuple[str | int, ...], value: Json) -> Part:
    if isinstance(value, str):
        return Part("text", role, path, value, value)
    said = value.get("message") if isinstance(value, dict) else None  # a turn of Cohere's chat_history
    return Part("text", role, path, value, said) if isinstance(said, str) else Part("other", role, path, value)


def identity(value: Json) -> Json:
    """``value`` without the markers of Claude and of Nova; the same object when there is none."""
    return bedrock_converse.identity(anthropic_messages.identity(value))


def apply(body: Json, edits: Sequence[Edit]) -> Json:
    """``body`` itself: this format is never edited.

    Raises:
        ProviderShapeError: there are edits.
    """
    if edits:
        raise ProviderShapeError(f"{name}: requests of this format are metered and never edited")
    return body


def answer(response: Mapping[str, Json], platform: str) -> Answer:  # noqa: ARG001 -- one rule for all platforms
    """Read a whole answer of any family; see ``invoke_usage`` for the rules and :func:`metered` for the headers."""
    return read_answer(response)


def stream(platform: str, *, hide_usage: bool = False) -> AnswerStream:  # noqa: ARG001 -- usage is always sent
    """Begin to read a streamed answer, which ends with the event that holds Bedrock's own metrics.

    ``feed`` takes an event as it comes: the wire's ``{"bytes": base64}``, the same under ``"chunk"``, or the model's
    JSON that is inside (what botocore hands out as ``event["chunk"]["bytes"]``).
    """
    return InvokeStream()

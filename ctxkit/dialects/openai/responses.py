"""OpenAI Responses (also ``/responses/compact``), and the servers that speak it.

Cache order: the prompt template, tools, instructions, input. With ``previous_response_id`` or ``conversation`` the
provider holds the history: such a request is viewed and metered, and never edited. Cache marker:
``prompt_cache_breakpoint`` on content blocks. Sources: openai package 3.52 types, developers.openai.com (2026-09).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.dialects import edits as _edits
from ctxkit.dialects.blocks import listed, request, said, whole
from ctxkit.dialects.openai.answers import ResponseStream, response_answer
from ctxkit.dialects.openai.items import read_item, read_prompt, read_tool, role_of
from ctxkit.dialects.openai.parts import unmarked
from ctxkit.errors import ProviderShapeError
from ctxkit.model import Conversation, Message, Part

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ctxkit.model import Answer, Edit, Json

__all__ = ["answer", "apply", "editable", "identity", "name", "stream", "view"]

name = "openai.responses"
editable = True

_STARTS = ("input", "instructions", "prompt", "previous_response_id", "conversation")
_NESTED = ("content", "output")  # lists of blocks that may carry a marker


def view(body: Json) -> Conversation:
    """A look at a Responses request: prompt template, tools, instructions, input.

    Raises:
        ProviderShapeError: not an object, nothing in it that a response could begin with, or an ``input`` that is
            neither text nor a list of objects.
    """
    body = request(body, name)
    if all(body.get(key) is None for key in _STARTS):
        raise ProviderShapeError(f"{name}: none of {', '.join(_STARTS)} is there")
    messages = (*_before(body), *_input(body.get("input")))
    taken = {message.path[0] for message in messages} | ({"input"} if listed(body.get("input")) else set())
    return Conversation(
        dialect=name,
        model=said(body.get("model")),
        messages=messages,
        options={key: value for key, value in body.items() if key not in taken},
        server_history=_history(body),
        max_output=whole(body.get("max_output_tokens")),
        stream=body.get("stream") is True,
        tier=said(body.get("service_tier")) or None,
    )


def _history(body: Mapping[str, Json]) -> str | None:
    conversation = body.get("conversation")
    if isinstance(conversation, dict):
        conversation = conversation.get("id")
    return said(body.get("previous_response_id")) or said(conversation) or None


def _before(body: Mapping[str, Json]) -> Iterator[Message]:
    if (prompt := body.get("prompt")) is not None:
        yield Message("system", ("prompt",), prompt, read_prompt)
    tools = body.get("tools")
    for index, tool in enumerate(tools if isinstance(tools, list | tuple) else ()):
        yield Message("tools", ("tools", index), tool, read_tool)
    if isinstance(instructions := body.get("instructions"), str):
        yield Message("system", ("instructions",), instructions, _read_text)


def _input(value: Json) -> Iterator[Message]:
    if value is None:
        return
    if isinstance(value, str):
        yield Message("user", ("input",), value, _read_text)
        return
    if not listed(value):
        raise ProviderShapeError(f"{name}: input is of type {type(value).__name__}, neither text nor a list")
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            raise ProviderShapeError(f"{name}: input[{index}] is of type {type(item).__name__}, not an object")
        yield Message(role_of(item), ("input", index), item, read_item)


def _read_text(message: Message) -> tuple[Part, ...]:
    return (Part("text", message.role, message.path, message.value, message.value),)


def identity(value: Json) -> Json:
    """The item without cache markers: the same object when it carries none.

    An ``input`` that is text counts as the message it stands for: clients that begin with one go on with a list.
    """
    if value.__class__ is str:
        return {"role": "user", "content": value}
    if value.__class__ is not dict:
        return value
    for key in _NESTED:
        blocks = value.get(key)
        if blocks.__class__ is list:
            plain = [unmarked(block) for block in blocks]
            if any(new is not old for new, old in zip(plain, blocks, strict=True)):
                value = {**value, key: plain}
        elif blocks.__class__ is dict and (bare := unmarked(blocks)) is not blocks:
            value = {**value, key: bare}
    return unmarked(value)


def apply(body: Json, edits: Sequence[Edit]) -> Json:
    """A new body with ``edits`` made; untouched parts are the same objects; no edits: ``body`` itself.

    Raises:
        ProviderShapeError: a path that does not exist, or any edit where the provider holds the history.
    """
    if edits and isinstance(body, dict) and _history(body):
        raise ProviderShapeError(f"{name}: the provider holds this history, so the request is not edited")
    return _edits.apply(body, edits)


def answer(response: Mapping[str, Json], platform: str) -> Answer:
    """Read a whole answer. Figures that do not add up become ``problems``."""
    return response_answer(response, platform)


def stream(platform: str, *, hide_usage: bool = False) -> ResponseStream:
    """Begin to read a streamed answer; these always carry usage, so ``hide_usage`` changes nothing."""
    return ResponseStream(platform, hide_usage=hide_usage)

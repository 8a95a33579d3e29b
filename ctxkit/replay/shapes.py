"""Request bodies of a recorded thread on the wires of its readers' providers: a prompt that only grows.

A benchmark marks its bodies as most applications do: one marker behind the opening instruction, one at the tail. Where
the wire knows no markers, or the provider needs none, there are none.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctxkit.model import Json

__all__ = ["Shape", "anthropic_body", "marked", "openai_body", "shape_of"]

_MOST_OUTPUT = 4096
_EPHEMERAL = {"type": "ephemeral"}


class Shape(Protocol):
    """Makes a body of model, messages and tools."""

    def __call__(self, model: str, messages: Sequence[Json], tools: Sequence[Json] = (), /) -> dict[str, Json]:
        """The body."""
        ...


def shape_of(dialect: str) -> Shape:
    """What turns model, messages and tools into a body of this wire.

    Raises:
        ValueError: threads are not written in that wire.
    """
    shapes: dict[str, Shape] = {"openai.chat": openai_body, "anthropic.messages": anthropic_body}
    if dialect not in shapes:
        raise ValueError(f"threads are replayed as {' or '.join(shapes)}, not as {dialect}")
    return shapes[dialect]


def openai_body(model: str, messages: Sequence[Json], tools: Sequence[Json] = ()) -> dict[str, Json]:
    """A body of OpenAI's chat completions."""
    body: dict[str, Json] = {"model": model, "messages": list(messages)}
    return {**body, "tools": list(tools)} if tools else body


def anthropic_body(model: str, messages: Sequence[Json], tools: Sequence[Json] = ()) -> dict[str, Json]:
    """The same messages in Anthropic's shape; results that follow one another are blocks of one message."""
    system = [one for one in messages if one["role"] in ("system", "developer")]
    said: list[dict[str, Json]] = []
    results = False
    for one in messages:
        if one["role"] in ("system", "developer"):
            continue
        blocks = _blocks(one)
        if one["role"] == "tool" and results:
            said[-1]["content"] += blocks
        elif blocks:
            said.append({"role": "assistant" if one["role"] == "assistant" else "user", "content": blocks})
        results = one["role"] == "tool"
    body: dict[str, Json] = {"model": model, "max_tokens": _MOST_OUTPUT}
    if tools:
        body["tools"] = [_tool(one["function"]) for one in tools]
    if system:
        body["system"] = [_text(_said(one)) for one in system]
    return {**body, "messages": said}


def _tool(function: Json) -> Json:
    described = {"description": function["description"]} if function.get("description") else {}
    return {"name": function["name"], **described, "input_schema": function.get("parameters") or {"type": "object"}}


def _blocks(message: Json) -> list[Json]:
    if message["role"] == "tool":
        return [{"type": "tool_result", "tool_use_id": message.get("tool_call_id"), "content": _said(message)}]
    said = _said(message)
    texts = [_text(said)] if said.strip() else []
    return [*texts, *(_use(call) for call in message.get("tool_calls") or ())]


def _text(said: str) -> dict[str, Json]:
    return {"type": "text", "text": said}


def _said(message: Json) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def _use(call: Json) -> Json:
    try:
        arguments: Any = json.loads(call["function"]["arguments"] or "{}")
    except ValueError:
        arguments = {"input": call["function"]["arguments"]}
    named = arguments if isinstance(arguments, dict) else {"input": arguments}
    return {"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": named}


def marked(body: dict[str, Json], dialect: str) -> dict[str, Json]:
    """The body with a marker behind the opening instruction and one at the tail, where its wire has markers."""
    if dialect != "anthropic.messages" or not body["messages"]:
        return body
    *before, last = body["messages"]
    blocks = last["content"] if isinstance(last["content"], list) else [_text(last["content"])]
    tail = {**last, "content": [*blocks[:-1], {**blocks[-1], "cache_control": _EPHEMERAL}]}
    found = {**body, "messages": [*before, tail]}
    if found.get("system"):
        *opening, end = found["system"]
        found["system"] = [*opening, {**end, "cache_control": _EPHEMERAL}]
    return found

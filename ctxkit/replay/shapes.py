"""Request bodies of a recorded thread on the wires of its readers' providers: a prompt that only grows.

A benchmark marks its bodies as most applications do: one marker behind the opening instruction, one at the tail. Where
the wire knows no markers, or the provider needs none, there are none.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctxkit.model import Json

__all__ = [
    "Shape",
    "anthropic_body",
    "bedrock_body",
    "gemini_body",
    "marked",
    "openai_body",
    "responses_body",
    "shape_of",
]

_MOST_OUTPUT = 4096
_EPHEMERAL = {"type": "ephemeral"}
_OPENING = ("system", "developer")


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
    shapes: dict[str, Shape] = {
        "openai.chat": openai_body,
        "openai.responses": responses_body,
        "anthropic.messages": anthropic_body,
        "gemini.generate": gemini_body,
        "bedrock.converse": bedrock_body,
    }
    if dialect not in shapes:
        raise ValueError(f"threads are replayed as {' or '.join(shapes)}, not as {dialect}")
    return shapes[dialect]


def openai_body(model: str, messages: Sequence[Json], tools: Sequence[Json] = ()) -> dict[str, Json]:
    """A body of OpenAI's chat completions."""
    body: dict[str, Json] = {"model": model, "messages": list(messages)}
    return {**body, "tools": list(tools)} if tools else body


def anthropic_body(model: str, messages: Sequence[Json], tools: Sequence[Json] = ()) -> dict[str, Json]:
    """The same messages in Anthropic's shape; results that follow one another are blocks of one message."""
    system = [one for one in messages if one["role"] in _OPENING]
    said: list[dict[str, Json]] = []
    results = False
    for one in messages:
        if one["role"] in _OPENING:
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
    pictures = [{"type": "image", "source": _source(one)} for one in _pictures(message)]
    return [*texts, *pictures, *(_use(call) for call in message.get("tool_calls") or ())]


def _pictures(message: Json) -> list[str]:
    """Addresses of the pictures in a message; those in its very bytes among them."""
    content = message.get("content")
    parts = content if isinstance(content, list) else ()
    found = [part.get("image_url") for part in parts if isinstance(part, dict) and part.get("type") == "image_url"]
    return [str(one.get("url") or "") if isinstance(one, dict) else str(one) for one in found if one]


def _taken(address: str) -> tuple[str, str] | None:
    """Media type and data of ``data:image/png;base64,...``; ``None`` of any other address."""
    head, comma, data = address.partition(";base64,")
    return (head.removeprefix("data:") or "image/png", data) if comma and head.startswith("data:") else None


def _source(address: str) -> Json:
    taken = _taken(address)
    if taken is None:
        return {"type": "url", "url": address}
    return {"type": "base64", "media_type": taken[0], "data": taken[1]}


def _text(said: str) -> dict[str, Json]:
    return {"type": "text", "text": said}


def _said(message: Json) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def _use(call: Json) -> Json:
    return {"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": _arguments(call)}


def _arguments(call: Json) -> dict[str, Json]:
    try:
        arguments: Any = json.loads(call["function"]["arguments"] or "{}")
    except ValueError:
        arguments = call["function"]["arguments"]
    return arguments if isinstance(arguments, dict) else {"input": arguments}


# ---- Bedrock, Gemini, OpenAI responses -----------------------------------------------------------------------------------


def bedrock_body(model: str, messages: Sequence[Json], tools: Sequence[Json] = ()) -> dict[str, Json]:
    """The same messages as Bedrock's Converse takes them."""
    plain = anthropic_body(model, messages, tools)
    body: dict[str, Json] = {"modelId": model, "inferenceConfig": {"maxTokens": plain["max_tokens"]}}
    if tools:
        body["toolConfig"] = {"tools": [{"toolSpec": _spec(one)} for one in plain["tools"]]}
    if "system" in plain:
        body["system"] = [{"text": one["text"]} for one in plain["system"]]
    said = [
        {"role": one["role"], "content": [_converse(block) for block in one["content"]]} for one in plain["messages"]
    ]
    return {**body, "messages": said}


def _spec(tool: Json) -> Json:
    described = {"description": tool["description"]} if "description" in tool else {}
    return {"name": tool["name"], **described, "inputSchema": {"json": tool["input_schema"]}}


def _converse(block: Json) -> Json:
    match block["type"]:
        case "tool_use":
            return {"toolUse": {"toolUseId": block["id"], "name": block["name"], "input": block["input"]}}
        case "tool_result":
            return {"toolResult": {"toolUseId": block["tool_use_id"], "content": [{"text": block["content"]}]}}
        case "image":
            source = block["source"]
            kind = str(source.get("media_type") or "image/png").rpartition("/")[2]
            return {"image": {"format": kind, "source": {"bytes": source.get("data") or source.get("url") or ""}}}
    return {"text": block["text"]}


def gemini_body(model: str, messages: Sequence[Json], tools: Sequence[Json] = ()) -> dict[str, Json]:  # noqa: ARG001
    """The same messages as Gemini's ``generateContent`` takes them; the model stands in its URL."""
    names = {call["id"]: call["function"]["name"] for one in messages for call in one.get("tool_calls") or ()}
    body: dict[str, Json] = {}
    told = [_said(one) for one in messages if one["role"] in _OPENING]
    if told:
        body["systemInstruction"] = {"parts": [{"text": one} for one in told]}
    contents: list[dict[str, Json]] = []
    for one in messages:
        role = "model" if one["role"] == "assistant" else "user"
        parts = [] if one["role"] in _OPENING else _gemini_parts(one, names)
        if parts and contents and contents[-1]["role"] == role:
            contents[-1]["parts"] += parts
        elif parts:
            contents.append({"role": role, "parts": parts})
    body["contents"] = contents
    if tools:
        body["tools"] = [{"functionDeclarations": [_declared(one["function"]) for one in tools]}]
    return body


def _declared(function: Json) -> Json:
    described = {"description": function["description"]} if function.get("description") else {}
    return {"name": function["name"], **described, "parametersJsonSchema": function.get("parameters") or {}}


def _gemini_parts(message: Json, names: Mapping[str, str]) -> list[Json]:
    if message["role"] == "tool":
        name = names.get(message.get("tool_call_id"), "")
        return [{"functionResponse": {"name": name, "response": {"result": _said(message)}}}]
    said = _said(message)
    texts = [{"text": said}] if said else []
    taken = [one for one in map(_taken, _pictures(message)) if one is not None]
    pictures = [{"inlineData": {"mimeType": kind, "data": data}} for kind, data in taken]
    calls = [
        {"functionCall": {"name": call["function"]["name"], "args": _arguments(call)}}
        for call in message.get("tool_calls") or ()
    ]
    return [*texts, *pictures, *calls]


def responses_body(model: str, messages: Sequence[Json], tools: Sequence[Json] = ()) -> dict[str, Json]:
    """The same messages as items of OpenAI's responses."""
    items: list[Json] = []
    for one in messages:
        if one["role"] == "tool":
            items.append({"type": "function_call_output", "call_id": one.get("tool_call_id"), "output": _said(one)})
            continue
        kind = "output_text" if one["role"] == "assistant" else "input_text"
        said = _said(one)
        content = [{"type": kind, "text": said}] if said else []
        content += [{"type": "input_image", "image_url": address} for address in _pictures(one)]
        if content:
            items.append({"type": "message", "role": one["role"], "content": content})
        items += [
            {"type": "function_call", "call_id": call["id"], **call["function"]} for call in one.get("tool_calls") or ()
        ]
    body: dict[str, Json] = {"model": model, "input": items}
    return {**body, "tools": [{"type": "function", **one["function"]} for one in tools]} if tools else body


# ---- markers -------------------------------------------------------------------------------------------------------------


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

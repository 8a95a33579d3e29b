"""A recorded body on another wire: its texts, tool calls, results and pictures, for asking what another platform would bill.

Every wire is read into the shape of OpenAI's chat completions and written from there. What has no counterpart (signed
reasoning, files of a provider's own) is left out, as the other provider would not take it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ctxkit.replay.shapes import shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ctxkit.model import Json

__all__ = ["messages_of", "reshaped"]


def reshaped(body: dict[str, Json], dialect: str, wanted: str, model: str) -> dict[str, Json]:
    """The body for another wire and model; on its own wire it is the same but for the model."""
    if dialect == wanted:
        return {**body, "model": model} if body.get("model", model) != model else body
    messages, tools = messages_of(body, dialect)
    return shape_of(wanted)(model, messages, tools)


def messages_of(body: Mapping[str, Json], dialect: str) -> tuple[list[dict[str, Json]], list[Json]]:
    """Messages and tools of a body in the shape of OpenAI's chat completions.

    Raises:
        ValueError: nobody reads that wire.
    """
    readers: dict[str, Callable[[Mapping[str, Json]], tuple[list[dict[str, Json]], list[Json]]]] = {
        "openai.chat": _of_chat,
        "openai.responses": _of_responses,
        "anthropic.messages": _of_anthropic,
        "gemini.generate": _of_gemini,
        "bedrock.converse": _of_bedrock,
    }
    if dialect not in readers:
        raise ValueError(f"bodies of {dialect} cannot be sent on another wire")
    return readers[dialect](body)


def _each(value: Json) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list | tuple) else []


def _text(text: str) -> dict[str, Json]:
    return {"type": "text", "text": text}


def _picture(kind: str, data: str) -> dict[str, Json]:
    return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}


def _content(parts: Sequence[Json]) -> Json:
    """One text where it is nothing but texts."""
    if all(part.get("type") == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return list(parts)


def _call(number: str, name: str, arguments: Json) -> Json:
    said = arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False)
    return {"id": number, "type": "function", "function": {"name": name, "arguments": said}}


def _function(name: Json, description: Json, parameters: Json) -> Json:
    about = {"description": description} if description else {}
    return {
        "type": "function",
        "function": {"name": name or "", **about, "parameters": parameters or {"type": "object"}},
    }


def _spoken(parts: Sequence[Json], calls: Sequence[Json]) -> Iterator[dict[str, Json]]:
    if parts or calls:
        said: dict[str, Json] = {"role": "assistant", "content": _content(parts) if parts else None}
        yield {**said, "tool_calls": list(calls)} if calls else said


def _of_chat(body: Mapping[str, Json]) -> tuple[list[dict[str, Json]], list[Json]]:
    return _each(body.get("messages")), [one for one in _each(body.get("tools")) if "function" in one]


# ---- Anthropic -----------------------------------------------------------------------------------------------------------


def _of_anthropic(body: Mapping[str, Json]) -> tuple[list[dict[str, Json]], list[Json]]:
    found: list[dict[str, Json]] = [
        {"role": "system", "content": _content([part])} for part in _parts(body.get("system"))
    ]
    for message in _each(body.get("messages")):
        blocks = _blocks(message.get("content"))
        results = [one for one in blocks if one.get("type") == "tool_result"]
        found += ({"role": "tool", "tool_call_id": _id(one, "tool_use_id"), "content": _result(one)} for one in results)
        parts = _parts(blocks)
        calls = [
            _call(_id(one, "id"), str(one.get("name") or ""), one.get("input"))
            for one in blocks
            if one.get("type") == "tool_use"
        ]
        if message.get("role") == "assistant":
            found += _spoken(parts, calls)
        elif parts:
            found.append({"role": "user", "content": _content(parts)})
    tools = [
        _function(one.get("name"), one.get("description"), one.get("input_schema"))
        for one in _each(body.get("tools"))
        if "input_schema" in one
    ]
    return found, tools


def _id(block: Mapping[str, Json], key: str) -> str:
    return str(block.get(key) or "")


def _blocks(content: Json) -> list[dict[str, Any]]:
    return [_text(content)] if isinstance(content, str) else _each(content)


def _result(block: Mapping[str, Json]) -> Json:
    """Results are texts on most wires: pictures in them are left out where they stand beside a text."""
    return "\n".join(part["text"] for part in _parts(block.get("content")) if part["type"] == "text")


def _parts(content: Json) -> list[dict[str, Json]]:
    """Texts and pictures of blocks in Anthropic's shape."""
    found: list[dict[str, Json]] = []
    for block in _blocks(content):
        source = block.get("source")
        if block.get("type") == "text":
            found.append(_text(str(block.get("text") or "")))
        elif block.get("type") in ("image", "document") and isinstance(source, dict):
            if source.get("type") == "text" or block["type"] == "document":
                found.append(_text(str(source.get("data") if source.get("type") == "text" else "")))
            elif source.get("type") == "base64":
                found.append(_picture(str(source.get("media_type") or "image/png"), str(source.get("data") or "")))
            else:
                found.append({"type": "image_url", "image_url": {"url": str(source.get("url") or "")}})
    return [one for one in found if one["type"] != "text" or one["text"]]


# ---- Bedrock Converse ----------------------------------------------------------------------------------------------------


def _of_bedrock(body: Mapping[str, Json]) -> tuple[list[dict[str, Json]], list[Json]]:
    found: list[dict[str, Json]] = [
        {"role": "system", "content": str(one["text"])} for one in _each(body.get("system")) if "text" in one
    ]
    for message in _each(body.get("messages")):
        blocks = _each(message.get("content"))
        for result in (one["toolResult"] for one in blocks if isinstance(one.get("toolResult"), dict)):
            said = "\n".join(_bedrock_said(one) for one in _each(result.get("content")))
            found.append({"role": "tool", "tool_call_id": _id(result, "toolUseId"), "content": said})
        parts = [part for one in blocks for part in _bedrock_part(one)]
        calls = [
            _call(_id(one["toolUse"], "toolUseId"), str(one["toolUse"].get("name") or ""), one["toolUse"].get("input"))
            for one in blocks
            if isinstance(one.get("toolUse"), dict)
        ]
        if message.get("role") == "assistant":
            found += _spoken(parts, calls)
        elif parts:
            found.append({"role": "user", "content": _content(parts)})
    config = body.get("toolConfig")
    specs = [one.get("toolSpec") for one in _each(config.get("tools") if isinstance(config, dict) else None)]
    tools = [
        _function(one.get("name"), one.get("description"), (one.get("inputSchema") or {}).get("json"))
        for one in specs
        if isinstance(one, dict)
    ]
    return found, tools


def _bedrock_said(block: Mapping[str, Json]) -> str:
    return str(block["text"]) if "text" in block else json.dumps(block.get("json", ""), ensure_ascii=False)


def _bedrock_part(block: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    if isinstance(block.get("text"), str) and block["text"]:
        yield _text(block["text"])
    image = block.get("image")
    if isinstance(image, dict):
        data = (image.get("source") or {}).get("bytes", "")
        yield _picture(f"image/{image.get('format') or 'png'}", data if isinstance(data, str) else "")


# ---- Gemini --------------------------------------------------------------------------------------------------------------


def _of_gemini(body: Mapping[str, Json]) -> tuple[list[dict[str, Json]], list[Json]]:
    held = body.get("systemInstruction") or body.get("system_instruction")
    found: list[dict[str, Json]] = []
    if isinstance(held, dict) and (told := _content(_gemini_parts(held))):
        found.append({"role": "system", "content": told})
    waiting: dict[str, list[str]] = {}
    for number, content in enumerate(_each(body.get("contents"))):
        parts = _each(content.get("parts"))
        calls = []
        for at, part in enumerate(parts):
            call, result = _either(part, "functionCall"), _either(part, "functionResponse")
            if call is not None:
                name = str(call.get("name") or "")
                made = str(call.get("id") or f"call_{number}_{at}")
                waiting.setdefault(name, []).append(made)
                calls.append(_call(made, name, call.get("args")))
            elif result is not None:
                name = str(result.get("name") or "")
                made = str(result.get("id") or (waiting.get(name) or [""]).pop(0))
                said = json.dumps(result.get("response"), ensure_ascii=False)
                found.append({"role": "tool", "tool_call_id": made, "content": said})
        said_parts = _gemini_parts(content)
        if content.get("role") == "model":
            found += _spoken(said_parts, calls)
        elif said_parts:
            found.append({"role": "user", "content": _content(said_parts)})
    declared = [
        one
        for tool in _each(body.get("tools"))
        for one in _each(tool.get("functionDeclarations") or tool.get("function_declarations"))
    ]
    tools = [
        _function(one.get("name"), one.get("description"), one.get("parametersJsonSchema") or one.get("parameters"))
        for one in declared
    ]
    return found, tools


def _either(part: Mapping[str, Json], name: str) -> dict[str, Any] | None:
    """Fields are written in either style."""
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    found = part.get(name) or part.get(snake)
    return found if isinstance(found, dict) else None


def _gemini_parts(content: Mapping[str, Json]) -> list[dict[str, Json]]:
    found: list[dict[str, Json]] = []
    for part in _each(content.get("parts")):
        inline = _either(part, "inlineData")
        if isinstance(part.get("text"), str) and part["text"] and not part.get("thought"):
            found.append(_text(part["text"]))
        elif inline is not None:
            kind = inline.get("mimeType") or inline.get("mime_type") or "image/png"
            found.append(_picture(str(kind), str(inline.get("data") or "")))
    return found


# ---- OpenAI responses ----------------------------------------------------------------------------------------------------


def _of_responses(body: Mapping[str, Json]) -> tuple[list[dict[str, Json]], list[Json]]:
    found: list[dict[str, Json]] = []
    if isinstance(body.get("instructions"), str):
        found.append({"role": "system", "content": body["instructions"]})
    items = body.get("input")
    for item in [{"role": "user", "content": items}] if isinstance(items, str) else _each(items):
        kind = item.get("type", "message")
        if kind == "function_call":
            call = _call(_id(item, "call_id"), str(item.get("name") or ""), item.get("arguments"))
            if found and found[-1]["role"] == "assistant":
                found[-1]["tool_calls"] = [*found[-1].get("tool_calls", ()), call]
            else:
                found.append({"role": "assistant", "content": None, "tool_calls": [call]})
        elif kind == "function_call_output":
            said = item.get("output")
            text = said if isinstance(said, str) else _content(_input_parts(said))
            found.append({"role": "tool", "tool_call_id": _id(item, "call_id"), "content": text})
        elif kind == "message" and "role" in item:
            parts = _input_parts(item.get("content"))
            if parts:
                found.append({"role": str(item["role"]), "content": _content(parts)})
    tools = [
        _function(one.get("name"), one.get("description"), one.get("parameters"))
        for one in _each(body.get("tools"))
        if one.get("type") == "function"
    ]
    return found, tools


def _input_parts(content: Json) -> list[dict[str, Json]]:
    found: list[dict[str, Json]] = []
    for one in _blocks(content):
        if isinstance(one.get("text"), str) and one["text"]:
            found.append(_text(one["text"]))
        elif one.get("type") == "input_image" and isinstance(one.get("image_url"), str):
            found.append({"type": "image_url", "image_url": {"url": one["image_url"]}})
    return found

"""What was said, out of the attributes of a span: OpenTelemetry's GenAI conventions in their forms so far, as OpenAI messages.

- ``gen_ai.input.messages``, ``gen_ai.output.messages``, ``gen_ai.system_instructions``, ``gen_ai.tool.definitions`` (JSON text or
  structured), on the span or on its event ``gen_ai.client.inference.operation.details``.
- ``gen_ai.prompt.N.*`` and ``gen_ai.completion.N.*`` (OpenLLMetry), ``llm.request.functions.N.*``.
- Events ``gen_ai.system.message``, ``gen_ai.user.message``, ``gen_ai.assistant.message``, ``gen_ai.tool.message``,
  ``gen_ai.choice``, on the span or as JSON in its attribute ``events``.

Source: opentelemetry.io semantic conventions for generative AI (2026-11), and instrumentations of before.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.dialects import wire
from ctxkit.replay.readers.values import parsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ctxkit.model import Json

__all__ = ["Said", "said"]

_DETAILS = "gen_ai.client.inference.operation.details"
_INDEXED = re.compile(r"(gen_ai\.prompt|gen_ai\.completion|llm\.request\.functions)\.(\d{1,6})\.([\w.]+)")
_CALL = re.compile(r"tool_calls\.(\d{1,4})\.(id|name|arguments)")
_ROLES = {"gen_ai.system.message": "system", "gen_ai.user.message": "user", "gen_ai.assistant.message": "assistant"} | {
    "gen_ai.tool.message": "tool",
    "gen_ai.choice": "choice",
}


class Said(NamedTuple):
    """What a span recorded of a conversation, in the shape of OpenAI's chat.

    Attributes:
        messages: of the prompt; empty where contents were not recorded.
        answer: message of the model, or ``None``.
        tools: definitions.
    """

    messages: list[Json]
    answer: Json | None
    tools: list[Json]


def said(attributes: Mapping[str, Json], events: Sequence[tuple[str, Mapping[str, Json]]]) -> Said:
    """The contents of a span, in whichever form it has them."""
    told = {**attributes, **{key: value for name, one in events if name == _DETAILS for key, value in one.items()}}
    if "gen_ai.input.messages" in told:
        return _current(told)
    spoken = [(name, one) for name, one in events if name in _ROLES] or list(_embedded(parsed(told.get("events"))))
    return _of_events(spoken) if spoken else _numbered(told)


def _objects(value: Json) -> list[dict[str, Json]]:
    found = parsed(value)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _text(value: Json) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else wire.dumps(value).decode("utf-8", "surrogatepass")


# ---- messages of parts -------------------------------------------------------------------------------------------------


def _current(told: Mapping[str, Json]) -> Said:
    instructions = [_text(one.get("content")) for one in _objects(told.get("gen_ai.system_instructions"))]
    messages: list[Json] = [{"role": "system", "content": "\n".join(instructions)}] if instructions else []
    for one in _objects(told["gen_ai.input.messages"]):
        messages += _of_parts(one)
    answer = [said for one in _objects(told.get("gen_ai.output.messages"))[:1] for said in _of_parts(one)]
    tools = [_tool(one) for one in _objects(told.get("gen_ai.tool.definitions"))]
    return Said(messages, answer[0] if answer else None, tools)


def _of_parts(message: dict[str, Json]) -> Iterator[Json]:
    """A message, and each result of a tool as one of its own; without parts it is OpenAI's already."""
    parts, role = _objects(message.get("parts")), _text(message.get("role")) or "user"
    if "parts" not in message and "content" in message:
        yield _plain(role, message)
    for one in parts:
        if one.get("type") == "tool_call_response":
            result = next((one[key] for key in ("response", "result", "content") if one.get(key) is not None), "")
            yield {"role": "tool", "tool_call_id": _text(one.get("id")), "content": _text(result)}
    texts = [_text(one.get("content", one.get("text"))) for one in parts if one.get("type") == "text"]
    calls = [
        _call(one.get("id"), one.get("name"), one.get("arguments")) for one in parts if one.get("type") == "tool_call"
    ]
    if texts or calls:
        content: Json = "\n".join(texts) if texts else None
        yield {"role": role, "content": content, **({"tool_calls": calls} if calls else {})}


def _call(name: Json, function: Json, arguments: Json) -> Json:
    return {"id": _text(name), "type": "function", "function": {"name": _text(function), "arguments": _text(arguments)}}


def _tool(tool: dict[str, Json]) -> Json:
    if isinstance(tool.get("function"), dict):
        return tool
    picked = {key: parsed(tool[key]) for key in ("name", "description", "parameters") if tool.get(key) is not None}
    return {"type": "function", "function": picked}


# ---- events ------------------------------------------------------------------------------------------------------------


def _embedded(events: Json) -> Iterator[tuple[str, Mapping[str, Json]]]:
    for one in events if isinstance(events, list) else ():
        name = one.get("event.name") if isinstance(one, dict) else None
        if isinstance(name, str) and name in _ROLES:
            yield name, one


def _of_events(events: Iterable[tuple[str, Mapping[str, Json]]]) -> Said:
    messages: list[Json] = []
    answer: Json | None = None
    for name, one in events:
        body = parsed(one.get("gen_ai.event.content"))
        about = body if isinstance(body, dict) else one
        if name == "gen_ai.choice":
            inner = parsed(about.get("message"))
            answer = answer or _plain("assistant", inner if isinstance(inner, dict) else about)
        else:
            messages.append(_plain(_ROLES[name], about))
    return Said(messages, answer, [])


def _plain(role: str, about: Mapping[str, Json]) -> Json:
    message: dict[str, Json] = {"role": role, "content": _content(about.get("content"))}
    if calls := [_of_call(one) for one in _objects(about.get("tool_calls"))]:
        message["tool_calls"] = calls
    if role == "tool":
        message["tool_call_id"] = _text(about.get("id") or about.get("tool_call_id"))
    return message


def _of_call(call: dict[str, Json]) -> Json:
    function = call.get("function")
    inner = function if isinstance(function, dict) else call
    return _call(call.get("id"), inner.get("name"), inner.get("arguments"))


def _content(value: Json) -> Json:
    """Text, or the text of a list of blocks."""
    found = parsed(value)
    if (
        isinstance(found, list)
        and found
        and all(isinstance(one, dict) and isinstance(one.get("text"), str) for one in found)
    ):
        return [{"type": "text", "text": one["text"]} for one in found]
    return None if value is None else _text(value)


# ---- numbered attributes -----------------------------------------------------------------------------------------------


def _numbered(told: Mapping[str, Json]) -> Said:
    found: dict[str, dict[int, dict[str, Json]]] = {}
    for key, value in told.items():
        if match := _INDEXED.fullmatch(key):
            found.setdefault(match[1], {}).setdefault(int(match[2]), {})[match[3]] = value
    rows = {name: [some[number] for number in sorted(some)] for name, some in found.items()}
    messages = [_row(one) for one in rows.get("gen_ai.prompt", ())]
    answers = [_row({"role": "assistant", **one}) for one in rows.get("gen_ai.completion", ())[:1]]
    tools = [_tool(one) for one in rows.get("llm.request.functions", ())]
    return Said(messages, answers[0] if answers else None, tools)


def _row(row: dict[str, Json]) -> Json:
    calls: dict[int, dict[str, Json]] = {}
    for key, value in row.items():
        if match := _CALL.fullmatch(key):
            calls.setdefault(int(match[1]), {})[match[2]] = value
    listed = [calls[number] for number in sorted(calls)]
    return _plain(_text(row.get("role")) or "user", {**row, "tool_calls": listed})

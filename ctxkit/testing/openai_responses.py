"""OpenAI responses, as ``POST /v1/responses`` answers (API reference, read 2026-11-20)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxkit.testing.framing import CREATED, compact, events, whole, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxkit.model import Json
    from ctxkit.testing.values import Ask, Reply, Tokens

__all__ = ["READS", "answer"]

READS = ("instructions", "input", "tools")
"""Fields of a request that the model reads."""


def answer(ask: Ask) -> Reply:
    """Answer a request."""
    if not ask.stream:
        return whole(_response(ask, "completed", _items(ask)))
    numbered = ({**event, "sequence_number": number} for number, event in enumerate(_stream(ask)))
    return events((event["type"], compact(event)) for event in numbered)


def _stream(ask: Ask) -> Iterator[dict[str, Any]]:
    begun = _response(ask, "in_progress", [])
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(_items(ask)):
        yield from _item_events(index, item)
    yield {"type": "response.completed", "response": _response(ask, "completed", _items(ask))}


def _item_events(index: int, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    where = {"item_id": item["id"], "output_index": index}
    emptied = {"message": ("content", []), "function_call": ("arguments", ""), "reasoning": ("summary", [])}
    name, nothing = emptied[item["type"]]
    begun = {**item, "status": "in_progress", name: nothing}
    yield {"type": "response.output_item.added", "output_index": index, "item": begun}
    if item["type"] == "message":
        yield from _text_events(where, item["content"][0])
    elif item["type"] == "function_call":
        for piece in words(item["arguments"]):
            yield {"type": "response.function_call_arguments.delta", **where, "delta": piece}
        told = {"name": item["name"], "arguments": item["arguments"]}
        yield {"type": "response.function_call_arguments.done", **where, **told}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _text_events(where: dict[str, Any], part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    where = {**where, "content_index": 0}
    yield {"type": "response.content_part.added", **where, "part": {**part, "text": ""}}
    for piece in words(part["text"]):
        yield {"type": "response.output_text.delta", **where, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **where, "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **where, "part": part}


def _items(ask: Ask) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if ask.says.reasoning:
        summary = [{"type": "summary_text", "text": ask.says.reasoning}]
        items.append({"id": f"rs_{ask.id}", "type": "reasoning", "summary": summary})
    if ask.says.text:
        part = {"type": "output_text", "text": ask.says.text, "annotations": [], "logprobs": []}
        head = {"id": f"msg_{ask.id}", "type": "message", "role": "assistant", "status": "completed"}
        items.append({**head, "content": [part]})
    for index, call in enumerate(ask.says.calls):
        names = {"id": f"fc_{ask.id}_{index}", "call_id": f"call_{ask.id}_{index}", "name": call.name}
        arguments = compact(call.arguments).decode("utf-8", "surrogatepass")
        items.append({"type": "function_call", **names, "arguments": arguments, "status": "completed"})
    return items


def _response(ask: Ask, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    told = ask.tokens if status == "completed" else None
    return {
        "id": f"resp_{ask.id}",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": ask.body.get("instructions"),
        "metadata": {},
        "model": ask.model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": ask.body.get("previous_response_id"),
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "service_tier": "default",
        "usage": None if told is None else _usage(told),
        **ask.told,
    }


def _usage(tokens: Tokens) -> Json:
    details: dict[str, Json] = {"cached_tokens": tokens.read, "cache_write_tokens": tokens.written}
    if tokens.lives:
        details["cache_write_tokens_details"] = {
            f"ttl_{ttl}_tokens": tokens.lives.get(ttl, 0) for ttl in ("30m", "12h")
        }
    return {
        "input_tokens": tokens.input,
        "input_tokens_details": details,
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.input + tokens.output,
    }

"""OpenAI Chat Completions, and everything that speaks it.

Cache order: tools, then the messages as they stand (system messages are ordinary messages). Cache markers:
``cache_control`` (OpenRouter, Qwen, gateways to Claude) and ``prompt_cache_breakpoint`` (OpenAI 5.6 and later, Qwen).
Sources: openai package 3.52 types, developers.openai.com API reference (2026-09), and the platforms' own pages.
"""

from __future__ import annotations

from operator import is_not
from typing import TYPE_CHECKING

from ctxkit.dialects.blocks import leftovers, listed, request, said, spell, turns, unknown, whole
from ctxkit.dialects.edits import apply
from ctxkit.dialects.openai.answers import ChatStream, chat_answer
from ctxkit.dialects.openai.parts import MARKERS, block_parts, content_parts, result_parts, unmarked
from ctxkit.model import Conversation, Message, Part

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctxkit.model import Answer, Json, Path

__all__ = ["answer", "apply", "editable", "identity", "name", "stream", "view"]

name = "openai.chat"
editable = True

_TOOL_LISTS = ("tools", "functions")
_RESULT_ROLES = ("tool", "function")
_REASONING = ("reasoning", "reasoning_content")
_FIELDS = ("role", "content", "tool_calls", "function_call", "refusal", "reasoning_details", "audio", "images")
_KNOWN = MARKERS.union(_FIELDS, _REASONING)
_KNOWN_OF_RESULTS = _KNOWN | {"tool_call_id", "name"}  # these tie a result to its call


def view(body: Json) -> Conversation:
    """A look at a chat request: tools, then messages.

    Raises:
        ProviderShapeError: not an object, or ``messages`` is not a list of objects.
    """
    body = request(body, name)
    messages = turns(body.get("messages"), ("messages",), _read, name)
    tools = [
        Message("tools", (key, index), tool, _read_tool)
        for key in _TOOL_LISTS
        if listed(body.get(key))
        for index, tool in enumerate(body[key])
    ]
    return Conversation(
        dialect=name,
        model=said(body.get("model")),
        messages=(*tools, *messages),
        options={
            key: value
            for key, value in body.items()
            if key != "messages" and not (key in _TOOL_LISTS and listed(value))
        },
        max_output=whole(body.get("max_completion_tokens"), body.get("max_tokens")),
        choices=whole(body.get("n")) or 1,
        stream=body.get("stream") is True,
        tier=said(body.get("service_tier")) or None,
    )


def _read_tool(message: Message) -> tuple[Part, ...]:
    tool = message.value
    inner = (tool.get("function") or tool.get("custom") or tool) if isinstance(tool, dict) else None
    label = said(inner.get("name")) if isinstance(inner, dict) else ""
    return (Part("tool", "tools", message.path, tool, spell(tool), name=label or None),)


def _read(message: Message) -> tuple[Part, ...]:
    """Reasoning comes first, as it did when the model wrote it; then content, calls and the rest."""
    parts = [*_reasoning(message), *_content(message), *_calls(message), *_extras(message)]
    known = _KNOWN_OF_RESULTS if "content" in message.value and message.role in _RESULT_ROLES else _KNOWN
    return (*parts, *leftovers(message, known))


def _reasoning(message: Message) -> Iterator[Part]:
    value, path, role = message.value, message.path, message.role
    for key in _REASONING:
        if (found := value.get(key)) is not None:
            text = said(found) or spell(found)
            yield Part("reasoning", role, (*path, key), found, text if found else "")
    details = value.get("reasoning_details")
    for index, item in enumerate(details if listed(details) else ()):
        yield _detail(item, role, (*path, "reasoning_details", index))
    if details is not None and not listed(details):
        yield unknown(role, (*path, "reasoning_details"), details)


def _detail(item: Json, role: str, path: Path) -> Part:
    """OpenRouter's form of a reasoning block, with the signature or the encrypted data of whoever made it."""
    if not isinstance(item, dict):
        return unknown(role, path, item)
    text = said(item.get("text")) or said(item.get("summary"))
    return Part("reasoning", role, path, item, text, signed=bool(item.get("signature") or item.get("data")))


def _content(message: Message) -> Iterator[Part]:
    content = message.value.get("content")
    if content is None:
        return iter(())
    path = (*message.path, "content")
    if message.role in _RESULT_ROLES:
        pair = said(message.value.get("tool_call_id")) or None
        label = said(message.value.get("name")) or None
        return result_parts(content, message.role, path, pair=pair, name=label)
    return content_parts(content, message.role, path)


def _calls(message: Message) -> Iterator[Part]:
    calls = message.value.get("tool_calls")
    path = (*message.path, "tool_calls")
    for index, call in enumerate(calls if listed(calls) else ()):
        yield _call(call, message.role, (*path, index))
    if calls is not None and not listed(calls):
        yield unknown(message.role, path, calls)
    if (old := message.value.get("function_call")) is not None:
        yield _call({"function": old}, message.role, (*message.path, "function_call"))._replace(value=old)


def _call(call: Json, role: str, path: Path) -> Part:
    inner = (call.get("function") or call.get("custom")) if isinstance(call, dict) else None
    if not isinstance(inner, dict):
        return unknown(role, path, call)
    arguments = inner.get("arguments", inner.get("input"))
    text = arguments if isinstance(arguments, str) else spell(arguments)
    # Gemini behind OpenAI's format keeps its thought signature here.
    signed = bool(call.get("extra_content") or call.get("signature") or call.get("thought_signature"))
    pair, label = said(call.get("id")) or None, said(inner.get("name")) or None
    return Part("tool_call", role, path, call, text, pair=pair, name=label, signed=signed)


def _extras(message: Message) -> Iterator[Part]:
    value, path, role = message.value, message.path, message.role
    if (refusal := value.get("refusal")) is not None:
        yield Part("text", role, (*path, "refusal"), refusal, said(refusal))
    if (audio := value.get("audio")) is not None:
        said_text = said(audio.get("transcript")) if isinstance(audio, dict) else ""
        yield Part("audio", role, (*path, "audio"), audio, said_text)
    images = value.get("images")
    for index, image in enumerate(images if listed(images) else ()):
        yield from block_parts(image, role, (*path, "images", index))
    if images is not None and not listed(images):
        yield unknown(role, (*path, "images"), images)
    for key in MARKERS & value.keys():
        yield Part("marker", role, (*path, key), value[key])


def identity(value: Json) -> Json:
    """The message or tool without cache markers: the same object when it carries none."""
    if value.__class__ is not dict:
        return value
    content = value.get("content")
    if content.__class__ is list:
        blocks = [unmarked(block) for block in content]
        if any(map(is_not, blocks, content)):
            value = {**value, "content": blocks}
    function = value.get("function")
    if function is not None and (plain := unmarked(function)) is not function:
        value = {**value, "function": plain}
    return unmarked(value)


def answer(response: Mapping[str, Json], platform: str) -> Answer:
    """Read a whole answer. Figures that do not add up become ``problems``."""
    return chat_answer(response, platform)


def stream(platform: str, *, hide_usage: bool = False) -> ChatStream:
    """Begin to read a streamed answer; ``hide_usage``: the usage chunk was asked for by us alone."""
    return ChatStream(platform, hide_usage=hide_usage)

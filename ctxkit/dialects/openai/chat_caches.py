"""What a cache sees of a chat request: OpenAI's own, and those of the many that speak its format.

Markers are ``prompt_cache_breakpoint`` (OpenAI from 5.6 on, Qwen4) and ``cache_control`` (Qwen, OpenRouter, gateways to
Claude). Source: developers.openai.com, prompt caching (2026-10-02); openai package 3.52 types; OpenRouter and Model
Studio pages (2026-10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.cacheable import Ask, Block
from ctxkit.dialects.blocks import listed, mapped, size_of, standing
from ctxkit.dialects.openai.chat import identity
from ctxkit.dialects.openai.parts import MARKERS
from ctxkit.dialects.openai.pieces import given, mark_of, marker, option_edits, options_ask, piece, rest
from ctxkit.model import Edit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxkit.cacheable import Breakpoint, Wish
    from ctxkit.model import Conversation, Json, Message, PartKind, Path

__all__ = ["OPTIONS", "ask", "blocks", "mark"]

OPTIONS = True

_ROLES = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
MARKABLE = frozenset({"text", "image_url", "input_audio", "file"})
_REASONING = ("reasoning", "reasoning_content", "reasoning_details")
_AFTER = ("refusal", "audio", "images", "function_call")
_KNOWN = MARKERS.union(_REASONING, _AFTER, ("role", "content", "tool_calls"))
_CARRIED = ("chat_template_kwargs", "reasoning", "thinking", "enable_thinking", "provider")


def blocks(message: Message) -> tuple[Block, ...]:
    """Reasoning, content and calls of one message, or one tool."""
    value = message.value
    if message.path[0] != "messages":
        function = value.get("function") if isinstance(value, dict) else None
        mark = mark_of(value) if mark_of(value) is not None else mark_of(function)
        bare = identity(value)
        return (Block("tools", "tools", "tool", message.path, bare, False, mark, size_of(bare)),)
    found = list(_pieces(message, _ROLES.get(message.role, "other")))
    mark = mark_of(value)
    if mark is not None and found:
        found[-1] = found[-1]._replace(mark=mark)
    return tuple(found)


def _pieces(message: Message, role: str) -> Iterator[Block]:
    value, path = message.value, message.path
    for key in _REASONING:
        if value.get(key):
            yield Block("messages", role, "reasoning", (*path, key), value[key], size=size_of(value[key]))
    content = value.get("content")
    if content is not None:
        yield from _content(content, role, (*path, "content"), rest(value, _KNOWN))
    calls = value.get("tool_calls")
    for index, call in enumerate(calls if listed(calls) else ()):
        yield Block("messages", role, "tool_call", (*path, "tool_calls", index), call, size=size_of(call))
    for key in _AFTER:
        if value.get(key) is not None:
            yield Block("messages", role, "other", (*path, key), {key: value[key]}, size=size_of(value[key]))


def _content(content: Json, role: str, path: Path, beside: dict[str, Json]) -> Iterator[Block]:
    kind: PartKind | None = "tool_result" if role == "tool" else None
    if listed(content):
        for index, block in enumerate(content):
            yield piece("messages", role, (*path, index), block, MARKABLE, kind=kind, beside=beside)
    else:
        yield piece("messages", role, path, content, MARKABLE, kind=kind, beside=beside)


def ask(conversation: Conversation) -> Ask:
    """Mode, time to live and key, the top-level marker of gateways, and what changes the provider's own instructions.

    OpenAI says of parallel calls, response format, effort and verbosity that they change what stands before the prompt
    (2026-10-02), so they belong to every prefix; ``tool_choice`` does not.
    """
    options = conversation.options
    form = options.get("response_format")
    parameters = {
        "response_format": None if mapped(form).get("type") == "text" else form,
        "verbosity": None if options.get("verbosity") == "medium" else options.get("verbosity"),
        "effort": options.get("reasoning_effort"),
        **{key: options.get(key) for key in _CARRIED},
    }
    return options_ask(options, given(parameters))


def mark(conversation: Conversation, wish: Wish) -> tuple[Edit, ...]:
    """Markers on pieces of content, at the top level for a breakpoint without a path, and fields of the request."""
    points = [_marked(conversation, wish, point) for point in wish.breakpoints]
    return (*points, *option_edits(conversation.options, wish))


def _marked(conversation: Conversation, wish: Wish, point: Breakpoint) -> Edit:
    ((field, value),) = marker(wish, point).items()
    text = standing(conversation, point.path) if point.path else None
    if isinstance(text, str):
        return Edit("replace", point.path, point.reason, [{"type": "text", "text": text, field: value}])
    return Edit("replace", (*point.path, field), point.reason, value)

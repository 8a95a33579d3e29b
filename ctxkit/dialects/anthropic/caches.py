"""What Anthropic's cache sees of a request: its blocks with their markers, and what else belongs to a prefix.

Source: Anthropic, prompt caching (2026-08-22), and the types of the anthropic SDK 2.11.0. ``cache_control`` marks a block
and everything before it; tools, system and messages are hashed one after another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.cacheable import Ask, Block
from ctxkit.dialects.anthropic.messages import identity
from ctxkit.dialects.blocks import MEDIA_SIZE, items, listed, mapped, said, size_of, standing
from ctxkit.model import Edit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctxkit.cacheable import Breakpoint, Tier, Wish
    from ctxkit.model import Conversation, Json, Message, PartKind, Path

__all__ = ["OPTIONS", "ask", "blocks", "mark"]

OPTIONS = False

MARKER = "cache_control"

_KINDS: dict[str, PartKind] = {
    "text": "text",
    "image": "image",
    "document": "document",
    "search_result": "document",
    "thinking": "reasoning",
    "redacted_thinking": "reasoning",
    "tool_use": "tool_call",
    "tool_result": "tool_result",
    "tool_addition": "tool",
    "tool_removal": "tool",
}
_MARKABLE = frozenset({"text", "image", "document", "search_result", "container_upload", "tool_reference"})
_ROLES = frozenset({"user", "assistant", "system"})
_IMAGE: tuple[Tier, str] = ("messages", "image")  # images present or absent anywhere: the messages tier is lost
_CITED: tuple[Tier, str] = ("system", "citations")  # citations switched on: the system tier is lost
_HOLDING = frozenset({"image", "document", "tool_result"})  # blocks with media or citations in them
_WHOLE_PROMPT = ("speed", "mcp_servers")
_MESSAGES = ("thinking", "output_format", "context_management")
_DEFAULTS: dict[str, Json] = {"speed": "standard", "effort": "high"}


def blocks(message: Message) -> tuple[Block, ...]:
    """The blocks of one tool, system block or message."""
    first, value = message.path[0], message.value
    if first == "tools":
        return (_tool(message.path, value),)
    if first == "system":
        return (_block("system", "system", message.path, value),)
    content, path = value.get("content"), (*message.path, "content")
    role = message.role if message.role in _ROLES else "other"
    if listed(content):
        return tuple(_block("messages", role, (*path, index), block) for index, block in enumerate(content))
    return (_block("messages", role, path, content),) if content is not None else ()


def _tool(path: Path, tool: Json) -> Block:
    bare = identity(tool)
    return Block("tools", "tools", "tool", path, bare, isinstance(tool, dict), mark_of(tool), size_of(bare))


def _block(tier: Tier, role: str, path: Path, block: Json) -> Block:
    if isinstance(block, str):
        return Block(tier, role, "text", path, block, bool(block), None, len(block))
    if not isinstance(block, dict):
        return Block(tier, role, "other", path, block, size=size_of(block))
    name = said(block.get("type"))
    if name == "text":
        return _text(tier, role, path, block)
    result = name == "tool_result" or name.endswith("_tool_result")
    call = name == "tool_use" or name.endswith("_tool_use")
    bare, mark = identity(block), mark_of(block)
    kind = _KINDS.get(name) or ("tool_result" if result else "tool_call" if call else "other")
    return Block(
        tier,
        "tool" if name == "tool_result" else role,
        kind,
        path,
        bare,
        name in _MARKABLE or result or call,
        mark if mark is not None else _inner_mark(block),
        _weight(bare),
        tuple(dict.fromkeys(_sways(block))) if name in _HOLDING else (),
    )


def _text(tier: Tier, role: str, path: Path, block: dict[str, Json]) -> Block:
    text = said(block.get("text"))
    value = {key: item for key, item in block.items() if key != MARKER and item is not None}
    plain = value.keys() <= {"type", "text"}
    return Block(tier, role, "text", path, text if plain else value, bool(text), mark_of(block), len(text))


def mark_of(block: Json) -> str | None:
    """Time to live of the marker on a block, ``""`` when it names none."""
    marker = block.get(MARKER) if isinstance(block, dict) else None
    return said(mapped(marker).get("ttl")) if marker is not None else None


def _inner_mark(block: dict[str, Json]) -> str | None:
    """A marker inside a tool result or document stands for one on it: no prefix ends within a block."""
    content = block.get("content")
    inner = content if listed(content) else mapped(block.get("source")).get("content")
    marks = [mark_of(item) for item in items(inner)]
    return next((mark for mark in reversed(marks) if mark is not None), None)


def _weight(block: dict[str, Json]) -> int:
    """Characters; an image counts by what it is and not by its bytes."""
    if block.get("type") == "image" or mapped(block.get("source")).get("type") == "base64":
        return MEDIA_SIZE
    content = block.get("content")
    if block.get("type") == "tool_result" and listed(content):
        return sum(_weight(item) if isinstance(item, dict) else size_of(item) for item in items(content))
    return size_of(block)


def _sways(block: Json) -> Iterator[tuple[Tier, str]]:
    if not isinstance(block, dict):
        return
    if block.get("type") == "image":
        yield _IMAGE
    if mapped(block.get("citations")).get("enabled"):
        yield _CITED
    for content in (block.get("content"), mapped(block.get("source")).get("content")):
        for item in items(content):
            yield from _sways(item)


def ask(conversation: Conversation) -> Ask:
    """The top-level marker, prewarming (``max_tokens: 0``), the comparison, and the parameters of each tier.

    Anthropic's table of invalidations (2026-08-22), with two pessimistic readings: requests at different speeds share
    nothing (its other page says so), and ``thinking`` left out is not the same as disabled, for that is up to the model.
    """
    options = conversation.options
    return Ask(
        automatic=mark_of(options),
        prewarm=options.get("max_tokens") == 0 and type(options.get("max_tokens")) is int,
        compared=said(mapped(options.get("diagnostics")).get("previous_message_id")) or None,
        parameters={tier: given for tier, given in _parameters(options) if given},
    )


def _parameters(options: Mapping[str, Json]) -> Iterator[tuple[Tier, dict[str, Json]]]:
    yield "tools", _given({name: options.get(name) for name in _WHOLE_PROMPT})
    output = mapped(options.get("output_config"))
    yield (
        "messages",
        _given(
            {
                **{name: options.get(name) for name in _MESSAGES},
                **_tool_choice(options.get("tool_choice")),
                "effort": output.get("effort"),
                "output_config": {key: item for key, item in output.items() if key != "effort" and item is not None},
            }
        ),
    )


def _tool_choice(choice: Json) -> dict[str, Json]:
    """``auto`` with parallel calls is what holds when nothing is said."""
    if not isinstance(choice, dict):
        return {"tool_choice": choice}
    rest = {key: item for key, item in choice.items() if key != "disable_parallel_tool_use"}
    return {
        "tool_choice": None if rest == {"type": "auto"} else rest,
        "disable_parallel_tool_use": choice.get("disable_parallel_tool_use") or None,
    }


def _given(values: dict[str, Json]) -> dict[str, Json]:
    """What differs from its default."""
    return {
        name: value
        for name, value in values.items()
        if value is not None and value not in ({}, []) and _DEFAULTS.get(name) != value
    }


def mark(conversation: Conversation, wish: Wish) -> tuple[Edit, ...]:
    """``cache_control`` on blocks, and at the top level for a breakpoint without a path."""
    return tuple(_marked(conversation, point) for point in wish.breakpoints)


def _marked(conversation: Conversation, point: Breakpoint) -> Edit:
    marker = {"type": "ephemeral", "ttl": point.ttl} if point.ttl else {"type": "ephemeral"}
    standing_there = standing(conversation, point.path) if point.path else None
    if isinstance(standing_there, str):
        block = {"type": "text", "text": standing_there, MARKER: marker}
        return Edit("replace", point.path, point.reason, [block])
    return Edit("replace", (*point.path, MARKER), point.reason, marker)

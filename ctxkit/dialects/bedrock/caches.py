"""What Bedrock's cache sees of a Converse request: its blocks, the checkpoints behind them, the parameters.

Source: AWS, prompt caching (2026-09), botocore 1.44.5 (CachePointBlock). A ``cachePoint`` is a block of its own and marks
what stands before it; Nova also takes it as a field beside the text it marks. Claude's table of invalidations holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.cacheable import Ask, Block
from ctxkit.dialects.bedrock.converse import identity
from ctxkit.dialects.blocks import MEDIA_SIZE, items, listed, mapped, said, size_of, standing
from ctxkit.model import Edit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ctxkit.cacheable import Breakpoint, Tier, Wish
    from ctxkit.model import Conversation, Json, Message, PartKind, Path

__all__ = ["OPTIONS", "ask", "blocks", "mark"]

OPTIONS = False

MARKER = "cachePoint"

_KINDS: dict[str, PartKind] = {
    "text": "text",
    "image": "image",
    "video": "video",
    "audio": "audio",
    "document": "document",
    "searchResult": "document",
    "toolUse": "tool_call",
    "toolResult": "tool_result",
    "reasoningContent": "reasoning",
    "citationsContent": "text",
    "guardContent": "text",
}
_ROLES = frozenset({"user", "assistant", "system"})
_IMAGE: tuple[Tier, str] = ("messages", "image")
_CITED: tuple[Tier, str] = ("system", "citations")


def blocks(message: Message) -> tuple[Block, ...]:
    """The blocks of one tool, system block or message; a ``cachePoint`` marks the one before it."""
    first, value = message.path[0], message.value
    if first in {"toolConfig", "system"}:
        tier: Tier = "tools" if first == "toolConfig" else "system"
        return _marked([(message.path, value)], tier, tier)
    content, path = value.get("content"), (*message.path, "content")
    role = message.role if message.role in _ROLES else "other"
    if listed(content):
        return _marked([((*path, index), block) for index, block in enumerate(content)], "messages", role)
    return _marked([(path, content)], "messages", role) if content is not None else ()


def _marked(wire: list[tuple[Path, Json]], tier: Tier, role: str) -> tuple[Block, ...]:
    found: list[Block] = []
    for path, item in wire:
        mark = _mark_of(item)
        if mark is None or len(item) > 1:
            found.append(_block(tier, role, path, item))
        if mark is not None:
            if found:
                found[-1] = found[-1]._replace(mark=mark)
            else:
                found.append(Block(tier, role, "marker", path, None, mark=mark))
    return tuple(found)


def _mark_of(block: Json) -> str | None:
    if not isinstance(block, dict) or MARKER not in block:
        return None
    return said(mapped(block[MARKER]).get("ttl"))


def _block(tier: Tier, role: str, path: Path, block: Json) -> Block:
    if isinstance(block, str):
        return Block(tier, role, "text", path, block, False, None, len(block))
    bare = identity(block)
    if tier == "tools":
        return Block(tier, role, "tool", path, bare, isinstance(block, dict), None, size_of(bare))
    kind = _kind(bare)
    text = bare.get("text") if isinstance(bare, dict) else None
    return Block(
        tier,
        "tool" if kind == "tool_result" else role,
        kind,
        path,
        text if isinstance(text, str) and len(bare) == 1 else bare,
        kind not in {"reasoning", "other"} and text != "",
        None,
        _weight(bare),
        tuple(dict.fromkeys(_sways(bare))),
    )


def _kind(block: Json) -> PartKind:
    for key in block if isinstance(block, dict) else ():
        if key in _KINDS:
            return _KINDS[key]
    return "other"


def _weight(block: Json) -> int:
    """Characters; media count by what they are and not by their bytes."""
    if not isinstance(block, dict):
        return size_of(block)
    if not block.keys().isdisjoint({"image", "video", "audio", "document"}):
        return MEDIA_SIZE
    content = mapped(block.get("toolResult")).get("content")
    return sum(map(_weight, items(content))) if listed(content) else size_of(block)


def _sways(block: Json) -> Iterator[tuple[Tier, str]]:
    if not isinstance(block, dict):
        return
    if "image" in block:
        yield _IMAGE
    if mapped(mapped(block.get("document")).get("citations")).get("enabled"):
        yield _CITED
    for item in items(mapped(block.get("toolResult")).get("content")):
        yield from _sways(item)


def ask(conversation: Conversation) -> Ask:
    """The parameters of each tier; Converse has no automatic marker and no key.

    What Claude is asked beside Converse's own fields (thinking, effort, betas) counts for the messages.
    """
    options = conversation.options
    model = mapped(options.get("additionalModelRequestFields"))
    messages = {
        "tool_choice": _tool_choice(mapped(options.get("toolConfig")).get("toolChoice")),
        "thinking": model.get("thinking"),
        "effort": _effort(model),
        "output_config": options.get("outputConfig"),
        "model_fields": {key: item for key, item in model.items() if key not in {"thinking", "output_config"}},
    }
    tools = {"promptVariables": options.get("promptVariables")}
    given: dict[Tier, Mapping[str, Json]] = {"tools": _given(tools), "messages": _given(messages)}
    return Ask(parameters={tier: values for tier, values in given.items() if values})


def _tool_choice(choice: Json) -> Json:
    return None if choice in ({"auto": {}}, {}) else choice


def _effort(model: Mapping[str, Json]) -> Json:
    effort = mapped(model.get("output_config")).get("effort")
    return None if effort == "high" else effort  # the default of Claude


def _given(values: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in values.items() if value is not None and value not in ({}, [])}


def mark(conversation: Conversation, wish: Wish) -> tuple[Edit, ...]:
    """A ``cachePoint`` behind each of the blocks: as a list is edited whole, there is one edit for each list."""
    lists: dict[Path, dict[int, Breakpoint]] = {}
    for point in wish.breakpoints:
        if point.path and isinstance(point.path[-1], int):
            lists.setdefault(point.path[:-1], {})[point.path[-1]] = point
    return tuple(
        Edit(
            "replace",
            path,
            " ".join(dict.fromkeys(point.reason for point in points.values())),
            list(_with_points(_list_at(conversation, path), points)),
        )
        for path, points in lists.items()
    )


def _list_at(conversation: Conversation, path: Path) -> Sequence[Json]:
    """Tools and system blocks are messages of their own; the blocks of a message stand in it."""
    if path[0] == "messages":
        return items(standing(conversation, path))
    return [message.value for message in conversation.messages if message.path[:-1] == path]


def _with_points(blocks: Sequence[Json], points: Mapping[int, Breakpoint]) -> Iterator[Json]:
    for index, block in enumerate(blocks):
        yield block
        if (point := points.get(index)) is not None:
            yield {MARKER: {"type": "default", "ttl": point.ttl} if point.ttl else {"type": "default"}}

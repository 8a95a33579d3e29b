"""What OpenAI's cache sees of a Responses request: its items in pieces, with their markers.

Source: developers.openai.com, prompt caching (2026-10-02); openai package 3.52 types. Markers stand on ``input_text``,
``input_image`` and ``input_file``, inside the outputs of calls too, and on screenshots; not on instructions or tools.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.cacheable import Ask, Block
from ctxkit.dialects.blocks import items, listed, mapped, said, size_of, standing
from ctxkit.dialects.openai.items import role_of
from ctxkit.dialects.openai.parts import MARKERS
from ctxkit.dialects.openai.pieces import given, mark_of, marker, option_edits, options_ask, piece, rest
from ctxkit.dialects.openai.responses import identity
from ctxkit.model import Edit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctxkit.cacheable import Breakpoint, Tier, Wish
    from ctxkit.model import Conversation, Json, Message, PartKind, Path

__all__ = ["OPTIONS", "ask", "blocks", "mark"]

OPTIONS = True

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
MARKABLE = frozenset({"input_text", "input_image", "input_file", "computer_screenshot"})
_HELD = ("output", "content")
_KNOWN = MARKERS.union(("type", "role", "content", "output", "id", "status"))  # the last two are the provider's own


def blocks(message: Message) -> tuple[Block, ...]:
    """The pieces of one item; a call, a thought or a tool is one piece."""
    value, path = message.value, message.path
    if path[0] == "tools":
        return (Block("tools", "tools", "tool", path, value, size=size_of(value)),)
    if path[0] in {"prompt", "instructions"}:
        return (Block("system", "system", "text", path, value, size=size_of(value)),)
    if isinstance(value, str):
        return (piece("messages", "user", path, value, MARKABLE),)
    return _item(path, value)


def _item(path: Path, item: dict[str, Json]) -> tuple[Block, ...]:
    role = role_of(item)
    role = role if role in _ROLES else "other"
    kind = said(item.get("type"))
    if kind in {"message", ""} and "content" in item:
        found = _pieces(role, (*path, "content"), item["content"], None, rest(item, _KNOWN))
    elif kind.endswith("_call_output") and isinstance(item.get("output"), str | list | tuple):
        found = _pieces("tool", (*path, "output"), item["output"], "tool_result", rest(item, _KNOWN))
    else:
        bare = identity(item)
        found = [Block("messages", role, _kind(kind), path, bare, mark=_within(item), size=size_of(bare))]
    if (mark := mark_of(item)) is not None and found:
        found[-1] = found[-1]._replace(mark=mark)
    return tuple(found)


def _pieces(role: str, path: Path, content: Json, kind: PartKind | None, beside: dict[str, Json]) -> list[Block]:
    tier: Tier = "messages"
    if listed(content):
        return [
            piece(tier, role, (*path, index), block, MARKABLE, kind=kind, beside=beside)
            for index, block in enumerate(content)
        ]
    found = piece(tier, role, path, content, MARKABLE, kind=kind, beside=beside)
    return [found._replace(markable=found.markable and role != "assistant")]


def _within(item: Mapping[str, Json]) -> str | None:
    """A marker inside an item that is one piece."""
    for key in _HELD:
        held = item.get(key)
        for block in items(held) or (held,):
            if (mark := mark_of(block)) is not None:
                return mark
    return None


def _kind(name: str) -> PartKind:
    if name == "reasoning":
        return "reasoning"
    if name.endswith(("_call", "_request")):
        return "tool_call"
    return "tool_result" if name.endswith(("_output", "_response")) else "other"


def ask(conversation: Conversation) -> Ask:
    """Mode, time to live and key, and what changes the provider's own instructions before the prompt (2026-10-02)."""
    options = conversation.options
    text, reasoning = mapped(options.get("text")), mapped(options.get("reasoning"))
    form = text.get("format")
    return options_ask(
        options,
        given(
            {
                "response_format": None if mapped(form).get("type") == "text" else form,
                "verbosity": None if text.get("verbosity") == "medium" else text.get("verbosity"),
                "effort": reasoning.get("effort"),
            }
        ),
    )


def mark(conversation: Conversation, wish: Wish) -> tuple[Edit, ...]:
    """Markers on pieces of content, and fields of the request; an input that is one text becomes a list of one item."""
    points = [_marked(conversation, wish, point) for point in wish.breakpoints if point.path]
    return (*points, *option_edits(conversation.options, wish))


def _marked(conversation: Conversation, wish: Wish, point: Breakpoint) -> Edit:
    ((field, value),) = marker(wish, point).items()
    text = standing(conversation, point.path)
    if not isinstance(text, str):
        return Edit("replace", (*point.path, field), point.reason, value)
    content = [{"type": "input_text", "text": text, field: value}]
    whole = [{"role": "user", "content": content}] if point.path == ("input",) else content
    return Edit("replace", point.path, point.reason, whole)

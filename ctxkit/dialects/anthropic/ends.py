"""When an answer of the Messages API is whole, and what may be asked again.

Source: stop reasons and tool types of the anthropic SDK 2.11.0 and platform.claude.com (2026-09).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.dialects.blocks import listed
from ctxkit.dialects.usage import at, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctxkit.model import Json

__all__ = ["repeatable", "streamed", "whole"]

_GOOD = frozenset({"end_turn", "tool_use", "stop_sequence"})
_OWN_TOOLS = ("custom", "bash_", "text_editor_", "computer_", "memory_", "tool_search_tool_")
"""Tools that the application runs itself, or that look at nothing but the request; versions are dates behind the names."""

_OWN_BLOCKS = frozenset({"text", "thinking", "redacted_thinking", "tool_use", "compaction"})
_HELD = ("mcp_servers", "container")


def repeatable(body: dict[str, Json]) -> bool:
    """No tool that the provider runs, no container of its own."""
    if any(body.get(key) for key in _HELD):
        return False
    tools = body.get("tools") or ()
    return listed(tools) and all(isinstance(tool, dict) and _own(tool.get("type")) for tool in tools)


def _own(kind: Json) -> bool:
    return kind is None or (isinstance(kind, str) and kind.startswith(_OWN_TOOLS))


def whole(response: Json, body: Json) -> bool:  # noqa: ARG001 -- there is one answer, whatever was asked
    """A message that came to a good end, of text, thoughts and calls alone."""
    content = at(response, "content")
    return (
        at(response, "type") == "message"
        and at(response, "stop_reason") in _GOOD
        and listed(content)
        and bool(content)
        and all(at(block, "type") in _OWN_BLOCKS for block in content)
    )


def streamed(events: Sequence[Json], body: Json) -> bool:  # noqa: ARG001
    """From ``message_start`` to ``message_stop``, every block begun and ended, with a good end between."""
    kinds = [at(event, "type") for event in events]
    if "error" in kinds or None in kinds or kinds[-1] != "message_stop" or kinds.count("message_start") != 1:
        return False
    blocks = [at(event, "content_block") for event in events if event["type"] == "content_block_start"]
    ends = [reason for event in events if (reason := text(event, "delta", "stop_reason"))]
    return (
        bool(blocks)
        and kinds.count("content_block_stop") == len(blocks)
        and all(at(block, "type") in _OWN_BLOCKS for block in blocks)
        and len(ends) == 1
        and ends[0] in _GOOD
    )

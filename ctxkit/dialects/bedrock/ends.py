"""When an answer of Converse is whole, and what may be asked again.

Source: AWS API reference of Converse and ConverseStream (2026-09).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.dialects.blocks import listed
from ctxkit.dialects.usage import at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctxkit.model import Json

__all__ = ["repeatable", "streamed", "whole"]

_GOOD = frozenset({"end_turn", "tool_use", "stop_sequence"})
_OWN_TOOLS = frozenset({"toolSpec", "cachePoint"})
_OWN_BLOCKS = frozenset({"text", "toolUse", "reasoningContent", "citationsContent"})  # citations of its own documents
_FOUND = ("toolResult", "image")


def repeatable(body: dict[str, Json]) -> bool:
    """No tool that Bedrock runs, and no version of a guardrail that may still change."""
    if at(body, "guardrailConfig", "guardrailVersion") == "DRAFT":
        return False
    tools = at(body, "toolConfig", "tools") or ()
    return listed(tools) and all(isinstance(tool, dict) and tool.keys() <= _OWN_TOOLS for tool in tools)


def whole(response: Json, body: Json) -> bool:  # noqa: ARG001 -- there is one answer, whatever was asked
    """A message that came to a good end, of text, thoughts and calls alone."""
    content = at(response, "output", "message", "content")
    return (
        at(response, "stopReason") in _GOOD
        and listed(content)
        and bool(content)
        and all(isinstance(block, dict) and block.keys() <= _OWN_BLOCKS for block in content)
    )


def streamed(events: Sequence[Json], body: Json) -> bool:  # noqa: ARG001
    """From ``messageStart`` to ``metadata``, every block ended, with a good end between."""
    if not all(isinstance(event, dict) and len(event) == 1 for event in events):
        return False
    kinds = [next(iter(event)) for event in events]
    if any(kind.endswith("Exception") for kind in kinds) or kinds[-1] != "metadata" or kinds[0] != "messageStart":
        return False
    said = {at(event, "contentBlockDelta", "contentBlockIndex") for event in events if "contentBlockDelta" in event}
    ended = {at(event, "contentBlockStop", "contentBlockIndex") for event in events if "contentBlockStop" in event}
    ends = [at(event, "messageStop", "stopReason") for event in events if "messageStop" in event]
    return bool(said) and said <= ended and len(ends) == 1 and ends[0] in _GOOD and not any(map(_found, events))


def _found(event: dict[str, Json]) -> bool:
    delta = at(event, "contentBlockDelta", "delta") or at(event, "contentBlockStart", "start") or {}
    return any(key in delta for key in _FOUND)

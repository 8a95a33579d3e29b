"""When an answer of the Responses API is whole, and what may be asked again.

Source: openai package 3.52 types, developers.openai.com (2026-09).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.dialects.blocks import listed
from ctxkit.dialects.complete import DONE
from ctxkit.dialects.openai.ends import filtered
from ctxkit.dialects.usage import at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctxkit.model import Json

__all__ = ["repeatable", "streamed", "whole"]

_OWN_TOOLS = frozenset(
    {
        *("function", "custom", "local_shell", "apply_patch", "image_generation"),
        *("computer", "computer_use_preview", "computer-preview"),
    }
)
"""Tools that the application runs itself, or that look at nothing but the request."""

_OWN_ITEMS = frozenset(
    {
        *("message", "reasoning", "function_call", "custom_tool_call", "local_shell_call", "apply_patch_call"),
        *("computer_call", "image_generation_call", "compaction"),
    }
)
_HELD = ("background", "conversation", "previous_response_id")


def repeatable(body: dict[str, Json]) -> bool:
    """No history that the provider holds, no tool of its own, no template whose version may change."""
    if any(body.get(key) for key in _HELD):
        return False
    if body.get("prompt") is not None and not at(body["prompt"], "version"):
        return False
    tools = body.get("tools") or ()
    return listed(tools) and all(at(tool, "type") in _OWN_TOOLS for tool in tools)


def whole(response: Json, body: Json) -> bool:  # noqa: ARG001 -- there is one answer, whatever was asked
    """Status ``completed``, and so are all items of the output."""
    if not isinstance(response, dict) or response.get("status") != "completed" or filtered(response):
        return False
    if response.get("error") or response.get("incomplete_details"):
        return False
    output = response.get("output")
    return (
        isinstance(output, list)
        and bool(output)
        and all(map(_good, output))
        and any(at(o, "type") != "reasoning" for o in output)
    )


def _good(item: Json) -> bool:
    if at(item, "type") not in _OWN_ITEMS or at(item, "status") not in (None, "completed"):
        return False
    content = item.get("content")
    return not any(at(block, "type") == "refusal" or at(block, "annotations") for block in content or ())


def streamed(events: Sequence[Json], body: Json) -> bool:
    """``response.completed`` is the last event, with the whole response in it."""
    said = events[:-1] if events[-1] == DONE else events
    if not said or any(at(event, "type") in (None, "error") for event in said):
        return False
    return at(said[-1], "type") == "response.completed" and whole(at(said[-1], "response"), body)

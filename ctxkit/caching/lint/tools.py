"""Tool definitions: their order, how they are written, and how large they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ctxkit.caching.lint.finding import Finding, Seen, broken, where
from ctxkit.caching.lint.volatile import first_difference, same_talk

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["large_tools", "unstable_tools"]

_LARGE = 1_500  # tokens of one definition
_ALL = 15_000  # tokens of all


def unstable_tools(seen: Seen, before: Seen | None) -> Iterator[Finding]:
    """Between two requests: the same tools in another order, or written in another way; or other tools."""
    if before is None:
        return
    index = first_difference(seen, before)
    if index is None:
        return
    mine, theirs = _tools(seen), _tools(before)
    if seen.layout.positions[index].tier != "tools" and len(mine) == len(theirs):
        return
    if not theirs or mine == theirs:
        return
    if sorted(mine) != sorted(theirs) and not same_talk(seen, before):
        return  # another conversation, with tools of its own
    path = seen.blocks[index].path
    rule, message, fix = _changed(mine, theirs)
    yield Finding(rule, seen.source, path, message, fix, certain=True, tokens=broken(seen, index))


def _changed(mine: list[tuple[str, str, str]], theirs: list[tuple[str, str, str]]) -> tuple[str, str, str]:
    names, others = [name for name, _, _ in mine], [name for name, _, _ in theirs]
    if sorted(names) != sorted(others):
        added, gone = sorted({*names} - {*others}), sorted({*others} - {*names})
        told = "; ".join(
            f"{what}: {', '.join(which)[:200]}" for what, which in (("added", added), ("removed", gone)) if which
        )
        return (
            "tools-changed",
            f"the tools differ from the request before ({told})",
            "Declare all tools in every request; forbid some for a turn with tool_choice (OpenAI: allowed_tools).",
        )
    if names != others:
        return (
            "tool-order",
            f"the same {len(names)} tools stand in another order than in the request before",
            'Sort tools by name, or keep the order in which they were first sent: Policy(mode="cache", freeze_tools=True) does.',
        )
    canonical = {name: text for name, _, text in theirs}
    rewritten = [name for name, _, text in mine if canonical.get(name) == text]
    if len(rewritten) == len(mine):
        return (
            "tool-keys",
            "the tools say the same as in the request before, with the keys of their schemas in another order",
            "Write schemas with sorted keys (json.dumps(..., sort_keys=True)) or keep the object that was sent.",
        )
    changed = [name for name, _, text in mine if canonical.get(name) != text]
    return (
        "tools-changed",
        f"tools changed since the request before: {', '.join(changed)[:200]}",
        "Keep descriptions and schemas the same for as long as a conversation runs.",
    )


def _tools(seen: Seen) -> list[tuple[str, str, str]]:
    """Name, text as it stands, and text with sorted keys of each tool."""
    values = [block.value for block in seen.blocks if block.tier == "tools"]
    return [(_name(value), _dumped(value), _dumped(value, sort=True)) for value in values]


def _name(tool: Any) -> str:
    """A tool's name; those of all functions where the wire puts several into one (Gemini)."""
    if not isinstance(tool, dict):
        return str(tool)
    functions = tool.get("functionDeclarations") or tool.get("function_declarations")
    if isinstance(functions, list):
        return "+".join(_name(function) for function in functions)
    inner = tool.get("function") or tool.get("toolSpec")
    return str((inner if isinstance(inner, dict) else tool).get("name") or tool.get("type") or "unnamed")


def _dumped(value: Any, *, sort: bool = False) -> str:
    return json.dumps(value, sort_keys=sort, default=repr)


def large_tools(seen: Seen, before: Seen | None) -> Iterator[Finding]:
    """Definitions that take more than instructions should; told once, at the first request."""
    if before is not None:
        return
    reached, whole = 0.0, 0.0
    for block, position in zip(seen.blocks, seen.layout.positions, strict=True):
        if block.tier != "tools":
            break
        tokens, reached = position.tokens - reached, position.tokens
        whole = position.tokens
        if tokens >= _LARGE:
            yield Finding(
                "large-tool",
                seen.source,
                block.path,
                f"the tool {_name(block.value)[:80]} takes {round(tokens):,} tokens of every request",
                "Shorten descriptions, drop optional fields, or load it only where it is needed (tool search).",
                tokens=round(tokens),
            )
    if whole >= _ALL:
        yield Finding(
            "large-tool",
            seen.source,
            (where(()),),
            f"tool definitions take {round(whole):,} tokens of every request",
            "Declare fewer tools, or let the provider search them (defer_loading).",
            tokens=round(whole),
        )

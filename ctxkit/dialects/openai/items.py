"""Input items of the Responses API: what each type is to the model.

Source: openai package 3.52, ``types/responses/response_input_item.py``; developers.openai.com (2026-09). A type that is
not known is shown whole as ``other``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.dialects.blocks import items, joined, leftovers, listed, said, spell, unknown
from ctxkit.dialects.openai.parts import MARKERS, content_parts, result_parts, text_of
from ctxkit.model import Part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxkit.model import Json, Message, Path

__all__ = ["read_item", "read_prompt", "read_tool", "role_of"]

# What a call says, by its type: the field that the model wrote.
_CALL_FIELDS = {
    "function_call": "arguments",
    "custom_tool_call": "input",
    "mcp_call": "arguments",
    "mcp_approval_request": "arguments",
    "tool_search_call": "arguments",
    "code_interpreter_call": "code",
    "web_search_call": "action",
    "file_search_call": "queries",
    "computer_call": "action",
    "shell_call": "action",
    "local_shell_call": "action",
    "apply_patch_call": "operation",
    "image_generation_call": "revised_prompt",
}
# What a call of the provider's own tools gave back stands in the same item.
_OWN_RESULTS = ("output", "outputs", "results", "result")
_TOOL_LISTS = ("mcp_list_tools", "tool_search_output", "additional_tools")
_SEALED = ("compaction", "compaction_summary")
_MESSAGE_FIELDS = MARKERS.union(("type", "role", "content"))
_RESULT_FIELDS = ("type", "role", "call_id", "output")


def role_of(item: dict[str, Json]) -> str:
    """The role the wire says; items without one are the assistant's, or a tool's when they bring an output."""
    if isinstance(role := item.get("role"), str):
        return role
    kind = said(item.get("type"))
    if kind.endswith("_output"):
        return "tool"
    return "user" if kind in ("message", "", "mcp_approval_response") else "assistant"


def read_tool(message: Message) -> tuple[Part, ...]:
    """A tool definition."""
    tool = message.value
    label = (said(tool.get("name")) or said(tool.get("server_label"))) if isinstance(tool, dict) else ""
    return (Part("tool", message.role, message.path, tool, spell(tool), name=label or None),)


def read_prompt(message: Message) -> tuple[Part, ...]:
    """A prompt template that the provider holds: its variables are all the model reads of it here."""
    prompt, path = message.value, message.path
    if not isinstance(prompt, dict):
        return (unknown(message.role, path, prompt),)
    variables = prompt.get("variables")
    parts: list[Part] = []
    if isinstance(variables, dict):
        for key, value in variables.items():
            parts += content_parts(value, message.role, (*path, "variables", key))
    known = ("variables", "role") if isinstance(variables, dict) else ("role",)
    return (*parts, *leftovers(message, known))


def read_item(message: Message) -> tuple[Part, ...]:
    """One item of ``input``."""
    return tuple(_item(message))


def _item(message: Message) -> Iterator[Part]:
    item, path, role = message.value, message.path, message.role
    kind = said(item.get("type"))
    pair = said(item.get("call_id")) or said(item.get("id")) or None
    if kind in ("message", "") and "content" in item:
        yield from _said(message)
    elif kind in _CALL_FIELDS:
        yield from _called(item, role, path, kind, pair)
    elif kind in _TOOL_LISTS:
        yield from _listed_tools(message, pair)
    elif kind.endswith("_output"):
        if "output" in item:
            yield from _output(item["output"], role, (*path, "output"), pair)
        yield from leftovers(message, _RESULT_FIELDS)
    elif kind == "reasoning":
        yield Part("reasoning", role, path, item, _thoughts(item), signed=bool(item.get("encrypted_content")))
    elif kind == "mcp_approval_response":
        yield Part("tool_result", role, path, item, spell(item), pair=said(item.get("approval_request_id")) or None)
    else:
        yield Part("other", role, path, item, "" if kind in _SEALED else spell(item), signed=kind in _SEALED)


def _said(message: Message) -> Iterator[Part]:
    item, path = message.value, message.path
    yield from content_parts(item["content"], message.role, (*path, "content"))
    for key in MARKERS & item.keys():
        yield Part("marker", message.role, (*path, key), item[key])
    yield from leftovers(message, _MESSAGE_FIELDS)


def _called(item: Json, role: str, path: Path, kind: str, pair: str | None) -> Iterator[Part]:
    wrote = item.get(_CALL_FIELDS[kind])
    text = wrote if isinstance(wrote, str) else "" if wrote is None else spell(wrote)
    yield Part("tool_call", role, path, item, text, pair=pair, name=said(item.get("name")) or kind)
    for key in _OWN_RESULTS:
        if item.get(key):
            yield from _output(item[key], role, (*path, key), pair)


def _output(output: Json, role: str, path: Path, pair: str | None) -> Iterator[Part]:
    if isinstance(output, str):
        yield Part("tool_result", role, path, output, "" if path[-1] == "result" else output, pair=pair)
    elif listed(output) and any(isinstance(entry, dict) and "stdout" in entry for entry in output):
        yield Part("tool_result", role, path, output, joined(map(_shell_text, output)), pair=pair)
    else:
        yield from result_parts(output, role, path, pair=pair)


def _shell_text(entry: Json) -> str:
    if not isinstance(entry, dict):
        return spell(entry)
    return joined((said(entry.get("stdout")), said(entry.get("stderr"))))


def _listed_tools(message: Message, pair: str | None) -> Iterator[Part]:
    """Tool definitions that come in the middle of a conversation."""
    tools, path = message.value.get("tools"), (*message.path, "tools")
    for index, tool in enumerate(tools if listed(tools) else ()):
        label = said(tool.get("name")) if isinstance(tool, dict) else ""
        yield Part("tool", message.role, (*path, index), tool, spell(tool), pair=pair, name=label or None)
    yield from leftovers(message, ("type", "role", "call_id", "tools") if listed(tools) else ("type", "role"))


def _thoughts(item: dict[str, Json]) -> str:
    return joined(map(text_of, (*items(item.get("summary")), *items(item.get("content")))))

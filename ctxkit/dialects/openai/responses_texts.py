"""What of a Responses request may be tidied: messages, outputs of functions, arguments of calls.

Reasoning has no piece: what follows may not stand without it. What OpenAI's own tools were called with and gave back is
locked, and so is what a program called or reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ctxkit.dialects.blocks import joined, listed, mapped, said
from ctxkit.dialects.openai.items import read_item, role_of
from ctxkit.dialects.openai.speaking import answered, spoken
from ctxkit.dialects.taking import Taken, thinking
from ctxkit.model import Edit

if TYPE_CHECKING:
    from ctxkit.editable import Piece, Speaker
    from ctxkit.model import Conversation, Json, Message, Path

__all__ = ["appended", "pieces", "written"]

_Item: TypeAlias = "dict[str, Json]"

_SPEAKERS: dict[str, Speaker] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})
_LOCKED_CALLS = frozenset(
    [
        "computer_call",
        "local_shell_call",
        "shell_call",
        "apply_patch_call",
        "mcp_approval_request",
        "program",
        "web_search_call",
        "file_search_call",
        "code_interpreter_call",
        "image_generation_call",
        "mcp_call",
    ]
)
_LOCKED_OUTPUTS = frozenset(
    [
        "computer_call_output",
        "local_shell_call_output",
        "shell_call_output",
        "apply_patch_call_output",
        "mcp_approval_response",
        "program_output",
    ]
)


def pieces(message: Message, index: int) -> tuple[Piece, ...]:
    """One item or text taken apart; nothing for a tool definition and for a prompt template."""
    value, path = message.value, message.path
    if path[0] in {"tools", "prompt"}:
        return ()
    if isinstance(value, str):
        taken = Taken(index, _SPEAKERS.get(message.role))
        taken.said(path, value)
    else:
        taken = Taken(index, _SPEAKERS.get(role_of(value)))
        _item(taken, path, value, said(value.get("type")), message)
    return tuple(taken.found)


def _item(taken: Taken, path: Path, item: _Item, kind: str, message: Message) -> None:
    if kind in ("message", "") and "content" in item:
        spoken(taken, (*path, "content"), item["content"])
    elif kind in _CALLS:
        field = _CALLS[kind]
        taken.called(
            (*path, field),
            said(item.get(field)),
            _pair(item),
            said(item.get("name")) or None,
            by_code=_by_program(item),
        )
    elif kind in _OUTPUTS and not _by_program(item):
        answered(taken, (*path, "output"), item.get("output"), _pair(item))
    elif kind in _OUTPUTS or kind in _LOCKED_OUTPUTS:
        taken.given(path, _read(message), _pair(item), locked=True)
    elif kind in _LOCKED_CALLS:
        taken.called(path, _read(message), _pair(item), said(item.get("name")) or kind, locked=True)
    elif kind != "reasoning":
        taken.stays(path)  # tools that come later, the sum of what stood before, references, what nobody knows


def _pair(item: _Item) -> str | None:
    """A call and its output have an id in common; an item that brings its own output has none."""
    pair = said(item.get("call_id")) or said(item.get("approval_request_id"))
    if not pair and item.get("type") == "mcp_approval_request":
        pair = said(item.get("id"))
    return pair or None


def _by_program(item: _Item) -> bool:
    return mapped(item.get("caller")).get("type") == "program"


def _read(message: Message) -> str:
    return joined(part.text for part in read_item(message) if part.kind in {"tool_call", "tool_result"})


def written(piece: Piece, text: str) -> Json:  # noqa: ARG001 -- this wire holds texts only
    """The text itself."""
    return text


def appended(conversation: Conversation, text: str, *, platform: str, model: str) -> Edit | None:  # noqa: ARG001 -- all alike
    """Behind what a user said last; behind outputs of functions as an item of its own.

    Where reasoning stands between a call and its output, words of a user would end the turn, and the reasoning with it.
    """
    last = conversation.messages[-1] if conversation.messages else None
    if last is None or last.path[0] != "input" or thinking(conversation.messages):
        return None
    value, added = last.value, {"type": "input_text", "text": text}
    if isinstance(value, str):
        return Edit(
            "replace", last.path, "", [{"role": "user", "content": [{"type": "input_text", "text": value}, added]}]
        )
    if said(value.get("type")) in _OUTPUTS and not _by_program(value):
        stood = [message.value for message in conversation.messages if message.path[0] == "input"]
        return Edit("replace", ("input",), "", [*stood, {"role": "user", "content": text}])
    content = value.get("content")
    if said(value.get("type")) not in ("message", "") or role_of(value) != "user" or not content:
        return None
    if isinstance(content, str):
        content = [{"type": "input_text", "text": content}]
    return Edit("replace", (*last.path, "content"), "", [*content, added]) if listed(content) else None

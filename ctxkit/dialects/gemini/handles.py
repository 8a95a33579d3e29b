"""What ``cachedContents`` takes of a request, and what is left to be sent beside a handle.

System instruction, tools and tool configuration stand in the handle and never beside it (400, even byte for byte the
same); contents that are sent once more are billed twice. Source: Gemini API, observed on 2026-09-07.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.dialects.blocks import listed
from ctxkit.model import Edit

if TYPE_CHECKING:
    from ctxkit.model import Json, Message

__all__ = ["content", "reading", "tool_config"]

_NAMES = {
    "systemInstruction": "systemInstruction",
    "system_instruction": "systemInstruction",
    "tools": "tools",
    "toolConfig": "toolConfig",
    "tool_config": "toolConfig",
}


def tool_config(body: Json) -> Json:
    """How tools are to be used, as the request says."""
    return next((body[key] for key in ("toolConfig", "tool_config") if key in body), None) if _is(body) else None


def content(body: Json, last: Message) -> dict[str, Json] | None:
    """What a handle holds that ends behind the message ``last``; ``None`` when it cannot end there."""
    contents = _contents(body, last)
    if contents is None:
        return None
    kept = {name: body[key] for key, name in _NAMES.items() if key in body}
    return {**kept, "contents": body["contents"][:contents]} if contents else kept


def reading(body: Json, last: Message, name: str) -> tuple[Edit, ...]:
    """Edits that let a request read the handle ``name``, which ends behind ``last``; none where it cannot."""
    contents = _contents(body, last)
    if contents is None or (contents and contents >= len(body["contents"])):
        return ()
    why = "it stands in the handle and must not be sent beside it"
    edits = [Edit("drop", (key,), why) for key in _NAMES if key in body]
    if contents:
        rest = body["contents"][contents:]
        edits.append(Edit("replace", ("contents",), "what stands in the handle is not sent again", rest))
    return (*edits, Edit("replace", ("cachedContent",), f"{name} holds the beginning of it", name))


def _contents(body: Json, last: Message) -> int | None:
    """How many contents stand up to and with ``last``."""
    if not _is(body):
        return None
    if last.path[0] != "contents":
        return 0
    return int(last.path[1]) + 1 if len(last.path) > 1 and listed(body.get("contents")) else None


def _is(body: Json) -> bool:
    return isinstance(body, dict)

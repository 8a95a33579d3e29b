"""``anthropic.messages``: the Messages API of Anthropic, also as Vertex, Foundry and gateways speak it.

Cache order is tools, system, messages; the prefix is hashed in that order (Anthropic, prompt caching, 2026-08-22).
Markers are ``cache_control`` fields of blocks and tools. The usage rule stands in ``anthropic.usage``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.dialects.anthropic.blocks import read_block, read_message, read_tool, read_whole
from ctxkit.dialects.anthropic.usage import AnthropicStream, read_answer
from ctxkit.dialects.blocks import listed, request, said, steps, turns, whole
from ctxkit.dialects.edits import apply
from ctxkit.model import Conversation, Message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctxkit.dialects.base import AnswerStream
    from ctxkit.model import Answer, Json, Part

__all__ = ["answer", "apply", "editable", "identity", "name", "stream", "view"]

name = "anthropic.messages"
editable = True

_MARKER = "cache_control"


def view(body: Json) -> Conversation:
    """A read-only look at ``body`` in cache order: tools, system (text or blocks), messages.

    Raises:
        ProviderShapeError: the body is no object, ``messages`` no list, or one of them no object.
    """
    body = request(body, name)
    seen = {"model", "messages"}
    found: list[Message] = []
    if listed(body.get("tools")):
        seen.add("tools")
        found += steps(body["tools"], "tools", ("tools",), read_tool)
    system = body.get("system")
    if listed(system):
        seen.add("system")
        found += steps(system, "system", ("system",), _read_system)
    elif isinstance(system, str):
        seen.add("system")
        found.append(Message("system", ("system",), system, read_whole))
    found += turns(body.get("messages"), ("messages",), read_message, name)
    model = body.get("model")
    return Conversation(
        dialect=name,
        model=model if isinstance(model, str) else "",
        messages=tuple(found),
        options={key: value for key, value in body.items() if key not in seen},
        max_output=whole(body.get("max_tokens")),
        stream=body.get("stream") is True,
        tier=said(body.get("speed")) or said(body.get("service_tier")) or None,
    )


def _read_system(message: Message) -> tuple[Part, ...]:
    return read_block(message.role, message.path, message.value)


def identity(value: Json) -> Json:
    """``value`` without ``cache_control`` on it, its blocks and theirs; the same object when there is none.

    Tool inputs and schemas are left alone: what is called ``cache_control`` there is the application's own.
    """
    return _bare(value) if isinstance(value, dict) and _marked(value) else value


def _marked(block: dict[str, Json]) -> bool:
    if _MARKER in block:
        return True
    content = block.get("content")
    if not isinstance(content, str) and content is not None and _holds_marked(content):
        return True
    source = block.get("source")  # a document may consist of blocks
    return source is not None and isinstance(source, dict) and _marked(source)


def _holds_marked(content: Json) -> bool:
    if isinstance(content, dict):
        return _marked(content)
    if isinstance(content, list | tuple):
        for block in content:  # most are leaves, and every request passes here: no call for those
            if isinstance(block, dict) and (
                _MARKER in block or (("content" in block or "source" in block) and _marked(block))
            ):
                return True
    return False


def _bare(value: Json) -> Json:
    if isinstance(value, list | tuple):
        return [_bare(item) for item in value]
    if not isinstance(value, dict) or not _marked(value):
        return value
    return {key: _bare(item) if key in {"content", "source"} else item for key, item in value.items() if key != _MARKER}


def answer(response: Mapping[str, Json], platform: str) -> Answer:  # noqa: ARG001 -- one rule for all platforms
    """Read a whole answer; see ``anthropic.usage`` for the rules."""
    return read_answer(response)


def stream(platform: str, *, hide_usage: bool = False) -> AnswerStream:  # noqa: ARG001 -- usage is always sent
    """Begin to read a streamed answer, which ends with ``message_stop``."""
    return AnthropicStream()

"""What a request adds to its messages, as far as the body says: tools, thinking, the form of the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.metering.features import dig, parsed

if TYPE_CHECKING:
    from ctxkit.model import Conversation, Json, Message

__all__ = ["Frame", "frame_of"]


class Frame(NamedTuple):
    """What a request adds to its messages.

    Attributes:
        flags: names of what is present, each with a weight of its own: ``"request"``, ``"bare"`` (no system text),
            ``"tools"``, ``"tools.none"`` or ``"tools.forced"``, ``"thinking"``, ``"format"``, ...
        format: JSON schema of the answer that is asked for, or ``None``.
        opaque: it asks for what only the provider sees (searches, remote tools, stored files): no prompt of ours.
    """

    flags: tuple[str, ...]
    format: Json
    opaque: bool


def frame_of(conversation: Conversation) -> Frame:
    """Read the frame of a request; costs the same however long the history."""
    options = conversation.options
    messages = conversation.messages
    flags = ["request"]
    tools = bool(messages) and messages[0].role == "tools"
    if tools:
        flags.append(_tools_flag(options))
    if not any(message.role in ("system", "developer") for message in _opening(conversation)):
        flags.append("bare")
    flags.append(_thinking(options))
    schema, loose = _format(options)
    if schema is not None:
        flags.append("format")
    elif loose:
        flags.append("json")
    opaque = conversation.server_history is not None or any(options.get(key) for key in _OPAQUE)
    return Frame(tuple(flags), schema, opaque)


_OPAQUE = ("mcp_servers", "plugins", "web_search_options", "container", "context_management", "connectors", "documents")


def _opening(conversation: Conversation) -> Iterator[Message]:
    """The first few messages that are no tools: where system text stands."""
    left = 3
    for message in conversation.messages:
        if message.role != "tools":
            yield message
            left -= 1
            if not left:
                return


def _tools_flag(options: Mapping[str, Json]) -> str:
    """How tools may be used, in as far as it changes what the provider says of them."""
    choice = _choice(options)
    if choice == "none":
        return "tools.none"
    single = options.get("parallel_tool_calls") is False or dig(options, "tool_choice", "disable_parallel_tool_use")
    return ("tools" if choice in ("", "auto") else "tools.forced") + (".single" if single else "")


def _choice(options: Mapping[str, Json]) -> str:
    """``"none"``, ``"auto"``, ``""`` when nothing is said, else what forces a call: ``"any"``, ``"tool"``, ..."""
    choice = options.get("tool_choice")
    if choice is None:
        choice = dig(options, "toolConfig", "toolChoice")
    if isinstance(choice, Mapping):
        choice = choice.get("type") or next(iter(choice), None)
    if choice is None:
        config = options.get("toolConfig") or options.get("tool_config")
        calling = dig(config, "functionCallingConfig") or dig(config, "function_calling_config")
        choice = dig(calling, "mode")
    choice = str(choice or "").lower()
    return "auto" if choice in ("validated", "mode_unspecified") else choice


def _thinking(options: Mapping[str, Json]) -> str:
    """Whether thinking was asked for, refused, or not spoken of."""
    thinking = options.get("thinking") or dig(options, "additionalModelRequestFields", "thinking")
    kind = dig(thinking, "type")
    effort = options.get("reasoning_effort") or dig(options, "reasoning", "effort")
    if kind == "enabled":
        return "thinking"
    if kind in ("adaptive", "auto"):
        return "thinking.adaptive"
    if kind == "disabled" or effort == "none":
        return "thinking.off"
    return "thinking.effort" if effort else "thinking.unsaid"


_GEMINI_FORMATS = ("responseJsonSchema", "response_json_schema", "responseSchema", "response_schema")


def _format(options: Mapping[str, Json]) -> tuple[Json, bool]:
    """JSON schema of the answer, or whether JSON of any shape is asked for."""
    wanted = (
        options.get("response_format")
        or options.get("output_format")
        or dig(options, "output_config", "format")
        or dig(options, "text", "format")
        or dig(options, "outputConfig", "textFormat", "structure")
    )
    schema = dig(wanted, "json_schema", "schema") or dig(wanted, "schema") or dig(wanted, "json_schema")
    schema = schema or dig(wanted, "jsonSchema", "schema")
    config = options.get("generationConfig") or options.get("generation_config") or {}
    for key in _GEMINI_FORMATS:
        schema = schema or dig(config, key)
    kind = dig(wanted, "type")
    mime = dig(config, "responseMimeType") or dig(config, "response_mime_type")
    if isinstance(schema, str):
        schema = parsed(schema)
    return schema, kind in ("json_object", "json") or mime == "application/json"

"""Definitions of tools in the words of each wire format, and the names that a request defines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.dialects import EDITABLE
from ctxkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxkit.model import Conversation, Json

__all__ = ["definition", "names"]


def definition(dialect: str, name: str, description: str, parameters: Json) -> dict[str, Json]:
    """What stands in the request's list of tools.

    Args:
        dialect: name of the wire format.
        name: of the tool.
        description: for the model.
        parameters: JSON schema of an object; all of its properties required, and no others allowed.

    Returns:
        An element of ``tools``; of ``toolConfig.tools`` for ``bedrock.converse``.

    Raises:
        ConfigurationError: no such dialect, or none with tools.
    """
    function = {"name": name, "description": description, "parameters": parameters, "strict": True}
    match dialect:
        case "openai.chat":
            return {"type": "function", "function": function}
        case "openai.responses":
            return {"type": "function", **function}
        case "anthropic.messages":
            return {"name": name, "description": description, "input_schema": parameters}
        case "gemini.generate":
            declared = {"name": name, "description": description, "parametersJsonSchema": parameters}
            return {"functionDeclarations": [declared]}
        case "bedrock.converse":
            spec = {"name": name, "description": description, "inputSchema": {"json": parameters}}
            return {"toolSpec": spec}
    raise ConfigurationError(f"no tools in dialect {dialect!r}; there are: {', '.join(EDITABLE)}")


def names(conversation: Conversation) -> Iterator[str]:
    """Names of the tools that a request defines, without taking their definitions apart."""
    for message in conversation.messages:
        if message.role == "tools":
            yield from _names(message.value)


def _names(tool: Json) -> Iterator[str]:
    if not isinstance(tool, dict):
        return
    for one in (tool, tool.get("function"), tool.get("toolSpec")):
        if isinstance(one, dict) and isinstance(one.get("name"), str):
            yield one["name"]
    declared = tool.get("functionDeclarations") or tool.get("function_declarations")
    if isinstance(declared, list | tuple):
        for one in declared:
            yield from _names(one)

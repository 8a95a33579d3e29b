"""``bedrock.converse``: Converse and ConverseStream of Amazon Bedrock, as wire JSON or as boto3's own dicts.

Cache order is tools, system, messages. A marker is a ``cachePoint`` block of its own, in any of the three. boto3 keeps
``modelId`` beside the body and holds media as bytes; on the wire the model stands in the URL and media are base64.
Source: botocore 1.44.5 (bedrock-runtime), AWS prompt caching (2026-09), recorded exchanges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.dialects.bedrock.converse_blocks import read_message, read_system, read_tool
from ctxkit.dialects.bedrock.converse_usage import ConverseStream, read_answer
from ctxkit.dialects.blocks import listed, mapped, request, said, steps, turns, whole
from ctxkit.dialects.edits import apply
from ctxkit.errors import ProviderShapeError
from ctxkit.model import Conversation, Message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctxkit.dialects.base import AnswerStream
    from ctxkit.model import Answer, Json

__all__ = ["answer", "apply", "editable", "identity", "name", "stream", "view"]

name = "bedrock.converse"
editable = True

_MARKER = "cachePoint"
# A request may consist of a stored prompt (its id stands where the model's does) and the values for it.
_WITHOUT_MESSAGES = frozenset({"modelId", "promptVariables", "system", "inferenceConfig", "toolConfig"})


def view(body: Json) -> Conversation:
    """A read-only look at ``body`` in cache order: tools, system, messages.

    Raises:
        ProviderShapeError: the body is no object, has nothing of a Converse request, ``messages`` is no list, or one
            of them is no object.
    """
    body = request(body, name)
    seen = {"modelId", "messages"}
    found: list[Message] = []
    options: dict[str, Json] = {}
    tools = body.get("toolConfig")
    if isinstance(tools, dict) and listed(tools.get("tools")):
        seen.add("toolConfig")
        found += steps(tools["tools"], "tools", ("toolConfig", "tools"), read_tool)
        if len(tools) > 1:
            options["toolConfig"] = {key: value for key, value in tools.items() if key != "tools"}
    if listed(body.get("system")):
        seen.add("system")
        found += steps(body["system"], "system", ("system",), read_system)
    found += _messages(body)
    model = body.get("modelId")
    limits = mapped(body.get("inferenceConfig"))
    return Conversation(
        dialect=name,
        model=model if isinstance(model, str) else "",
        messages=tuple(found),
        options={key: value for key, value in body.items() if key not in seen} | options,
        max_output=whole(limits.get("maxTokens")),
        tier=said(mapped(body.get("serviceTier")).get("type")) or None,
    )


def _messages(body: dict[str, Json]) -> list[Message]:
    if "messages" in body:
        return turns(body["messages"], ("messages",), read_message, name)
    if _WITHOUT_MESSAGES.isdisjoint(body):
        raise ProviderShapeError(f"{name}: neither messages nor a stored prompt")
    return []


def identity(value: Json) -> Json:
    """``value`` without ``cachePoint`` blocks; the same object when there is none.

    A tool or system block that is nothing but a marker has the identity ``{}``: it adds nothing to what the model
    reads, and is to be left out of a chain of prefixes.
    """
    if not isinstance(value, dict):
        return value
    content = value.get("content")
    if _holds_marker(content):
        value = {**value, "content": _bare(content)}
    if _MARKER in value:
        value = {key: item for key, item in value.items() if key != _MARKER}
    return value


def _holds_marker(content: Json) -> bool:
    if isinstance(content, list | tuple):
        for block in content:
            if isinstance(block, dict) and _MARKER in block:
                return True
    return False


def _bare(content: Json) -> list[Json]:
    """A list of blocks without markers; what stands beside a marker in one block stays (Nova's own form)."""
    bare = []
    for block in content:
        if not isinstance(block, dict) or _MARKER not in block:
            bare.append(block)
        elif len(block) > 1:
            bare.append({key: item for key, item in block.items() if key != _MARKER})
    return bare


def answer(response: Mapping[str, Json], platform: str) -> Answer:  # noqa: ARG001 -- one rule for all platforms
    """Read a whole answer; see ``converse_usage`` for the rules."""
    return read_answer(response)


def stream(platform: str, *, hide_usage: bool = False) -> AnswerStream:  # noqa: ARG001 -- usage is always sent
    """Begin to read a streamed answer, which ends with the ``metadata`` event.

    ``feed`` takes the JSON of ``{event_type: payload}``; ``see`` takes that object itself, as botocore hands it out.
    """
    return ConverseStream()

"""What is counted of a message and of a request, before any family gives it a weight.

Everything here is the same for all families: texts to be weighed by kind of text, and named counts of what frames
them. A family's row of the calibration table is then a linear sum over these, so that one reading of a message
serves the fit and the counter alike.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ctxkit.model import Conversation, Json, Message, Part

__all__ = ["Frame", "Traits", "compact", "format_traits", "frame_of", "is_hosted", "traits_of"]

_MEDIA = frozenset({"image", "audio", "video", "document"})
_TEXTS = {"text": "", "tool_call": "call", "tool_result": "result"}


class Traits(NamedTuple):
    """What one message consists of.

    Attributes:
        counts: named counts of what frames the text: ``"user"``, ``"call"``, ``"tool"``, ``"param"``, ...
        texts: what the model reads, each with the name under which its tokens are counted besides (``""``: none).
        reasoning: thoughts of the model, which some families drop once a new turn has begun.
        tagged: the same, written into the answer itself (``<think>...</think>``).
        signature: characters of signatures and encrypted thoughts, for which some families bill the thoughts.
        media: parts whose tokens do not come from text.
        turn: the message opens a turn of the user (it is more than results of tools).
    """

    counts: Counter[str]
    texts: list[tuple[str, str]]
    reasoning: list[str]
    tagged: list[str]
    signature: list[int]
    media: list[Part]
    turn: bool


def traits_of(message: Message) -> Traits:
    """Take ``message`` apart."""
    counts: Counter[str] = Counter()
    traits = Traits(counts, [], [], [], [], [], turn=False)
    role = _ROLES.get(message.role, "assistant")
    if role != "tools":
        counts[role] += 1
    turn = False
    for part in message.parts:
        turn = turn or part.kind in _OPENING
        _READERS.get(part.kind, _other)(part, role, traits)
    return traits._replace(turn=turn and role == "user")


_OPENING = frozenset({"text", "image", "audio", "video", "document"})
_ROLES = {
    "tools": "tools",
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "model": "assistant",
    "tool": "toolrole",
    "function": "toolrole",
    "ipython": "toolrole",
}


def _text(part: Part, role: str, traits: Traits) -> None:
    text = part.text
    if role == "assistant" and "</think>" in text:
        thought, _, text = text.rpartition("</think>")
        traits.tagged.append(thought)
    traits.counts["text"] += 1
    traits.texts.append((_TEXTS[part.kind], text))


def _call(part: Part, _: str, traits: Traits) -> None:
    counts = traits.counts
    counts["call"] += 1
    traits.texts.append(("call.name", part.name or ""))
    traits.texts.append(("call.text", part.text))
    _signature(part, traits)


def _result(part: Part, _: str, traits: Traits) -> None:
    counts = traits.counts
    counts["result"] += 1
    traits.texts.append(("result.text", part.text))


def _reasoning(part: Part, _: str, traits: Traits) -> None:
    if part.text and part.text not in traits.reasoning:  # some clients send the same thought under two names
        traits.reasoning.append(part.text)
    _signature(part, traits)


_PLACEHOLDER = 64
"""Signatures up to this length stand for none (``skip_thought_signature_validator`` in base64 has 44 characters)."""
_SIGNATURES = ("thoughtSignature", "thought_signature", "signature", "encrypted_content")


def _signature(part: Part, traits: Traits) -> None:
    if not part.signed or not isinstance(part.value, Mapping):
        return
    found = (part.value.get(key) for key in _SIGNATURES)
    length = sum(len(value) for value in found if isinstance(value, str | bytes))
    if length > _PLACEHOLDER:
        traits.signature.append(length)


def _media(part: Part, _: str, traits: Traits) -> None:
    if _dig(part.value, "citations", "enabled") or _dig(part.value, "document", "citations", "enabled"):
        traits.counts["cited"] += 1
    if part.text:
        traits.texts.append(("document.text", part.text))
    else:
        traits.media.append(part)


def _other(part: Part, _: str, traits: Traits) -> None:
    if isinstance(part.value, Mapping | list | tuple):  # a lone field, such as an index, is not read by the model
        traits.counts["other"] += 1
        traits.texts.append(("other.text", part.text or compact(part.value)))


def _marker(_: Part, __: str, ___: Traits) -> None:
    """Cache markers are not read by the model."""


def compact(value: Json) -> str:
    """``value`` as JSON text without blanks; what cannot be written so (bytes, loops) becomes its type's name."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_named)
    except (RecursionError, ValueError, TypeError):
        return ""


def _named(value: object) -> str:
    return f"<{type(value).__name__}>"


# ---------------------------------------------------------------------------------------------------- tools


def _tool(part: Part, _: str, traits: Traits) -> None:
    for function in _functions(part.value):
        name, description, schema = _declared(function)
        if name is None:
            traits.counts["tool.server"] += 1
            traits.texts.append(("server.text", compact(function)))
            continue
        traits.counts["tool"] += 1
        traits.texts.append(("tool.name", name))
        if description:
            traits.counts["tool.described"] += 1
            traits.texts.append(("tool.text", description))
        if function.get("input_examples"):
            traits.texts.append(("tool.examples", compact(function["input_examples"])))
        _schema(schema, "param", traits)


def _functions(tool: Json) -> Iterator[Mapping[str, Any]]:
    """The functions that one tool of any dialect declares; Gemini puts several into one."""
    if not isinstance(tool, Mapping):
        return
    for key in ("functionDeclarations", "function_declarations"):
        declared = tool.get(key)
        if isinstance(declared, list | tuple):
            yield from (one for one in declared if isinstance(one, Mapping))
            return
    for key in ("function", "toolSpec"):
        if isinstance(tool.get(key), Mapping):
            yield tool[key]
            return
    yield tool


def is_hosted(tool: Json) -> bool:
    """Whether a tool definition names a tool that the provider runs itself."""
    return any(_declared(function)[0] is None for function in _functions(tool))


_SCHEMAS = ("parameters", "input_schema", "inputSchema", "parametersJsonSchema", "parameters_json_schema")


def _declared(function: Mapping[str, Any]) -> tuple[str | None, str, Json]:
    """Name, description and schema; no name for a tool that the provider itself runs."""
    name = function.get("name")
    schema = next((function[key] for key in _SCHEMAS if function.get(key) is not None), None)
    if isinstance(schema, Mapping) and isinstance(schema.get("json"), Mapping | str):
        schema = schema["json"]
    if isinstance(schema, str):
        schema = _parsed(schema)
    kind = function.get("type", "function")
    if not isinstance(name, str) or (schema is None and kind not in ("function", "custom", None)):
        return None, "", None
    description = function.get("description")
    return name, description if isinstance(description, str) else "", schema


def _parsed(text: str) -> Json:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _schema(schema: Json, prefix: str, traits: Traits) -> None:
    """Count what a JSON schema declares. Iterative: a schema may be as deep as it likes."""
    counts = traits.counts
    names: list[str] = []
    words: list[str] = []
    titles: list[str] = []
    stack: list[Json] = [schema]
    while stack:
        node = stack.pop()
        if isinstance(node, list | tuple):
            stack.extend(node)
        elif isinstance(node, Mapping):
            _node(node, prefix, counts, names, words, titles, stack)
    traits.texts.append((f"{prefix}.names", "\n".join(names)))
    traits.texts.append((f"{prefix}.text", "\n".join(words)))
    traits.texts.append((f"{prefix}.titles", "\n".join(titles)))


def _node(
    node: Mapping[str, Any],
    prefix: str,
    counts: Counter[str],
    names: list[str],
    words: list[str],
    titles: list[str],
    stack: list[Json],
) -> None:
    for key, value in node.items():
        if key in ("properties", "$defs", "definitions") and isinstance(value, Mapping):
            counts[prefix if key == "properties" else f"{prefix}.definition"] += len(value)
            counts[f"{prefix}.object"] += 1
            names.extend(map(str, value))
            stack.extend(value.values())
        elif key == "description" and isinstance(value, str):
            counts[f"{prefix}.described"] += 1
            words.append(value)
        elif key == "title" and isinstance(value, str):
            counts[f"{prefix}.title"] += 1
            titles.append(value)
        elif key == "required" and isinstance(value, list):
            counts[f"{prefix}.required"] += len(value)
        elif key == "enum" and isinstance(value, list):
            counts[f"{prefix}.choice"] += len(value)
            words.extend(str(one) for one in value if not isinstance(one, list | Mapping))
        elif isinstance(value, Mapping | list | tuple):
            counts[f"{prefix}.nested"] += 1
            stack.append(value)
        elif key != "type":
            counts[f"{prefix}.other"] += 1


_READERS = {
    "text": _text,
    "tool": _tool,
    "tool_call": _call,
    "tool_result": _result,
    "reasoning": _reasoning,
    "marker": _marker,
    "other": _other,
    **dict.fromkeys(_MEDIA, _media),
}


# ---------------------------------------------------------------------------------------------------- the request


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


def _dig(value: Json, *keys: str) -> Json:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _tools_flag(options: Mapping[str, Json]) -> str:
    """How tools may be used, in as far as it changes what the provider says of them."""
    choice = _choice(options)
    if choice == "none":
        return "tools.none"
    single = options.get("parallel_tool_calls") is False or _dig(options, "tool_choice", "disable_parallel_tool_use")
    return ("tools" if choice in ("", "auto") else "tools.forced") + (".single" if single else "")


def _choice(options: Mapping[str, Json]) -> str:
    """``"none"``, ``"auto"``, ``""`` when nothing is said, else what forces a call: ``"any"``, ``"tool"``, ..."""
    choice = options.get("tool_choice")
    if choice is None:
        choice = _dig(options, "toolConfig", "toolChoice")
    if isinstance(choice, Mapping):
        choice = choice.get("type") or next(iter(choice), None)
    if choice is None:
        config = options.get("toolConfig") or options.get("tool_config")
        calling = _dig(config, "functionCallingConfig") or _dig(config, "function_calling_config")
        choice = _dig(calling, "mode")
    choice = str(choice or "").lower()
    return "auto" if choice in ("validated", "mode_unspecified") else choice


def _thinking(options: Mapping[str, Json]) -> str:
    """Whether thinking was asked for, refused, or not spoken of."""
    thinking = options.get("thinking") or _dig(options, "additionalModelRequestFields", "thinking")
    kind = _dig(thinking, "type")
    effort = options.get("reasoning_effort") or _dig(options, "reasoning", "effort")
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
        or _dig(options, "output_config", "format")
        or _dig(options, "text", "format")
        or _dig(options, "outputConfig", "textFormat", "structure")
    )
    schema = _dig(wanted, "json_schema", "schema") or _dig(wanted, "schema") or _dig(wanted, "json_schema")
    schema = schema or _dig(wanted, "jsonSchema", "schema")
    config = options.get("generationConfig") or options.get("generation_config") or {}
    for key in _GEMINI_FORMATS:
        schema = schema or _dig(config, key)
    kind = _dig(wanted, "type")
    mime = _dig(config, "responseMimeType") or _dig(config, "response_mime_type")
    if isinstance(schema, str):
        schema = _parsed(schema)
    return schema, kind in ("json_object", "json") or mime == "application/json"


def format_traits(schema: Json) -> Traits:
    """The traits of a schema that the answer must follow."""
    traits = Traits(Counter(), [], [], [], [], [], turn=False)
    _schema(schema, "format", traits)
    return traits

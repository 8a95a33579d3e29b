"""What is counted of a message and of a request, before any family gives it a weight.

Everything here is the same for all families: texts to be weighed by kind of text, and named counts of what frames
them. A family's row of the calibration table is then a linear sum over these, so that one reading of a message
serves the fit and the counter alike.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ctxkit.metering.openai_schema import function_type

if TYPE_CHECKING:
    from ctxkit.model import Json, Message, Part

__all__ = ["Traits", "compact", "dig", "format_traits", "is_hosted", "parsed", "traits_of"]

_MEDIA = frozenset({"image", "audio", "video", "document"})


class Traits(NamedTuple):
    """What one message consists of.

    Attributes:
        counts: named counts of what frames the text: ``"user"``, ``"call"``, ``"tool"``, ``"param"``, ...
        texts: what the model reads, each with the name under which its tokens are counted besides (``""``: none).
        reasoning: thoughts of the model, which some families drop once a new turn has begun.
        tagged: the same, written into the answer itself (``<think>...</think>``).
        signature: characters of signatures and encrypted thoughts, for which some families bill the thoughts.
        media: parts whose tokens do not come from text.
        tools: functions that may be called, as their definitions declare them.
        turn: the message opens a turn of the user (it is more than results of tools).
    """

    counts: Counter[str]
    texts: list[tuple[str, str]]
    reasoning: list[str]
    tagged: list[str]
    signature: list[int]
    media: list[Part]
    tools: list[Mapping[str, Any]]
    turn: bool


def traits_of(message: Message, writing: str = "json") -> Traits:
    """Take ``message`` apart.

    Args:
        message: which.
        writing: how its family writes tools into the prompt, as ``ctxkit.metering.families.writing_of`` says.
    """
    counts: Counter[str] = Counter()
    traits = Traits(counts, [], [], [], [], [], [], turn=False)
    role = _ROLES.get(message.role, "assistant")
    if role != "tools":
        counts[role] += 1
    turn = False
    for part in message.parts:
        turn = turn or part.kind in _OPENING
        _READERS.get(part.kind, _other)(part, role, traits)
    for function in traits.tools:
        _WRITERS[writing](function, traits)
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
    traits.texts.append(("", text))


def _call(part: Part, _: str, traits: Traits) -> None:
    counts = traits.counts
    counts["call"] += 1
    arguments = parsed(part.text)
    if isinstance(arguments, Mapping):
        counts["call.argument"] += len(arguments)
    traits.texts.append(("call.name", part.name or ""))
    traits.texts.append(("call.text", part.text))
    traits.texts.append(("id.text", part.pair or ""))
    _signature(part, traits)


def _result(part: Part, _: str, traits: Traits) -> None:
    counts = traits.counts
    counts["result"] += 1
    traits.texts.append(("result.text", part.text))
    traits.texts.append(("id.text", part.pair or ""))


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
    if dig(part.value, "citations", "enabled") or dig(part.value, "document", "citations", "enabled"):
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


def dig(value: Json, *keys: str) -> Json:
    """What stands under ``keys`` in nested objects; ``None`` where the way ends."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def compact(value: Json) -> str:
    """``value`` as JSON text without blanks; what cannot be written so (bytes, loops) becomes its type's name."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_named)
    except (RecursionError, ValueError, TypeError):
        return ""


def spaced(value: Json) -> str:
    """The same as :func:`compact` with blanks after commas and colons, as most templates write it."""
    try:
        return json.dumps(value, ensure_ascii=False, default=_named)
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
        traits.tools.append({"name": name, "description": description, "parameters": schema})
        if function.get("input_examples"):
            traits.texts.append(("tool.examples", compact(function["input_examples"])))


def _as_json(function: Mapping[str, Any], traits: Traits) -> None:
    traits.texts.append(("tool.json", spaced(function)))


def _as_types(function: Mapping[str, Any], traits: Traits) -> None:
    traits.texts.append(("tool.types", function_type(function)))


def _as_parts(function: Mapping[str, Any], traits: Traits) -> None:
    traits.texts.append(("tool.name", function["name"]))
    if function["description"]:
        traits.counts["tool.described"] += 1
        traits.texts.append(("tool.text", function["description"]))
    _schema(function["parameters"], "param", traits)


_WRITERS = {"json": _as_json, "types": _as_types, "parts": _as_parts}


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
        schema = parsed(schema)
    kind = function.get("type", "function")
    if not isinstance(name, str) or (schema is None and kind not in ("function", "custom", None)):
        return None, "", None
    description = function.get("description")
    return name, description if isinstance(description, str) else "", schema


def parsed(text: str) -> Json:
    """``text`` read as JSON; ``None`` when it is none."""
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
            if key == "additionalProperties":
                continue
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


def format_traits(schema: Json, writing: str = "json") -> Traits:
    """The traits of a schema that the answer must follow."""
    traits = Traits(Counter(), [], [], [], [], [], [], turn=False)
    if writing == "parts":
        _schema(schema, "format", traits)
    else:
        traits.texts.append(("format.json", spaced(schema)))
    return traits

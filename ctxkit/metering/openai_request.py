"""What a request to an OpenAI model adds to its messages: tools, the choice among them, the schema of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.metering.openai_framing import hosted_tokens, short_tokens
from ctxkit.metering.openai_schema import answer_schema, function_type, plain_function_type
from ctxkit.metering.tokens import text_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctxkit.metering.openai_framing import Injection, Reader
    from ctxkit.model import Conversation, Json, Message, Part

__all__ = ["answer_format", "frame_tokens", "schema_tokens", "tool_tokens", "type_of"]

_TOOLS_HEAD = "# Tools\n\n## functions\n\nnamespace functions {\n\n"
_TOOLS_END = ";\n\n} // namespace functions"
_BETWEEN = ";\n\n"


def tool_tokens(part: Part, reader: Reader) -> tuple[int, int]:
    """One definition, with what parts it from the one before it, and how far that may be off."""
    function = _function(part.value)
    if function is not None:
        write = plain_function_type if reader.framing.plain_types else function_type
        undescribed = 0 if function.get("description") else reader.framing.undescribed
        return text_tokens(_BETWEEN + write(function), reader.encoding) + undescribed, 0
    kind = type_of(part.value)
    if kind == "custom":
        return text_tokens(part.text, reader.encoding) + 10, 20
    return hosted_tokens(kind, reader.framing)


def _function(tool: Json) -> Mapping[str, Json] | None:
    """The function of a definition; ``None`` for a tool of another type."""
    if not isinstance(tool, dict):
        return None
    inner = tool.get("function", tool)
    return inner if isinstance(inner, dict) and "name" in inner and type_of(tool) in ("function", "") else None


def schema_tokens(name: str, description: str, schema: Json, reader: Reader) -> int:
    """The schema of the answer as it is written into the prompt, without what frames it."""
    note = f"// {description}\n" if description else ""
    return text_tokens(f"# Response Formats\n\n## {name}\n\n{note}{answer_schema(schema)}", reader.encoding)


def frame_tokens(conversation: Conversation, reader: Reader, schema: int | None = None) -> tuple[float, float]:
    """What the request adds to the sum of its messages: tokens, and how far they may be off.

    Args:
        conversation: the request.
        reader: who reads it.
        schema: :func:`schema_tokens` of the schema of the answer, when the caller remembers it.
    """
    chat = conversation.dialect != "openai.responses"
    tokens = reader.framing.reply
    tools = any(message.role == "tools" for message in conversation.messages[:2])  # a prompt template may stand before
    first = next((message for message in conversation.messages if message.role != "tools"), None)
    if tools:
        tokens += _tools_frame(conversation.messages, first, reader, chat=chat)
        tokens += _choice(conversation.options, reader, chat=chat)
    answer = answer_format(conversation.options)
    if answer is not None:
        tokens += _schema_frame(answer, first, reader, schema, chat=chat, tools=tools)
    if not chat:
        tokens += _extra(conversation, reader)
    return tokens, _HISTORY_SLACK if conversation.server_history else 0.0


def _extra(conversation: Conversation, reader: Reader) -> int:
    """What Responses adds for modes of its own; models that are nothing but "pro" add nothing for it."""
    reasoning = conversation.options.get("reasoning")
    pro = isinstance(reasoning, dict) and reasoning.get("mode") == "pro" and "-pro" not in reader.model
    messages = conversation.messages
    compact = bool(messages) and messages[-1].role == "assistant" and type_of(messages[-1].value) in ("", "message")
    return (_PRO if pro else 0) + (_COMPACT if compact else 0)


_PRO = 1520  # gpt-5.6 in "pro" mode: four recordings, 1,514 to 1,531
_COMPACT = 93  # a conversation that ends with the assistant's words is sent to be compacted (13 recordings)
_HISTORY_SLACK = 2000.0


def _tools_frame(messages: Sequence[Message], first: Message | None, reader: Reader, *, chat: bool) -> int:
    """What stands around the definitions of functions; tools of the provider's own bring theirs with them."""
    tools = (message.value for message in messages if message.role == "tools")
    function = next(filter(None, map(_function, tools)), None)
    if function is None:
        return 0
    encoding = reader.encoding
    lead = "//" if function.get("description") else "type"
    opening = short_tokens(_TOOLS_HEAD + lead, encoding) - short_tokens(_BETWEEN + lead, encoding)
    injection = reader.framing.chat_tools if chat else reader.framing.responses_tools
    return opening + short_tokens(_TOOLS_END, encoding) + _placed(injection, first, "# Tools", reader)


def _placed(injection: Injection, first: Message | None, start: str, reader: Reader) -> int:
    """What it costs to put a text into the prompt: appended to a first system message, or alone."""
    if injection.joined is None or first is None or first.role not in ("system", "developer"):
        return injection.alone
    tail = "".join([part.text for part in first.parts if part.kind == "text"])[-_TAIL:].rpartition(" ")[2]
    joint = f"\n\n{start}"
    encoding = reader.encoding
    whole = short_tokens(tail + joint, encoding) - short_tokens(tail, encoding)
    return injection.joined + whole - short_tokens(start, encoding)


_TAIL = 64


def _choice(options: Mapping[str, Json], reader: Reader, *, chat: bool) -> int:
    framing = reader.framing
    choice = options.get("tool_choice", options.get("function_call"))
    serial = 0 if chat or options.get("parallel_tool_calls") is not False else framing.serial
    if choice == "none":
        return serial + (framing.none if chat else 0)
    if choice == "required":
        return serial + framing.required
    name = _forced(choice)
    if name is None or framing.forced is None:
        return serial
    return serial + framing.forced + short_tokens(name, reader.encoding)


def _forced(choice: Json) -> str | None:
    """The function that must be called, if one is named."""
    if not isinstance(choice, dict):
        return None
    inner = choice.get("function", choice)
    name = inner.get("name") if isinstance(inner, dict) else None
    return name if isinstance(name, str) else None


def answer_format(options: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """The schema that the answer must follow, with its name and description."""
    chat = options.get("response_format")
    text = options.get("text")
    found = chat if isinstance(chat, dict) else text.get("format") if isinstance(text, dict) else None
    if not isinstance(found, dict) or found.get("type") != "json_schema":
        return None
    inner = found.get("json_schema", found)
    return inner if isinstance(inner, dict) else None


def _schema_frame(
    answer: Mapping[str, Json],
    first: Message | None,
    reader: Reader,
    schema: int | None,
    *,
    chat: bool,
    tools: bool,
) -> int:
    name = str(answer.get("name") or "")
    if schema is None:
        schema = schema_tokens(name, str(answer.get("description") or ""), answer.get("schema"), reader)
    if chat and tools:
        return schema + reader.framing.chat_schema_with_tools
    injection = reader.framing.chat_schema if chat else reader.framing.responses_schema
    again = short_tokens(name, reader.encoding) if chat and reader.framing.named else 0
    return schema + again + _placed(injection, first, "# Response", reader)


def type_of(value: Json) -> str:
    """The ``type`` of an item, ``""`` where it has none."""
    return str(value.get("type") or "") if isinstance(value, dict) else ""

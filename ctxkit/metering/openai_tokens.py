"""Tokens of requests to OpenAI models, message by message.

The sum of :func:`message_weight` over all messages and of :func:`frame_tokens` is what OpenAI reports as prompt tokens:
equal for text, and nearly always for tools (see ``docs/reference/accuracy.md``). A message weighs the same wherever it is
sent again, so its weight may be remembered by its hash: of its neighbours only those are looked at that its own ids
name (the call that a result answers).

How a model reads calls and results was found with recorded requests, as all of :mod:`ctxkit.metering.openai_framing`:
a single call is a message to ``functions.name``; parallel calls in Chat Completions become one call of
``multi_tool_use.parallel``, and their results one JSON list.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.metering.images import ImageTokens, estimate, openai_tokens
from ctxkit.metering.openai_framing import framing_of, hosted_tokens
from ctxkit.metering.openai_models import base_model, encoding_for
from ctxkit.metering.openai_schema import answer_schema, function_type, plain_function_type
from ctxkit.metering.tokens import text_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctxkit.metering.openai_framing import Framing, Injection
    from ctxkit.model import Conversation, Json, Message, Part

__all__ = ["Reader", "Weight", "frame_tokens", "message_weight", "reader_of", "schema_tokens"]


class Weight(NamedTuple):
    """What one message weighs.

    Attributes:
        tokens: expected tokens when the message belongs to a turn that is over.
        current: what is added while its turn still runs (thoughts that are dropped later).
        turn: it opens a turn of the user.
        slack: how far ``tokens`` may be off because of what cannot be counted (images of unknown size, documents).
    """

    tokens: float
    current: float = 0.0
    turn: bool = False
    slack: float = 0.0


class Reader(NamedTuple):
    """Who reads: the model, by what its counting needs."""

    model: str
    encoding: str
    framing: Framing


def reader_of(model: str, platform: str = "") -> Reader | None:
    """The reader for a model's name; ``None`` for a model that is not OpenAI's."""
    encoding = encoding_for(model, platform)
    return None if encoding is None else Reader(base_model(model, platform), encoding, framing_of(model, platform))


# --- messages --------------------------------------------------------------------------------------------------------


def message_weight(messages: Sequence[Message], index: int, reader: Reader) -> Weight:
    """Weight of ``messages[index]`` for ``reader``.

    Args:
        messages: the whole conversation, in cache order; tool definitions are messages of role ``"tools"``.
        index: which one.
        reader: who reads it.
    """
    message = messages[index]
    parts = message.parts
    if message.role == "tools":
        tools = [_tool_tokens(part, reader) for part in parts]
        return Weight(sum(tokens for tokens, _ in tools), slack=sum(slack for _, slack in tools))
    texts = [part.text for part in parts if part.kind == "text"]
    others = [part for part in parts if part.kind != "text"]
    if not others:
        return Weight(_said(message.role, "".join(texts), reader), turn=message.role == "user")
    return _mixed(messages, index, reader, "".join(texts), others)


def _said(role: str, text: str, reader: Reader, name: str = "") -> int:
    """A message with text: ``role`` (or ``role:name``), the text, and what frames them."""
    tokens = text_tokens(text, reader.encoding)
    framing = reader.framing
    if framing.bare:
        return tokens
    who = _short_tokens(f"{role}:{name}" if name else role, reader.encoding)
    return tokens + who + framing.message + (framing.said if role == "assistant" and text else 0)


@lru_cache(maxsize=4096)
def _short_tokens(text: str, encoding: str) -> int:
    """Tokens of roles, names and other short texts that come again and again."""
    return text_tokens(text, encoding)


def _mixed(messages: Sequence[Message], index: int, reader: Reader, text: str, others: Sequence[Part]) -> Weight:
    """A message with more than text: calls, results, thoughts, media, a name."""
    message = messages[index]
    calls = [part for part in others if part.kind == "tool_call"]
    results = [part for part in others if part.kind == "tool_result"]
    tokens: float = 0
    if text or not (calls or results or all(part.kind in ("reasoning", "tool") for part in others)):
        name = next((part.text for part in others if part.kind == "other" and part.path[-1] == "name"), "")
        tokens += _said(message.role, text, reader, name)
    if calls:
        tokens += _calls_tokens(messages, index, calls, reader)
    for part in results:
        tokens += _result_tokens(messages, index, part, reader)
    current = slack = 0.0
    for part in others:
        if part.kind == "reasoning":
            thought, off = _thought_tokens(part, message)
            current, slack = current + thought, slack + off
        elif part.kind not in ("tool_call", "tool_result"):
            expected, off = _tool_tokens(part, reader) if part.kind == "tool" else _media_tokens(part, reader)
            tokens, slack = tokens + expected, slack + off
    tokens += _LATE_TOOLS if _type(message.value) == "additional_tools" else 0
    return Weight(tokens, current, message.role == "user", slack)


# Tools that are declared in the middle of a conversation bring this with them (16 recordings, 98 to 101).
_LATE_TOOLS = 99


# --- calls and results -----------------------------------------------------------------------------------------------


def _calls_tokens(messages: Sequence[Message], index: int, calls: Sequence[Part], reader: Reader) -> int:
    framing, encoding = reader.framing, reader.encoding
    around = framing.message + 1 + framing.call
    if messages[index].path[0] == "input":
        return sum(_item_call(messages, index, part, reader) for part in calls)
    if len(calls) == 1:
        name = calls[0].name or ""
        said = text_tokens(_compact(calls[0].text), encoding)
        # The result repeats the name: it is counted here, because the result does not carry it.
        return around + _short_tokens(name, encoding) + said + 4 + _short_tokens(f"functions.{name}", encoding)
    uses = ",".join(
        f'{{"recipient_name":"functions.{part.name}","parameters":{_compact(part.text) or "{}"}}}' for part in calls
    )
    # 16: the recipient, and the one message that holds all results.
    return around + text_tokens(f'{{"tool_uses":[{uses}]}}', encoding) + 16


def _item_call(messages: Sequence[Message], index: int, part: Part, reader: Reader) -> int:
    """A call in Responses: never joined with others, arguments as they stand."""
    if _type(part.value) not in ("function_call", "custom_tool_call"):
        return 0  # a call of the provider's own tools
    name = _short_tokens(f"functions.{part.name}", reader.encoding)
    tokens = reader.framing.message + 2 + reader.framing.call + 2 * name + text_tokens(part.text, reader.encoding)
    alone = not any(_is_call(messages, near) for near in (index - 1, index + 1))
    return tokens + (3 if alone and str(part.value.get("id") or "").startswith("fc_") else 0)


def _is_call(messages: Sequence[Message], index: int) -> bool:
    return 0 <= index < len(messages) and _type(messages[index].value) == "function_call"


def _type(value: Json) -> str:
    return str(value.get("type") or "") if isinstance(value, dict) else ""


def _compact(arguments: str) -> str:
    """Arguments as Chat Completions writes them again: JSON without white space; what is no JSON stays."""
    try:
        return json.dumps(json.loads(arguments), separators=(",", ":"), ensure_ascii=False)
    except (ValueError, RecursionError):
        return arguments


def _result_tokens(messages: Sequence[Message], index: int, part: Part, reader: Reader) -> int:
    if messages[index].path[0] == "messages" and _parallel(messages, index, part.pair):
        return text_tokens(f" {_escaped(part.text)},", reader.encoding)
    return text_tokens(part.text, reader.encoding) + reader.framing.message + 1


def _parallel(messages: Sequence[Message], index: int, pair: str | None) -> bool:
    """Whether the result answers one of several calls: the next message of the assistant above knows."""
    for before in range(index - 1, -1, -1):
        message = messages[before]
        if message.role == "assistant":
            pairs = [part.pair for part in message.parts if part.kind == "tool_call"]
            return len(pairs) > 1 and pair in pairs
    return False


def _escaped(text: str) -> str:
    """A result inside the list of results: JSON stays JSON, text becomes a string, both in ASCII."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    return json.dumps(value)


# --- thoughts and media ----------------------------------------------------------------------------------------------

# Sealed thoughts: base64 of what the model wrote, 800 characters more than it, 7 characters to a token (85 recordings,
# median error 4 %). They are read again until the turn is over, then dropped.
_SEAL, _SEALED_CHARACTERS_PER_TOKEN = 800, 7.0
_UNSEEN_THOUGHT = 100.0


def _thought_tokens(part: Part, message: Message) -> tuple[float, float]:
    """What a thought of the running turn weighs, and how far that may be off."""
    if message.path[0] != "input":
        return 0.0, 0.0
    sealed = part.value.get("encrypted_content") if isinstance(part.value, dict) else None
    if not isinstance(sealed, str):
        return _UNSEEN_THOUGHT, _UNSEEN_THOUGHT
    expected = _unsealed(sealed)
    return expected, 10 + expected * 0.15


def _unsealed(sealed: str) -> float:
    return max(0.0, (len(sealed) - _SEAL) / _SEALED_CHARACTERS_PER_TOKEN)


def _media_tokens(part: Part, reader: Reader) -> tuple[float, float]:
    if part.kind == "image":
        image = _image_tokens(part.value, reader.model)
        return image.tokens, max(image.tokens - image.low, image.high - image.tokens) / 2
    if part.kind == "other":
        return _other_tokens(part)
    expected = _audio_tokens(part.value) if part.kind == "audio" else _DOCUMENT
    return expected, expected


_DOCUMENT = 500.0  # pages are read as text and as images: 7 to 8,425 tokens were recorded
_AUDIO = 40.0


def _other_tokens(part: Part) -> tuple[float, float]:
    """A compacted history weighs what it hides; other unknown fields weigh nothing as far as was seen."""
    sealed = part.value.get("encrypted_content") if isinstance(part.value, dict) else None
    if not isinstance(sealed, str):
        return 0.0, 0.0
    return _unsealed(sealed), 10 + _unsealed(sealed) * 0.15


def _audio_tokens(value: Json) -> float:
    """Ten tokens a second (OpenAI, audio guide); how long it is is guessed from the length of the data."""
    inner = value.get("input_audio") if isinstance(value, dict) else None
    data = inner.get("data") if isinstance(inner, dict) else None
    if not isinstance(data, str) or not isinstance(inner, dict):
        return _AUDIO
    elided = re.match(r"__elided:(\d{1,9}):", data)
    length = int(elided.group(1)) if elided else len(data)
    return max(5.0, length * 0.75 / (4000 if inner.get("format") == "wav" else 1300))


def _image_tokens(value: Json, model: str) -> ImageTokens:
    inner = value.get("image_url", value) if isinstance(value, dict) else value
    holder = inner if isinstance(inner, dict) else value if isinstance(value, dict) else {}
    url = inner.get("url") if isinstance(inner, dict) else inner
    detail = holder.get("detail")
    return estimate(
        url if isinstance(url, str | bytes) else None,
        lambda size: openai_tokens(model, size, detail if isinstance(detail, str) else "auto"),
    )


# --- what the request adds -------------------------------------------------------------------------------------------

_TOOLS_HEAD = "# Tools\n\n## functions\n\nnamespace functions {\n\n"
_TOOLS_END = ";\n\n} // namespace functions"
_BETWEEN = ";\n\n"


def _tool_tokens(part: Part, reader: Reader) -> tuple[int, int]:
    """One definition, with what parts it from the one before it, and how far that may be off."""
    function = _function(part.value)
    if function is not None:
        write = plain_function_type if reader.framing.plain_types else function_type
        undescribed = 0 if function.get("description") else reader.framing.undescribed
        return text_tokens(_BETWEEN + write(function), reader.encoding) + undescribed, 0
    kind = _type(part.value)
    if kind == "custom":
        return text_tokens(part.text, reader.encoding) + 10, 20
    return hosted_tokens(kind, reader.framing)


def _function(tool: Json) -> Mapping[str, Json] | None:
    """The function of a definition; ``None`` for a tool of another type."""
    if not isinstance(tool, dict):
        return None
    inner = tool.get("function", tool)
    return inner if isinstance(inner, dict) and "name" in inner and _type(tool) in ("function", "") else None


def schema_tokens(name: str, description: str, schema: Json, reader: Reader) -> int:
    """The schema of the answer, as it is written into the prompt, without what frames it."""
    return text_tokens(_schema_text(name, description, schema), reader.encoding)


def _schema_text(name: str, description: str, schema: Json) -> str:
    note = f"// {description}\n" if description else ""
    return f"# Response Formats\n\n## {name}\n\n{note}{answer_schema(schema)}"


def frame_tokens(conversation: Conversation, reader: Reader, schema: int | None = None) -> tuple[float, float]:
    """What the request adds to the sum of its messages: tokens, and how far they may be off.

    Args:
        conversation: the request.
        reader: who reads it.
        schema: :func:`schema_tokens` of the answer's schema when the caller remembers it.
    """
    chat = conversation.dialect != "openai.responses"
    tokens = reader.framing.reply
    tools = any(message.role == "tools" for message in conversation.messages[:2])  # a prompt template may stand before
    first = next((message for message in conversation.messages if message.role != "tools"), None)
    if tools:
        tokens += _tools_frame(conversation.messages, first, reader, chat=chat)
        tokens += _choice(conversation.options, reader, chat=chat)
    answer = _format(conversation.options)
    if answer is not None:
        tokens += _schema_frame(answer, first, reader, schema, chat=chat, tools=tools)
    if not chat:
        tokens += _extra(conversation)
    return tokens, _HISTORY_SLACK if conversation.server_history else 0.0


def _extra(conversation: Conversation) -> int:
    """What Responses adds for modes of its own."""
    reasoning = conversation.options.get("reasoning")
    pro = isinstance(reasoning, dict) and reasoning.get("mode") == "pro"
    messages = conversation.messages
    compact = bool(messages) and messages[-1].role == "assistant" and _type(messages[-1].value) in ("", "message")
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
    opening = _short_tokens(_TOOLS_HEAD + lead, encoding) - _short_tokens(_BETWEEN + lead, encoding)
    injection = reader.framing.chat_tools if chat else reader.framing.responses_tools
    return opening + _short_tokens(_TOOLS_END, encoding) + _placed(injection, first, "# Tools", reader)


def _placed(injection: Injection, first: Message | None, start: str, reader: Reader) -> int:
    """What it costs to put a text into the prompt: appended to a first system message, or alone."""
    if injection.joined is None or first is None or first.role not in ("system", "developer"):
        return injection.alone
    tail = "".join([part.text for part in first.parts if part.kind == "text"])[-_TAIL:].rpartition(" ")[2]
    joint = f"\n\n{start}"
    encoding = reader.encoding
    whole = _short_tokens(tail + joint, encoding) - _short_tokens(tail, encoding)
    return injection.joined + whole - _short_tokens(start, encoding)


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
    return serial + framing.forced + _short_tokens(name, reader.encoding)


def _forced(choice: Json) -> str | None:
    """The function that must be called, if one is named."""
    if not isinstance(choice, dict):
        return None
    inner = choice.get("function", choice)
    name = inner.get("name") if isinstance(inner, dict) else None
    return name if isinstance(name, str) else None


def _format(options: Mapping[str, Json]) -> Mapping[str, Json] | None:
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
    again = _short_tokens(name, reader.encoding) if chat and reader.framing.named else 0
    return schema + again + _placed(injection, first, "# Response", reader)

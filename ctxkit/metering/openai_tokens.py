"""Tokens of requests to OpenAI models, message by message.

The sum of :func:`message_weight` over all messages and of :func:`frame_tokens` is what OpenAI reports as prompt tokens:
equal for text, and nearly always for tools (see ``docs/reference/accuracy.md``). A message weighs the same wherever it is
sent again, so its weight may be remembered by its hash: only a result looks at what stands directly before it (the calls
that it and its like answer), and a call of Responses at the calls beside it, which came in one answer.

How a model reads calls and results was found with recorded requests, as all of :mod:`ctxkit.metering.openai_framing`:
a single call is a message to ``functions.name``; parallel calls in Chat Completions become one call of
``multi_tool_use.parallel``, and their results one JSON list.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ctxkit.metering.openai_framing import Reader, reader_of, short_tokens
from ctxkit.metering.openai_media import media_tokens, thought_tokens
from ctxkit.metering.openai_request import frame_tokens, schema_tokens, tool_tokens, type_of
from ctxkit.metering.tokens import text_tokens
from ctxkit.metering.weight import Weight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctxkit.model import Message, Part

__all__ = ["Reader", "frame_tokens", "message_weight", "reader_of", "schema_tokens"]


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
        tools = [tool_tokens(part, reader) for part in parts]
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
    who = short_tokens(f"{role}:{name}" if name else role, reader.encoding)
    return tokens + who + framing.message + (framing.said if role == "assistant" and text else 0)


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
            thought, off = thought_tokens(part, message)
            current, slack = current + thought, slack + off
        elif part.kind not in ("tool_call", "tool_result"):
            expected, off = tool_tokens(part, reader) if part.kind == "tool" else media_tokens(part, reader)
            tokens, slack = tokens + expected, slack + off
    tokens += _LATE_TOOLS if type_of(message.value) == "additional_tools" else 0
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
        return around + short_tokens(name, encoding) + said + 4 + short_tokens(f"functions.{name}", encoding)
    uses = ",".join(
        f'{{"recipient_name":"functions.{part.name}","parameters":{_compact(part.text) or "{}"}}}' for part in calls
    )
    # 16: the recipient, and the one message that holds all results.
    return around + text_tokens(f'{{"tool_uses":[{uses}]}}', encoding) + 16


def _item_call(messages: Sequence[Message], index: int, part: Part, reader: Reader) -> int:
    """A call in Responses: never joined with others, arguments as they stand."""
    if type_of(part.value) not in ("function_call", "custom_tool_call"):
        return 0  # a call of the provider's own tools
    name = short_tokens(f"functions.{part.name}", reader.encoding)
    tokens = reader.framing.message + 2 + reader.framing.call + 2 * name + text_tokens(part.text, reader.encoding)
    alone = not any(_is_call(messages, near) for near in (index - 1, index + 1))
    return tokens + (3 if alone and str(part.value.get("id") or "").startswith("fc_") else 0)


def _is_call(messages: Sequence[Message], index: int) -> bool:
    return 0 <= index < len(messages) and type_of(messages[index].value) == "function_call"


def _compact(arguments: str) -> str:
    """Arguments as Chat Completions writes them again: JSON without white space; what is no JSON stays."""
    try:
        return json.dumps(json.loads(arguments), separators=(",", ":"), ensure_ascii=False)
    except (ValueError, RecursionError):
        return arguments


def _result_tokens(messages: Sequence[Message], index: int, part: Part, reader: Reader) -> int:
    if messages[index].path[0] == "messages" and _parallel(messages, index):
        return text_tokens(f" {_escaped(part.text)},", reader.encoding)
    return text_tokens(part.text, reader.encoding) + reader.framing.message + 1


def _parallel(messages: Sequence[Message], index: int) -> bool:
    """Whether the result is one of several: another stands before it, or the message above it holds several calls."""
    before = messages[index - 1] if index else None
    if before is None or before.role in ("tool", "function"):
        return before is not None
    return before.role == "assistant" and sum(part.kind == "tool_call" for part in before.parts) > 1


def _escaped(text: str) -> str:
    """A result inside the list of results: JSON stays JSON, text becomes a string, both in ASCII."""
    try:
        return json.dumps(json.loads(text))
    except (ValueError, RecursionError):
        return json.dumps(text)

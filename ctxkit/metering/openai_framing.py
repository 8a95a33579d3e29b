"""What each generation of OpenAI models adds around messages, calls, tools and schemas.

OpenAI documents only the oldest of these figures (cookbook, "How to count tokens with tiktoken"). The rest was found by
comparing recorded requests with the usage reported for them (2023 to August 2026): every figure here is the one that
makes the count equal to the report in nearly all recordings that show it. Where fewer than five recordings
show a figure, the comment says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from ctxkit.metering.openai_models import base_model, encoding_for
from ctxkit.metering.tokens import text_tokens

__all__ = ["Framing", "Injection", "Reader", "framing_of", "hosted_tokens", "reader_of", "short_tokens"]


@dataclass(frozen=True, slots=True)
class Injection:
    """What a text costs that OpenAI writes into the prompt itself (tools, or the schema of the answer).

    Attributes:
        alone: tokens beside the text, when it becomes a message of its own.
        joined: tokens beside the text, when it is appended to the system message that begins the conversation;
            ``None`` where it is never appended.
    """

    alone: int
    joined: int | None = None


@dataclass(frozen=True, slots=True)
class Framing:
    """How one generation of models frames a request.

    Attributes:
        name: of the generation.
        message: tokens around each message, its role and text not included.
        reply: tokens that open the reply, once per request.
        said: added to each message of the assistant with text.
        call: added to each message of the assistant with calls.
        chat_tools: tools in Chat Completions.
        responses_tools: tools in Responses.
        chat_schema: schema of the answer in Chat Completions; its name is written once more where ``named``.
        responses_schema: schema of the answer in Responses.
        named: see ``chat_schema``.
        chat_schema_with_tools: tokens beside the schema in Chat Completions when there are tools too: both share one
            message.
        forced: added, with the name, when ``tool_choice`` names a function; ``None`` where that costs nothing.
        none: added in Chat Completions for ``tool_choice: none``.
        required: added for ``tool_choice: required``.
        undescribed: added for each function without a description.
        serial: added in Responses when ``parallel_tool_calls`` is false and there are tools.
        plain_types: tools are written the older way.
        bare: nothing but the text of the messages is counted.
    """

    name: str
    message: int = 3
    reply: int = 3
    said: int = 0
    call: int = 0
    chat_tools: Injection = Injection(3, -1)
    responses_tools: Injection = Injection(-3)
    chat_schema: Injection = Injection(6, 2)
    responses_schema: Injection = Injection(1)
    named: bool = True
    chat_schema_with_tools: int = 1
    forced: int | None = 7
    none: int = 1
    required: int = 0
    undescribed: int = 0
    serial: int = 0
    plain_types: bool = False
    bare: bool = False


_GPT_4O = Framing("gpt-4o")
_GPT_5 = Framing(
    "gpt-5",
    reply=2,
    said=2,  # the channel of the message
    call=6,
    chat_tools=Injection(85, 84),
    responses_tools=Injection(3),
    chat_schema=Injection(4, 3),
    responses_schema=Injection(0),
    named=False,
    chat_schema_with_tools=0,
    forced=None,
    none=0,
    undescribed=-1,
    serial=78,  # two recordings
)
_O = Framing(
    "o-series",
    reply=2,
    chat_tools=Injection(4, 0),  # two recordings
    responses_tools=Injection(0),  # one recording
    chat_schema=Injection(4, 3),
    responses_schema=Injection(0),
    named=False,
    chat_schema_with_tools=0,
    forced=None,
    none=0,
)
_GPT_4 = Framing("gpt-4", plain_types=True, forced=4, required=3)
_RULES: tuple[tuple[str, Framing], ...] = (
    (r"gpt-5[\w.]*-chat|gpt-5-chat", _GPT_4O),  # one recording of gpt-5-chat-latest
    (r"gpt-[5-9]|codex-|gpt-oss", _GPT_5),  # gpt-6 and later by analogy
    (r"o1-preview", Framing("o1-preview", message=16, reply=14)),
    (r"o1-mini", _GPT_4O),
    (r"o[1-9]", _O),
    (r"gpt-4o(?:-mini)?-search|text-|davinci|babbage|curie|ada|code-", Framing("text", message=0, reply=0, bare=True)),
    (r"gpt-3\.5-turbo-0301", Framing("gpt-3.5-0301", message=4, reply=2, plain_types=True)),
    (r"gpt-(?:3\.5-turbo-(?:16k-)?0613|4(?:-32k)?(?:-0314|-0613|$))", _GPT_4),
)


@lru_cache(maxsize=1024)
def framing_of(model: str, platform: str = "") -> Framing:
    """The framing of an OpenAI model, whatever it is called where it is hosted.

    >>> framing_of("openai/gpt-5-mini").reply, framing_of("gpt-4.1").reply
    (2, 3)
    """
    name = base_model(model, platform)
    return next((framing for pattern, framing in _RULES if re.match(pattern, name)), _GPT_4O)


# Tools of the provider's own, by the start of their type: tokens of the definition for models up to gpt-4.1 and for
# gpt-5, and how much more a request may report, because what such a tool finds is read again and billed as input.
_HOSTED: tuple[tuple[str, int, int, int], ...] = (
    ("web_search", 294, 4430, 12000),
    ("file_search", 200, 200, 2000),
    ("code_interpreter", 139, 660, 1500),
    ("image_generation", 360, 350, 3000),
    ("computer", 484, 484, 1500),
    ("apply_patch", 620, 620, 700),
    ("shell", 237, 237, 1200),
    ("local_shell", 237, 237, 1200),
    ("tool_search", 95, 95, 200),
    ("mcp", 100, 100, 5000),
)


def hosted_tokens(kind: str, framing: Framing) -> tuple[int, int]:
    """Tokens of the definition of a tool that the provider runs, and how far the request may be off because of it."""
    for start, before, since, slack in _HOSTED:
        if kind.startswith(start):
            return (since if framing.said else before), slack
    return 100, 2000


class Reader(NamedTuple):
    """Who reads: the model, by what its counting needs."""

    model: str
    encoding: str
    framing: Framing


def reader_of(model: str, platform: str = "") -> Reader | None:
    """The reader for a model's name; ``None`` for a model that is not OpenAI's."""
    encoding = encoding_for(model, platform)
    return None if encoding is None else Reader(base_model(model, platform), encoding, framing_of(model, platform))


def short_tokens(text: str, encoding: str) -> int:
    """Tokens of roles, names and other short texts that come again and again: the last few thousand are remembered."""
    return _remembered(text, encoding) if len(text) <= _SHORT else text_tokens(text, encoding)


_SHORT = 256
_remembered = lru_cache(maxsize=4096)(text_tokens)

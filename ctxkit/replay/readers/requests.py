"""Request bodies of the wire formats, wrapped or bare, and transcripts: whole conversations, noted once.

A body is a *request*, sent as it stands, when something is wrapped around it, when it carries what only requests carry
(``max_tokens``, ``stream``, ``temperature``, ...), or when the model did not speak last. Else (``{"messages": [...]}``, or a bare
list of messages, that ends with an answer of the model: fine-tuning files, saved chats) it is a *transcript*: each of the
model's answers was a request of its own, whose prompt is all that stands before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.errors import TranscriptError
from ctxkit.replay.readers.bodies import body_of
from ctxkit.replay.readers.grouping import Groups
from ctxkit.replay.readers.growing import Growing, Moment
from ctxkit.replay.readers.values import tell
from ctxkit.replay.recording import Recording, messages_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ctxkit.model import Json
    from ctxkit.replay.readers.bodies import Body, Wanted
    from ctxkit.replay.readers.values import Value

__all__ = ["calls_of", "looks", "made", "read", "transcript"]

_OPENING = ("system", "developer")
_OF_TRANSCRIPTS = frozenset(
    {"messages", "contents", "input", "model", "modelId", "tools", "system", "functions", "instructions", "toolConfig"}
    | {"systemInstruction", "system_instruction"}
)
_OF_REQUESTS = frozenset(
    {
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "temperature",
        "top_p",
        "stream",
        "tool_choice",
        "n",
        "stop",
    }
    | {"thinking", "inferenceConfig", "generationConfig", "generation_config", "response_format", "text", "reasoning"}
    | {"reasoning_effort", "metadata", "stop_sequences", "seed", "store", "user", "anthropic_version", "cache_control"}
    | {"stream_options", "parallel_tool_calls", "service_tier", "prompt_cache_key", "safetySettings", "cachedContent"}
)


def looks(value: Json) -> bool:
    """It is a request, or a transcript, in one of the wire formats."""
    try:
        return body_of(value) is not None
    except ValueError:
        return False


def read(values: Iterator[Value], wanted: Wanted) -> Iterator[Recording]:
    """The conversations of a file of requests and transcripts."""
    groups = Groups(str(wanted.path), "requests")
    for source, value in values:
        try:
            body = body_of(value, wanted.dialect, wanted.platform, wanted.model)
        except ValueError as error:
            tell(TranscriptError(f"{source}: {error}"), wanted.complain)
            continue
        if body is None:
            continue
        if is_transcript(body):
            yield transcript(body, source, wanted)
        else:
            yield from groups.add(body, source)
    yield from groups.rest()


def is_transcript(body: Body) -> bool:
    """It notes a conversation, and is no request; see the head of this module."""
    messages = body.json.get(messages_key(body.dialect))
    if body.wrapped or not isinstance(messages, list) or not messages or not _OF_REQUESTS.isdisjoint(body.json):
        return False
    return made(messages[-1]) and bool(calls_of(messages))


def transcript(body: Body, source: str, wanted: Wanted, format: str = "transcript") -> Recording:  # noqa: A002
    """Every answer of the model with what stood before it."""
    key = messages_key(body.dialect)
    messages = body.json[key]
    rest = {name: value for name, value in body.json.items() if name in _OF_TRANSCRIPTS and name != key}
    moments = [Moment(at, source, rest=rest, model=body.model, answer=messages[at]) for at in calls_of(messages)]
    name = source.rpartition("/")[2]
    return Recording(
        name, str(wanted.path), format, body.dialect, body.platform, Growing(messages, moments, key), body.feature
    )


def calls_of(messages: Sequence[Json]) -> list[int]:
    """Where a model was called: indices of its answers (of a run of items: of the first) behind anything but instructions."""
    return [
        at
        for at, one in enumerate(messages)
        if at and made(one) and not _opening(messages[at - 1]) and not (_item(one) and made(messages[at - 1]))
    ]


def made(message: Json) -> bool:
    """A model made it: a message of its, or an item of an answer."""
    if not isinstance(message, dict):
        return False
    return message.get("role") in ("assistant", "model") or _item(message)


def _item(message: Json) -> bool:
    """An item of OpenAI's responses that the model made and that has no role."""
    kind = message.get("type")
    return "role" not in message and isinstance(kind, str) and (kind.endswith("_call") or kind == "reasoning")


def _opening(message: Json) -> bool:
    return isinstance(message, dict) and message.get("role") in _OPENING

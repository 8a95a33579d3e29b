"""Answers in OpenAI's two shapes, whole and streamed.

A streamed answer is looked at event by event. Until the first content was seen every event is parsed; from then on
only those in whose bytes something stands that settling needs. A JSON key cannot stand inside a JSON string without a
backslash before its closing quote, so looking for ``"usage"`` in the bytes finds no text of the model.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ctxkit.cacheable import Diagnosis
from ctxkit.dialects import wire
from ctxkit.dialects.blocks import listed
from ctxkit.dialects.openai.usage import read_usage, reported_cost
from ctxkit.dialects.usage import at, code, figure, merge, text
from ctxkit.model import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctxkit.model import Json, Usage

__all__ = ["ChatStream", "ResponseStream", "chat_answer", "response_answer"]

_SAID = (
    "content",
    "reasoning",
    "reasoning_content",
    "refusal",
    "tool_calls",
    "function_call",
    "audio",
    "text",
    "images",
)
_ENDS = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")
# Calls of the provider's own tools, by the type of the item that records one.
_CALLS = {
    "file_search_call": "file_search",
    "code_interpreter_call": "code_interpreter",
    "image_generation_call": "image_generation",
}


def chat_answer(response: Mapping[str, Json], platform: str) -> Answer:
    """Read a whole chat completion (or legacy completion, or list of embeddings)."""
    reported = _chat_usage(response)
    model = text(response, "model")
    usage, problems = read_usage(reported, platform, model)
    return Answer(
        usage=usage,
        model=model,
        id=text(response, "id"),
        finish=_finish(response),
        tier=text(response, "service_tier") or text(reported, "service_tier"),
        cost=reported_cost(reported, platform),
        problems=(*problems, *_errors(response)),
    )


def _chat_usage(response: Mapping[str, Json]) -> Json:
    """The usage object; in Groq's streams it stands in ``x_groq``."""
    reported = at(response, "usage")
    return reported if isinstance(reported, dict) else at(response, "x_groq", "usage")


def _choices(response: Mapping[str, Json]) -> list[Json]:
    choices = at(response, "choices")
    return [choice for choice in choices if isinstance(choice, dict)] if listed(choices) else []


def _finish(response: Mapping[str, Json]) -> str | None:
    return next((found for choice in _choices(response) if (found := text(choice, "finish_reason"))), None)


def _errors(response: Mapping[str, Json]) -> tuple[str, ...]:
    """An error inside an answer of status 200, by its code alone: messages may quote the prompt."""
    error = at(response, "error")
    if not error:
        return ()
    found = next((found for key in ("code", "type") if (found := at(error, key))), None)
    word = found if isinstance(found, int) else code(found) or "no code given"
    return (f"the provider reported an error: {word}",)


def _carries(data: bytes, key: bytes) -> bool:
    """``key`` stands in ``data`` with a value other than null."""
    found = data.find(key)
    while found >= 0:
        found += len(key)
        if not data[found : found + 8].lstrip(b" :").startswith(b"null"):
            return True
        found = data.find(key, found)
    return False


def _parsed(data: bytes) -> dict[str, Json]:
    """The event, or ``{}`` for anything that is not an object: a broken event is nobody's fault but the sender's."""
    try:
        event = wire.loads(data)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


class ChatStream:
    """Reads a streamed chat completion (or legacy completion).

    Ends with ``[DONE]``. Some servers (Perplexity, GPUStack) never send it: their answer counts as complete when a
    finish reason and usage were seen.
    """

    __slots__ = ("_errors", "_hide", "_platform", "_seen", "_usage", "content", "done")

    def __init__(self, platform: str, *, hide_usage: bool = False) -> None:
        self._platform = platform
        self._hide = hide_usage
        self._seen: dict[str, str] = {}
        self._usage: Json = None
        self._errors: list[str] = []
        self.content = False
        self.done = False

    def feed(self, data: bytes) -> bool:
        """Look at one event; True for the usage chunk that only we asked for."""
        if data[:6] == b"[DONE]":
            self.done = True
            return False
        if (
            self.content
            and not _carries(data, b'"usage"')
            and not _carries(data, b'"finish_reason"')
            and b'"error"' not in data
        ):
            return False
        return self._take(_parsed(data))

    def _take(self, event: dict[str, Json]) -> bool:
        for key in ("model", "id", "service_tier"):
            if found := text(event, key):
                self._seen[key] = found
        if finish := _finish(event):
            self._seen.setdefault("finish", finish)
        self._errors += _errors(event)
        reported = _chat_usage(event)
        self._usage = merge(self._usage, reported)
        choices = _choices(event)
        self.content = self.content or any(map(_says, choices))
        return self._hide and not choices and isinstance(reported, dict)

    def end(self) -> None:
        """Nothing to do: the protocol says itself when it is over."""

    def answer(self) -> Answer:
        """What was seen so far."""
        usage, problems = read_usage(self._usage, self._platform, self._seen.get("model"))
        ended = self.done or (usage is not None and "finish" in self._seen)
        return Answer(
            usage=usage,
            model=self._seen.get("model"),
            id=self._seen.get("id"),
            finish=self._seen.get("finish"),
            tier=self._seen.get("service_tier") or text(self._usage, "service_tier"),
            cost=reported_cost(self._usage, self._platform),
            complete=ended and not self._errors,
            problems=(*problems, *self._errors),
        )


def _says(choice: Json) -> bool:
    """A choice of a chunk holds content: text, reasoning, a call, audio."""
    if choice.get("text"):
        return True
    delta = choice.get("delta")
    return isinstance(delta, dict) and any(delta.get(key) for key in _SAID)


def response_answer(response: Mapping[str, Json], platform: str) -> Answer:
    """Read a whole response of the Responses API."""
    reported = at(response, "usage")
    model = text(response, "model")
    usage, problems = read_usage(reported, platform, model)
    status = text(response, "status")
    return Answer(
        usage=_with_calls(usage, response),
        model=model,
        id=text(response, "id"),
        finish=text(response, "incomplete_details", "reason") or status or _finish(response),
        tier=text(response, "service_tier"),
        cost=reported_cost(reported, platform),
        complete=status not in ("in_progress", "queued"),
        problems=(*problems, *_errors(response)),
        diagnosis=_diagnosis(at(response, "prompt_cache_diagnostics")),
    )


def _diagnosis(found: Json) -> Diagnosis | None:
    """``prompt_cache_diagnostics`` of a response that was asked to compare itself with another."""
    kind = code(at(found, "type"))
    if kind is None:
        return None
    if kind == "cache_hit":
        return Diagnosis("same", kind)
    if kind != "cache_miss":
        return Diagnosis("unknown", kind)
    missed, reusable = figure(found, "cache_missed_tokens"), figure(found, "comparison_reusable_tokens")
    return Diagnosis("missed", code(at(found, "reason")) or kind, missed, reusable)


def _with_calls(usage: Usage | None, response: Mapping[str, Json]) -> Usage | None:
    """Calls of the provider's tools: as counted in ``tool_usage`` or ``usage``, else by the items of the output."""
    if usage is None:
        return None
    calls: dict[str, int] = {}
    output = at(response, "output")
    for item in output if isinstance(output, list) else ():
        if name := _billed(item):
            calls[name] = calls.get(name, 0) + 1
    if (searches := figure(response, "tool_usage", "web_search", "num_requests")) is not None:
        calls["web_search"] = searches
    calls = {name: count for name, count in {**calls, **usage.calls}.items() if count}
    return replace(usage, calls=calls) if calls else usage


def _billed(item: Json) -> str | None:
    kind = text(item, "type") or ""
    if kind == "web_search_call":  # opening a page or finding in one is not billed
        return "web_search" if text(item, "action", "type") in (None, "search") else None
    return _CALLS.get(kind)


class ResponseStream:
    """Reads a streamed response: ends with ``response.completed``, ``.incomplete`` or ``.failed``."""

    __slots__ = ("_answer", "_errors", "_model", "_platform", "content", "done")

    def __init__(self, platform: str, *, hide_usage: bool = False) -> None:
        del hide_usage  # these streams always carry usage: nothing is ever asked for
        self._platform = platform
        self._model: tuple[str | None, str | None] = (None, None)
        self._answer: Answer | None = None
        self._errors: list[str] = []
        self.content = False
        self.done = False

    def feed(self, data: bytes) -> bool:
        """Look at one event; never hides one."""
        if self.done or data[:6] == b"[DONE]":
            return False
        if self.content and b'"response"' not in data and b'"error"' not in data:
            return False
        event = _parsed(data)
        kind = text(event, "type") or ""
        if kind.endswith(".delta"):
            self.content = self.content or bool(event.get("delta"))
        elif kind in _ENDS:
            self._end(event.get("response"))
        elif isinstance(response := event.get("response"), dict):
            self._model = (text(response, "model") or self._model[0], text(response, "id") or self._model[1])
        elif kind == "error" or "error" in event:
            self._errors += _errors(event if event.get("error") else {"error": event})
        return False

    def _end(self, response: Json) -> None:
        self.done = True
        self._answer = response_answer(response if isinstance(response, dict) else {}, self._platform)

    def end(self) -> None:
        """Nothing to do: the protocol says itself when it is over."""

    def answer(self) -> Answer:
        """What was seen so far: figures come with the last event alone."""
        if self._answer is None:
            return Answer(model=self._model[0], id=self._model[1], complete=False, problems=tuple(self._errors))
        return self._answer

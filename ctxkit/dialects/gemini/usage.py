"""What a Gemini answer says of itself, whole or streamed.

``promptTokenCount`` contains ``cachedContentTokenCount`` and leaves out what the provider's own tools put into the
prompt (``toolUsePromptTokenCount``). Thoughts are billed as output: most models count them beside the candidates, some
inside; the reported total tells which. JSON of protocol buffers drops a 0, so a missing candidates count is
known from the total alone. Nothing is written to a cache by a request: a handle is paid when it is created.

A stream repeats ``usageMetadata`` on every chunk; the last one counts, and keeps what only earlier ones had.
``finishReason`` is no end: figures follow it. The end is the end of the bytes, which only the door sees.

Source: ai.google.dev generate-content and pricing (2026-09-23), google-genai 3.4.0, recorded answers.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ctxkit.dialects.blocks import each
from ctxkit.dialects.usage import at, checks, figure, less, merge, text
from ctxkit.dialects.wire import loads
from ctxkit.model import Answer, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ctxkit.model import Json

__all__ = ["GeminiStream", "read_answer", "read_usage"]

_MODALITIES = {2: "image", 3: "video", 4: "audio", 5: "document"}  # the enum's numbers; some servers send those
_TRAFFIC = {1: "ON_DEMAND", 2: "PROVISIONED_THROUGHPUT"}
_MARKS = (b'"usageMetadata"', b'"finishReason"', b'"groundingMetadata"', b'"error"')
_GENERATION = re.compile(r"gemini-(\d+)")


def read_answer(response: Mapping[str, Json] | list[Json]) -> Answer:
    """Read a whole answer, or the list of chunks that a stream without server-sent events is."""
    chunks = response if isinstance(response, list) else [response]
    seen = GeminiStream()
    for chunk in chunks:
        seen.see(chunk)
    return seen.read(complete=True)


def read_usage(wire: Json) -> tuple[Usage | None, tuple[str, ...]]:
    """Buckets of one ``usageMetadata`` object, and what in it does not add up; no usage when it has no figure."""
    prompt, cached = figure(wire, "promptTokenCount"), _cached(wire)
    whole = None if prompt is None else prompt + (figure(wire, "toolUsePromptTokenCount") or 0)
    output = _output(wire, whole)
    if whole is None and output is None:
        return None, ()
    fresh = less(whole, cached)
    usage = Usage(
        fresh=fresh,
        read=cached,
        written={},
        output=output,
        reasoning=figure(wire, "thoughtsTokenCount"),
        media=_media(wire, {"fresh": fresh, "read": cached, "output": output}),
    )
    return usage, tuple(checks(usage, prompt=whole, total=figure(wire, "totalTokenCount")))


def _cached(wire: Json) -> int | None:
    """Tokens read from a cache. JSON of protocol buffers drops a 0: where the prompt is told, silence says none."""
    if at(wire, "cachedContentTokenCount") is None and figure(wire, "promptTokenCount") is not None:
        return 0
    return figure(wire, "cachedContentTokenCount")


def _output(wire: Json, whole: int | None) -> int | None:
    candidates, thoughts = figure(wire, "candidatesTokenCount"), figure(wire, "thoughtsTokenCount")
    total = figure(wire, "totalTokenCount")
    if candidates is None and thoughts is None:
        return None if total is None or whole is None else less(total, whole)
    if candidates is not None and whole is not None and whole + candidates == total:
        return candidates  # thoughts, if any, are already inside
    return (candidates or 0) + (thoughts or 0)


def _media(wire: Json, buckets: Mapping[str, int | None]) -> dict[str, int]:
    prompt = _modalities(wire, "promptTokensDetails", "toolUsePromptTokensDetails")
    read = _modalities(wire, "cacheTokensDetails")
    fresh = {name: count - read.get(name, 0) for name, count in prompt.items()}
    found = {"fresh": fresh, "read": read, "output": _modalities(wire, "candidatesTokensDetails")}
    return {
        f"{name}.{bucket}": min(count, buckets[bucket] or 0)
        for bucket, counts in found.items()
        for name, count in counts.items()
        if min(count, buckets[bucket] or 0) > 0
    }


def _modalities(wire: Json, *fields: str) -> dict[str, int]:
    """Tokens that are not text, by modality."""
    counts: dict[str, int] = {}
    for field in fields:
        details = at(wire, field)
        for detail in details if isinstance(details, list) else ():
            name, count = _modality(at(detail, "modality")), figure(detail, "tokenCount")
            if name and count:
                counts[name] = counts.get(name, 0) + count
    return counts


def _modality(value: Json) -> str | None:
    if isinstance(value, int):
        return _MODALITIES.get(value)
    name = value.lower() if isinstance(value, str) else "text"
    return None if name in {"text", "modality_unspecified"} else name


def _searches(queries: set[str], model: str | None) -> dict[str, int]:
    """Grounding with Google Search: billed by query from Gemini 3 on, before that by grounded request."""
    if not queries:
        return {}
    generation = _GENERATION.search(model or "")
    by_request = generation is not None and int(generation[1]) < 3
    return {"web_search": 1 if by_request else len(queries)}


class GeminiStream:
    """Reads a streamed answer.

    The protocol has no end of its own: a door calls :meth:`end` when the bytes have ended. ``done`` is True from then
    on, and the answer complete, if every candidate's ``finishReason`` (or a refusal of the prompt) was seen.
    """

    __slots__ = ("_finish", "_head", "_problems", "_queries", "_usage", "content", "done")

    def __init__(self) -> None:
        self._head: dict[str, Json] = {}
        self._usage: Json = None
        self._finish: str | None = None
        self._queries: set[str] = set()
        self._problems: list[str] = []
        self.done = False
        self.content = False

    def feed(self, data: bytes) -> bool:
        """Look at one event's data; none of them is ever to be hidden."""
        if self.content and not any(mark in data for mark in _MARKS):
            return False
        try:
            event = loads(data)
        except ValueError:
            self._problems.append("an event of the stream is not JSON")
            return False
        for chunk in event if isinstance(event, list) else (event,):
            self.see(chunk)
        return False

    def see(self, chunk: Json) -> None:
        """Look at one chunk that was parsed already."""
        if not isinstance(chunk, dict):
            return
        for field in ("modelVersion", "responseId"):
            if chunk.get(field):
                self._head[field] = chunk[field]
        if isinstance(wire := chunk.get("usageMetadata"), dict):
            self._usage = self._merged(wire)
        if "error" in chunk:
            self._problems.append(f"the stream broke off: {text(chunk, 'error', 'status') or 'error'}")
        if "promptFeedback" in chunk:
            self._finish = self._finish or text(chunk, "promptFeedback", "blockReason")
        candidates = chunk.get("candidates")
        for candidate in candidates if isinstance(candidates, list) else ():
            self._candidate(candidate)

    def _merged(self, wire: Json) -> Json:
        """The last figures, with what only earlier ones had; nearly always the last ones have it all."""
        old = self._usage
        if not old or (old.keys() <= wire.keys() and None not in wire.values()):
            return wire
        return merge(old, wire)

    def _candidate(self, candidate: Json) -> None:
        if not isinstance(candidate, dict):
            return
        if "finishReason" in candidate:
            self._finish = self._finish or _reason(candidate["finishReason"])
        if "groundingMetadata" in candidate:
            queries = each(at(candidate, "groundingMetadata", "webSearchQueries"), ())
            self._queries |= {query for _, query in queries if isinstance(query, str) and query}
        if not self.content:
            parts = at(candidate, "content", "parts")
            self.content = any(map(_has_content, parts if isinstance(parts, list) else ()))

    def end(self) -> None:
        """The bytes have ended, in order: without an error and not cut by the reader."""
        self.done = self._finish is not None and not self._problems

    def answer(self) -> Answer:
        """What was seen so far; complete after :meth:`end`, if a finish reason was seen."""
        return self.read(complete=self.done)

    def read(self, *, complete: bool) -> Answer:
        """The answer from what was seen."""
        usage, problems = read_usage(self._usage)
        model = text(self._head, "modelVersion")
        if usage is not None and self._queries:
            usage = replace(usage, calls=_searches(self._queries, model))
        return Answer(
            usage=usage,
            model=model,
            id=text(self._head, "responseId"),
            finish=self._finish,
            tier=_tier(self._usage),
            complete=complete,
            problems=(*self._problems, *problems),
        )


def _tier(wire: Json) -> str | None:
    traffic = at(wire, "trafficType")
    named = _TRAFFIC.get(traffic) if isinstance(traffic, int) else traffic
    return text(wire, "serviceTier") or (named if isinstance(named, str) else None)


def _reason(value: Json) -> str | None:
    """A finish reason by name, or by the number of the enumeration (``enum-encoding=int``); 0 is none."""
    return str(value) if value and isinstance(value, str | int) else None


def _has_content(part: Json) -> bool:
    if not isinstance(part, dict):
        return False
    kinds: Iterable[str] = ("text", "functionCall", "inlineData", "executableCode", "codeExecutionResult", "toolCall")
    return any(part.get(kind) for kind in kinds)

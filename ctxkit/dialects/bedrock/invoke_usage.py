"""What an InvokeModel answer says of itself, by model family, whole or streamed.

Claude and Nova report usage with cached tokens outside the input count, and it stands, for Bedrock's own metrics know
nothing of the split. For every other family Bedrock's count is what is billed: it stands where there is one (recorded
Llama streams report one output token less than the metrics), the body's own figures else. Cohere's
``meta.billed_units`` leaves out tokens the model read; ``meta.tokens`` is the usage, should both be there.

Source: AWS model parameter pages (2026-09) and recorded answers of these families.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ctxkit.dialects.anthropic import usage as anthropic_usage
from ctxkit.dialects.bedrock import converse_usage
from ctxkit.dialects.eventstream import unwrapped
from ctxkit.dialects.usage import at, checks, figure, less, merge, text
from ctxkit.dialects.wire import loads
from ctxkit.model import Answer, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ctxkit.model import Json

__all__ = ["METRICS", "InvokeStream", "metered", "read_answer"]

METRICS = "amazon-bedrock-invocationMetrics"
"""Name of Bedrock's own counts in the last event of a stream."""

_HEADERS = {
    "x-amzn-bedrock-input-token-count": "inputTokenCount",
    "x-amzn-bedrock-output-token-count": "outputTokenCount",
    "x-amzn-bedrock-cache-read-input-token-count": "cacheReadInputTokenCount",
    "x-amzn-bedrock-cache-write-input-token-count": "cacheWriteInputTokenCount",
}
_INPUT = (
    ("prompt_token_count",),  # Llama
    ("inputTextTokenCount",),  # Titan
    ("meta", "tokens", "input_tokens"),  # Cohere
    ("meta", "billed_units", "input_tokens"),
)
_OUTPUT = (
    ("generation_token_count",),
    ("totalOutputTextTokenCount",),
    ("meta", "tokens", "output_tokens"),
    ("meta", "billed_units", "output_tokens"),
)
_EMBEDDINGS = frozenset({"embedding", "embeddings", "embeddingsByType"})


def metered(response: Mapping[str, Json], headers: Mapping[str, str]) -> dict[str, Json]:
    """``response`` with the token counts of its headers, under the name that Bedrock gives them in streams.

    Args:
        response: the JSON of the answer.
        headers: of the answer; names in lower case, as botocore gives them.
    """
    counts = {field: int(value) for name, field in _HEADERS.items() if (value := headers.get(name, "")).isdecimal()}
    return {**response, METRICS: counts} if counts and METRICS not in response else dict(response)


def read_answer(response: Mapping[str, Json]) -> Answer:
    """Read a whole answer, or what a stream gathered under the same names."""
    usage, problems = _usage(response)
    return Answer(
        usage=usage,
        model=text(response, "model"),
        id=text(response, "id") or text(response, "generation_id"),
        finish=_finish(response),
        tier=text(response, "usage", "service_tier"),
        problems=problems,
    )


def _usage(response: Json) -> tuple[Usage | None, tuple[str, ...]]:
    wire, metrics = at(response, "usage"), at(response, METRICS)
    if figure(wire, "input_tokens") is not None:
        usage, problems = anthropic_usage.read_usage(wire)
        return usage, (*problems, *_differences(usage, metrics))
    if figure(wire, "inputTokens") is not None:
        usage, problems = converse_usage.read_usage(wire)
        return usage, (*problems, *_differences(usage, metrics))
    body = _openai_shaped(wire) if figure(wire, "prompt_tokens") is not None else _bare(response)
    usage = _over(body, metrics)
    if usage is None:
        return None, ()
    return usage, tuple(checks(usage, prompt=None))


def _openai_shaped(wire: Json) -> Usage:
    """AI21, DeepSeek and OpenAI's open models: cached tokens are inside the prompt."""
    cached = figure(wire, "prompt_tokens_details", "cached_tokens")
    return Usage(
        fresh=less(figure(wire, "prompt_tokens"), cached),
        read=cached,
        output=figure(wire, "completion_tokens"),
        reasoning=figure(wire, "completion_tokens_details", "reasoning_tokens"),
    )


def _bare(response: Json) -> Usage:
    """Families that report two counts, somewhere in the body; an embedding has no output at all."""
    embedding = isinstance(response, dict) and not _EMBEDDINGS.isdisjoint(response)
    output = 0 if embedding else _first(response, _OUTPUT)
    return Usage(fresh=_first(response, _INPUT), output=_titan_output(response) if output is None else output)


def _first(response: Json, places: Iterable[tuple[str, ...]]) -> int | None:
    return next((count for place in places if (count := figure(response, *place)) is not None), None)


def _titan_output(response: Json) -> int | None:
    results = at(response, "results")
    counts = [figure(result, "tokenCount") for result in results] if isinstance(results, list) else []
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _over(body: Usage, metrics: Json) -> Usage | None:
    """Bedrock's own counts over those of the body; nothing when neither has any."""
    fresh, output = figure(metrics, "inputTokenCount"), figure(metrics, "outputTokenCount")
    read, wrote = figure(metrics, "cacheReadInputTokenCount"), figure(metrics, "cacheWriteInputTokenCount")
    if (fresh, output, body.fresh, body.output) == (None, None, None, None):
        return None
    return replace(
        body,
        # Where the body takes cached tokens out of its prompt, Bedrock's plain count would put them back.
        fresh=body.fresh if fresh is None or body.read else fresh,
        read=body.read if read is None else read,
        written=None if wrote is None else {"5m": wrote} if wrote else {},
        output=body.output if output is None else output,
    )


def _differences(usage: Usage | None, metrics: Json) -> Iterable[str]:
    counted = figure(metrics, "outputTokenCount")
    if usage is not None and counted is not None and usage.output not in {None, counted}:
        yield f"the model reported {usage.output} output tokens, Bedrock's metrics {counted}"


def _finish(response: Json) -> str | None:
    for name in ("stop_reason", "stopReason", "finish_reason", "completionReason"):
        if found := text(response, name):
            return found
    for name in ("results", "choices", "outputs", "generations"):
        items = at(response, name)
        if isinstance(items, list) and items and (found := _finish(items[0])):
            return found
    return None


class InvokeStream:
    """Reads a streamed answer of any family; ends with the event that holds Bedrock's metrics."""

    __slots__ = ("_claude", "_metrics", "_problems", "_seen", "content", "done")

    def __init__(self) -> None:
        self._claude = anthropic_usage.AnthropicStream()
        self._metrics: Json = None
        self._seen: dict[str, Json] = {}
        self._problems: list[str] = []
        self.done = False
        self.content = False

    def feed(self, data: bytes) -> bool:
        """Look at one event; none of them is ever to be hidden."""
        try:
            inner = unwrapped(data)
            if self.content and not any(mark in inner for mark in _MARKS):
                return False
            self._see(loads(inner))
        except ValueError:  # broken base64 is one, too
            self._problems.append("an event of the stream is not JSON")
        return False

    def _see(self, event: Json) -> None:
        if not isinstance(event, dict):
            return
        if METRICS in event:
            self._metrics = event[METRICS]
            self.done = True
        broken = [str(kind) for kind in event if str(kind).endswith("Exception")]
        self._problems += [f"the stream broke off: {kind}" for kind in broken]
        self._claude.see(event)
        self._keep(event.get("metadata"))  # Nova's last event
        self._keep(event)
        self.content = self.content or self._claude.content or _has_content(event)

    def _keep(self, event: Json) -> None:
        """What settling needs of an event, and nothing of its content."""
        kept = {key: event[key] for key in _KEPT if key in event} if isinstance(event, dict) else {}
        reason = _finish(event) or text(event, "messageStop", "stopReason")
        self._seen = merge(self._seen, {**kept, "stop_reason": reason})

    def end(self) -> None:
        """Nothing to do: the protocol says itself when it is over."""

    def answer(self) -> Answer:
        """What was seen so far; complete after the metrics."""
        seen = self._seen if self._metrics is None else {**self._seen, METRICS: self._metrics}
        found = read_answer({**seen, **self._claude.wire()})
        return replace(found, complete=self.done, problems=(*self._problems, *found.problems))


_KEPT = (
    "usage",
    "model",
    "id",
    "generation_id",
    "prompt_token_count",
    "generation_token_count",
    "inputTextTokenCount",
    "totalOutputTextTokenCount",
    "meta",
)
_MARKS = (b"invocationMetrics", b'"usage"', b"oken_count", b"TokenCount", b"eason", b'"meta', b"Exception")


def _has_content(event: Json) -> bool:
    """Text or a tool call of the families that are not Claude."""
    if not isinstance(event, dict):
        return False
    delta = at(event, "contentBlockDelta", "delta") or at(event, "contentBlockStart", "start")
    if text(delta, "text") or at(delta, "toolUse") is not None:
        return True
    if any(text(event, field) for field in ("outputText", "generation", "completion", "text")):
        return True
    for name in ("choices", "outputs", "generations"):
        items = at(event, name)
        first = items[0] if isinstance(items, list) and items else None
        if text(first, "text") or text(first, "delta", "content") or text(first, "message", "content"):
            return True
    return False

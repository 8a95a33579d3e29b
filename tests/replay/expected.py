"""What a ledger row must say, read from the provider's own figures without the code that is tried.

One short rule per wire format, from the table of "Usage normalisation": written a second time on purpose.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ctxkit.model import Usage


@dataclass(frozen=True, slots=True)
class Expected:
    """Figures of one answer; ``None`` where the provider reported none.

    Attributes:
        input: the whole prompt.
        output: everything written, reasoning included.
        read: of ``input``, from the cache.
        written: of ``input``, to the cache.
        reasoning: of ``output``.
    """

    input: int | None
    output: int | None
    read: int | None = None
    written: int | None = None
    reasoning: int | None = None

    def differs(self, usage: Usage | None) -> str:
        """Which figures of ``usage`` differ, or ``""``. What was not reported must not be made up."""
        if usage is None:
            return "" if self.input is None and self.output is None else "no usage"
        pairs = {
            "input": (self.input, usage.input_total),
            "output": (self.output, usage.output),
            "read": (self.read, usage.read),
            "written": (self.written, None if usage.written is None else usage.written_total),
            "reasoning": (self.reasoning, usage.reasoning),
        }
        return ", ".join(
            f"{name} {got} instead of {wanted}"
            for name, (wanted, got) in pairs.items()
            if got != wanted and not (wanted is None and got == 0)
        )


def expected(dialect: str, usage: Mapping[str, Any], body: str | None = None) -> Expected:
    """The figures in ``usage``, whose form is that of ``dialect``; ``body`` is the recorded answer."""
    if "inputTextTokenCount" in usage and "inputTokenCount" not in usage:  # Titan tells the output beside the text
        results = json.loads(body or "{}").get("results") or []
        return Expected(usage["inputTextTokenCount"], _sum(results, "tokenCount"))
    return _RULES[dialect](usage)


def _chat(usage: Mapping[str, Any]) -> Expected:
    inside, outside = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    prompt, output, total = (usage.get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens"))
    read = _first(
        inside.get("cached_tokens"),
        usage.get("prompt_cache_hit_tokens"),
        usage.get("cached_tokens"),
        usage.get("num_cached_tokens"),
    )
    written = _first(inside.get("cache_write_tokens"), usage.get("cache_creation_input_tokens"))
    reasoning = _first(outside.get("reasoning_tokens"), usage.get("reasoning_tokens"))
    if output is not None and prompt is not None and total is not None:
        gap = total - prompt - output
        if gap and gap in (read, inside.get("audio_tokens")):  # a gateway net of cache; Mistral's audio beside the text
            prompt += gap
        elif gap and gap == reasoning:  # xAI and its models elsewhere: reasoning stands beside
            output += reasoning
        elif gap > 0:  # Google's OpenAI face: thoughts are in the total alone
            output, reasoning = output + gap, gap
    if prompt is not None and read and read > prompt:  # xAI, Mistral: what they bill is all that was cached
        prompt = read
    return Expected(prompt, output, read, written, reasoning)


def _responses(usage: Mapping[str, Any]) -> Expected:
    inside, outside = usage.get("input_tokens_details") or {}, usage.get("output_tokens_details") or {}
    return Expected(
        usage.get("input_tokens"),
        usage.get("output_tokens"),
        inside.get("cached_tokens"),
        inside.get("cache_write_tokens"),
        outside.get("reasoning_tokens"),
    )


def _messages(usage: Mapping[str, Any]) -> Expected:
    """Anthropic: input without cache; the sum of all iterations where there are some.

    An advisor is another model at other prices: its tokens are no tokens of this one.
    """
    listed = [one for one in usage.get("iterations") or () if one.get("type") != "advisor_message"]
    rounds = listed or [usage]
    read = _sum(rounds, "cache_read_input_tokens")
    written = _sum(rounds, "cache_creation_input_tokens")
    fresh = _sum(rounds, "input_tokens")
    whole = None if fresh is None else fresh + (read or 0) + (written or 0)
    details = usage.get("output_tokens_details") or {}
    return Expected(whole, _sum(rounds, "output_tokens"), read, written, details.get("thinking_tokens"))


def _gemini(usage: Mapping[str, Any]) -> Expected:
    """Gemini: thoughts beside the candidates, unless prompt and candidates already make the total."""
    prompt, total = usage.get("promptTokenCount"), usage.get("totalTokenCount")
    candidates, thoughts = usage.get("candidatesTokenCount"), usage.get("thoughtsTokenCount")
    tools = usage.get("toolUsePromptTokenCount") or 0
    whole = None if prompt is None else prompt + tools
    output = candidates
    if thoughts and not (candidates and whole is not None and whole + candidates == total):
        output = (candidates or 0) + thoughts
    return Expected(whole, output, usage.get("cachedContentTokenCount"), None, thoughts)


def _converse(usage: Mapping[str, Any]) -> Expected:
    read = _first(usage.get("cacheReadInputTokens"), usage.get("cacheReadInputTokenCount"))
    written = _first(usage.get("cacheWriteInputTokens"), usage.get("cacheWriteInputTokenCount"))
    fresh = usage.get("inputTokens")
    whole = None if fresh is None else fresh + (read or 0) + (written or 0)
    return Expected(whole, usage.get("outputTokens"), read, written)


def _invoke(usage: Mapping[str, Any]) -> Expected:
    """Claude's own figures, which tell of its cache; of other makers the metrics that end a stream, else their own."""
    if "input_tokens" in usage:
        return _messages(usage)
    if "inputTokenCount" in usage:
        read, written = usage.get("cacheReadInputTokenCount"), usage.get("cacheWriteInputTokenCount")
        whole = usage["inputTokenCount"] + (read or 0) + (written or 0)
        return Expected(whole, usage["outputTokenCount"], read, written)
    if "prompt_tokens" in usage:
        return _chat(usage)
    if "prompt_token_count" in usage:
        return Expected(usage["prompt_token_count"], usage["generation_token_count"])
    return _converse(usage)


def _embeddings(usage: Mapping[str, Any]) -> Expected:
    """Where only a total is told, all of it was input."""
    return Expected(_first(usage.get("prompt_tokens"), usage.get("total_tokens")), None)


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


def _sum(rounds: list[Mapping[str, Any]], name: str) -> int | None:
    told = [one[name] for one in rounds if one.get(name) is not None]
    return sum(told) if told else None


_RULES = {
    "openai.chat": _chat,
    "openai.completions": _chat,
    "openai.embeddings": _embeddings,
    "openai.responses": _responses,
    "anthropic.messages": _messages,
    "gemini.generate": _gemini,
    "bedrock.converse": _converse,
    "bedrock.invoke": _invoke,
}

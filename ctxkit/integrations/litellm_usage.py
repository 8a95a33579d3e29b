"""Usage as LiteLLM reports it, whatever the provider: OpenAI's names, with what others add.

``prompt_tokens`` holds the whole prompt, cached part included; ``prompt_tokens_details`` splits it
(``cached_tokens``, ``cache_write_tokens`` or ``cache_creation_tokens``, and for Anthropic the writes by time to live).
``completion_tokens`` includes reasoning. Its ``cost`` is LiteLLM's own sum and not the provider's, so it is left.
Read from litellm 1.106 (``types/utils.py``), 2026-11-20, and seen on its OpenAI and Anthropic routes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from ctxkit.dialects.usage import checks, less
from ctxkit.model import Answer, Usage

__all__ = ["Chunks", "answer_of", "usage_of"]

_TTLS = {"ephemeral_5m_input_tokens": "5m", "ephemeral_1h_input_tokens": "1h"}


def usage_of(usage: Any) -> Usage | None:
    """The buckets of a ``litellm.Usage``; ``None`` when it says nothing of the prompt."""
    prompt, output = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    if not prompt and not output:  # LiteLLM writes zeros where the provider reported nothing
        return None
    inside = _get(usage, "prompt_tokens_details")
    outside = _get(usage, "completion_tokens_details")
    read = _count(inside, "cached_tokens")
    written = _written(usage, inside)
    fresh = less(prompt, read, *(written or {}).values())
    return Usage(
        fresh=fresh,
        read=read,
        written=written,
        output=output,
        reasoning=_count(outside, "reasoning_tokens"),
        media=_media(inside, outside, fresh or 0),
        calls=_calls(usage, inside),
    )


def _written(usage: Any, inside: Any) -> Mapping[str, int] | None:
    total = next(
        (
            count
            for holder, name in (
                (inside, "cache_write_tokens"),
                (inside, "cache_creation_tokens"),
                (usage, "cache_creation_input_tokens"),
            )
            if (count := _count(holder, name)) is not None
        ),
        None,
    )
    if total is None:
        return None
    details = _get(inside, "cache_creation_token_details")
    split = {ttl: count for name, ttl in _TTLS.items() if (count := _count(details, name))}
    rest = total - sum(split.values())
    if rest > 0:
        split["5m"] = split.get("5m", 0) + rest  # unsplit writes: the default time to live
    return split


def _media(inside: Any, outside: Any, fresh: int) -> Mapping[str, int]:
    found = {
        "audio.fresh": min(_count(inside, "audio_tokens") or 0, fresh),
        "image.fresh": min(_count(inside, "image_tokens") or 0, fresh),
        "audio.output": _count(outside, "audio_tokens"),
        "image.output": _count(outside, "image_tokens"),
    }
    return {name: count for name, count in found.items() if count}


def _calls(usage: Any, inside: Any) -> Mapping[str, int]:
    searches = _count(_get(usage, "server_tool_use"), "web_search_requests") or _count(inside, "web_search_requests")
    return {"web_search": searches} if searches else {}


def answer_of(response: Any, usage: Any = None, *, complete: bool = True) -> Answer:
    """What a ``ModelResponse`` (or the last chunk of a stream) says of itself."""
    hidden = _get(response, "_hidden_params") or {}
    free = bool(_get(hidden, "cache_hit"))  # LiteLLM answered from its own cache: nothing was sent
    told = usage if usage is not None else _get(response, "usage")
    read = Usage(0, 0, {}, 0) if free else usage_of(told)
    choices = _get(response, "choices") or ()
    return Answer(
        usage=read,
        model=_text(_get(response, "model")),
        id=_text(_get(response, "id")),
        finish=_text(_get(choices[0], "finish_reason")) if choices else None,
        tier=_text(_get(response, "service_tier")),
        cost=Decimal(0) if free else None,
        complete=complete,
        problems=() if free or read is None else tuple(checks(read, prompt=_count(told, "prompt_tokens"))),
    )


class Chunks:
    """Reads the chunks of a ``CustomStreamWrapper``.

    The wrapper strips usage from what it hands out unless it was asked for, but keeps what the provider reported in
    its ``chunks``: that is read when the stream has ended. (What it sums up itself would count tokens where the
    provider reported none.)
    """

    __slots__ = ("_copy", "_hides", "_last", "_original", "_usage", "content", "finish")

    def __init__(self, original: Any, *, hide_usage: bool = False, copy: Callable[[Any], None] | None = None) -> None:
        self._copy = copy
        self.content = False
        self.finish: str | None = None
        self._original = original
        self._hides = hide_usage
        self._last: Any = None
        self._usage: Any = None

    @property
    def done(self) -> bool:
        """LiteLLM's streams have no terminator that reaches the caller."""
        return False

    def see(self, item: Any) -> bool:
        """Look at a chunk; True for the one that only we asked for."""
        hidden = self._see(item)
        if self._copy is not None and not hidden:
            self._copy(item)
        return hidden

    def _see(self, item: Any) -> bool:
        self._last = item
        choices = _get(item, "choices") or ()
        self.finish = (_text(_get(choices[0], "finish_reason")) if choices else None) or self.finish
        self.content = self.content or any(map(_has_content, choices))
        usage = _get(item, "usage")
        if usage is None:
            return False
        self._usage = usage
        return self._hides and not any(map(_has_content, choices)) and not _finishes(choices)

    def result(self, *, ended: bool) -> Answer:
        """What was seen; a stream that was left after its finish reason and usage counts as whole."""
        if self._copy is not None and ended:
            self._copy(None)
        usage = self._usage
        for chunk in reversed(_get(self._original, "chunks") or ()):
            if usage is None:
                usage = _get(chunk, "usage")
        complete = ended or (self.finish is not None and usage is not None)
        return replace(answer_of(self._last, usage or {}, complete=complete), finish=self.finish)


def _has_content(choice: Any) -> bool:
    delta = _get(choice, "delta")
    return any(_get(delta, name) for name in ("content", "tool_calls", "reasoning_content", "function_call", "audio"))


def _finishes(choices: Any) -> bool:
    return any(_get(choice, "finish_reason") for choice in choices)


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _count(value: Any, name: str) -> int | None:
    found = _get(value, name)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None

"""When an answer of chat completions, legacy completions or embeddings is whole, and what may be asked again.

Sources: openai package 3.52 types; API references of OpenRouter, xAI, Qwen, Groq and Perplexity for what searches the
web unasked (2026-09).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.dialects.blocks import listed
from ctxkit.dialects.complete import DONE
from ctxkit.dialects.usage import at, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctxkit.model import Json

__all__ = ["filtered", "repeatable", "streamed", "whole"]

_GOOD = frozenset({"stop", "tool_calls", "function_call"})
_OWN_TOOLS = frozenset({None, "function", "custom"})
_LOOKING = ("web_search_options", "search_parameters", "plugins", "enable_search", "background", "conversation")
_FOUND = frozenset({"citations", "search_results", "web_search"})
_SAID = frozenset({"content", "reasoning", "reasoning_content", "tool_calls", "function_call", "images"})
_BEYOND = frozenset({"refusal", "audio", "executed_tools", "annotations"})
_PLAIN = frozenset(
    {
        *("id", "object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier", "obfuscation"),
        *("index", "delta", "message", "text", "finish_reason", "logprobs"),
    }
)
_STARTS = frozenset({"messages", "prompt", "input"})


def repeatable(body: dict[str, Json]) -> bool:
    """No tool of the provider's own, nothing that searches the web, no history that the provider holds."""
    tools = body.get("tools") or ()
    if not listed(tools) or any(not isinstance(tool, dict) or tool.get("type") not in _OWN_TOOLS for tool in tools):
        return False
    if any(body.get(key) for key in _LOOKING) or not _STARTS & body.keys():
        return False
    return not str(body.get("model") or "").endswith(":online")


def whole(response: Json, body: Json) -> bool:
    """A completion whose choices are all there and all came to a good end; or embeddings for all inputs."""
    if not isinstance(response, dict) or _broken(response):
        return False
    if "input" in body:
        return _embedded(response.get("data"), body["input"])
    choices = response.get("choices")
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        return False
    return _all_there(choices, body) and all(map(_good, choices))


def streamed(events: Sequence[Json], body: Json) -> bool:
    """Chunks whose choices all came to a good end, and ``[DONE]`` behind them."""
    if events[-1] != DONE or not all(isinstance(event, dict) and not _broken(event) for event in events[:-1]):
        return False
    choices = [choice for event in events[:-1] for choice in event.get("choices") or ()]
    if not all(isinstance(choice, dict) for choice in choices):
        return False
    ends = [choice for choice in choices if choice.get("finish_reason") is not None]
    spoken = {choice.get("index", 0) for choice in choices if _says(choice)}
    return (
        _all_there(ends, body)
        and len(spoken) == len(ends)
        and all(choice["finish_reason"] in _GOOD for choice in ends)
        and not any(map(_bad, choices))
    )


def _good(choice: dict[str, Json]) -> bool:
    return choice.get("finish_reason") in _GOOD and _says(choice) and not _bad(choice)


def _bad(choice: dict[str, Json]) -> bool:
    """Refused, filtered, failed, or of what the provider found by itself; audio ends on the provider's side."""
    message = choice.get("message") or choice.get("delta") or {}
    beyond = _BEYOND & message.keys()
    return bool(choice.get("error")) or filtered(choice) or any(message[key] for key in beyond)


def _says(choice: dict[str, Json]) -> bool:
    message = choice.get("message") or choice.get("delta") or {}
    return bool(choice.get("text")) or any(message[key] for key in _SAID & message.keys())


def _all_there(choices: Sequence[dict[str, Json]], body: Json) -> bool:
    """As many as were asked for, each once."""
    prompts = body.get("prompt")
    each = len(prompts) if listed(prompts) and prompts and not isinstance(prompts[0], int) else 1
    asked = body.get("n")
    count = (asked if isinstance(asked, int) else 1) * each
    return len(choices) == count and {choice.get("index", 0) for choice in choices} == {*range(count)}


def _broken(said: dict[str, Json]) -> bool:
    return filtered(said) or any(said[key] for key in _FOUND & said.keys())


def filtered(said: dict[str, Json]) -> bool:
    """Azure's filter took something away: ``content_filter_results`` and its kin."""
    if said.keys() <= _PLAIN:  # nearly every event of a stream
        return False
    return any(_says_filtered(value) for key, value in said.items() if "_filter" in key)


def _says_filtered(value: Json) -> bool:
    if isinstance(value, dict):
        return value.get("filtered") is True or any(map(_says_filtered, value.values()))
    return isinstance(value, list) and any(map(_says_filtered, value))


def _embedded(data: Json, inputs: Json) -> bool:
    several = listed(inputs) and inputs and not isinstance(inputs[0], int)
    count = len(inputs) if several else 1
    return (
        listed(data)
        and len(data) == count
        and all(bool(at(one, "embedding")) and text(one, "object") in (None, "embedding") for one in data)
    )

"""Usage of answers in OpenAI's shapes, by the rules of the platform that sent them.

All of them count cached tokens inside the prompt, but for gateways that report the prompt net of its cache; all count
reasoning inside the output, but for some that keep it apart. ``total_tokens`` tells which, so it is asked first
and the platform only where there is no total. Sources: the providers' API references (2026-09), recorded answers.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.dialects.platforms import Platform, platform_named
from ctxkit.dialects.usage import at, checks, dollars, figure, less, ttl_split
from ctxkit.model import Usage
from ctxkit.money import EXACT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctxkit.model import Json

__all__ = ["Reading", "read_usage", "reported_cost"]

_TTL_FIELDS = {
    "ttl_30m_tokens": "30m",
    "ttl_12h_tokens": "12h",
    "ephemeral_5m_input_tokens": "5m",
    "ephemeral_1h_input_tokens": "1h",
}
# xAI bills in ten-thousand-millionths of a dollar: 536 prompt and 527 completion tokens of grok-2-1212, at 2 and 10
# USD per million, were reported as 63,420,000.
_DOLLARS_PER_TICK = Decimal("1e-10")
_MOST_TOOLS, _LONGEST_NAME = 50, 64  # an upstream that makes names up is not to fill the ledger with them


class Reading(NamedTuple):
    """Buckets, and what in the figures does not add up."""

    usage: Usage | None
    problems: tuple[str, ...] = ()


class _Figures(NamedTuple):
    """What the wire says, before it is made disjoint. The prompt includes what was cached."""

    prompt: int | None
    output: int | None
    total: int | None
    read: int | None
    written: int | None
    reasoning: int | None


def read_usage(reported: Json, platform: str, model: str | None = None) -> Reading:
    """Disjoint buckets from a ``usage`` object; ``None`` when there is none in it."""
    if not isinstance(reported, dict) or not reported:
        return Reading(None)
    row = platform_named(platform)
    inside, outside = _details(reported, "prompt", "input"), _details(reported, "completion", "output")
    raw = _figures(reported, inside, outside)
    if raw.prompt is None and raw.output is None:
        return Reading(None, ("the usage object names no tokens",))
    whole, odd_total = _reconciled(raw, row, inside)
    whole, overlap = _disjoint(whole)
    written, odd_split = _written(reported, inside, whole.written, _write_ttl(row, model))
    fresh = less(whole.prompt, whole.read, sum(written.values()) if written else 0)
    usage = Usage(
        fresh=fresh,
        read=whole.read,
        written=written,
        output=whole.output,
        reasoning=whole.reasoning,
        media=_media(inside, outside, fresh),
        calls=_calls(reported),
    )
    return Reading(
        usage, (*odd_total, *overlap, *odd_split, *checks(usage, prompt=whole.prompt), *_partition(reported))
    )


def _details(reported: Mapping[str, Json], *names: str) -> dict[str, Json]:
    for name in names:
        found = reported.get(f"{name}_tokens_details") or reported.get(f"{name}_token_details")
        if isinstance(found, dict):
            return found
    return {}


def _figures(reported: Json, inside: Json, outside: Json) -> _Figures:
    total = figure(reported, "total_tokens")
    prompt = _first(reported, "prompt_tokens", "input_tokens")
    output = _first(reported, "completion_tokens", "output_tokens")
    if prompt is None and output is None:
        prompt = total  # embeddings of some servers report the total alone
    return _Figures(
        prompt=prompt,
        output=output,
        total=total,
        read=_first(inside, "cached_tokens", default=_read_elsewhere(reported)),
        written=_first(
            inside,
            "cache_write_tokens",
            "cache_creation_input_tokens",
            "cache_creation_tokens",
            default=_first(reported, "cache_creation_input_tokens", "cache_write_tokens"),
        ),
        reasoning=_first(outside, "reasoning_tokens", default=figure(reported, "reasoning_tokens")),
    )


def _read_elsewhere(reported: Json) -> int | None:
    """DeepSeek; Moonshot and Together; Mistral; gateways that pass Anthropic's name through."""
    return _first(reported, "prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens", "cache_read_input_tokens")


def _first(source: Json, *names: str, default: int | None = None) -> int | None:
    return next((found for name in names if (found := figure(source, name)) is not None), default)


def _reconciled(raw: _Figures, row: Platform, inside: Json) -> tuple[_Figures, list[str]]:
    """The same figures with the whole prompt and the whole output, as ``total_tokens`` says they must be."""
    rule = row.rule
    if raw.prompt == 0 and raw.output and rule.zero_prompt_unknown:
        return raw._replace(prompt=None), ["the server reported no prompt tokens: it did not count them"]
    if raw.prompt is None or raw.output is None:
        return raw, []
    if raw.total is None:
        return (_with_reasoning(raw) if rule.reasoning_outside else raw), []
    gap = raw.total - raw.prompt - raw.output
    cached, audio = (raw.read or 0, raw.written or 0), figure(inside, "audio_tokens") or 0
    if gap == 0:
        return raw, []
    if (
        raw.reasoning is not None
        and gap == raw.reasoning
        and (rule.reasoning_outside or raw.reasoning > raw.output or gap != sum(cached))
    ):
        return _with_reasoning(raw), []  # xAI, also on Azure
    if gap > 0 and gap in {sum(cached), *cached}:
        return raw._replace(prompt=raw.prompt + gap), []  # a gateway that reports the prompt net of its cache
    if gap > 0 and gap == audio:
        return raw._replace(prompt=raw.prompt + audio), []  # Mistral counts audio beside the prompt
    if gap > 0 and rule.hidden_reasoning:
        return raw._replace(output=raw.output + gap, reasoning=raw.reasoning or gap), []  # Google's thoughts
    return raw, [f"prompt {raw.prompt} and completion {raw.output} do not sum to the reported {raw.total}"]


def _disjoint(whole: _Figures) -> tuple[_Figures, tuple[str, ...]]:
    """Reads stand before writes: OpenRouter reports tokens that it both wrote and read in both figures."""
    read, written, prompt = whole.read or 0, whole.written or 0, whole.prompt
    if not written or prompt is None or read + written <= prompt:
        return whole, ()
    problem = f"cache reads {read} and writes {written} exceed the prompt {prompt}"
    return whole._replace(written=max(0, prompt - read)), (problem,)


def _with_reasoning(raw: _Figures) -> _Figures:
    return raw._replace(output=(raw.output or 0) + (raw.reasoning or 0))


def _write_ttl(row: Platform, model: str | None) -> str | None:
    """Gateways keep the time to live of whom they pass the request on to."""
    return "30m" if row.rule.writes and model and model.startswith("openai/") else row.rule.writes


def _written(
    reported: Json, inside: Json, count: int | None, ttl: str | None
) -> tuple[dict[str, int] | None, tuple[str, ...]]:
    if count is None:
        return ({} if ttl is None else None), ()
    if not count:
        return {}, ()
    spans = (at(inside, "cache_write_tokens_details"), at(inside, "cache_creation"), at(reported, "cache_creation"))
    split = next((found for span in spans if isinstance(span, dict) and (found := ttl_split(span, _TTL_FIELDS))), {})
    rest = count - sum(split.values())
    if rest < 0:
        return {ttl or "5m": count}, (f"cache writes by time to live sum to more than {count}",)
    if rest:
        split[ttl or "5m"] = split.get(ttl or "5m", 0) + rest
    return split, ()


def _partition(reported: Json) -> tuple[str, ...]:
    """DeepSeek reports hits and misses, which must be the whole prompt."""
    hit = figure(reported, "prompt_cache_hit_tokens")
    miss = None if hit is None else figure(reported, "prompt_cache_miss_tokens")
    prompt = figure(reported, "prompt_tokens")
    if hit is None or miss is None or prompt is None or hit + miss == prompt:
        return ()
    return (f"cache hits {hit} and misses {miss} do not sum to the prompt {prompt}",)


def _media(inside: Json, outside: Json, fresh: int | None) -> dict[str, int]:
    media: dict[str, int] = {}
    if not inside and not outside:
        return media
    for modality in ("audio", "image", "video"):
        if (count := figure(inside, f"{modality}_tokens")) and fresh is not None:
            cached = figure(inside, "cached_tokens_details", f"{modality}_tokens")
            new = min(count, fresh) if cached is None else less(count, cached) or 0
            media[f"{modality}.fresh"], media[f"{modality}.read"] = new, count - new
        media[f"{modality}.output"] = figure(outside, f"{modality}_tokens") or 0
    return {name: count for name, count in media.items() if count}


def _calls(reported: Json) -> dict[str, int]:
    """Server-side tools and searches that are billed by the call."""
    calls = {
        "web_search": _first(reported, "num_search_queries", default=figure(reported, "server_tool_use", "web_search_requests")),
        "search_source": figure(reported, "num_sources_used"),
    }  # fmt: skip
    details = at(reported, "server_side_tool_usage_details")
    for name in list(details)[:_MOST_TOOLS] if isinstance(details, dict) else ():  # xAI: "web_search_calls": 2
        calls[name.removesuffix("_calls")[:_LONGEST_NAME]] = figure(details, name)
    return {name: count for name, count in calls.items() if count}


def reported_cost(reported: Json, platform: str) -> Decimal | None:
    """What the provider says the request cost, in USD; ``None`` when it says nothing.

    OpenRouter and Vercel: ``usage.cost`` (one credit is one dollar), to which the upstream's own bill is added when
    it goes to the user's key. Perplexity: ``usage.cost.total_cost``. xAI: ``usage.cost_in_usd_ticks``; elsewhere
    (Azure) a 0 there means that somebody else writes the bill.
    """
    if isinstance(at(reported, "cost"), dict):
        currency = at(reported, "cost", "currency")
        return dollars(reported, "cost", "total_cost") if currency in (None, "USD") else None
    if (cost := dollars(reported, "cost")) is not None:
        own_key = at(reported, "is_byok") is True
        return EXACT.add(cost, (dollars(reported, "cost_details", "upstream_inference_cost") or 0) if own_key else 0)
    ticks = dollars(reported, "cost_in_usd_ticks")
    if ticks is None or not (ticks or platform_named(platform).rule.ticks):
        return None
    return EXACT.multiply(ticks, _DOLLARS_PER_TICK)

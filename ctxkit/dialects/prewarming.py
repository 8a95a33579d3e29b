"""A request that fills the provider's cache and asks for no answer, in the provider's own form.

Anthropic takes ``max_tokens: 0`` and refuses it together with streaming, thinking, a format for the answer, or a tool
that must be called (platform.claude.com: prompt caching, 2026-08-22; anthropic 2.11.0). Streaming is no part of the
prompt and is left out. What is part of it may be left out only where no marker stands behind what it changes;
otherwise the entry would be one that no real request ever reads, and that is refused with what to do instead.
OpenAI takes ``prompt_cache_options.prewarm`` on the Responses API (developers.openai.com: prompt caching, 2026-10-02).
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from ctxkit import dialects
from ctxkit.cacheable import Breakpoint, Wish
from ctxkit.dialects.blocks import mapped
from ctxkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxkit.cacheable import Block, Tier
    from ctxkit.dialects.base import Caches, Dialect
    from ctxkit.model import Conversation, Json

__all__ = ["prewarmed"]

_FORCED = frozenset({"any", "tool"})


def prewarmed(body: Json, dialect: str, form: str | None, *, early: bool | None = None, marks: bool = False) -> Json:
    """``body`` as a request that is to be cached and not answered; the caller's own stays as it is.

    Args:
        body: a real request, the shared part of which is marked as in real requests.
        dialect: its wire format.
        form: what the rules of its provider name as ``prewarm``; ``None``: it has no such form.
        early: thinking changes tools and system, too, and not only messages; ``None``: perhaps.
        marks: where no marker stands, put one on the last block of tools and system.

    Raises:
        ConfigurationError: it cannot be prewarmed; the message says what to do.
    """
    if (dialect, form) == ("anthropic.messages", "max_tokens"):
        return _unanswered(body, early=early, marks=marks)
    if (dialect, form) == ("openai.responses", "prewarm"):
        options = {**mapped(body.get("prompt_cache_options")), "prewarm": True}
        return {**body, "prompt_cache_options": options}
    raise ConfigurationError(
        f"prewarm: this model's provider has no form of its own for it in {dialect}; send a real request with a "
        "short answer instead, before the others"
    )


def _unanswered(body: Json, *, early: bool | None, marks: bool) -> Json:
    deepest = _deepest_mark(body)
    if deepest is None and marks:
        body = _marked(body)
        deepest = _deepest_mark(body)
    if deepest is None:
        raise ConfigurationError(
            "prewarm: nothing would be cached, for no cache_control stands in the request; put one on the last block "
            "that all requests share (with Policy(mode='cache') ctxkit marks the end of tools and system)"
        )
    left_out = {"stream"}
    for field, what, harmless in _conflicts(body, early=early):
        if deepest == "messages" or not harmless:
            way_out = f"leave out {field} and put the last cache_control on tools or system, or " if harmless else ""
            raise ConfigurationError(
                f"prewarm: Anthropic refuses max_tokens: 0 together with {what}, and without it another prompt would "
                f"be cached; {way_out}send a real request before the others"
            )
        left_out.add(field)
    kept = {key: value for key, value in body.items() if key not in left_out}
    return {**kept, "max_tokens": 0}


def _conflicts(body: Json, *, early: bool | None) -> Iterator[tuple[str, str, bool]]:
    """Fields that Anthropic refuses beside it: name, for people, and whether tools and system stay as they are."""
    thinking = mapped(body.get("thinking")).get("type")
    if thinking not in (None, "disabled"):
        yield "thinking", "thinking", early is False
    if mapped(body.get("output_config")).get("format") is not None or body.get("output_format") is not None:
        yield "output_config.format", "output_config.format", False
    if mapped(body.get("tool_choice")).get("type") in _FORCED:
        yield "tool_choice", "tool_choice any or tool", True


def _deepest_mark(body: Json) -> Tier | None:
    """The last tier in which a marker stands."""
    _, caches, conversation = _read(body)
    if caches.ask(conversation).automatic is not None:
        return "messages"
    return next((block.tier for block in _blocks_from_the_end(body) if block.mark is not None), None)


def _marked(body: Json) -> Json:
    """A marker on the last block that stands before the messages, if there is one."""
    dialect, caches, conversation = _read(body)
    shared = (block for block in _blocks_from_the_end(body) if block.tier != "messages" and block.markable)
    points = tuple(Breakpoint(block.path, reason="shared by all requests") for block in islice(shared, 1))
    return dialect.apply(body, caches.mark(conversation, Wish(points, marker="cache_control")))


def _blocks_from_the_end(body: Json) -> Iterator[Block]:
    _, caches, conversation = _read(body)
    for message in reversed(conversation.messages):
        yield from reversed(caches.blocks(message))


def _read(body: Json) -> tuple[Dialect, Caches, Conversation]:
    dialect, caches = dialects.get("anthropic.messages"), dialects.caches("anthropic.messages")
    assert dialect is not None
    assert caches is not None
    return dialect, caches, dialect.view(body)

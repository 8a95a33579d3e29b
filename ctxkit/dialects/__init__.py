"""The wire formats: looking at a request, editing it, reading its answer.

A format is a module named after it: ``openai.chat`` is ``ctxkit/dialects/openai/chat.py``. It satisfies
:class:`ctxkit.dialects.base.Dialect` and is imported when it is first asked for. What the formats share stands beside
their folders: ``wire`` (JSON that loses nothing), ``edits`` (a new body from an old one),
``sse`` and ``eventstream`` (splitting streamed answers), ``usage`` (figures), ``platforms`` (who serves a host) and
``routing`` (which path is which format).
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from ctxkit.dialects.base import Caches, Dialect, Ends, Texts

__all__ = ["EDITABLE", "METER_ONLY", "caches", "ends", "get", "texts"]

EDITABLE = ("openai.chat", "openai.responses", "anthropic.messages", "gemini.generate", "bedrock.converse")
"""Formats whose requests can be viewed and edited."""

METER_ONLY = ("bedrock.invoke", "openai.embeddings", "openai.completions")
"""Formats that are counted and priced, and never edited."""

_NAMES = frozenset(EDITABLE + METER_ONLY)


@lru_cache(maxsize=64)
def get(name: str) -> Dialect | None:
    """The dialect of this name, or ``None`` when there is none."""
    if name not in _NAMES:
        return None
    return cast("Dialect", import_module(f"ctxkit.dialects.{name}"))


_CACHES = {
    "openai.chat": "openai.chat_caches",
    "openai.responses": "openai.responses_caches",
    "anthropic.messages": "anthropic.caches",
    "gemini.generate": "gemini.caches",
    "bedrock.converse": "bedrock.caches",
}


@lru_cache(maxsize=64)
def caches(name: str) -> Caches | None:
    """What a provider's cache sees of the dialect of this name; ``None`` for a format that is only metered."""
    module = _CACHES.get(name)
    return cast("Caches", import_module(f"ctxkit.dialects.{module}")) if module else None


_TEXTS = {
    "openai.chat": "openai.chat_texts",
    "openai.responses": "openai.responses_texts",
    "anthropic.messages": "anthropic.texts",
    "gemini.generate": "gemini.texts",
    "bedrock.converse": "bedrock.texts",
}


@lru_cache(maxsize=64)
def texts(name: str) -> Texts | None:
    """What may be tidied of the dialect of this name; ``None`` for a format that is only metered."""
    module = _TEXTS.get(name)
    return cast("Texts", import_module(f"ctxkit.dialects.{module}")) if module else None


_ENDS = {
    "openai.chat": "openai.ends",
    "openai.completions": "openai.ends",
    "openai.embeddings": "openai.ends",
    "openai.responses": "openai.responses_ends",
    "anthropic.messages": "anthropic.ends",
    "gemini.generate": "gemini.ends",
    "bedrock.converse": "bedrock.ends",
    "bedrock.invoke": "bedrock.invoke_ends",
}


@lru_cache(maxsize=64)
def ends(name: str) -> Ends | None:
    """When an answer of the dialect of this name is whole; ``None`` where nobody knows."""
    module = _ENDS.get(name)
    return cast("Ends", import_module(f"ctxkit.dialects.{module}")) if module else None

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
    from types import ModuleType

    from ctxkit.dialects.base import Caches, Dialect, Ends, Texts

__all__ = ["EDITABLE", "METER_ONLY", "caches", "ends", "get", "texts"]

EDITABLE = ("openai.chat", "openai.responses", "anthropic.messages", "gemini.generate", "bedrock.converse")
"""Formats whose requests can be viewed and edited."""

METER_ONLY = ("bedrock.invoke", "openai.embeddings", "openai.completions")
"""Formats that are counted and priced, and never edited."""

_NAMES = frozenset(EDITABLE + METER_ONLY)

_CACHES = {
    "openai.chat": "openai.chat_caches",
    "openai.responses": "openai.responses_caches",
    "anthropic.messages": "anthropic.caches",
    "gemini.generate": "gemini.caches",
    "bedrock.converse": "bedrock.caches",
}
_TEXTS = {
    "openai.chat": "openai.chat_texts",
    "openai.responses": "openai.responses_texts",
    "anthropic.messages": "anthropic.texts",
    "gemini.generate": "gemini.texts",
    "bedrock.converse": "bedrock.texts",
}
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
def get(name: str) -> Dialect | None:
    """The dialect of this name, or ``None`` when there is none."""
    return cast("Dialect | None", _module(name if name in _NAMES else None))


@lru_cache(maxsize=64)
def caches(name: str) -> Caches | None:
    """What a provider's cache sees of the dialect of this name; ``None`` for a format that is only metered."""
    return cast("Caches | None", _module(_CACHES.get(name)))


@lru_cache(maxsize=64)
def texts(name: str) -> Texts | None:
    """What may be tidied of the dialect of this name; ``None`` for a format that is only metered."""
    return cast("Texts | None", _module(_TEXTS.get(name)))


@lru_cache(maxsize=64)
def ends(name: str) -> Ends | None:
    """When an answer of the dialect of this name is whole; ``None`` where nobody knows."""
    return cast("Ends | None", _module(_ENDS.get(name)))


def _module(name: str | None) -> ModuleType | None:
    return None if name is None else import_module(f"ctxkit.dialects.{name}")

"""The lives that cache markers ask for: what a write may cost goes by them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ctxkit.model import Json

__all__ = ["lifetimes"]

_MARKERS = {"cache_control": "5m", "cachePoint": "5m", "prompt_cache_breakpoint": "30m"}
"""Fields that mark, and the time to live of a marker that names none (provider pages, 2026-08 to 2026-10)."""
_DEEPEST = 8  # a marker stands on a block, in a message, or on a block within a tool result


def lifetimes(marked: Iterable[Json]) -> tuple[str, ...]:
    """Times to live named by the markers inside ``marked`` values, each once: ``("5m", "1h")``."""
    return tuple(dict.fromkeys(ttl for value in marked for ttl in _within(value, _DEEPEST)))


def _within(value: Json, depth: int) -> Iterator[str]:
    if depth == 0:
        return
    if isinstance(value, dict):
        for key, item in value.items():
            if key in _MARKERS:
                ttl = item.get("ttl") if isinstance(item, dict) else None
                yield ttl if isinstance(ttl, str) else _MARKERS[key]
            elif isinstance(item, dict | list | tuple):
                yield from _within(item, depth - 1)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _within(item, depth - 1)

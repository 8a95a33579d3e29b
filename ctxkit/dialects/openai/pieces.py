"""What the caches of OpenAI's two formats share: pieces of content with their markers, and the options of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.cacheable import Ask, Block
from ctxkit.dialects.blocks import MEDIA_SIZE, mapped, said, size_of
from ctxkit.dialects.openai.parts import MARKERS, MEDIA, unmarked
from ctxkit.model import Edit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from ctxkit.cacheable import Breakpoint, Tier, Wish
    from ctxkit.model import Json, PartKind, Path

__all__ = ["given", "mark_of", "marker", "option_edits", "options_ask", "piece", "rest"]

_KINDS: dict[str, PartKind] = {
    **MEDIA,
    "text": "text",
    "input_text": "text",
    "output_text": "text",
    "refusal": "text",
    "thinking": "reasoning",
}
_TEXTS = frozenset({"text", "input_text"})
_KEYS = ("cache_salt", "session_id", "prompt_cache_key")


def piece(
    tier: Tier,
    role: str,
    path: Path,
    block: Json,
    markable: Collection[str],
    *,
    kind: PartKind | None = None,
    beside: Mapping[str, Json] | None = None,
) -> Block:
    """One piece of content: a bare text has the value of the one block of text that says the same.

    ``beside`` is what the message says beside its content (whose call it answers, a name): it belongs to every piece.
    """
    if isinstance(block, str):
        return Block(tier, role, kind or "text", path, _told(block, beside), bool(block), None, len(block))
    if not isinstance(block, dict):
        return Block(tier, role, kind or "other", path, _told(block, beside), size=size_of(block))
    name = said(block.get("type"))
    sort = _KINDS.get(name, "other")
    bare = unmarked(block)
    value = bare
    if name in _TEXTS and bare.keys() <= {"type", "text"}:
        value = said(bare.get("text"))
    size = MEDIA_SIZE if name in MEDIA else size_of(value)
    return Block(
        tier, role, kind or sort, path, _told(value, beside), name in markable and value != "", mark_of(block), size
    )


def _told(value: Json, beside: Mapping[str, Json] | None) -> Json:
    return (beside, value) if beside else value


def rest(value: Mapping[str, Json], known: Collection[str]) -> dict[str, Json]:
    """The fields of a message beside those that are known."""
    return {key: item for key, item in value.items() if key not in known and item is not None}


def mark_of(value: Json) -> str | None:
    """Time to live of a marker on ``value``, ``""`` when it names none."""
    if not isinstance(value, dict) or MARKERS.isdisjoint(value):
        return None
    marker = value.get("prompt_cache_breakpoint") or value.get("cache_control")
    return None if marker is None else said(mapped(marker).get("ttl"))


def given(values: Mapping[str, Json]) -> dict[str, Json]:
    """What the request says, of what was looked for."""
    return {name: value for name, value in values.items() if value is not None}


def options_ask(options: Mapping[str, Json], parameters: Mapping[str, Json]) -> Ask:
    """Fields that both formats have."""
    cache = mapped(options.get("prompt_cache_options"))
    mode = cache.get("mode")
    everywhere = {
        **parameters,
        **given({"service_tier": options.get("service_tier") if options.get("service_tier") != "auto" else None}),
        **({"parallel_tool_calls": False} if options.get("parallel_tool_calls") is False else {}),
    }
    session = mapped(mapped(options.get("nvext")).get("session_control")).get("session_id")
    return Ask(
        automatic=mark_of({"cache_control": options["cache_control"]}) if "cache_control" in options else None,
        mode=mode if mode in {"implicit", "explicit"} else None,
        ttl=said(cache.get("ttl")) or None,
        key=next((said(options.get(key)) for key in _KEYS if said(options.get(key))), said(session)) or None,
        retention=said(options.get("prompt_cache_retention")) or None,
        handle=said(options.get("cached_content")) or None,
        prewarm=cache.get("prewarm") is True,
        compared=said(cache.get("comparison_response_id")) or None,
        parameters={"tools": everywhere} if everywhere else {},
    )


def marker(wish: Wish, point: Breakpoint) -> dict[str, Json]:
    """The field that marks, with its value."""
    kind = {"type": "ephemeral"} if wish.marker == "cache_control" else {"mode": "explicit"}
    return {wish.marker: {**kind, "ttl": point.ttl} if point.ttl else kind}


def option_edits(options: Mapping[str, Json], wish: Wish) -> Iterator[Edit]:
    """Fields of the whole request."""
    asked = given({"mode": wish.mode, "ttl": wish.ttl})
    if asked:
        why = " ".join(filter(None, (wish.reasons.get(name) for name in asked)))
        value = {**mapped(options.get("prompt_cache_options")), **asked}
        yield Edit("replace", ("prompt_cache_options",), why, value)
    if wish.retention:
        yield Edit("replace", ("prompt_cache_retention",), wish.reasons.get("retention", ""), wish.retention)
    if wish.key and wish.key_field:
        field, *inner = wish.key_field.split(".")
        yield Edit("replace", (field,), wish.reasons.get("key", ""), _within(options.get(field), inner, wish.key))


def _within(value: Json, path: list[str], key: str) -> Json:
    """``value`` with ``key`` set at ``path`` below it; a session that is to stick has to be bound (Dynamo)."""
    if not path:
        return key
    bound = {"action": "bind"} if path == ["session_id"] else {}
    return {**bound, **mapped(value), path[0]: _within(mapped(value).get(path[0]), path[1:], key)}

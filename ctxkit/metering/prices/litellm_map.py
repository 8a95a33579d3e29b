"""Turns a LiteLLM price map (``model_prices_and_context_window.json``) into price rows, without LiteLLM.

The map is the widest one there is and knows neither dates nor hours: one price a key. Its figures are USD per token
as binary floats; the shortest decimal that reads back as the same float is what was meant. A cost of 0 is taken as
"not known", as most of them are; a model whose input is said to be free is left out and counted.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from ctxkit.metering.prices.names import provider_id
from ctxkit.metering.prices.overlay import matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Imported", "read_map", "to_toml"]

_COSTS = {
    "input_cost_per_token": "input",
    "cache_read_input_token_cost": "read",
    "cache_creation_input_token_cost": "write",
    "cache_creation_input_token_cost_above_1hr": "write_1h",
    "cache_creation_input_token_cost_above_12hr": "write_12h",
    "output_cost_per_token": "output",
    "output_cost_per_reasoning_token": "reasoning",
}
_MEDIA = {
    **{f"input_cost_per_{kind}_token": f"{kind}.fresh" for kind in ("audio", "image", "video")},
    **{f"cache_read_input_{kind}_token_cost": f"{kind}.read" for kind in ("audio", "image", "video")},
    **{f"output_cost_per_{kind}_token": f"{kind}.output" for kind in ("audio", "image", "video")},
}
_NAMES = "|".join(sorted({*_COSTS, *_MEDIA}, key=len, reverse=True))
_COST = re.compile(rf"({_NAMES})(?:_above_(\d+)k_tokens)?(?:_(batches|flex|priority|ultrafast))?")
_TIERS = {"batches": "batch"}
_KINDS = {"chat", "responses", "completion", "embedding"}
_REGION = re.compile(r"(us-gov|[a-z]{2})-[a-z]+-\d")
_UPLIFT = re.compile(r"regional_processing_uplift_multiplier_([a-z]+)")
_PER_TOKEN_TO_MTOK = 6


@dataclass(slots=True)
class Imported:
    """Rows made of a price map, as tables of the TOML form, and what was left out, by reason."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def read_map(
    prices: Mapping[str, Any],
    *,
    source: str,
    as_of: str | None = None,
    mode: Literal["replace", "fill"] = "replace",
    providers: Iterable[str] = (),
    models: Iterable[str] = (),
) -> Imported:
    """Make rows of a price map.

    Args:
        prices: the parsed JSON.
        source: what the rows say they come from.
        as_of: ISO date of the map.
        mode: ``"replace"``: these prices win; ``"fill"``: they are used only where nothing else has one.
        providers: only these (ids or platform names); empty: all.
        models: only models that fit one of these patterns; empty: all.
    """
    wanted = {provider_id(name) for name in providers}
    patterns = [pattern.lower() for pattern in models]
    made, seen = Imported(), set()
    for key, entry in prices.items():
        if key == "sample_spec":
            continue
        where = _whose(key, entry)
        if where is None or not isinstance(entry, dict):
            made.left_out["not an entry with a provider"] += 1
            continue
        provider, model, region = where
        if (wanted and provider not in wanted) or (patterns and not any(matches(p, model) for p in patterns)):
            made.left_out["not asked for"] += 1
        elif why := _unusable(key, entry):
            made.left_out[why] += 1
        elif where in seen:
            made.left_out["the same model under another key"] += 1
        else:
            seen.add(where)
            common = {"provider": provider, "model": model, **({"region": region} if region else {})}
            made.rows += _rows(common, entry, provider, {"mode": mode, "source": source, "as_of": as_of})
    return made


def _whose(key: str, entry: Any) -> tuple[str, str, str | None] | None:
    name = entry.get("litellm_provider") if isinstance(entry, dict) else None
    if not isinstance(name, str):
        return None
    base = name.partition("-")[0] if name.startswith(("vertex_ai-", "vertex_ai_")) else name
    parts = key.lower().split("/")
    if len(parts) > 1 and parts[0] in {base.lower(), name.lower(), "bedrock"}:
        parts = parts[1:]
    region = next((part for part in parts[:-1] if _REGION.fullmatch(part)), None)
    return provider_id(base), "/".join(part for part in parts if part != region), region


def _unusable(key: str, entry: Mapping[str, Any]) -> str | None:
    if entry.get("mode") not in _KINDS:
        return "not priced by tokens"
    if "commitment" in key:
        return "capacity bought in advance"
    return None if _usd(entry.get("input_cost_per_token")) else "no input price, or 0"


def _usd(value: Any) -> Decimal | None:
    """USD per million tokens of a cost per token; ``None`` for nothing, 0 and what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        return None
    usd = Decimal(repr(value)).scaleb(_PER_TOKEN_TO_MTOK)
    return usd if usd.is_finite() else None


def _rows(
    common: dict[str, Any], entry: Mapping[str, Any], provider: str, last: dict[str, Any]
) -> Iterable[dict[str, Any]]:
    last = {name: value for name, value in last.items() if value is not None}
    for tier, figures in _figures(entry).items():
        base = figures.pop(0, {})
        if "input" in base:
            beyond = [_beyond(base, figures[above], above, provider) for above in sorted(figures)]
            yield {
                **common,
                **({} if tier == "standard" else {"tier": tier}),
                **_table(base),
                **_beside(entry),
                **last,
                **({"beyond": beyond} if beyond else {}),
            }
    yield from _surcharges(common, entry, last)


def _figures(entry: Mapping[str, Any]) -> dict[str, dict[int, dict[str, Decimal]]]:
    """USD per million tokens by tier, by threshold (0 for none) and by name, in one flat table each."""
    tiers: dict[str, dict[int, dict[str, Decimal]]] = {}
    for name, value in entry.items():
        found = _COST.fullmatch(name)
        if found and (usd := _usd(value)) is not None:
            tier = _TIERS.get(found[3], found[3]) if found[3] else "standard"
            threshold = int(found[2] or 0) * 1_000
            tiers.setdefault(tier, {}).setdefault(threshold, {})[_COSTS.get(found[1]) or _MEDIA[found[1]]] = usd
    return tiers


def _table(figures: Mapping[str, Decimal]) -> dict[str, Any]:
    """Figures as a row holds them; a modality that costs what its bucket costs is left out."""
    plain = {"fresh": "input", "read": "read", "output": "output"}
    table: dict[str, Any] = {name: figures[name] for name in _COSTS.values() if name in figures}
    media = {
        name: usd for name, usd in figures.items() if "." in name and usd != figures.get(plain[name.partition(".")[2]])
    }
    return {**table, **({"media": media} if media else {})}


def _beyond(base: Mapping[str, Decimal], figures: dict[str, Decimal], above: int, provider: str) -> dict[str, Any]:
    """The prices beyond a threshold. A cliff moves every bucket: what the map leaves out moves as the input does."""
    if "input" in figures:
        for name in ("read", "write", "write_1h", "write_12h"):
            if name in base and name not in figures:
                figures[name] = base[name] * figures["input"] / base["input"]
    # xAI's thresholds are inclusive (https://docs.x.ai/docs/models); everybody else's are not.
    return {"from" if provider == "x-ai" else "above": above, **_table(figures)}


def _beside(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What is told beside the prices: an embedding has no output, a window, the longest answer, web searches."""
    rest: dict[str, Any] = {"output": Decimal(0)} if entry.get("mode") == "embedding" else {}
    for name, key in (("max_input_tokens", "context_window"), ("max_output_tokens", "max_output")):
        if isinstance(entry.get(name), int) and entry[name] > 0:
            rest[key] = entry[name]
    search = entry.get("search_context_cost_per_query")
    figures = {_usd(value) for value in search.values()} if isinstance(search, dict) else set()
    if len(figures) == 1 and (usd := figures.pop()) is not None:  # else it hangs on the size of the search
        rest["calls"] = {"web_search": usd.scaleb(-3)}
    return rest


def _surcharges(common: dict[str, Any], entry: Mapping[str, Any], last: dict[str, Any]) -> Iterable[dict[str, Any]]:
    last = {name: value for name, value in last.items() if name != "mode"}
    extra = entry.get("provider_specific_entry")
    regions = {"us": extra["us"]} if isinstance(extra, dict) and "us" in extra else {}
    regions |= {found[1]: value for name, value in entry.items() if (found := _UPLIFT.fullmatch(name))}
    if "regional_endpoint_uplift_multiplier" in entry:
        regions["!global"] = entry["regional_endpoint_uplift_multiplier"]
    for region, factor in regions.items():
        if isinstance(factor, int | float) and factor > 0:
            yield {**common, "tier": "*", "region": region, "factor": Decimal(repr(factor)), **last}


def to_toml(rows: Iterable[Mapping[str, Any]], note: str = "") -> str:
    """Rows as the text of a price file; :func:`ctxkit.metering.prices.overlay.read_rows` reads it back."""
    lines = [f"# {line}" if line else "#" for line in note.splitlines()]
    for row in rows:
        lines += ["", "[[price]]", *_fields(row)]
        for tier in row.get("beyond", ()):
            lines += ["[[price.beyond]]", *_fields(tier)]
    return "\n".join(lines) + "\n"


def _fields(table: Mapping[str, Any]) -> Iterable[str]:
    for name, value in table.items():
        if name == "as_of":
            yield f"as_of = {value}"
        elif isinstance(value, dict):
            inner = ", ".join(f"{_text(key)} = {_value(usd)}" for key, usd in value.items())
            yield f"{name} = {{ {inner} }}"
        elif name != "beyond":
            yield f"{name} = {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, Decimal):
        return f'"{value.normalize():f}"'
    return str(value) if isinstance(value, int) else _text(str(value))


def _text(text: str) -> str:
    """A TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c >= " " and c != "\x7f" else f"\\u{ord(c):04x}" for c in escaped) + '"'

"""Find the rule for a request: shipped rows, and a user's own on top."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ctxkit.caching.rules.names import model_name, upstream_of
from ctxkit.caching.rules.table import Row, Table, build, read, said

if TYPE_CHECKING:
    from ctxkit.caching.rules.rule import Rule

__all__ = ["find", "load", "shipped"]

_FILE = Path(__file__).parents[1] / "data" / "rules.toml"


@lru_cache(maxsize=1)
def shipped() -> Table:
    """The table that comes with ctxkit; read on first use."""
    return read(_FILE)


def load(path: str | Path) -> Table:
    """A user's own rules, for ``find(..., overrides=...)``.

    Rows with the id of a shipped one change what they name; others come before the shipped ones.

    Raises:
        ConfigurationError: naming the file, the row and the key that is wrong.
    """
    return read(Path(path).expanduser(), shipped())


@lru_cache(maxsize=2048)
def find(
    platform: str, model: str, *, dialect: str = "", mode: str | None = None, overrides: Table | None = None
) -> Rule | None:
    """How ``platform`` caches ``model``; ``None`` when nobody has described it: it is never guessed.

    Args:
        platform: who serves it (``"anthropic"``, ``"bedrock"``, ``"openrouter"``, ...).
        model: as asked for, in any spelling.
        dialect: wire format, where the cache differs by it.
        mode: ``"implicit"`` or ``"explicit"`` where a provider has both: what the request asks for. Without it the
            one that holds when a request asks for nothing; for a cache that does both at once, the explicit one.
        overrides: a user's own table, of :func:`load`.

    >>> find("anthropic", "claude-opus-5").minimum, find("anthropic", "claude-opus-99")
    (512, None)
    """
    model = overrides.same_as.get(model.strip().lower(), model) if overrides else model
    name = model_name(model)
    if not name:
        return None
    own = overrides.rows if overrides else ()
    place = shipped().aliases.get(platform.strip().lower(), platform.strip().lower())
    known = {row.id for row in shipped().rows}
    rows = (*(row for row in own if row.id not in known), *shipped().rows)
    patches = [row for row in own if row.id in known]
    row = next((row for row in rows if row.about(place, name, mode)), None)
    if row is None:
        return None
    if row.upstream:
        return _passed_through(row, model, name, dialect, mode, overrides)
    return build(
        row, name, dialect, [patch for patch in patches if patch.id == row.id and patch.about(place, name, mode)]
    )


def _passed_through(
    row: Row, model: str, name: str, dialect: str, mode: str | None, overrides: Table | None
) -> Rule | None:
    """The upstream's rule, seen through a gateway: what the gateway's row says holds before it."""
    upstream = row.upstream.get(upstream_of(model))
    rule = find(upstream, model, dialect=dialect, mode=mode, overrides=overrides) if upstream else None
    if rule is None:
        return None
    patches = [patch for patch in (overrides.rows if overrides else ()) if patch.id == row.id]
    gate = build(row, name, dialect, patches)
    told = {key for source in (row, *patches) for key, _ in said(source, name, dialect)}
    named = {key: getattr(gate, key) for key in told - {"provider", "match"}}
    named["isolation"] = tuple(dict.fromkeys((*rule.isolation, *gate.isolation)))
    named["notes"] = (*rule.notes, *gate.notes)
    return replace(rule, **{**named, "id": f"{row.id}/{rule.id}", "claims": {**rule.claims, **gate.claims}})

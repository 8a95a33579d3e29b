"""Find the rule for a request: shipped rows, and a user's own on top."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.caching.rules.names import model_name, upstream_of
from ctxkit.caching.rules.table import Row, Table, build, read, said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxkit.cacheable import Ask
    from ctxkit.caching.rules.rule import Rule

__all__ = ["find", "load", "mode_of", "shipped"]

_MATCHES = {"marked": "marks", "handle": "handle"}
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
        mode: ``"implicit"`` or ``"explicit"`` where a provider has both: what the request asks for (see
            :func:`mode_of`); ``"marked"`` and ``"handle"`` are explicit where markers or handles are what makes it so.
            Without it the one that holds when a request asks for nothing; for a cache that does both at once, the
            explicit one.
        overrides: a user's own table, of :func:`load`.

    >>> find("anthropic", "claude-opus-5").minimum, find("anthropic", "claude-opus-99")
    (512, None)
    """
    tables = _Tables(shipped(), overrides)
    model = tables.meant(model)
    name, place = model_name(model), tables.place(platform)
    row = tables.row(place, name, mode) if name else None
    if row is None:
        return None
    patches = [patch for patch in tables.patches(row.id) if patch.about(place, name, row.mode)]
    if not row.upstream:
        return build(row, name, dialect, patches)
    upstream = row.upstream.get(upstream_of(model))
    rule = find(upstream, model, dialect=dialect, mode=mode, overrides=overrides) if upstream else None
    return _through(row, patches, name, dialect, rule) if rule else None


def mode_of(ask: Ask, *, marked: bool) -> str | None:
    """Which of a provider's caches a request asks for, as ``mode`` of :func:`find`.

    Args:
        ask: what it says beside its markers.
        marked: it carries markers.
    """
    if ask.mode is not None:
        return ask.mode
    if ask.handle:
        return "handle"
    return "marked" if marked or ask.automatic is not None else None


class _Tables(NamedTuple):
    """The shipped table under a user's own."""

    base: Table
    own: Table | None

    def meant(self, model: str) -> str:
        """What a deployment stands for."""
        return self.own.same_as.get(model.strip().lower(), model) if self.own else model

    def place(self, platform: str) -> str:
        name = platform.strip().lower()
        return self.base.aliases.get(name, name)

    def row(self, place: str, name: str, mode: str | None) -> Row | None:
        """The first row that is about a model; of several modes the one that is asked for."""
        wanted = _MATCHES.get(mode or "")
        if wanted is None:
            return next((row for row in self.rows() if row.about(place, name, mode)), None)
        explicit = (row for row in self.rows() if row.mode == "explicit" and row.match == wanted)
        return next((row for row in explicit if row.about(place, name, None)), None) or self.row(place, name, None)

    def rows(self) -> Iterator[Row]:
        """A user's own before the shipped ones; those that only change others are none."""
        known = {row.id for row in self.base.rows}
        if self.own:
            yield from (row for row in self.own.rows if row.id not in known)
        yield from self.base.rows

    def patches(self, name: str) -> Iterator[Row]:
        """A user's changes of a shipped row."""
        if self.own and any(row.id == name for row in self.base.rows):
            yield from (row for row in self.own.rows if row.id == name)


def _through(row: Row, patches: list[Row], name: str, dialect: str, rule: Rule) -> Rule:
    """The upstream's rule, seen through a gateway: what the gateway's row says holds before it."""
    gate = build(row, name, dialect, patches)
    told = {key for source in (row, *patches) for key, _ in said(source, name, dialect)}
    named = {key: getattr(gate, key) for key in told - {"provider", "match"}}
    named["isolation"] = tuple(dict.fromkeys((*rule.isolation, *gate.isolation)))
    named["notes"] = (*rule.notes, *gate.notes)
    return replace(rule, **{**named, "id": f"{row.id}/{rule.id}", "claims": {**rule.claims, **gate.claims}})

"""Tables of rules: TOML in, one :class:`Rule` per platform, model, dialect and mode out.

The shipped table and a user's own have the same form::

    [[rule]]
    id = "example.cache"            # an id of the shipped table: only what stands here is changed
    platforms = ["example"]         # who serves
    models = ["example-*"]          # names as rules know them: no vendor, date or version, dots as dashes
    match = "prefix"
    provider = "example"
    minimum = [                     # a value, or what each source says: the pessimistic claim counts
        { value = 1024, source = "docs.example.com/caching", as_of = "2026-11-20" },
        { value = 2048, source = "own measurements" },
    ]

    [[rule.when]]                   # what differs for some models or wire formats; later ones win
    models = ["example-large*"]
    minimum = 4096

    [same_as]                       # names that say nothing of the model behind them
    our-deployment = "gpt-5.6-sol"
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from fnmatch import translate
from typing import TYPE_CHECKING, Any

from ctxkit.caching.rules.fields import FIELDS, Source, Value, read_field
from ctxkit.caching.rules.rule import Claim, Rule
from ctxkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["Row", "Table", "build", "parse", "read", "said"]

_OWN = {"id", "platforms", "models", "mode", "like", "source", "when", "upstream"}
_REQUIRED = ("provider", "match")


@dataclass(frozen=True, slots=True)
class When:
    """What differs for some models or wire formats."""

    models: re.Pattern[str] | None
    dialects: frozenset[str]
    values: Mapping[str, Value]

    def holds(self, name: str, dialect: str) -> bool:
        """Whether it is about this model in this wire format."""
        if self.dialects and dialect not in self.dialects:
            return False
        return self.models is None or self.models.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table.

    Attributes:
        id: of the rule.
        mode: ``"implicit"`` or ``"explicit"``, where a provider has both; ``""``: the only one.
        platforms: who serves it; empty in a row that changes another.
        models: names it is about; ``None`` in a row that changes another whatever the model.
        cases: its fields, and what differs for some; later ones win.
        upstream: whose rules hold by the prefix of a model's name (gateways).
        named: the row itself says which models; else they are those of its cases.
    """

    id: str
    mode: str
    platforms: frozenset[str]
    models: re.Pattern[str] | None
    cases: tuple[When, ...] = ()
    upstream: Mapping[str, str] = field(default_factory=dict)
    named: bool = False

    @property
    def match(self) -> str:
        """Where a cached prefix may end, whatever the model."""
        found = [case.values["match"].value for case in self.cases if case.models is None and "match" in case.values]
        return str(found[-1]) if found else ""

    def about(self, platform: str, name: str, mode: str | None) -> bool:
        """Whether it is about this model there, and about the mode where one is asked for."""
        if self.platforms and platform not in self.platforms:
            return False
        if mode and self.mode and mode != self.mode:
            return False
        return self.models is None or self.models.fullmatch(name) is not None


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows, the first that is about a model holds; other names of platforms; what deployments stand for."""

    rows: tuple[Row, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)
    same_as: Mapping[str, str] = field(default_factory=dict)


def read(file: Path, known: Table | None = None) -> Table:
    """The table of a file.

    Args:
        file: TOML.
        known: the shipped table, when this one may change its rows.

    Raises:
        ConfigurationError: the file cannot be read, or says what no row can say; names file, row and key.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror or error}; check cache_rules") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{file} is not TOML: {error}") from None
    return parse(content, str(file), known)


def parse(content: Mapping[str, Any], file: str, known: Table | None = None) -> Table:
    """The table of a parsed file; see :func:`read`."""
    extra = set(content) - {"rule", "sources", "aliases", "same_as"}
    if extra:
        raise ConfigurationError(f"{file}: unknown key {min(extra)!r}; a rules file holds [[rule]] and [same_as]")
    if not isinstance(content.get("rule", []), list):
        raise ConfigurationError(f"{file}: 'rule' is one table; write [[rule]] with double brackets")
    try:
        reader = _Reader(file, _sources(_of(content, "sources")), known)
        aliases, same = _names_of(_of(content, "aliases")), _names_of(_of(content, "same_as"))
    except _Wrong as wrong:
        raise ConfigurationError(f"{file}: {wrong}") from None
    for item in content.get("rule", []):
        reader.row(item)
    return Table(tuple(reader.rows.values()), aliases, same)


def _sources(given: Mapping[str, Any]) -> dict[str, Source]:
    try:
        return {name: Source(item["name"], item.get("as_of", "")) for name, item in given.items()}
    except (TypeError, KeyError, AttributeError):
        raise _Wrong("key 'sources': expected tables with a name") from None


def _of(content: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = content.get(key, {})
    if not isinstance(found, dict):
        raise _Wrong(f"key {key!r}: expected a table")
    return found


def _names_of(table: Mapping[str, Any]) -> dict[str, str]:
    for name, value in table.items():
        if not isinstance(value, str):
            raise _Wrong(f"key {name!r}: expected the name of a model")
    return {name.lower(): value for name, value in table.items()}


class _Reader:
    """Reads the rows of one file; a row may be like one before it."""

    def __init__(self, file: str, sources: Mapping[str, Source], known: Table | None) -> None:
        self.file, self.sources = file, sources
        self.known = {row.id: row for row in known.rows} if known else {}
        self.rows: dict[str, Row] = {}

    def row(self, item: Mapping[str, Any]) -> None:
        name = item.get("id") if isinstance(item, dict) else None
        if not isinstance(name, str) or not name:
            raise ConfigurationError(f"{self.file}: a [[rule]] has no 'id'; give it one, or that of the row it changes")
        if name in self.rows:
            raise ConfigurationError(f"{self.file}: two rows have the id {name!r}; join them or rename one")
        try:
            self.rows[name] = self._read(name, item)
        except _Wrong as wrong:
            raise ConfigurationError(f"{self.file}: rule {name!r}, {wrong}") from None

    def _read(self, name: str, item: Mapping[str, Any]) -> Row:
        parent = self._parent(item)
        own = When(None, frozenset(), self._values(item, _OWN))
        source = {"source": item["source"]} if "source" in item else {}
        whens = ({**source, **each} for each in _tables(item, "when"))
        cases = (*(parent.cases if parent else ()), own, *map(self._when, whens))
        platforms = frozenset(_names(item, "platforms")) or (parent.platforms if parent else frozenset())
        named = _named(item, parent)
        models = named if named or name in self.known else _any_of(cases)
        row = Row(name, _mode(item), platforms, models, cases, _names_of(_of(item, "upstream")), named is not None)
        if name not in self.known:
            _complete(row)
        return row

    def _parent(self, item: Mapping[str, Any]) -> Row | None:
        like = item.get("like")
        if like is None:
            return None
        found = {**self.known, **self.rows}.get(like) if isinstance(like, str) else None
        if found is None:
            raise _Wrong(f"key 'like': no row {like!r} is shipped or stands before it in this file")
        return found

    def _when(self, item: Mapping[str, Any]) -> When:
        own = {"models", "dialects", "source"}
        names, dialects = _names(item, "models"), _names(item, "dialects")
        if not names and not dialects:
            raise _Wrong("key 'when': name the models or the dialects that it is about")
        return When(_pattern(names) if names else None, frozenset(dialects), self._values(item, own))

    def _values(self, item: Mapping[str, Any], own: set[str]) -> dict[str, Value]:
        given = item.get("source", self.file)
        if not isinstance(given, str):
            raise _Wrong("key 'source': expected text")
        source = self.sources.get(given) or Source(given, str(item.get("as_of", "")))
        values = {}
        for key, value in item.items():
            if key in own:
                continue
            if key not in FIELDS:
                raise _Wrong(f"key {key!r} is not known; known keys: {', '.join(sorted(_OWN | set(FIELDS)))}")
            try:
                values[key] = read_field(key, value, source, self.sources)
            except ValueError as error:
                raise _Wrong(f"key {key!r}: {error}") from None
        return values


class _Wrong(Exception):  # noqa: N818 - what is wrong with a row, before file and row are told
    pass


def _complete(row: Row) -> None:
    told = {key for case in row.cases for key in case.values} | (set(_REQUIRED) if row.upstream else set())
    missing = [name for name in _REQUIRED if name not in told]
    missing += [name for name, given in (("platforms", row.platforms), ("models", row.models)) if not given]
    if missing:
        raise _Wrong(f"which no shipped row is called, lacks {', '.join(missing)}; add them, or use the id of a row")


def _named(item: Mapping[str, Any], parent: Row | None) -> re.Pattern[str] | None:
    """The models that a row itself names, or the one that it is like."""
    given = _names(item, "models")
    if given:
        return _pattern(given)
    return parent.models if parent and parent.named else None


def _mode(item: Mapping[str, Any]) -> str:
    mode = item.get("mode", "")
    if mode not in ("", "implicit", "explicit"):
        raise _Wrong("key 'mode': expected 'implicit' or 'explicit'")
    return str(mode)


def _names(item: Mapping[str, Any], key: str) -> list[str]:
    given = item.get(key, [])
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise _Wrong(f"key {key!r}: expected a list of names")
    return given


def _tables(item: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    given = item.get(key, [])
    if not isinstance(given, list) or not all(isinstance(table, dict) for table in given):
        raise _Wrong(f"key {key!r}: expected tables [[rule.{key}]]")
    return given


def _pattern(names: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(translate(name.lower().replace(".", "-")) for name in names))


def _any_of(cases: Iterable[When]) -> re.Pattern[str] | None:
    """A row that names no models is about those of its cases."""
    patterns = [case.models.pattern for case in cases if case.models is not None]
    return re.compile("|".join(patterns)) if patterns else None


def build(row: Row, name: str, dialect: str, patches: Iterable[Row] = ()) -> Rule:
    """The rule of a row for one model in one wire format, with what a user changed of it."""
    values: dict[str, Any] = {"provider": "", "match": "prefix"} if row.upstream else {}
    claims: dict[str, tuple[Claim, ...]] = {}
    for key, value in said(row, name, dialect):
        values[key] = value.value
        claims = {known: claim for known, claim in claims.items() if not known.startswith(f"{key}.")}
        claims.update(value.claims)
    for patch in patches:  # of a table, a user's row changes only the entries that it names
        for key, value in said(patch, name, dialect):
            values[key] = {**values.get(key, {}), **value.value} if isinstance(value.value, dict) else value.value
            claims.update(value.claims)
    return Rule(id=row.id, **values, claims=claims)


def said(row: Row, name: str, dialect: str) -> Iterator[tuple[str, Value]]:
    """What a row says of a model in a wire format, later words winning."""
    for case in row.cases:
        if case.holds(name, dialect):
            yield from case.values.items()

"""Rule sheets of the pages in docs/reference/providers/, from ctxkit/caching/data/rules.toml; see reference.py.

A page names the rows it shows: ``<!-- rules: anthropic.direct -->``; what stands up to ``<!-- end of rules -->`` is written anew.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctxkit.caching.rules.finding import shipped
from ctxkit.caching.rules.rule import Claim, Rule
from ctxkit.caching.rules.table import build

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ctxkit.caching.rules.table import Row, When

__all__ = ["filled", "shown"]

_TABLE = Path(__file__).parent.parent / "ctxkit" / "caching" / "data" / "rules.toml"
_SHEET = re.compile(r"(<!-- rules: (?P<rows>[^>]+) -->\n).*?(<!-- end of rules -->)", re.DOTALL)
_TIERS = ("tools", "system", "messages")
_WORDS = {
    "match": "a cached prefix may end",
    "automatic": "caches without being asked",
    "marker": "marker",
    "tiers": "markers stand on",
    "top_level": "marker at the top level",
    "slots": "markers that write, per request",
    "excess": "more of them are",
    "lookback": "positions looked at per marker",
    "lookback_unit": "a position is a",
    "endings": "earlier message endings looked up",
    "opening": "the opening is shared between conversations",
    "candidates": "latest markers looked up",
    "first_candidates": "first markers looked up",
    "interval": "tokens between boundaries",
    "minimum": "least tokens cached",
    "floor": "least tokens anybody saw read",
    "granularity": "reads are a multiple of",
    "hidden": "tokens before the prompt that are not reported",
    "lives": "lives",
    "ttl": "life when none is asked for",
    "life": "these lives are",
    "longer_first": "a longer life stands first",
    "refresh": "a read begins the life anew",
    "refresh_asked": "with the life that the reader asks for",
    "visible": "can be read once",
    "appears": "seconds until then",
    "write": "price of a write, in input tokens",
    "read": "price of a read, in input tokens",
    "storage": "rent by time",
    "isolation": "kept apart by",
    "guaranteed": "hits are promised",
    "certain": "hits are near-certain",
    "key_field": "key",
    "key_header": "header",
    "key_separates": "keys keep entries apart",
    "strips_thinking": "a user turn removes earlier thinking",
    "parameters_break_all": "thinking and effort change tools and system, too",
    "prewarm": "prewarming",
}
_PLAIN = frozenset({"provider", "usage", "as_of", "notes"})  # whoever says so
_MATCHES = {
    "marks": "at a marker",
    "endings": "at markers and at endings of messages",
    "intervals": "every so many tokens",
    "units": "at ends of earlier inputs and outputs",
    "prefix": "anywhere",
    "handle": "at the end of an object made for it",
}
_VISIBLE = {
    "starts": "the request starts",
    "begins": "the answer begins",
    "ends": "the answer has ended",
    "seconds": "some seconds have passed",
}
_LASTING = (("h", 3600), ("min", 60), ("s", 1))
_ALWAYS = frozenset({"match", "automatic", "minimum", "lives", "refresh", "visible", "write", "read", "isolation"})
_DEFAULTS = {field.name: field.default for field in fields(Rule) if field.default is not MISSING}


def filled(file: Path) -> str:
    """The text of a page with its rule sheets as the table has them now."""
    rows = {row.id: row for row in shipped().rows}
    content = tomllib.loads(_TABLE.read_text(encoding="utf-8"))
    raw = {item["id"]: item for item in content["rule"]}

    here = shown(file)

    def sheets(found: re.Match[str]) -> str:
        told = [
            _sheet(rows[name], raw, content["sources"], rows.get(_parent(raw[name], here)))
            for name in found["rows"].split()
        ]
        return f"{found[1]}\n" + "\n".join(told) + f"\n{found[3]}"

    return _SHEET.sub(sheets, file.read_text(encoding="utf-8"))


def _parent(item: Mapping[str, Any], here: list[str]) -> str:
    """The row that this one is like, when the same page shows it."""
    like = item.get("like", "")
    return like if like in here else ""


def shown(file: Path) -> list[str]:
    """Ids of the rows that a page shows."""
    return [name for found in _SHEET.finditer(file.read_text(encoding="utf-8")) for name in found["rows"].split()]


def _sheet(row: Row, raw: Mapping[str, Any], sources: Mapping[str, Any], like: Row | None) -> str:
    rule, item = build(row, "", ""), raw[row.id]
    source = sources.get(item.get("source"), {"name": item.get("source", "")})
    lines = [f"### `{row.id}`", "", " ".join(_about(row, item, source, rule.as_of)), ""]
    figures = list(_figures(rule, build(like, "", "") if like else None, gateway=bool(row.upstream)))
    if like:
        lines += [f"As `{like.id}`, and what stands here:" if figures else f"As `{like.id}`.", ""]
    lines += ["| what | value |", "|---|---|", *(f"| {what} | {value} |" for what, value in figures)] if figures else []
    inherited = len(like.cases) if like else 0
    cases = list(_cases(row, raw, inherited))
    lines += _differing(cases)
    told = _plain(row.cases[inherited:])
    lines += _claimed([("", told), *((label, case.values) for label, case in cases)], source["name"])
    lines += ["", "Notes:", "", *(f"- {note}" for note in rule.notes)] if "notes" in told else []
    return "\n".join(lines) + "\n"


def _about(row: Row, item: Mapping[str, Any], source: Mapping[str, str], as_of: str) -> Iterator[str]:
    yield f"Platforms: {_names(row.platforms)}."
    if "models" in item:
        yield f"Models: {_names(item['models'])}."
    yield f"Source, where no other is named: {source['name']}" + (f", {source['as_of']}." if "as_of" in source else ".")
    yield f"Row of {as_of}."


def _figures(rule: Rule, like: Rule | None, *, gateway: bool) -> Iterator[tuple[str, str]]:
    """What holds for all models of a row, as far as it is said; beside another row, or of a gateway, what differs."""
    for name, what in _WORDS.items():
        value = getattr(rule, name)
        told = value != _DEFAULTS.get(name, ()) and value not in ((), {}, frozenset())
        if gateway and name == "match":
            continue  # as its upstream has it
        if value != getattr(like, name) if like else told or (name in _ALWAYS and not gateway):
            yield what, _said(name, value)


def _cases(row: Row, raw: Mapping[str, Any], begin: int) -> Iterator[tuple[str, When]]:
    """What differs for some models or wire formats, with their names."""
    named = list(_raw_cases(row.id, raw))
    for place, (case, item) in enumerate(zip(row.cases, named, strict=True)):
        if place < begin or (case.models is None and not case.dialects):
            continue
        later = {
            key for other in row.cases[place:] if other.models is None and not other.dialects for key in other.values
        }
        told = [name for name in item.get("models", []) if _within(row, name)]
        if {*case.values} - later and (told or case.dialects):
            values = {key: value for key, value in case.values.items() if key not in later}
            yield _names([*told, *item.get("dialects", [])]), type(case)(case.models, case.dialects, values)


def _raw_cases(name: str, raw: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    item = raw[name]
    if "like" in item:
        yield from _raw_cases(item["like"], raw)
    yield item
    yield from item.get("when", [])


def _within(row: Row, pattern: str) -> bool:
    """Whether a row is about some of the names that a pattern stands for."""
    one = re.sub(r"\[(.)[^]]*\]", r"\1", re.sub(r"\[![^]]*\]", "x", pattern)).replace(".", "-")
    return row.models is None or any(row.models.fullmatch(one.replace("*", rest)) for rest in ("", "a", "-a"))


def _plain(cases: Iterable[When]) -> dict[str, Any]:
    """What is said of all models, later words winning."""
    return {
        key: value for case in cases if case.models is None and not case.dialects for key, value in case.values.items()
    }


def _differing(cases: Iterable[tuple[str, When]]) -> list[str]:
    lines = [
        f"| {label} | " + "; ".join(f"{_WORDS[key]}: {_said(key, value.value)}" for key, value in told) + " |"
        for label, case in cases
        if (told := [(key, value) for key, value in case.values.items() if key in _WORDS])
    ]
    return ["", "| for | what differs |", "|---|---|", *lines] if lines else []


def _claimed(values: Iterable[tuple[str, Mapping[str, Any]]], source: str) -> list[str]:
    """Who says what, where sources disagree; and who else is a source."""
    table, others = [], dict[str, dict[str, None]]()
    for label, told in values:
        for name, claims in ((name, claims) for value in told.values() for name, claims in value.claims.items()):
            disagree = len({repr(claim.value) for claim in claims}) > 1
            if name.partition(".")[0] in _PLAIN:
                continue
            for claim in claims:
                if disagree:
                    table.append(_claim(label, name, claim))
                elif claim.source != source:
                    others.setdefault(_dated(claim), {}).setdefault(_field(name))
    lines = ["", "Where sources disagree, the most pessimistic claim that counts holds:", ""] if table else []
    lines += ["| what | for | value | who says so | |", "|---|---|---|---|---|", *table] if table else []
    found = [f"- {'; '.join(names)}: {who}" for who, names in others.items()]
    return [*lines, *(["", "From other sources than that of the row:", "", *found] if found else [])]


def _claim(label: str, name: str, claim: Claim) -> str:
    value = _said(name, claim.value)
    return (
        f"| {_field(name)} | {label} | {value} | {_dated(claim)} | {claim.aside and f'does not count: {claim.aside}'} |"
    )


def _dated(claim: Claim) -> str:
    return f"{claim.source}, {claim.as_of}" if claim.as_of else claim.source


def _field(name: str) -> str:
    base, _, ttl = name.partition(".")
    return _WORDS[base] + (f", {ttl}" if ttl else "")


def _said(name: str, value: Any) -> str:
    base, _, entry = name.partition(".")
    if value is None and base in ("marker", "key_field", "key_header", "prewarm"):
        return "none"
    if value is None or value in ("unknown", {}, ""):
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if base == "match":
        return _MATCHES[value]
    if base == "visible":
        return _VISIBLE[value]
    if isinstance(value, frozenset):
        return ", ".join(tier for tier in _TIERS if tier in value)
    return _figure(base, value, told=bool(entry))


def _figure(name: str, value: Any, *, told: bool = False) -> str:
    if isinstance(value, dict):
        return ", ".join(
            f"{f'`{ttl}` ' if ttl else ''}{_figure(name, entry, told=True)}" for ttl, entry in value.items()
        )
    if name == "lives" and told:
        return _lasting(value)
    if name == "hidden" and value != "unknown":
        return f"{value[0]} to {value[1]}"
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value))
    if isinstance(value, str):
        return f"`{value}`" if name in ("marker", "key_field", "key_header", "ttl", "prewarm") else value
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _lasting(seconds: float) -> str:
    unit, size = next((unit, size) for unit, size in _LASTING if seconds % size == 0)
    return f"{seconds / size:g} {unit}"


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in (sorted(names) if isinstance(names, frozenset) else names))

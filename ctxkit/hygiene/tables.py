"""Arrays of alike objects as tables: each key said once, and what is the same in all of them said once.

``[{"id": 1, "at": {"x": 0, "y": 5}, "ok": true}, ...]`` becomes
``{"all":{"ok":true},"columns":["id","at.x","at.y"],"rows":[[1,0,5],...]}``. Arrays of such arrays become ``groups`` of rows,
an object of alike objects has rows by its keys. Strings and numbers stay byte for byte; :func:`untable` gives the value
back. Who reads it is told by one phrase in front.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PHRASE", "tabled", "untable"]

PHRASE: Final = "(alike objects as tables) "
"""Stands in front of a value that has tables."""

_LARGEST: Final = 2_000_000  # characters of a value that is looked at
_DEEPEST: Final = 40
_LEAST: Final = 2  # rows of a table
_SAME: Final = 3  # rows from which on it is said once what is the same in all
_SHARE: Final = 0.85  # of the plain form that a table may have at most
_TOKEN: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"|[{}\[\]]|[^\s{}\[\],:"]++', re.DOTALL)

_Node: TypeAlias = "str | list[_Node] | dict[str, _Node]"


class _Column(NamedTuple):
    name: str
    cells: list[str]


class _OddError(Exception):
    """A value that would not come back as it was."""


def tabled(value: str) -> str | None:
    """One JSON value without white space and with tables, where those make it shorter; no phrase in front.

    Args:
        value: text that is known to be JSON.
    """
    if len(value) > _LARGEST or value.count("{") < _LEAST:
        return None
    try:
        made = _Writer().written(_parsed(value))
    except _OddError:
        return None
    return made if '"columns":[' in made else None


def untable(text: str) -> Any:
    """The value that stands behind the phrase, without tables.

    Raises:
        ValueError: there is none.
    """
    _, phrase, value = text.partition(PHRASE)
    if not phrase:
        raise ValueError(f"no {PHRASE!r} in the text")
    return _untabled(json.loads(value))


def _parsed(value: str) -> _Node:
    """Strings and numbers as they are written."""
    top: list[_Node] = []
    open_: list[list[_Node]] = [top]
    for part in _TOKEN.findall(value):
        if part in "[{":
            if len(open_) > _DEEPEST:
                raise _OddError
            open_.append([])
        elif part in "]}":
            inner = open_.pop()
            open_[-1].append(inner if part == "]" else _object(inner))
        else:
            open_[-1].append(part)
    return top[0]


def _object(inner: list[_Node]) -> dict[str, _Node]:
    found = dict(zip(inner[::2], inner[1::2], strict=True))
    if len(found) * 2 != len(inner) or '"columns"' in found:
        raise _OddError
    return found  # type: ignore[return-value] # keys are strings


class _Writer:
    """Writes each value once, however often it is looked at."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}

    def written(self, node: _Node) -> str:
        if isinstance(node, str):
            return node
        known = self._known.get(id(node))
        if known is None:
            known = self._known[id(node)] = self._list(node) if isinstance(node, list) else self._map(node)
        return known

    def _list(self, node: list[_Node]) -> str:
        plain = f"[{','.join(map(self.written, node))}]"
        if _are_rows(node):
            return self._better(plain, node, lambda rows: f'"rows":[{",".join(rows)}]')
        if len(node) > 1 and all(isinstance(group, list) and _are_objects(group) for group in node):
            flat = [row for group in node for row in group]
            return self._better(plain, flat, lambda rows: f'"groups":[{_grouped(rows, node)}]')
        return plain

    def _map(self, node: dict[str, _Node]) -> str:
        plain = f"{{{','.join(f'{key}:{self.written(value)}' for key, value in node.items())}}}"
        values = list(node.values())
        if not _are_rows(values):
            return plain
        return self._better(
            plain,
            values,
            lambda rows: f'"rows":{{{",".join(f"{key}:{row}" for key, row in zip(node, rows, strict=True))}}}',
        )

    def _better(self, plain: str, rows: Sequence[Any], laid_out: Any) -> str:
        columns = self._columns(rows, "")
        if columns is None:
            return plain
        same, other = _parted(columns)
        table = laid_out([f"[{','.join(cells)}]" for cells in zip(*(one.cells for one in other), strict=True)])
        once = f'"all":{{{",".join(f"{one.name}:{one.cells[0]}" for one in same)}}},' if same else ""
        names = ",".join(one.name for one in other)
        made = f'{{{once}"columns":[{names}],{table}}}'
        return made if len(made) <= _SHARE * len(plain) else plain

    def _columns(self, rows: Sequence[dict[str, _Node]], before: str) -> list[_Column] | None:
        """Of each key its cells; ``None``: the objects are not alike."""
        keys = rows[0].keys()
        if not keys or any(row.keys() != keys for row in rows) or any("." in key or "\\" in key for key in keys):
            return None
        found: list[_Column] = []
        for key in keys:
            cells = [row[key] for row in rows]
            name = f"{before}{key[1:-1]}"
            inner = self._columns(cells, f"{name}.") if _are_objects(cells) else None  # type: ignore[arg-type]
            found += inner or [_Column(f'"{name}"', [self.written(cell) for cell in cells])]
        return found


def _are_objects(nodes: Sequence[_Node]) -> bool:
    return bool(nodes) and all(isinstance(one, dict) for one in nodes)


def _are_rows(nodes: Sequence[_Node]) -> bool:
    return len(nodes) >= _LEAST and _are_objects(nodes)


def _parted(columns: list[_Column]) -> tuple[list[_Column], list[_Column]]:
    """Columns that are the same all over, and the others, of which there is at least one."""
    if len(columns[0].cells) < _SAME:
        return [], columns
    same = [one for one in columns if one.cells.count(one.cells[0]) == len(one.cells)]
    if len(same) == len(columns):
        same = same[1:]
    names = {one.name for one in same}
    return same, [one for one in columns if one.name not in names]


def _grouped(rows: list[str], groups: Sequence[Any]) -> str:
    found, at = [], 0
    for group in groups:
        found.append(f"[{','.join(rows[at : at + len(group)])}]")
        at += len(group)
    return ",".join(found)


def _untabled(value: Any) -> Any:
    if isinstance(value, list):
        return [_untabled(one) for one in value]
    if not isinstance(value, dict):
        return value
    if "columns" not in value:
        return {key: _untabled(one) for key, one in value.items()}
    columns, same = value["columns"], value.get("all", {})
    if "groups" in value:
        return [[_row(columns, row, same) for row in group] for group in value["groups"]]
    rows = value["rows"]
    if isinstance(rows, dict):
        return {key: _row(columns, row, same) for key, row in rows.items()}
    return [_row(columns, row, same) for row in rows]


def _row(columns: list[str], cells: list[Any], same: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, cell in (*zip(columns, cells, strict=True), *same.items()):
        *outer, last = name.split(".")
        at = found
        for key in outer:
            at = at.setdefault(key, {})
        at[last] = _untabled(cell)
    return found

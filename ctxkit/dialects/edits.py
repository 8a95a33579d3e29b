"""A new request body from an old one: what is not edited is the same object, not a copy.

All edits of one call speak of the body as it was: their paths are those of the original, whatever other edits do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ctxkit.errors import ProviderShapeError
from ctxkit.model import Edit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctxkit.model import Json, Path

__all__ = ["apply"]

_Tree: TypeAlias = "dict[str | int, _Tree | Edit]"


def apply(body: Json, edits: Sequence[Edit]) -> Json:
    """A new body with ``edits`` made; untouched parts are the same objects; no edits: ``body`` itself.

    ``replace`` puts a value at an existing place or sets a new key of an existing object; ``drop`` removes one.

    Raises:
        ProviderShapeError: a path that does not exist in ``body``, or two edits of which one touches what the other
            replaces or drops.
    """
    if not edits:
        return body
    if len(edits) == 1 and not edits[0].path:
        return _whole(edits[0])
    return _rebuilt(body, _tree(edits), ())


def _whole(edit: Edit) -> Json:
    if edit.kind == "drop":
        raise ProviderShapeError("edit: the body itself cannot be dropped")
    return edit.value


def _tree(edits: Sequence[Edit]) -> _Tree:
    root: _Tree = {}
    for edit in edits:
        node = root
        for key in edit.path[:-1]:
            below = node.setdefault(key, {})
            if isinstance(below, Edit):
                raise ProviderShapeError(f"edit: {_where(edit.path)} lies within another edit")
            node = below
        if not edit.path or edit.path[-1] in node:
            raise ProviderShapeError(f"edit: {_where(edit.path)} is touched by another edit")
        node[edit.path[-1]] = edit
    return root


def _rebuilt(value: Json, tree: _Tree, path: Path) -> Json:
    if isinstance(value, dict):
        return _rebuilt_object(value, tree, path)
    if isinstance(value, list | tuple):
        return _rebuilt_list(value, tree, path)
    raise ProviderShapeError(f"edit: nothing stands below {_where(path)}")


def _rebuilt_object(value: dict[str, Json], tree: _Tree, path: Path) -> dict[str, Json]:
    new = dict(value)
    for key, step in tree.items():
        known = key in value
        if not isinstance(key, str) or not (known or (isinstance(step, Edit) and step.kind == "replace")):
            raise ProviderShapeError(f"edit: no such place: {_where((*path, key))}")
        if not isinstance(step, Edit):
            new[key] = _rebuilt(value[key], step, (*path, key))
        elif step.kind == "replace":
            new[key] = step.value
        else:
            del new[key]
    return new


def _rebuilt_list(value: list[Json] | tuple[Json, ...], tree: _Tree, path: Path) -> list[Json] | tuple[Json, ...]:
    new = list(value)
    dropped = set()
    for key, step in tree.items():
        if not isinstance(key, int) or isinstance(key, bool) or not 0 <= key < len(value):
            raise ProviderShapeError(f"edit: no such place: {_where((*path, key))}")
        if not isinstance(step, Edit):
            new[key] = _rebuilt(value[key], step, (*path, key))
        elif step.kind == "replace":
            new[key] = step.value
        else:
            dropped.add(key)
    if dropped:
        new = [item for index, item in enumerate(new) if index not in dropped]
    return tuple(new) if isinstance(value, tuple) else new


def _where(path: Path) -> str:
    return "/".join(map(str, path)) or "the body"

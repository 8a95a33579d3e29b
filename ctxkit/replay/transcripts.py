"""Files of recorded requests: JSON and JSONL, in the wire formats that ctxkit knows.

A file holds one request body, a list of them, or one per line; a body may be wrapped (``{"request": {...}}`` or
``{"body": {...}}``, with ``dialect``, ``platform``, ``provider`` and ``model`` beside it), and a bare list of messages is
taken for an OpenAI-shaped chat. A line that cannot be read is named, and the rest is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ctxkit.errors import TranscriptError
from ctxkit.replay.readers.bodies import body_of, dialect_of
from ctxkit.replay.readers.values import FAULTS, opened, short, tell, values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ctxkit.replay.readers.values import Value

__all__ = ["Recorded", "dialect_of", "read"]


class Recorded(NamedTuple):
    """One recorded request.

    Attributes:
        source: file and line, or number within the file (``"run.jsonl:12"``, ``"run.json#3"``).
        body: the wire JSON.
        dialect: its wire format.
        platform: who served it.
        model: where the body does not carry it.
    """

    source: str
    body: dict[str, Any]
    dialect: str
    platform: str
    model: str | None = None


def read(
    path: Path,
    *,
    dialect: str | None = None,
    platform: str | None = None,
    model: str | None = None,
    complain: Callable[[TranscriptError], None] | None = None,
) -> Iterator[Recorded]:
    """The requests of a file, in its order.

    Args:
        path: a ``.json`` or ``.jsonl`` file.
        dialect: their wire format; found by their shape when not given.
        platform: who served them; the owner of the wire format when not given.
        model: for bodies that carry none.
        complain: told of what cannot be read, after which the rest is read; without it the first one is raised.

    Raises:
        TranscriptError: naming file and line.
    """
    for source, value in _values(path, complain):
        try:
            found = body_of(value, dialect, platform, model)
        except ValueError as error:
            tell(TranscriptError(f"{source}: {error}"), complain)
            continue
        if found is not None:
            yield Recorded(source, found.json, found.dialect, found.platform, found.model or None)


def _values(path: Path, complain: Callable[[TranscriptError], None] | None) -> Iterator[Value]:
    try:
        with opened(path) as file:
            yield from values_of(path, file, complain)
    except FAULTS as error:
        tell(TranscriptError(f"{path}: cannot be read: {short(error)}"), complain)

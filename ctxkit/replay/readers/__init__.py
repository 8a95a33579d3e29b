"""Recordings of what was sent to a model, whatever wrote them: one file per format.

:func:`read_recordings` reads one file, whose format is found by its looks; :func:`files_of` finds the files.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from importlib import import_module
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from ctxkit.errors import TranscriptError
from ctxkit.replay.readers import cassettes, ledger, requests, trajectories
from ctxkit.replay.readers.bodies import Wanted
from ctxkit.replay.readers.values import FAULTS, bytes_of, head_of, opened, parses, short, tell, values_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ctxkit.model import Json
    from ctxkit.replay.readers.values import Bytes, Complain, Value
    from ctxkit.replay.recording import Recording

__all__ = ["files_of", "read_recordings"]

_ENDINGS = frozenset({".json", ".jsonl", ".ndjson", ".yaml", ".yml", ".traj", ".md", ".har"})
_MOSTLY_FOREIGN = frozenset({".yaml", ".yml", ".md", ".json"})
_PACKED = frozenset({".gz", ".xz"})
_FOREIGN = frozenset({"node_modules", "__pycache__", "site-packages", "venv"})
_AIDER = re.compile(rb"^# aider chat started at ", re.MULTILINE)
_CASSETTE = re.compile(rb"^(?:http_)?interactions:", re.MULTILINE)
_TELLING = re.compile(
    rb'"(?:messages|contents|input|request|body|kwargs|params|role|payload|(?:http_)?interactions|log|traj|history'
    rb'|action|observation|format|attributes|resourceSpans)"'
)
"""Names of which every recording in JSON has one."""
_UNFORESEEN = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, MemoryError)
_LOOKED_AT = 50  # records of a file of which one says what it is


_FORMATS = ("claude_code", "codex", "cassettes", "spans", "trajectories", "requests")
"""Modules that know their records by their looks, in the order in which they are asked."""


class _Reader(Protocol):
    """A module that reads one format out of JSON values."""

    def looks(self, value: Json, /) -> bool:
        """The value is one of its records."""
        ...

    def read(self, values: Iterator[Value], wanted: Wanted, /) -> Iterator[Recording]:
        """Its recordings."""
        ...


def read_recordings(
    path: Path | str,
    *,
    dialect: str | None = None,
    platform: str | None = None,
    model: str | None = None,
    complain: Complain | None = None,
    seen: set[str] | None = None,
) -> Iterator[Recording]:
    """The conversations that a file holds, as they were sent.

    Args:
        path: a file of any format of the table in the reference, packed with gzip or xz or not.
        dialect: wire format of request bodies and cassettes; by their looks or address when not given. Other formats have one.
        platform: who served them, where the recording does not say it; the owner of the wire format when not given.
        model: for requests that carry none.
        complain: told of what cannot be read, after which the rest is read; without it the first one is raised.
        seen: keys of requests that were read already. Sessions that are resumed or forked repeat what was said before in a
            file of their own: hand in one set for all files, and every request is read once.

    Raises:
        TranscriptError: naming file and line, where nobody listens to complaints.
    """
    wanted = Wanted(Path(path), dialect, platform, model, complain, set() if seen is None else seen)
    try:
        with opened(wanted.path) as file:
            yield from _named(_read(file, wanted))
    except TranscriptError as error:
        tell(error, complain)
    except FAULTS as error:
        tell(TranscriptError(f"{path}: cannot be read: {short(error)}"), complain)
    except _UNFORESEEN as error:  # a file that nobody thought of must not keep the others from being read
        tell(TranscriptError(f"{path}: cannot be read: {type(error).__name__} that was not foreseen"), complain)


def _named(found: Iterator[Recording]) -> Iterator[Recording]:
    """Names that no two of them share."""
    counts: dict[str, int] = {}
    for one in found:
        name = one.name or "unnamed"
        counts[name] = count = counts.get(name, 0) + 1
        while count > 1 and f"{name} ({count})" in counts:
            count += 1
        own = name if count == 1 else f"{name} ({count})"
        counts[name], counts[own] = count, counts.get(own, 1)
        yield one if own == one.name else replace(one, name=own)


def _read(file: Bytes, wanted: Wanted) -> Iterator[Recording]:
    """By the looks of its first bytes: text of some kind, else JSON."""
    head = head_of(file)
    if head.startswith(ledger.LOOKS):
        yield from ledger.read_ledger(wanted.path, complain=wanted.complain)
    elif b"\0" in head:
        tell(TranscriptError(f"{wanted.path}: no text, so no recording"), wanted.complain)
    elif not head.strip():
        tell(TranscriptError(f"{wanted.path}: empty"), wanted.complain)
    elif _AIDER.search(head):
        text = bytes_of(wanted.path, file).decode("utf-8", "replace")
        yield from trajectories.read_aider(text, wanted)
    elif _CASSETTE.search(head):
        yield from cassettes.read_yaml(file, wanted)
    else:
        yield from _of_json(values_of(wanted.path, file, wanted.complain), wanted)


def _of_json(found: Iterator[Value], wanted: Wanted) -> Iterator[Recording]:
    """By the first record that says what it is."""
    first: list[Value] = []
    reader: _Reader = requests
    for value in islice(found, _LOOKED_AT):
        first.append(value)
        known = _reader_of(value.json)
        if known is not None:
            reader = known
            break
    yield from reader.read(chain(first, found), wanted)


def _reader_of(value: Json) -> _Reader | None:
    for name in _FORMATS:
        reader = cast("_Reader", import_module(f"ctxkit.replay.readers.{name}"))
        if reader.looks(value):
            return reader
    return None


def files_of(paths: Iterable[Path | str], complain: Complain | None = None) -> Iterator[Path]:
    """The files to read: those that are named, whatever they are called, and those of folders that may be recordings.

    In folders, what is hidden, empty or of another ending is passed over, as are links to folders; each file comes once.

    Args:
        paths: files and folders.
        complain: told of what is not there or cannot be listed; without it, it is raised.

    Raises:
        TranscriptError: naming the file or folder.
    """
    known: set[Path] = set()
    for path in map(Path, paths):
        if not os.path.exists(path):  # noqa: PTH110 - says no to names that no file can have
            tell(TranscriptError(f"{path}: there is no such file or folder"), complain)
            continue
        for file in _walked(path, complain) if path.is_dir() else (path,):
            if (place := file.absolute()) not in known:
                known.add(place)
                yield file


def _walked(folder: Path, complain: Complain | None) -> Iterator[Path]:
    def failed(error: OSError) -> None:
        tell(_unread(Path(error.filename or folder), error), complain)

    for place, folders, names in os.walk(folder, onerror=failed):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _FOREIGN)
        for file in (Path(place, name) for name in sorted(names) if not name.startswith(".")):
            if _ending(file) in _ENDINGS and file.is_file() and file.stat().st_size and _likely(file):
                yield file


def _likely(file: Path) -> bool:
    """Not some other YAML, markdown or small JSON, of which there is much in folders."""
    ending = _ending(file)
    if ending not in _MOSTLY_FOREIGN:
        return True
    try:
        with opened(file) as found:
            head = head_of(found)
            whole = not found.read(len(head) + 8)[len(head) + 3 :]
    except FAULTS:
        return True  # whoever reads it will say why it cannot be read
    if ending == ".json":
        return not whole or bool(_TELLING.search(head)) or not parses(head)
    return bool(_CASSETTE.search(head) or _AIDER.search(head))


def _ending(file: Path) -> str:
    return (Path(file.stem) if file.suffix in _PACKED else file).suffix


def _unread(path: Path, error: Exception) -> TranscriptError:
    return TranscriptError(f"{path}: cannot be read: {short(error)}")

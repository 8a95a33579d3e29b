"""What a call touches, and how: the read, write, edit and shell tools of coding agents are known by their arguments."""

from __future__ import annotations

import json
import posixpath
import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from ctxkit.hygiene.memo import remembered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["EVERYTHING", "Touch", "Touching", "shell_touches", "shown_in", "touches_of"]

EVERYTHING = "*"
"""Target of what may have changed any file: another commit was checked out."""


class Touch(NamedTuple):
    """Something that a call reads or changes.

    Attributes:
        kind: ``"write"`` leaves nothing of what was there, ``"edit"`` changes some of it.
        target: path, or whatever else names it.
        start: first line, from 1; ``None``: from the beginning.
        end: last line; ``None``: to the end.
    """

    kind: Literal["read", "write", "edit"]
    target: str
    start: int | None = None
    end: int | None = None

    def covers(self, other: Touch) -> bool:
        """All lines of the other one are among its own."""
        return (self.start or 1) <= (other.start or 1) and (self.end or 1 << 60) >= (other.end or 1 << 60)


Touching: TypeAlias = "Callable[[str, Mapping[str, Any]], Touch | None]"
"""Says what a call of a tool with such arguments touches; ``None``: it does not know."""

_PATHS = (
    "file_path", "path", "filepath", "filename", "file_name", "target_file", "absolute_path", "notebook_path", "file", "uri"
)  # fmt: skip
_COMMANDS = ("command", "cmd", "script", "input", "commands")
_READS = frozenset(["read", "view", "open", "cat", "show", "display", "load", "fetch"])
_WRITES = frozenset(["write", "create", "save", "overwrite", "delete", "remove"])
_EDITS = frozenset(
    [
        "edit",
        "multiedit",
        "replace",
        "insert",
        "patch",
        "update",
        "modify",
        "append",
        "undo",
        "undo_edit",
        "str_replace",
        "apply",
    ]
)
_SHELLS = frozenset(
    ["bash", "shell", "sh", "zsh", "exec", "execute", "run", "terminal", "command", "cmd", "powershell", "console"]
)
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_PATCHED = re.compile(r"^\*\*\* (Update|Add|Delete) File: (.+)$", re.MULTILINE)
_WINDOW = re.compile(r"\[File: (.+) \((\d+) lines total\)\]")
_NUMBERED = re.compile(r"^(\d+):", re.MULTILINE)
_JOINTS = re.compile(r"&&|\|\||[;|]")
_REDIRECTS = re.compile(r"(>>?)")
_SHOWN_BY_SED = re.compile(r"(\d{1,9})(?:,(\d{1,9}|\$))?p")
_LINES = re.compile(r"-?n?(\d{1,9})")
_LONGEST = 50_000  # characters of arguments that are looked at


@remembered
def _parsed(arguments: str) -> Mapping[str, Any]:
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        return {"input": arguments}
    return value if isinstance(value, dict) else {"input": value}


def touches_of(name: str, arguments: str, taught: Touching | None = None) -> tuple[Touch, ...]:
    """All that a call touches; a call that nobody knows reads what only the same call reads again."""
    values = _parsed(arguments)
    if taught is not None and (touch := taught(name, values)) is not None:
        return (touch._replace(target=_normal(touch.target)),)
    words = frozenset(part.lower() for part in _PARTS.findall(name))
    found = _patched(values) or _filed(words, values) or (_ran(values) if words & _SHELLS else ())
    return tuple(found) or (Touch("read", f"{name} {arguments[:_LONGEST]}"),)


def _filed(words: frozenset[str], values: Mapping[str, Any]) -> Sequence[Touch]:
    """A tool for files: named for what it does, or told in ``command``."""
    path = next((values[key] for key in _PATHS if isinstance(values.get(key), str) and values[key]), None)
    if path is None:
        return ()
    told = values.get("command")
    if isinstance(told, str) and told in _READS | _WRITES | _EDITS:
        words = frozenset((told,))
    target = _normal(path)
    if words & _EDITS:
        return (Touch("edit", target),)
    if words & _WRITES:
        return (Touch("write", target),)
    return (Touch("read", target, *_range(values)),) if words & _READS else ()


def _range(values: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Lines that are asked for, in the words of the usual tools."""
    both = values.get("view_range") or values.get("line_range") or values.get("range")
    if isinstance(both, list) and len(both) == 2 and all(isinstance(one, int) for one in both):
        return both[0], both[1] if both[1] > 0 else None
    start = _first(values, "offset", "start_line", "start_line_one_indexed", "start", "line_start", "from_line")
    end = _first(values, "end_line", "end_line_one_indexed_inclusive", "end", "line_end", "to_line")
    limit = _first(values, "limit", "num_lines", "max_lines")
    if end is None and limit is not None:
        end = (start or 1) + limit - 1
    return start, end


def _first(values: Mapping[str, Any], *names: str) -> int | None:
    return next((values[name] for name in names if type(values.get(name)) is int), None)


def _patched(values: Mapping[str, Any]) -> Sequence[Touch]:
    text = next((one for one in values.values() if isinstance(one, str) and "*** " in one[:4000]), "")
    return [
        Touch("edit" if what == "Update" else "write", _normal(path))
        for what, path in _PATCHED.findall(text[:_LONGEST])
    ]


def _ran(values: Mapping[str, Any]) -> Sequence[Touch]:
    command = next((values[key] for key in _COMMANDS if values.get(key)), None)
    if isinstance(command, list) and all(isinstance(one, str) for one in command):
        command = command[-1] if len(command) > 2 and command[1].startswith("-") else " ".join(command)
    return shell_touches(command) if isinstance(command, str) else ()


@remembered
def shell_touches(command: str) -> tuple[Touch, ...]:
    """What a line of a shell touches; a command that changes nothing known reads what only the same one reads again."""
    found: list[Touch] = []
    folder, known = "", True
    for words in _simple(command[:_LONGEST]):
        if words[0] == "cd":
            folder = posixpath.join(folder, words[-1])
            continue
        touched = list(_of_command(words))
        known = known and bool(touched)
        found += [touch._replace(target=_normal(touch.target, folder)) for touch in touched]
    if not known or not found:
        found = [
            touch for touch in found if touch.kind != "read"
        ]  # of a file that was only searched nobody knows how much
        found.append(Touch("read", f"$ {command[:_LONGEST]}"))
    return tuple(found)


def _simple(command: str) -> Iterator[list[str]]:
    """Simple commands as lists of words; what stands behind ``<<`` belongs to the first line's."""
    lines = command.split("\n")
    if "<<" in lines[0]:
        lines = lines[:1]
    for line in lines:
        for part in _JOINTS.split(line):
            words = [word.strip("'\"") for word in _REDIRECTS.sub(r" \1 ", part).split()]
            if words and not words[0].startswith("#"):
                yield words


def _of_command(words: Sequence[str]) -> Iterator[Touch]:
    if ">" in words or ">>" in words:
        at = next(index for index, word in enumerate(words) if word in (">", ">>"))
        targets = [word for word in words[at + 1 : at + 2] if not word.startswith(("&", "/dev/"))]
        yield from (Touch("write" if words[at] == ">" else "edit", target) for target in targets)
        if targets:
            return
        words = words[: at if words[at - 1 : at] not in (["2"], ["1"]) else at - 1]
        if not words:  # ``>&2 echo done``: what runs stands behind
            return
    name, files = posixpath.basename(words[0]), [word for word in words[1:] if not word.startswith("-")]
    if name == "sed":
        yield from _of_sed(words, files)
    elif name in ("cat", "nl", "less", "more", "bat", "type", "open"):
        yield from (Touch("read", file) for file in files[: 1 if name == "open" else None])
    elif name in ("head", "tail"):
        paths = [file for file in files if not file.isdigit()]
        yield from (Touch("read", path, *((1, _count(words)) if name == "head" else (1 << 40, None))) for path in paths)
    elif name in ("tee", "create", "rm"):
        yield from (Touch("write", file) for file in files)
    elif name in ("mv", "cp") and len(files) > 1:
        yield Touch("write", files[-1])
    elif (
        name == "git"
        and len(words) > 1
        and words[1] in ("checkout", "restore", "reset", "stash", "pull", "merge", "apply")
    ):
        named = words[words.index("--") + 1 :] if "--" in words else []
        yield from (Touch("write", file) for file in named)
        if not named:
            yield Touch("edit", EVERYTHING)


def _of_sed(words: Sequence[str], files: Sequence[str]) -> Iterator[Touch]:
    if any(word.startswith("-i") for word in words):
        yield from (Touch("edit", file) for file in files[-1:])
    elif (shown := _SHOWN_BY_SED.fullmatch(files[0] if files else "")) is not None and len(files) > 1:
        end = shown[2] or shown[1]
        yield Touch("read", files[1], int(shown[1]), int(end) if end.isdigit() else None)


def _count(words: Sequence[str]) -> int:
    """Lines that ``head`` shows."""
    return next((int(found[1]) for word in words[1:] if (found := _LINES.fullmatch(word)) is not None), 10)


@remembered
def shown_in(text: str) -> Touch | None:
    """The lines of a file that an output shows which says so itself: ``[File: a.py (80 lines total)]``."""
    if not text.startswith("[File: ") or (window := _WINDOW.match(text[:1000])) is None:
        return None
    lines = [int(match[1][:9]) for match in _NUMBERED.finditer(text)]
    return Touch("read", _normal(window[1]), min(lines, default=1), max(lines, default=1))


def _normal(path: str, folder: str = "") -> str:
    if path == EVERYTHING or " " in path:
        return path
    return posixpath.normpath(posixpath.join(folder, path.replace("\\", "/").removeprefix("file://")))

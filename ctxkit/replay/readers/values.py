"""JSON values of a file, one after another, with the place where each stands; and the text of other files.

A file may be packed (gzip, xz: told by its first bytes) and is unpacked while it is read. One value per line is read line
by line; a document over many lines is read whole, up to a bound. What cannot be read is told, and the rest is read.
"""

from __future__ import annotations

import gzip
import io
import json
import lzma
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.dialects import wire
from ctxkit.errors import TranscriptError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any, TypeAlias

    from ctxkit.model import Json

    Bytes: TypeAlias = io.BufferedReader[Any]
    Complain: TypeAlias = Callable[[TranscriptError], None]

__all__ = [
    "FAULTS",
    "Packed",
    "Value",
    "bytes_of",
    "documents",
    "head_of",
    "lines",
    "opened",
    "short",
    "tell",
    "values_of",
]

_LARGEST = 512 * 1024 * 1024  # bytes of a file that is no JSONL
_LONGEST = 128 * 1024 * 1024  # bytes of one line
_CHUNK = 1 << 20
_HEAD = 1 << 16
_DEEPEST = 200  # levels of nesting: what reads on from here walks values by calling itself
# Recorded histories repeat themselves and pack well: what unpacks to more than this is no recording.
_UNPACKED, _RATIO = 1 << 30, 300
_MAGIC = ((b"\x1f\x8b", "gzip"), (b"\xfd7zXZ\x00", "xz"))

FAULTS = (OSError, EOFError, lzma.LZMAError, zlib.error)
"""What reading a file may raise that is damaged, or not there."""


class Value(NamedTuple):
    """A value and where it stands (``"run.jsonl:12"``, ``"run.json#3"``)."""

    source: str
    json: Json


class Packed(io.RawIOBase):
    """Bytes of a packed file, up to a bound.

    Args:
        inner: what unpacks.
        most: bytes that it may come to.
    """

    def __init__(self, inner: gzip.GzipFile | lzma.LZMAFile, most: int) -> None:
        super().__init__()
        self._inner = inner
        self._left = most

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """The next bytes.

        Raises:
            OSError: it unpacks to more than any recording.
        """
        data = self._inner.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise OSError("it unpacks to more than a recording can hold")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close what unpacks, too."""
        self._inner.close()
        super().close()


@contextmanager
def opened(path: Path) -> Iterator[Bytes]:
    """The bytes of a file, unpacked.

    Raises:
        OSError: it cannot be opened.
    """
    with io.BufferedReader(path.open("rb", buffering=0), _HEAD) as file:
        packing = next((name for magic, name in _MAGIC if file.peek(8).startswith(magic)), None)
        if packing is None:
            yield file
            return
        most = max(_UNPACKED, path.stat().st_size * _RATIO)
        unpacking = gzip.open if packing == "gzip" else lzma.open
        with unpacking(file, "rb") as inner, io.BufferedReader(Packed(inner, most), _CHUNK) as unpacked:
            yield unpacked


def head_of(file: Bytes) -> bytes:
    """The first bytes, which stay where they are; with no byte order mark."""
    return file.peek(_HEAD)[:_HEAD].removeprefix(b"\xef\xbb\xbf")


def tell(error: TranscriptError, complain: Complain | None) -> None:
    """Complain, or raise where nobody listens."""
    if complain is None:
        raise error
    complain(error)


def short(error: Exception) -> str:
    """What is wrong, without a piece of what stands there."""
    if isinstance(error, OSError):
        return error.strerror or (str(error.args[0]) if error.args else type(error).__name__)
    return getattr(error, "msg", None) or type(error).__name__


# ---- JSON ----------------------------------------------------------------------------------------------------------------


def values_of(path: Path, file: Bytes, complain: Complain | None) -> Iterator[Value]:
    """The JSON values of a file: one per line, or those of its document (a list counts as its items)."""
    first = _next_line(file, _LONGEST)
    if ".jsonl" in path.suffixes or _whole(first):
        yield from lines(path, file, complain, first)
        return
    try:
        data = _all(path, file, first or b"")
    except TranscriptError as error:
        tell(error, complain)
        return
    rest = data[len(first or b"") :].lstrip()
    try:
        yield from documents(path, data)
    except TranscriptError as error:
        if not _whole(rest.partition(b"\n")[0]):
            tell(error, complain)
            return
        yield from lines(path, io.BytesIO(data), complain)  # type: ignore[arg-type]


def lines(path: Path, file: Bytes, complain: Complain | None, first: bytes | None = b"") -> Iterator[Value]:
    """One value per line; ``first`` was read before, ``None``: it was too long to be kept."""
    number, line = 1, _next_line(file, _LONGEST) if first == b"" else first
    while line != b"":
        if line is None:
            tell(TranscriptError(f"{path}:{number}: longer than {_LONGEST >> 20} MB"), complain)
        elif stripped := line.strip().removeprefix(b"\xef\xbb\xbf"):
            try:
                yield Value(f"{path}:{number}", _loads(stripped))
            except ValueError as error:
                tell(TranscriptError(f"{path}:{number}: no JSON: {short(error)}"), complain)
        number, line = number + 1, _next_line(file, _LONGEST)


def _next_line(file: Bytes, most: int) -> bytes | None:
    """The next line; ``b""`` at the end, ``None`` when it is too long (it was passed over)."""
    line = file.readline(most)
    if len(line) < most or line.endswith(b"\n"):
        return line
    while (more := file.readline(_CHUNK)) and not more.endswith(b"\n"):
        pass
    return None


def _whole(line: bytes | None) -> bool:
    """The line is a value by itself, and no list: there is one per line."""
    if line is None:
        return True
    try:
        return not isinstance(_loads(line.removeprefix(b"\xef\xbb\xbf")), list)
    except ValueError:
        return False


def _all(path: Path, file: Bytes, first: bytes) -> bytes:
    data = first + file.read(_LARGEST + 1 - len(first))
    if len(data) > _LARGEST:
        raise TranscriptError(f"{path}: larger than {_LARGEST >> 20} MB; write one request per line (.jsonl)")
    return data


def documents(path: Path, data: bytes) -> Iterator[Value]:
    """The values of a document, or of several that follow one another; a list of messages is one value.

    Raises:
        TranscriptError: it is no JSON.
    """
    try:
        found = _loads(data.removeprefix(b"\xef\xbb\xbf"))
    except ValueError as error:
        yield from _following(path, data, error)
        return
    if isinstance(found, list) and not is_messages(found):
        yield from (Value(f"{path}#{number}", value) for number, value in enumerate(found, 1))
    else:
        yield Value(f"{path}#1", found)


def _following(path: Path, data: bytes, error: Exception) -> Iterator[Value]:
    """Objects one after another, each over many lines, as exporters print them."""
    text = data.decode("utf-8", "surrogateescape").removeprefix("\ufeff").strip()
    at, number, scan = 0, 0, json.JSONDecoder().raw_decode
    try:
        while at < len(text):
            _, end = scan(text, at)
            number += 1
            yield Value(f"{path}#{number}", _loads(text[at:end].encode("utf-8", "surrogatepass")))
            at = end + len(text[end : end + _HEAD]) - len(text[end : end + _HEAD].lstrip())
    except (ValueError, RecursionError) as later:
        error = later if number else error
        raise TranscriptError(f"{path}:{getattr(error, 'lineno', 1)}: no JSON: {short(error)}") from None


def is_messages(value: list[Json]) -> bool:
    """A list of messages, as chats have them."""
    return bool(value) and all(isinstance(item, dict) and "role" in item for item in value)


def _loads(data: bytes) -> Json:
    """The value.

    Raises:
        ValueError: it is no JSON, or nested deeper than any recording.
    """
    try:
        return wire.loads(data, deepest=_DEEPEST)
    except UnicodeDecodeError:
        return wire.loads(data.decode("utf-8", "surrogateescape"), deepest=_DEEPEST)


def bytes_of(path: Path, file: Bytes, most: int = _LARGEST) -> bytes:
    """All of a file.

    Raises:
        TranscriptError: it is larger than ``most`` bytes.
    """
    data = file.read(most + 1)
    if len(data) > most:
        raise TranscriptError(f"{path}: larger than {most >> 20} MB")
    return data

"""JSON values of a file, one after another, with the place where each stands; and the text of other files.

A file may be packed (gzip, xz: told by its first bytes) and is unpacked while it is read. One value per line is read line
by line; a document over many lines is read whole, up to a bound. What cannot be read is told, and the rest is read.
"""

from __future__ import annotations

import codecs
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
    from typing import IO, Any, TypeAlias

    from ctxkit.model import Json

    Bytes: TypeAlias = io.BufferedReader[Any]
    Complain: TypeAlias = Callable[[TranscriptError], None]

__all__ = [
    "FAULTS",
    "Packed",
    "Value",
    "bytes_of",
    "head_of",
    "is_messages",
    "lines",
    "opened",
    "parsed",
    "parses",
    "short",
    "tell",
    "values_of",
]

_LARGEST = 512 * 1024 * 1024  # bytes of a file that is no JSONL
_LONGEST = 128 * 1024 * 1024  # bytes of one line
_TEXT = 64 * 1024 * 1024  # characters of a structure that is given as text
_CHUNK = 1 << 20
_HEAD = 1 << 16
_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n" + _BOM
_SCAN = json.JSONDecoder().raw_decode
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
    return file.peek(_HEAD)[:_HEAD].removeprefix(_BOM)


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
    """The JSON values of a file: one per line, or those of its document (a list counts as its items).

    A list is read item by item: only one of them is held. A list of messages is one value.
    """
    first = _next_line(file, _LONGEST)
    while first is not None and first.strip() == b"" != first:
        first = _next_line(file, _LONGEST)
    alone = first is None or parses(first)
    if alone and (first is None or not first.lstrip(_BLANK).startswith(b"[") or file.peek(1).strip()):
        yield from lines(path, file, complain, first)
        return
    try:
        if first is not None and first.lstrip(_BLANK).startswith(b"["):
            yield from _messages_as_one(path, _items(path, file, first))
        else:
            yield from _documents(path, file, first or b"", complain)
    except TranscriptError as error:
        tell(error, complain)


def lines(path: Path, file: IO[bytes], complain: Complain | None, first: bytes | None = b"") -> Iterator[Value]:
    """One value per line, or a list of them; ``first`` was read before, ``None``: it was too long to be kept."""
    number, line = 1, _next_line(file, _LONGEST) if first == b"" else first
    while line != b"":
        if line is None:
            tell(TranscriptError(f"{path}:{number}: longer than {_LONGEST >> 20} MB"), complain)
        elif stripped := line.strip().removeprefix(_BOM):
            try:
                found = _loads(stripped)
            except ValueError as error:
                tell(TranscriptError(f"{path}:{number}: no JSON: {short(error)}"), complain)
            else:
                many = isinstance(found, list) and not is_messages(found)
                yield from (Value(f"{path}:{number}", one) for one in (found if many else (found,)))
        number, line = number + 1, _next_line(file, _LONGEST)


def _next_line(file: IO[bytes], most: int) -> bytes | None:
    """The next line; ``b""`` at the end, ``None`` when it is too long (it was passed over)."""
    line = file.readline(most)
    if len(line) < most or line.endswith(b"\n"):
        return line
    while (more := file.readline(_CHUNK)) and not more.endswith(b"\n"):
        pass
    return None


def parses(line: bytes) -> bool:
    """It is JSON by itself."""
    try:
        _loads(line.removeprefix(_BOM))
    except ValueError:
        return False
    return True


# ---- documents -----------------------------------------------------------------------------------------------------------


def _items(path: Path, file: Bytes, first: bytes) -> Iterator[Value]:
    """The items of a list, each read when it is asked for.

    Raises:
        TranscriptError: it is no JSON from there on.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    text = decoder.decode(first.lstrip(_BLANK))
    at, number, line, ended = 1, 0, 1, False
    while True:
        at = _skipped(text, at, "," if number else "")
        if text[at : at + 1] == "]":
            if text[at + 1 :].strip() or file.read(_CHUNK).strip():
                where = line + text.count("\n", 0, at)
                raise TranscriptError(f"{path}:{where}: what follows the end of the list is not read")
            return
        try:
            value, at = _scanned(text, at)
        except (ValueError, RecursionError) as error:
            if ended or len(text) - at > _LARGEST or not isinstance(error, json.JSONDecodeError):
                where = line + text.count("\n", 0, getattr(error, "pos", at))
                raise TranscriptError(f"{path}:{where}: no JSON: {short(error)}") from None
            more = file.read(max(_CHUNK, len(text) - at))
            ended = not more
            line += text.count("\n", 0, at)
            text, at = text[at:] + decoder.decode(more, ended), 0
            continue
        number += 1
        yield Value(f"{path}#{number}", value)


def _skipped(text: str, at: int, comma: str) -> int:
    """Behind blanks, and behind one comma where there has to be one."""
    while text[at : at + 1] in ("\n", " ", "\r", "\t"):
        at += 1
    if comma and text[at : at + 1] == comma:
        return _skipped(text, at + 1, "")
    return at


def _scanned(text: str, at: int) -> tuple[Json, int]:
    _, end = _SCAN(text, at)
    return _loads(text[at:end].encode("utf-8", "surrogatepass")), end


def _messages_as_one(path: Path, items: Iterator[Value]) -> Iterator[Value]:
    first = next(items, None)
    if first is None:
        return
    if not is_messages([first.json]):
        yield first
        yield from items
        return
    found = [first, *items]
    messages = [one.json for one in found]
    if is_messages(messages):
        yield Value(f"{path}#1", messages)
    else:
        yield from found


def _documents(path: Path, file: Bytes, first: bytes, complain: Complain | None) -> Iterator[Value]:
    """An object over many lines, or several that follow one another, as exporters print them.

    Where that is none, and what follows the first line are values, one per line: a file of lines whose first is broken.

    Raises:
        TranscriptError: it is no JSON, or too large.
    """
    data = first + file.read(_LARGEST + 1 - len(first))
    if len(data) > _LARGEST:
        raise TranscriptError(f"{path}: larger than {_LARGEST >> 20} MB; write one request per line (.jsonl)")
    text = data.decode("utf-8", "surrogateescape").removeprefix("\ufeff").strip()
    at, number = 0, 0
    try:
        while at < len(text):
            value, at = _scanned(text, at)
            number += 1
            yield Value(f"{path}#{number}", value)
            at = _skipped(text, at, "")
    except (ValueError, RecursionError) as error:
        second = data[len(first) :].lstrip().partition(b"\n")[0]
        if number == 0 and (".jsonl" in path.suffixes or (second and parses(second))):
            yield from lines(path, io.BytesIO(data), complain)
            return
        where = getattr(error, "lineno", text.count("\n", 0, at) + 1)
        raise TranscriptError(f"{path}:{where}: no JSON: {short(error)}") from None


def is_messages(value: list[Json]) -> bool:
    """A list of messages, as chats have them."""
    return bool(value) and all(isinstance(item, dict) and "role" in item for item in value)


def parsed(value: Json) -> Json:
    """A structure that stands as its JSON text, parsed; anything else as it is."""
    if not isinstance(value, str) or len(value) > _TEXT or value.lstrip()[:1] not in ("{", "["):
        return value
    try:
        return wire.loads(value, deepest=_DEEPEST)
    except (ValueError, TypeError):
        return value


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

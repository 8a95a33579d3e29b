"""Recorded HTTP: cassettes of vcrpy, pytest-recording, Ruby's VCR and go-vcr (YAML or JSON), and HAR files.

What a request is, is told by its address (``dialects.routing``); what is no model call is passed over. Usage is read from the
answer by the wire's own rules: JSON or a stream of events, plain, gzipped or in base64; other packings are left unread. The
moment is that of the answer's ``Date`` header, of ``recorded_at`` or ``startedDateTime``. Refused requests are kept with their
status.

YAML is read by the safe loader, with what it knows no tag for taken as plain values. Aliases that multiply beyond a bound are
refused.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ctxkit.dialects import wire
from ctxkit.dialects.routing import route
from ctxkit.errors import TranscriptError
from ctxkit.replay.readers.bodies import Body, spoken
from ctxkit.replay.readers.figures import answer_of, message_of, moment
from ctxkit.replay.readers.grouping import Groups
from ctxkit.replay.readers.values import Value, bytes_of, tell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxkit.dialects.routing import Route
    from ctxkit.model import Json
    from ctxkit.replay.readers.bodies import Wanted
    from ctxkit.replay.readers.values import Bytes
    from ctxkit.replay.recording import Recording

__all__ = ["looks", "read", "read_yaml"]

_LISTS = ("interactions", "http_interactions")
_LARGEST = 128 * 1024 * 1024  # bytes of a YAML file
_UNPACKED = 64 * 1024 * 1024  # bytes of one answer
_MOST_NODES, _DEEPEST = 2_000_000, 200
_OK = 400  # statuses from here on are refusals


def looks(value: Json) -> bool:
    """It is a cassette, or a HAR file."""
    return isinstance(value, dict) and _entries(value) is not None


def _entries(value: dict[str, Json]) -> list[Json] | None:
    found = next((value[name] for name in _LISTS if isinstance(value.get(name), list)), None)
    if found is None and isinstance(log := value.get("log"), dict):
        found = log.get("entries")
    return found if isinstance(found, list) else None


def read_yaml(file: Bytes, wanted: Wanted) -> Iterator[Recording]:
    """The conversations of a cassette in YAML."""
    import yaml

    data = bytes_of(wanted.path, file, _LARGEST)
    try:
        found = [one for one in yaml.load_all(data, Loader=_loader()) if isinstance(one, dict)]
        _check(found)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        about = str(error) if type(error) is ValueError else "no YAML"
        tell(TranscriptError(f"{wanted.path}:{line}: {about}"), wanted.complain)
        return
    yield from read((Value(f"{wanted.path}#{number}", one) for number, one in enumerate(found, 1)), wanted)


@cache
def _loader() -> Any:
    """The safe loader (libyaml's where it is there), to which a value of an unknown tag is a plain value."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        depth = 0

        def flatten_mapping(self, node: Any) -> None:
            """Merge keys stay as they stand: written out, they multiply."""

        def descend_resolver(self, *_: Any) -> None:
            """One level down: libyaml's composer calls itself, and would end the process."""
            self.depth += 1
            if self.depth > _DEEPEST:
                raise ValueError("nested too deeply")

        def ascend_resolver(self) -> None:
            self.depth -= 1

    def plain(loader: Any, _: str, node: Any) -> Any:
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        return loader.construct_sequence(node, deep=True) if isinstance(node, yaml.SequenceNode) else node.value

    for prefix in ("!", "tag:"):
        Loader.add_multi_constructor(prefix, plain)
    return Loader


def _check(value: Any) -> None:
    if _expanded(value, {}, 0) > _MOST_NODES:
        raise ValueError("its aliases multiply beyond any recording")


def _expanded(value: Any, known: dict[int, int], depth: int) -> int:
    """Nodes of a value when every alias is written out.

    Raises:
        ValueError: it contains itself, or is nested too deeply.
    """
    if not isinstance(value, dict | list | tuple | set):
        return 1
    if (found := known.get(id(value))) is not None:
        if found < 0:
            raise ValueError("it contains itself")
        return found
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    known[id(value)] = -1
    inside = value.values() if isinstance(value, dict) else value
    known[id(value)] = count = 1 + sum(_expanded(one, known, depth + 1) for one in inside)
    return count


def read(values: Iterator[Value], wanted: Wanted) -> Iterator[Recording]:
    """The conversations of cassettes."""
    groups = Groups(str(wanted.path), "cassette")
    for source, value in values:
        entries = _entries(value) if isinstance(value, dict) else None
        if entries is None:
            tell(TranscriptError(f"{source}: no cassette"), wanted.complain)
            continue
        for number, entry in enumerate(entries, 1):
            place = f"{wanted.path}#{number}"
            try:
                body = _body(entry, wanted)
            except (ValueError, TypeError, LookupError, AttributeError) as error:
                tell(TranscriptError(f"{place}: no exchange: {type(error).__name__}"), wanted.complain)
                continue
            if body is not None:
                yield from groups.add(body, place)
    yield from groups.rest()


def _body(entry: Json, wanted: Wanted) -> Body | None:
    """The request of an exchange; ``None``: it is no call of a model.

    Raises:
        ValueError, TypeError, LookupError, AttributeError: it is no exchange.
    """
    request, response = entry["request"], entry.get("response") or {}
    way = _way(request)
    if way is None:
        return None
    asked = _json(_content(request))
    if not isinstance(asked, dict):
        raise ValueError("no JSON")  # noqa: TRY004 - told to people
    dialect, platform = wanted.dialect or way.dialect, wanted.platform or way.platform
    status = _status(response)
    answer = _content(response) if status is None or status < _OK else None
    told = answer_of(dialect, platform, answer) if answer else None
    named = isinstance(asked.get("model"), str) and asked["model"]
    written = spoken(dialect, asked)
    return Body(
        asked,
        written,
        platform,
        model="" if named else way.model or wanted.model or "",
        at=_moment(entry, response),
        usage=told.usage if told else None,
        answer=message_of(written, _json(answer)),
        status=status,
        wrapped=True,
    )


def _way(request: Json) -> Route | None:
    url = request.get("uri") or request.get("url")
    if not isinstance(url, str):
        raise TypeError("url")
    parts = urlsplit(url)
    return route(parts.path, parts.netloc, str(request.get("method") or "POST"))


def _status(response: Json) -> int | None:
    status = response.get("status", response.get("code"))
    if isinstance(status, dict):
        status = status.get("code")
    found = response.get("code") if isinstance(status, str) and not status.isdecimal() else status
    return int(found) if isinstance(found, int | str) and str(found).isdecimal() and len(str(found)) == 3 else None


def _content(message: Json) -> Json:
    """The body of a request or an answer: parsed already, text, or bytes; ``None`` when there is none."""
    if message.get("parsed_body") is not None:
        return _plain(message["parsed_body"])
    body = next((message[key] for key in ("body", "postData", "content") if message.get(key)), None)
    if isinstance(body, dict):
        if isinstance(packed := body.get("base64_string"), str):
            return _unpacked(_decoded(packed))
        text = body.get("string", body.get("text"))
        body = _decoded(text) if body.get("encoding") == "base64" and isinstance(text, str) else text
    return _unpacked(body) if isinstance(body, bytes) else body


def _plain(value: Any) -> Json:
    """As JSON has it: YAML knows moments, bytes, and keys that are no text."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError):
        return b""


def _unpacked(data: bytes) -> bytes | None:
    """Gzip taken off; ``None`` for what is damaged or larger than any answer."""
    if not data.startswith(b"\x1f\x8b"):
        return data
    unpacking = zlib.decompressobj(wbits=31)
    try:
        found = unpacking.decompress(data, _UNPACKED)
    except zlib.error:
        return None
    return None if unpacking.unconsumed_tail else found


def _json(content: Json) -> Json:
    """Parsed, where it is JSON in text; else as it is."""
    if not isinstance(content, str | bytes):
        return content
    try:
        return wire.loads(content, deepest=_DEEPEST)
    except (ValueError, TypeError):
        return None


def _moment(entry: Json, response: Json) -> float | None:
    found = entry.get("startedDateTime") or entry.get("recorded_at")
    if found is None:
        headers = response.get("headers")
        dates = (
            [value for name, value in headers.items() if str(name).lower() == "date"]
            if isinstance(headers, dict)
            else []
        )
        found = dates[0][0] if dates and isinstance(dates[0], list) and dates[0] else next(iter(dates), None)
    try:
        return moment(found) or parsedate_to_datetime(str(found)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None

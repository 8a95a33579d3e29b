"""JSON that loses nothing: what is read is what ``json.loads`` reads, and what is written reads back the same.

The parser is pydantic-core's: about half the time of ``json.loads`` on recorded requests, and it keeps integers of any
size, NaN and Infinity. It refuses lone surrogates and very deep nesting; those go to the standard library. orjson
is a little faster still, but reads integers beyond 64 bits as floats, which nobody would notice.

Writing is orjson's (a tenth of the time of ``json.dumps``), which refuses everything it cannot write exactly but one
thing: NaN and the infinities become ``null``. So a result that holds a ``null`` is written again by pydantic-core.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING

from ctxkit.errors import ProviderShapeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ctxkit.model import Json

__all__ = ["dumps", "insert_key", "loads"]

_SPACE = " \t\n\r"


@cache
def _fast_loads() -> Callable[[bytes | str], Json]:
    from pydantic_core import from_json

    return from_json


def loads(data: bytes | str, *, deepest: int | None = None) -> Json:
    """Read JSON exactly as ``json.loads`` does, types included, only faster.

    Args:
        data: UTF-8 or text.
        deepest: levels of nesting, from 200 on, beyond which it is refused.

    Raises:
        ValueError: it is not JSON, or is nested too deeply to be read.
        TypeError: ``data`` is neither bytes nor text.
    """
    try:
        return _fast_loads()(data)  # refuses what is deeper than 200
    except (ValueError, TypeError):  # a text with lone surrogates is a TypeError to it
        pass
    try:
        found = json.loads(data)
    except RecursionError:
        raise ValueError("JSON is nested too deeply to be read") from None
    if deepest is not None and _deeper(found, deepest):
        raise ValueError(f"JSON is nested deeper than {deepest} levels")
    return found


def _deeper(value: Json, most: int) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(most):
        inside = [one.values() if isinstance(one, dict) else one for one in level]
        level = [item for items in inside for item in items if isinstance(item, dict | list)]
        if not level:
            return False
    return True


@cache
def _fast_dumps() -> Callable[[Json], bytes]:
    from orjson import OPT_PASSTHROUGH_DATACLASS, OPT_PASSTHROUGH_DATETIME, OPT_PASSTHROUGH_SUBCLASS, dumps

    strict = OPT_PASSTHROUGH_DATACLASS | OPT_PASSTHROUGH_DATETIME | OPT_PASSTHROUGH_SUBCLASS
    return lambda value: dumps(value, option=strict)


@cache
def _dumps_with_nan() -> Callable[[Json], bytes]:
    from pydantic_core import to_json

    return lambda value: to_json(value, inf_nan_mode="constants")


def dumps(value: Json) -> bytes:
    """Write JSON as compact UTF-8 that ``loads`` reads back as the same value.

    Raises:
        TypeError: something in ``value`` is not JSON.
        ValueError: ``value`` contains itself.
    """
    try:
        written = _fast_dumps()(value)
        return _dumps_with_nan()(value) if b"null" in written else written
    except (TypeError, ValueError):  # orjson's JSONEncodeError is a TypeError
        return _slow_dumps(value)


def _slow_dumps(value: Json) -> bytes:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8: it leaves as the escape it came as
        return json.dumps(value, separators=(",", ":")).encode()


def insert_key(raw: bytes, key: str, value: Json) -> bytes:
    """Set one top-level key in the bytes of a JSON object; every other byte stays as it is.

    A new key is put first: should the object hold the key in a spelling we did not see, the later one wins.
    An existing key keeps its place and gets the new value (the last one, when it stands there twice).

    Raises:
        ProviderShapeError: ``raw`` is not a JSON object in UTF-8.
    """
    if _quoted(key) not in raw:
        return _put_first(raw, key, value)
    try:
        text = raw.decode("utf-8", "surrogatepass")
        found = [span for name, span in _top_level(text) if name == key]
    except ValueError as error:
        raise ProviderShapeError(f"request body: not a JSON object: {error}") from error
    if not found:
        return _put_first(raw, key, value)
    start, end = found[-1]
    before, after = text[:start], text[end:]
    return before.encode("utf-8", "surrogatepass") + dumps(value) + after.encode("utf-8", "surrogatepass")


def _quoted(key: str) -> bytes:
    return json.dumps(key, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _put_first(raw: bytes, key: str, value: Json) -> bytes:
    start = raw.find(b"{")
    if start < 0 or raw[:start].strip(b" \t\r\n\xef\xbb\xbf"):
        raise ProviderShapeError("request body: not a JSON object")
    rest = raw[start + 1 :].lstrip(b" \t\r\n")
    comma = b"" if rest.startswith(b"}") else b","
    return raw[: start + 1] + _quoted(key) + b":" + dumps(value) + comma + raw[start + 1 :]


def _top_level(text: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Keys of the outermost object with the span of their values, in characters."""
    scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise ValueError("it does not begin with {")
    at = _skip(text, at + 1)
    while text[at : at + 1] == '"':
        key, at = _scan(scan, text, at)
        at = _skip(text, at)
        if text[at : at + 1] != ":":
            raise ValueError(f"no colon at character {at}")
        start = _skip(text, at + 1)
        _, end = _scan(scan, text, start)
        yield key, (start, end)
        at = _skip(text, end)
        if text[at : at + 1] != ",":
            break
        at = _skip(text, at + 1)
    if text[at : at + 1] != "}" or _skip(text, at + 1) != len(text):
        raise ValueError(f"unexpected text at character {at}")


def _scan(scan: Callable[[str, int], tuple[Json, int]], text: str, at: int) -> tuple[Json, int]:
    try:
        return scan(text, at)
    except (StopIteration, RecursionError):
        raise ValueError(f"no value at character {at}") from None


def _skip(text: str, at: int) -> int:
    if at == 0 and text.startswith("\ufeff"):
        at = 1
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at

"""White space between the tokens of JSON, taken out of the text: numbers and strings stay byte for byte as they were.

Nothing is parsed and written again. The parser only says that a text is JSON; what it makes of it is thrown away, so
integers of any length, NaN, keys that come twice, escapes and lone surrogates are what they were.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Span", "spans", "tight"]

_PREFIX: Final = 200  # characters that may stand before a value
_STARTS: Final = "{["
_MOST: Final = 10_000  # values that are looked at in one text
_NO_SPACE: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"|[^ \t\n\r"]++', re.DOTALL)
_FENCE: Final = re.compile(r"^```[ \t]*+(?:json|JSON)?[ \t]*+\r?\n", re.MULTILINE)
_BEGINS: Final = re.compile(r"(?:^|(?<=[:>\s]))[{\[]")


def _nothing(_: object) -> None:
    """Numbers are not worked out: integers may be too long for that, and nobody looks at them."""


_DECODER: Final = json.JSONDecoder(parse_int=_nothing, parse_float=_nothing, parse_constant=_nothing)


class Span(NamedTuple):
    """Where one JSON value stands in a text."""

    start: int
    end: int


def tight(value: str) -> str:
    """One JSON value without white space between its tokens."""
    return "".join(_NO_SPACE.findall(value))


def spans(text: str) -> list[Span]:
    """The JSON objects and arrays that a text consists of, in order: all of it, behind a short prefix, fenced, or by line."""
    found = _after_prefix(text)
    if found is not None:
        return [found]
    return [*_fenced(text)] or _by_line(text)


def _after_prefix(text: str) -> Span | None:
    """One value behind at most a few words, with nothing behind it."""
    for tries, match in enumerate(_BEGINS.finditer(text, 0, _PREFIX)):
        end = _end(text, match.start())
        if end is not None and not text[end:].strip():
            return Span(match.start(), end)
        if tries:
            break
    return None


def _end(text: str, start: int) -> int | None:
    """Where the value that starts here ends."""
    try:
        return _DECODER.raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        return None


def _fenced(text: str) -> Iterator[Span]:
    """Values that fill a fenced block."""
    at = 0
    for _ in range(_MOST):
        opening = _FENCE.search(text, at)
        closing = text.find("\n```", opening.end() - 1) if opening is not None else -1
        if opening is None or closing < 0:
            return
        at = closing + 4
        start = opening.end()
        if text[start : start + 1] in _STARTS and _end(text[start:closing], 0) == len(text[start:closing].rstrip()):
            yield Span(start, closing)


def _by_line(text: str) -> list[Span]:
    """Values of a line each, when all lines are such."""
    start = 0
    found: list[Span] = []
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        if end > start and not text[start:end].isspace():
            if text[start] not in _STARTS or _end(text, start) != len(text[start:end].rstrip()) + start:
                return []
            found.append(Span(start, end))
            if len(found) > _MOST:
                return []
        start = end + 1
    return found

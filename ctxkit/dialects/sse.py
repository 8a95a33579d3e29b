"""Server-sent events, cut out of a byte stream as it passes.

The splitter works on bytes and on the three line ends of the standard (CRLF, LF, CR) alone: U+2028 and its kin are
legal inside JSON and end no line. Every byte that goes in comes out again in the ``raw`` of exactly one event
(or in what :meth:`Splitter.finish` gives), in order, so a door can leave out one event and pass on the rest as it came.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html (2026-09).
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["LIMIT", "Event", "Splitter", "split"]

LIMIT = 16 * 1024 * 1024
"""Bytes of one event beyond which it is passed on raw and not read."""

_LINE_END = re.compile(rb"\r\n|\n|\r")
# An event ends with a blank line. The look-ahead keeps one CRLF from counting as two line ends.
_EVENT_END = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")
_BOM = b"\xef\xbb\xbf"
_REACH = 3  # bytes before a chunk that may belong to an event end inside it: of "\r\n\r\n" at most three


class Event(NamedTuple):
    """One event.

    Attributes:
        raw: its bytes as they came, the blank line included.
        data: the ``data`` lines joined by LF; ``b""`` when there are none (comments, keep-alives).
    """

    raw: bytes
    data: bytes


def split(text: bytes) -> list[Event]:
    """The events of a whole text; the last one may lack its blank line."""
    splitter = Splitter()
    return [*splitter.feed(text), *splitter.finish()]


class Splitter:
    """Cuts a stream of bytes into events; one object per stream."""

    __slots__ = ("_begun", "_held", "_limit", "_overlong", "_size", "_tail")

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._held: list[bytes] = []  # pieces of an event whose end was not seen yet
        self._size = 0
        self._tail = b""
        self._begun = False  # the first event is behind us: no byte order mark any more
        self._overlong = False  # inside an event that has passed the limit

    def feed(self, chunk: bytes) -> list[Event]:
        """Events that are complete with ``chunk``."""
        if self._overlong:
            return self._skip_overlong(chunk)
        window = self._tail + chunk
        if b"\n\n" not in window and (b"\r" not in window or not _EVENT_END.search(window)):
            return self._hold(chunk)
        whole = b"".join((*self._held, chunk)) if self._held else chunk
        events, rest = self._split(whole)
        self._keep(rest)
        return events

    def finish(self) -> list[Event]:
        """What is left when the stream has ended: the last event, should its blank line be missing."""
        rest = b"".join(self._held)
        self._keep(b"")
        return [self._event(rest, rest)] if rest else []

    def _keep(self, rest: bytes) -> None:
        self._held = [rest] if rest else []
        self._size = len(rest)
        self._tail = rest[-_REACH:]

    def _hold(self, chunk: bytes) -> list[Event]:
        self._held.append(chunk)
        self._size += len(chunk)
        self._tail = (self._tail + chunk)[-_REACH:]
        if self._size <= self._limit:
            return []
        raw, tail = b"".join(self._held), self._tail
        self._keep(b"")
        self._tail, self._overlong = tail, True
        return [Event(raw, b"")]

    def _skip_overlong(self, chunk: bytes) -> list[Event]:
        window = self._tail + chunk
        end = _EVENT_END.search(window)
        if end is None:
            self._tail = window[-_REACH:]
            return [Event(chunk, b"")] if chunk else []
        cut = max(0, end.end() - len(self._tail))
        self._overlong, self._tail = False, b""
        return [Event(chunk[:cut], b""), *self.feed(chunk[cut:])]

    def _split(self, whole: bytes) -> tuple[list[Event], bytes]:
        if b"\r" not in whole:  # the common case
            *blocks, rest = whole.split(b"\n\n")
            return [self._event(block + b"\n\n", block) for block in blocks], rest
        events, start = [], 0
        for end in _EVENT_END.finditer(whole):
            if end.end() == len(whole) and whole.endswith(b"\r"):
                break  # an LF may follow and belong to this line end
            events.append(self._event(whole[start : end.end()], whole[start : end.start()]))
            start = end.end()
        return events, whole[start:]

    def _event(self, raw: bytes, block: bytes) -> Event:
        if not self._begun:
            self._begun = True
            block = block.removeprefix(_BOM)
        if block.startswith(b"data: ") and b"\n" not in block and b"\r" not in block:  # nearly every event
            return Event(raw, block[6:])
        return _fields(raw, block)


def _fields(raw: bytes, block: bytes) -> Event:
    data: list[bytes] = []
    for line in _LINE_END.split(block):
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
    return Event(raw, b"\n".join(data))

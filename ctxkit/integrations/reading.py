"""Reading one answer's body as it passes: whole JSON, server-sent events, or the binary event stream of AWS.

The body itself says which of them it is (its first character does); the ``content-type`` header is believed for the
binary stream alone, because proxies and small servers get it wrong. What is none of the three passes unread.
Nothing is held back unless an event must be hidden; a whole JSON answer is kept until its end, up to ``LARGEST``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit import dialects
from ctxkit.dialects import eventstream, sse, wire
from ctxkit.errors import ProviderShapeError
from ctxkit.integrations.decoding import LARGEST, Decode, decoder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ctxkit.dialects.base import AnswerStream, Dialect
    from ctxkit.model import Answer, Json

__all__ = ["LARGEST", "Body", "BrokenEncodingError", "stream_answer"]

_BINARY = "application/vnd.amazon.eventstream"
_SPACE = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"


class BrokenEncodingError(ProviderShapeError):
    """The bytes of an answer are not what its ``content-encoding`` says."""


class Body:
    """One answer's body. Not safe for several threads at once, as the stream it reads is not either.

    Args:
        dialect: name of the wire format that was asked.
        platform: who answers.
        media_type: ``content-type`` of the answer.
        encoding: ``content-encoding`` of the answer; ``""`` for bytes that are decoded already.
        hide_usage: leave out the usage chunk that only ctxkit asked for. Then what :meth:`feed` gives is decoded.
        copy: is given what the client reads, decoded; nothing of an answer that nobody here can read.

    Attributes:
        done: the protocol's own end was seen; only streams have one.
        content: a first piece of content was seen in a stream.
        hides: what is fed comes back decoded, and perhaps with an event less.
        error: what reading raised, for the door to note; after one broken event the rest of a stream is read.
    """

    __slots__ = (
        "_copy",
        "_decode",
        "_kept",
        "_read",
        "_size",
        "_splitter",
        "_stream",
        "content",
        "done",
        "error",
        "hides",
    )

    def __init__(
        self,
        dialect: str,
        platform: str,
        media_type: str = "",
        encoding: str = "",
        *,
        hide_usage: bool = False,
        copy: Callable[[bytes], None] | None = None,
    ) -> None:
        self._copy = copy
        # What is handed on decoded is the client's own affair, however large: its own decoder has no limit either.
        decode = decoder(encoding, largest=None if hide_usage else LARGEST)
        self.done = self.content = False
        self.hides = hide_usage and decode is not None
        self.error: Exception | None = None
        self._decode: Decode | None = decode
        self._stream: AnswerStream = _dialect(dialect).stream(platform, hide_usage=hide_usage)
        self._splitter = sse.Splitter()
        self._kept: list[bytes] = []
        self._size = 0
        self._read: Callable[[bytes], bytes] = self._sniff
        if decode is None:
            self._read = _pass
        elif media_type.startswith(_BINARY):
            self._read = _framed(self._stream)
        if decode is bytes:
            self._decode = None

    def feed(self, raw: bytes) -> bytes:
        """Read the next bytes; gives what is to be handed on.

        Raises:
            BrokenEncodingError: the encoding is broken.
            Exception: the answer cannot be read; where it :attr:`hides`, that is an :attr:`error` instead.
        """
        # What is to be handed on decoded has to be, read or not.
        data = raw if self._decode is None or (self._read is _pass and not self.hides) else self._undo(raw)
        try:
            shown = self._read(data)
        except Exception as error:
            if not self.hides:
                raise
            self.error, self._read, shown = error, _pass, data
        self.done, self.content = self._stream.done, self._stream.content
        if self._copy is not None and self._read is not _pass:
            self._copy(shown)
        return shown if self.hides else raw

    def finish(self) -> bytes:
        """The bytes have ended; gives those that were held back."""
        if self._read != self._events:
            return b""
        held = self._show(self._splitter.finish(), b"")
        self.done = self._stream.done
        if self._copy is not None and held:
            self._copy(held)
        return held

    def result(self, *, ended: bool) -> Mapping[str, Json] | Answer | None:
        """What the answer says of itself: JSON for a whole answer, what was seen of a stream, or ``None``.

        Args:
            ended: the bytes came to their end (they were not abandoned); the end of a stream for a protocol
                that has no terminator of its own.
        """
        if self._read in (_pass, self._sniff):
            return None
        if self._read == self._json:
            return self._whole(ended=ended)
        return stream_answer(self._stream, ended=ended)

    def _undo(self, raw: bytes) -> bytes:
        assert self._decode is not None
        try:
            return self._decode(raw)
        except Exception as error:
            raise BrokenEncodingError(f"the content-encoding of an answer cannot be undone: {error}") from error

    def _sniff(self, data: bytes) -> bytes:
        first = data.removeprefix(_BOM).lstrip(_SPACE)[:1]
        if not first:
            return data
        self._read = self._json if first in b"{[" else self._events if first in b"deir:" else _pass
        return self._read(data)

    def _events(self, data: bytes) -> bytes:
        return self._show(self._splitter.feed(data), data)

    def _show(self, events: list[sse.Event], data: bytes) -> bytes:
        take, hides = self._stream.feed, self.hides
        shown = []
        for event in events:
            hidden = False
            if event.data:
                try:
                    hidden = take(event.data)
                except Exception as error:  # noqa: BLE001 - one broken event; the exchange notes it, the rest is read
                    self.error = error
            if hides and not hidden:
                shown.append(event.raw)
        return b"".join(shown) if hides else data

    def _json(self, data: bytes) -> bytes:
        self._size += len(data)
        if self._size > LARGEST:
            self._kept.clear()
            self._read = _pass
        else:
            self._kept.append(data)
        return data

    def _whole(self, *, ended: bool) -> Mapping[str, Json] | Answer | None:
        kept, self._kept = b"".join(self._kept), []  # read once: the response may be held for long
        try:
            found = wire.loads(kept)
        except ValueError:
            if ended:
                raise
            return None  # cut; a body that was read to its last byte and then closed is whole
        if isinstance(found, dict):
            return found
        if not isinstance(found, list):
            return None
        for item in found:  # Gemini streams a JSON array when nobody asks for server-sent events
            self._stream.feed(wire.dumps(item))
        return stream_answer(self._stream, ended=True)


def _framed(stream: AnswerStream) -> Callable[[bytes], bytes]:
    """A reader of AWS's binary event stream that feeds ``stream``."""
    frames = eventstream.Decoder()

    def read(data: bytes) -> bytes:
        for message in frames.feed(data):
            if not message.failed:
                stream.feed(message.event)
        return data

    return read


def stream_answer(stream: AnswerStream, *, ended: bool) -> Answer:
    """The answer of a stream; a dialect without a terminator is told when the bytes have ended."""
    if ended:
        stream.end()
    return stream.answer()


def _dialect(name: str) -> Dialect:
    found = dialects.get(name)
    if found is None:
        raise ProviderShapeError(f"no dialect is called {name!r}")
    return found


def _pass(data: bytes) -> bytes:
    return data

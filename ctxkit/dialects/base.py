"""What every dialect offers, and the modules beside it, as protocols.

A dialect is a *module* that satisfies :class:`Dialect`: a name and five functions. It is the only code that knows
the field names of its wire format. Nothing here does I/O or reads a clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctxkit.cacheable import Ask, Block, Wish
    from ctxkit.editable import Piece
    from ctxkit.model import Answer, Conversation, Edit, Json, Message

__all__ = ["AnswerStream", "Caches", "Dialect", "Ends", "Texts"]


class AnswerStream(Protocol):
    """Reads one streamed answer as it passes, event by event, and keeps only what settling needs.

    One object per answer. ``feed`` is on the path of every event: it looks at the bytes and parses only events
    that can carry usage, identity or the first content (at most 5 microseconds per event).
    """

    @property
    def done(self) -> bool:
        """The protocol's own end of stream was seen."""
        ...

    @property
    def content(self) -> bool:
        """A non-empty piece of content (text, reasoning or tool call) was seen."""
        ...

    def feed(self, data: bytes) -> bool:
        """Look at one event's data (the JSON after ``data:``, or ``[DONE]``).

        Returns:
            True when the event is one that the client should not see, because it exists only since ctxkit asked
            for it (OpenAI chat's usage chunk under ``usage_probe``); else False.
        """
        ...

    def end(self) -> None:
        """The bytes ended: says so to a protocol without a terminator of its own (Gemini)."""
        ...

    def answer(self) -> Answer:
        """What was seen so far; ``complete`` is True only after the protocol's own end."""
        ...


class Dialect(Protocol):
    """A wire format: a module with these names."""

    @property
    def name(self) -> str:
        """``"openai.chat"``, ``"anthropic.messages"``, ..."""
        ...

    @property
    def editable(self) -> bool:
        """False for meter-only dialects: ``apply`` refuses any edit."""
        ...

    def view(self, body: Json) -> Conversation:
        """A read-only look at ``body`` in cache order.

        Raises:
            ProviderShapeError: ``body`` is not a request of this dialect; the message says where.
        """
        ...

    def identity(self, value: Json) -> Json:
        """What of a message counts for its identity: the same object, or a copy without cache markers.

        Text may be told as the message that it stands for. Two values that the model reads alike (one with
        ``cache_control``, one without) have equal identities.
        """
        ...

    def apply(self, body: Json, edits: Sequence[Edit]) -> Json:
        """A new body with ``edits`` made; untouched parts are the same objects; no edits: ``body`` itself."""
        ...

    def answer(self, response: Mapping[str, Json], platform: str) -> Answer:
        """Read a whole (not streamed) answer. Never raises on odd figures: they become ``problems``."""
        ...

    def stream(self, platform: str, *, hide_usage: bool = False) -> AnswerStream:
        """Begin to read a streamed answer; ``hide_usage``: the usage chunk was asked for by us alone."""
        ...


class Caches(Protocol):
    """What a provider's cache sees of a wire format: a module with these names, beside the dialect's.

    Attributes:
        OPTIONS: the wire has words for what is no marker: mode, life and key of the whole request.
    """

    OPTIONS: bool

    def blocks(self, message: Message) -> tuple[Block, ...]:
        """One message taken apart: its blocks in cache order, cache markers told and left out of their values.

        Depends on nothing but the message. A text has the same value as the one block of text that says the same.
        """
        ...

    def ask(self, conversation: Conversation) -> Ask:
        """What the request says to the cache beside the markers on its blocks."""
        ...

    def mark(self, conversation: Conversation, wish: Wish) -> tuple[Edit, ...]:
        """Edits that say ``wish`` on this wire, and change nothing else: a marked text becomes a list of one block.

        What the wire has no word for is left out. Nothing that stands there is removed or moved.
        """
        ...


class Texts(Protocol):
    """What of a wire format may be tidied: a module with these names, beside the dialect's."""

    def pieces(self, message: Message, index: int) -> tuple[Piece, ...]:
        """One message taken apart: its texts in order, each with its path, system text and tool definitions included (locked).

        Depends on nothing but the message. A result in one text and the same in a list of one block have equal pieces but
        for their paths; of a list each block of text is a piece.
        """
        ...

    def written(self, piece: Piece, text: str) -> Json:
        """What has to stand at the piece's path so that it says ``text``."""
        ...

    def appended(self, conversation: Conversation, text: str, *, platform: str, model: str) -> Edit | None:
        """The edit that says ``text`` at the very end, in the user's role, behind every cache marker.

        What stands there stays as it is, as blocks of their own where the wire has blocks. ``None``: nothing may be said
        there, or nobody knows that it may.
        """
        ...


class Ends(Protocol):
    """When an answer of a wire format is whole, and what may be asked again: a module with these names, beside the dialect's."""

    def repeatable(self, body: dict[str, Json]) -> bool:
        """The request says all that its answer depends on."""
        ...

    def whole(self, response: Json, body: Json) -> bool:
        """An answer that was not streamed came to a good end, in all of its choices, and says something."""
        ...

    def streamed(self, events: Sequence[Json], body: Json) -> bool:
        """The same of the parsed events of a stream, of which there is at least one; the last one is its terminator."""
        ...

"""What tidying sees of a request, and what it proposes: frozen values that rooms hand one another.

A dialect takes messages apart into pieces of text (``dialects/*/texts.py``), the hygiene room proposes what to say
instead, the caching room prices it, the hall decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from ctxkit.model import Path

__all__ = ["Action", "Candidate", "Fold", "Piece", "PieceKind", "Place", "Rewrite", "Speaker", "Stub"]

PieceKind: TypeAlias = Literal["text", "result", "arguments"]
"""What a piece is: something that was said, what a tool gave back, what a tool was called with."""

Speaker: TypeAlias = Literal["system", "user", "assistant", "tool"]
"""Whose words they are, in one vocabulary for all wires; results of tools are the tool's, whatever message holds them."""

Place: TypeAlias = tuple[int, int]
"""A piece by the index of its message (in cache order) and its number within it."""


class Piece(NamedTuple):
    """One text of a request that may be rewritten, and where it stands on the wire.

    Attributes:
        message: index of its message in :attr:`~ctxkit.model.Conversation.messages`.
        number: of this piece within the message, from 0.
        kind: what it is.
        speaker: whose words they are.
        path: what stands there on the wire is replaced as a whole when the piece is rewritten.
        text: what the model reads; JSON text where the wire holds an object.
        structured: the wire holds a JSON value there, not text: its white space is the provider's.
        pair: id that ties a call to its result.
        name: of the tool, where the wire says it here.
        locked: signed, encrypted, or of a shape that nobody knows: never to be changed.
        failed: the wire says that this is the result of a call that failed.
    """

    message: int
    number: int
    kind: PieceKind
    speaker: Speaker
    path: Path
    text: str
    structured: bool = False
    pair: str | None = None
    name: str | None = None
    locked: bool = False
    failed: bool = False

    @property
    def place(self) -> Place:
        """Where it stands, independent of the wire."""
        return self.message, self.number


class Rewrite(NamedTuple):
    """A piece is to say another text.

    Attributes:
        place: which piece.
        text: what it says then; on the wire as text, or as a value that holds it where the wire wants one.
        by: name of the pass (several: joined with ``+``).
        reason: one sentence for people.
        lossless: nothing that carries meaning was lost.
        targets: pieces that the new text points to: they must go on saying what they say.
    """

    place: Place
    text: str
    by: str
    reason: str
    lossless: bool = True
    targets: tuple[Place, ...] = ()


class Stub(NamedTuple):
    """A piece gives way to a line that says what stood there.

    Attributes:
        place: which piece.
    """

    place: Place


class Fold(NamedTuple):
    """A finished stretch of messages gives way to its first one and its last, shortened.

    Attributes:
        start: index of its first message, which a user said.
        end: index behind its last one, which the assistant said.
    """

    start: int
    end: int


Action: TypeAlias = Stub | Fold


class Candidate(NamedTuple):
    """Something that was sent already and may be removed when that pays.

    Attributes:
        action: what to do. What is said instead is a pure function of the action and of the history.
        by: name of the pass that proposes it.
        reason: one sentence for people.
        since: index of the message since which that was true.
        worth: of what goes, from 0 (nothing will refer to it) to 1 (it surely will): least goes first.
    """

    action: Action
    by: str
    reason: str
    since: int
    worth: float = 0.0

    @property
    def first(self) -> int:
        """Index of the first message that changes."""
        return self.action.start if isinstance(self.action, Fold) else self.action.place[0]

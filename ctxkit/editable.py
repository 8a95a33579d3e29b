"""What tidying sees of a request, and what it proposes: frozen values that rooms hand one another.

A dialect takes messages apart into pieces of text (``dialects/*/texts.py``), the hygiene room proposes what to say
instead, the caching room prices it, the hall decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from ctxkit.money import EXACT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from ctxkit.model import Edit, Path

__all__ = [
    "Action",
    "Addition",
    "Candidate",
    "Fold",
    "Pending",
    "Piece",
    "PieceKind",
    "Place",
    "Rewrite",
    "Speaker",
    "Stub",
    "Tally",
    "Tidied",
    "tallied",
]

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
        speaker: whose words they are; of a call that a program made, the tool's that runs it.
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
    """A stretch of messages gives way to its first one, which says so, and to the last words of the assistant, shortened.

    Where a user had the last word and the assistant goes on behind it, only the first one is left.

    Attributes:
        start: index of its first message, which a user said.
        end: index behind its last one.
    """

    start: int
    end: int


Action: TypeAlias = Stub | Fold


class Addition(NamedTuple):
    """Something is said once more at the very end of a request, behind all that its cache is to keep.

    Attributes:
        text: what is said.
        by: name of the pass.
        reason: one sentence for people.
    """

    text: str
    by: str
    reason: str


class Candidate(NamedTuple):
    """Something that was sent already and may be removed when that pays.

    Attributes:
        action: what to do. What is said instead is a pure function of the action and of the history.
        by: name of the pass that proposes it.
        reason: one sentence for people.
        since: index of the message since which that was true.
        worth: of what goes, from 0 (nothing will refer to it) to 1 (it surely will): least goes first.
        over: a user has begun about something else since: that the latest steps of the model stand there does not keep it.
    """

    action: Action
    by: str
    reason: str
    since: int
    worth: float = 0.0
    over: bool = False

    @property
    def first(self) -> int:
        """Index of the first message that changes."""
        return self.action.start if isinstance(self.action, Fold) else self.action.place[0]


class Tally(NamedTuple):
    """What one pass came to in a request.

    Attributes:
        by: name of the pass.
        edits: how many it made.
        tokens_before: of what it changed, by the estimate.
        tokens_after: of what is said instead.
        lossless: nothing that carries meaning was lost by any of them.
        predicted_saving: USD over the rest of the thread, signed; ``None`` when nothing of it was priced.
    """

    by: str
    edits: int
    tokens_before: int
    tokens_after: int
    lossless: bool = True
    predicted_saving: Decimal | None = None

    @property
    def removed(self) -> int:
        """Tokens that are not sent."""
        return self.tokens_before - self.tokens_after


class Pending(NamedTuple):
    """What could go and stays for now.

    Attributes:
        by: name of the pass that proposes it.
        reason: one sentence for people: why it could go.
        tokens: that it would take out, about.
        waits_for: what has to happen before it goes, for people.
    """

    by: str
    reason: str
    tokens: int
    waits_for: str


@dataclass(frozen=True, slots=True)
class Tidied:
    """What tidying did with a request, and why.

    Attributes:
        verdict: what is done with its thread: ``"edit"``, ``"holdout"`` (left as it is, to compare with) or
            ``"resting"`` (tidying lost on this feature).
        passes: what each pass came to, those that removed most first.
        rewritten: something that was sent before is said anew, or left out, with this request for the first time.
        decision: why that is done now, or what it waits for, in one sentence; ``""``: nothing was to be decided.
        pending: what could go and stays for now.
        refs: references of the texts that are not sent, for ``kit.recall``.
    """

    verdict: Literal["edit", "holdout", "resting"] = "edit"
    passes: tuple[Tally, ...] = ()
    rewritten: bool = False
    decision: str = ""
    pending: tuple[Pending, ...] = ()
    refs: tuple[str, ...] = ()


def tallied(edits: Iterable[Edit]) -> tuple[Tally, ...]:
    """Edits by the pass that made them, those that removed most first; what is said to the cache is not among them."""
    found: dict[str, Tally] = {}
    for edit in edits:
        if edit.by:
            one = found.get(edit.by, Tally(edit.by, 0, 0, 0))
            found[edit.by] = Tally(
                edit.by,
                one.edits + 1,
                one.tokens_before + edit.tokens_before,
                one.tokens_after + edit.tokens_after,
                one.lossless and edit.lossless,
                _added(one.predicted_saving, edit.predicted_saving),
            )
    return tuple(sorted(found.values(), key=lambda one: (-one.removed, one.by)))


def _added(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return other if one is None else one if other is None else EXACT.add(one, other)

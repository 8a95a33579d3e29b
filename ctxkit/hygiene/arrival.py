"""What arrives is made smaller before it is sent for the first time: passes folded over the pieces of a conversation.

The result is a pure function of the passes and of the pieces, so that every worker comes to the same bytes without a
store. What was worked out of a conversation is remembered by its prefix and moves along with it: a new turn costs its
new messages. A fork, or a turn that is generated again, is worked out from the start and comes to the same.

An earlier piece is seen as it is sent: passes point to what the model reads.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, TypeGuard

from ctxkit.editable import Rewrite
from ctxkit.forks import on_fork
from ctxkit.hygiene.passes import MARK, Looking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ctxkit.editable import Piece, Place
    from ctxkit.hygiene.passes import ArrivalPass

__all__ = ["Arrivals"]

_SMALL = 200  # characters that a piece counts at least: what is remembered of it takes room, too


class Arrivals:
    """Runs passes over conversations; one for all threads.

    Args:
        passes: in the order in which they run; each sees what those before it left.
        complain: told the name of a pass that failed, and its error; the other passes go on. Without it the error is
            raised.
        size: characters of all conversations that are remembered together.
    """

    def __init__(
        self,
        passes: Iterable[ArrivalPass],
        *,
        complain: Callable[[str, Exception], None] | None = None,
        size: int = 24_000_000,
    ) -> None:
        self._passes = tuple(passes)
        self._complain = complain
        self._size = size
        self._held = 0
        self._known: OrderedDict[tuple[bytes, bool], _Conversation] = OrderedDict()
        self._renew()
        on_fork(self, "_renew")

    def _renew(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()

    def tidied(
        self, chain: Sequence[bytes], pieces: Callable[[int], Sequence[Piece]], *, points: bool = True
    ) -> Mapping[Place, Rewrite]:
        """What is said instead in a request.

        Args:
            chain: names of the prefixes of the request as the application sent it, by the message they end with.
            pieces: takes a message of it apart, by its index.
            points: pointers to earlier pieces may be made: nobody but us removes from this conversation.
        """
        if not self._passes or not chain:
            return {}
        known, found = self._taken(chain, points=points)
        if known == len(chain):
            return found.rewrites
        for index in range(known, len(chain)):
            found.add(pieces(index))
        rewrites = dict(found.rewrites)
        self._keep((chain[-1], points), found)
        return rewrites

    def _taken(self, chain: Sequence[bytes], *, points: bool) -> tuple[int, _Conversation]:
        """The longest known prefix, taken out to grow unless it is all of it; and its length."""
        with self._lock:
            for known in range(len(chain), 0, -1):
                key = (chain[known - 1], points)
                if key not in self._known:
                    continue
                found = self._known[key]
                if known < len(chain):
                    del self._known[key]
                    self._held -= found.size
                    return known, found
                self._known.move_to_end(key)
                return known, _Conversation((), None, points=points, rewrites=dict(found.rewrites))
        return 0, _Conversation(self._passes, self._complain, points=points)

    def _keep(self, key: tuple[bytes, bool], found: _Conversation) -> None:
        with self._lock:
            if key in self._known:
                return
            self._known[key] = found
            self._held += found.size
            while self._held > self._size and len(self._known) > 1:
                self._held -= self._known.popitem(last=False)[1].size


class _Conversation:
    """One conversation so far, as it is sent."""

    def __init__(
        self,
        passes: Sequence[ArrivalPass],
        complain: Callable[[str, Exception], None] | None,
        *,
        points: bool,
        rewrites: dict[Place, Rewrite] | None = None,
    ) -> None:
        self.rewrites = rewrites if rewrites is not None else {}
        self.size = 0
        self._passes = [one.begin() if isinstance(one, Looking) else one for one in passes]
        self._looking = [one for one in self._passes if isinstance(one, Looking)]
        self._complain = complain
        self._points = points
        self._pieces: dict[Place, Piece] = {}
        self._calls: dict[str, Piece] = {}
        self._first_user: int | None = None

    def text(self, place: Place) -> str:
        """What an earlier piece says, as it is sent."""
        rewrite = self.rewrites.get(place)
        return self._pieces[place].text if rewrite is None else rewrite.text

    def piece(self, place: Place) -> Piece:
        """An earlier piece, as the application sent it."""
        return self._pieces[place]

    def call(self, piece: Piece) -> Piece | None:
        """The call that a result answers."""
        return self._calls.get(piece.pair) if piece.kind == "result" and piece.pair is not None else None

    def add(self, pieces: Sequence[Piece]) -> None:
        """One more message."""
        for piece in pieces:
            self._add(piece)

    def _add(self, piece: Piece) -> None:
        if self._first_user is None and piece.kind == "text" and piece.speaker == "user":
            self._first_user = piece.message
        rewrite = self._made_smaller(piece) if self._may_change(piece) else None
        self._pieces[piece.place] = piece
        if rewrite is not None:
            self.rewrites[piece.place] = rewrite
        if piece.kind == "arguments" and piece.pair is not None:
            self._calls[piece.pair] = piece
        self.size += max(_SMALL, len(piece.text))
        if not piece.locked:
            for one in self._looking:
                one.saw(piece, self.text(piece.place), self)

    def _may_change(self, piece: Piece) -> bool:
        heard = piece.kind == "result" or (piece.kind == "text" and piece.speaker == "user")
        return heard and not piece.locked and piece.message != self._first_user and MARK not in piece.text

    def _made_smaller(self, piece: Piece) -> Rewrite | None:
        whole: Rewrite | None = None
        for one in self._passes:
            text = piece.text if whole is None else whole.text
            rewrite = self._tried(one, piece, text)
            if _smaller(rewrite, text) and (self._points or not rewrite.targets):
                whole = _joined(whole, rewrite._replace(place=piece.place))
        return whole

    def _tried(self, one: ArrivalPass, piece: Piece, text: str) -> Rewrite | None:
        try:
            return _checked(one(piece, text, self), piece, one)
        except Exception as error:
            if self._complain is None:
                raise
            self._complain(_name(one), error)
            return None


def _checked(made: object, piece: Piece, one: ArrivalPass) -> Rewrite | None:
    """What a pass made, which may be one of the user's own and give a text alone."""
    if isinstance(made, str):
        return Rewrite(piece.place, made, _name(one), f"made smaller by {_name(one)}", lossless=False)
    if made is None or (isinstance(made, Rewrite) and isinstance(made.text, str)):
        return made
    raise TypeError(f"an arrival pass gives a Rewrite, a text or None, not {type(made).__name__}")


def _name(one: ArrivalPass) -> str:
    return str(getattr(one, "__name__", type(one).__name__))


def _smaller(rewrite: Rewrite | None, text: str) -> TypeGuard[Rewrite]:
    return rewrite is not None and len(rewrite.text) < len(text) and not rewrite.text.isspace() and bool(rewrite.text)


def _joined(first: Rewrite | None, second: Rewrite) -> Rewrite:
    """Two passes made the same piece smaller, one after the other."""
    if first is None:
        return second
    return Rewrite(
        second.place,
        second.text,
        f"{first.by}+{second.by}",
        f"{first.reason}; {second.reason}",
        first.lossless and second.lossless,
        tuple(dict.fromkeys((*first.targets, *second.targets))),
    )

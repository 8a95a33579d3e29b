"""What of a recorded conversation need not have been sent, by kind, in tokens and in money.

A token is wasted in every request that carried it and need not have, and once in each: what could have been made smaller on
arrival counts first (``bloat``, ``repeats``, ``deltas``), of the rest what later reads and writes had overtaken (``stale``),
then what nothing referred to any more (``spent``), then whole finished stretches (``episodes``). What is said instead is
taken off. All is told from the end of the conversation: one look at it says since when each piece was over.

A wasted token costs what was really paid for it: the provider reads the first tokens of a prompt from its cache, writes
those that follow and bills the rest as fresh, so its place in the prompt says its price.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ctxkit import dialects
from ctxkit.editable import Fold, Stub
from ctxkit.faults import Faults
from ctxkit.hall.retelling import Request, opening_of
from ctxkit.hall.tidypasses import Passes
from ctxkit.hygiene.decisions import Decided
from ctxkit.hygiene.editing import Said, standing
from ctxkit.hygiene.stubs import said as stubbed
from ctxkit.hygiene.touches import touches_of
from ctxkit.replay.hashing import HASHER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ctxkit.editable import Candidate, Piece, Place
    from ctxkit.hygiene.history import History
    from ctxkit.metering.count import Counter
    from ctxkit.metering.paid import Paid
    from ctxkit.model import Conversation
    from ctxkit.policy import Policy
    from ctxkit.replay.posing import Posed

__all__ = ["KINDS", "Run", "Wasted", "Wasting"]

KINDS = ("repeats", "deltas", "bloat", "stale", "spent", "episodes")
_KIND_OF = {"compact": "bloat"}
_PATH = re.compile(r"[\w.~@:+/\\-]{1,200}")
_MOST_SUBJECTS = 200  # that are told apart in one conversation


@dataclass(slots=True)
class Wasted:
    """Sums of one conversation.

    Attributes:
        tokens: by kind.
        pico: by kind, of requests with a price.
        subjects: tokens, pico-dollars and how often, by kind and what it was about (a tool, a file).
    """

    tokens: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    pico: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    subjects: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def add(self, kind: str, subject: str, tokens: float, pico: float) -> None:
        """So much more."""
        self.tokens[kind] += tokens
        self.pico[kind] += pico
        key = (kind, subject)
        if key not in self.subjects and len(self.subjects) >= _MOST_SUBJECTS:
            key = (kind, "")
        held = self.subjects.setdefault(key, [0.0, 0.0, 0.0])
        held[0] += tokens
        held[1] += pico
        held[2] += 1


class Run(NamedTuple):
    """Requests each of which goes on from the one before.

    Attributes:
        sizes: messages of each, the opening left out.
        paid: what was paid for each.
        counted: tokens of each.
    """

    sizes: list[int]
    paid: list[Paid]
    counted: list[int]


class Wasting:
    """Follows one conversation; ``seen`` for each request in order, ``ended`` at the end.

    Args:
        policy: what the passes of mode ``prune`` may do.
        counter: of tokens.
        also: looks at each run, too, by its last request.
    """

    def __init__(
        self,
        policy: Policy,
        counter: Counter,
        also: Callable[[Request, Run], None] | None = None,
    ) -> None:
        self._keep_last = policy.tidy.keep_last
        self._passes = Passes(policy.model_copy(update={"mode": "prune"}), Faults())
        self._counter = counter
        self._also = also
        self._run = Run([], [], [])
        self._last: tuple[Posed, Conversation, list[bytes], int] | None = None
        self.wasted = Wasted()

    def seen(self, one: Posed, paid: Paid) -> None:
        """The next request, and what was paid for it."""
        named = dialects.get(one.dialect)
        if named is None or dialects.texts(one.dialect) is None:
            return
        view = named.view(one.body)
        if view.server_history is not None:
            return
        digests, _ = HASHER.digests(view.messages, named.identity)
        start = opening_of(view)
        if not self._goes_on(one, digests[start:]):
            self.ended()
        self._last = (one, view, digests, start)
        self._run.sizes.append(len(digests) - start)
        self._run.paid.append(paid)
        self._run.counted.append(max(one.counted, 1))

    def _goes_on(self, one: Posed, digests: list[bytes]) -> bool:
        if self._last is None:
            return True
        before, _, known, start = self._last
        held = known[start:]
        return before.dialect == one.dialect and len(held) <= len(digests) and digests[: len(held)] == held

    def ended(self) -> None:
        """The conversation goes on no further; what comes next is another one."""
        if self._last is not None:
            one, view, digests, start = self._last
            texts = dialects.texts(one.dialect)
            assert texts is not None
            weights, _ = self._counter.weights(view, digests, platform=one.platform, model=one.model)
            request = Request(view.messages[start:], texts, weights[start:], sum(weights[:start]))
            chain = HASHER.chain(digests[start:], "waste")
            if chain:
                _Looked(request, self._run, self._keep_last, self.wasted).look(self._passes, chain)
                if self._also is not None:
                    self._also(request, self._run)
        self._run, self._last = Run([], [], []), None


class _Looked:
    """One look at the end of a run."""

    def __init__(self, request: Request, run: Run, keep_last: int, wasted: Wasted) -> None:
        self._request = request
        self._history = request.history
        self._run = run
        self._keep_last = keep_last
        self._wasted = wasted
        self._smaller: dict[Place, float] = {}
        self._going: dict[Place, tuple[int, float]] = {}  # since which request, and how many tokens

    def look(self, passes: Passes, chain: Sequence[bytes]) -> None:
        """All kinds, in order."""
        for place, rewrite in passes.arrived(chain, self._request, points=True).items():
            piece = self._history.by_place[place]
            saved = self._request.tokens(piece) - self._request.tokens_of(piece, rewrite)
            if saved > 0:
                self._smaller[place] = saved
                last = rewrite.by.rpartition("+")[2]
                kind = _KIND_OF.get(last, last if last in KINDS else "bloat")
                self._add(kind, piece, self._first(piece.message), len(self._run.sizes), saved)
        candidates = passes.candidates(self._history)
        self._stubs([one for one in candidates if isinstance(one.action, Stub)])
        self._folds([one for one in candidates if isinstance(one.action, Fold)])

    def _first(self, message: int) -> int:
        """Number of the first request that carries a message."""
        return bisect_right(self._run.sizes, message)

    def _since(self, candidate: Candidate) -> int:
        """Number of the first request in which it could have been gone: the latest steps stay as they are."""
        steps = self._history.steps
        end = candidate.action.end - 1 if isinstance(candidate.action, Fold) else candidate.action.place[0]
        behind = bisect_right(steps, end) + self._keep_last - 1
        guarded = steps[behind] if behind < len(steps) else self._history.count
        return self._first(max(candidate.since, guarded))

    def _stubs(self, candidates: Sequence[Candidate]) -> None:
        since: dict[Place, dict[str, int]] = defaultdict(dict)
        for one in candidates:
            if isinstance(one.action, Stub):
                since[one.action.place].setdefault(one.by, self._since(one))
        count = len(self._run.sizes)
        for place, found in since.items():
            piece, saved = self._history.by_place[place], self._saved(place)
            if saved <= 0:
                continue
            stale, spent = (
                found.get("stale", count),
                min([at for by, at in found.items() if by != "stale"], default=count),
            )
            self._going[place] = (min(stale, spent), saved)
            self._add("stale", piece, stale, count, saved)
            self._add("spent", piece, spent, stale, saved)

    def _saved(self, place: Place) -> float:
        """Tokens that a stub takes away beyond what arrived smaller."""
        rewrites, _ = stubbed(self._history, Stub(place))
        piece = self._history.by_place[place]
        saved = sum(self._request.tokens(piece) - self._request.tokens_of(piece, one) for one in rewrites)
        return saved - self._smaller.get(place, 0.0)

    def _folds(self, candidates: Sequence[Candidate]) -> None:
        since = {one.action: self._since(one) for one in reversed(candidates)}
        count = len(self._run.sizes)
        for action, _ in standing([Decided(one.action, one.by) for one in candidates]):
            if not isinstance(action, Fold):
                continue
            rewrites, drops = stubbed(self._history, action)
            removed = self._request.removed(Said({one.place: one for one in rewrites}, dict.fromkeys(drops, "")))
            inside = [place for place in (*self._smaller, *self._going) if action.start <= place[0] < action.end]
            saved = sum(removed.values()) - sum(self._smaller.get(place, 0.0) for place in dict.fromkeys(inside))
            going = [self._going[place] for place in dict.fromkeys(inside) if place in self._going]
            piece = self._history.by_message[action.start][0]
            for number in range(since[action], count):
                left = saved - sum(tokens for at, tokens in going if at <= number)
                self._add("episodes", piece, number, number + 1, left)

    def _add(self, kind: str, piece: Piece, first: int, end: int, saved: float) -> None:
        """So many tokens of a piece in each of these requests."""
        if saved <= 0 or first >= end:
            return
        start, tokens, pico = self._request.reached[piece.message], 0.0, 0.0
        for number in range(first, end):
            paid = self._run.paid[number]
            share = paid.tokens / self._run.counted[number]
            tokens += saved * share
            pico += paid.price(start * share, saved * share)
        self._wasted.add(kind, _subject(kind, piece, self._history), tokens, pico)


def _subject(kind: str, piece: Piece, history: History) -> str:
    """What it was about: the file that was overtaken, else the tool."""
    if kind == "episodes":
        return ""
    call = piece if piece.kind == "arguments" else history.calls.get(piece.place)
    name = (piece.name or (call.name if call is not None else None) or "")[:100]
    if kind in ("stale", "deltas", "repeats") and call is not None:
        target = next(_targets(name, call.text), "")
        return target or name
    return name


def _targets(name: str, arguments: str) -> Iterator[str]:
    for touch in touches_of(name, arguments):
        if _PATH.fullmatch(touch.target):  # a command may hold anything, and no word of a prompt is told
            yield touch.target

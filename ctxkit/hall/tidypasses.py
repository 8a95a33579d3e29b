"""The passes that a policy asks for, made once: what arrives goes through some, the whole conversation through others."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from ctxkit.editable import Candidate, Fold, Stub
from ctxkit.hygiene.arrival import Arrivals
from ctxkit.hygiene.compact import Compact
from ctxkit.hygiene.episodes import Episodes
from ctxkit.hygiene.fit import fit
from ctxkit.hygiene.guards import Guards
from ctxkit.hygiene.pins import Pins
from ctxkit.hygiene.relevance import relevance as lexical
from ctxkit.hygiene.reminders import BY as REMINDERS
from ctxkit.hygiene.reminders import Reminders
from ctxkit.hygiene.repeats import Repeats
from ctxkit.hygiene.spent import Spent
from ctxkit.hygiene.stale import Stale
from ctxkit.tidiness import arrives

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ctxkit.editable import Action, Addition, Place, Rewrite
    from ctxkit.faults import Faults
    from ctxkit.hall.retelling import Request
    from ctxkit.hygiene.history import History
    from ctxkit.hygiene.passes import ArrivalPass, DeferredPass
    from ctxkit.hygiene.relevance import Relevance
    from ctxkit.policy import Policy
    from ctxkit.tidiness import Tidy

__all__ = ["Passes", "arriving"]

_MOST = 1_000  # candidates of a pass beyond one for each piece: one that never ends is no reason not to
_GOES_ON = "The other passes went on without it."


class Passes:
    """Runs the passes of one policy; for all threads.

    Args:
        policy: says which, and how far they go.
        faults: told of those that fail.
        relevance: what belongs to what is talked about now.
    """

    def __init__(self, policy: Policy, faults: Faults, relevance: Relevance = lexical) -> None:
        tidy, prunes = policy.tidy, policy.mode == "prune"
        self._faults = faults
        self._relevance = relevance
        self._deferred = _deferred(tidy, relevance) if prunes else []
        self._guards = Guards(keep_last=tidy.keep_last, pins=tidy.pins)
        self._reminders = _reminders(tidy) if prunes else None
        self._arrivals = Arrivals(arriving(tidy, prunes=prunes), complain=self._complain)

    def arrived(self, chain: Sequence[bytes], request: Request, *, points: bool) -> Mapping[Place, Rewrite]:
        """What is made smaller before it is sent for the first time; ``points``: pointers may be made."""
        return self._arrivals.tidied(chain, request.pieces, points=points)

    def candidates(self, history: History) -> list[Candidate]:
        """What could go of a conversation, nothing of it protected."""
        found: list[Candidate] = []
        for one in self._deferred:
            try:
                found += self._guards.allowed(history, _proposed(one, history))
            except Exception as error:  # noqa: BLE001 - a pass of the user's own
                self._complain(getattr(one, "__name__", type(one).__name__), error)
        return found

    def fitting(
        self,
        history: History,
        before: Sequence[Candidate],
        held: Sequence[Action],
        tokens_of: Callable[[Action], float],
        over: float,
    ) -> Iterable[Candidate]:
        """What has to go to take out so many tokens; what is ``held`` was decided earlier."""
        return fit(
            history,
            tokens_of,
            over,
            allowed=self._guards.allowed,
            free=self._guards.free,
            before=before,
            held=held,
            relevance=self._relevance,
        )

    def reminder(self, history: History, reached: Sequence[float]) -> Addition | None:
        """What is to be said once more at the end; ``reached``: tokens before each message, and all of them at last."""
        if self._reminders is None:
            return None
        try:
            return self._reminders(history, reached)
        except Exception as error:  # noqa: BLE001 - a pin of the user's own
            self._complain(REMINDERS, error)
            return None

    def _complain(self, name: str, error: Exception) -> None:
        self._faults.note(f"pass {name}", error, _GOES_ON)


def arriving(tidy: Tidy, *, prunes: bool) -> list[ArrivalPass]:
    """What makes smaller what arrives, in order; ``prunes``: in mode ``prune``."""
    found: list[ArrivalPass] = []
    if tidy.compact:
        found.append(Compact(tables=tidy.tables))
    deltas = prunes and tidy.deltas
    if tidy.repeats or deltas:
        found.append(Repeats(within=tidy.repeats_within, pointers=tidy.repeats, deltas=deltas))
    found += [one for one in tidy.passes if arrives(one)]
    return found


def _deferred(tidy: Tidy, relevance: Relevance) -> list[DeferredPass]:
    found: list[DeferredPass] = []
    if tidy.spent:
        found.append(Spent(after=tidy.spent_after))
    if tidy.stale:
        found.append(Stale(tidy.touch, settle=tidy.keep_last, repeats=tidy.repeats or tidy.deltas))
    if tidy.episodes:
        found.append(Episodes(after=tidy.keep_last, relevance=relevance))
    found += [one for one in tidy.passes if not arrives(one)]
    return found


def _reminders(tidy: Tidy) -> Reminders | None:
    """Where nobody says, what is pinned is restated, if anything is."""
    if tidy.reminders is False or (tidy.reminders is None and not tidy.pins):
        return None
    return Reminders(Pins(tidy.pins), said=tidy.reminders is True, after=tidy.reminders_from)


def _proposed(one: DeferredPass, history: History) -> Iterator[Candidate]:
    """What a pass proposes, which may be one of the user's own: bounded, and nothing but candidates.

    Raises:
        TypeError: it proposed something else.
    """
    for found in islice(one(history), _MOST + len(history.pieces)):
        if not _sound(found):
            raise TypeError(f"a pass over a history gives Candidates, not {type(found).__name__}")
        yield found


def _sound(found: object) -> bool:
    if not isinstance(found, Candidate) or not isinstance(found.action, Stub | Fold):
        return False
    place: Any = found.action.place if isinstance(found.action, Stub) else found.action
    numbers = isinstance(place, tuple) and len(place) == 2 and all(type(one) is int for one in (*place, found.since))
    words: tuple[Any, ...] = (found.by, found.reason)
    return numbers and all(isinstance(one, str) for one in words)

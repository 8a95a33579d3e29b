"""Whether tidying pays for a feature, judged by what it did: signed savings per thread, and a right to be wrong that is small.

A rewrite costs first and saves later, so a thread is judged when it is over. Once twenty threads of a feature are, their
sum decides: a feature that lost goes back to observing, and comes back only when planning in the shadow says of twenty
further threads that it would win clearly. Two different marks, so that it does not go to and fro at zero. Before that,
rewrites that cost something first may cost no more than a small share of what the feature spends.

A share of the threads may be left as they are (holdout): then savings are measured, as the difference of two means with
its interval, and not reckoned. Which ones is decided by a keyed hash of the thread, the same in every worker.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from statistics import fmean, variance
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, cast

from ctxkit.caching.features import Features
from ctxkit.caching.survival import ended
from ctxkit.forks import on_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from ctxkit.caching.features import Memory

__all__ = ["Account", "Measured", "Settled", "Trials", "Verdict"]

Verdict: TypeAlias = Literal["edit", "holdout", "resting"]
"""What is done with a thread: it is tidied; it is left as it is, to compare with; its feature lost and observes.

What was decided for a thread earlier goes on holding in any case: a cached prefix is not to be changed back.
"""

THREADS = 20
"""Closed threads over which a feature is judged."""

WINS = 0.01
"""Share of what threads would have cost that has to be saved in the shadow before a feature is tidied again."""

RISKED = 0.005
"""Share of a feature's spend that rewrites may have lost, all in all."""

ADVANCE = 500_000_000_000
"""Pico-dollars that they may have lost before the feature has spent anything: half a dollar."""

_KEY = b"trials"
_CLOSED = 200  # closed threads that are remembered of a feature
_SAVED_EVERY = 100
_CERTAIN = 1.96  # standard errors on both sides that hold the truth in 95 of 100 cases
_SHARES = 2**32


class Settled(NamedTuple):
    """What one request, or all of a thread, came to; pico-dollars.

    Attributes:
        cost: what was paid.
        saved: by tidying, against the same history sent append-only (negative: lost).
        rewrites: the part of it that is due to rewrites of what was sent before, their price included.
        predicted: what rewrites decided for it were expected to save, over all requests to come.
        requests: how many.
    """

    cost: int = 0
    saved: int = 0
    rewrites: int = 0
    predicted: int = 0
    requests: int = 1

    def plus(self, other: Settled) -> Settled:
        """Both together."""
        return Settled(*(one + more for one, more in zip(self, other, strict=True)))


class Measured(NamedTuple):
    """What a thread cost less than one that was left as it is; pico-dollars.

    Attributes:
        edited: threads that were tidied.
        held: threads that were left.
        saved: difference of the means of their cost per thread.
        low: with ``high``, where the true difference lies in 95 of 100 cases.
        high: see ``low``.
    """

    edited: int
    held: int
    saved: float
    low: float
    high: float


class Account(NamedTuple):
    """How a feature stands.

    Attributes:
        state: ``"edit"``, or ``"resting"`` after it lost.
        closed: tidied threads that are over, all in all.
        judged: those of them by which it is judged.
        saved: by these, signed, in pico-dollars.
        predicted: what their rewrites were expected to save.
        cost: what they cost.
        under_way: saved by threads that are not over yet.
        measured: against threads that were left as they are, where there are enough of both.
    """

    state: Literal["edit", "resting"] = "edit"
    closed: int = 0
    judged: int = 0
    saved: int = 0
    predicted: int = 0
    cost: int = 0
    under_way: int = 0
    measured: Measured | None = None


class _Thread:
    """One that is under way."""

    __slots__ = ("reserved", "settled", "time", "verdict")

    def __init__(self, verdict: str) -> None:
        self.verdict = verdict
        self.settled = Settled(requests=0)
        self.reserved = 0
        self.time = 0.0


class _Feature:
    """The threads of one feature.

    Attributes:
        open: under way, the longest idle first.
        edited: closed ones that were tidied, since the last change of state.
        held: closed ones that were left as they are: what each cost.
        shadow: closed ones that were only planned, since the last change of state.
        spent: everything that was paid.
        balance: all that rewrites won and lost.
    """

    __slots__ = ("balance", "closed", "edited", "held", "open", "resting", "shadow", "spent")

    def __init__(self) -> None:
        self.open: OrderedDict[str, _Thread] = OrderedDict()
        self.edited: deque[Settled] = deque(maxlen=_CLOSED)
        self.held: deque[Settled] = deque(maxlen=_CLOSED)
        self.shadow: deque[Settled] = deque(maxlen=_CLOSED)
        self.resting = False
        self.closed = self.spent = self.balance = 0

    def noted(self, thread: str, verdict: str, settled: Settled, now: float) -> None:
        one = self.thread(thread, verdict)
        one.settled = one.settled.plus(settled)
        one.time, one.reserved = max(one.time, now), 0
        if verdict != _SHADOW:
            self.spent += settled.cost
            self.balance += settled.rewrites
        self.close(now)

    def thread(self, thread: str, verdict: str) -> _Thread:
        one = self.open.get(thread)
        if one is None or one.verdict != verdict:
            one = self.open[thread] = _Thread(verdict)
        self.open.move_to_end(thread)
        return one

    def close(self, now: float) -> None:
        """Judge threads that were idle for long; of too many under way, those that were idle longest."""
        for one in ended(self.open, now):
            self._closed(one)

    def _closed(self, one: _Thread) -> None:
        if one.verdict == "edit":
            self.closed += 1
            self.edited.append(one.settled)
        elif one.verdict in (_SHADOW, "holdout"):
            (self.held if one.verdict == "holdout" else self.shadow).append(one.settled)
        if not self.resting and len(self.edited) >= THREADS and sum(settled.saved for settled in self.edited) < 0:
            self._turn(resting=True)
        elif self.resting and len(self.shadow) >= THREADS and _wins(self.shadow):
            self._turn(resting=False)

    def _turn(self, *, resting: bool) -> None:
        """Another state begins, and what was learned under the one before does not judge it."""
        self.resting = resting
        self.edited.clear()
        self.shadow.clear()

    def account(self) -> Account:
        judged = list(self.edited)
        under_way = [one.settled.saved for one in self.open.values() if one.verdict == "edit"]
        return Account(
            "resting" if self.resting else "edit",
            self.closed,
            len(judged),
            sum(one.saved for one in judged),
            sum(one.predicted for one in judged),
            sum(one.cost for one in judged),
            sum(under_way),
            _measured([one.cost for one in judged], [one.cost for one in self.held]),
        )

    def figures(self) -> dict[str, Any]:
        """What is kept: of threads that are over."""
        threads = {name: [list(one) for one in getattr(self, name)] for name in _LISTS}
        return {"resting": self.resting, "closed": self.closed, "spent": self.spent, "balance": self.balance, **threads}

    @classmethod
    def of(cls, figures: Mapping[str, Any]) -> _Feature:
        """From what :meth:`figures` gave."""
        feature = cls()
        feature.resting = bool(figures["resting"])
        feature.closed, feature.spent, feature.balance = (int(figures[name]) for name in _SUMS)
        for name in _LISTS:
            getattr(feature, name).extend(Settled(*map(int, one)) for one in figures[name])
        return feature


_SHADOW = "shadow"
_LISTS = ("edited", "held", "shadow")
_SUMS = ("closed", "spent", "balance")


class Trials:
    """Judges features; one per kit, for all threads.

    Args:
        digest: keyed hash of a value: decides which threads are left as they are.
        store: what was judged outlives the process there.
        holdout: share of threads that are.

    Attributes:
        judges: features that lose rest; what is only imagined is judged by nobody.
    """

    def __init__(self, digest: Callable[[Any], bytes], store: Memory, holdout: float = 0.0) -> None:
        self._digest = digest
        self._store = store
        self._holdout = holdout
        self.judges = True
        self._features = Features(_Feature, store.get(_KEY))
        self._notes = 0
        self._fresh_lock()
        on_fork(self, "_fresh_lock")

    def allowed(self, feature: str, thread: str) -> Verdict:
        """What may be done with a thread, beyond what was decided for it earlier; changes nothing."""
        if self.held_out(thread):
            return "holdout"
        held = self._features.get(feature)
        return "resting" if self.judges and held is not None and held.resting else "edit"

    def known(self, feature: str, thread: str) -> Verdict | None:
        """What is done with a thread that is under way; ``None``: this process knows no such thread."""
        held = self._features.get(feature)
        one = held.open.get(thread) if held is not None else None
        return cast("Verdict", one.verdict) if one is not None else None

    def may_spend(self, feature: str, pico: int) -> bool:
        """Whether a rewrite that costs so much more at first may be bought: what may be lost by it is limited.

        Net of what rewrites have saved, and with those under way, a feature risks 0.5 % of what it has spent, and half a
        dollar before that.
        """
        with self._lock:
            held = self._features.get(feature)
            if held is None:
                return pico <= ADVANCE
            reserved = sum(one.reserved for one in held.open.values())
            return reserved + pico - held.balance <= max(ADVANCE, RISKED * held.spent)

    def spends(self, feature: str, thread: str, pico: int) -> None:
        """A rewrite that costs so much more at first has left; what it did cost is noted when it is settled."""
        with self._lock:
            self._features.held(feature).thread(thread, "edit").reserved = max(pico, 0)

    def noted(self, feature: str, thread: str, verdict: Verdict, settled: Settled, now: float) -> None:
        """A request was settled.

        Args:
            feature: whose request.
            thread: id of its conversation.
            verdict: what was done with it.
            settled: what it came to.
            now: unix time in seconds.
        """
        self._note(feature, thread, verdict, settled, now)

    def shadowed(self, feature: str, thread: str, settled: Settled, now: float) -> None:
        """A request of a feature that observes was planned in the shadow, and this it would have come to."""
        self._note(feature, f"\0{thread}", _SHADOW, settled, now)

    def account(self, feature: str) -> Account:
        """How a feature stands."""
        with self._lock:
            held = self._features.get(feature)
            return held.account() if held is not None else Account()

    def accounts(self) -> dict[str, Account]:
        """How all features stand of which anything is known."""
        with self._lock:
            return {feature: held.account() for feature, held in sorted(self._features.items())}

    def save(self) -> None:
        """Keep what was judged in the store."""
        self._store.put(_KEY, self.dump())

    def dump(self) -> bytes:
        """Sums of closed threads by feature, as JSON; no id of any."""
        with self._lock:
            return self._features.dump()

    def held_out(self, thread: str) -> bool:
        """A thread is left as it is to compare with: the same answer at any time, in any worker."""
        if self._holdout <= 0:
            return False
        drawn = int.from_bytes(self._digest(("holdout", thread))[:4], "big")
        return drawn < self._holdout * _SHARES

    def _note(self, feature: str, thread: str, verdict: str, settled: Settled, now: float) -> None:
        with self._lock:
            self._features.held(feature).noted(thread, verdict, settled, now)
            self._notes += 1
            due = self._notes % _SAVED_EVERY == 0
        if due:
            self.save()

    def _fresh_lock(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()


def _wins(threads: Sequence[Settled]) -> bool:
    saved = sum(one.saved for one in threads)
    return saved > WINS * sum(one.cost + one.saved for one in threads)


def _measured(edited: Sequence[int], held: Sequence[int]) -> Measured | None:
    """Welch's interval, with the normal distribution: both groups have at least as many as a feature is judged by."""
    if min(len(edited), len(held)) < THREADS:
        return None
    saved = fmean(held) - fmean(edited)
    error = (variance(map(float, held)) / len(held) + variance(map(float, edited)) / len(edited)) ** 0.5
    return Measured(len(edited), len(held), saved, saved - _CERTAIN * error, saved + _CERTAIN * error)

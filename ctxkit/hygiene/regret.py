"""Whether what was removed is missed: a tool that is called again, with the same arguments, soon after its result went.

Tools are called again anyway. So the same is counted of results that were left as they are, from the age on at which
results are usually removed: what goes beyond that base rate is regret. Counted from request to request, by keyed hashes
of calls; nothing is kept of a conversation that is seen no more but the counts.
"""

from __future__ import annotations

import json
import threading
from bisect import bisect_left
from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ctxkit.forks import on_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeAlias

    from ctxkit.editable import Place
    from ctxkit.hygiene.editing import Said
    from ctxkit.hygiene.history import History

    _Counts: TypeAlias = dict[str, tuple[int, int]]

__all__ = ["OLD", "SOON", "Memory", "Refetched", "Regret"]

SOON = 6
"""Steps of the model within which a call that comes again tells of a result that was missed."""

OLD = 6
"""Steps after which a result that was left as it is counts for the base rate: removed ones are no younger, mostly."""

_KEY = b"regret"
_THREADS, _CALLS = 1_000, 300  # conversations, and calls of each, that are remembered
_FEATURES = 500
_LEFT = ""  # in place of a pass: results that were left as they are
_SAVED_EVERY = 100


class Memory(Protocol):
    """What is needed of a store."""

    def get(self, key: bytes) -> bytes | None:
        """The value, or ``None``."""

    def put(self, key: bytes, value: bytes) -> None:
        """Keep a value; may be written later."""


class Refetched(NamedTuple):
    """How often calls came again soon.

    Attributes:
        removed: results that were removed.
        missed: of those, whose call came again soon after.
        left: results that were left as they are until they were old.
        repeated: of those, whose call came again soon after all the same.
    """

    removed: int = 0
    missed: int = 0
    left: int = 0
    repeated: int = 0

    @property
    def rate(self) -> float | None:
        """Share of removed results that were fetched again; ``None``: none was removed."""
        return self.missed / self.removed if self.removed else None

    @property
    def base(self) -> float | None:
        """Share of results that are fetched again anyway; ``None``: none has become old."""
        return self.repeated / self.left if self.left else None

    @property
    def regret(self) -> float | None:
        """By how much more often removed results are fetched again than others; ``None`` where nobody knows."""
        return None if self.rate is None or self.base is None else self.rate - self.base


class _Call:
    """One call of a conversation.

    Attributes:
        key: keyed hash of what was called.
        step: of the model that made it.
        gone: steps that there were when its result was removed; ``None``: it says what it said.
        by: the pass that removed it.
        told: it is counted, as removed or as left.
    """

    __slots__ = ("by", "gone", "key", "step", "told")

    def __init__(self, key: bytes, step: int) -> None:
        self.key = key
        self.step = step
        self.gone: int | None = None
        self.by = _LEFT
        self.told = False

    def within(self, steps: int) -> bool:
        """So many steps are soon after its result was removed, or became old."""
        return steps - (self.step + OLD if self.gone is None else self.gone) < SOON


class _Thread:
    """What is remembered of one conversation: its calls by where their results stand, and the latest of each kind."""

    __slots__ = ("by_place", "latest", "results")

    def __init__(self) -> None:
        self.results = 0
        self.by_place: OrderedDict[Place, _Call] = OrderedDict()
        self.latest: dict[bytes, _Call] = {}

    def add(self, place: Place, key: bytes, step: int) -> _Call | None:
        """Remember a call; the one before it of its kind."""
        before = self.latest.get(key)
        self.latest[key] = self.by_place[place] = _Call(key, step)
        if len(self.by_place) > _CALLS:
            _, oldest = self.by_place.popitem(last=False)
            if self.latest[oldest.key] is oldest:
                del self.latest[oldest.key]
        return before


class Regret:
    """Counts calls that come again, per feature; one per kit, for all threads.

    Args:
        digest: keyed hash of a value.
        store: counts outlive the process there.
    """

    def __init__(self, digest: Callable[[Any], bytes], store: Memory) -> None:
        self._digest = digest
        self._store = store
        self._threads: OrderedDict[str, _Thread] = OrderedDict()
        self._counts: OrderedDict[str, _Counts] = OrderedDict()
        self._notes = 0
        self._fresh_lock()
        on_fork(self, "_fresh_lock")
        self._load(store.get(_KEY))

    def sent(self, feature: str, thread: str, history: History, said: Said) -> None:
        """A request left.

        Args:
            feature: whose request.
            thread: id of its conversation.
            history: as the application sent it.
            said: what was said instead of it.
        """
        with self._lock:
            held = self._thread(thread, history)
            counts = _held(self._counts, feature, _FEATURES)
            self._called(held, history, counts)
            _removed(held, history, said, counts)
            _old(held, len(history.steps), counts)
            self._notes += 1
            due = self._notes % _SAVED_EVERY == 0
        if due:
            self.save()

    def _thread(self, thread: str, history: History) -> _Thread:
        """What is remembered of a conversation; of one that is new, or was shortened, what it has is not counted."""
        held = self._threads.get(thread)
        if held is None or held.results > len(history.calls):
            held = self._threads[thread] = _Thread()
            self._called(held, history, {})
            for one in held.by_place.values():
                one.gone = -SOON
        self._threads.move_to_end(thread)
        while len(self._threads) > _THREADS:
            self._threads.popitem(last=False)
        return held

    def _called(self, held: _Thread, history: History, counts: _Counts) -> None:
        """Look at calls that are new: those that came soon after the result of one like them was removed, or was old."""
        for place, call in islice(history.calls.items(), held.results, None):
            step = bisect_left(history.steps, call.message)
            before = held.add(place, self._digest((call.name or "", call.text)), step)
            if before is not None and before.told and before.within(step):
                _count(counts, before.by, again=1)
        held.results = len(history.calls)

    def refetched(self, feature: str) -> Refetched:
        """How often calls of a feature came again soon."""
        with self._lock:
            counts = self._counts.get(feature, {})
            removed = [pair for by, pair in counts.items() if by != _LEFT]
            left, repeated = counts.get(_LEFT, (0, 0))
            return Refetched(sum(one for one, _ in removed), sum(again for _, again in removed), left, repeated)

    def save(self) -> None:
        """Keep the counts in the store."""
        self._store.put(_KEY, self.dump())

    def dump(self) -> bytes:
        """The counts by feature and pass, as JSON."""
        with self._lock:
            return json.dumps(self._counts).encode()

    def _load(self, stored: bytes | None) -> None:
        try:
            found = {
                str(feature): {str(by): (int(one), int(again)) for by, (one, again) in counts.items()}
                for feature, counts in json.loads(stored or b"{}").items()
            }
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            return
        self._counts.update(found)

    def _fresh_lock(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()


def _removed(held: _Thread, history: History, said: Said, counts: _Counts) -> None:
    """Note whose result is removed from now on."""
    steps = len(history.steps)
    for place, by in _gone(history, said):
        one = held.by_place.get(place)
        if one is None or one.gone is not None:
            continue
        if one.told and one.within(steps):
            _count(counts, _LEFT, -1)  # it was not left for as long as others are
        one.gone, one.by, one.told = steps, by, True
        _count(counts, by, 1)


def _gone(history: History, said: Said) -> Iterator[tuple[Place, str]]:
    """Where results stood that are removed, with the pass; what was only said shorter is there all the same."""
    for place, one in said.rewrites.items():
        if not one.lossless:
            yield place, one.by
    for index, by in said.drops.items():
        for piece in history.by_message.get(index, ()):
            yield piece.place, by


def _old(held: _Thread, steps: int, counts: _Counts) -> None:
    """Count results that were left until they became old."""
    for one in held.by_place.values():
        if steps - one.step < OLD:
            return
        if not one.told and one.gone is None:
            one.told = True
            _count(counts, _LEFT, 1)


def _count(counts: _Counts, by: str, one: int = 0, again: int = 0) -> None:
    before = counts.get(by, (0, 0))
    counts[by] = before[0] + one, before[1] + again


def _held(where: OrderedDict[str, _Counts], feature: str, most: int) -> _Counts:
    found = where.setdefault(feature, {})
    where.move_to_end(feature)
    while len(where) > most:
        where.popitem(last=False)
    return found

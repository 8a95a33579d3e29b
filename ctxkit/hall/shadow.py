"""What stronger modes would have saved: the annexe of the hall where requests are planned a second time, in the shadow.

Nothing of it is on a request's path. A settled request waits in a short queue (:mod:`ctxkit.hall.afterwards`); a thread of
its own plans it as each stronger mode would, and as it was sent, each against a simulated cache of its own, and settles it
with what that cache says. So like is compared with like, and no provider is asked. What it cannot keep up with is left out
by whole conversations: a share of them is followed from their begin to their end, which the report names.

Figures alone are kept: what the requests of a feature cost in each mode, by day.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ctxkit import dialects
from ctxkit.caching.trial import Settled
from ctxkit.forks import on_fork
from ctxkit.hall.afterwards import Afterwards, copied
from ctxkit.hall.imagined import Line, imagined
from ctxkit.metering.report.beside import Foregone, Shadow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ctxkit.caching.prefixes import Hasher
    from ctxkit.faults import Faults
    from ctxkit.kit import Kit
    from ctxkit.model import Json, Plan, Record
    from ctxkit.stores import Store

__all__ = ["MODES", "Shadows", "read_shadow", "shadows_of"]

MODES = ("observe", "cache", "lossless", "prune")
"""Each contains the one before."""

_KEY = b"shadow"
_SEEN = "\0seen"  # in place of a feature: how many requests a day had
_UNTIDIED = "cache"  # the mode of requests that could be tidied and are not
_DAY = 86_400
_DAYS = 60  # that figures are kept of
_FEATURES = 200  # of a day
_THREADS = 5_000
_SAVED_EVERY = 50
_TRIES = 8  # to add figures while other processes add theirs
_LEAST = 2**-10
_SHARES = 2**32


class _Job(NamedTuple):
    """A settled request, with what it takes to plan it again."""

    body: Json
    plan: Plan
    record: Record
    new: bool


class Shared(Protocol):
    """What is needed of a store."""

    def fresh(self, key: bytes) -> bytes | None:
        """The value as all processes see it now."""

    def swap(self, key: bytes, old: bytes | None, new: bytes) -> bytes | None:
        """Put ``new`` where ``old`` stands; the value that stands then."""


class Shadows:
    """Plans settled requests as stronger modes would; one per kit, for all threads.

    Args:
        make: a kit of a mode, which keeps everything in memory and sends nothing.
        modes: the one that requests are sent in, and those that are compared with it.
        hasher: keyed hashes, which choose the share of conversations that is followed.
        store: figures outlive the process there, and those of other processes stand.
        faults: told of what goes wrong.

    Attributes:
        share: of the conversations that is followed.
        compared: told of a request of a feature that lost what it would have come to, had it been tidied.
        behind: those that wait to be planned.
    """

    def __init__(
        self, make: Callable[[str], Kit], modes: Sequence[str], hasher: Hasher, store: Shared, faults: Faults
    ) -> None:
        self._make = make
        self._modes = tuple(modes)
        self._hasher = hasher
        self._store = store
        self._lines: dict[str, Line] = {}
        self._figures: dict[str, dict[str, list[int]]] = {}
        self._seen: dict[int, int] = {}
        self._followed: OrderedDict[str, None] = OrderedDict()
        self._done = 0
        self.share = 1.0
        self.compared: Callable[[Plan, Settled], None] | None = None
        self.behind = Afterwards("shadow", self._plan, faults)
        self._renew()
        on_fork(self, "_renew")

    @property
    def _own(self) -> str:
        return self._modes[0]

    @property
    def failed(self) -> int:
        """Requests whose planning failed."""
        return self.behind.failed

    def _renew(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()

    # ------------------------------------------------------------------ on the request's path

    def offer(self, plan: Plan, record: Record) -> None:
        """A request was settled: let it be planned when there is time. Takes a few microseconds."""
        self.behind.stirred()
        usage = record.usage
        if record.status != "settled" or usage is None or usage.output is None or record.cost is None:
            return
        if dialects.caches(plan.dialect) is None or plan.rental is not None or self.behind.closed:
            return
        if len(self._modes) == 1 and not _rests(plan):  # no mode is stronger
            return
        with self._lock:
            day = int(plan.created // _DAY)
            self._seen[day] = self._seen.get(day, 0) + 1
            thread = plan.thread or ""
            if not self._follows(thread):
                return
            if self.behind.full:
                self.share = max(self.share / 2, _LEAST)
                self._followed.pop(thread, None)
                return
            new = thread not in self._followed
            self._followed[thread] = None
            self._followed.move_to_end(thread)
            while len(self._followed) > _THREADS:
                self._followed.popitem(last=False)
            self.behind.put(_Job(copied(plan.original), plan, record, new))

    def _follows(self, thread: str) -> bool:
        if self.share >= 1.0:
            return True
        drawn = int.from_bytes(self._hasher.digest(("shadow", thread))[:4], "big")
        return drawn < self.share * _SHARES

    # ------------------------------------------------------------------ in its own thread

    def _plan(self, job: _Job) -> None:
        try:
            self._compare(job)
        finally:
            self._done += 1
            if self._done % _SAVED_EVERY == 0:
                self.save()

    def _compare(self, job: _Job) -> None:
        """What a request would have come to in each mode; nothing is told where one of them is unknown."""
        rests = _rests(job.plan)
        modes = (_UNTIDIED, *self._modes) if rests else self._modes
        costs = {mode: self._line(mode).cost(job.body, job.plan, job.record) for mode in modes}
        known = {mode: cost for mode, cost in costs.items() if cost is not None}
        if len(known) < len(modes):
            return
        as_sent = known[_UNTIDIED if rests else self._own]
        if rests and self.compared is not None:
            self.compared(job.plan, Settled(known[self._own], as_sent - known[self._own]))
        if len(self._modes) > 1:
            self._add(job, {**known, self._own: as_sent})

    def _add(self, job: _Job, costs: Mapping[str, int]) -> None:
        with self._lock:
            day = self._figures.setdefault(f"{int(job.plan.created // _DAY)} {self._own}", {})
            name = job.plan.feature or ""
            if name not in day and len(day) >= _FEATURES:
                return
            held = day.setdefault(name, [0] * (2 + len(MODES)))
            held[0] += job.new
            held[1] += 1
            for mode in self._modes:
                held[2 + MODES.index(mode)] += costs[mode]

    def _line(self, mode: str) -> Line:
        if mode not in self._lines:
            self._lines[mode] = Line(self._make(mode))
        return self._lines[mode]

    # ------------------------------------------------------------------ what it came to

    def flush(self) -> None:
        """Plan everything that waits, now and in this thread, and keep the figures."""
        self.behind.flush()
        self.save()

    def close(self) -> None:
        """Keep the figures and let the thread end; what waits is left out."""
        self.behind.close()
        self.save()
        for line in self._lines.values():
            line.kit.close()
        self._lines.clear()

    def told(self, since: float | None = None) -> Shadow:
        """What stronger modes would have saved, over whole days (UTC)."""
        self.save()
        return _read(self._store.fresh(_KEY), self._own, since)

    def save(self) -> None:
        """Add what is new to the figures of all processes."""
        with self._lock:
            new, seen = self._figures, self._seen
            self._figures, self._seen = {}, {}
        if not new and not seen:
            return
        for number, count in seen.items():
            new.setdefault(f"{number} {self._own}", {})[_SEEN] = [count]
        stands = self._store.fresh(_KEY)
        for _ in range(_TRIES):
            before, together = stands, _together(stands, new)
            stands = self._store.swap(_KEY, before, together)
            if stands == together or (stands is None and before is None):  # the latter: it cannot be written
                return


def _rests(plan: Plan) -> bool:
    """The request was left as it is because tidying lost on its feature."""
    return getattr(plan.decision, "verdict", "") == "resting"


def _together(stands: bytes | None, new: Mapping[str, Mapping[str, list[int]]]) -> bytes:
    """What is kept, with what is new."""
    held = _parsed(stands)
    for day, features in new.items():
        for name, figures in features.items():
            one = held.setdefault(day, {}).setdefault(name, [0] * len(figures))
            held[day][name] = [old + more for old, more in zip(one, figures, strict=True)]
    latest = sorted(held, key=lambda day: int(day.split()[0]))[-_DAYS * len(MODES) :]
    return json.dumps({day: held[day] for day in latest}).encode()


def _parsed(stored: bytes | None) -> dict[str, dict[str, list[int]]]:
    """Figures as they were kept; what cannot be read is forgotten."""
    try:
        found = json.loads(stored or b"{}")
        return {
            str(day): {
                str(name): list(map(int, figures)) for name, figures in features.items() if _whole(name, figures)
            }
            for day, features in found.items()
            if int(day.split()[0]) >= 0
        }
    except (ValueError, TypeError, AttributeError, IndexError):
        return {}


def _whole(name: str, figures: Sequence[int]) -> bool:
    return len(figures) == (1 if name == _SEEN else 2 + len(MODES))


def read_shadow(store: Store, mode: str, since: float | None = None) -> Shadow:
    """What the store knows of requests that were sent in a mode, since the day (UTC) of that moment."""
    return _read(getattr(store, "fresh", store.get)(_KEY), mode, since)


def _read(stored: bytes | None, mode: str, since: float | None) -> Shadow:
    first = 0 if since is None else int(since // _DAY)
    days = [
        features
        for day, features in _parsed(stored).items()
        if int(day.split()[0]) >= first and day.endswith(f" {mode}")
    ]
    sums: dict[str, list[int]] = {}
    for name, figures in _each(days):
        sums[name] = [old + more for old, more in zip(sums.get(name, [0] * len(figures)), figures, strict=True)]
    seen = sums.pop(_SEEN, [0])[0]
    features = sorted((_foregone(name, mode, figures) for name, figures in sums.items()), key=lambda one: -one.as_sent)
    return Shadow(mode, seen, sum(one.requests for one in features), tuple(features))


def _each(days: Iterable[Mapping[str, list[int]]]) -> Iterable[tuple[str, list[int]]]:
    for day in days:
        yield from day.items()


def _foregone(name: str, mode: str, figures: Sequence[int]) -> Foregone:
    threads, requests, *costs = figures
    by_mode: dict[str, int] = dict(zip(MODES, costs, strict=True))
    stronger = MODES[MODES.index(mode) + 1 :]
    return Foregone(name, threads, requests, by_mode[mode], {one: by_mode[one] for one in stronger})


def shadows_of(kit: Kit) -> Shadows:
    """The shadow planning of a kit: its own mode against all that are stronger."""
    own = MODES.index(kit.policy.mode)
    shadows = Shadows(partial(imagined, kit), MODES[own:], kit.rooms.hasher, kit.store, kit.faults)
    if kit.policy.tidies:
        shadows.compared = kit.rooms.tidying.accounts.shadowed
    return shadows

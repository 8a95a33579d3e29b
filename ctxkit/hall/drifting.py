"""How conversations drift: settled requests are measured behind the application's back, and told of. An annexe of the hall.

Nothing of it is on a request's path, and nothing of a request is changed. A settled request waits in a short queue
(:mod:`ctxkit.hall.afterwards`); a thread of its own measures what was sent, prices the noise with the usage that was
reported, writes both beside the record, and tells the user's callback when a conversation comes to another level. Of what
it cannot keep up with, the earlier requests of a conversation are left out first: the latest one says how it stands.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, NamedTuple

from ctxkit import dialects
from ctxkit.drift import LEVELS, DriftEvent
from ctxkit.forks import on_fork
from ctxkit.hall.afterwards import Afterwards, copied
from ctxkit.metering.paid import Paid
from ctxkit.money import usd_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ctxkit.caching.prefixes import Hasher
    from ctxkit.drift import Drift, Level
    from ctxkit.faults import Faults
    from ctxkit.hall.gauge import Gauge, Seen
    from ctxkit.kit import Kit
    from ctxkit.metering.ledger import Ledger
    from ctxkit.metering.meter import Meter
    from ctxkit.model import Json, Plan, Record, Usage
    from ctxkit.policy import Policy
    from ctxkit.stores import Store

__all__ = ["Drifting", "Levels", "drifting_of"]

_MEASURED = ("settled", "partial", "unverified")
_PLANS = 32  # whose drift is remembered
_THREADS = 5_000
_PATIENCE = 2.0  # seconds that measuring waits for vectors, where a model tells relevance: nobody waits for it
_BACK = 0.05  # below a threshold a score must fall before the level is left: else each turn would be told


class _Job(NamedTuple):
    """A settled request, with what it takes to measure it."""

    body: Json
    plan: Plan
    record: Record


class Levels:
    """At which level each conversation is; bounded, and in the store for other workers.

    Args:
        policy: its thresholds.
        hasher: keyed hashes, by which the store knows conversations.
        store: outlives the process.
    """

    def __init__(self, policy: Policy, hasher: Hasher, store: Store) -> None:
        self._policy = policy
        self._hasher = hasher
        self._store = store
        self._known: OrderedDict[str, Level] = OrderedDict()

    def of(self, score: float) -> Level:
        """By the thresholds alone."""
        from ctxkit.hygiene.drift import level_of

        return level_of(score, drifting=self._policy.drift_at, lost=self._policy.drift_lost_at)

    def moved(self, thread: str | None, score: float) -> tuple[Level, Level]:
        """Where a conversation was, and where it is now; a score near a threshold leaves it where it was."""
        if not thread:
            return self.of(score), self.of(score)
        before = self._known.get(thread) or self._stored(thread)
        now = self.of(score)
        if LEVELS.index(now) < LEVELS.index(before):
            near = self.of(score + _BACK)
            now = near if LEVELS.index(near) < LEVELS.index(before) else before
        if now != before:
            self._store.put(self._key(thread), now.encode())
        self._known[thread] = now
        self._known.move_to_end(thread)
        while len(self._known) > _THREADS:
            self._known.popitem(last=False)
        return before, now

    def _key(self, thread: str) -> bytes:
        return self._hasher.digest(("drift", thread))

    def _stored(self, thread: str) -> Level:
        said = self._store.get(self._key(thread))
        found: list[Level] = [level for level in LEVELS if level.encode() == said]
        return found[0] if found else "calm"


class Drifting:
    """Measures requests: settled ones by itself, a plan when it is asked; one per kit, for all threads.

    Args:
        policy: its thresholds, pins and callback.
        gauges: makes what looks at requests that were settled, and at those that somebody waits for. That imports what a
            first request would otherwise wait for.
        meter: knows prices.
        levels: of conversations.
        ledger: where records are kept.
        faults: told of what goes wrong.

    Attributes:
        behind: settled requests that wait.
    """

    def __init__(
        self,
        policy: Policy,
        gauges: Callable[[], tuple[Gauge, Gauge]],
        meter: Meter,
        levels: Levels,
        ledger: Callable[[], Ledger],
        faults: Faults,
    ) -> None:
        self._policy = policy
        self._gauges = cache(gauges)
        self._meter = meter
        self._levels = levels
        self._ledger = ledger
        self._faults = faults
        self._plans: OrderedDict[str, Drift | None] = OrderedDict()
        self.behind = Afterwards("drift", self._measure, faults)
        self._renew()
        on_fork(self, "_renew")

    def _renew(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()

    # ------------------------------------------------------------------ on the request's path

    def offer(self, plan: Plan, record: Record) -> None:
        """A request was settled: let it be measured when there is time. Takes a few microseconds."""
        self.behind.stirred()
        if record.status not in _MEASURED or dialects.texts(plan.dialect) is None or self.behind.closed:
            return
        with self.behind.lock:
            if self.behind.full:
                self._make_room(plan.thread)
            self.behind.put(_Job(copied(plan.body), plan, record))

    def _make_room(self, thread: str | None) -> None:
        """The latest request of a conversation says how it stands, so an earlier one is left out."""
        queue = self.behind.queue
        del queue[next((at for at, job in enumerate(queue) if job.plan.thread == thread), 0)]

    # ------------------------------------------------------------------ in its own thread

    def _measure(self, job: _Job) -> None:
        plan, record = job.plan, job.record
        seen = _look(self._gauges()[0], job.body, plan)
        if seen is None:
            return
        drift = self._priced(seen, record.usage, self._meter.billed(plan, record))
        before, level = self._levels.moved(plan.thread, drift.score)
        drift = replace(drift, level=level)
        self._ledger().append(replace(record, drift=drift))
        if level != before:
            self._tell(DriftEvent(level, before, drift, plan.thread or "", plan.feature, plan.attempt, plan.model))

    def _priced(self, seen: Seen, usage: Usage | None, rates: Mapping[str, int] | None) -> Drift:
        paid = None if usage is None or usage.input_total is None else Paid.of(usage, rates)
        return replace(seen.drift, fee=usd_of(seen.fee(paid) if paid is not None else None))

    def _tell(self, event: DriftEvent) -> None:
        if self._policy.on_drift is None:
            return
        try:
            self._policy.on_drift(event)
        except Exception as error:  # noqa: BLE001 - whoever is told is no part of the user's call
            self._faults.warn("on_drift", type(error).__name__)

    # ------------------------------------------------------------------ when it is asked

    def of(self, plan: Plan) -> Drift | None:
        """Drift of what is about to be sent, with what its noise will cost about; remembered for a while.

        ``None`` where nobody can read the conversation.
        """
        with self._lock:
            if plan.attempt in self._plans:
                return self._plans[plan.attempt]
        found = self._found(plan)
        with self._lock:
            self._plans[plan.attempt] = found
            while len(self._plans) > _PLANS:
                self._plans.popitem(last=False)
        return found

    def _found(self, plan: Plan) -> Drift | None:
        try:
            seen = None if plan.unmetered else _look(self._gauges()[1], plan.body, plan)
            if seen is None:
                return None
            usage = plan.estimate.usage if plan.estimate is not None else None
            drift = self._priced(seen, usage, self._meter.rates(plan))
            return replace(drift, level=self._levels.of(drift.score))
        except Exception as error:  # noqa: BLE001 - a plan is told without it
            self._faults.note("drift", error, "Please report it.")
            return None

    # ------------------------------------------------------------------ at its end

    def flush(self) -> None:
        """Measure everything that waits, now and in this thread."""
        self.behind.flush()

    def close(self) -> None:
        """Let the thread end; what waits is left out."""
        self.behind.close()


def _look(gauge: Gauge, body: Json, plan: Plan) -> Seen | None:
    return gauge.look(body, dialect=plan.dialect, platform=plan.platform, model=plan.model)


def drifting_of(kit: Kit) -> Drifting:
    """What measures the drift of a kit's requests."""
    rooms, policy = kit.rooms, kit.policy
    levels = Levels(policy, rooms.hasher, kit.store)
    return Drifting(policy, partial(_gauges, kit), rooms.meter, levels, lambda: kit.ledger, kit.faults)


def _gauges(kit: Kit) -> tuple[Gauge, Gauge]:
    from ctxkit.hall.gauge import Gauge
    from ctxkit.hygiene.semantic import Semantic

    rooms, found = kit.rooms, kit.rooms.relevance
    common = (rooms.hasher, rooms.meter, kit.policy.tidy.pins)
    patient = found.patient(_PATIENCE) if isinstance(found, Semantic) else found
    return Gauge(*common, patient), Gauge(*common, found)

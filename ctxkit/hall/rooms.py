"""The rooms of one kit, opened on first use, each handed what it needs of its neighbours. A part of the hall."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING

from ctxkit.attempts import Attempts
from ctxkit.caching.prefixes import Hasher, Threads
from ctxkit.forks import on_fork
from ctxkit.hall import keeping
from ctxkit.lazily import lazily

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ctxkit.faults import Faults
    from ctxkit.hall.planning import Planning
    from ctxkit.hall.recall import Recall
    from ctxkit.hall.renting import Renting
    from ctxkit.hall.tidying import Tidying
    from ctxkit.hall.upkeep import Upkeep
    from ctxkit.hygiene.relevance import Relevance
    from ctxkit.metering.ledger import Ledger
    from ctxkit.metering.meter import Meter
    from ctxkit.policy import Policy
    from ctxkit.stores.guarded import GuardedStore
    from ctxkit.stores.texts import TextStore

__all__ = ["Rooms"]


class Rooms:
    """What a kit consists of; its annexes know it, its users need not.

    Args:
        policy: what the user decided.
        store: what outlives requests.
        ledger: where records are to be kept, opened or not.
        texts: where texts that were removed are kept on disk, if they are.
        faults: told of what goes wrong.
        clock: unix time in seconds.
        timer: monotonic seconds.

    Attributes:
        attempts: those under way.
        learned: settlements that something was learned from.
    """

    def __init__(
        self,
        policy: Policy,
        store: GuardedStore,
        ledger: Path | Ledger | None,
        texts: TextStore | None,
        faults: Faults,
        clock: Callable[[], float],
        timer: Callable[[], float],
    ) -> None:
        self._policy = policy
        self._store = store
        self._ledger_option = ledger
        self._texts = texts
        self._faults = faults
        self._clock = clock
        self._timer = timer
        self.attempts = Attempts()
        self.learned = 0
        self._renew()
        on_fork(self, "_renew")

    def _renew(self) -> None:
        self._making = threading.RLock()  # what one thread opens another does not open again: see lazily

    @property
    def keeps_records(self) -> bool:
        """Somebody may read the ledger later."""
        return self._ledger_option is not None

    @lazily
    def ledger(self) -> Ledger:
        """Where records are kept."""
        from ctxkit.metering.ledger import Ledger

        option = self._ledger_option
        return option if isinstance(option, Ledger) else Ledger(option)

    @lazily
    def hasher(self) -> Hasher:
        """Keyed hashes, by the salt of the store."""
        return Hasher(self._store.add(b"salt", secrets.token_bytes(32)))

    @lazily
    def threads(self) -> Threads:
        """Conversations by their prefixes."""
        return Threads(self._store, self._policy.thread_memory)

    @lazily
    def meter(self) -> Meter:
        """Counts, prices, and what was learned of both."""
        from ctxkit.metering.meter import Meter

        stored = self._store.get(keeping.LEARNED_KEY)
        return Meter(stored, memory=self._policy.count_memory, prices=self._policy.prices)

    @lazily
    def upkeep(self) -> Upkeep:
        """The provider's cache: what is believed of it, and what it is told."""
        from ctxkit.hall.upkeep import Upkeep

        return Upkeep(self._policy, self._store, self.hasher, self.meter, self._faults, self._timer)

    @lazily
    def planning(self) -> Planning:
        """How a request is read, weighed and changed."""
        from ctxkit.hall.planning import Planning

        tidying = (lambda: self.tidying) if self._policy.tidies else None
        rooms = (self.hasher, self.threads, self.meter, self.upkeep, self.attempts)
        return Planning(*rooms, lambda: self.renting, tidying)

    @lazily
    def tidying(self) -> Tidying:
        """What is made smaller, and what goes."""
        from ctxkit.hall.tidying import Tidying

        rooms = (self.hasher, self.meter, self.recall, self._faults, self.relevance)
        tidying = Tidying(self._policy, self._store, *rooms)
        if self.keeps_records:
            tidying.recall(lambda: self.ledger, self._clock())
        return tidying

    @lazily
    def relevance(self) -> Relevance:
        """What of a conversation belongs to what is talked about now: by words, or by a model that runs here."""
        from ctxkit.hall.relevant import relevance_of

        return relevance_of(self._policy, self._faults)

    @lazily
    def recall(self) -> Recall:
        """Texts that were removed."""
        from ctxkit.hall.recall import Recall

        return Recall(self._policy, self.hasher, self._clock, self._faults, self._texts)

    @lazily
    def renting(self) -> Renting:
        """Cache objects of the provider, which cost rent."""
        from ctxkit.hall.renting import Renting
        from ctxkit.hall.tending import Tending

        tending = Tending(self._store, self.meter, lambda: self.ledger, self._faults, self._clock)
        return Renting(lambda: self.upkeep.own_rules, self.hasher, self.meter, self._faults, tending)

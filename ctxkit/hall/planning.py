"""From a body to a plan: read by its dialect, identified by its prefix, weighed by the meter, foreseen by the rules.

A part of the hall, which hands it the rooms it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ctxkit import dialects
from ctxkit.dialects.markers import lifetimes
from ctxkit.errors import ConfigurationError
from ctxkit.revise import revised

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ctxkit.attempts import Attempts
    from ctxkit.caching.prefixes import Hasher, Threads
    from ctxkit.dialects.base import Dialect
    from ctxkit.hall.renting import Renting
    from ctxkit.hall.tidying import Tidying
    from ctxkit.hall.upkeep import Upkeep
    from ctxkit.metering.meter import Meter
    from ctxkit.model import Conversation, Edit, Json, Plan

__all__ = ["Asked", "Before", "Look", "Planning"]

Look: TypeAlias = "tuple[Conversation, list[bytes], list[int]]"
"""A request through its dialect, a hash per message, and which messages carry cache markers."""


class Before(NamedTuple):
    """What is known of a tidied request beside itself.

    Attributes:
        look: at the request as the application sent it.
        chain: keyed hash of each prefix of that.
        cut: index of the message at which a later rewrite is likely to begin; -1: nobody knows.
    """

    look: Look
    chain: Sequence[bytes]
    cut: int = -1


class Asked(NamedTuple):
    """A request that may be tidied before it is weighed.

    Attributes:
        plan: of the request as the application sent it.
        look: the request through its dialect.
        edited: the plan with edits made, and a look at what became of it.
        weighed: a plan to the end of what was looked at, and of what it was before it was tidied.
    """

    plan: Plan
    look: Look
    edited: Callable[[Plan, Sequence[Edit]], tuple[Plan, Look]]
    weighed: Callable[[Plan, Look, Before | None], Plan]


_COUNT_INLINE = 40_000  # characters not counted before, above which an event loop leaves counting to a thread
_LONGEST_NAME = 256  # characters of a model or tier: they are keys of memories and columns of the ledger


class Planning:
    """Makes plans; one per kit, for all threads."""

    def __init__(
        self,
        hasher: Hasher,
        threads: Threads,
        meter: Meter,
        upkeep: Upkeep,
        attempts: Attempts,
        renting: Callable[[], Renting],
        tidying: Callable[[], Tidying] | None = None,
    ) -> None:
        self._hasher = hasher
        self._threads = threads
        self._meter = meter
        self._upkeep = upkeep
        self._attempts = attempts
        self._renting = renting
        self._tidying = tidying

    def look(self, body: Json, dialect: Dialect) -> Look:
        """The request through its dialect, a hash per message, and which messages carry cache markers."""
        conversation = dialect.view(body)
        return conversation, *self._hasher.digests(conversation.messages, dialect.identity)

    def weigh(
        self, plan: Plan, conversation: Conversation, digests: list[bytes], marked: list[int], *, thread: str | None
    ) -> Plan:
        """The plan with all that is known of the request before it is sent."""
        look: Look = (conversation, digests, marked)
        edits = self._upkeep.tools_restored(plan, conversation, digests, marked)
        if edits:
            plan, look = self._edited(plan, edits)
            conversation, digests, marked = look
        plan = revised(
            plan,
            model=(plan.model or conversation.model)[:_LONGEST_NAME],
            stream=plan.stream or conversation.stream,
            tier=conversation.tier and conversation.tier[:_LONGEST_NAME],
        )
        chain = self._chain(plan, digests)
        fingerprint = self._hasher.digest((chain[-1:], plan.model, plan.platform, dict(conversation.options)))
        operation, number = self._attempts.operation(plan, fingerprint)
        plan = revised(
            plan,
            operation=operation,
            number=number,
            thread=thread or self._thread(conversation, chain),
            prefix=tuple(chain),
            fingerprint=fingerprint,
        )
        if self._tidying is None:
            return self._weighed(plan, look)
        return self._tidying().tidied(Asked(plan, look, self._edited, self._weighed))

    def _chain(self, plan: Plan, digests: list[bytes]) -> list[bytes]:
        return self._hasher.chain(digests, f"{plan.dialect}\0{plan.scope or ''}")

    def _edited(self, plan: Plan, edits: Sequence[Edit]) -> tuple[Plan, Look]:
        """The plan with these edits made, and a look at what became of it."""
        named = dialects.get(plan.dialect)
        if named is None:
            raise ConfigurationError(f"no dialect {plan.dialect!r}")
        plan = revised(plan, body=named.apply(plan.body, edits), edits=(*plan.edits, *edits))
        return plan, self.look(plan.body, named)

    def _weighed(self, plan: Plan, look: Look, before: Before | None = None) -> Plan:
        """The plan with what is about to be sent counted, priced and foreseen; ``before``: it was tidied."""
        conversation, digests, marked = look
        chain = plan.prefix if before is None else self._chain(plan, digests)
        ttls = lifetimes(conversation.messages[index].value for index in marked) if marked else ()
        count, estimate = self._meter.estimate(plan, conversation, digests, ttls=ttls)
        plan = revised(plan, estimate=estimate, count=count)
        plan = self._upkeep.foresee(plan, conversation, digests, chain, marked, before=before)
        return plan if plan.rental is None else self._renting().planned(plan, conversation)

    def _thread(self, conversation: Conversation, chain: list[bytes]) -> str:
        if conversation.server_history:
            history = self._hasher.digest(conversation.server_history)
            return self._threads.find([history]) or history.hex()
        return self._threads.find(chain) or (chain[-1].hex() if chain else "")

    def takes_long(self, plan: Plan, look: Look) -> bool:
        """There is so much to count anew that an event loop should not wait for it."""
        conversation, digests, _ = look
        model = plan.model or conversation.model
        return self._meter.uncounted(conversation, digests, platform=plan.platform, model=model) > _COUNT_INLINE

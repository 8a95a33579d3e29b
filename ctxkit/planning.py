"""From a body to a plan: read by its dialect, identified by its prefix, weighed by the meter, foreseen by the rules.

A part of the hall, which hands it the rooms it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ctxkit import dialects
from ctxkit.dialects.markers import lifetimes
from ctxkit.revise import revised

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxkit.attempts import Attempts
    from ctxkit.caching.prefixes import Hasher, Threads
    from ctxkit.dialects.base import Dialect
    from ctxkit.metering.meter import Meter
    from ctxkit.model import Conversation, Json, Plan
    from ctxkit.renting import Renting
    from ctxkit.upkeep import Upkeep

__all__ = ["Look", "Planning"]

Look: TypeAlias = "tuple[Conversation, list[bytes], list[int]]"
"""A request through its dialect, a hash per message, and which messages carry cache markers."""

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
    ) -> None:
        self._hasher = hasher
        self._threads = threads
        self._meter = meter
        self._upkeep = upkeep
        self._attempts = attempts
        self._renting = renting

    def look(self, body: Json, dialect: Dialect) -> Look:
        """The request through its dialect, a hash per message, and which messages carry cache markers."""
        conversation = dialect.view(body)
        return conversation, *self._hasher.digests(conversation.messages, dialect.identity)

    def weigh(
        self, plan: Plan, conversation: Conversation, digests: list[bytes], marked: list[int], *, thread: str | None
    ) -> Plan:
        """The plan with all that is known of the request before it is sent."""
        edits = self._upkeep.tools_restored(plan, conversation, digests, marked)
        named = dialects.get(plan.dialect)
        if edits and named is not None:
            plan = revised(plan, body=named.apply(plan.body, edits), edits=edits)
            conversation, digests, marked = self.look(plan.body, named)
        plan = revised(
            plan,
            model=(plan.model or conversation.model)[:_LONGEST_NAME],
            stream=plan.stream or conversation.stream,
            tier=conversation.tier and conversation.tier[:_LONGEST_NAME],
        )
        chain = self._hasher.chain(digests, f"{plan.dialect}\0{plan.scope or ''}")
        fingerprint = self._hasher.digest((chain[-1:], plan.model, plan.platform, dict(conversation.options)))
        ttls = lifetimes(conversation.messages[index].value for index in marked) if marked else ()
        count, estimate = self._meter.estimate(plan, conversation, digests, ttls=ttls)
        operation, number = self._attempts.operation(plan, fingerprint)
        plan = revised(
            plan,
            estimate=estimate,
            operation=operation,
            number=number,
            thread=thread or self._thread(conversation, chain),
            prefix=tuple(chain),
            count=count,
            fingerprint=fingerprint,
        )
        plan = self._upkeep.foresee(plan, conversation, digests, chain, marked)
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

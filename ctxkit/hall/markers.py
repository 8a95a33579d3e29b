"""What is said to a provider's cache: markers, their lives, keys and headers, where they pay. A part of the hall.

And what becomes of it: a server that refuses what was added is asked without it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ctxkit import dialects
from ctxkit.aside import caller
from ctxkit.caching import rules
from ctxkit.caching.marking import Marking
from ctxkit.caching.refusals import BAD_REQUEST
from ctxkit.money import usd_of
from ctxkit.revise import revised

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ctxkit.caching.forecast import Foreseen
    from ctxkit.caching.forecasting import Forecasting
    from ctxkit.caching.marking import Marked
    from ctxkit.caching.placement import Placement
    from ctxkit.caching.prefixes import Hasher
    from ctxkit.caching.rules import Rule
    from ctxkit.dialects.base import Caches
    from ctxkit.hall.cache_view import CacheView
    from ctxkit.metering.meter import Meter
    from ctxkit.model import Conversation, Edit, Plan
    from ctxkit.policy import Policy
    from ctxkit.stores import Store

__all__ = ["Markers"]


class Markers:
    """Marks requests; one per kit that may, for all threads.

    Args:
        policy: what the user decided.
        store: shared memory of workers and restarts.
        hasher: keyed hashes.
        meter: knows prices.
        forecasting: what is believed of the cache.
        view: forecasts a request anew once it is marked.
        own_rules: the user's own rows on how providers cache.
    """

    def __init__(
        self,
        policy: Policy,
        store: Store,
        hasher: Hasher,
        meter: Meter,
        forecasting: Forecasting,
        view: CacheView,
        own_rules: Callable[[], rules.Table | None],
    ) -> None:
        self._meter = meter
        self._forecasting = forecasting
        self._view = view
        self._own_rules = own_rules
        self._marking = Marking(hasher, store, ttl=policy.cache_ttl, isolate=policy.cache_isolation)

    # ------------------------------------------------------------------ before

    def marked(self, plan: Plan, conversation: Conversation, foreseen: Foreseen, cut: int) -> Plan:
        """The plan with what is said to the provider's cache.

        Args:
            plan: as it was without.
            conversation: that is sent.
            foreseen: what would come of it as it is.
            cut: index of the message at which a later rewrite is likely to begin; -1: nobody knows.
        """
        wire, dialect = dialects.caches(plan.dialect), dialects.get(plan.dialect)
        if wire is None or dialect is None:
            return plan
        marked = self._decided(plan, conversation, foreseen, cut, wire)
        placement, edits = marked.placement, wire.mark(conversation, marked.wish)
        if edits and self._marking.refusals.refused(_addition(plan, edits)):
            return revised(plan, notes=(*plan.notes, "nothing marked: this server refused such a request"))
        notes, headers = (*plan.notes, placement.note), {**plan.headers, **marked.headers}
        if not edits:
            return revised(plan, layout=foreseen._replace(choice=placement.choice), notes=notes, headers=headers)
        again = self._view.foreseen(plan, placement.rule, marked.layout)
        ttls = tuple(dict.fromkeys(ttl or placement.rule.ttl for ttl in marked.layout.marks.values()))
        edits = _with_saving(edits, placement)
        return revised(
            plan,
            body=dialect.apply(plan.body, edits),
            edits=(*plan.edits, *edits),
            estimate=self._meter.bounded(plan, conversation, plan.estimate, ttls) if plan.estimate else None,
            layout=again._replace(choice=placement.choice, seen=foreseen.seen, plain=foreseen.plain),
            forecast=again.forecast,
            notes=notes,
            headers=headers,
        )

    def _decided(self, plan: Plan, conversation: Conversation, foreseen: Foreseen, cut: int, wire: Caches) -> Marked:
        """Where markers go, by what is believed and by the habits of such requests."""
        return self._marking.decide(
            foreseen.layout,
            foreseen.rule,
            self._explicit(plan, foreseen.rule),
            lambda index: wire.blocks(conversation.messages[index]),
            alive=self._forecasting.alive(plan.created),
            shared=self._forecasting.alive(plan.created, shared=True),
            rates=self._meter.rates(plan),
            feature=_habit(plan),
            thread=plan.thread or "",
            now=plan.created,
            owner=caller(),
            options=wire.OPTIONS,
            cut=cut,
        )

    def _explicit(self, plan: Plan, rule: Rule) -> Rule | None:
        """How the cache works for a request that marks for itself, where that is another rule."""
        own = self._own_rules()
        found = rules.find(plan.platform, plan.model, dialect=plan.dialect, mode="explicit", overrides=own)
        return found if found is not None and found.id != rule.id else None

    # ------------------------------------------------------------------ sent, and after

    def sent(self, plan: Plan, foreseen: Foreseen) -> None:
        """The request left: such requests are expected again."""
        if foreseen.choice is None:
            return
        self._marking.left(caller(), plan.attempt, foreseen.layout, plan.created)
        if plan.number == 1:
            self._marking.sent(_habit(plan), foreseen.layout, plan.created, foreseen.choice)

    def ended(self, attempt: str) -> None:
        """The request is over."""
        self._marking.ended(attempt)

    def refused(self, plan: Plan, status: int | None, again: int | None) -> bool:
        """A settled request was refused for what was added to it, as far as is known: it should go as it was.

        ``again``: it went, and this came of it. One that is refused without the addition, too, tells nothing of that.
        """
        if not _added(plan) or status not in BAD_REQUEST:
            return False
        kind = _addition(plan, plan.edits)
        if again in BAD_REQUEST:
            self._marking.refusals.absolved(kind)
        return self._marking.refusals.refused(kind)

    def answered(self, plan: Plan, status: int | None) -> bool:
        """The request was answered: True when it is known since that this server refuses what was added."""
        return _added(plan) and self._marking.refusals.answered(_addition(plan, plan.edits), status)


def _habit(plan: Plan) -> str:
    """Whose habits count: conversations of one feature with one model."""
    return f"{plan.feature or ''}\0{plan.platform}\0{plan.model}"


def _added(plan: Plan) -> bool:
    """Something was said to the cache; whoever gave a cache object to read looks after that by himself."""
    return bool(plan.edits) and plan.rental is None


def _addition(plan: Plan, edits: Sequence[Edit]) -> tuple[object, ...]:
    """What was added to a request, and to whose: what a server takes once it takes again."""
    fields = {str(edit.path[0]) if len(edit.path) == 1 else "markers" for edit in edits}
    return (plan.platform, plan.dialect, plan.model, plan.scope, frozenset(fields))


def _with_saving(edits: tuple[Edit, ...], placement: Placement) -> tuple[Edit, ...]:
    """What all of them are expected to save stands at the first one."""
    if not placement.priced:
        return edits
    with_them, without = placement.expected
    return (replace(edits[0], predicted_saving=usd_of(round(without - with_them))), *edits[1:])

"""The annexe of the hall: where a plan meets the room that knows providers' caches.

Lays the request out, finds the rules, forecasts; after the answer lets what was reported correct what is believed.
Nothing here may break a plan: what fails is noted, and the plan goes on without a forecast.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ctxkit import dialects
from ctxkit.aside import caller
from ctxkit.cacheable import Forecast
from ctxkit.caching import rules
from ctxkit.caching.coldprefix import start_of
from ctxkit.caching.coldstarts import ColdStarts
from ctxkit.caching.diagnosing import Diagnosing
from ctxkit.caching.forecast import EXACT, Foreseen, short, told
from ctxkit.caching.forecasting import Forecasting
from ctxkit.caching.imprint import Seen
from ctxkit.caching.layout import Layouts, Space, lay_out
from ctxkit.caching.marking import Marking
from ctxkit.caching.refusals import BAD_REQUEST
from ctxkit.caching.toolorder import ToolOrders
from ctxkit.caching.unmarked import Plain, plain_of
from ctxkit.forks import on_fork
from ctxkit.hall.foresight import undescribed
from ctxkit.hall.sparing import Sparing
from ctxkit.lazily import lazily
from ctxkit.metering.count import Count
from ctxkit.money import usd_of
from ctxkit.revise import revised

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ctxkit.cacheable import Ask, Diagnosis
    from ctxkit.caching.coldprefix import Start
    from ctxkit.caching.coldstarts import Held
    from ctxkit.caching.layout import Layout
    from ctxkit.caching.placement import Placement
    from ctxkit.caching.prefixes import Hasher
    from ctxkit.caching.rules import Rule
    from ctxkit.dialects.base import Caches
    from ctxkit.faults import Faults
    from ctxkit.hall.planning import Before
    from ctxkit.metering.meter import Meter
    from ctxkit.model import Conversation, Edit, Estimate, Plan, Record, Usage
    from ctxkit.policy import Policy
    from ctxkit.stores import Store

__all__ = ["Upkeep"]


_ANSWERED = ("settled", "unverified")  # to the end
_AT_ONCE = "Please report it; the request went out at once."


class Upkeep:
    """What the kit knows of providers' caches; one per kit, for all threads.

    Args:
        policy: what the user decided.
        store: shared memory of workers and restarts.
        hasher: keyed hashes.
        meter: weighs messages.
        faults: told of what goes wrong.
        timer: monotonic seconds.
    """

    def __init__(
        self, policy: Policy, store: Store, hasher: Hasher, meter: Meter, faults: Faults, timer: Callable[[], float]
    ) -> None:
        self.policy = policy
        self.store = store
        self.hasher = hasher
        self.meter = meter
        self.faults = faults
        self.cold_starts = ColdStarts(timer)
        self.forecasting = Forecasting(store, self.cold_starts.readable, partial(faults.warn, "caches: rules doubted"))
        self.diagnosing = Diagnosing(store, hasher, self.forecasting.believed.held)
        self._layouts = Layouts()
        self._sparing = Sparing(meter, faults, tidies=policy.tidies)
        active = policy.mode != "observe"
        self._marking = Marking(hasher, store, ttl=policy.cache_ttl, isolate=policy.cache_isolation) if active else None
        self._tool_orders = ToolOrders(store, hasher) if active and policy.freeze_tools else None
        self._renew()
        on_fork(self, "_renew")

    def _renew(self) -> None:
        self._making = threading.RLock()

    @lazily
    def own_rules(self) -> rules.Table | None:
        """The user's own rows on how providers cache."""
        return rules.load(self.policy.cache_rules) if self.policy.cache_rules else None

    # ------------------------------------------------------------------ before

    def tools_restored(
        self, plan: Plan, conversation: Conversation, digests: Sequence[bytes], marked: Sequence[int]
    ) -> tuple[Edit, ...]:
        """The edit that puts the tools into the order they were first sent in, where the policy wants that."""
        if self._tool_orders is None or plan.fixed:
            return ()
        try:
            whose = _whose(plan, plan.model or conversation.model)
            return self._tool_orders.restored(conversation.messages, digests, marked, whose)
        except Exception as error:  # noqa: BLE001 - the user's call is sacred
            self.faults.note("tools", error, "Please report it; the tools went out as they were.")
            return ()

    def foresee(
        self,
        plan: Plan,
        conversation: Conversation,
        digests: Sequence[bytes],
        chain: Sequence[bytes],
        marked: Sequence[int],
        *,
        before: Before | None = None,
    ) -> Plan:
        """The plan with its layout and forecast; as it was when something of it fails. ``before``: it was tidied."""
        try:
            return self._foresee(plan, conversation, digests, chain, marked, before)
        except Exception as error:  # noqa: BLE001 - a forecast is worth no request
            self.faults.note("forecast", error, "Please report it; the plan goes without a forecast.")
            return plan

    def _foresee(
        self,
        plan: Plan,
        conversation: Conversation,
        digests: Sequence[bytes],
        chain: Sequence[bytes],
        marked: Sequence[int],
        before: Before | None,
    ) -> Plan:
        wire = dialects.caches(plan.dialect)
        if wire is None or conversation.server_history is not None:
            return plan
        ask = wire.ask(conversation)
        mode = rules.mode_of(ask, marked=bool(marked))
        rule = rules.find(plan.platform, plan.model, dialect=plan.dialect, mode=mode, overrides=self.own_rules)
        seen = Seen(conversation.messages, digests, chain)
        lay = partial(self._laid_out, plan, conversation, seen, marked, ask, wire, rule)
        if rule is None:
            return revised(plan, layout=lay(), forecast=Forecast(unsupported=undescribed(plan.platform, plan.model)))
        if not marked and self._too_short(plan, rule):
            later = partial(self._foreseen, plan, rule, lay, seen)
            return revised(plan, layout=later, forecast=short(rule, plan.estimate))
        foreseen = self._foreseen(plan, rule, lay, seen)
        if self._marking is None or plan.fixed:
            return revised(plan, layout=foreseen, forecast=foreseen.forecast, estimate=self._priced(plan, foreseen))
        plan = self._marked(revised(plan, layout=foreseen, forecast=foreseen.forecast), conversation, foreseen, before)
        return revised(plan, estimate=self._priced(plan, plan.layout)) if isinstance(plan.layout, Foreseen) else plan

    def _laid_out(
        self,
        plan: Plan,
        conversation: Conversation,
        seen: Seen,
        marked: Sequence[int],
        ask: Ask,
        wire: Caches,
        rule: Rule | None,
    ) -> Layout:
        weights, family = self.meter.weights(conversation, seen.digests, platform=plan.platform, model=plan.model)
        return lay_out(
            self.hasher,
            conversation.messages,
            weights,
            wire.blocks,
            ask,
            Space(plan.platform, plan.model, plan.scope or "", plan.region or ""),
            rule,
            total=plan.count.tokens if isinstance(plan.count, Count) else 0,
            chain=seen.chain,
            marked=marked,
            memory=self._layouts,
            scale=f"{plan.dialect} {family}",
        )

    def _foreseen(self, plan: Plan, rule: Rule, lay: Callable[[], Layout], seen: Seen) -> Foreseen:
        return self._forecast(rule, lay(), plan)._replace(seen=seen)

    def _too_short(self, plan: Plan, rule: Rule) -> bool:
        """Nothing of it can be read or kept: no need to lay it out."""
        if self._marking is not None or plan.estimate is None:
            return False
        return self.forecasting.too_short(rule, plan.platform, plan.model, plan.estimate.input_high)

    def _priced(self, plan: Plan, foreseen: Foreseen) -> Estimate | None:
        """The estimate as the forecast has it, where that knows more than the shares that were learned."""
        estimate, forecast = plan.estimate, foreseen.forecast
        certain = foreseen.rule.match in EXACT
        if estimate is None or forecast.cached_tokens is None or not (certain or foreseen.known):
            return estimate
        share = 1.0 if certain or forecast.hit_probability is None else forecast.hit_probability
        read = min(round(forecast.cached_tokens * share), estimate.input_tokens)
        written = forecast.written if read + sum(forecast.written.values()) <= estimate.input_tokens else {}
        return self.meter.foreseen(plan, estimate, read, written)

    def _marked(self, plan: Plan, conversation: Conversation, foreseen: Foreseen, before: Before | None) -> Plan:
        """The plan with what is said to the provider's cache: its user's call, when something of it fails."""
        try:
            return self._mark(plan, conversation, foreseen, before)
        except Exception as error:  # noqa: BLE001 - the user's call is sacred
            self.faults.note("markers", error, "Please report it; the request goes out as it was.")
            return plan

    def _mark(self, plan: Plan, conversation: Conversation, foreseen: Foreseen, before: Before | None) -> Plan:
        wire, dialect = dialects.caches(plan.dialect), dialects.get(plan.dialect)
        if self._marking is None or wire is None or dialect is None:
            return plan
        layout, rule = foreseen.layout, foreseen.rule
        plain = self._plain(plan, foreseen, before)
        marked = self._marking.decide(
            layout,
            rule,
            self._explicit(plan, rule),
            lambda index: wire.blocks(conversation.messages[index]),
            alive=self.forecasting.alive(plan.created),
            shared=self.forecasting.alive(plan.created, shared=True),
            rates=self.meter.rates(plan),
            feature=_habit(plan),
            thread=plan.thread or "",
            now=plan.created,
            owner=caller(),
            options=wire.OPTIONS,
            cut=before.cut if before is not None else -1,
        )
        placement = marked.placement
        edits = wire.mark(conversation, marked.wish)
        if edits and self._marking.refusals.refused(_addition(plan, edits)):
            return revised(plan, notes=(*plan.notes, "nothing marked: this server refused such a request"))
        notes, headers = (*plan.notes, placement.note), {**plan.headers, **marked.headers}
        if not edits:
            return revised(
                plan, layout=foreseen._replace(choice=placement.choice, plain=plain), notes=notes, headers=headers
            )
        again = self._forecast(placement.rule, marked.layout, plan)
        edits = _with_saving(edits, placement)
        ttls = tuple(dict.fromkeys(ttl or placement.rule.ttl for ttl in marked.layout.marks.values()))
        return revised(
            plan,
            body=dialect.apply(plan.body, edits),
            edits=(*plan.edits, *edits),
            estimate=self.meter.bounded(plan, conversation, plan.estimate, ttls) if plan.estimate else None,
            layout=again._replace(choice=placement.choice, seen=foreseen.seen, plain=plain),
            forecast=again.forecast,
            notes=notes,
            headers=headers,
        )

    def _plain(self, plan: Plan, foreseen: Foreseen, before: Before | None) -> Plain | None:
        """The request as its user wrote it, as its cache would have read it."""
        restored = any(not edit.by for edit in plan.edits)
        wire = dialects.caches(plan.dialect)
        if before is None or restored or wire is None:
            return plain_of(foreseen.rule, foreseen.layout, edited=restored)
        (conversation, digests, marked), layout = before.look, foreseen.layout
        seen, ask = Seen(conversation.messages, digests, before.chain), wire.ask(conversation)
        original = self._laid_out(plan, conversation, seen, marked, ask, wire, foreseen.rule)
        framing = layout.total - (layout.positions[-1].tokens if layout.positions else 0.0)
        whole = (original.positions[-1].tokens if original.positions else 0.0) + framing
        return Plain(foreseen.rule, replace(original, total=whole))

    def _explicit(self, plan: Plan, rule: Rule) -> Rule | None:
        """How the cache works for a request that marks for itself, where that is another rule."""
        find = rules.find(plan.platform, plan.model, dialect=plan.dialect, mode="explicit", overrides=self.own_rules)
        return find if find is not None and find.id != rule.id else None

    def sent(self, plan: Plan) -> None:
        """The request left: what it was tells what is to be expected of the next ones."""
        foreseen = plan.layout
        if isinstance(foreseen, Foreseen):
            self.diagnosing.left(plan.attempt, foreseen, plan.created)
            if self._tool_orders is not None and foreseen.seen is not None:
                self._tool_orders.sent(foreseen.seen.messages, foreseen.seen.digests, _whose(plan, plan.model))
        if self._marking is None or not isinstance(foreseen, Foreseen) or foreseen.choice is None:
            return
        self._marking.left(caller(), plan.attempt, foreseen.layout, plan.created)
        if plan.number > 1:
            return
        self._marking.sent(_habit(plan), foreseen.layout, plan.created, foreseen.choice)

    def _forecast(self, rule: Rule, layout: Layout, plan: Plan) -> Foreseen:
        return self.forecasting.forecast(rule, layout, plan.created, _correction(plan))

    # ------------------------------------------------------------------ between plan and send

    def hold(self, plan: Plan) -> Plan:
        """Wait while another request writes what this one would read, if that pays; the plan, forecast anew."""
        try:
            start = self._start(plan)
            return plan if start is None else self._told(plan, self.cold_starts.hold(start, self.policy.longest_wait))
        except Exception as error:  # noqa: BLE001 - the user's call is sacred
            self.faults.note("hold", error, _AT_ONCE)
            return plan

    async def ahold(self, plan: Plan) -> Plan:
        """``hold`` for event loops."""
        try:
            start = self._start(plan)
            bound = self.policy.longest_wait
            return plan if start is None else self._told(plan, await self.cold_starts.ahold(start, bound))
        except Exception as error:  # noqa: BLE001 - the user's call is sacred
            self.faults.note("hold", error, _AT_ONCE)
            return plan

    def _start(self, plan: Plan) -> Start | None:
        foreseen = plan.layout
        if not self.policy.longest_wait or not isinstance(foreseen, Foreseen):
            return None
        return start_of(
            foreseen.rule,
            foreseen.layout,
            self.forecasting.believed.alive(plan.created),
            attempt=plan.attempt,
            operation=plan.operation,
            now=plan.created,
            pace=(plan.platform, plan.model, plan.stream, round(foreseen.layout.total).bit_length()),
            rates=self.meter.rates(plan),
            probability=foreseen.forecast.hit_probability,
        )

    def _told(self, plan: Plan, held: Held) -> Plan:
        foreseen = plan.layout
        if not held.reads or not isinstance(foreseen, Foreseen):
            return plan
        again = self._forecast(foreseen.rule, foreseen.layout, plan)._replace(
            choice=foreseen.choice, seen=foreseen.seen, plain=foreseen.plain
        )
        return revised(plan, layout=again, forecast=again.forecast)

    # ------------------------------------------------------------------ after

    def began(self, plan: Plan) -> None:
        """The answer begins: what the request wrote can be read."""
        self.cold_starts.began(plan.attempt)
        if isinstance(plan.layout, Foreseen):
            self.diagnosing.began(plan.attempt, plan.layout)

    def settled(self, plan: Plan, record: Record, said: Diagnosis | None = None) -> Record:
        """Let what was reported correct what is believed; the record, with why it read less than it might have."""
        try:
            return self._settled(plan, record, said)
        except Exception as error:  # noqa: BLE001 - the record stands
            self.faults.note("caches: settle", error, "Please report it; the record is complete.")
            return record
        finally:
            self._answered(plan, record.http_status)
            self.cold_starts.ended(plan.attempt, failed=record.status not in _ANSWERED)
            self.diagnosing.ended(plan.attempt)
            if self._marking is not None:
                self._marking.ended(plan.attempt)

    def refused(self, plan: Plan, status: int | None, again: int | None = None) -> bool:
        """A settled request was refused for what was added to it, as far as is known: it should go as it was.

        ``again``: it went, and this came of it. One that is refused without the addition, too, tells nothing of that.
        """
        if self._marking is None or not _added(plan) or status not in BAD_REQUEST:
            return False
        kind = _addition(plan, plan.edits)
        if again in BAD_REQUEST:
            self._marking.refusals.absolved(kind)
        return self._marking.refusals.refused(kind)

    def _answered(self, plan: Plan, status: int | None) -> None:
        if self._marking is None or not _added(plan):
            return
        if self._marking.refusals.answered(_addition(plan, plan.edits), status):
            where = f"{plan.platform} {plan.model}"
            self.faults.warn("markers refused", f"{where} answered {status} to a request with what mode 'cache' adds")

    def _settled(self, plan: Plan, record: Record, said: Diagnosis | None) -> Record:
        foreseen, usage = plan.layout, record.usage
        if plan.forecast is None:
            return record
        record = revised(record, forecast=told(plan.forecast))
        if usage is None or record.status != "settled":
            return record
        if not isinstance(foreseen, Foreseen):
            return self._short_settled(plan, record, usage)
        record = self._diagnosed(plan, foreseen, record, usage, said)  # before anything is learned from it
        record = self._sparing.settled(plan, foreseen, record, usage)
        self.forecasting.settled(foreseen, usage, plan.created)
        return revised(record, forecast_read=foreseen.forecast.cached_tokens)

    def _short_settled(self, plan: Plan, record: Record, usage: Usage) -> Record:
        self.forecasting.settled_short(plan.platform, plan.model, usage)
        forecast = plan.forecast
        return revised(record, forecast_read=forecast.cached_tokens) if forecast and forecast.rule else record

    def _diagnosed(
        self, plan: Plan, foreseen: Foreseen, record: Record, usage: Usage, said: Diagnosis | None
    ) -> Record:
        """The record with why it read less than it might have, and what that cost."""
        try:
            miss = self.diagnosing.settled(
                plan.attempt,
                plan.created,
                foreseen,
                usage,
                thread=plan.thread or "",
                feature=plan.feature,
                said=said,
            )
        except Exception as error:  # noqa: BLE001 - what was reported is to be learned from all the same
            self.faults.note("caches: diagnosis", error, "Please report it; the record names no reason of a miss.")
            return record
        if miss is None or (_rewritten(plan) and miss.reason == "prefix_changed"):
            return record  # what ctxkit rewrote on purpose stands in the savings, with its price
        cost = self.meter.missed(plan, usage, miss.tokens)
        return revised(record, miss_reason=miss.reason, miss_tokens=miss.tokens, miss_cost=cost, miss=miss)


def _rewritten(plan: Plan) -> bool:
    return plan.tidied is not None and plan.tidied.rewritten


def _correction(plan: Plan) -> float:
    """By which the weights of messages are off for this feature, as far as was learned."""
    if plan.estimate is None or not isinstance(plan.count, Count) or not plan.count.tokens:
        return 1.0
    return plan.estimate.input_tokens / plan.count.tokens


def _whose(plan: Plan, model: str) -> str:
    """Whose tools: orders of others are none of theirs."""
    return f"{plan.platform}\0{model}\0{plan.scope or ''}"


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

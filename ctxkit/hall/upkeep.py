"""The annexe of the hall: where a plan meets the room that knows providers' caches.

Finds the rules and has the request laid out, forecast (``cache_view``) and marked (``markers``), and held where another one
writes the same prefix (``waiting``); after the answer lets what was reported correct what is believed.
Nothing here may break a plan: what fails is noted, and the plan goes on without a forecast.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from ctxkit import dialects
from ctxkit.cacheable import Forecast
from ctxkit.caching import rules
from ctxkit.caching.coldstarts import ColdStarts
from ctxkit.caching.diagnosing import Diagnosing
from ctxkit.caching.forecast import Foreseen, short, told
from ctxkit.caching.forecasting import Forecasting
from ctxkit.caching.imprint import Seen
from ctxkit.caching.toolorder import ToolOrders
from ctxkit.forks import on_fork
from ctxkit.hall.cache_view import CacheView
from ctxkit.hall.foresight import undescribed
from ctxkit.hall.markers import Markers
from ctxkit.hall.sparing import Sparing
from ctxkit.hall.waiting import Waiting
from ctxkit.lazily import lazily
from ctxkit.revise import revised

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ctxkit.cacheable import Diagnosis
    from ctxkit.caching.layout import Layout
    from ctxkit.caching.prefixes import Hasher
    from ctxkit.caching.rules import Rule
    from ctxkit.faults import Faults
    from ctxkit.hall.planning import Before
    from ctxkit.metering.meter import Meter
    from ctxkit.model import Conversation, Edit, Plan, Record, Usage
    from ctxkit.policy import Policy
    from ctxkit.stores import Store

__all__ = ["Upkeep"]

_ANSWERED = ("settled", "unverified")  # to the end


class Upkeep:
    """What the kit knows of providers' caches; one per kit, for all threads.

    Args:
        policy: what the user decided.
        store: shared memory of workers and restarts.
        hasher: keyed hashes.
        meter: weighs messages.
        faults: told of what goes wrong.
        timer: monotonic seconds.

    Attributes:
        cold_starts: who writes a cold prefix at the moment.
        waiting: holds plans that would write it, too.
    """

    def __init__(
        self, policy: Policy, store: Store, hasher: Hasher, meter: Meter, faults: Faults, timer: Callable[[], float]
    ) -> None:
        self._policy = policy
        self._meter = meter
        self._faults = faults
        self.cold_starts = ColdStarts(timer)
        self._forecasting = Forecasting(store, self.cold_starts.readable, partial(faults.warn, "caches: rules doubted"))
        self._diagnosing = Diagnosing(store, hasher, self._forecasting.believed.held)
        self._sparing = Sparing(meter, faults, tidies=policy.tidies)
        self._view = CacheView(hasher, meter, self._forecasting)
        known = (self._forecasting, self._view)
        self.waiting = Waiting(self.cold_starts, *known, meter, faults, policy.longest_wait)
        active = policy.mode != "observe"
        self._markers = Markers(policy, store, hasher, meter, *known, lambda: self.own_rules) if active else None
        self._tool_orders = ToolOrders(store, hasher) if active and policy.freeze_tools else None
        self._renew()
        on_fork(self, "_renew")

    def _renew(self) -> None:
        self._making = threading.RLock()

    @lazily
    def own_rules(self) -> rules.Table | None:
        """The user's own rows on how providers cache."""
        return rules.load(self._policy.cache_rules) if self._policy.cache_rules else None

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
            self._faults.note("tools", error, "Please report it; the tools went out as they were.")
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
            self._faults.note("forecast", error, "Please report it; the plan goes without a forecast.")
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
        lay = partial(self._view.laid_out, plan, conversation, seen, marked, ask, wire, rule)
        if rule is None:
            return revised(plan, layout=lay(), forecast=Forecast(unsupported=undescribed(plan.platform, plan.model)))
        if not marked and self._markers is None and self._view.too_short(plan, rule):
            later = partial(self._foreseen, plan, rule, lay, seen)
            return revised(plan, layout=later, forecast=short(rule, plan.estimate))
        foreseen = self._foreseen(plan, rule, lay, seen)
        if self._markers is None or plan.fixed:
            estimate = self._view.priced(plan, foreseen)
            return revised(plan, layout=foreseen, forecast=foreseen.forecast, estimate=estimate)
        plan = self._marked(revised(plan, layout=foreseen, forecast=foreseen.forecast), conversation, foreseen, before)
        priced = self._view.priced(plan, plan.layout) if isinstance(plan.layout, Foreseen) else plan.estimate
        return revised(plan, estimate=priced)

    def _foreseen(self, plan: Plan, rule: Rule, lay: Callable[[], Layout], seen: Seen) -> Foreseen:
        return self._view.foreseen(plan, rule, lay())._replace(seen=seen)

    def _marked(self, plan: Plan, conversation: Conversation, foreseen: Foreseen, before: Before | None) -> Plan:
        """The plan with what is said to the provider's cache: its user's call, when something of it fails."""
        if self._markers is None:
            return plan
        try:
            foreseen = foreseen._replace(plain=self._view.plain(plan, foreseen, before))
            return self._markers.marked(plan, conversation, foreseen, before.cut if before is not None else -1)
        except Exception as error:  # noqa: BLE001 - the user's call is sacred
            self._faults.note("markers", error, "Please report it; the request goes out as it was.")
            return plan

    def sent(self, plan: Plan) -> None:
        """The request left: what it was tells what is to be expected of the next ones."""
        foreseen = plan.layout
        if not isinstance(foreseen, Foreseen):
            return
        self._diagnosing.left(plan.attempt, foreseen, plan.created)
        if self._tool_orders is not None and foreseen.seen is not None:
            self._tool_orders.sent(foreseen.seen.messages, foreseen.seen.digests, _whose(plan, plan.model))
        if self._markers is not None:
            self._markers.sent(plan, foreseen)

    # ------------------------------------------------------------------ after

    def began(self, plan: Plan) -> None:
        """The answer begins: what the request wrote can be read."""
        try:
            self.cold_starts.began(plan.attempt)
            if isinstance(plan.layout, Foreseen):
                self._diagnosing.began(plan.attempt, plan.layout)
        except Exception as error:  # noqa: BLE001 - the user's call is sacred
            self._faults.note("began", error, "Please report it; the answer goes on.")

    def settled(self, plan: Plan, record: Record, said: Diagnosis | None = None) -> Record:
        """Let what was reported correct what is believed; the record, with why it read less than it might have."""
        try:
            return self._settled(plan, record, said)
        except Exception as error:  # noqa: BLE001 - the record stands
            self._faults.note("caches: settle", error, "Please report it; the record is complete.")
            return record
        finally:
            self._answered(plan, record.http_status)
            self.cold_starts.ended(plan.attempt, failed=record.status not in _ANSWERED)
            self._diagnosing.ended(plan.attempt)
            if self._markers is not None:
                self._markers.ended(plan.attempt)

    def refused(self, plan: Plan, status: int | None, again: int | None = None) -> bool:
        """A settled request was refused for what was added to it: it should go as it was; see :meth:`Markers.refused`."""
        try:
            return self._markers is not None and self._markers.refused(plan, status, again)
        except Exception as error:  # noqa: BLE001 - the user's call is sacred
            self._faults.note("markers", error, "Please report it; the answer is given as it came.")
            return False

    def _answered(self, plan: Plan, status: int | None) -> None:
        if self._markers is not None and self._markers.answered(plan, status):
            where = f"{plan.platform} {plan.model}"
            self._faults.warn("markers refused", f"{where} answered {status} to a request with what mode 'cache' adds")

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
        self._forecasting.settled(foreseen, usage, plan.created)
        return revised(record, forecast_read=foreseen.forecast.cached_tokens)

    def _short_settled(self, plan: Plan, record: Record, usage: Usage) -> Record:
        self._forecasting.settled_short(plan.platform, plan.model, usage)
        forecast = plan.forecast
        return revised(record, forecast_read=forecast.cached_tokens) if forecast and forecast.rule else record

    def _diagnosed(
        self, plan: Plan, foreseen: Foreseen, record: Record, usage: Usage, said: Diagnosis | None
    ) -> Record:
        """The record with why it read less than it might have, and what that cost."""
        try:
            miss = self._diagnosing.settled(
                plan.attempt,
                plan.created,
                foreseen,
                usage,
                thread=plan.thread or "",
                feature=plan.feature,
                said=said,
            )
        except Exception as error:  # noqa: BLE001 - what was reported is to be learned from all the same
            self._faults.note("caches: diagnosis", error, "Please report it; the record names no reason of a miss.")
            return record
        if miss is None or (_rewritten(plan) and miss.reason == "prefix_changed"):
            return record  # what ctxkit rewrote on purpose stands in the savings, with its price
        cost = self._meter.missed(plan, record, usage, miss.tokens)
        return revised(record, miss_reason=miss.reason, miss_tokens=miss.tokens, miss_cost=cost, miss=miss)


def _rewritten(plan: Plan) -> bool:
    return plan.tidied is not None and plan.tidied.rewritten


def _whose(plan: Plan, model: str) -> str:
    """Whose tools: orders of others are none of theirs."""
    return f"{plan.platform}\0{model}\0{plan.scope or ''}"

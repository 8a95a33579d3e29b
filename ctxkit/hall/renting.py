"""The annexe of the hall where a plan meets the provider's cache objects (Gemini's ``CachedContent``), which cost rent.

Before a request, a standing object that holds its beginning is read (mode ``cache``). After it, off its path, a thread
decides: create one where that pays, prolong it while it does, let it go when it does not. What they cost is charged
to the features that read them. Nothing here may break a call: what fails is told, and the request goes as it was.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from ctxkit.cacheable import Forecast
from ctxkit.caching import rules
from ctxkit.caching.forecast import Foreseen
from ctxkit.caching.handles import boundaries
from ctxkit.caching.layout import Layout
from ctxkit.caching.simulator.entries import Matched
from ctxkit.dialects import get as dialect_of
from ctxkit.dialects.gemini import handles as wire
from ctxkit.hall.tending import Lease
from ctxkit.money import usd_of
from ctxkit.revise import revised

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxkit.cacheable import Keeper
    from ctxkit.caching.handles import Boundary, Handle
    from ctxkit.caching.prefixes import Hasher
    from ctxkit.caching.rules import Rule
    from ctxkit.faults import Faults
    from ctxkit.hall.tending import Tending
    from ctxkit.metering.meter import Meter
    from ctxkit.model import Conversation, Plan, Record

__all__ = ["Renting"]

_DIALECT = "gemini.generate"
_SERVED = frozenset({"settled", "partial", "unverified"})
_REPORT = "Please report it; the request went out without a cache object."


class Renting:
    """The cache objects of a kit; for all threads.

    Args:
        own_rules: the user's own rows on how providers cache.
        hasher: keyed hashes.
        meter: knows prices.
        faults: told of what goes wrong.
        tending: does what is done off the path of requests.
    """

    def __init__(
        self,
        own_rules: Callable[[], rules.Table | None],
        hasher: Hasher,
        meter: Meter,
        faults: Faults,
        tending: Tending,
    ) -> None:
        self.tending = tending
        self._own_rules = own_rules
        self._hasher = hasher
        self._meter = meter
        self._faults = faults

    # ------------------------------------------------------------------ before

    def planned(self, plan: Plan, conversation: Conversation) -> Plan:
        """The plan, with a cache object to read where one stands; what it carries of them for later."""
        keeper = cast("Keeper", plan.rental)  # what a door put there
        plan = revised(plan, rental=None)
        try:
            lease = self._lease(plan, conversation, keeper)
            return plan if lease is None else self._reading(revised(plan, rental=lease), lease)
        except Exception as error:  # noqa: BLE001 - the user's call is sacred
            self._faults.note("cache objects: plan", error, _REPORT)
            return plan

    def rule(self, platform: str, model: str) -> Rule | None:
        """How this model's cache objects work; ``None``: nobody has described any."""
        rule = rules.find(platform, model, dialect=_DIALECT, mode="handle", overrides=self._own_rules())
        return rule if rule is not None and rule.match == "handle" else None

    def _lease(self, plan: Plan, conversation: Conversation, keeper: Keeper) -> Lease | None:
        rule = self.rule(plan.platform, plan.model)
        if rule is None or plan.fixed or plan.dialect != _DIALECT or conversation.server_history is not None:
            return None  # the user's own object is the user's
        known = plan.layout() if callable(plan.layout) else plan.layout
        layout = known.layout if isinstance(known, Foreseen) else known
        if not isinstance(layout, Layout):
            return None
        tokens = known.tokens if isinstance(known, Foreseen) else float
        account = self._hasher.digest(keeper.account)
        head = self._hasher.digest((account, plan.platform, plan.model, plan.scope, wire.tool_config(plan.body)))
        self.tending.met(account.hex(), keeper)
        found = boundaries(layout, tokens, head)
        return Lease(keeper, account.hex(), found, conversation.messages, plan.body, rule.minimum or 0)

    def _reading(self, plan: Plan, lease: Lease) -> Plan:
        for boundary in reversed(lease.found):
            handle = self.tending.stands(boundary.key, plan.created)
            if handle is not None:
                return self._with(plan, lease, boundary, handle)
        return plan

    def _with(self, plan: Plan, lease: Lease, boundary: Boundary, handle: Handle) -> Plan:
        dialect, rule = dialect_of(_DIALECT), self.rule(plan.platform, plan.model)
        edits = wire.reading(plan.body, lease.messages[boundary.message], handle.name)
        if not edits or dialect is None or rule is None:
            return plan
        saving = usd_of(_saving(handle))
        edits = (replace(edits[0], predicted_saving=saving), *edits[1:])
        foreseen = self._foreseen(plan, rule, boundary, handle)
        estimate = plan.estimate
        if estimate is not None:
            read = min(handle.tokens, estimate.input_tokens)
            estimate = self._meter.foreseen(plan, estimate, read, {})
        return revised(
            plan,
            body=dialect.apply(plan.body, edits),
            edits=(*plan.edits, *edits),
            estimate=estimate,
            layout=foreseen or plan.layout,
            forecast=foreseen.forecast if foreseen else plan.forecast,
            notes=(*plan.notes, f"reads the cache object {handle.name}, which holds {handle.tokens:,} tokens"),
            rental=lease._replace(handle=handle),
        )

    def _foreseen(self, plan: Plan, rule: Rule, boundary: Boundary, handle: Handle) -> Foreseen | None:
        known = plan.layout
        if not isinstance(known, Foreseen):
            return None
        whole = round(known.tokens(known.layout.total))
        fresh = max(whole - boundary.tokens, 0)
        forecast = Forecast(rule.id, handle.tokens, handle.tokens, {}, fresh, guaranteed=True, expires=handle.expires)
        matched = Matched(tokens=handle.tokens, least=handle.tokens, most=handle.tokens, fresh=fresh)
        return Foreseen(rule, known.layout, matched, forecast, known.tokens, seen=known.seen)

    # ------------------------------------------------------------------ after

    def settled(self, plan: Plan, record: Record) -> Record:
        """Note what was asked for and read; the record, with what the object saved. Decides nothing in this thread."""
        lease = plan.rental
        if not isinstance(lease, Lease) or record.status not in _SERVED:
            return record
        try:
            usage, handle = record.usage, lease.handle
            self.tending.answered(lease, plan, usage.read if usage is not None else None)
            if handle is not None:
                saving = usd_of(_saving(handle))
                record = revised(record, savings=saving, savings_by={"cache": saving})
        except Exception as error:  # noqa: BLE001 - the record stands
            self._faults.note("cache objects: settle", error, "Please report it; the record is complete.")
        return record

    def gone(self, plan: Plan, status: int | None, text: str = "") -> bool:
        """The provider refused a request: True when that was for the object we gave it, which is written off then.

        The request should go once more, as it was. 403 is what is answered for one that ended or is another's; 404
        and 400 where they name cached content (ai.google.dev caching, 2026-09-11; observed 2026-09-07).
        """
        lease = plan.rental
        if not isinstance(lease, Lease) or lease.handle is None or status not in (400, 403, 404):
            return False
        if status != 403 and not re.search(r"cached[\s_]?content", text, re.IGNORECASE):
            return False
        self.tending.lost(lease.handle.name)
        self._faults.warn("cache objects: gone", f"{status} for {lease.handle.name}; the call went on without it")
        return True


def _saving(handle: Handle) -> int:
    """Pico-dollars that one read saves against none, what the provider would have cached by itself taken off."""
    return round((handle.base - handle.read) * (1 - handle.hit_rate) * handle.tokens)

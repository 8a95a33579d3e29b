"""Cold starts in the hall: a planned request waits while another one writes the prefix that both share, if that pays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.caching.coldprefix import start_of
from ctxkit.caching.forecast import Foreseen
from ctxkit.revise import revised

if TYPE_CHECKING:
    from ctxkit.caching.coldprefix import Start
    from ctxkit.caching.coldstarts import ColdStarts, Held
    from ctxkit.caching.forecasting import Forecasting
    from ctxkit.faults import Faults
    from ctxkit.hall.cache_view import CacheView
    from ctxkit.metering.meter import Meter
    from ctxkit.model import Plan

__all__ = ["Waiting"]

_AT_ONCE = "Please report it; the request went out at once."


class Waiting:
    """Holds plans between planning and sending; one per kit, for all threads and tasks.

    Args:
        cold_starts: who writes what at the moment.
        forecasting: what is believed of the cache.
        view: forecasts a request anew once it has waited.
        meter: knows prices.
        faults: told of what goes wrong.
        longest: seconds that a request may wait; 0: never.
    """

    def __init__(
        self,
        cold_starts: ColdStarts,
        forecasting: Forecasting,
        view: CacheView,
        meter: Meter,
        faults: Faults,
        longest: float,
    ) -> None:
        self._cold_starts = cold_starts
        self._forecasting = forecasting
        self._view = view
        self._meter = meter
        self._faults = faults
        self._longest = longest

    def hold(self, plan: Plan) -> Plan:
        """Wait while another request writes what this one would read, if that pays; the plan, forecast anew."""
        try:
            start = self._start(plan)
            return plan if start is None else self._told(plan, self._cold_starts.hold(start, self._longest))
        except Exception as error:  # noqa: BLE001 - the user's call is sacred
            self._faults.note("hold", error, _AT_ONCE)
            return plan

    async def ahold(self, plan: Plan) -> Plan:
        """``hold`` for event loops."""
        try:
            start = self._start(plan)
            return plan if start is None else self._told(plan, await self._cold_starts.ahold(start, self._longest))
        except Exception as error:  # noqa: BLE001 - the user's call is sacred
            self._faults.note("hold", error, _AT_ONCE)
            return plan

    def _start(self, plan: Plan) -> Start | None:
        foreseen = plan.layout
        if not self._longest or not isinstance(foreseen, Foreseen):
            return None
        return start_of(
            foreseen.rule,
            foreseen.layout,
            self._forecasting.believed.alive(plan.created),
            attempt=plan.attempt,
            operation=plan.operation,
            now=plan.created,
            pace=(plan.platform, plan.model, plan.stream, round(foreseen.layout.total).bit_length()),
            rates=self._meter.rates(plan),
            probability=foreseen.forecast.hit_probability,
        )

    def _told(self, plan: Plan, held: Held) -> Plan:
        foreseen = plan.layout
        if not held.reads or not isinstance(foreseen, Foreseen):
            return plan
        again = self._view.foreseen(plan, foreseen.rule, foreseen.layout)
        again = again._replace(choice=foreseen.choice, seen=foreseen.seen, plain=foreseen.plain)
        return revised(plan, layout=again, forecast=again.forecast)

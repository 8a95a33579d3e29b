"""What a request cost less than it would have cost as its user wrote it, and by which cause. A part of the hall."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.caching import causes
from ctxkit.caching.forecast import EXACT, Foreseen
from ctxkit.caching.unmarked import Unmarked, tidied, untidied
from ctxkit.money import pico_of, usd_of
from ctxkit.revise import revised

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from ctxkit.faults import Faults
    from ctxkit.metering.meter import Meter
    from ctxkit.model import Plan, Record, Usage

__all__ = ["Sparing"]


class Sparing:
    """Follows what the cache would hold had nothing been said to it, or nothing been made smaller; one per kit.

    Args:
        meter: prices.
        faults: told of what goes wrong.
        tidies: contents of requests are made smaller.
    """

    def __init__(self, meter: Meter, faults: Faults, *, tidies: bool) -> None:
        self._meter = meter
        self._faults = faults
        self._tidies = tidies
        self._unmarked, self._untidied = Unmarked(), Unmarked()

    def settled(self, plan: Plan, foreseen: Foreseen, record: Record, usage: Usage) -> Record:
        """The record with what it cost less (negative: more) than what its user wrote would have, and by which cause."""
        try:
            return self._saved(plan, foreseen, record, usage)
        except Exception as error:  # noqa: BLE001 - what was reported is to be learned from all the same
            self._faults.note("caches: savings", error, "Please report it; the record says nothing of savings.")
            return record

    def _saved(self, plan: Plan, foreseen: Foreseen, record: Record, usage: Usage) -> Record:
        bare = causes.bare(usage, plan.edits)
        restated = self._meter.spared(plan, record, bare) if bare is not usage else None
        moment = (foreseen, bare, plan.created, record.timing)
        without = self._unmarked.settled(foreseen.plain, *moment) if foreseen.rule.match in EXACT else None
        marked = self._untidied.settled(untidied(foreseen), *moment) if self._tidies else None
        by_cache = restated if without is None else self._meter.spared(plan, record, without.usage)
        added = _added(plan, pico_of(restated) or 0)
        extra = sum(added.values())
        if not tidied(foreseen) or marked is None:
            return record if by_cache is None else _with(record, by_cache, {"cache": _pico(by_cache) - extra, **added})
        by_tidying = self._meter.spared(plan, record, marked.usage)
        saved = by_tidying if without is None else by_cache
        if foreseen.plain is None or saved is None or by_tidying is None:
            return record
        whole, part = _pico(saved), _pico(by_tidying)
        parts = causes.removed(plan.edits, foreseen.plain.layout, marked, self._meter.rates(plan))
        later = {one.by for one in getattr(plan.decision, "decided", ())}  # what arrived smaller cost no rewrite
        return _with(record, saved, {"cache": whole - part, **causes.split(part - extra, parts, later), **added})


def _pico(saved: Decimal) -> int:
    return pico_of(saved) or 0


def _added(plan: Plan, pico: int) -> dict[str, int]:
    """What was said at the end, and what it cost."""
    return {causes.added(plan.edits)[-1].by: pico} if pico else {}


def _with(record: Record, saved: Decimal, by: Mapping[str, int]) -> Record:
    return revised(record, savings=saved, savings_by={cause: usd_of(amount) for cause, amount in by.items() if amount})

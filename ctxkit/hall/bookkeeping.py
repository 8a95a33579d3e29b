"""Writing down what was sent and what came of it, and learning from it. A part of the hall."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ctxkit.attempts import blank_plan
from ctxkit.faults import advice_for
from ctxkit.hall import keeping
from ctxkit.metering.settling import opening, unmetered_record

if TYPE_CHECKING:
    from ctxkit.kit import Kit
    from ctxkit.model import Plan, Record

__all__ = ["begun", "ended", "passed", "reused", "watched"]

_LEARNED_EVERY = 100  # settlements between two notes of what was learned


def begun(kit: Kit, plan: Plan) -> None:
    """The request left: its thread, its opening entry, what was decided for it."""
    rooms = kit.rooms
    entry = opening(plan)
    stranded = rooms.attempts.begin(plan, entry)
    if stranded is not None:
        rooms.upkeep.cold_starts.ended(stranded.attempt, failed=True)
        kit.ledger.append(replace(stranded, status="failed"))
    if plan.thread:
        rooms.threads.commit(plan.prefix, plan.thread)
    rooms.upkeep.sent(plan)
    if plan.decision is not None:
        rooms.tidying.sent(plan)
    kit.ledger.append(entry)


def ended(kit: Kit, plan: Plan, record: Record) -> Record:
    """The request was settled: its record is kept, learned from and told."""
    attempts = kit.rooms.attempts
    news = record.status != "failed" and attempts.succeed(plan)
    if record.status == "failed":
        attempts.fail(plan)
    try:
        kit.ledger.append(record)
    except Exception as error:  # noqa: BLE001 - the user's call is sacred
        kit.faults.note("ledger", error, advice_for(error))
    if news:
        _learn(kit, plan, record)
    _tell(kit, record)
    return record


def reused(kit: Kit, plan: Plan, record: Record) -> Record:
    """The request was answered without being sent: its record is kept and told, and its conversation goes on.

    Nothing is learned from it, no cache was read or written, no attempt began.
    """
    threads = kit.rooms.threads
    try:
        if plan.thread:
            threads.commit(plan.prefix, plan.thread)
            if record.response_id:
                threads.commit([kit.rooms.hasher.digest(record.response_id)], plan.thread)
        kit.ledger.append(record)
    except Exception as error:  # noqa: BLE001 - the user's call is sacred
        kit.faults.note("ledger", error, advice_for(error))
    _tell(kit, record)
    return record


def passed(kit: Kit, platform: str, endpoint: str) -> None:
    """A model call passed that nobody can meter."""
    try:
        plan = blank_plan(None, now=kit.clock(), platform=platform, scope=kit.policy.scope)
        record = unmetered_record(plan, endpoint)
        kit.ledger.append(record)
    except Exception as error:  # noqa: BLE001 - the user's call is sacred
        kit.faults.note("unmetered", error, advice_for(error))
    else:
        _tell(kit, record)


def watched(kit: Kit, plan: Plan, record: Record) -> None:
    """The request was settled: what looks on behind the application's back may look at it later."""
    for wanted, name in ((kit.policy.shadow, "shadow"), (kit.policy.drift, "drifting")):
        try:
            if wanted:
                getattr(kit, name).offer(plan, record)
        except Exception as error:  # noqa: BLE001 - the record stands
            kit.faults.note(name, error, "Please report it; the record is complete.")


def _tell(kit: Kit, record: Record) -> None:
    for listener in kit.listeners:
        try:
            listener(record)
        except Exception as error:  # noqa: BLE001 - whoever listens is no part of the user's call
            kit.faults.note("listener", error)


def _learn(kit: Kit, plan: Plan, record: Record) -> None:
    try:
        _teach(kit, plan, record)
    except Exception as error:  # noqa: BLE001 - the user's call is sacred
        kit.faults.note("learn", error, "Please report it.")


def _teach(kit: Kit, plan: Plan, record: Record) -> None:
    rooms = kit.rooms
    if record.response_id and plan.thread:
        # A later request that continues by id (previous_response_id) finds its thread by it.
        rooms.threads.commit([rooms.hasher.digest(record.response_id)], plan.thread)
    if rooms.meter.learn(plan, record):
        rooms.learned += 1
        if rooms.learned % _LEARNED_EVERY == 0:
            keeping.keep_learned(kit)

"""From a plan and an answer to a record: how it ended, what it cost, and where the figure comes from.

The provider's own cost wins and stands beside ours. What cannot be priced by usage (no usage, a cut stream) is
priced by the estimate and says so; what has no price is ``None``, never 0.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from ctxkit.metering.prices.card import charge
from ctxkit.model import Record, Usage
from ctxkit.money import usd_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctxkit.editable import Tidied
    from ctxkit.metering.prices.card import Card
    from ctxkit.model import Answer, Plan, Status, Timing
    from ctxkit.reuse import Reused

__all__ = ["charge_record", "opening", "record_of", "reused_record", "unmetered_record"]

_LONGEST = 256  # characters of a text that an upstream made: none is to fill the ledger
_MOST_PROBLEMS = 10
_MOST_NOTES = 20
_MOST_PASSES, _LONGEST_PASS = 20, 64  # somebody's own passes have names, too
_MOST_FIGURES = 100


def opening(plan: Plan) -> Record:
    """The entry of a request that left: what is known if its answer is never seen."""
    status: Status = "unmetered" if plan.unmetered else "open"
    return _record(plan, status)


def unmetered_record(plan: Plan, endpoint: str) -> Record:
    """The entry of a model call that passed a door and that nobody can meter."""
    return _record(plan, "unmetered", model=endpoint)


def reused_record(plan: Plan, reused: Reused, timing: Timing | None, *, age: float) -> Record:
    """The entry of a request that was not sent, because the very same one was answered before.

    Args:
        plan: what would have been sent.
        reused: the answer, and what it did cost.
        timing: from the moment it was asked for until it was handed over.
        age: seconds since the answer was given.
    """
    waited = f", after {reused.waited:.1f} s of waiting for it" if reused.waited else ""
    return _record(
        plan,
        "reused",
        http_status=reused.status,
        timing=timing,
        usage=Usage(fresh=0, read=0, written={}, output=0, reasoning=0),
        cost=Decimal(0),
        card_cost=Decimal(0),
        savings=reused.cost,
        savings_by={} if reused.cost is None else {"answers": reused.cost},
        edits={},
        notes=(f"not sent: answered with what the same request got {max(age, 0.0):,.0f} s ago{waited}",),
        **reused.said,
    )


def charge_record(
    name: str,
    *,
    at: float,
    dialect: str,
    platform: str,
    model: str,
    cost: Decimal | None,
    feature: str | None = None,
    labels: Mapping[str, str] | None = None,
    scope: str | None = None,
    note: str = "",
) -> Record:
    """What is charged by time and not by request, such as the storage of a cache object.

    It counts as cost and storage of its feature, model and platform, and as no request and no attempt. Appended again
    under the same name it takes the place of what it was before.

    Args:
        name: of the charge, in place of an attempt's id.
        at: unix time it is counted at, in seconds.
        dialect: what charges (``"gemini.caches"``).
        platform: who charges.
        model: for which model.
        cost: USD; ``None`` when it cannot be known.
        feature: who is charged.
        labels: of who is charged.
        scope: whose provider cache it is.
        note: one sentence for people.
    """
    return Record(
        attempt=name,
        operation=name,
        number=0,
        status="settled",
        http_status=None,
        created=at,
        dialect=dialect,
        platform=platform,
        model=model,
        feature=feature,
        labels=labels or {},
        scope=scope,
        cost=cost,
        cost_source=None if cost is None else "card",
        notes=(note[:_LONGEST],) if note else (),
    )


def record_of(
    plan: Plan, answer: Answer | None, http_status: int | None, timing: Timing | None, card: Card | None
) -> Record:
    """The record of an attempt that ended.

    Args:
        plan: what was sent.
        answer: what the response said, or ``None`` when nothing of it was understood.
        http_status: ``None`` when no answer came at all.
        timing: moments of the attempt.
        card: the price card of the model that answered.
    """
    status = _status(plan, answer, http_status)
    common = {"http_status": http_status, "timing": timing, "notes": _notes(plan)}
    if status in ("failed", "unmetered"):
        return _record(plan, status, **common)
    usage = answer.usage if answer else None
    by_card = usd_of(charge(card, usage)) if card and usage else None
    cost, source = _cost(plan, answer, status, by_card)
    said = {} if answer is None else _said(answer)
    return _record(
        plan,
        status,
        usage=usage,
        cost=cost,
        cost_source=source,
        card_cost=by_card,
        card=card.id if card else None,
        **said,
        **common,
    )


def _said(answer: Answer) -> dict[str, object]:
    return {
        "response_model": _short(answer.model),
        "response_id": _short(answer.id),
        "finish": _short(answer.finish),
        "tier": _short(answer.tier),
        "problems": tuple(problem[:_LONGEST] for problem in dict.fromkeys(answer.problems))[:_MOST_PROBLEMS],
    }


def _short(said: str | None) -> str | None:
    return said[:_LONGEST] if said else said


def _status(plan: Plan, answer: Answer | None, http_status: int | None) -> Status:
    if http_status is None or http_status >= 400:
        return "failed"
    if plan.unmetered:
        return "unmetered"
    if answer is not None and not answer.complete:
        return "partial"
    if answer is None or answer.usage is None or answer.usage.fresh is None:
        return "unverified"
    return "settled"


def _cost(
    plan: Plan, answer: Answer | None, status: Status, by_card: Decimal | None
) -> tuple[Decimal | None, Literal["provider", "card", "estimate"] | None]:
    if answer is not None and answer.cost is not None:
        return answer.cost, "provider"
    if by_card is not None:
        return by_card, "card"
    if status != "settled" and plan.estimate is not None and plan.estimate.cost.expected is not None:
        return plan.estimate.cost.expected, "estimate"
    return None, None


def _record(plan: Plan, status: Status, **more: object) -> Record:
    values: dict[str, object] = {
        "attempt": plan.attempt,
        "operation": plan.operation,
        "number": plan.number,
        "status": status,
        "http_status": None,
        "created": plan.created,
        "dialect": plan.dialect,
        "platform": plan.platform,
        "model": plan.model,
        "feature": plan.feature,
        "labels": plan.labels,
        "scope": plan.scope,
        "thread": plan.thread,
        "estimate": plan.estimate,
        "tier": plan.tier,
        "stream": plan.stream,
        "edits": _summary(plan),
    }
    return Record(**{**values, **more})  # type: ignore[arg-type]


def _notes(plan: Plan) -> tuple[str, ...]:
    """What was changed, and what was decided; the ledger keeps no more of it than this."""
    tidied = plan.tidied.decision if plan.tidied is not None else ""
    if not plan.edits and not plan.notes and not tidied:
        return ()
    told = [f"{'.'.join(map(str, edit.path))}: {edit.reason}" for edit in plan.edits if not edit.by]
    if tidied:
        told.append(f"tidying: {tidied}")
    return tuple(note[:_LONGEST] for note in (*told, *plan.notes))[:_MOST_NOTES]


def _summary(plan: Plan) -> dict[str, int]:
    found = {} if plan.tidied is None else _tidied(plan.tidied)
    if not plan.edits:
        return found
    removed = sum(edit.tokens_before - edit.tokens_after for edit in plan.edits)
    return {"n": len(plan.edits), "tokens": removed, **found}


def _tidied(tidied: Tidied) -> dict[str, int]:
    """Figures by pass, of what was done and of what is pending: no path, no name of a tool, no word of a prompt."""
    found: dict[str, int] = {"rewritten": 1} if tidied.rewritten else {}
    for one in tidied.passes[:_MOST_PASSES]:
        name = f"by.{one.by[:_LONGEST_PASS]}"
        found |= {f"{name}.n": one.edits, f"{name}.before": one.tokens_before, f"{name}.after": one.tokens_after}
    for waiting in tidied.pending:
        name = f"pending.{waiting.by[:_LONGEST_PASS]}"
        if f"{name}.n" not in found and len(found) > _MOST_FIGURES:
            continue
        found[f"{name}.n"] = found.get(f"{name}.n", 0) + 1
        found[f"{name}.tokens"] = found.get(f"{name}.tokens", 0) + waiting.tokens
    return found

"""A plan told to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

    from ctxkit.model import Estimate, Plan

__all__ = ["explain_plan"]


def explain_plan(plan: Plan) -> str:
    """What is sent, how sure the estimate is and what it will cost, in a few lines."""
    if plan.unmetered:
        return f"{plan.platform or 'request'}: sent as it is, not metered: {plan.unmetered}"
    lines = [
        (
            f"{plan.model or 'unknown model'} on {plan.platform or 'unknown platform'} ({plan.dialect})"
            f"{', streamed' if plan.stream else ''}; feature {plan.feature or 'unattributed'}; thread {plan.thread}"
        ),
    ]
    if plan.estimate is not None:
        lines += _estimate_lines(plan.estimate)
    lines += [f"edit at {'.'.join(map(str, edit.path))}: {edit.reason}" for edit in plan.edits]
    lines += [f"header {name}: {value}" for name, value in plan.headers.items()]
    lines += plan.notes
    if plan.forecast is not None and plan.forecast.pings:
        lines.append(
            f"an idle entry is worth {plan.forecast.pings} reads that keep it alive; more cost more than writing it again"
        )
    if not plan.edits:
        lines.append("sent byte for byte as it came")
    return "\n".join(lines)


def _estimate_lines(estimate: Estimate) -> list[str]:
    cost = estimate.cost
    lines = [
        (
            f"input {estimate.input_tokens:,} tokens (95 %: {estimate.input_low:,} to {estimate.input_high:,}; "
            f"{estimate.method}, {estimate.family})"
        ),
    ]
    if cost.low is None and cost.expected is None and cost.max is None:
        return [*lines, "cost unknown: no price for this model"]
    return [*lines, f"cost {_usd(cost.low)} at least, {_usd(cost.expected)} expected, {_usd(cost.max)} at most"]


def _usd(value: Decimal | None) -> str:
    return "unknown" if value is None else f"${value:.6f}"

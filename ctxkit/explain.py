"""A plan, or what became of it, told to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.money import plain
from ctxkit.printable import printable
from ctxkit.told import drift_dict, drift_lines, tidied_dict, tidied_figures, tidied_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from decimal import Decimal

    from ctxkit.cacheable import Forecast
    from ctxkit.model import Estimate, Json, Plan, Record, Usage

__all__ = ["explain_plan", "explain_record", "record_dict"]


def explain_plan(plan: Plan) -> str:
    """What is sent, how sure the estimate is and what it will cost, in a few lines."""
    if plan.unmetered:
        return f"{plan.platform or 'request'}: sent as it is, not metered: {plan.unmetered}"
    lines = [_head(plan)]
    if plan.estimate is not None:
        lines += _estimate_lines(plan.estimate)
    if plan.forecast is not None:
        lines += _forecast_lines(_forecast_dict(plan.forecast))
        lines += [f"  {miss.reason}: {miss.detail}" for miss in plan.forecast.misses]
    lines += tidied_lines(plan)
    lines += drift_lines(plan.drift)
    lines += [f"edit at {'.'.join(map(str, edit.path))}: {edit.reason}" for edit in plan.edits if not edit.by]
    lines += [f"header {name}: {value}" for name, value in plan.headers.items()]
    lines += plan.notes
    if plan.forecast is not None and plan.forecast.pings:
        lines.append(
            f"an idle entry is worth {plan.forecast.pings} reads that keep it alive; more cost more than writing it again"
        )
    if not plan.edits:
        lines.append("sent byte for byte as it came")
    return "\n".join(map(printable, lines))


def _head(one: Plan | Record) -> str:
    return (
        f"{one.model or 'unknown model'} on {one.platform or 'unknown platform'} ({one.dialect or 'not understood'})"
        f"{', streamed' if one.stream else ''}; feature {one.feature or 'unattributed'}; thread {one.thread or 'none'}"
    )


def _forecast_dict(forecast: Forecast) -> dict[str, Json]:
    """As the ledger keeps it."""
    found = {
        "rule": forecast.rule,
        "read": forecast.cached_tokens,
        "bound": forecast.bound_tokens,
        "written": forecast.written,
        "fresh": forecast.fresh,
        "probability": forecast.hit_probability,
        "guaranteed": forecast.guaranteed,
        "unsupported": forecast.unsupported,
    }
    return {name: value for name, value in found.items() if value is not None}


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


# ---- What became of it -------------------------------------------------------------------------------------------------


def explain_record(record: Record, attempts: Sequence[Record] = ()) -> str:
    """A settled request in a few lines: planned, forecast, reported, missed, paid, tried again.

    Args:
        record: of the attempt.
        attempts: all attempts of the same call.
    """
    code = "" if record.http_status is None else f", HTTP {record.http_status}"
    lines = [
        f"{record.attempt}: {record.status}{code}, planned at {_moment(record.created)}",
        _head(record),
        *record.notes,
        *(_estimate_lines(record.estimate) if record.estimate is not None else ()),
        *_forecast_lines(record.forecast),
        *_reported_lines(record),
        *_miss_lines(record),
        *tidied_figures(record),
        *drift_lines(record.drift, cost="cost", always=True),
        *_cost_lines(record),
        *(f"problem: {problem}" for problem in record.problems),
        *_attempt_lines(record, attempts),
    ]
    return "\n".join(map(printable, lines))


def _forecast_lines(forecast: Mapping[str, Json]) -> Iterator[str]:
    if not forecast:
        return
    if "read" not in forecast:
        yield f"forecast: none ({forecast.get('unsupported') or 'not enough is known'})"
        return
    chance = forecast.get("probability")
    likely = "" if chance is None else f"; {chance:.0%} of such reads came so far"
    promised = "; a promised read" if forecast.get("guaranteed") and forecast["read"] else ""
    yield (
        f"forecast: {_count(forecast['read'])} read{_bound(forecast)}, {_writes(forecast.get('written') or {})}, "
        f"{_count(forecast.get('fresh'))} fresh (rule {forecast.get('rule') or 'unknown'}{promised}{likely})"
    )


def _bound(forecast: Mapping[str, Json]) -> str:
    bound = forecast.get("bound")
    return "" if bound is None or bound == forecast["read"] else f" (at most {_count(bound)})"


def _reported_lines(record: Record) -> Iterator[str]:
    usage = record.usage
    if record.status == "reused":
        return
    if usage is None:
        yield "reported: no usage"
        return
    reasoning = "" if not usage.reasoning else f" ({usage.reasoning:,} of it reasoning)"
    yield (
        f"reported: {_count(usage.read)} read, {_writes(usage.written)}, {_count(usage.fresh)} fresh, "
        f"{_count(usage.output)} output{reasoning}"
    )


def _miss_lines(record: Record) -> Iterator[str]:
    if record.miss_reason is None:
        if record.usage is not None and record.usage.read is not None and record.status != "reused":
            yield "missed: nothing that could have been read"
        return
    miss = record.miss
    where = f" at {'.'.join(map(str, miss.path))}" if miss is not None and miss.path else ""
    says = "; so the provider" if miss is not None and miss.source == "provider" else ""
    yield f"missed: {_count(record.miss_tokens)} tokens, {record.miss_reason}{where}{says}"
    if miss is not None and miss.detail:
        yield f"  {miss.detail}"
    yield f"  it cost {_usd(record.miss_cost)} more than reading them"


def _cost_lines(record: Record) -> Iterator[str]:
    if record.status == "reused":
        saved = "nobody knows what" if record.savings is None else _usd(record.savings)
        yield f"cost nothing; saved {saved}, which the answer did cost when it was given"
        return
    if record.cost is None:
        yield "cost unknown"
    else:
        source = {"provider": "as the provider says", "card": "by the price list", "estimate": "estimated"}
        yield f"cost {_usd(record.cost)}, {source.get(record.cost_source or '', 'source unknown')}"
    if record.savings is not None:
        kind = "less" if record.savings >= 0 else "more"
        yield f"it cost {_usd(record.savings.copy_abs())} {kind} than without what ctxkit did{_causes(record)}"
    if record.predicted is not None:
        yield f"what was removed with it is expected to save {_usd(record.predicted)} over the rest of the conversation"


def _causes(record: Record) -> str:
    """Savings by cause, the largest first, where there are several."""
    if len(record.savings_by) < 2:
        return ""
    largest = sorted(record.savings_by.items(), key=lambda one: one[1].copy_abs(), reverse=True)
    return f": {', '.join(f'{cause} {_usd(saved)}' for cause, saved in largest)}"


def _attempt_lines(record: Record, attempts: Sequence[Record]) -> Iterator[str]:
    if len(attempts) < 2:
        return
    yield f"one of {len(attempts)} attempts of {record.operation}:"
    for one in attempts:
        code = "no answer" if one.http_status is None else f"HTTP {one.http_status}"
        here = " (this one)" if one.attempt == record.attempt else ""
        yield f"  {one.number}. {one.attempt}: {one.status}, {code}, {_moment(one.created)}{here}"


def record_dict(record: Record, attempts: Sequence[Record] = ()) -> dict[str, Json]:
    """The same for ``json.dumps``: money as decimal strings, what is unknown as ``None``."""
    miss, estimate = record.miss, record.estimate
    names = ("attempt", "operation", "number", "status", "http_status", "dialect", "platform", "model")
    more = ("response_model", "response_id", "feature", "scope", "thread", "stream", "tier", "finish", "cost_source")
    return {
        **{name: getattr(record, name) for name in (*names, *more)},
        "created": _moment(record.created),
        "labels": dict(record.labels),
        "notes": list(record.notes),
        "edits": {name: count for name, count in record.edits.items() if name in ("n", "tokens")},
        "tidied": tidied_dict(record.edits),
        "estimate": None if estimate is None else _estimate_dict(estimate),
        "forecast": dict(record.forecast) or None,
        "usage": _usage_dict(record.usage),
        "miss": None
        if record.miss_reason is None
        else {
            "reason": record.miss_reason,
            "tokens": record.miss_tokens,
            "cost": plain(record.miss_cost),
            "path": list(miss.path) if miss is not None else [],
            "detail": miss.detail if miss is not None else "",
            "source": miss.source if miss is not None else None,
        },
        "cost": plain(record.cost),
        "savings": plain(record.savings),
        "savings_by": {cause: plain(saved) for cause, saved in record.savings_by.items()},
        "predicted": plain(record.predicted),
        "drift": drift_dict(record.drift),
        "problems": list(record.problems),
        "attempts": [
            {"attempt": one.attempt, "number": one.number, "status": one.status, "http_status": one.http_status}
            for one in attempts
        ],
    }


def _estimate_dict(estimate: Estimate) -> dict[str, Json]:
    cost = estimate.cost
    return {
        "input_tokens": estimate.input_tokens,
        "input_low": estimate.input_low,
        "input_high": estimate.input_high,
        "method": estimate.method,
        "family": estimate.family,
        "cost": {"low": plain(cost.low), "expected": plain(cost.expected), "max": plain(cost.max)},
    }


def _usage_dict(usage: Usage | None) -> dict[str, Json] | None:
    if usage is None:
        return None
    return {
        "input_total": usage.input_total,
        "fresh": usage.fresh,
        "read": usage.read,
        "written": None if usage.written is None else dict(usage.written),
        "output": usage.output,
        "reasoning": usage.reasoning,
    }


def _writes(written: Mapping[str, int] | None) -> str:
    if not written:
        return "none written" if written is not None else "written unknown"
    return ", ".join(f"{_count(tokens)} written for {ttl}" for ttl, tokens in written.items())


def _count(tokens: int | None) -> str:
    return f"{tokens:,}" if isinstance(tokens, int) else "unknown"


def _moment(at: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

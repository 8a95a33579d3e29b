"""Between a record and a row: the flat JSON object that the journal and the database hold.

A row has plain numbers, short texts and small maps, nothing nested deeper, and leaves out what is unknown. Money is
integer pico-dollars (1e-12 USD), durations are seconds from the moment the request was sent, ``created`` is unix
time in seconds. No prompt text and no key ever stands in a row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ctxkit.cacheable import Miss
from ctxkit.drift import Drift, Superseded
from ctxkit.model import CostRange, Estimate, Json, Record, Timing, Usage
from ctxkit.money import pico_of, usd_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["COLUMNS", "MAPS", "record_of", "row_of"]

COLUMNS: Final = (
    *("attempt", "operation", "number", "status", "http_status", "created"),
    *("dialect", "platform", "model", "response_model", "feature", "labels", "scope", "thread"),
    *("fresh", "read", "written", "output", "reasoning", "media", "calls"),
    *("cost_pico", "cost_source", "card_cost_pico", "card"),
    *("est_input", "est_low", "est_high", "est_usage", "est_cost_low", "est_cost_expected", "est_cost_max"),
    *("est_method", "est_family", "ttft", "ttfc", "e2e", "tpot"),
    *("response_id", "finish", "tier", "stream", "edits", "problems"),
    *("forecast_read", "miss_reason", "miss_tokens", "miss_cost_pico", "savings_pico", "miss", "forecast", "notes"),
    *("savings_by", "predicted_pico"),
    *("drift_score", "drift_tokens", "drift_noise", "drift_fee_pico", "drift"),
    "reuse",
)
"""The columns of a row, in the order in which the database keeps them."""

MAPS: Final = frozenset(
    {
        *("labels", "written", "media", "calls", "est_usage", "edits", "problems", "miss", "forecast", "notes"),
        *("savings_by", "drift"),
    }
)
"""Columns whose value is a small JSON object or array."""

_LEXICAL: Final = "lexical"
_MOST_SUPERSEDED: Final = 20
_PLAIN: Final = (
    *("attempt", "operation", "number", "status", "http_status", "created", "dialect", "platform", "model"),
    *("response_model", "feature", "scope", "thread", "cost_source", "card", "response_id", "finish", "tier"),
    *("forecast_read", "miss_reason", "miss_tokens"),
)


def row_of(record: Record) -> dict[str, Json]:
    """The record as a flat row; what is unknown is left out.

    The four moments of ``timing`` become durations, so that nothing of a process's own clock is kept.
    """
    row: dict[str, Json] = {name: value for name in _PLAIN if (value := getattr(record, name)) is not None}
    if record.stream:
        row["stream"] = 1
    if record.labels:
        row["labels"] = dict(record.labels)
    if record.edits:
        row["edits"] = dict(record.edits)
    if record.problems:
        row["problems"] = list(record.problems)
    if record.notes:
        row["notes"] = list(record.notes)
    if record.forecast:
        row["forecast"] = dict(record.forecast)
    if record.miss is not None:
        row["miss"] = {"path": list(record.miss.path), "detail": record.miss.detail, "source": record.miss.source}
    if record.usage is not None:
        row.update(_usage_row(record.usage))
    row.update(_money_row(record))
    if record.estimate is not None:
        row.update(_estimate_row(record.estimate))
    if record.timing is not None and record.status == "reused":  # no duration of an answer of any provider
        row.update({} if record.timing.e2e is None else {"reuse": record.timing.e2e})
    elif record.timing is not None:
        row.update(_timing_row(record.timing, record.usage))
    if record.drift is not None:
        row.update(_drift_row(record.drift))
    return row


def _money_row(record: Record) -> dict[str, Json]:
    row: dict[str, Json] = {}
    if record.cost is not None:
        row["cost_pico"] = pico_of(record.cost)
    if record.card_cost is not None:
        row["card_cost_pico"] = pico_of(record.card_cost)
    if record.miss_cost is not None:
        row["miss_cost_pico"] = pico_of(record.miss_cost)
    if record.savings is not None:
        row["savings_pico"] = pico_of(record.savings)
    if record.savings_by:
        row["savings_by"] = {cause: pico_of(amount) for cause, amount in record.savings_by.items()}
    if record.predicted is not None:
        row["predicted_pico"] = pico_of(record.predicted)
    return row


def _usage_row(usage: Usage) -> dict[str, Json]:
    row: dict[str, Json] = {}
    if usage.fresh is not None:
        row["fresh"] = usage.fresh
    if usage.read is not None:
        row["read"] = usage.read
    if usage.written is not None:
        row["written"] = dict(usage.written)
    if usage.output is not None:
        row["output"] = usage.output
    if usage.reasoning is not None:
        row["reasoning"] = usage.reasoning
    if usage.media:
        row["media"] = dict(usage.media)
    if usage.calls:
        row["calls"] = dict(usage.calls)
    return row


def _estimate_row(estimate: Estimate) -> dict[str, Json]:
    cost = estimate.cost
    row: dict[str, Json] = {
        "est_input": estimate.input_tokens,
        "est_low": estimate.input_low,
        "est_high": estimate.input_high,
        "est_method": estimate.method,
        "est_family": estimate.family,
    }
    if usage := _usage_row(estimate.usage):
        row["est_usage"] = usage
    if cost.expected is not None:
        row["est_cost_expected"] = pico_of(cost.expected)
    if cost.low is not None:
        row["est_cost_low"] = pico_of(cost.low)
    if cost.max is not None:
        row["est_cost_max"] = pico_of(cost.max)
    return row


def _drift_row(drift: Drift) -> dict[str, Json]:
    told = {
        "repetition": round(drift.repetition, 4),
        "loop": round(drift.loop, 4),
        "goal": None if drift.goal is None else round(drift.goal, 4),
        "position": round(drift.position, 4),
        "superseded": [list(one) for one in drift.superseded[:_MOST_SUPERSEDED]],
        "by": None if drift.by == _LEXICAL else drift.by,
        "level": drift.level,
    }
    row: dict[str, Json] = {
        "drift_score": round(drift.score, 6),
        "drift_tokens": drift.tokens,
        "drift_noise": drift.noise,
        "drift": {name: value for name, value in told.items() if value or (name == "goal" and value is not None)},
    }
    if drift.fee is not None:
        row["drift_fee_pico"] = pico_of(drift.fee)
    return row


def _timing_row(timing: Timing, usage: Usage | None) -> dict[str, Json]:
    # Hidden reasoning passes before the first visible token: it would make each token look faster than it was.
    visible = None if usage is None or usage.output is None else usage.output - (usage.reasoning or 0)
    spans = {"ttft": timing.ttft, "ttfc": timing.ttfc, "e2e": timing.e2e, "tpot": timing.tpot(visible)}
    return {name: span for name, span in spans.items() if span is not None}


def record_of(row: Mapping[str, Json]) -> Record:
    """The record that a row was made of; moments count from the moment of sending, which becomes 0."""
    return Record(
        **{name: row.get(name) for name in _PLAIN},  # type: ignore[arg-type]
        labels=row.get("labels") or {},
        usage=_usage(row),
        cost=usd_of(row.get("cost_pico")),
        card_cost=usd_of(row.get("card_cost_pico")),
        estimate=_estimate(row),
        timing=_timing(row),
        stream=bool(row.get("stream")),
        edits=row.get("edits") or {},
        problems=tuple(row.get("problems") or ()),
        miss_cost=usd_of(row.get("miss_cost_pico")),
        savings=usd_of(row.get("savings_pico")),
        savings_by={
            cause: usd for cause, pico in (row.get("savings_by") or {}).items() if (usd := usd_of(pico)) is not None
        },
        predicted=usd_of(row.get("predicted_pico")),
        miss=_miss(row),
        forecast=row.get("forecast") or {},
        notes=tuple(row.get("notes") or ()),
        drift=_drift(row),
    )


def _drift(row: Mapping[str, Json]) -> Drift | None:
    if row.get("drift_score") is None:
        return None
    told = row.get("drift") or {}
    return Drift(
        score=row["drift_score"],
        tokens=row.get("drift_tokens") or 0,
        noise=row.get("drift_noise") or 0,
        fee=usd_of(row.get("drift_fee_pico")),
        repetition=told.get("repetition") or 0.0,
        loop=told.get("loop") or 0.0,
        goal=told.get("goal"),
        superseded=tuple(
            Superseded(*one) for one in told.get("superseded") or () if len(one) == len(Superseded._fields)
        ),
        position=told.get("position") or 0.0,
        by=told.get("by") or _LEXICAL,
        level=told.get("level"),
    )


def _miss(row: Mapping[str, Json]) -> Miss | None:
    found = row.get("miss")
    if found is None or row.get("miss_reason") is None:
        return None
    return Miss(
        row["miss_reason"],
        row.get("miss_tokens") or 0,
        tuple(found.get("path") or ()),
        found.get("detail") or "",
        found.get("source") or "settled",
    )


def _usage(row: Mapping[str, Json]) -> Usage | None:
    names = ("fresh", "read", "written", "output", "reasoning")
    if all(row.get(name) is None for name in names) and not row.get("media") and not row.get("calls"):
        return None
    buckets: dict[str, Any] = {name: row.get(name) for name in names}
    return Usage(**buckets, media=row.get("media") or {}, calls=row.get("calls") or {})


def _estimate(row: Mapping[str, Json]) -> Estimate | None:
    if row.get("est_input") is None:
        return None
    low, expected, most = (usd_of(row.get(f"est_cost_{name}")) for name in ("low", "expected", "max"))
    return Estimate(
        input_tokens=row["est_input"],
        input_low=row["est_low"],
        input_high=row["est_high"],
        usage=_usage(row.get("est_usage") or {}) or Usage(),
        cost=CostRange(low, expected, most),
        method=row.get("est_method") or "rough",
        family=row.get("est_family") or "",
    )


def _timing(row: Mapping[str, Json]) -> Timing | None:
    if (reuse := row.get("reuse")) is not None:
        return Timing(0.0, last=reuse)
    spans = [row.get(name) for name in ("ttfc", "ttft", "e2e")]
    return None if all(span is None for span in spans) else Timing(0.0, *spans)

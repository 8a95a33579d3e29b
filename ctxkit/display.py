"""Plans, records and the like as notebooks and rich consoles show them: what ``explain()`` says, as figures and tables.

No word of a prompt is shown, in no form: a notebook keeps what it shows. Showing never raises: what cannot be drawn is
told as text.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from ctxkit.explain import explain_record
from ctxkit.page import Column, Figure, Section, Table, fragment
from ctxkit.page.formats import format_of
from ctxkit.told import drift_lines, tidied_figures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from decimal import Decimal

    from ctxkit.drift import Drift
    from ctxkit.model import Edit, Plan, Record
    from ctxkit.page.values import Cell

__all__ = ["html_of", "panel_of", "plan_html", "record_html"]

_MOST_EDITS = 50


def html_of(make: Callable[[], Iterable[Section]], text: Callable[[], str], currency: str = "USD") -> str:
    """Sections for a notebook's cell; the text where they cannot be made."""
    try:
        return fragment(*make(), currency=currency)
    except Exception:  # noqa: BLE001 - who looks at something wants to see it, not why it cannot be drawn
        return f"<pre>{escape(_safely(text))}</pre>"


def panel_of(title: str, text: Callable[[], str]) -> Any:
    """A text in a frame, for a rich console; names in brackets are names in brackets."""
    from rich.panel import Panel
    from rich.text import Text

    return Panel(Text(_safely(text)), title=Text(title), title_align="left", expand=False)


def _safely(text: Callable[[], str]) -> str:
    try:
        return text()
    except Exception as error:  # noqa: BLE001 - see html_of
        return f"cannot be shown: {type(error).__name__}"


# ---- Plans -------------------------------------------------------------------------------------------------------------


def plan_html(plan: Plan) -> str:
    """Estimate, range of the cost, forecast, edits and notes of a plan."""
    return html_of(lambda: [_plan(plan)], plan.explain)


def _plan(plan: Plan) -> Section:
    if plan.unmetered:
        return Section("Plan", text=(plan.explain(),))
    tables = (_edits(plan), _misses(plan))
    return Section(
        f"Plan: {plan.model or 'unknown model'} on {plan.platform or 'unknown platform'}",
        text=tuple(_plan_text(plan)),
        figures=tuple(_plan_figures(plan)),
        tables=tuple(table for table in tables if table is not None),
    )


def _whose(one: Plan | Record) -> str:
    stream = ", streamed" if one.stream else ""
    feature = one.feature or "unattributed"
    return f"{one.dialect or 'not understood'}{stream}; feature {feature}; thread {one.thread or 'none'}"


def _plan_text(plan: Plan) -> Iterator[str]:
    yield _whose(plan)
    tidied = plan.tidied
    if tidied is not None and tidied.decision:
        yield tidied.decision
    if tidied is not None and tidied.pending:
        tokens = sum(one.tokens for one in tidied.pending)
        yield f"Pending: {len(tidied.pending):,} removals, about {tokens:,} tokens."
    yield from (line.strip().capitalize() for line in [*drift_lines(plan.drift)][1:])
    yield from plan.notes
    yield from (f"Header {name}: {value}" for name, value in plan.headers.items())
    if not plan.edits:
        yield "Sent byte for byte as it came."


def _plan_figures(plan: Plan) -> Iterator[Figure]:
    if (estimate := plan.estimate) is not None:
        note = f"95 %: {estimate.input_low:,} to {estimate.input_high:,}; {estimate.method}"
        yield Figure("Input tokens", estimate.input_tokens, "count", note)
        cost = estimate.cost
        priced = cost.expected if cost.expected is not None else cost.max
        between = f"{_usd(cost.low)} at least, {_usd(cost.max)} at most"
        yield Figure("Cost, expected", cost.expected, "usd", "no price for this model" if priced is None else between)
    if (forecast := plan.forecast) is not None:
        chance = forecast.hit_probability
        known = forecast.unsupported or (f"{chance:.0%} of such reads came so far" if chance is not None else "")
        yield Figure("Read from the cache", forecast.cached_tokens, "count", known.replace("%", " %"))
        if forecast.written:
            lives = ", ".join(f"{tokens:,} for {ttl}" for ttl, tokens in forecast.written.items())
            yield Figure("Written to it", sum(forecast.written.values()), "count", lives)
    yield from _drift_figures(plan.drift, "about ")


def _drift_figures(drift: Drift | None, about: str = "") -> Iterator[Figure]:
    """Where there is anything to say of it."""
    if drift is None or not (drift.noise or drift.score):
        return
    yield Figure("Drift", f"{drift.score:.2f}", "text", f"{drift.level}, of 1" if drift.level else "of 1")
    fee = "" if drift.fee is None else f", {about}{_usd(drift.fee)}"
    yield Figure("Noise", drift.noise_share, "share", f"{drift.noise:,} tokens of the conversation{fee}")


def _usd(amount: Decimal | None) -> str:
    return format_of("usd", "USD", (amount,))(amount) if amount is not None else "unknown"


def _edits(plan: Plan) -> Table | None:
    if not plan.edits:
        return None
    columns = (
        Column("By"),
        Column("Where"),
        Column("Why"),
        Column("Tokens before", "count"),
        Column("After", "count"),
        Column("Lossless"),
        Column("Expected to save", "saved", "over the rest of the thread; negative: it costs"),
    )
    rows = tuple(map(_edit, plan.edits[:_MOST_EDITS]))
    more = f"And {len(plan.edits) - _MOST_EDITS:,} more." if len(plan.edits) > _MOST_EDITS else ""
    return Table("Edits", columns, rows, note=more)


def _edit(edit: Edit) -> tuple[Cell, ...]:
    weighed = bool(edit.by)  # what is said to the cache takes no tokens away
    before, after = (edit.tokens_before, edit.tokens_after) if weighed else (None, None)
    where = ".".join(map(str, edit.path))
    lossless = "yes" if edit.lossless else "no"
    return (edit.by or "cache", where, edit.reason, before, after, lossless, edit.predicted_saving)


def _misses(plan: Plan) -> Table | None:
    if plan.forecast is None or not plan.forecast.misses:
        return None
    columns = (Column("Reason"), Column("Tokens", "count"), Column("What differs"))
    rows = tuple((miss.reason.replace("_", " "), miss.tokens, miss.detail) for miss in plan.forecast.misses)
    return Table("What will not be read from the cache", columns, rows)


# ---- Records -----------------------------------------------------------------------------------------------------------


def record_html(record: Record) -> str:
    """Status, cost, savings and buckets of a record."""
    return html_of(lambda: [_record(record)], lambda: explain_record(record))


def _record(record: Record) -> Section:
    code = "" if record.http_status is None else f", HTTP {record.http_status}"
    usage = None if record.status == "reused" else record.usage  # nobody reported the zeros
    lives = {} if usage is None else {f"written, {ttl}": tokens for ttl, tokens in (usage.written or {}).items()}
    named = {} if usage is None else {"fresh": usage.fresh, "read": usage.read, **lives, "output": usage.output}
    if usage is not None and usage.reasoning is not None:
        named["of it reasoning"] = usage.reasoning
    columns = (Column("Tokens"), Column("Count", "count"))
    tables = (Table("As reported", columns, tuple(named.items())),) if named else ()
    return Section(
        f"Record: {record.model or 'unknown model'} on {record.platform or 'unknown platform'}, {record.status}{code}",
        text=tuple(_record_text(record)),
        figures=tuple(_record_figures(record)),
        tables=tables,
    )


def _record_text(record: Record) -> Iterator[str]:
    yield f"{record.attempt}: {_whose(record)}"
    if record.miss_reason is not None:
        detail = f" {record.miss.detail}" if record.miss is not None and record.miss.detail else ""
        yield f"Missed {record.miss_tokens or 0:,} tokens, {record.miss_reason.replace('_', ' ')}.{detail}"
    yield from tidied_figures(record)
    yield from (line.strip().capitalize() for line in [*drift_lines(record.drift)][1:])
    yield from record.notes
    yield from (f"Problem: {problem}" for problem in record.problems)


def _record_figures(record: Record) -> Iterator[Figure]:
    source = {"provider": "as the provider says", "card": "by the price list", "estimate": "estimated"}
    reused = record.status == "reused"
    told = "nothing was sent" if reused else source.get(record.cost_source or "", "no price is known")
    yield Figure("Cost", record.cost, "usd", told)
    if record.savings is not None:
        by = ", ".join(record.savings_by) if len(record.savings_by) > 1 else ""
        yield Figure("Saved", record.savings, "saved", f"by {by}" if by else "")
    if record.miss_reason is not None:
        yield Figure("Cost of the miss", record.miss_cost, "usd", "more than reading would have cost")
    usage, timing = record.usage, record.timing
    if reused:
        if timing is not None:
            yield Figure("Handed over after", timing.e2e, "seconds")
        return
    if usage is not None:
        error = record.error_vs_estimate
        note = "" if error is None else f"estimated {abs(error):.1%} too {'much' if error >= 0 else 'little'}"
        yield Figure("Input tokens", usage.input_total, "count", note.replace("%", " %"))
    yield from _drift_figures(record.drift)
    if timing is not None:
        yield Figure("First token", timing.ttft, "seconds")
        yield Figure("Whole answer", timing.e2e, "seconds")

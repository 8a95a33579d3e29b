"""What tidying did with a request, told to a person: from the plan, or from the figures that the ledger keeps of it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ctxkit.editable import Pending, Tally, Tidied
    from ctxkit.model import Edit, Json, Plan, Record

__all__ = ["tidied_dict", "tidied_figures", "tidied_lines"]

_SHOWN = 3  # edits of a pass, and pending removals, that are told one by one
_REFS = 3


def tidied_lines(plan: Plan) -> Iterator[str]:
    """What was edited by each pass, why now, what is pending and what it waits for, and how to see what is not sent."""
    tidied = plan.tidied
    if tidied is None:
        return
    if tidied.passes:
        before, after = sum(one.tokens_before for one in tidied.passes), sum(one.tokens_after for one in tidied.passes)
        yield f"tidied: {_edits(sum(one.edits for one in tidied.passes))}, {before:,} tokens became {after:,}"
    for one in tidied.passes:
        yield f"  {_told(one)}"
        yield from _edit_lines([edit for edit in plan.edits if edit.by == one.by])
    if tidied.decision and (tidied.rewritten or not tidied.pending):  # else it is said of what is pending
        yield f"  {tidied.decision}"
    yield from _pending_lines(tidied)
    yield from _recall_lines(tidied, plan.thread)


def _told(one: Tally) -> str:
    saving = one.predicted_saving
    expected = "" if saving is None else f", expected to {'save' if saving >= 0 else 'cost'} ${abs(saving):.6f}"
    kind = "nothing lost" if one.lossless else "recoverable"
    return f"{one.by}: {_edits(one.edits)}, {one.tokens_before:,} tokens became {one.tokens_after:,}, {kind}{expected}"


def _edit_lines(edits: Sequence[Edit]) -> Iterator[str]:
    for edit in edits[:_SHOWN]:
        where = ".".join(map(str, edit.path))
        yield f"    {where}: {edit.reason} ({edit.tokens_before:,} tokens became {edit.tokens_after:,})"
    if len(edits) > _SHOWN:
        yield f"    and {len(edits) - _SHOWN:,} more"


def _pending_lines(tidied: Tidied) -> Iterator[str]:
    pending = tidied.pending
    if not pending:
        return
    yield f"pending: {_removals(len(pending))}, about {sum(one.tokens for one in pending):,} tokens"
    for by, ones in _by_pass(pending).items():
        waits = "; ".join(dict.fromkeys(one.waits_for for one in ones if one.waits_for))
        yield f"  {by}: {len(ones):,}, waits: {waits or 'for a moment at which it pays'}"
        for one in ones[:_SHOWN]:
            yield f"    {one.reason} ({one.tokens:,} tokens)"
        if len(ones) > _SHOWN:
            yield f"    and {len(ones) - _SHOWN:,} more"


def _by_pass(pending: Sequence[Pending]) -> dict[str, list[Pending]]:
    found: dict[str, list[Pending]] = {}
    for one in pending:
        found.setdefault(one.by, []).append(one)
    return found


def _recall_lines(tidied: Tidied, thread: str | None) -> Iterator[str]:
    refs = tidied.refs
    if refs and thread:
        more = f" and {len(refs) - _REFS:,} more" if len(refs) > _REFS else ""
        yield f'what was left out: kit.recall(ref, thread="{thread}") of {", ".join(refs[:_REFS])}{more}'


def _edits(count: int) -> str:
    return f"{count:,} edit{'' if count == 1 else 's'}"


def _removals(count: int) -> str:
    return f"{count:,} removal{'' if count == 1 else 's'}"


# ---- What the ledger keeps of it ---------------------------------------------------------------------------------------


def tidied_dict(edits: Mapping[str, int]) -> dict[str, Json]:
    """Figures of a record by pass, for ``json.dumps``.

    Returns:
        ``{"rewritten": bool, "passes": {"spent": {"n": 2, "before": 900, "after": 80}}, "pending": {"stale": {"n": 1,
        "tokens": 400}}}``.
    """
    passes: dict[str, dict[str, int]] = {}
    pending: dict[str, dict[str, int]] = {}
    for key, value in edits.items():
        kind, _, rest = key.partition(".")
        name, _, figure = rest.rpartition(".")
        if name and kind in ("by", "pending"):
            (passes if kind == "by" else pending).setdefault(name, {})[figure] = value
    return {"rewritten": bool(edits.get("rewritten")), "passes": passes, "pending": pending}


def tidied_figures(record: Record) -> Iterator[str]:
    """The same in lines, with what it saved."""
    found = tidied_dict(record.edits)
    for name, one in found["passes"].items():
        figures: Counter[str] = Counter(one)
        saved = record.savings_by.get(name)
        money = "" if saved is None else f"; it saved ${saved:.6f}" if saved >= 0 else f"; it cost ${-saved:.6f}"
        yield f"{name}: {_edits(figures['n'])}, {figures['before']:,} tokens became {figures['after']:,}{money}"
    for name, one in found["pending"].items():
        figures = Counter(one)
        yield f"pending, {name}: {_removals(figures['n'])}, about {figures['tokens']:,} tokens"
    if record.predicted is not None:
        kind = "save" if record.predicted >= 0 else "cost"
        yield f"what was removed with this request is expected to {kind} ${abs(record.predicted):.6f} over its thread"

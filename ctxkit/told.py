"""What tidying did with a request, and how far it drifted, told to a person: from the plan, or from the ledger's figures."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from decimal import Decimal

    from ctxkit.drift import Drift, Superseded
    from ctxkit.editable import Pending, Tally, Tidied
    from ctxkit.model import Edit, Json, Plan, Record

__all__ = ["drift_dict", "drift_lines", "tidied_dict", "tidied_figures", "tidied_lines"]

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
    expected = "" if saving is None else f", expected to {'save' if saving >= 0 else 'cost'} ${saving.copy_abs():.6f}"
    kind = "nothing lost" if one.lossless else "something left out"
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
        money = "" if saved is None else f"; it {'saved' if saved >= 0 else 'cost'} ${saved.copy_abs():.6f}"
        yield f"{name}: {_edits(figures['n'])}, {figures['before']:,} tokens became {figures['after']:,}{money}"
    for name, one in found["pending"].items():
        figures = Counter(one)
        yield f"pending, {name}: {_removals(figures['n'])}, about {figures['tokens']:,} tokens"
    if record.predicted is not None:
        kind = "save" if record.predicted >= 0 else "cost"
        yield f"what was removed with this request is expected to {kind} ${record.predicted.copy_abs():.6f} over its thread"


# ---- How far it drifted ------------------------------------------------------------------------------------------------

_MUCH = 0.1  # share of noise, repetition or position risk from which on it is worth a word
_LITTLE = 0.5  # of a goal that is kept


def drift_lines(drift: Drift | None, *, cost: str = "costs about", always: bool = False) -> Iterator[str]:
    """Score and level, noise and its fee, and what else is worth a word; nothing of a calm conversation without noise.

    Args:
        drift: ``None``: it was not measured.
        cost: how the fee is introduced.
        always: say one line at least.
    """
    if drift is None:
        return
    found = list(_findings(drift))
    if not (always or found or drift.noise_share >= _MUCH or drift.level not in (None, "calm")):
        return
    fee = "" if drift.fee is None or not drift.noise else f", which {cost} {_dollars(drift.fee)} in this request"
    noise = (
        f"; about {drift.noise:,} of {drift.tokens:,} tokens of the conversation ({_percent(drift.noise_share)}) are noise"
        if drift.noise
        else "; no noise"
    )
    yield f"drift {drift.score:.2f} of 1{f', {drift.level}' if drift.level else ''}{noise}{fee}"
    yield from (f"  {one}" for one in found)


def _findings(drift: Drift) -> Iterator[str]:
    if drift.stuck:
        yield f"the model seems stuck: it does the same again, and nothing new comes of it (sure to {_percent(drift.loop)})"
    if drift.repetition >= _MUCH:
        yield f"{_percent(drift.repetition)} of it stands there more than once"
    if drift.goal is not None and drift.goal < _LITTLE:
        yield f"what is done now is little like what was asked for ({_percent(drift.goal)} of what it was at first)"
    yield from map(_taken_back, drift.superseded[:_SHOWN])
    if len(drift.superseded) > _SHOWN:
        yield f"and {len(drift.superseded) - _SHOWN:,} more such"
    if drift.position >= _MUCH:
        yield f"{_percent(drift.position)} of what matters stands in the middle of a very long prompt, where models overlook it"


def _taken_back(one: Superseded) -> str:
    if one.kind == "contradicted":
        return f"what the user wants in message {one.message} and in message {one.by} contradict each other"
    return f"what the user wanted in message {one.message} was taken back in message {one.by}, and still stands there"


def _percent(share: float) -> str:
    return "less than 1 %" if 0 < share < 0.005 else f"{share:.0%}".replace("%", " %")


def _dollars(amount: Decimal) -> str:
    return f"${amount:.6f}"


def drift_dict(drift: Drift | None) -> dict[str, Json] | None:
    """All figures of a drift for ``json.dumps``; money as a decimal string."""
    if drift is None:
        return None
    return {
        "score": round(drift.score, 6),
        "level": drift.level,
        "tokens": drift.tokens,
        "noise_tokens": drift.noise,
        "noise_share": round(drift.noise_share, 6),
        "noise_fee": None if drift.fee is None else f"{drift.fee:f}",
        "repetition": round(drift.repetition, 6),
        "loop": round(drift.loop, 6),
        "goal": None if drift.goal is None else round(drift.goal, 6),
        "superseded": [one._asdict() for one in drift.superseded],
        "position": round(drift.position, 6),
        "by": drift.by,
    }

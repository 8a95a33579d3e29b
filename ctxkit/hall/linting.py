"""Lint: requests as the checks of the caching room want to see them. A part of the hall."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxkit import dialects
from ctxkit.caching.forecast import Foreseen
from ctxkit.caching.layout import Layout
from ctxkit.caching.lint.checking import RULES, check
from ctxkit.caching.lint.finding import Seen, where
from ctxkit.caching.lint.volatile import first_difference, spelled
from ctxkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from ctxkit.caching.lint.finding import Finding
    from ctxkit.model import Plan

__all__ = ["first_change", "lint"]

_AROUND = 30  # characters shown on both sides of a difference


def lint(
    plans: Iterable[tuple[Plan, str]],
    rates: Callable[[Plan], Mapping[str, int] | None],
    ignore: Collection[str] = (),
) -> tuple[Finding, ...]:
    """What will break or miss the cache.

    Args:
        plans: plans in the order of their requests, each with the place where it stands.
        rates: pico-dollars per token by bucket for a plan.
        ignore: ids of checks that are not wanted.

    Raises:
        ConfigurationError: no check has such an id.
    """
    unknown = sorted({*ignore} - {*RULES})
    if unknown:
        raise ConfigurationError(f"no check is called {', '.join(unknown)}; there are: {', '.join(RULES)}")
    seen = (_seen(plan, rates, source) for plan, source in plans)
    return tuple(check((one for one in seen if one is not None), ignore))


def _seen(plan: Plan, rates: Callable[[Plan], Mapping[str, int] | None], source: str) -> Seen | None:
    """A planned request for the checks; ``None`` for one whose cache nobody can see."""
    foreseen: Any = plan.layout() if callable(plan.layout) else plan.layout  # a short request's is made when asked for
    layout, rule = (foreseen.layout, foreseen.rule) if isinstance(foreseen, Foreseen) else (foreseen, None)
    wire, dialect = dialects.caches(plan.dialect), dialects.get(plan.dialect)
    if wire is None or dialect is None or not isinstance(layout, Layout):
        return None
    messages = dialect.view(plan.body).messages
    blocks = [block for message in messages for block in wire.blocks(message) if block.kind != "marker"]
    return Seen(layout, blocks, rule, rates(plan), source)


def first_change(before: Plan, after: Plan) -> str | None:
    """Where ``after`` stops going on from ``before``, for people; ``None``: it goes on."""
    mine, theirs = _seen(after, _no_rates, ""), _seen(before, _no_rates, "")
    if mine is None or theirs is None:
        return "it is of a wire format whose cache nobody can see"
    if mine.layout.space != theirs.layout.space:
        return f"another model or platform ({theirs.layout.space.model}, then {mine.layout.space.model})"
    index = first_difference(mine, theirs)
    if index is None:
        if len(mine.blocks) < len(theirs.blocks):
            return f"it ends after {len(mine.blocks)} of {len(theirs.blocks)} blocks"
        return None if mine.layout.keys == theirs.layout.keys else _parameters(mine, theirs)
    old, new = theirs.blocks[index], mine.blocks[index]
    return f"{where(new.path)} differs: {_difference(spelled(old.value), spelled(new.value))}"


def _parameters(mine: Seen, theirs: Seen) -> str:
    given = [
        {name: value for tier in seen.layout.ask.parameters.values() for name, value in tier.items()}
        for seen in (theirs, mine)
    ]
    changed = sorted(name for name in {*given[0], *given[1]} if given[0].get(name) != given[1].get(name))
    return f"parameters that belong to the prefix changed: {', '.join(changed) or 'the key that separates entries'}"


def _difference(old: str, new: str) -> str:
    """The first place where two texts part, with a little of both."""
    at = next(
        (i for i, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), min(len(old), len(new))
    )
    start = max(at - _AROUND, 0)
    return (
        f"{len(old):,} characters, then {len(new):,}; from character {at:,} on "
        f"{old[start : at + _AROUND]!r} became {new[start : at + _AROUND]!r}"
    )


def _no_rates(_: Plan) -> None:
    return None

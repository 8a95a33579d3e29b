"""Lint: requests as the checks of the caching room want to see them. A part of the hall."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxkit import dialects
from ctxkit.caching.forecast import Foreseen
from ctxkit.caching.layout import Layout
from ctxkit.caching.lint.checking import RULES, check
from ctxkit.caching.lint.finding import Seen
from ctxkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from ctxkit.caching.lint.finding import Finding
    from ctxkit.model import Plan

__all__ = ["lint"]


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
    foreseen: Any = plan.layout
    layout, rule = (foreseen.layout, foreseen.rule) if isinstance(foreseen, Foreseen) else (foreseen, None)
    wire, dialect = dialects.caches(plan.dialect), dialects.get(plan.dialect)
    if wire is None or dialect is None or not isinstance(layout, Layout):
        return None
    messages = dialect.view(plan.body).messages
    blocks = [block for message in messages for block in wire.blocks(message) if block.kind != "marker"]
    return Seen(layout, blocks, rule, rates(plan), source)

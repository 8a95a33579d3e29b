"""What is not as it was in an earlier request: the first thing, in the order in which a cache reads the prompt.

Told by names, counts, lengths and keyed hashes, never by text.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.cacheable import TIERS
from ctxkit.caching.footprints import WIDTH, first_difference

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ctxkit.cacheable import MissReason
    from ctxkit.caching.footprints import Footprint, Tool
    from ctxkit.caching.layout import Layout
    from ctxkit.model import Path

__all__ = ["Change", "change_of"]

_NAMED = 5  # tools and parameters told by name
_LONGEST = 64


class Change(NamedTuple):
    """A difference.

    Attributes:
        at: index of the first position that is lost by it.
        reason: what to call it.
        detail: for people.
        path: of the first part that differs, where one does.
    """

    at: int
    reason: MissReason
    detail: str
    path: Path = ()


def change_of(layout: Layout, now: Footprint, before: Footprint, reach: int) -> Change | None:
    """The difference that loses most; ``None``: none up to the position ``reach`` of the earlier request.

    Args:
        layout: the request.
        now: its footprint.
        before: the earlier request.
        reach: its last position that was cached.
    """
    found = [change for change in _changes(layout, now, before) if change.at <= reach]
    return min(found, key=lambda change: change.at, default=None)  # of equals, the first


def _changes(layout: Layout, now: Footprint, before: Footprint) -> Iterator[Change]:
    yield from _elsewhere(now, before)
    yield from _parameters(layout, now, before)
    index, exact = first_difference(layout, before)
    if index >= min(len(layout.positions), before.length) or _branched(layout, now, before, index):
        return
    position = layout.positions[index]
    if position.tier == "tools" or (_other_tools(now, before) and index <= before.tool_count):
        yield Change(index, "tools_changed", _tools(now, before), position.path if position.tier == "tools" else ())
    else:
        yield Change(index, "prefix_changed", _part(layout, before, index, exact=exact), position.path)


def _elsewhere(now: Footprint, before: Footprint) -> Iterator[Change]:
    here, there = now.space, before.space
    if here.platform != there.platform:
        yield Change(0, "scope_changed", f"the platform: {_clean(there.platform)}, now {_clean(here.platform)}")
    if here.scope != there.scope:
        yield Change(0, "scope_changed", "the scope: another organisation, workspace or tenant")
    if here.region != there.region:
        yield Change(0, "scope_changed", f"the region: {_clean(there.region)}, now {_clean(here.region)}")
    if here.model != there.model:
        yield Change(0, "model_changed", f"the model: {_clean(there.model)}, now {_clean(here.model)}")


def _parameters(layout: Layout, now: Footprint, before: Footprint) -> Iterator[Change]:
    for tier in TIERS:
        ones, others = (
            {name: one.digest for name, one in sides.parameters.items() if one.tier == tier} for sides in (now, before)
        )
        changed = sorted(name for name in ones.keys() | others.keys() if ones.get(name) != others.get(name))
        if changed:
            detail = f"{'parameters' if len(changed) > 1 else 'parameter'} {_listed(changed)}"
            yield Change(_start(layout, tier), "parameters_changed", detail, (changed[0],))


def _start(layout: Layout, tier: str) -> int:
    """Index of the first position of a tier; a change of what holds for a tier loses all from there on."""
    later = TIERS[TIERS.index(tier) :]
    return next((index for index, one in enumerate(layout.positions) if one.tier in later), len(layout.positions))


def _other_tools(now: Footprint, before: Footprint) -> bool:
    return (now.tools, now.tool_count) != (before.tools, before.tool_count)


def _branched(layout: Layout, now: Footprint, before: Footprint, index: int) -> bool:
    """The last message was put in another way, or another one went out from the same place: nothing was lost there."""
    ends = len(now.own) <= len(before.own) and index > before.opening
    return ends and layout.positions[index].message >= layout.positions[-1].message and not _middle(before, index)


def _middle(before: Footprint, index: int) -> bool:
    """More than a message's worth of the earlier request follows."""
    return before.length - index > max(before.length // 4, 8)


def _part(layout: Layout, before: Footprint, index: int, *, exact: bool) -> str:
    position = layout.positions[index]
    above = layout.positions[index - 1].tokens if index else 0.0
    size = f"about {max(round(position.tokens - above), 0):,} tokens"
    if not exact or before.slot(index) < 0:
        return f"here or in a later part, {_kind(position.role, position.kind)}, {size}"
    old, new = before.link(index).hex(), position.link[:WIDTH].hex()
    start, end = before.tokens(index - 1), before.tokens(index)
    was = f" instead of {end - start:,}" if start is not None and end is not None else ""
    return f"{_kind(position.role, position.kind)}, {size}{was} (hash {new}, was {old})"


def _kind(role: str, kind: str) -> str:
    return f"{role} {kind}" if role not in (kind, "tools", "tool") else kind


# ---- Tools -------------------------------------------------------------------------------------------------------------


def _tools(now: Footprint, before: Footprint) -> str:
    """Added, removed, reordered, written in another way, or defined in another way."""
    ones, others = now.tools, before.tools
    counts = f"{before.tool_count:,} tools before, {now.tool_count:,} now"
    told = list(_moved(ones, others))
    return f"{'; '.join(told) or 'their definitions'} ({counts})"


def _moved(ones: Sequence[Tool], others: Sequence[Tool]) -> Iterator[str]:
    new, old = Counter(one.name for one in ones), Counter(one.name for one in others)
    added, removed = list((new - old).elements()), list((old - new).elements())
    if added:
        yield f"{len(added):,} added: {_listed(added)}"
    if removed:
        yield f"{len(removed):,} removed: {_listed(removed)}"
    was = {one.name: one for one in others}
    differ = [one for one in ones if one.name in was and one.digest != was[one.name].digest]
    rewritten = [one.name for one in differ if one.canonical == was[one.name].canonical]
    redefined = [one.name for one in differ if one.canonical != was[one.name].canonical]
    if redefined:
        yield f"{len(redefined):,} defined in another way: {_listed(redefined)}"
    if rewritten:
        yield f"{len(rewritten):,} re-serialised, keys in another order: {_listed(rewritten)}"
    both = new & old
    if [one.name for one in ones if one.name in both] != [one.name for one in others if one.name in both]:
        yield "reordered"


def _listed(names: Sequence[str]) -> str:
    told = ", ".join(_clean(name) for name in names[:_NAMED])
    return f"{told} and {len(names) - _NAMED:,} more" if len(names) > _NAMED else told


def _clean(name: str) -> str:
    """Names come from users of users: nothing of them moves a cursor or breaks a line."""
    short = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    plain = short if short.isprintable() else short.encode("unicode_escape").decode()
    return plain[: 2 * _LONGEST] or "(none)"

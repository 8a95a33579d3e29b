"""After the answer: what the provider reported is the truth about its cache, and the entries believed in follow it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.caching.forecast import EXACT, FIRST, NEWEST
from ctxkit.caching.simulator.breakpoints import names
from ctxkit.caching.simulator.entries import Entry

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from ctxkit.caching.forecast import Foreseen
    from ctxkit.caching.layout import Position
    from ctxkit.caching.rules.rule import Rule
    from ctxkit.model import Usage

__all__ = ["Reconciled", "reconciled"]


class Reconciled(NamedTuple):
    """What to believe after an answer.

    Attributes:
        entries: to believe in from now on, by name.
        gone: names of those that turned out to be gone.
        telling: names that other processes should hear of: by these they find the rest of a conversation, or what
            conversations share.
    """

    entries: Mapping[bytes, Entry] = {}
    gone: Sequence[bytes] = ()
    telling: Collection[bytes] = ()


def reconciled(foreseen: Foreseen, usage: Usage, began: float) -> Reconciled:
    """What to believe now.

    Args:
        foreseen: the forecast that was made.
        usage: what the provider reported; what it did not report teaches nothing.
        began: when the request began, in unix seconds: lives are counted from there.
    """
    total, match = usage.input_total, foreseen.rule.match
    if total is None or usage.read is None or total <= 0 or usage.read > total:
        return Reconciled()
    gone = tuple(_gone(foreseen, usage.read))
    if match == "handle":
        return Reconciled(gone=gone)
    name = names(foreseen.rule, foreseen.layout)
    found = dict((_marked if match in EXACT else _passed)(foreseen, usage, began))
    named = {index: name(index) for index in found}
    heard = found if match in EXACT else _telling(foreseen.layout.positions)
    return Reconciled(
        {named[index]: entry for index, entry in found.items()},
        gone,
        {named[index] for index in heard if index in found},
    )


def _telling(positions: Sequence[Position]) -> Collection[int]:
    """The end of what stands before the conversation, of its first message, and of its last two."""
    opening = next((at for at, position in enumerate(positions) if position.tier == "messages"), len(positions))
    last = len(positions) - 1
    return {opening - 1, opening, last - 1, last}


def _gone(foreseen: Foreseen, read: int) -> Iterator[bytes]:
    """What was to be read and was not."""
    matched = foreseen.matched
    best_effort = foreseen.rule.match not in EXACT
    if matched.read >= 0 and (read == 0 if best_effort else read < matched.least):
        yield names(foreseen.rule, foreseen.layout)(matched.read)


def _marked(foreseen: Foreseen, usage: Usage, began: float) -> Iterator[tuple[int, Entry]]:
    """At markers: the last one that took effect ends what was read and written together."""
    rule, layout, matched = foreseen.rule, foreseen.layout, foreseen.matched
    read = usage.read or 0
    cached = read + usage.written_total
    if not cached:
        return
    if matched.entry is not None and read == round(matched.entry.tokens):
        ttl = matched.asked if rule.refresh_asked else matched.entry.ttl
        end = _end(rule, ttl, began) if rule.refresh else matched.entry.expires
        yield matched.read, matched.entry._replace(used=began, expires=max(end, matched.entry.expires))
    last = layout.positions[matched.writes[-1].at].tokens if matched.writes else 0.0
    for index, ttl in matched.writes:
        estimated = layout.positions[index].tokens
        # Where the provider ran tools, it read and wrote several times, and the sums are no length of any prefix.
        tokens = estimated if usage.calls or not last else cached * estimated / last
        yield index, Entry(tokens, ttl, began, _end(rule, ttl, began), began, seen=True)


def _passed(foreseen: Foreseen, usage: Usage, began: float) -> Iterator[tuple[int, Entry]]:
    """Anywhere: the whole prompt is in the cache now, and each position by its share of what was reported."""
    rule, layout = foreseen.rule, foreseen.layout
    positions, total = layout.positions, usage.input_total or 0
    scale = total / layout.total if layout.total else 1.0
    end = _end(rule, rule.ttl, began)
    read, least = usage.read or 0, rule.minimum or 0
    answer = float((usage.output or 0) - (usage.reasoning or 0))
    for index in _news(foreseen):
        last = index == len(positions) - 1
        whole = rule.match != "units" or last or index == foreseen.matched.noticed
        tokens = float(total) if last else positions[index].tokens * scale
        if tokens < least:
            continue  # too short to be cached
        entry = Entry(tokens, rule.ttl, began, end, began, 0.0, whole, seen=read > 0 or usage.written_total > 0)
        yield index, entry._replace(answer=answer, again=read) if last else entry


def _news(foreseen: Foreseen) -> Iterator[int]:
    """Positions behind what was read, and the end of that itself: its life begins anew."""
    count, read = len(foreseen.layout.positions), max(foreseen.matched.read, 0)
    for index in range(read, count):
        if index < read + FIRST or index >= count - NEWEST:
            yield index


def _end(rule: Rule, ttl: str, began: float) -> float:
    life = rule.seconds(ttl)
    return math.inf if life is None else began + life

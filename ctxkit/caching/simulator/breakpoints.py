"""Where a request ends cached prefixes: its markers, the top-level one, endings of messages; and what is refused."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from operator import attrgetter
from typing import TYPE_CHECKING

from ctxkit.caching.prefixes import DIGEST_SIZE
from ctxkit.caching.simulator.entries import Refusal, Write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ctxkit.caching.layout import Layout
    from ctxkit.caching.rules.rule import Rule

__all__ = ["breakpoints", "endings", "life_asked", "names", "opening", "refusal"]

_DEVELOPER = frozenset({"system", "developer"})
_KIND = attrgetter("kind")


def life_asked(rule: Rule, layout: Layout, mark: str = "") -> str:
    """The time to live of an entry: the marker's, else the request's, else (or for a foreign one) the default."""
    ask = layout.ask
    asked = mark or ask.ttl or (ask.retention or "").replace("-", "_")
    return asked if asked in rule.lives else rule.ttl


def breakpoints(rule: Rule, layout: Layout) -> list[Write]:
    """Positions at which the request ends a prefix by a marker, ascending, the top-level marker among them."""
    marks = dict(layout.marks)
    if layout.ask.automatic is not None:
        last = _last_markable(layout)
        if last >= 0:
            marks.setdefault(last, layout.ask.automatic)
    found = [Write(index, life_asked(rule, layout, marks[index])) for index in sorted(marks)]
    if rule.match == "marks" and rule.excess == "latest" and rule.slots:
        return found[-rule.slots :]
    return found


def _last_markable(layout: Layout) -> int:
    """A top-level marker silently walks backward to a block that may carry one."""
    positions = layout.positions
    return next((index for index in reversed(range(len(positions))) if positions[index].markable), -1)


def endings(layout: Layout) -> Iterator[int]:
    """Positions of eligible message endings, latest first.

    Those are user messages, the last of consecutive tool results, and the last of the developer messages that the
    conversation opens with; later developer messages and answers are none (developers.openai.com: prompt caching,
    2026-10-02).
    """
    positions = layout.positions
    first = opening(layout)
    for index in reversed(range(first + 1, len(positions))):
        position = positions[index]
        if not position.ends:
            continue
        follows = positions[index + 1].role if index + 1 < len(positions) else ""
        if position.role == "user" or (position.role == "tool" and follows != "tool"):
            yield index
    if first >= 0:
        yield first


def opening(layout: Layout) -> int:
    """The end of the developer messages that a conversation opens with; -1: there are none."""
    last = -1
    for index, position in enumerate(layout.positions):
        if position.role in _DEVELOPER:
            last = index
        elif position.tier != "tools":
            break
    return last


def names(rule: Rule, layout: Layout) -> Callable[[int], bytes]:
    """The name of the entry that would end at a position, as this provider sees the prompt.

    Where a new turn of the user (tool results are none) takes earlier thinking out of the prompt, a prefix that has lost
    some is another prefix.
    """
    positions = layout.positions
    if rule.strips_thinking is False or "reasoning" not in map(_KIND, positions):
        return layout.entry
    turn = next((index for index in reversed(range(len(positions))) if positions[index].role == "user"), -1)
    lost = [index for index in range(turn) if positions[index].kind == "reasoning"]

    def name(index: int) -> bytes:
        # What stands up to here is known by the entry; which of it was lost, by the last thinking before the turn.
        entry, before = layout.entry(index), bisect_right(lost, index)
        return hashlib.sha256(entry + lost[before - 1].to_bytes(4, "big")).digest()[:DIGEST_SIZE] if before else entry

    return name


def refusal(rule: Rule | None, layout: Layout) -> Refusal | None:
    """Why the provider would refuse the markers of this request; ``None``: it serves it."""
    if layout.marks and layout.space.platform == "bedrock" and (rule is None or rule.marker is None):
        return Refusal(400, "ValidationException", "This model doesn't support the cachePoint field.")
    if rule is None or rule.match not in ("marks", "endings"):
        return None
    checks = (_unmarkable, _top_level, _too_many, _conflicting, _unknown_life, _out_of_order)
    found = next((text for check in checks if (text := check(rule, layout))), None)
    kind = "ValidationException" if layout.space.platform == "bedrock" else "invalid_request_error"
    return Refusal(400, kind, found) if found else None


def _unmarkable(rule: Rule, layout: Layout) -> str | None:
    if "/" in rule.id:  # a gateway puts markers where its upstream takes them
        return None
    for index in layout.marks:
        position = layout.positions[index]
        if not position.markable:
            return f"{_where(position.path)}: {rule.marker} cannot be set on this block"
    return None


def _top_level(rule: Rule, layout: Layout) -> str | None:
    if rule.top_level is False and layout.ask.automatic is not None:
        return f"{rule.marker}: Extra inputs are not permitted"
    return None


def _too_many(rule: Rule, layout: Layout) -> str | None:
    count = len(layout.marks) + (layout.ask.automatic is not None)
    if rule.match != "marks" or rule.excess == "latest" or rule.slots is None or count <= rule.slots:
        return None
    return f"A maximum of {rule.slots} blocks with {rule.marker} may be provided. Found {count}."


def _conflicting(rule: Rule, layout: Layout) -> str | None:
    """A top-level marker and one on the last block must ask for the same time to live."""
    automatic = layout.ask.automatic
    last = _last_markable(layout) if automatic is not None else -1
    if automatic is None or last not in layout.marks:
        return None
    if (automatic or rule.ttl) == (layout.marks[last] or rule.ttl):
        return None
    return f"{rule.marker}.ttl: differs from that of the marker on the last block"


def _unknown_life(rule: Rule, layout: Layout) -> str | None:
    if "/" in rule.id:  # a gateway drops what its upstream does not know
        return None
    asked = [*layout.marks.values(), layout.ask.automatic or "", layout.ask.ttl or ""]
    wrong = next((ttl for ttl in asked if ttl and ttl not in rule.lives), None)
    return f"{rule.marker}.ttl: Input should be {' or '.join(map(repr, rule.lives))}" if wrong else None


def _out_of_order(rule: Rule, layout: Layout) -> str | None:
    """A longer time to live must stand before a shorter one."""
    if not rule.longer_first:
        return None
    least = ""
    for index, ttl in breakpoints(rule, layout):
        if least and rule.lives[ttl] > rule.lives[least]:
            return (
                f"{_where(layout.positions[index].path)}.{rule.marker}.ttl: a ttl='{ttl}' {rule.marker} block must not "
                f"come after a ttl='{least}' {rule.marker} block. Note that blocks are processed in the following "
                "order: `tools`, `system`, `messages`."
            )
        least = ttl
    return None


def _where(path: tuple[str | int, ...]) -> str:
    return ".".join(map(str, path))

"""Cache markers that cannot pay, and parameters and orders that part what could be shared."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ctxkit.caching.lint.finding import Finding, Seen, broken, instructs, where
from ctxkit.caching.lint.volatile import first_difference, same_talk, volatile_text
from ctxkit.caching.simulator.breakpoints import breakpoints, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["changed_parameters", "far_apart", "personal_first", "refused", "too_short", "unmarked", "volatile_marker"]

_PERSON = re.compile(
    r"(?<![\w.+-])[\w.+-]++@[\w-]+\.[\w.]+|\b(?:user|customer|tenant|account)[ _-]?(?:name|id)\b\s*(?:is|[:=])",
    re.IGNORECASE,
)
_SHARED = 500  # tokens that are worth being shared


def too_short(seen: Seen, _: Seen | None) -> Iterator[Finding]:
    """A marker on a prefix below the provider's minimum: silently nothing is cached."""
    rule = seen.rule
    if rule is None or rule.match != "marks" or not rule.minimum:
        return
    for index, _ttl in breakpoints(rule, seen.layout):
        position = seen.layout.positions[index]
        # An estimate near the minimum may be on either side of it: only what is clearly below is told.
        if position.tokens < 0.9 * rule.minimum:
            yield Finding(
                "marker-below-minimum",
                seen.source,
                position.path,
                f"the marker at {where(position.path)} stands after about {round(position.tokens):,} tokens; "
                f"{seen.layout.space.model} caches nothing below {rule.minimum:,}",
                "Leave it out, or put it further down, behind more that is shared.",
            )


def volatile_marker(seen: Seen, _: Seen | None) -> Iterator[Finding]:
    """A marker on a block that is another one next time writes every time and is never read."""
    if seen.rule is None:
        return
    for index, _ttl in sorted(seen.layout.marks.items()):
        block = seen.blocks[index]
        found = volatile_text(block.value) if isinstance(block.value, str) else None
        if found is not None and instructs(block):
            yield Finding(
                "marker-on-volatile",
                seen.source,
                block.path,
                f"the marker at {where(block.path)} ends a prefix that holds {found[0]} ({found[1]:.60})",
                "Put the marker on the last block that stays the same.",
                tokens=round(seen.layout.positions[index].tokens),
            )


def far_apart(seen: Seen, before: Seen | None) -> Iterator[Finding]:
    """More blocks since the last marker of the request before than the provider looks back."""
    rule = seen.rule
    if before is None or rule is None or rule.match != "marks" or rule.lookback is None:
        return
    common = first_difference(seen, before)
    limit = len(before.layout.positions) if common is None else common
    written = [index for index, _ in breakpoints(rule, before.layout) if index < limit]
    marks = [index for index, _ in breakpoints(rule, seen.layout)]
    after = [index for index in marks if written and index >= written[-1]]
    if after and min(after) - written[-1] >= rule.lookback:
        index = min(after)
        yield Finding(
            "lookback-exceeded",
            seen.source,
            seen.blocks[index].path,
            f"{index - written[-1]} blocks lie between this marker and the last one that was written; "
            f"{rule.lookback} are looked at",
            "Keep the earlier marker, or set one in between, about every 15 blocks.",
            certain=True,
            tokens=round(seen.layout.positions[written[-1]].tokens),
        )


def unmarked(seen: Seen, before: Seen | None) -> Iterator[Finding]:
    """A conversation that goes on without any marker, where the provider caches nothing unasked."""
    rule = seen.rule
    if before is None or rule is None or rule.match != "marks" or rule.automatic or breakpoints(rule, seen.layout):
        return
    common = first_difference(seen, before)
    shared = before.layout.positions[-1 if common is None else common - 1].tokens if common != 0 else 0.0
    if shared >= (rule.minimum or _SHARED):
        yield Finding(
            "not-marked",
            seen.source,
            (),
            f"{round(shared):,} tokens were sent in the request before, too, and nothing asks for a cache",
            f"Set {rule.marker} on the last block (policy: mode = 'cache' does it where it pays).",
            certain=True,
            tokens=round(shared),
        )


def refused(seen: Seen, _: Seen | None) -> Iterator[Finding]:
    """Markers that the provider answers with an error."""
    error = refusal(seen.rule, seen.layout)
    if error is not None:
        yield Finding(
            "marker-refused",
            seen.source,
            (),
            f"the provider refuses this request ({error.status}): {error.message}",
            "See docs/reference/providers for what may be marked.",
            certain=True,
        )


def changed_parameters(seen: Seen, before: Seen | None) -> Iterator[Finding]:
    """Parameters that belong to the identity of a prefix, changed between two turns."""
    if before is None or first_difference(seen, before) == 0 or not same_talk(seen, before):
        return
    mine, theirs = seen.layout.ask.parameters, before.layout.ask.parameters
    changed = sorted(
        name
        for tier in ("tools", "system", "messages")
        for name in {*mine.get(tier, {}), *theirs.get(tier, {})}
        if mine.get(tier, {}).get(name) != theirs.get(tier, {}).get(name)
    )
    if changed and seen.layout.keys["messages"] != before.layout.keys["messages"]:
        yield Finding(
            "parameters-changed",
            seen.source,
            (changed[0],),
            f"{', '.join(changed)} changed since the request before: the conversation is another prefix now",
            "Keep parameters for the length of a conversation; say what changes in a message instead.",
            certain=True,
            tokens=broken(seen, 0),
        )


def personal_first(seen: Seen, before: Seen | None) -> Iterator[Finding]:
    """What is about one person stands before instructions that all could share."""
    if before is not None:
        return
    for index, block in enumerate(seen.blocks):
        if not instructs(block):
            return
        text = block.value if isinstance(block.value, str) else ""
        if _PERSON.search(text[:4_000]):
            rest = [
                at for at, other in enumerate(seen.blocks) if instructs(other) and other.tier != "tools" and at > index
            ]
            if rest and seen.layout.positions[rest[-1]].tokens - seen.layout.positions[index].tokens >= _SHARED:
                shared = seen.layout.positions[rest[-1]].tokens - seen.layout.positions[index].tokens
                yield Finding(
                    "personal-before-shared",
                    seen.source,
                    block.path,
                    f"{where(block.path)} speaks of one person, and {round(shared):,} tokens of instructions follow it",
                    "Put what all requests share first, and what is about one person behind it.",
                    tokens=round(shared),
                )
            return

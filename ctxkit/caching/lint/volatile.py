"""Dates, times, ids and counters in what should stay the same from request to request.

One request can only look suspicious; two of them show what really changes. Plain dates are left alone unless the words
around them say that they are of today: instructions are full of dates that never change.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from ctxkit.caching.lint.finding import Finding, Seen, broken, instructs, where

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["changed_in_place", "first_difference", "same_talk", "spelled", "volatile_prefix", "volatile_text"]

_LOOKED = 20_000  # characters of a block, from each end: what is volatile stands at one of them
_TOKENS = re.compile(
    r"""
      (?P<time>\b\d{4}-\d\d-\d\d[T\ ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?)
    | (?P<id>\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b)
    | (?P<date>(?:\b(?:today|todays|current\ date|date\ is|now\ is|current\ time|as\ of\ now)\b|(?<![\w-])(?:[Dd]ate|[Tt]ime):)
        [^\n\d]{0,30}(?P<shown>\d[\d:./-]{3,}|\d{1,2}(?:st|nd|rd|th)?\b|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\s+\d))
    | (?P<named>\b(?:request|session|trace|run|conversation|correlation)[_\ -]?id["'`]?\s*[:=]\s*["'`]?(?P<value>[\w-]{6,}))
    | (?P<epoch>(?<![\w.])1[6-9]\d{8}(?:\d{3})?(?![\w.]))
    """,
    re.VERBOSE | re.IGNORECASE,
)
_KINDS = {
    "time": "a timestamp",
    "id": "a UUID",
    "date": "the current date or time",
    "named": "an id of its own",
    "epoch": "a Unix time",
}
_FIX = "Move it into the last user message, or round it to the day and put it behind everything that is shared."


def volatile_text(text: str) -> tuple[str, str] | None:
    """The first thing in ``text`` that looks as if it were another one next time: what it is, and the thing."""
    return _volatile(text if len(text) <= 2 * _LOOKED else text[:_LOOKED] + "\n" + text[-_LOOKED:])


@lru_cache(maxsize=64)  # the same instructions stand in each request of a conversation
def _volatile(looked: str) -> tuple[str, str] | None:
    for match in _TOKENS.finditer(looked):
        kind = match.lastgroup if match.lastgroup in _KINDS else _outer(match)
        shown = match.group("value") or " ".join(match.group().split())
        if kind == "named" and not any(letter.isdigit() for letter in shown):
            continue  # a word that explains the id, and no id
        return _KINDS[kind], shown
    return None


def _outer(match: re.Match[str]) -> str:
    return next(name for name in _KINDS if match.group(name) is not None)


def volatile_prefix(seen: Seen, _: Seen | None) -> Iterator[Finding]:
    """In tools and instructions of one request."""
    for index, block in enumerate(seen.blocks):
        if not instructs(block):
            return
        found = volatile_text(spelled(block.value))
        if found is not None:
            kind, token = found
            yield Finding(
                "volatile-prefix",
                seen.source,
                block.path,
                f"{where(block.path)} holds {kind} ({token:.60}): a prefix that changes is never read from the cache",
                _FIX,
                tokens=broken(seen, index),
            )
            return  # what stands behind it is lost already


def changed_in_place(seen: Seen, before: Seen | None) -> Iterator[Finding]:
    """Between two requests of one conversation: a block that changed although what follows stayed the same."""
    if before is None:
        return
    index = first_difference(seen, before)
    if index is None or index >= len(before.blocks) - 1 or index >= len(seen.blocks):
        return
    mine, theirs = seen.blocks[index], before.blocks[index]
    if not _goes_on(seen, before, index):
        return  # another conversation, which shares its instructions
    if mine.kind in ("image", "document") and mine.kind == theirs.kind:
        yield Finding(
            "image-changed",
            seen.source,
            mine.path,
            f"the {mine.kind} at {where(mine.path)} has other bytes than in the request before",
            "Encode a picture once and send the same bytes again.",
            certain=True,
            tokens=broken(seen, index),
        )
    elif mine.tier != "tools" and (mine.role, mine.kind) == (theirs.role, theirs.kind):
        found = volatile_text(spelled(mine.value))
        what = f"; it holds {found[0]} ({found[1]:.60})" if found else ""
        yield Finding(
            "prefix-changed",
            seen.source,
            mine.path,
            f"{where(mine.path)} differs from the request before ({theirs.size} characters then, {mine.size} now){what}",
            _FIX if found else "Append to a conversation, and leave what was sent as it was.",
            certain=True,
            tokens=broken(seen, index),
        )


def _goes_on(seen: Seen, before: Seen, index: int) -> bool:
    """Something that was said behind the change stands in both: it is the same conversation."""
    said = {repr(block.value) for block in before.blocks[index + 1 :] if block.tier == "messages"}
    return any(repr(block.value) in said for block in seen.blocks[index + 1 :] if block.tier == "messages")


def same_talk(seen: Seen, before: Seen) -> bool:
    """Both open with the same words of the user: it is the same conversation, whatever its tools."""
    mine, theirs = (next((b for b in one.blocks if b.tier == "messages"), None) for one in (seen, before))
    return mine is not None and theirs is not None and mine.value == theirs.value


def first_difference(seen: Seen, before: Seen) -> int | None:
    """The first block that is another one; ``None`` where one request goes on from the other."""
    mine, theirs = seen.layout.positions, before.layout.positions
    for index in range(min(len(mine), len(theirs))):
        if mine[index].link != theirs[index].link:
            return index
    return None


def spelled(value: object) -> str:
    """All texts within a value, in order: what can be read of it."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "\n".join(spelled(item) for item in value.values())
    if isinstance(value, list | tuple):
        return "\n".join(spelled(item) for item in value)
    return ""

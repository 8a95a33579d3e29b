"""Reading figures out of answers: what all dialects do alike.

A figure that is missing, null, negative, absurd or no whole number is ``None``: unknown, never 0. What does not add up
becomes a sentence in ``Answer.problems``; nothing here raises.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctxkit.model import Json, Usage

__all__ = ["at", "checks", "code", "dollars", "figure", "less", "merge", "text", "ttl_split"]

_ABSURD: Final = 10**12
"""Tokens, or dollars, that no answer has: such a figure is a fault of its sender."""
_LONGEST_CODE: Final = 64
_LONGEST_AMOUNT: Final = 64
"""Characters of an amount in dollars."""


def at(value: Json, *path: str) -> Json:
    """What stands at ``path`` inside nested objects, or ``None``."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def figure(value: Json, *path: str) -> int | None:
    """A count at ``path``: a whole number from 0 on (``12.0`` counts as one), or ``None``."""
    found = value
    for key in path:  # as in ``at``, without the call: some thirty figures are looked for in every answer
        if found.__class__ is not dict:
            return None
        found = found.get(key)
    if found.__class__ is float and found.is_integer():
        found = int(found)
    return found if found.__class__ is int and 0 <= found < _ABSURD else None


def text(value: Json, *path: str) -> str | None:
    """A non-empty string at ``path``, or ``None``."""
    found = at(value, *path)
    return found if isinstance(found, str) and found else None


def code(value: Json) -> str | None:
    """A short identifier, or ``None``: what is a sentence may quote a prompt."""
    short = isinstance(value, str) and value.isascii() and 0 < len(value) <= _LONGEST_CODE and " " not in value
    return value if short else None


def dollars(value: Json, *path: str) -> Decimal | None:
    """An amount at ``path`` as the decimal number its JSON shows, or ``None``."""
    found = at(value, *path)
    if isinstance(found, bool) or not isinstance(found, int | float | str | Decimal):
        return None
    try:
        written = str(found)
        amount = Decimal(written if len(written) <= _LONGEST_AMOUNT else "NaN")
    except (InvalidOperation, ValueError):  # no number; an integer of more digits than Python prints
        return None
    return amount if amount.is_finite() and 0 <= amount < _ABSURD else None


def less(total: int | None, *parts: int | None) -> int | None:
    """``total`` without ``parts`` (unknown parts count as none), never below 0; ``None`` when the total is."""
    return None if total is None else max(0, total - sum(part or 0 for part in parts))


def merge(old: Json, new: Json) -> Json:
    """``new`` over ``old``, object by object; a null never replaces a figure that was seen."""
    if new is None:
        return old
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    return {**old, **{key: merge(old.get(key), value) for key, value in new.items()}}


def checks(usage: Usage, *, prompt: int | None, total: int | None = None) -> Iterator[str]:
    """What does not add up in ``usage`` against the reported whole prompt and the reported total."""
    found = usage.input_total
    if prompt is not None and found is not None and found != prompt:
        yield f"input buckets sum to {found}, the provider reported {prompt}"
    if total is not None and found is not None and usage.output is not None and found + usage.output != total:
        yield f"input {found} and output {usage.output} sum to {found + usage.output}, not to the reported {total}"
    if usage.reasoning is not None and usage.output is not None and usage.reasoning > usage.output:
        yield f"{usage.reasoning} reasoning tokens exceed {usage.output} output tokens"
    if found == 0 and not usage.output:
        yield "every figure of a successful answer is 0"


def ttl_split(details: Mapping[str, Json], names: Mapping[str, str]) -> dict[str, int]:
    """Tokens written by time to live, from fields named in ``names`` (field: time to live); zeros left out."""
    split: dict[str, int] = {}
    for field, ttl in names.items():
        if count := figure(details, field):
            split[ttl] = split.get(ttl, 0) + count
    return split

"""Which pass saved what: a sum split by the tokens that each took out, at the rate that these would have had.

What was made smaller before it was ever sent is worth just that. What goes later costs a rewrite first: passes that
remove later share what is left of the sum, its sign with it. Sums are whole pico-dollars, and the parts add up to them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ctxkit.caching.economics import write_rate
from ctxkit.revise import revised

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from ctxkit.caching.layout import Layout
    from ctxkit.caching.unmarked import Without
    from ctxkit.model import Edit, Usage

__all__ = ["Removed", "added", "bare", "removed", "split"]

_MESSAGE = 2  # keys of a path that name a message on every wire


class Removed(NamedTuple):
    """What one edit took out.

    Attributes:
        by: its pass; several are joined with ``+``.
        worth: what these tokens would have cost with this request, in pico-dollars.
    """

    by: str
    worth: float


def added(edits: Iterable[Edit]) -> list[Edit]:
    """Those that said something where nothing stood: at the end, where it is fresh."""
    return [edit for edit in edits if edit.by and edit.tokens_after > edit.tokens_before == 0]


def bare(usage: Usage, edits: Iterable[Edit]) -> Usage:
    """Usage of the same request without what was added to it, which was fresh or written; as it is where nobody knows."""
    tokens = sum(edit.tokens_after for edit in added(edits))
    if not tokens or usage.fresh is None or usage.written is None:
        return usage
    if usage.fresh >= tokens:
        return revised(usage, fresh=usage.fresh - tokens)
    ttl = max(usage.written, key=usage.written.__getitem__, default="")
    if usage.written.get(ttl, 0) < tokens:
        return usage
    return revised(usage, written={**usage.written, ttl: usage.written[ttl] - tokens})


def removed(edits: Iterable[Edit], layout: Layout, without: Without, rates: Mapping[str, int] | None) -> list[Removed]:
    """What the edits of passes took out of a request.

    Args:
        edits: of the request, all of them.
        layout: the request before they were made.
        without: what it would have come to.
        rates: pico-dollars per token by bucket; ``None``: unknown, and all tokens count alike.
    """
    ends = {position.path[:_MESSAGE]: position.tokens for position in layout.positions}
    found = []
    for edit in edits:
        tokens = max(edit.tokens_before - edit.tokens_after, 0)
        if edit.by and not (tokens == 0 and edit.tokens_before == 0):
            found.append(Removed(edit.by, tokens * _rate(ends.get(edit.path[:_MESSAGE]), without, rates)))
    return found


def _rate(end: float | None, without: Without, rates: Mapping[str, int] | None) -> float:
    if rates is None:
        return 1.0
    fresh = rates["fresh"]
    if end is None or end > max(without.read, without.written):
        return fresh
    if end <= without.read:
        return rates.get("read", fresh)
    return write_rate(rates, without.ttl)


def split(saved: int, parts: Sequence[Removed], later: Collection[str]) -> dict[str, int]:
    """A sum by pass; the parts add up to it.

    Args:
        saved: by all of them, in pico-dollars, signed.
        parts: what each took out.
        later: passes that remove what was sent before, and answer for the price of that.
    """
    worth: dict[str, float] = {}
    for by, amount in parts:
        names = by.split("+")
        for name in names:
            worth[name] = worth.get(name, 0.0) + amount / len(names)
    rest = {name: amount for name, amount in worth.items() if name in later}
    if not worth:
        return {"other": saved} if saved else {}
    if not rest:
        return _shared(saved, worth)
    at_once = {name: round(amount) for name, amount in worth.items() if name not in rest}
    return {**at_once, **_shared(saved - sum(at_once.values()), rest)}


def _shared(saved: int, worth: Mapping[str, float]) -> dict[str, int]:
    """In proportion, what rounding leaves going to the largest part."""
    whole = sum(worth.values())
    shares = {name: amount / whole if whole else 1 / len(worth) for name, amount in worth.items()}
    found = {name: int(saved * share) for name, share in shares.items()}
    largest = max(shares, key=lambda name: (shares[name], name))
    found[largest] += saved - sum(found.values())
    return found

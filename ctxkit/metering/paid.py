"""What a stretch of a prompt cost: the provider reads its first tokens from the cache, writes those that follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctxkit.model import Usage

__all__ = ["Paid"]


class Paid(NamedTuple):
    """What was paid for one prompt.

    Attributes:
        tokens: of it, as billed.
        read: how many of them were read from the cache; they stand first.
        written: how many were written to it; they follow.
        rates: pico-dollars per token that is read, written and fresh; ``None``: no price is known.
    """

    tokens: int
    read: int = 0
    written: int = 0
    rates: tuple[float, float, float] | None = None

    @classmethod
    def of(cls, usage: Usage, rates: Mapping[str, int] | None) -> Paid:
        """By the buckets of a usage. A partial price is none; a write without a price of its own costs what is fresh."""
        read, written = usage.read or 0, usage.written_total
        whole = usage.input_total or 0
        if rates is None or "fresh" not in rates or (read and "read" not in rates):
            return cls(whole, read, written)
        fresh = rates["fresh"]
        spent = sum(count * rates.get(f"written.{ttl}", fresh) for ttl, count in (usage.written or {}).items())
        return cls(whole, read, written, (rates.get("read", 0), spent / written if written else fresh, fresh))

    def price(self, start: float, tokens: float) -> float:
        """Of tokens that stand there."""
        if self.rates is None:
            return 0.0
        read, write, fresh = self.rates
        end = start + tokens
        cached = min(max(self.read - start, 0.0), tokens)
        kept = min(max(self.read + self.written - max(start, self.read), 0.0), max(end - max(start, self.read), 0.0))
        return cached * read + kept * write + (tokens - cached - kept) * fresh

"""What a request may cost before it is sent: low, expected and max, from tokens and a price card.

Formulas: low = the low estimate read from the cache and nothing answered; expected = the feature's own share of
cache reads and median answer; max = the high estimate at the dearest input rate that the request can cause, plus
the longest answer it allows. The tier of a cliff is taken at the tokens of each case.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ctxkit.metering.prices import charge
from ctxkit.model import CostRange, Usage

if TYPE_CHECKING:
    from ctxkit.metering.prices import Card

__all__ = ["cost_range", "expected_usage", "usd"]


def usd(pico: int | None) -> Decimal | None:
    """Pico-dollars as exact USD."""
    return None if pico is None else Decimal(pico).scaleb(-12)


def expected_usage(tokens: int, read_share: float | None, output: int | None) -> Usage:
    """The buckets a request of ``tokens`` is expected to be billed in."""
    read = round(tokens * read_share) if read_share else None
    return Usage(fresh=tokens - (read or 0), read=read, output=output)


def cost_range(
    card: Card | None, low: int, expected: Usage, high: int, *, ttls: tuple[str, ...], longest_output: int | None
) -> CostRange:
    """The range in USD; a figure that cannot be known is ``None``.

    Args:
        card: the price card, ``None`` for a model without a known price.
        low: low end of the token estimate.
        expected: the expected buckets.
        high: high end of the token estimate.
        ttls: lives of the cache markers in the request.
        longest_output: most output tokens that can be billed, all choices together.
    """
    if card is None:
        return CostRange()
    longest = None if longest_output is None else _dearest(card, high, longest_output, ttls)
    return CostRange(
        low=usd(_cheapest(card, low)),
        expected=usd(charge(card, expected)),
        max=usd(longest),
    )


def _cheapest(card: Card, tokens: int) -> int | None:
    cached = charge(card, Usage(fresh=0, read=tokens, output=0))
    return charge(card, Usage(fresh=tokens, output=0)) if cached is None else cached


def _dearest(card: Card, tokens: int, output: int, ttls: tuple[str, ...]) -> int | None:
    """The dearest of: nothing cached, or all of it written at a life the request asks for (or the platform's own)."""
    cases = [Usage(fresh=tokens, output=output)]
    cases += [Usage(fresh=0, written={ttl: tokens}, output=output) for ttl in (*ttls, *card.automatic_writes)]
    priced = [pico for case in cases if (pico := charge(card, case)) is not None]
    return max(priced, default=None)

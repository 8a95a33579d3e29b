"""What a request may cost before it is sent: low, expected and max, from tokens and a price card.

Formulas: low = the low estimate read from the cache and nothing answered; expected = the feature's own share of
cache reads and median answer; max = the high estimate at the dearest input rate that the request can cause, plus
the longest answer it allows. The tier of a cliff is taken at the tokens of each case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.metering.prices.card import charge
from ctxkit.model import CostRange, Usage
from ctxkit.money import usd_of

if TYPE_CHECKING:
    from ctxkit.metering.prices.card import Card

__all__ = ["cost_range", "expected_usage"]

_TYPICAL_ANSWER = 100
"""Output tokens expected of a feature that nothing was settled for yet."""


def expected_usage(tokens: int, read_share: float | None, output: int | None, max_output: int | None) -> Usage:
    """The buckets a request is expected to be billed in.

    Args:
        tokens: the expected prompt.
        read_share: share of the prompt this feature reads from the cache, ``None`` before it is known.
        output: median answer of this feature, ``None`` before it is known.
        max_output: longest answer the request allows.
    """
    read = round(tokens * read_share) if read_share else None
    output = _TYPICAL_ANSWER if output is None else output
    return Usage(
        fresh=tokens - (read or 0), read=read, output=output if max_output is None else min(output, max_output)
    )


def cost_range(
    card: Card | None,
    low: int,
    expected: Usage,
    high: int,
    *,
    ttls: tuple[str, ...] = (),
    max_output: int | None = None,
    choices: int = 1,
) -> CostRange:
    """The range in USD; a figure that cannot be known is ``None``.

    Args:
        card: the price card, ``None`` for a model without a known price.
        low: low end of the token estimate.
        expected: the expected buckets.
        high: high end of the token estimate.
        ttls: lives of the cache markers in the request.
        max_output: longest answer the request allows; without one, the model's longest, or else what its context
            window leaves.
        choices: how many answers were asked for.
    """
    if card is None:
        return CostRange()
    longest = _longest_answer(card, high, max_output)
    return CostRange(
        low=usd_of(_cheapest(card, low)),
        expected=usd_of(charge(card, expected)),
        max=None if longest is None else usd_of(_dearest(card, high, longest * choices, ttls)),
    )


def _longest_answer(card: Card, tokens: int, max_output: int | None) -> int | None:
    if max_output is not None:
        return max_output
    if card.max_output is not None or card.context_window is None:
        return card.max_output
    return max(0, card.context_window - tokens)


def _cheapest(card: Card, tokens: int) -> int | None:
    cached = charge(card, Usage(fresh=0, read=tokens, output=0))
    return charge(card, Usage(fresh=tokens, output=0)) if cached is None else cached


def _dearest(card: Card, tokens: int, output: int, ttls: tuple[str, ...]) -> int | None:
    """The dearest of: nothing cached, or all of it written at a life the request asks for (or the platform's own)."""
    cases = [Usage(fresh=tokens, output=output)]
    cases += [Usage(fresh=0, written={ttl: tokens}, output=output) for ttl in (*ttls, *card.automatic_writes)]
    priced = [pico for case in cases if (pico := charge(card, case)) is not None]
    return max(priced, default=None)

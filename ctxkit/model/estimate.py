"""What a request will take and cost, as far as is known before it is sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ctxkit.model.answer import Usage

if TYPE_CHECKING:
    from decimal import Decimal

__all__ = ["CostRange", "Estimate"]


@dataclass(frozen=True, slots=True)
class CostRange:
    """What a request may cost in USD before it is sent; each ``None`` when it cannot be known.

    Attributes:
        low: everything that may be cached is read from the cache, and nothing is answered.
        expected: the feature's own history of cache reads and output lengths.
        max: the dearest tier that the high estimate reaches, nothing cached, the longest answer allowed.
    """

    low: Decimal | None = None
    expected: Decimal | None = None
    max: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """Tokens and cost before the request is sent.

    Attributes:
        input_tokens: the expected prompt, cached part included.
        input_low: with ``input_high`` the interval that holds the reported count in at least 95 % of requests.
        input_high: see ``input_low``.
        usage: the expected buckets.
        cost: the range in USD.
        method: ``"exact"`` (the provider's own vocabulary), ``"fitted"`` (calibrated estimator) or ``"rough"``
            (a family that was never fitted).
        family: the row of the calibration table that was used.
    """

    input_tokens: int
    input_low: int
    input_high: int
    usage: Usage = field(default_factory=Usage)
    cost: CostRange = field(default_factory=CostRange)
    method: Literal["exact", "fitted", "rough"] = "rough"
    family: str = ""

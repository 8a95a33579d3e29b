"""Requests as they were sent and as they might have been: one line for each alternative, in tokens and money."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ctxkit.money import EXACT, usd_of

if TYPE_CHECKING:
    from decimal import Decimal

    from ctxkit.replay.alternatives import Alternative

__all__ = ["GROWTH", "Priced", "WhatIf"]

GROWTH: Final = (
    "simulated: threads as prompts that only grow, by their recorded lengths and times; markers where a later request "
    "reads them; nothing shared between threads"
)
_THOUSAND = 1000


@dataclass(frozen=True, slots=True)
class Priced:
    """What requests come to in one way of sending them; ``None`` is not known.

    Attributes:
        alternative: how; ``None``: as they were sent.
        requests: how many.
        input_tokens: whole prompts.
        read_tokens: of them read from the provider's cache.
        written_tokens: of them written to it.
        output_tokens: of all answers.
        pico: pico-dollars.
        notes: how that is known, and why not.
    """

    alternative: Alternative | None
    requests: int | None
    input_tokens: int | None
    read_tokens: int | None
    written_tokens: int | None
    output_tokens: int | None
    pico: int | None
    notes: tuple[str, ...] = ()

    @property
    def cached(self) -> float | None:
        """Share of the prompts that is read from the cache."""
        if not self.input_tokens or self.read_tokens is None:
            return None
        return self.read_tokens / self.input_tokens

    @property
    def cost(self) -> Decimal | None:
        """USD."""
        return usd_of(self.pico)

    @property
    def per_thousand(self) -> Decimal | None:
        """USD for a thousand requests."""
        if self.pico is None or not self.requests:
            return None
        return EXACT.divide(EXACT.multiply(usd_of(self.pico), _THOUSAND), self.requests)

    def less(self, present: Priced) -> Decimal | None:
        """USD that it costs more (negative: less) than the present."""
        return None if self.pico is None or present.pico is None else usd_of(self.pico - present.pico)

    def figures(self) -> dict[str, Any]:
        """Tokens and money for JSON."""
        names = ("input_tokens", "read_tokens", "written_tokens", "output_tokens")
        return {
            **{name: getattr(self, name) for name in names},
            "cached": None if self.cached is None else round(self.cached, 6),
            "cost": _plain(self.cost),
            "cost_per_1000_requests": _plain(self.per_thousand),
        }


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The present and its alternatives.

    Attributes:
        present: as the requests were sent.
        alternatives: in the order in which they were asked for.
        simulated: the present by the same simulation as the alternatives, where any is simulated: what of a difference is due
            to well placed markers alone.
        notes: what holds for all of it.
    """

    present: Priced
    alternatives: tuple[Priced, ...]
    simulated: Priced | None = None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For ``json.dumps``: money as decimal strings in USD, what is unknown as ``None``."""
        simulated = self.simulated
        return {
            "requests": self.present.requests,
            "present": {**self.present.figures(), "notes": list(self.present.notes)},
            "present_simulated": simulated and {**simulated.figures(), "notes": list(simulated.notes)},
            "alternatives": [
                {
                    **(one.alternative.to_dict() if one.alternative else {}),
                    **one.figures(),
                    "difference": _plain(one.less(self.present)),
                    "notes": list(one.notes),
                }
                for one in self.alternatives
            ],
            "notes": list(self.notes),
        }


def _plain(amount: Decimal | None) -> str | None:
    if amount is None:
        return None
    text = f"{amount:.12f}"
    return text.rstrip("0").rstrip(".")

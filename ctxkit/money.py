"""Money without rounding: integer pico-dollars (1e-12 USD) inside, ``Decimal`` dollars at the edges.

``Decimal`` computes by a context that belongs to the thread, and an application may have set it to six digits, or to
raise for whatever is not exact. So every sum here has a context of its own.
"""

from __future__ import annotations

from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal
from typing import Final, overload

__all__ = ["EXACT", "PICO", "pico_of", "plain", "usd_of"]

EXACT: Final = Context(prec=80, rounding=ROUND_HALF_EVEN, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[])
"""80 digits hold every amount that is ever computed; never raises."""

PICO: Final = 10**12
"""Pico-dollars in a dollar."""

_LARGEST: Final = 2**63 - 1
_DIGITS: Final = 7  # before the point: more than nine million dollars leave 64 bits


@overload
def usd_of(pico: int) -> Decimal: ...
@overload
def usd_of(pico: int | None) -> Decimal | None: ...
def usd_of(pico: int | None) -> Decimal | None:
    """Pico-dollars as USD, exact."""
    return None if pico is None else EXACT.scaleb(Decimal(pico), -12)


def pico_of(usd: Decimal | None) -> int | None:
    """USD as integer pico-dollars, half to even; ``None`` for what is no finite amount below nine million."""
    if usd is None or not usd.is_finite() or usd.adjusted() >= _DIGITS:
        return None
    amount = int(EXACT.to_integral_value(EXACT.multiply(usd, PICO)))
    return amount if -_LARGEST <= amount <= _LARGEST else None


@overload
def plain(amount: Decimal) -> str: ...
@overload
def plain(amount: Decimal | None) -> str | None: ...
def plain(amount: Decimal | None) -> str | None:
    """An amount for JSON: a decimal string without an exponent or needless zeros."""
    if amount is None:
        return None
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text

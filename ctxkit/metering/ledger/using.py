"""What was asked of each model lately, from the roll-ups: reading it takes no longer for a million rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ctxkit.metering.ledger.rollup import DAY
from ctxkit.metering.prices.coming import DAYS, Use, coming

if TYPE_CHECKING:
    import sqlite3

    from ctxkit.metering.ledger import Ledger
    from ctxkit.metering.prices import Prices
    from ctxkit.metering.prices.coming import Change

__all__ = ["in_use", "soon"]

_LIVES: Final = ("5m", "30m", "1h", "12h")
_FIGURES: Final = ("fresh", "read", *(f"written_{ttl}" for ttl in _LIVES), "output", "reasoning")
_RENT: Final = ("storage_usd", "storage_pico")
_QUERY: Final = (
    f"SELECT platform, model, tier, {', '.join(f'sum({name})' for name in (*_FIGURES, *_RENT))} "  # noqa: S608
    "FROM rollups JOIN cells ON cells.id = rollups.cell WHERE span = ? AND start >= ? GROUP BY platform, model, tier"
)


def soon(ledger: Ledger, prices: Prices, now: float) -> tuple[Change, ...]:
    """Changes of price within thirty days of what was in use in the thirty days before.

    Raises:
        StoreError: the ledger cannot be read.
    """
    return coming(prices, in_use(ledger, now - DAYS * DAY), now)


def in_use(ledger: Ledger, since: float) -> tuple[Use, ...]:
    """Tokens by bucket of each platform, model and service tier, from the day (UTC) of that moment on.

    Raises:
        StoreError: the ledger cannot be read.
    """
    return ledger.read(lambda db: _read(db, since))


def _read(db: sqlite3.Connection, since: float) -> tuple[Use, ...]:
    return tuple(
        Use(platform, model, tier, _tokens(dict(zip(_FIGURES, figures, strict=False))), usd * 10**12 + pico)
        for platform, model, tier, *figures, usd, pico in db.execute(_QUERY, (DAY, since - since % DAY))
        if model
    )


def _tokens(figures: dict[str, int]) -> dict[str, int]:
    figures["output"] -= figures["reasoning"]
    return {name.replace("written_", "written."): count for name, count in figures.items() if count}

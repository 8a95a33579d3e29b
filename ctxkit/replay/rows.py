"""Requests as they were billed, without a word of what they were: rows of a ledger, and recordings that keep no text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ctxkit.metering.ledger.journal import decode
from ctxkit.metering.prices import charge
from ctxkit.replay.posing import GAP

if TYPE_CHECKING:
    import sqlite3
    from collections import Counter
    from collections.abc import Iterator, Mapping

    from ctxkit.metering.prices import Prices
    from ctxkit.replay.recording import Recording

__all__ = ["Row", "rows_of", "rows_of_ledger", "textless"]

_COLUMNS: Final = (
    *("created", "thread", "platform", "model", "response_model", "tier", "dialect"),
    *("fresh", "read", "written", "output", "reasoning", "media", "calls", "cost_pico"),
)
_QUERY: Final = (
    f"SELECT {', '.join(_COLUMNS)} FROM attempts "  # noqa: S608
    "WHERE created >= ? AND created < ? AND status IN ('settled', 'partial', 'unverified') AND number > 0 ORDER BY created"
)
_NO_TEXT: Final = frozenset({"model", "service_tier"})


class Row(NamedTuple):
    """One answered request of a ledger.

    Attributes:
        at: unix time in seconds.
        thread: conversation, or ``None``.
        platform: that served it.
        model: that was asked.
        answered: the model that answered, where it said so.
        tier: service tier as reported.
        dialect: wire format.
        fresh: tokens by bucket, as reported.
        read: likewise.
        written: by time to live.
        output: reasoning included.
        reasoning: part of it.
        media: as reported.
        calls: of the provider's tools.
        cost: pico-dollars that were recorded.
        total: tokens of the whole prompt.
    """

    at: float
    thread: str | None
    platform: str
    model: str
    answered: str | None
    tier: str | None
    dialect: str
    fresh: int
    read: int
    written: Mapping[str, int]
    output: int
    reasoning: int
    media: Mapping[str, int]
    calls: Mapping[str, int]
    cost: int
    total: int


def rows_of_ledger(db: sqlite3.Connection, bounds: tuple[float, float], left_out: Counter[str]) -> Iterator[Row]:
    """Answered requests in the order of time.

    Args:
        db: of the ledger.
        bounds: unix time of the first, and of the first that is not wanted.
        left_out: counts those that cannot be compared, by the reason.
    """
    for at, thread, platform, model, answered, tier, dialect, *figures in db.execute(_QUERY, bounds):
        fresh, read, written, output, reasoning, media, calls, cost = figures
        if fresh is None or output is None:
            left_out["they report no usage"] += 1
        elif cost is None:
            left_out["they have no known cost"] += 1
        else:
            whole = _map(written)
            yield Row(
                at,
                thread,
                platform or "",
                model or "",
                answered,
                tier,
                dialect or "",
                fresh,
                read or 0,
                whole,
                output,
                reasoning or 0,
                _map(media),
                _map(calls),
                cost,
                fresh + (read or 0) + sum(whole.values()),
            )


def textless(recording: Recording) -> bool:
    """It says what requests were billed for, and nothing of what they were."""
    return all(one.body.keys() <= _NO_TEXT for one in recording.requests)


def rows_of(recording: Recording, prices: Prices, begins: float) -> Iterator[Row]:
    """The same for its answered requests, at the prices of their time; those without usage or price are left out.

    Args:
        recording: without text.
        prices: the price lists.
        begins: when it begins where nobody noted the time, in unix seconds.
    """
    at = next((one.at for one in recording.requests if one.at is not None), begins) - GAP
    for one in recording.requests:
        at = max(at, one.at) if one.at is not None else at + GAP
        usage, tier = one.usage, one.body.get("service_tier")
        model = one.model or str(one.body.get("model") or "")
        card = prices.card(recording.platform, model, at=at, tier=tier)
        cost = charge(card, usage) if card and usage else None
        if usage is None or cost is None:
            continue
        written, output = usage.written or {}, usage.output or 0
        yield Row(
            at,
            recording.name,
            recording.platform,
            model,
            None,
            tier,
            recording.dialect,
            usage.fresh or 0,
            usage.read or 0,
            written,
            output,
            usage.reasoning or 0,
            usage.media,
            usage.calls,
            cost,
            usage.input_total or 0,
        )


def _map(text: str | None) -> dict[str, int]:
    return decode(text.encode()) if text and text != "{}" else {}

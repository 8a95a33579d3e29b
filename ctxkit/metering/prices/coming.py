"""Prices that are known to change soon, and what that means for who uses the model."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ctxkit.money import EXACT, plain, usd_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ctxkit.metering.prices import Prices
    from ctxkit.metering.prices.card import Card

__all__ = ["DAYS", "Change", "Use", "changes", "coming", "told"]

DAYS = 30
"""That are looked ahead, and back."""

_DAY = 86_400
_MILLION = Decimal(1_000_000)
_THOUSAND = Decimal(1_000)


@dataclass(frozen=True, slots=True)
class Use:
    """What was asked of one model in the days before.

    Attributes:
        platform: who served it.
        model: as it was asked for.
        tier: service tier as it was reported, ``""``: not.
        tokens: by bucket as cards price them: ``"fresh"``, ``"read"``, ``"written.5m"``, ``"output"``, ``"reasoning"``
            (which is no part of ``"output"`` here).
        rent: pico-dollars of cache objects.
    """

    platform: str
    model: str
    tier: str = ""
    tokens: Mapping[str, int] = field(default_factory=dict)
    rent: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """One rate of a model that will be another one.

    Attributes:
        platform: whose price it is.
        model: as it is asked for.
        tier: service tier.
        at: unix time in seconds from which the new rate holds.
        bucket: what is priced: ``"fresh"``, ``"read"``, ``"written.5m"``, ``"output"``, ``"storage"``, ``"call.NAME"``, ...
        before: pico-dollars per token (and hour, for storage), or per call; ``None``: no rate of its own.
        after: the same from then on; ``None``: no rate is known.
        above: holds for prompts of more tokens than this.
        spend: what the use of the days before would have cost more at the new rate, in pico-dollars, signed; ``None``
            where that cannot be known: what follows has no known price, or it goes by the length of each prompt.
    """

    platform: str
    model: str
    tier: str
    at: float
    bucket: str
    before: int | None
    after: int | None
    above: int = 0
    spend: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON: rates in USD per million tokens or thousand calls, ``spend`` in USD, as decimal strings."""
        return {
            "platform": self.platform,
            "model": self.model,
            "tier": self.tier,
            "at": datetime.fromtimestamp(self.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "bucket": self.bucket,
            "above": self.above,
            "from": _rate(self.bucket, self.before),
            "to": _rate(self.bucket, self.after),
            "spend": None if self.spend is None else plain(usd_of(self.spend)),
        }


def coming(prices: Prices, models_in_use: Iterable[Use], now: float, within: int = DAYS) -> tuple[Change, ...]:
    """Changes of price within so many days of ``now`` that concern what is in use; the soonest first.

    Only rates that were paid in the days before are told: input alone where nothing was read from a cache.

    Args:
        prices: the price lists.
        models_in_use: what was asked of each model in the days before.
        now: unix time in seconds.
        within: days.
    """
    found = [
        change
        for use in models_in_use
        for at, before, after in prices.scheduled(
            use.platform, use.model, at=now, until=now + within * _DAY, tier=use.tier or None
        )
        for change in changes(use.platform, use.model, at, before, after, use)
        if _used(use, change.bucket)
    ]
    return tuple(sorted(found, key=lambda one: (one.at, one.platform, one.model, one.tier, one.above)))


def changes(
    platform: str, model: str, at: float, before: Card, after: Card | None, use: Use | None = None
) -> Iterator[Change]:
    """The rates that differ between two cards; ``use`` says what for the spend is reckoned with."""
    tiers = {tier.above for card in (before, after) if card for tier in card.tiers}
    for above in sorted(tiers):
        old, new = before.rates(above + 1), after.rates(above + 1) if after else {}
        for bucket in _buckets(old, new):
            if old.get(bucket) != new.get(bucket):
                spend = _spend(use, bucket, old, new) if use and len(tiers) == 1 else None
                yield Change(platform, model, before.tier, at, bucket, old.get(bucket), new.get(bucket), above, spend)
    rent = after.storage if after else None
    if before.storage != rent:
        spend = _rent(use, before.storage, rent) if use else None
        yield Change(platform, model, before.tier, at, "storage", before.storage, rent, 0, spend)


def _buckets(old: Mapping[str, int], new: Mapping[str, int]) -> list[str]:
    """Without the plain write, which stands under its time to live already."""
    names = dict.fromkeys((*old, *new))
    return [name for name in names if name != "written" or not any(one.startswith("written.") for one in names)]


def _used(use: Use, bucket: str) -> bool:
    return use.rent != 0 if bucket == "storage" else bool(_tokens(use, bucket, {}))


def _spend(use: Use, bucket: str, old: Mapping[str, int], new: Mapping[str, int]) -> int | None:
    """Thoughts cost what output does where they have no rate of their own."""
    instead = "output" if bucket == "reasoning" else bucket
    before, after = old.get(bucket, old.get(instead)), new.get(bucket, new.get(instead))
    if before is None or after is None:
        return None
    return _tokens(use, bucket, {**old, **new}) * (after - before)


def _tokens(use: Use, bucket: str, rates: Mapping[str, int]) -> int:
    thoughts = use.tokens.get("reasoning", 0) if bucket == "output" and "reasoning" not in rates else 0
    return use.tokens.get(bucket, 0) + thoughts


def _rent(use: Use, before: int | None, after: int | None) -> int | None:
    if not before or after is None:
        return None
    return int(EXACT.to_integral_value(EXACT.divide(Decimal(use.rent * (after - before)), Decimal(before))))


def told(found: Iterable[Change], money: str = "${:,.4f}") -> Iterator[str]:
    """For people: a line for each model and moment.

    Args:
        found: of :func:`coming`.
        money: form of an amount.
    """
    groups: dict[tuple[str, str, str, float], list[Change]] = {}
    for one in found:
        groups.setdefault((one.platform, one.model, one.tier, one.at), []).append(one)
    for (platform, model, tier, at), some in groups.items():
        day = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
        named = model if tier == "standard" else f"{model}, {tier}"
        rates = ", ".join(_told(one) for one in some)
        yield f"{named} on {platform} changes its price on {day}: {rates} (USD per million tokens){_meant(some, money)}"


def _told(one: Change) -> str:
    names = {"fresh": "input", "read": "cache read", "storage": "storage per hour"}
    name = names.get(one.bucket, one.bucket.replace("written.", "write "))
    above = f" beyond {one.above:,} tokens" if one.above else ""
    return f"{name}{above} {_rate(one.bucket, one.before) or 'none'} to {_rate(one.bucket, one.after) or 'unknown'}"


def _meant(some: list[Change], money: str) -> str:
    if any(one.spend is None for one in some):
        return ""
    spend = usd_of(sum(one.spend or 0 for one in some))
    way = "more" if spend >= 0 else "less"
    return f"; what was used in the last {DAYS} days would have cost {money.format(spend.copy_abs())} {way}"


def _rate(bucket: str, pico: int | None) -> str | None:
    if pico is None:
        return None
    calls = bucket == "request" or bucket.startswith("call.")
    return plain(EXACT.multiply(usd_of(pico), _THOUSAND if calls else _MILLION))

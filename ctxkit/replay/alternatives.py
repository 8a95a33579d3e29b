"""What else requests might have been sent as: other models, platforms, days, service tiers, lives and modes, combined."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, get_args

from ctxkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ctxkit.metering.prices import Prices

__all__ = ["MOST", "Alternative", "alternatives", "known_mode", "known_platform", "known_tier", "known_ttl"]

MOST = 64
"""Alternatives that are worked out at once: each model, platform and life is a simulation of its own."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way in which requests might have been sent; what is ``None`` stays as it was recorded.

    Attributes:
        model: that is asked.
        platform: who serves it; by the model's name where only that is given.
        date: day whose prices hold, as it was given.
        at: that day in unix seconds.
        tier: service tier.
        ttl: life of cache entries.
        mode: of ctxkit.
    """

    model: str | None = None
    platform: str | None = None
    date: str | None = None
    at: float | None = None
    tier: str | None = None
    ttl: str | None = None
    mode: str | None = None

    @property
    def cached_alike(self) -> bool:
        """Neither the mode nor the life of entries is another one: if the model is the same, so is what was cached."""
        return self.ttl is None and self.mode is None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {name: getattr(self, name) for name in ("model", "platform", "date", "tier", "ttl", "mode")}


def alternatives(
    models: Iterable[str] = (),
    platforms: Iterable[str] = (),
    dates: Iterable[tuple[str, float]] = (),
    tiers: Iterable[str] = (),
    ttls: Iterable[str] = (),
    modes: Iterable[str] = (),
) -> tuple[Alternative, ...]:
    """All combinations of what was given, in its order.

    Args:
        models: that might have been asked.
        platforms: that might have served them.
        dates: days whose prices might hold: as given, and in unix seconds.
        tiers: service tiers.
        ttls: lives of cache entries.
        modes: of ctxkit.

    Raises:
        ConfigurationError: nothing was given, or more than :data:`MOST` combinations.
    """
    given = [tuple(dict.fromkeys(some)) for some in (models, platforms, dates, tiers, ttls, modes)]
    count = prod(len(some) or 1 for some in given)
    if not any(given):
        raise ConfigurationError(
            "say what might have been otherwise: --model, --platform, --date, --tier, --ttl or --mode"
        )
    if count > MOST:
        raise ConfigurationError(f"{count:,} alternatives are too many at once: {MOST} at most; give fewer of each")
    axes: list[Sequence[Any]] = [some or (None,) for some in given]
    return tuple(
        Alternative(model, platform, day[0] if day else None, day[1] if day else None, tier, ttl, mode)
        for model, platform, day, tier, ttl, mode in product(*axes)
    )


def known_platform(name: str, prices: Prices) -> str:
    """The name, if anything is known of such a platform.

    Raises:
        ConfigurationError: naming those that are known.
    """
    from ctxkit.dialects.platforms import PLATFORMS
    from ctxkit.metering.prices import provider_names

    known = [one.name for one in PLATFORMS]
    wanted = name.strip().lower()
    if wanted not in known and wanted not in provider_names(prices):
        raise ConfigurationError(f"platform {name!r} is not known; there are {', '.join(known)}")
    return wanted


def known_tier(name: str, prices: Prices) -> str:
    """The name, if any price list knows such a service tier.

    Raises:
        ConfigurationError: naming those that are known.
    """
    from ctxkit.metering.prices import tier_names
    from ctxkit.metering.prices.names import tier_name

    known, wanted = tier_names(prices), tier_name(name)
    if wanted not in known:
        raise ConfigurationError(f"service tier {name!r} is not known; there are {', '.join(known)}")
    return wanted


def known_ttl(name: str) -> str:
    """The name, if anybody sells entries of such a life.

    Raises:
        ConfigurationError: naming those that are known.
    """
    from ctxkit.policy import Policy

    known = [ttl for ttl in get_args(Policy.model_fields["cache_ttl"].annotation) if ttl != "auto"]
    if name not in known:
        raise ConfigurationError(f"no provider keeps cache entries for {name!r}; there are {', '.join(known)}")
    return name


def known_mode(name: str) -> str:
    """The name of a mode.

    Raises:
        ConfigurationError: naming those that there are.
    """
    from ctxkit.policy import Policy

    known = get_args(Policy.model_fields["mode"].annotation)
    if name not in known:
        raise ConfigurationError(f"there is no mode {name!r}; there are {', '.join(known)}")
    return name

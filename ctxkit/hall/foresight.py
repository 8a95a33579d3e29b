"""What pays before a request is made, and what would have paid: prewarming, and advice in hindsight. A part of the hall."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit import dialects
from ctxkit.caching import rules
from ctxkit.caching.advice import Case, advise, turn_of
from ctxkit.dialects.prewarming import prewarmed
from ctxkit.errors import ConfigurationError, ProviderShapeError

if TYPE_CHECKING:
    from ctxkit.caching.advice import Advice
    from ctxkit.metering.ledger import Ledger
    from ctxkit.metering.meter import Meter
    from ctxkit.model import Json

__all__ = ["advice", "undescribed", "warmer"]

_ADVISED = 200_000  # requests that advice looks at


def undescribed(platform: str, model: str) -> str:
    """That nobody knows the cache of a model, in words."""
    return f"nobody has described how {platform or 'an unknown platform'} caches {model or 'this model'}"


def warmer(body: Json, dialect: str, platform: str, model: str | None, *, own: rules.Table | None, marks: bool) -> Json:
    """``body`` as a request that fills the cache and asks for no answer.

    Args:
        body: a real request.
        dialect: its wire.
        platform: who serves it.
        model: where the wire does not carry it.
        own: the user's rows on how providers cache.
        marks: it may be marked.

    Raises:
        ConfigurationError: it cannot be prewarmed; the message says what to do.
    """
    named = dialects.get(dialect)
    if named is None:
        return body  # the plan says what dialects there are
    try:
        name = model or named.view(body).model
    except ProviderShapeError as error:
        raise ConfigurationError(f"prewarm: {error}") from None
    rule = rules.find(platform, name, dialect=dialect, overrides=own)
    if rule is None:
        raise ConfigurationError(f"prewarm: {undescribed(platform, name)}")
    return prewarmed(body, dialect, rule.prewarm, early=rule.parameters_break_all, marks=marks)


def advice(
    ledger: Ledger, since: str | None, now: float, *, meter: Meter, own: rules.Table | None
) -> tuple[Advice, ...]:
    """What would have been cheaper over the requests since then, in hindsight; at the rates of ``now``."""
    from ctxkit.metering.report.period import moment, zone_of
    from ctxkit.model import Plan

    def case(platform: str, model: str, dialect: str) -> Case | None:
        rule = rules.find(platform, model, dialect=dialect, overrides=own)
        rates = meter.rates(Plan(None, platform=platform, model=model, created=now))
        return Case(rule, rates) if rule is not None and rates else None

    begin = moment(since, now=now, zone=zone_of(None))
    return advise(filter(None, map(turn_of, ledger.records(begin, now, limit=_ADVISED))), case, until=now)

"""A request as its provider's cache reads it, and what is to be expected of that. A part of the hall."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ctxkit import dialects
from ctxkit.caching.forecast import EXACT
from ctxkit.caching.imprint import Seen
from ctxkit.caching.layout import Layouts, Space, lay_out
from ctxkit.caching.unmarked import Plain, plain_of
from ctxkit.metering.count import Count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctxkit.cacheable import Ask
    from ctxkit.caching.forecast import Foreseen
    from ctxkit.caching.forecasting import Forecasting
    from ctxkit.caching.layout import Layout
    from ctxkit.caching.prefixes import Hasher
    from ctxkit.caching.rules import Rule
    from ctxkit.dialects.base import Caches
    from ctxkit.hall.planning import Before
    from ctxkit.metering.meter import Meter
    from ctxkit.model import Conversation, Estimate, Plan

__all__ = ["CacheView"]


class CacheView:
    """Lays requests out and forecasts them; one per kit, for all threads.

    Args:
        hasher: keyed hashes.
        meter: weighs messages.
        forecasting: what is believed of the cache.
    """

    def __init__(self, hasher: Hasher, meter: Meter, forecasting: Forecasting) -> None:
        self._hasher = hasher
        self._meter = meter
        self._forecasting = forecasting
        self._layouts = Layouts()

    def laid_out(
        self,
        plan: Plan,
        conversation: Conversation,
        seen: Seen,
        marked: Sequence[int],
        ask: Ask,
        wire: Caches,
        rule: Rule | None,
    ) -> Layout:
        """The request with its positions, each with its key and its tokens."""
        weights, family = self._meter.weights(conversation, seen.digests, platform=plan.platform, model=plan.model)
        return lay_out(
            self._hasher,
            conversation.messages,
            weights,
            wire.blocks,
            ask,
            Space(plan.platform, plan.model, plan.scope or "", plan.region or ""),
            rule,
            total=plan.count.tokens if isinstance(plan.count, Count) else 0,
            chain=seen.chain,
            marked=marked,
            memory=self._layouts,
            scale=f"{plan.dialect} {family}",
        )

    def foreseen(self, plan: Plan, rule: Rule, layout: Layout) -> Foreseen:
        """What the cache will do with it."""
        return self._forecasting.forecast(rule, layout, plan.created, _correction(plan))

    def too_short(self, plan: Plan, rule: Rule) -> bool:
        """Nothing of it can be read or kept: no need to lay it out."""
        if plan.estimate is None:
            return False
        return self._forecasting.too_short(rule, plan.platform, plan.model, plan.estimate.input_high)

    def priced(self, plan: Plan, foreseen: Foreseen) -> Estimate | None:
        """The estimate as the forecast has it, where that knows more than the shares that were learned."""
        estimate, forecast = plan.estimate, foreseen.forecast
        certain = foreseen.rule.match in EXACT
        if estimate is None or forecast.cached_tokens is None or not (certain or foreseen.known):
            return estimate
        share = 1.0 if certain or forecast.hit_probability is None else forecast.hit_probability
        read = min(round(forecast.cached_tokens * share), estimate.input_tokens)
        written = forecast.written if read + sum(forecast.written.values()) <= estimate.input_tokens else {}
        return self._meter.foreseen(plan, estimate, read, written)

    def plain(self, plan: Plan, foreseen: Foreseen, before: Before | None) -> Plain | None:
        """The request as its user wrote it, as its cache would have read it; ``before``: it was tidied."""
        restored = any(not edit.by for edit in plan.edits)
        wire = dialects.caches(plan.dialect)
        if before is None or restored or wire is None:
            return plain_of(foreseen.rule, foreseen.layout, edited=restored)
        (conversation, digests, marked), layout = before.look, foreseen.layout
        seen, ask = Seen(conversation.messages, digests, before.chain), wire.ask(conversation)
        original = self.laid_out(plan, conversation, seen, marked, ask, wire, foreseen.rule)
        framing = layout.total - (layout.positions[-1].tokens if layout.positions else 0.0)
        whole = (original.positions[-1].tokens if original.positions else 0.0) + framing
        return Plain(foreseen.rule, replace(original, total=whole))


def _correction(plan: Plan) -> float:
    """By which the weights of messages are off for this feature, as far as was learned."""
    if plan.estimate is None or not isinstance(plan.count, Count) or not plan.count.tokens:
        return 1.0
    return plan.estimate.input_tokens / plan.count.tokens

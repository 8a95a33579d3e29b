"""The meter: what a request will cost, what it did cost, and what one teaches about the next.

Counting, learned corrections and prices need one another in this order and no other; the hall asks for the result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.metering import prices, tokens
from ctxkit.metering.count import Count, Counter
from ctxkit.metering.learning import Learned
from ctxkit.metering.prices import Prices
from ctxkit.metering.prices.bounds import cost_range, expected_usage
from ctxkit.metering.prices.card import charge, missed, region_of
from ctxkit.metering.settling import record_of
from ctxkit.model import Estimate
from ctxkit.money import pico_of, usd_of
from ctxkit.revise import revised

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from decimal import Decimal
    from pathlib import Path

    from ctxkit.metering.prices import Card
    from ctxkit.model import Answer, Conversation, Plan, Record, Timing, Usage

__all__ = ["Meter", "load"]


def load() -> None:
    """Import what :meth:`Meter.warm` needs, without its data; to be called in a thread that goes on.

    Modules that are imported while the process forks, or is about to, are half there in the child.
    """
    prices.load()
    tokens.load()


class Meter:
    """Weighs requests and prices answers; one per kit, for all threads.

    Args:
        learned: what an earlier :meth:`dump` gave; ``None`` to begin anew.
        memory: how many messages' tokens are remembered.
        prices: file with the user's own price rows.

    Raises:
        ConfigurationError: a price row that cannot work.
    """

    def __init__(self, learned: bytes | None = None, *, memory: int = 65536, prices: Path | None = None) -> None:
        self._counter = Counter(memory=memory)
        self._learned = Learned.load(learned) if learned else Learned()
        self._prices = Prices(overrides=prices)

    @property
    def counter(self) -> Counter:
        """Counts requests, without what was learned."""
        return self._counter

    @property
    def prices(self) -> Prices:
        """Finds price lists."""
        return self._prices

    def beside(self) -> Meter:
        """Another one with the same counts and prices, which learns for itself."""
        other = Meter.__new__(Meter)
        other._counter, other._prices = self._counter, self._prices  # noqa: SLF001
        other._learned = Learned()  # noqa: SLF001
        return other

    def warm(self, at: float) -> None:
        """Load the vocabulary and the price list, which the first request would wait for (``at``: unix seconds)."""
        self._counter.warm("openai", "gpt-4o")
        self._prices.card("openai", "gpt-4o", at=at)

    def uncounted(self, conversation: Conversation, digests: Sequence[bytes], *, platform: str, model: str) -> int:
        """Characters that :meth:`estimate` would have to count anew."""
        return self._counter.uncounted(conversation, digests, platform=platform, model=model)

    def estimate(
        self, plan: Plan, conversation: Conversation, digests: Sequence[bytes], *, ttls: tuple[str, ...]
    ) -> tuple[Count, Estimate]:
        """Tokens and cost of a request before it is sent.

        Args:
            plan: who asks which model where, and when.
            conversation: what is sent.
            digests: a keyed hash for each of its messages.
            ttls: lives of the cache markers in it.

        Returns:
            The count as it was measured, which :meth:`learn` needs, and the estimate after what was learned.
        """
        count = self._counter.count(conversation, digests, platform=plan.platform, model=plan.model)
        corrected = self._learned.correct(count, plan.feature, plan.model)
        usage = expected_usage(
            corrected.tokens,
            self._learned.expect_read_share(plan.feature, plan.model),
            self._learned.expect_output(plan.feature, plan.model),
            conversation.max_output,
        )
        cost = cost_range(
            self._listed(plan),
            corrected.low,
            usage,
            corrected.high,
            ttls=ttls,
            max_output=conversation.max_output,
            choices=conversation.choices,
        )
        return count, Estimate(
            corrected.tokens, corrected.low, corrected.high, usage, cost, corrected.method, corrected.family
        )

    def foreseen(self, plan: Plan, estimate: Estimate, read: int, written: Mapping[str, int]) -> Estimate:
        """The estimate with the buckets that a forecast of the cache expects, and what they are expected to cost."""
        fresh = max(estimate.input_tokens - read - sum(written.values()), 0)
        usage = revised(estimate.usage, fresh=fresh, read=read, written=dict(written))
        card = self._listed(plan)
        if card is None:
            return revised(estimate, usage=usage)
        return revised(estimate, usage=usage, cost=revised(estimate.cost, expected=usd_of(charge(card, usage))))

    def weights(
        self, conversation: Conversation, digests: Sequence[bytes], *, platform: str, model: str
    ) -> tuple[list[float], str]:
        """Tokens of each message by itself, and the family whose measure that is; remembered from the estimate."""
        return self._counter.weights(conversation, digests, platform=platform, model=model)

    def bounded(self, plan: Plan, conversation: Conversation, estimate: Estimate, ttls: tuple[str, ...]) -> Estimate:
        """The estimate of a request that was given markers of these lives."""
        card = self._listed(plan)
        cost = cost_range(
            card,
            estimate.input_low,
            estimate.usage,
            estimate.input_high,
            ttls=ttls,
            max_output=conversation.max_output,
            choices=conversation.choices,
        )
        return revised(estimate, cost=cost)

    def rates(self, plan: Plan) -> Mapping[str, int] | None:
        """Pico-dollars per token by bucket, for a request of this length; ``None`` where no price is known."""
        card = self._listed(plan)
        return card.rates(plan.estimate.input_tokens if plan.estimate else 0) if card else None

    def billed(self, plan: Plan, record: Record) -> Mapping[str, int] | None:
        """Pico-dollars per token by bucket, by the price list of the record; ``None`` where that is not known.

        Where the provider says another sum, each bucket has its share of it.
        """
        usage, listed, paid = record.usage, pico_of(record.card_cost), pico_of(record.cost)
        if usage is None or listed is None or paid is None:
            return None
        card = next(self._answered(plan, record), None)
        if card is None:
            return None
        rates = card.rates(usage.input_total or 0)
        return {bucket: rate * paid // listed for bucket, rate in rates.items()} if listed else rates

    def limits(self, plan: Plan) -> tuple[int | None, tuple[int, ...]]:
        """Most tokens that fit the model, where known, and lengths above which every token of a prompt costs more."""
        card = self._listed(plan)
        return (card.context_window, tuple(tier.above for tier in card.tiers[1:])) if card else (None, ())

    def rent(self, plan: Plan, tokens: int) -> tuple[int, int, int] | None:
        """Pico-dollars per token of input and of a read, and per token and hour of storage; ``None``: one is unknown."""
        card = self._prices.card(plan.platform, plan.model, at=plan.created, region=plan.region)
        rates = card.rates(tokens) if card else {}
        if card is None or card.storage is None or "fresh" not in rates or "read" not in rates:
            return None
        return rates["fresh"], rates["read"], card.storage

    def missed(self, plan: Plan, record: Record, usage: Usage, tokens: int) -> Decimal | None:
        """USD that so many tokens cost because they were not read; ``None`` where a price is unknown."""
        card = next(self._answered(plan, record), None) or self._listed(plan)
        return usd_of(missed(card, usage, tokens)) if card else None

    def spared(self, plan: Plan, record: Record, without: Usage) -> Decimal | None:
        """USD by which a record cost less than this usage would have, signed; ``None`` where a price is unknown.

        Both by the card of the record; where the provider billed another sum, nobody knows.
        """
        if record.usage is None or record.card_cost is None or record.cost != record.card_cost:
            return None
        for card in self._answered(plan, record):
            paid = charge(card, record.usage)
            if paid is not None and usd_of(paid) == record.card_cost:
                pico = charge(card, without)
                return None if pico is None else usd_of(pico - paid)
        return None

    def record(self, plan: Plan, answer: Answer | None, http_status: int | None, timing: Timing | None) -> Record:
        """The record of an attempt that ended; see :func:`ctxkit.metering.settling.record_of`."""
        named = (answer.model, answer.tier, answer.region) if answer else (None, None, None)
        card = next(self._cards(plan, *named), None) if plan.dialect and not plan.unmetered else None
        return record_of(plan, answer, http_status, timing, card)

    def _listed(self, plan: Plan) -> Card | None:
        """The price list of the model that is asked."""
        return self._prices.card(plan.platform, plan.model, at=plan.created, tier=plan.tier, region=plan.region)

    def _answered(self, plan: Plan, record: Record) -> Iterator[Card]:
        """The price list of a record, found as it was then: an answer may have told where it was served, too."""
        for region in (None, region_of(record.card or "")):
            for card in self._cards(plan, record.response_model, record.tier, region):
                if card.id == record.card:
                    yield card

    def _cards(self, plan: Plan, model: str | None, tier: str | None, region: str | None) -> Iterator[Card]:
        """Of the model that answered, then of the one that was asked: an answer may bear a name of its own."""
        tier, region = tier or plan.tier, region or plan.region
        for name in filter(None, (model, plan.model)):
            if card := self._prices.card(plan.platform, name, at=plan.created, tier=tier, region=region):
                yield card

    def learn(self, plan: Plan, record: Record) -> bool:
        """Let the next estimate of this feature know what this one came to; False where there is nothing to learn."""
        if record.status != "settled" or record.usage is None or not isinstance(plan.count, Count):
            return False
        self._learned.observe(plan.count, plan.feature, plan.model, record.usage)
        return True

    def dump(self) -> bytes:
        """All that was learned, for a store that outlives the process."""
        return self._learned.dump()

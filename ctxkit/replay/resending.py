"""A recording sent once more, request by request and at its own times, as a mode of ctxkit would have sent it.

What is driven is the kit itself, one for each recording: planned, served by the provider's simulated cache, settled with
what that says. ``raw`` is the same history as it was recorded, with one marker behind the opening instruction and one at
the tail where the wire has markers: what a well-cached application pays without ctxkit.

Answers cost the same in every mode: what was reported, or what the recorded answer weighs. Where requests carry reported
usage, simulated prompts are scaled so that the whole thread has as many tokens as were reported.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ctxkit.hall.imagined import Line, Nowhere, onlooking
from ctxkit.kit import Kit
from ctxkit.metering.meter import Meter
from ctxkit.metering.prices.card import charge
from ctxkit.model import Timing, Usage
from ctxkit.policy import Policy
from ctxkit.replay.billing import SECONDS
from ctxkit.replay.hashing import HASHER
from ctxkit.replay.markers import takes_markers, well_marked
from ctxkit.replay.posing import Assumed, posed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ctxkit.metering.prices import Card
    from ctxkit.model import Plan
    from ctxkit.replay.posing import Posed
    from ctxkit.replay.recording import Recording

__all__ = [
    "MODES",
    "OPTIMUM",
    "RAW",
    "Bench",
    "Bill",
    "added",
    "bill_of",
    "billed",
    "billed_in_all",
    "replayed",
    "served",
    "share_of",
]

MODES = ("observe", "cache", "lossless", "prune")
"""Each contains the one before."""

RAW = "raw"
"""As it was recorded, well marked."""

OPTIMUM = "optimum"
"""The least that any policy could have paid."""


@dataclass(frozen=True, slots=True)
class Bill:
    """What requests come to, in tokens and pico-dollars.

    Attributes:
        requests: how many.
        tokens: of all prompts as they are sent, cached parts included.
        fresh: of them at the plain rate.
        read: of them read from the cache.
        written: of them written to the cache, by time to live.
        output: tokens of all answers, as far as they are known.
        input_pico: price of the prompts; ``None``: nobody knows.
        output_pico: price of the answers, and of what is billed per call.
        silent: requests whose answer nobody knows: it costs nothing here, in any mode.
        refused: requests that the provider would have refused.
        unpriced: models without a price, as ``platform model``.
    """

    requests: int = 0
    tokens: int = 0
    fresh: int = 0
    read: int = 0
    written: Mapping[str, int] = field(default_factory=dict)
    output: int = 0
    input_pico: int | None = 0
    output_pico: int | None = 0
    silent: int = 0
    refused: int = 0
    unpriced: tuple[str, ...] = ()

    @property
    def pico(self) -> int | None:
        """All of it; ``None``: not known."""
        if self.input_pico is None or self.output_pico is None:
            return None
        return self.input_pico + self.output_pico


class Bench:
    """What replays share in one process: counts and prices. What is learned of one recording stays with it.

    Args:
        policy: whose price rows, cache rules and passes are used.
    """

    def __init__(self, policy: Policy | None = None) -> None:
        self.policy = policy or Policy()
        self.meter = Meter(prices=self.policy.prices)

    def kit(self, mode: str, ttl: str | None = None) -> Kit:
        """A fresh kit of a mode, in memory, that looks at nothing a second time and keeps no text.

        Words tell what is relevant: what vectors say depends on when they are there, and a replay says the same each time.
        """
        policy = onlooking(self.policy, mode, relevance="lexical")
        kit = Kit(policy.model_copy(update={"cache_ttl": ttl}) if ttl else policy)
        vars(kit.rooms).update(hasher=HASHER, meter=self.meter.beside(), ledger=Nowhere())
        return kit

    def card(self, one: Posed) -> Card | None:
        """The price list of a request."""
        return self.meter.prices.card(one.platform, one.model, at=one.priced_at, tier=one.tier)


def replayed(recording: Recording, assumed: Assumed | None = None, mode: str = RAW, bench: Bench | None = None) -> Bill:
    """What a recording would have come to.

    Args:
        recording: what was sent.
        assumed: other model, platform, life of entries, tier or day; default: as recorded.
        mode: ``"raw"``, ``"observe"``, ``"cache"``, ``"lossless"`` or ``"prune"``.
        bench: to be used for several replays; its policy says how modes work.
    """
    bench = bench or Bench()
    return billed(posed(recording, assumed or Assumed(), bench.meter.counter), mode, bench)


def billed(requests: Sequence[Posed], mode: str, bench: Bench) -> Bill:
    """The same of requests that are ready to be sent; a request that nobody understands is left out."""
    line = Line(bench.kit(MODES[0] if mode == RAW else mode, _ttl(requests)))
    found = []
    for number, one in enumerate(requests):
        after = requests[number + 1].now if number + 1 < len(requests) else one.now + SECONDS
        bill = _sent(one, mode, line, bench, min(one.now + SECONDS, max(after, one.now)))
        if bill is not None:
            found.append(bill)
    line.kit.close()
    return scaled(added(found), requests)


def billed_in_all(requests: Sequence[Posed], bench: Bench) -> dict[str, Bill]:
    """The same well marked and in each mode; where no wire takes markers, well marked is as it was recorded."""
    found = {mode: billed(requests, mode, bench) for mode in (RAW, *MODES[1:])}
    alike = not any(takes_markers(one.dialect) for one in requests)
    return {**found, MODES[0]: found[RAW] if alike else billed(requests, MODES[0], bench)}


def _ttl(requests: Sequence[Posed]) -> str | None:
    return requests[0].ttl if requests else None


def scaled(bill: Bill, requests: Sequence[Posed]) -> Bill:
    """The bill with as many tokens as were reported, where that is known and they were counted for the same model."""
    share = share_of(requests)
    if share == 1.0 or bill.input_pico is None:
        return bill
    return replace(bill, tokens=round(bill.tokens * share), input_pico=round(bill.input_pico * share))


def share_of(requests: Sequence[Posed]) -> float:
    """Reported tokens over counted ones, of the requests that carry both."""
    counted = sum(one.counted for one in requests if one.reported)
    reported = sum(one.reported or 0 for one in requests)
    return reported / counted if counted and reported else 1.0


def _sent(one: Posed, mode: str, line: Line, bench: Bench, ends: float) -> Bill | None:
    body = well_marked(one.body, one.dialect, one.ttl or one.life) if mode == RAW else one.body
    plan = line.kit.plan(body, dialect=one.dialect, platform=one.platform, model=one.model, now=one.now)
    if plan.unmetered or plan.estimate is None:
        return None
    usage, refused = served(plan, one, line, ends)
    bill = bill_of(one, usage, bench.card(one))
    if mode not in (RAW, MODES[0]):
        line.kit.settle(plan, replace(usage, output=usage.output or 0))
    return replace(bill, refused=int(refused))


def served(plan: Plan, one: Posed, line: Line, ends: float) -> tuple[Usage, bool]:
    """Usage as the simulated cache has it, with the recorded answer; and whether the provider would refuse it."""
    lasts = max(ends - one.now, 0.0)
    found = line.served(plan, Timing(sent=0.0, first_chunk=lasts / 2, last=lasts))
    if found is None:  # it would be refused, or the provider holds its history: nothing is known of a cache
        whole = plan.estimate.input_tokens if plan.estimate else 0
        usage = one.usage or Usage(whole, 0, {})
        return one.answered(usage), plan.forecast is not None and plan.forecast.rule != ""
    return one.answered(_warmed(found, one.warm)), False


def _warmed(usage: Usage, tokens: int) -> Usage:
    """The usage with so many tokens read that were written, or fresh: others had written them before."""
    if not tokens:
        return usage
    written, left = dict(usage.written or {}), max(tokens - (usage.read or 0), 0)
    for ttl, count in written.items():
        written[ttl] = count - min(count, left)
        left -= count - written[ttl]
    fresh = max((usage.fresh or 0) - left, 0)
    whole = usage.input_total or 0
    return replace(usage, read=whole - fresh - sum(written.values()), written=written, fresh=fresh)


def bill_of(one: Posed, usage: Usage, card: Card | None) -> Bill:
    """One request."""
    prompt = Usage(usage.fresh, usage.read, usage.written, output=0)
    paid = charge(card, prompt) if card else None
    whole = charge(card, replace(usage, output=usage.output or 0)) if card else None
    return Bill(
        requests=1,
        tokens=usage.input_total or 0,
        fresh=usage.fresh or 0,
        read=usage.read or 0,
        written=usage.written or {},
        output=usage.output or 0,
        input_pico=paid,
        output_pico=None if whole is None or paid is None else whole - paid,
        silent=int(usage.output is None),
        unpriced=(f"{one.platform or '?'} {one.model or '?'}",) if whole is None else (),
    )


def added(bills: Iterable[Bill]) -> Bill:
    """All of them together."""
    found = list(bills)
    written: dict[str, int] = {}
    for one in found:
        for ttl, tokens in one.written.items():
            written[ttl] = written.get(ttl, 0) + tokens
    return Bill(
        requests=sum(one.requests for one in found),
        tokens=sum(one.tokens for one in found),
        fresh=sum(one.fresh for one in found),
        read=sum(one.read for one in found),
        written=written,
        output=sum(one.output for one in found),
        input_pico=_sum(one.input_pico for one in found),
        output_pico=_sum(one.output_pico for one in found),
        silent=sum(one.silent for one in found),
        refused=sum(one.refused for one in found),
        unpriced=tuple(sorted({name for one in found for name in one.unpriced})),
    )


def _sum(values: Iterable[int | None]) -> int | None:
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total

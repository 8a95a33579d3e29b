"""What the requests of a ledger would have come to under other circumstances; see :mod:`ctxkit.replay.growth` for how."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ctxkit.metering.prices import charge
from ctxkit.metering.prices.card import Tier
from ctxkit.metering.prices.names import tier_name
from ctxkit.metering.ratios import ratio
from ctxkit.model import Usage
from ctxkit.money import usd_of
from ctxkit.replay.alternatives import Alternative
from ctxkit.replay.growth import Course, Given, Pricing, Sums
from ctxkit.replay.posing import Assumed, place_of
from ctxkit.replay.rows import rows_of_ledger
from ctxkit.replay.whatif import GROWTH, Priced, WhatIf

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ctxkit.metering.ledger import Ledger
    from ctxkit.metering.prices import Prices
    from ctxkit.metering.report.beside import Shadow
    from ctxkit.replay.growth import Slot
    from ctxkit.replay.rows import Row

__all__ = ["suppose", "supposed", "well_cached"]

_TOLD: Final = 3  # of a kind are named


class _Source(NamedTuple):
    """What rows have in common that are sent elsewhere in the same way."""

    platform: str
    model: str
    answered: str | None
    tier: str | None
    dialect: str


class _Simulation(NamedTuple):
    """Alternatives whose caches behave alike; the present, simulated, where all is ``None``."""

    model: str | None = None
    platform: str | None = None
    ttl: str | None = None


@dataclass(slots=True)
class _Run:
    """One simulation while rows come.

    Attributes:
        simulation: what is otherwise.
        pricings: by which prices its sums will be priced.
        forced: what was recorded is simulated, too.
        courses: by source.
    """

    simulation: _Simulation
    pricings: list[Pricing]
    forced: bool
    courses: dict[tuple[Any, ...], Course]


def suppose(
    ledger: Ledger,
    wanted: Sequence[Alternative],
    prices: Prices,
    *,
    since: float | None = None,
    until: float | None = None,
    shadow: Shadow | None = None,
) -> WhatIf:
    """The requests of a ledger, as they were and as they might have been. Reads it once, in a stream.

    Requests without reported usage or without a known cost are left out of both sides, and counted. What a mode would have
    sent is known only where it was planned in the shadow when the requests were sent.

    Args:
        ledger: read once it is up to date.
        wanted: what else might have been.
        prices: the price lists.
        since: unix time of the first request.
        until: of the first that is not wanted.
        shadow: what stronger modes would have saved, of the same time.

    Raises:
        StoreError: the ledger cannot be read.
    """
    bounds = (float("-inf") if since is None else since, float("inf") if until is None else until)
    left_out = Counter[str]()
    found = ledger.read(lambda db: supposed(rows_of_ledger(db, bounds, left_out), wanted, prices, shadow=shadow))
    notes = tuple(
        f"left out, because {why}: {count:,} request{'s' * (count != 1)}" for why, count in left_out.most_common()
    )
    return replace(found, notes=notes)


def supposed(
    rows: Iterable[Row], wanted: Sequence[Alternative], prices: Prices, *, shadow: Shadow | None = None
) -> WhatIf:
    """Requests as they were and as they might have been.

    Args:
        rows: in the order of time.
        wanted: what else might have been.
        prices: the price lists.
        shadow: what stronger modes would have saved, of the same requests.
    """
    runs = _runs([one for one in wanted if one.mode is None])
    present = Sums()
    for row in rows:
        _count(present, row)
        for run in runs:
            _take(run, row, prices)
    _close(runs)
    first = Priced(None, present.requests, *_tokens(present), present.cost, ())
    simulated = next((run for run in runs if run.forced), None)
    return WhatIf(
        present=first,
        alternatives=tuple(_in_mode(one, first, shadow) if one.mode else _priced(one, runs) for one in wanted),
        simulated=_told(None, simulated, 0) if simulated and _simulates(runs) else None,
    )


def well_cached(rows: Iterable[Row], wanted: Alternative, prices: Prices) -> Priced:
    """Requests with well-placed markers, on the model, platform, day, tier and life that are wanted; see :func:`supposed`."""
    simulation, pricing = _Simulation(wanted.model, wanted.platform, wanted.ttl), Pricing(wanted.at, wanted.tier)
    run = _Run(simulation, [pricing], forced=True, courses={})
    for row in rows:
        _take(run, row, prices)
    _close([run])
    return _told(wanted, run, 0)


def _take(run: _Run, row: Row, prices: Prices) -> None:
    source = (row.platform, row.model, row.answered, row.tier, row.dialect)
    course = run.courses.get(source)
    if course is None:
        named = _Source(*source)
        course = run.courses[named] = _course(run, named, prices)
    course.take(row)


def _close(runs: Iterable[_Run]) -> None:
    for run in runs:
        for course in run.courses.values():
            course.close()


def _tokens(sums: Sums) -> tuple[int, int, int, int]:
    return sums.input, sums.read, sum(sums.written.values()), sums.output


def _count(sums: Sums, row: Row) -> None:
    sums.requests += 1
    sums.fresh += row.fresh
    sums.read += row.read
    sums.output += row.output
    sums.cost += row.cost
    for ttl, tokens in row.written.items():
        sums.write(ttl, tokens)


# ---- simulating ----------------------------------------------------------------------------------------------------------


def _runs(wanted: Sequence[Alternative]) -> list[_Run]:
    """One for each simulation that differs, and the present simulated in the same way."""
    runs: dict[_Simulation, _Run] = {}
    for one in wanted:
        simulation = _Simulation(one.model, one.platform, one.ttl)
        run = runs.setdefault(simulation, _Run(simulation, [], forced=False, courses={}))
        if (pricing := Pricing(one.at, one.tier)) not in run.pricings:
            run.pricings.append(pricing)
    found = list(runs.values())
    if any(any(run.simulation) for run in found):
        found.append(_Run(_Simulation(), [Pricing()], forced=True, courses={}))
    return found


def _course(run: _Run, source: _Source, prices: Prices) -> Course:
    wanted = run.simulation
    assumed = Assumed(platform=wanted.platform, model=wanted.model)
    asked = source.model if wanted.model else source.answered or source.model  # some list a model by its date alone
    platform, _, model = place_of(assumed, source.platform, source.dialect, asked)
    recorded = platform == source.platform and model in (source.model, source.answered)
    same = recorded and wanted.ttl is None and not run.forced
    names = tuple(dict.fromkeys((source.answered or source.model, source.model))) if recorded else (model,)
    factor = ratio(source.platform, source.model, platform, model)
    given = Given(platform, model, names, source.tier, same, factor or 1.0, wanted.ttl)
    return Course(given, run.pricings, prices)


def _simulates(runs: Sequence[_Run]) -> bool:
    return any(not course.given.same for run in runs if not run.forced for course in run.courses.values())


# ---- pricing -------------------------------------------------------------------------------------------------------------


def _in_mode(wanted: Alternative, present: Priced, shadow: Shadow | None) -> Priced:
    """By what was planned in the shadow; never made up."""
    if wanted.to_dict() != Alternative(mode=wanted.mode).to_dict():
        return _open(
            wanted, "what a mode would send elsewhere is not known of a ledger, which keeps no text; give transcripts"
        )
    if shadow is None or not shadow.features:
        return _open(wanted, "nothing was planned in the shadow; give transcripts")
    if wanted.mode == shadow.mode:
        return replace(present, alternative=wanted, notes=("the mode that requests were sent in",))
    if any(wanted.mode not in one.costs for one in shadow.features):
        return _open(wanted, f"requests were sent in mode {shadow.mode}, which is stronger; give transcripts")
    as_sent = sum(one.as_sent for one in shadow.features)
    costs = sum(one.costs[wanted.mode or ""] for one in shadow.features)
    if not as_sent or present.pico is None:
        return _open(wanted, "what was planned in the shadow cost nothing; give transcripts")
    # Its figures go by counted tokens: the share that is saved holds, not the sum, and only for what was planned.
    share = Fraction(as_sent - costs, as_sent)
    planned = Fraction(min(shadow.planned, shadow.seen), max(shadow.seen, 1))
    pico = present.pico - round(present.pico * planned * share)
    note = (
        f"planned in the shadow: {shadow.planned:,} of {shadow.seen:,} requests, of whose cost {wanted.mode} takes off "
        f"{float(share):.1%}; the others are taken as they were sent, and tokens are not kept"
    )
    return Priced(wanted, present.requests, None, None, None, None, pico, (note,))


def _open(wanted: Alternative, why: str) -> Priced:
    return Priced(wanted, None, None, None, None, None, None, (why,))


def _priced(wanted: Alternative, runs: Sequence[_Run]) -> Priced:
    simulation = _Simulation(wanted.model, wanted.platform, wanted.ttl)
    run = next(run for run in runs if run.simulation == simulation and not run.forced)
    return _told(wanted, run, run.pricings.index(Pricing(wanted.at, wanted.tier)))


@dataclass(slots=True)
class _Sum:
    """Prices added up; requests without one are counted by the reason.

    Attributes:
        pico: of what has a price.
        requests: of it.
        recorded: what the same requests did cost.
        whys: requests without one.
    """

    pico: int = 0
    requests: int = 0
    recorded: int = 0
    whys: Counter[str] = field(default_factory=Counter)

    def add(self, sums: Sums, pico: int) -> None:
        """A group that has a price."""
        self.pico += pico
        self.requests += sums.requests
        self.recorded += sums.cost

    def notes(self) -> Iterator[str]:
        """Why the whole is not known, and what is."""
        for why, count in self.whys.most_common(_TOLD):
            yield f"{why} ({count:,} requests)"
        if self.whys and self.requests:
            paid, known = (f"${usd_of(pico):,.4f}" for pico in (self.recorded, self.pico))
            yield f"known for {self.requests:,} requests alone: {known}, where {paid} was paid"


def _told(wanted: Alternative | None, run: _Run, place: int) -> Priced:
    sums, priced = Sums(), _Sum()
    for course in run.courses.values():
        sums.fold(course.total())
        for slot in course.slots:
            _price(course, slot, place, priced)
    cost = None if priced.whys else priced.pico
    return Priced(wanted, sums.requests, *_tokens(sums), cost, (*priced.notes(), *_notes(run)))


def _price(course: Course, slot: Slot, place: int, priced: _Sum) -> None:
    """A stretch of time, group by group."""
    pricing, given, card = course.pricings[place], course.given, slot.cards[place]
    tier = tier_name(given.tier if pricing.tier is None else pricing.tier)
    unchanged = given.same and pricing.at is None and tier == tier_name(given.tier)
    for step, sums in slot.groups.items():
        if unchanged:
            priced.add(sums, sums.cost)
        elif card is None:
            in_tier = "" if tier == "standard" else f" in tier {tier}"
            priced.whys[f"no price is known for {given.model} on {given.platform}{in_tier}"] += sums.requests
        else:
            rates = card.rates(slot.steps[step - 1] + 1 if step else 1)
            pico = charge(replace(card, tiers=(Tier(0, rates),)), _usage(sums))
            if pico is None:
                priced.whys[f"{given.model} on {given.platform} has no price for {_unpriced(rates, sums)}"] += (
                    sums.requests
                )
            else:
                priced.add(sums, pico + rates.get("request", 0) * (sums.requests - 1))


def _usage(sums: Sums) -> Usage:
    return Usage(sums.fresh, sums.read, sums.written, sums.output, sums.reasoning, sums.media, sums.calls)


def _unpriced(rates: Any, sums: Sums) -> str:
    """Buckets that have tokens and no rate."""
    told = {"fresh": sums.fresh, "read": sums.read, "output": sums.output}
    names = {"fresh": "input", "read": "cache reads"}
    found = [names.get(name, name) for name, tokens in told.items() if tokens and name not in rates]
    found += [
        f"cache writes of {ttl}" for ttl, tokens in sums.written.items() if tokens and f"written.{ttl}" not in rates
    ]
    found += [f"calls of {name}" for name, count in sums.calls.items() if count and f"call.{name}" not in rates]
    return ", ".join(found[:_TOLD]) or "some of it"


def _notes(run: _Run) -> Iterator[str]:
    """How the tokens came to be."""
    simulated = [course for course in run.courses.values() if not course.given.same]
    if not simulated:
        return
    yield GROWTH
    for key, course in list(run.courses.items())[:_TOLD]:
        source, given = _Source(*key), course.given
        if given.same:
            continue
        known = ratio(source.platform, source.model, given.platform, given.model)
        if known is None:
            yield f"nobody measured well how {given.model} counts beside {source.model}: tokens stay as they were"
        elif known != 1.0:
            yield f"{source.model} to {given.model} on {given.platform}: {known:.2f} tokens for one, by a sample text"
    yield from dict.fromkeys(_doubts(simulated, run.simulation.ttl))
    if shorter := sum(course.shorter for course in simulated):
        yield f"shorter than the one before in their thread, and so taken as a new beginning: {shorter:,} requests"


def _doubts(courses: Sequence[Course], ttl: str | None) -> Iterator[str]:
    for course in courses[:_TOLD]:
        given = course.given
        if course.rule is None:
            yield f"nobody has described how {given.platform} caches {given.model}: nothing is read"
        elif ttl and ttl not in course.rule.lives:
            lives = ", ".join(life for life in course.rule.lives if life) or "one life only"
            yield f"{given.platform} sells no entries of {ttl} for {given.model} ({lives})"

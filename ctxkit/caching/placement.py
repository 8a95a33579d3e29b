"""Where to put markers, and for how long: chosen by what this request and those that follow it are expected to cost.

A few proposals are priced, each by the very function that simulates the cache, over the entries
that are believed alive. The cheapest is taken, and what was chosen for the request before stays unless another is clearly
cheaper.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ctxkit.caching.expected import expected_cost, relative_rates
from ctxkit.caching.habits import Choice
from ctxkit.caching.layout import Layout
from ctxkit.caching.proposals import Case, Proposal, proposals
from ctxkit.caching.simulator import names, refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal

    from ctxkit.caching.habits import Outlook
    from ctxkit.caching.proposals import Point
    from ctxkit.caching.rules.rule import Rule
    from ctxkit.caching.simulator.entries import Alive

__all__ = ["Placement", "place"]

_CLEARLY = 0.05  # by which share another choice has to be cheaper than the one that holds
_HARDLY = 0.01  # by which share the end of a prompt may be dearer to mark, in a conversation that goes on
_GOING_ON = 0.5
_WORTH = 0.001  # share of an uncached prompt's price that has to be won to change anything
_SEARCHED = 24  # positions before the last known one where its entry may stand


@dataclass(frozen=True, slots=True)
class Placement:
    """What is to be said to the cache.

    Attributes:
        rule: whose cache it will be then.
        points: markers to be added.
        mode: what the request is to say of its mode; ``None``: nothing.
        ttl: time to live for the whole request; ``None``: not to be said.
        choice: the same in short, to be remembered.
        note: what was found, in one sentence.
        expected: cost of this request and of those after it, with what was chosen and with nothing said.
        priced: it is known, in the unit of the rates that were given (else in thousandths of an input token).
    """

    rule: Rule
    points: tuple[Point, ...] = ()
    mode: Literal["implicit", "explicit"] | None = None
    ttl: str | None = None
    choice: Choice = Choice()  # noqa: RUF009 - a constant
    note: str = ""
    expected: tuple[float, float] = (0.0, 0.0)
    priced: bool = False


def place(
    layout: Layout,
    rule: Rule,
    *,
    alive: Alive,
    outlook: Outlook,
    rates: Mapping[str, int] | None = None,
    explicit: Rule | None = None,
    ttl: str = "auto",
    options: bool = True,
    cut: int = -1,
) -> Placement:
    """What is to be said to the cache of this request.

    Args:
        layout: the request, with what its user says to the cache.
        rule: how that cache works, as the request stands.
        alive: the live entry of a name, as far as is believed.
        outlook: what is to be expected of the request.
        rates: pico-dollars per token by bucket; ``None``: by the multipliers of the rule.
        explicit: how the cache works for a request that marks for itself, where that is another rule.
        ttl: time to live to be used, ``"auto"``: chosen.
        options: the wire has words for mode and life of the whole request, beside markers.
        cut: index of the last position that a later rewrite of the conversation is likely to leave; -1: none is expected.
    """
    reason = _idle(layout, rule, explicit)
    known = None if reason else _rates(rule, explicit or rule, rates)
    if known is None:
        return Placement(rule, note=reason or "nothing marked: what a cached token costs there is not known")
    entry = _nearest(layout, rule, alive, outlook)
    measured = _measured(layout, rule, alive, entry if entry >= 0 else outlook.opening)
    ttls = _ttls(explicit or rule, known[(explicit or rule).id], ttl)
    case = Case(layout, measured, entry, known, outlook, ttls, options, cut)
    plain = Proposal(rule)
    priced = [(_cost(case, plan), plan) for plan in (plain, *proposals(case, rule, explicit))]
    nothing = priced[0][0]
    cost, plan = _chosen(priced, nothing - _WORTH * layout.total * known[rule.id]["fresh"], outlook)
    if plan is not plain:  # chosen against marking later; told against never
        cost, nothing = (_cost(case, one, later=False) for one in (plan, plain))
    note = _note(case, plan, cost, nothing)
    by_card = rates is not None and known[rule.id].items() >= rates.items() and nothing < math.inf
    return Placement(plan.rule, plan.points, plan.mode, plan.ttl, plan.choice, note, (cost, nothing), by_card)


def _chosen(priced: Sequence[tuple[float, Proposal]], worth: float, outlook: Outlook) -> tuple[float, Proposal]:
    """The cheapest, if that is below ``worth``; what holds, unless that is clearly dearer; and its end marked, if hardly."""
    cost, plan = min(priced, key=lambda pair: pair[0])
    if cost >= worth:
        cost, plan = priced[0]
    held = [pair for pair in priced if pair[1].choice == outlook.previous]
    if held and held[0][0] <= cost * (1 + _CLEARLY) and held[0][0] < worth and not _adds_tail(plan, held[0][1]):
        cost, plan = held[0]
    if not outlook.begun and outlook.goes_on >= _GOING_ON:
        longer = [pair for pair in priced if pair[0] <= cost * (1 + _HARDLY) and _adds_tail(pair[1], plan)]
        cost, plan = min(longer, default=(cost, plan), key=lambda pair: pair[0])
    return cost, plan


def _adds_tail(plan: Proposal, held: Proposal) -> bool:
    """What holds goes on holding, and the end of the prompt is marked as well: nothing is lost by that change."""
    added = plan.choice.tail
    return added is not None and held.choice.tail is None and plan.choice == held.choice._replace(tail=added)


def _idle(layout: Layout, rule: Rule, explicit: Rule | None) -> str:
    """Why nothing can be marked; ``""`` when something can."""
    if not (rule.marker or (explicit and explicit.marker)) or rule.match == "handle":
        return "nothing marked: this cache takes no markers"
    if layout.ask.prewarm or layout.ask.handle:
        return "nothing marked: the request says itself what is to be cached"
    least = (explicit or rule).minimum or 0
    if not layout.positions or layout.total < least:
        return f"nothing marked: about {layout.total:,.0f} tokens of {least:,} that are cached at least"
    return ""


def _nearest(layout: Layout, rule: Rule, alive: Alive, outlook: Outlook) -> int:
    """The live entry that ends last, looked for near the last position that was sent before; -1: none."""
    name = names(rule, layout)
    near = range(outlook.known, max(outlook.known - _SEARCHED, -1), -1)
    return next((index for index in near if alive(name(index)) is not None), -1)


def _measured(layout: Layout, rule: Rule, alive: Alive, index: int) -> Alive:
    """Entries are counted as the provider reported them, the request by estimate: they are brought to one measure."""
    entry = alive(names(rule, layout)(index)) if index >= 0 else None
    if entry is None or not entry.tokens or not layout.positions[index].tokens:
        return alive
    ratio = entry.tokens / layout.positions[index].tokens
    return lambda one: (found := alive(one)) and found._replace(tokens=found.tokens / ratio)


def _rates(rule: Rule, explicit: Rule, rates: Mapping[str, int] | None) -> dict[str, Mapping[str, int]] | None:
    """Rates by rule: one price card holds for both where they multiply alike."""
    if rates is not None and {"fresh", "read"} <= rates.keys() and rule.read == explicit.read:
        return {rule.id: _completed(rates, rule), explicit.id: _completed(rates, explicit)}
    one, other = relative_rates(rule), relative_rates(explicit)
    return {rule.id: one, explicit.id: other} if one and other else None


def _completed(rates: Mapping[str, int], rule: Rule) -> dict[str, int]:
    """Writes that the card does not tell apart are priced by the multipliers of the rule."""
    written = {f"written.{ttl}": round(rates["fresh"] * price) for ttl, price in rule.write.items()}
    if "written" in rates:
        written[f"written.{rule.ttl}"] = rates["written"]
    return {**written, **rates}


def _ttls(rule: Rule, rates: Mapping[str, int], asked: str) -> tuple[str, ...]:
    """Times to live that may be chosen, shortest first."""
    sold = [ttl for ttl in sorted(rule.lives, key=lambda name: rule.lives[name]) if f"written.{ttl}" in rates]
    sold = sold or [rule.ttl]
    return (asked,) if asked in sold else tuple(sold)


# ---- What they cost ---------------------------------------------------------------------------------------------------


def _as_marked(layout: Layout, plan: Proposal) -> Layout:
    """The request as it would be sent."""
    marks, ask = layout.marks, layout.ask
    if plan.points:
        marks = {**marks, **{point.at: point.ttl for point in plan.points}}
    if plan.mode or plan.ttl:
        ask = replace(ask, mode=plan.mode or ask.mode, ttl=plan.ttl or ask.ttl)
    # Not ``replace``: six of them are made for each request.
    return Layout(layout.space, layout.positions, marks, ask, layout.keys, layout.total, layout.sources)


def _cost(case: Case, plan: Proposal, *, later: bool = True) -> float:
    """What is expected; infinite for what the provider would refuse. ``later``: the next requests may be marked."""
    layout = _as_marked(case.layout, plan)
    if plan.points and refusal(plan.rule, layout) is not None:
        return math.inf
    ttl = plan.rule.ttl if plan.rule.ttl in case.ttls else case.ttls[0]
    rates = case.rates[plan.rule.id]
    return expected_cost(layout, plan.rule, case.alive, case.outlook, rates, later=ttl if later else None)


# ---- In words ---------------------------------------------------------------------------------------------------------


def _note(case: Case, plan: Proposal, cost: float, nothing: float) -> str:
    if plan.choice == Choice():
        return f"nothing marked: nothing else is expected to cost less ({case.outlook.goes_on:.0%} are continued)"
    if nothing == math.inf:  # no price of what its user's own markers write
        saved = "what it would cost unmarked is not known"
    else:
        saved = f"this request and what follows are expected to cost {1 - cost / nothing:.0%} less than unmarked"
    if plan.mode == "explicit" and not plan.points:
        return f"asks the provider to write nothing: nobody is expected to read it; {saved}"
    return saved

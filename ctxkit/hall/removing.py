"""What could go from a request, and whether it goes now: the annexe of the hall where hygiene's candidates are priced.

Each way of letting something go is planned to the end, with the markers it would get, and priced as the provider would
bill it over the entries that exist. All pending candidates ride one rewrite; it may begin at the first of them or at a
later one. What does not pay waits, and is said to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ctxkit.caching.rewriting import Alternative, Choice, Cut, best_cuts, choose, input_cost, steady_rate
from ctxkit.editable import Candidate, Fold, Pending, Tidied, tallied
from ctxkit.hygiene.decisions import Decided
from ctxkit.hygiene.editing import Said, combined, standing
from ctxkit.hygiene.episodes import joined
from ctxkit.money import usd_of
from ctxkit.revise import revised

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ctxkit.editable import Action, Place, Rewrite
    from ctxkit.hall.retelling import Request
    from ctxkit.hygiene.stubs import Sayings
    from ctxkit.model import Edit, Plan

__all__ = ["Case", "Way", "best_way", "told"]

_SIDE_BY_SIDE = 6  # folded stretches that are worth being said as one
_CLIFF = 1.5  # how far above a price step a prompt may be for it to be worth a try to get under it
_MARGIN = 0.02  # share of a limit that is left free, for what the estimate is off
_ROOM = 0.15  # share of a limit that is made free when something has to go again: not each request is to be a rewrite
_TRIES = 4  # times that more goes where too much came back

Fitting: TypeAlias = "Callable[[Callable[[Action], float], float], Iterable[Candidate]]"
"""What has to go to take out so many tokens, given what each action takes out."""


class Case(NamedTuple):
    """A request that is being tidied.

    Attributes:
        request: as the application sent it.
        arrived: what was made smaller on arrival.
        decided: what holds already.
        render: what an action comes to.
        planned: a plan to the end of the request with this said, a later rewrite being likely to begin at this message.
        rates: pico-dollars per token by bucket of a plan.
        remaining: requests that the thread will still have, at the lower quartile.
        affordable: a rewrite that costs so much first may be bought.
        candidates: what could go, nothing of it protected.
        limit: most tokens that a prompt may have, where there is a limit.
        cliffs: lengths above which every token of a prompt costs more.
        fitting: what has to go to take out so many tokens, given what each action takes out; nothing of it protected.
    """

    request: Request
    arrived: Mapping[Place, Rewrite]
    decided: tuple[Decided, ...]
    render: Callable[[Action], Sayings]
    planned: Callable[[Said, int], Plan]
    rates: Callable[[Plan], Mapping[str, int] | None]
    remaining: float
    affordable: Callable[[float], bool]
    candidates: Sequence[Candidate] = ()
    limit: int | None = None
    cliffs: Sequence[int] = ()
    fitting: Fitting | None = None

    def way(self, news: Sequence[Candidate] = ()) -> Way:
        """The request without these, planned to the end."""
        decided = tuple(standing([*self.decided, *(Decided(one.action, one.by) for one in news)]))
        said = combined(self.arrived, decided, self.render)
        return Way(self.planned(said, self._next_cut(decided)), said, decided, tuple(news))

    def _next_cut(self, decided: Sequence[Decided]) -> int:
        """Index of the message at which a later rewrite is likely to begin: behind what went already; -1: nobody knows."""
        ends = [one.action.end if isinstance(one.action, Fold) else one.action.place[0] + 1 for one in decided]
        return max(ends, default=min((one.first for one in self.candidates), default=-1))


class Way(NamedTuple):
    """One way to send a request, planned to the end.

    Attributes:
        plan: with everything that is known of it.
        said: instead of what the application sent.
        decided: all that holds then.
        news: what was decided for this request.
        choice: why it was taken.
        waiting: what could go and stays.
    """

    plan: Plan
    said: Said
    decided: tuple[Decided, ...]
    news: tuple[Candidate, ...] = ()
    choice: Choice = Choice(-1)
    waiting: tuple[Candidate, ...] = ()


def best_way(case: Case, keep: Way) -> Way:
    """``keep``, or the way that takes something out, where that pays or has to be."""
    forced = _forced(case, keep)
    if forced is not None:
        return forced
    rates, forecast = case.rates(keep.plan), keep.plan.forecast
    cost, candidates = input_cost(forecast, rates), _new(case)
    if rates is None or cost is None or forecast is None:
        return keep._replace(waiting=tuple(candidates))
    steady = steady_rate(forecast, rates)
    groups = _groups(case, keep, candidates, rates, steady) if candidates else []
    at_once = _as_one(case, candidates)
    if at_once:
        groups += _groups(case, keep, at_once, rates, steady)[:1]
    return _chosen(case, keep, cost, [*groups, *_under_cliffs(case, keep)], candidates)


def _chosen(
    case: Case, keep: Way, cost: float, groups: Sequence[Sequence[Candidate]], candidates: Sequence[Candidate]
) -> Way:
    """Each group planned to the end and priced; the best one, if one may be bought."""
    ways = [case.way(group) for group in groups]
    priced = [(way, input_cost(way.plan.forecast, case.rates(way.plan))) for way in ways]
    known = [(way, now) for way, now in priced if now is not None]
    choice = choose(
        Alternative(cost, _later(case, keep.plan)),
        [Alternative(now, _later(case, way.plan), _carried(case, way)) for way, now in known],
        remaining=case.remaining,
        affordable=case.affordable,
    )
    taken = known[choice.index][0] if choice.index >= 0 else keep
    going = {one.action for one in taken.news}
    return taken._replace(choice=choice, waiting=tuple(one for one in candidates if one.action not in going))


def _forced(case: Case, keep: Way) -> Way | None:
    """The way that fits the limit, where ``keep`` does not."""
    tokens = _tokens(keep.plan)
    if case.limit is None or case.fitting is None or tokens <= case.limit * (1 - _MARGIN):
        return None
    over = tokens - case.limit * (1 - _room(case))
    why = f"{tokens:,.0f} tokens do not fit {case.limit:,}"
    found: Way | None = None
    for _ in range(_TRIES):
        group = _fit(case, keep, over)
        if not group:
            break
        found = case.way(group)._replace(choice=Choice(0, why=why))
        left = _tokens(found.plan) - case.limit * (1 - _MARGIN)
        if left <= 0:
            break
        over += left  # what pointed to something that went says its own text again
    return found


def _room(case: Case) -> float:
    """Share of the limit that is made free: the first time no more than must, for nobody knows whether more comes."""
    return _ROOM if any(one.by == "fit" for one in case.decided) else _MARGIN


def _under_cliffs(case: Case, keep: Way) -> Iterator[Sequence[Candidate]]:
    """What would have to go to get under a price step that is near."""
    tokens = _tokens(keep.plan)
    for cliff in case.cliffs:
        if cliff < tokens <= cliff * _CLIFF and (group := _fit(case, keep, tokens - cliff * (1 - _ROOM / 2))):
            yield group


def _fit(case: Case, keep: Way, over: float) -> list[Candidate]:
    if case.fitting is None:
        return []
    before = case.request.removed(keep.said)
    return list(case.fitting(lambda action: _removed(case, action, before), over))


def _new(case: Case) -> list[Candidate]:
    """Candidates that change anything, the earliest first; what a fold takes along needs no place of its own."""
    held = {one.action for one in case.decided}
    fresh = [one for one in case.candidates if one.action not in held and any(case.render(one.action))]
    beside = {one.action for one in standing([*case.decided, *(Decided(one.action, one.by) for one in fresh)])}
    first = {one.action: one for one in reversed(fresh)}
    return sorted((one for action, one in first.items() if action in beside), key=lambda one: one.first)


def _as_one(case: Case, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The same with stretches side by side said as one, those that were folded before among them; ``[]``: there are none."""
    actions = [*(one.action for one in case.decided), *(one.action for one in candidates)]
    folds = [action for action in actions if isinstance(action, Fold)]
    runs = [run for run in joined(folds) if sum(run.start <= fold.start < run.end for fold in folds) >= _SIDE_BY_SIDE]
    if not runs:
        return []
    reason = "finished stretches side by side are said as one"
    found = [Candidate(run, "episodes", reason, run.end) for run in runs]
    inside = [one for one in candidates if not any(run.start <= one.first < run.end for run in runs)]
    return sorted([*found, *inside], key=lambda one: one.first)


def _groups(
    case: Case, keep: Way, candidates: Sequence[Candidate], rates: Mapping[str, int], steady: float
) -> list[Sequence[Candidate]]:
    """What to take out together: all candidates from a cut on, for the most promising cuts."""
    before = case.request.removed(keep.said)
    saved = [_removed(case, one.action, before) for one in candidates]
    reached, gone = case.request.reached, _running(before, len(case.request.messages))
    firsts = [one.first for one in candidates]
    starts = [index for index, first in enumerate(firsts) if index == 0 or first != firsts[index - 1]]
    cuts = [Cut(reached[firsts[index]] - gone[firsts[index]], sum(saved[index:])) for index in starts]
    total = reached[-1] - gone[-1]
    found = best_cuts(cuts, total, rates, steady=steady, remaining=case.remaining)
    return [candidates[starts[index] :] for index in found]


def _running(removed: Mapping[int, float], count: int) -> list[float]:
    """Tokens that are gone before each message, and all of them at last."""
    found, tokens = [], 0.0
    for index in range(count):
        found.append(tokens)
        tokens += removed.get(index, 0.0)
    return [*found, tokens]


def _removed(case: Case, action: Action, before: Mapping[int, float]) -> float:
    """Tokens that an action takes out of what is sent as it is, about."""
    rewrites, drops = case.render(action)
    removed = case.request.removed(Said({one.place: one for one in rewrites}, dict.fromkeys(drops, "")))
    return sum(max(tokens - before.get(index, 0.0), 0.0) for index, tokens in removed.items())


def _carried(case: Case, way: Way) -> float:
    """What reading these has cost since they could have gone."""
    rates, forecast = case.rates(way.plan), way.plan.forecast
    if rates is None or forecast is None:
        return 0.0
    steps, spent = case.request.history.steps, 0.0
    for one in way.news:
        spent += sum(step >= one.since for step in steps) * _removed(case, one.action, {})
    return spent * steady_rate(forecast, rates)


def _tokens(plan: Plan) -> float:
    return plan.estimate.input_tokens if plan.estimate is not None else 0.0


def told(case: Case, way: Way) -> Plan:
    """The plan of a way, with what each edit is expected to save, and what was decided in words."""
    rates, plan = case.rates(way.plan), way.plan
    steady = steady_rate(plan.forecast, rates) if rates is not None and plan.forecast is not None else None
    edits = _with_savings(case, way, steady)
    waits = "the rewrite of this request begins behind it" if way.news else way.choice.why or "nobody knows its price"
    pending = tuple(Pending(one.by, one.reason, round(_removed(case, one.action, {})), waits) for one in way.waiting)
    decision = way.choice.why if way.news or way.waiting else ""
    said = f"rewritten now: {decision}" if way.news else f"waits: {decision}" if decision else ""
    tidied = Tidied(passes=tallied(edits), rewritten=bool(way.news), decision=said, pending=pending)
    return revised(plan, edits=edits, tidied=tidied)


def _with_savings(case: Case, way: Way, steady: float | None) -> tuple[Edit, ...]:
    """What goes is not read with this request and those that are expected at least; a rewrite's price comes off it."""
    edits, passes = way.plan.edits, {one.by for one in way.news}
    if steady is None:
        return edits
    removed = sum(one.tokens_before - one.tokens_after for one in edits if one.by in passes)
    each = max(way.choice.price, 0.0) / removed if removed > 0 else 0.0
    rate = steady * (1.0 + case.remaining)
    return tuple(_with_saving(one, rate - each if one.by in passes else rate) if one.by else one for one in edits)


def _with_saving(edit: Edit, rate: float) -> Edit:
    return revised(edit, predicted_saving=usd_of(round((edit.tokens_before - edit.tokens_after) * rate)))


def _later(case: Case, plan: Plan) -> float:
    """What the prompt will cost with each later request: one that is too short to be cached is fresh each time."""
    rates, forecast = case.rates(plan), plan.forecast
    if rates is None or forecast is None or plan.estimate is None:
        return 0.0
    return steady_rate(forecast, rates) * plan.estimate.input_tokens

"""What a provider's cache will do with a request, by its rules and the entries that are believed alive.

The matching is the simulator's own. What differs is the measure: an entry's tokens are those that the provider reported,
so everything behind it is measured from there, in the proportion in which the estimate of that prefix was off.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.cacheable import Forecast, Miss
from ctxkit.caching.economics import pings_worth
from ctxkit.caching.experience import CERTAIN, WAYS, Known
from ctxkit.caching.simulator.breakpoints import breakpoints
from ctxkit.caching.simulator.matching import match

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ctxkit.caching.experience import Experience
    from ctxkit.caching.habits import Choice
    from ctxkit.caching.imprint import Seen
    from ctxkit.caching.layout import Layout
    from ctxkit.caching.rules.rule import Rule
    from ctxkit.caching.simulator.entries import Alive, Entry, Matched
    from ctxkit.caching.unmarked import Plain
    from ctxkit.model import Estimate

__all__ = ["EXACT", "FIRST", "NEWEST", "Foreseen", "foresee", "short", "telling", "told"]

EXACT = ("marks", "endings", "handle")
"""Ways of matching in which what is read ends where something was marked, to the token."""
FIRST, NEWEST = 16, 48  # positions from the begin and from the end of a prompt
_ALIKE, _FRAME = (0.5, 2.0), 16  # how far an answer may be from its estimate, and the tokens of a message's frame
_ODD = (0.25, 4.0)  # a reported prefix that is further from its estimate says that one of them is not what it seems


class Foreseen(NamedTuple):
    """A forecast with the positions behind it.

    Attributes:
        rule: the rules it goes by.
        layout: the request.
        matched: what is read and written, by position.
        forecast: the same for people.
        tokens: turns the estimated tokens of a prefix into those the provider would count.
        choice: what ctxkit said to the cache, where it decides.
        known: what the expected read goes by, where a cache does as best it can; ``None``: nothing is expected.
        seen: the request as it was planned, for telling later what has changed.
        plain: the request as its user wrote it, where ctxkit may say something to the cache.
    """

    rule: Rule
    layout: Layout
    matched: Matched
    forecast: Forecast
    tokens: Callable[[float], float]
    choice: Choice | None = None
    known: Known | None = None
    seen: Seen | None = None
    plain: Plain | None = None


def foresee(
    rule: Rule, layout: Layout, alive: Alive, experience: Experience | None = None, *, correction: float = 1.0
) -> Foreseen:
    """Forecast a request.

    Args:
        rule: how the provider's cache works.
        layout: the request.
        alive: the entries believed alive.
        experience: what settlements taught of this rule and model.
        correction: by which the tokens of the layout are off on the average, where no entry tells.
    """
    matched = match(rule, layout, alive, among=telling(len(layout.positions)))
    tokens = _measure(layout, matched, correction)
    # What a request adds beside its messages (hidden instructions for tools) stands before them: in what is known.
    end = layout.total if matched.entry is None else layout.positions[-1].tokens
    whole = max(round(tokens(end)), matched.tokens)
    if matched.entry is not None and matched.entry.tokens >= layout.total:
        # The estimate is too low: a prefix cannot have more tokens than the whole.
        matched = match(rule, replace(layout, total=whole), alive, among=telling(len(layout.positions)))
    model, probability = layout.space.model, None
    step = experience.step(rule.id, model) if experience is not None and rule.match == "prefix" else None
    known = _known(rule, layout, matched, whole, step, tokens)
    if known is not None and experience is not None:
        read = known.bound
        if rule.match not in EXACT:
            read = experience.tokens(rule.id, model, known, CERTAIN if rule.certain else WAYS)
        read = read if read >= (rule.minimum or 0) else 0
        matched = matched._replace(tokens=read, most=max(read, matched.most))
        probability = experience.probability(rule.id, model)
    written = _written(rule, layout, matched, tokens, whole)
    forecast = Forecast(
        rule=rule.id,
        cached_tokens=matched.tokens,
        bound_tokens=matched.most,
        written=written,
        fresh=max(whole - matched.tokens - sum(written.values()), 0),
        misses=tuple(_expected_misses(rule, layout, matched, tokens)),
        guaranteed=rule.guaranteed,
        hit_probability=probability,
        pings=_pings(rule, matched),
        expires=matched.entry.expires if matched.entry is not None else None,
    )
    return Foreseen(rule, layout, matched, forecast, tokens, known=known if matched.tokens else None)


def short(rule: Rule, estimate: Estimate | None) -> Forecast:
    """The forecast of a request that is far too short to be cached."""
    whole = estimate.input_tokens if estimate is not None else 0
    miss = Miss("below_minimum", whole, detail=f"{whole:,} tokens, {rule.minimum or 0:,} are the least")
    return Forecast(
        rule=rule.id, cached_tokens=0, bound_tokens=0, fresh=whole, misses=(miss,), guaranteed=rule.guaranteed
    )


def _known(
    rule: Rule, layout: Layout, matched: Matched, whole: int, step: int | None, tokens: Callable[[float], float]
) -> Known | None:
    entry = matched.entry
    if entry is None or matched.read < 0:
        return None
    answer = _answer(layout, matched, entry, tokens)
    again = entry.again if entry.again >= 0 else None
    most, size = max(whole - 1, 0), step or rule.granularity
    bound = matched.tokens if rule.match != "prefix" else int(min(entry.tokens, most)) // size * size
    return Known(bound, entry.tokens, answer, again, size, most, rule.match != "prefix" or step is not None)


def _answer(layout: Layout, matched: Matched, entry: Entry, tokens: Callable[[float], float]) -> float:
    """Tokens of the answer behind what is read, where the next message is about as long: it is sent back."""
    positions, after = layout.positions, matched.read + 1
    if after >= len(positions) or positions[after].role != "assistant" or not entry.answer:
        return 0.0
    while after + 1 < len(positions) and positions[after + 1].message == positions[after].message:
        after += 1
    sent = tokens(positions[after].tokens) - entry.tokens
    least, most = _ALIKE
    return entry.answer if least * entry.answer - _FRAME <= sent <= most * entry.answer + _FRAME else 0.0


def telling(count: int) -> Sequence[int]:
    """Positions looked at where a prefix may end anywhere: what others may share, and what a conversation goes on from."""
    return range(count) if count <= FIRST + NEWEST else (*range(FIRST), *range(count - NEWEST, count))


def _pings(rule: Rule, matched: Matched) -> int | None:
    ttl = matched.writes[0].ttl if matched.writes else matched.entry.ttl if matched.entry is not None else ""
    write = rule.write.get(ttl or rule.ttl)
    if write is None or not rule.read or not rule.refresh or not (rule.certain or rule.guaranteed):
        return None
    return pings_worth(write, rule.read)


def _measure(layout: Layout, matched: Matched, correction: float) -> Callable[[float], float]:
    if matched.entry is None:
        return lambda estimate: estimate * correction
    known, estimated = matched.entry.tokens, layout.positions[matched.read].tokens if matched.read >= 0 else 0.0
    ratio = known / estimated if estimated else 1.0
    if not _ODD[0] < ratio < _ODD[1]:
        ratio = 1.0
    return lambda estimate: known + (estimate - estimated) * ratio


def _written(
    rule: Rule, layout: Layout, matched: Matched, tokens: Callable[[float], float], whole: int
) -> dict[str, int]:
    """Tokens that will be reported as written, by time to live."""
    if rule.match not in ("marks", "endings"):
        rest = whole - matched.tokens
        return {ttl: rest for ttl in matched.written if rest > 0}
    found: dict[str, int] = {}
    at = matched.tokens
    for index, ttl in matched.writes:
        end = min(round(tokens(layout.positions[index].tokens)), whole)
        if end > at:
            found[ttl] = found.get(ttl, 0) + end - at
            at = end
    return found


def _expected_misses(rule: Rule, layout: Layout, matched: Matched, tokens: Callable[[float], float]) -> list[Miss]:
    """What will not be cached although it could be, as far as the request alone tells."""
    whole = round(tokens(layout.total if matched.entry is None else layout.positions[-1].tokens))
    if rule.match == "marks" and not breakpoints(rule, layout):
        return (
            [Miss("not_marked", whole, detail="no cache marker in the request")] if whole >= (rule.minimum or 0) else []
        )
    if rule.minimum and matched.tokens == 0 and whole < rule.minimum:
        return [Miss("below_minimum", whole, detail=f"{whole:,} tokens, {rule.minimum:,} are the least")]
    return []


def told(forecast: Forecast) -> dict[str, object]:
    """A forecast as the ledger keeps it, what is unknown left out."""
    found = {
        "rule": forecast.rule,
        "read": forecast.cached_tokens,
        "bound": forecast.bound_tokens,
        "written": dict(forecast.written),
        "fresh": forecast.fresh,
        "probability": None if forecast.hit_probability is None else round(forecast.hit_probability, 3),
        "guaranteed": forecast.guaranteed or None,
        "unsupported": forecast.unsupported,
    }
    return {name: value for name, value in found.items() if value not in (None, {}, "")}

"""Forecasts that learn: what is believed of a provider's cache, and what its answers taught."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ctxkit.caching.believed import Believed
from ctxkit.caching.experience import Experience
from ctxkit.caching.forecast import EXACT, Foreseen, foresee
from ctxkit.caching.reconcile import reconciled

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxkit.caching.believed import Memory
    from ctxkit.caching.layout import Layout
    from ctxkit.caching.rules.rule import Rule
    from ctxkit.caching.simulator.entries import Alive
    from ctxkit.model import Usage

__all__ = ["Forecasting"]

_EXPERIENCE = b"experience"
_NOTED = 50  # settlements between two notes of what was learned
_LOWERED = 500
_SHORT = 0.5  # share of the least that is cached: nothing is told of requests below it


class Forecasting:
    """Makes forecasts and lets answers correct them; for all threads.

    Args:
        store: shared memory of workers and restarts.
        readable: adds entries of requests whose answers have begun and are not settled yet.
        doubt: told when rules keep promising reads that do not come.
    """

    def __init__(self, store: Memory, readable: Callable[[Alive], Alive], doubt: Callable[[str], None]) -> None:
        self.believed = Believed(store)
        self.experience = Experience(store.get(_EXPERIENCE))
        self._store = store
        self._readable = readable
        self._doubt = doubt
        self._lowered: dict[tuple[int, int], tuple[Rule, Rule]] = {}  # by id: a rule has no hash; the rule, and lowered
        self._surprising: set[tuple[str, str]] = set()  # (platform, model) where more is cached than rules say
        self._noted = 0

    def alive(self, now: float, *, shared: bool = False) -> Alive:
        """The entries that a request sent now can read; ``shared``: those other processes know of, too."""
        return self._readable(self.believed.alive(now, shared=shared))

    def forecast(self, rule: Rule, layout: Layout, now: float, correction: float) -> Foreseen:
        """What the cache will do with a request that is sent ``now``."""
        rule = self._as_seen(rule, layout.space.model)
        foreseen = foresee(rule, layout, self.alive(now), self.experience, correction=correction)
        if foreseen.matched.entry is None and not layout.known:  # new in this process: perhaps another one knows
            foreseen = foresee(rule, layout, self.alive(now, shared=True), self.experience, correction=correction)
        return self._doubting(foreseen) if foreseen.known is not None else foreseen

    def too_short(self, rule: Rule, platform: str, model: str, tokens: int) -> bool:
        """So many tokens are so far below the least that is cached that nothing of them is read or kept."""
        least = self._as_seen(rule, model).minimum
        return least is not None and tokens < _SHORT * least and (platform, model) not in self._surprising

    def settled_short(self, platform: str, model: str, usage: Usage) -> None:
        """One that was too short was answered: what was read all the same has the next ones looked at."""
        if usage.read and len(self._surprising) < _LOWERED:
            self._surprising.add((platform, model))

    def settled(self, foreseen: Foreseen, usage: Usage, began: float) -> None:
        """Let what was reported correct what is believed."""
        entries, gone, telling = reconciled(foreseen, usage, began)
        self.believed.drop(gone, began)
        self.believed.keep(entries, telling)
        total, read = usage.input_total, usage.read
        if read is None or total is None or not 0 <= read <= total:
            return  # what was not reported, or cannot be, teaches nothing
        self.experience.note(foreseen.rule.id, foreseen.layout.space.model, foreseen.known, read)
        self._noted += 1
        if self._noted % _NOTED == 0:
            self._store.put(_EXPERIENCE, self.experience.dump())

    def _as_seen(self, rule: Rule, model: str) -> Rule:
        """The rule with the least minimum that was ever observed, where a forecast is an upper bound."""
        if rule.match in EXACT or rule.minimum is None:
            return rule
        seen = [least for least in (rule.floor, self.experience.least(rule.id, model)) if least is not None]
        least = min([rule.minimum, *seen])
        if least == rule.minimum:
            return rule
        held = self._lowered.get((id(rule), least))
        if held is None:
            if len(self._lowered) >= _LOWERED:
                self._lowered.clear()
            held = self._lowered[id(rule), least] = rule, replace(rule, minimum=least)
        return held[1]

    def _doubting(self, foreseen: Foreseen) -> Foreseen:
        """Say so, and rely on it no more, where a rule keeps promising reads that do not come."""
        rule, model = foreseen.rule.id, foreseen.layout.space.model
        if not self.experience.doubted(rule, model):
            return foreseen
        doubt = f"by the rules of {rule} reads were expected of {model} that did not come"
        self._doubt(f"{doubt}; a row of your own helps (docs/how-to/cache-rules.md)")
        return foreseen._replace(forecast=replace(foreseen.forecast, cached_tokens=None, unsupported=doubt))

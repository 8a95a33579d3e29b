"""A mode as if it were in force: a kit that sends nothing, and the cache that would stand if it did. Part of the hall."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from ctxkit.caching.forecast import Foreseen
from ctxkit.caching.layout import Layout
from ctxkit.caching.simulator import State, commit, look
from ctxkit.model import Answer, Usage
from ctxkit.money import pico_of

if TYPE_CHECKING:
    from ctxkit.caching.rules.rule import Rule
    from ctxkit.caching.simulator.entries import Entry
    from ctxkit.kit import Kit
    from ctxkit.model import Json, Plan, Record, Timing
    from ctxkit.policy import Policy

__all__ = ["Line", "Nowhere", "imagined", "onlooking"]

_ENTRIES = 20_000


class Line:
    """One mode: a kit, and the cache that would stand if all requests were sent as it plans them."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()

    def cost(self, body: Json, asked: Plan, record: Record) -> int | None:
        """Pico-dollars that a request would have cost; ``None`` where nobody knows."""
        plan = self.kit.plan(
            body,
            dialect=asked.dialect,
            platform=asked.platform,
            model=asked.model,
            stream=asked.stream,
            feature=asked.feature,
            thread=asked.thread,
            scope=asked.scope,
            region=asked.region,
            now=asked.created,
        )
        usage = self.served(plan, record.timing)
        if usage is None or record.usage is None:
            return None
        usage = Usage(usage.fresh, usage.read, usage.written, record.usage.output, record.usage.reasoning)
        answer = Answer(usage=usage, model=record.response_model, tier=record.tier)
        return pico_of(self.kit.settle(plan, answer, timing=record.timing).cost)

    def served(self, plan: Plan, timing: Timing | None) -> Usage | None:
        """What the simulated cache reports of a planned request, and keeps of it; ``None`` where nobody knows."""
        found: Any = plan.layout
        if callable(found):  # too short to be cached, and not laid out
            found = found()
        if isinstance(found, Foreseen):
            return self._looked_up(found.layout, found.rule, plan.created, timing)
        return Usage(round(found.total), 0, {}) if isinstance(found, Layout) else None

    def _looked_up(self, layout: Layout, rule: Rule, now: float, timing: Timing | None) -> Usage | None:
        outcome = look(State(self._entries), layout, rule, now)
        if outcome.error is not None:
            return None
        begins, ends = _moments(timing, now)
        held = {name: self._entries[name] for name in outcome.stored if name in self._entries}
        for name, entry in commit(State(held), outcome, rule, begins=begins, ends=ends).entries.items():
            self._entries[name] = entry
            self._entries.move_to_end(name)
        while len(self._entries) > _ENTRIES:
            self._entries.popitem(last=False)
        return Usage(outcome.fresh, outcome.read, dict(outcome.written))


def _moments(timing: Timing | None, now: float) -> tuple[float, float]:
    """When an answer began and ended."""
    if timing is None or timing.sent is None or timing.last is None:
        return now, now
    begins = timing.first_chunk if timing.first_chunk is not None else timing.last
    return now + max(begins - timing.sent, 0.0), now + max(timing.last - timing.sent, 0.0)


class Nowhere:
    """A ledger that keeps nothing: what is only imagined must not be counted as paid."""

    sync = "normal"

    def append(self, entry: object) -> None:
        """Forget it."""

    def flush(self) -> None:
        """There is nothing."""

    def close(self) -> None:
        """There is nothing."""


def onlooking(policy: Policy, mode: str, **tidy: object) -> Policy:
    """The policy for a kit that sends nothing: it keeps no text and no answer, spares no thread, and has nothing behind it.

    Args:
        policy: of the kit that sends.
        mode: instead of its own.
        tidy: other options of tidying.
    """
    others: dict[str, object] = {"shadow": False, "drift": False, "cache_objects": False, "answers": None}
    less = policy.tidy.model_copy(update={"holdout": 0.0, "recall": "off", **tidy})
    return policy.model_copy(update={"mode": mode, "tidy": less, **others})


def imagined(kit: Kit, mode: str) -> Kit:
    """A kit of another mode, which keeps everything in memory.

    It shares hashes and what was counted with ``kit``, so that a text is counted once; what it learns is its own.
    """
    from ctxkit.kit import Kit as Another

    policy = onlooking(kit.policy, mode)
    other = Another(policy, clock=kit.clock, timer=kit.timer, strict=True)
    vars(other.rooms).update(hasher=kit.rooms.hasher, meter=kit.rooms.meter.beside(), ledger=Nowhere())
    if policy.tidies:
        other.rooms.tidying.accounts.trials.judges = False
    return other

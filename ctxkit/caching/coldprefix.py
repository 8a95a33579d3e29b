"""The cold prefix of a request: what it will write, what it would read of others, and whether that is worth a wait."""

from __future__ import annotations

from functools import partial
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.caching.economics import write_rate
from ctxkit.caching.simulator.breakpoints import names
from ctxkit.caching.simulator.entries import Entry
from ctxkit.caching.simulator.matching import match

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from ctxkit.caching.layout import Layout
    from ctxkit.caching.rules.rule import Rule
    from ctxkit.caching.simulator.entries import Alive, Matched

__all__ = ["Start", "start_of"]

_LEAST_SHARE = 0.1  # of the price of a prompt that a wait must be expected to spare


class Start(NamedTuple):
    """A request that is about to start, as far as its cold prefix goes.

    Attributes:
        attempt: its id.
        operation: id of the call, shared by its retries, which wait no longer together than one may alone.
        pace: what requests whose answers begin after about the same time have in common.
        at_end: what it writes can be read when its answer ends (else: when it begins).
        life: seconds for which that can be read at least.
        already: tokens it reads without waiting for anybody.
        writes: the entries it will write, by name.
        reads: tokens it would read, given these entries beside those that are alive, and the name of the last one.
        least: tokens more than without a wait that are worth one.
    """

    attempt: str
    operation: str
    pace: Hashable
    at_end: bool
    life: float
    already: int
    writes: Mapping[bytes, Entry]
    reads: Callable[[Alive], tuple[int, bytes]]
    least: float


def start_of(
    rule: Rule,
    layout: Layout,
    alive: Alive,
    *,
    attempt: str,
    operation: str = "",
    now: float = 0.0,
    pace: Hashable = None,
    rates: Mapping[str, int] | None = None,
    probability: float | None = None,
) -> Start | None:
    """The cold start of a request; ``None`` when there is none, or waiting for it could not pay.

    It cannot pay where nothing is written (no marker, below the minimum), where an entry appears some time after the
    answer or only once two requests were compared (DeepSeek), where the prefix is an object made beforehand, where
    requests share what is still being computed (vLLM), and where reads are no cheaper or have no price. Nor where it
    spares less than a tenth of what the prompt costs, expected misses of a best-effort cache taken into account: a call
    is not held up for the last turn of a conversation that is warm.

    Args:
        rule: how the provider's cache works.
        layout: the request.
        alive: the entries that can be read already.
        attempt: its id.
        operation: see :class:`Start`; default: the attempt.
        now: unix time in seconds.
        pace: see :class:`Start`.
        rates: pico-dollars per token by bucket, as a price card has them; ``None``: only the rule's multiples.
        probability: share of expected reads that come true; ``None``: unknown, taken for certain.
    """
    if rule.match in ("units", "handle") or rule.visible in ("starts", "seconds"):
        return None
    found = match(rule, layout, alive)
    writes = _writes(rule, layout, found, now)
    spared = _spared(rule, found, rates) * (1.0 if probability is None else probability)
    if not writes or spared <= 0:
        return None
    least = max(layout.total * _LEAST_SHARE / spared, 1.0)
    if max(entry.tokens for entry in writes.values()) - found.tokens < least:
        return None
    life = min(entry.expires for entry in writes.values()) - now
    reads = partial(_reads, rule, layout, alive)
    return Start(attempt, operation or attempt, pace, rule.visible == "ends", life, found.tokens, writes, reads, least)


def _writes(rule: Rule, layout: Layout, found: Matched, now: float) -> dict[bytes, Entry]:
    positions, name = layout.positions, names(rule, layout)
    return {
        name(index): Entry(positions[index].tokens, ttl, now, now + (rule.seconds(ttl) or inf))
        for index, ttl in found.writes
        if positions[index].tokens >= (rule.minimum or 0)
    }


def _reads(rule: Rule, layout: Layout, alive: Alive, others: Alive) -> tuple[int, bytes]:
    found = match(rule, layout, lambda name: others(name) or alive(name))
    return found.tokens, names(rule, layout)(found.read) if found.read >= 0 else b""


def _spared(rule: Rule, found: Matched, rates: Mapping[str, int] | None) -> float:
    """Share of a token's price that is spared when it is read, instead of what would become of it now.

    Nothing is spared where nobody knows a price: what is served on one's own machines is not billed by the token.
    """
    ttl = next(iter(found.written), None)
    if rates and "fresh" in rates:
        fresh = rates["fresh"]
        unread = fresh if ttl is None else write_rate(rates, ttl)
        return 1 - rates.get("read", fresh) / unread if unread else 0.0
    if rule.read is None:
        return 0.0
    return 1 - rule.read / (1.0 if ttl is None else rule.write.get(ttl, 1.0))

"""The least that a recording could have cost: the optimum of each stretch of it that only grows, and its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit import dialects
from ctxkit.errors import ConfigurationError
from ctxkit.replay.billing import Setting
from ctxkit.replay.hashing import HASHER
from ctxkit.replay.possible import optimum_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ctxkit.replay.posing import Posed
    from ctxkit.replay.resending import Bench

__all__ = ["least_of"]

_OFFERS = 150  # of one stretch that are looked at: more takes minutes, and what is left out saves little


def least_of(requests: Sequence[Posed], bench: Bench) -> float | None:
    """Pico-dollars of all prompts at the optimum, with real breakpoints; ``None``: a price is unknown.

    Each stretch begins with an empty cache, so that of a recording which often begins anew the figure may be a little high.
    """
    total = 0.0
    for run in _runs(requests):
        cost = _of_run(run, bench)
        if cost is None:
            return None
        total += cost
    return total


def _of_run(run: Sequence[Posed], bench: Bench) -> float | None:
    first = run[0]
    card = bench.card(first)
    if card is None:
        return None
    setting = Setting("", first.platform, first.model, first.dialect)
    try:
        return optimum_of(
            [one.body for one in run],
            [one.now for one in run],
            setting,
            card,
            policy=bench.policy.model_copy(update={"mode": "prune"}),
            counter=bench.meter.counter,
            prices=bench.meter.prices,
            most=_OFFERS,
        ).real
    except (ConfigurationError, ValueError, KeyError):  # without numpy, or no rule or price tells what a read costs
        return None


def _runs(requests: Sequence[Posed]) -> Iterator[list[Posed]]:
    """Stretches in which each request goes on from the one before, on the same model."""
    run: list[Posed] = []
    known: list[bytes] = []
    for one in requests:
        named = dialects.get(one.dialect)
        if named is None:
            continue
        view = named.view(one.body)
        digests, _ = HASHER.digests(view.messages, named.identity)
        place = (one.platform, one.model, one.dialect)
        same = run and place == (run[-1].platform, run[-1].model, run[-1].dialect)
        if not same or digests[: len(known)] != known:
            if run:
                yield run
            run = []
        run.append(one)
        known = digests
    if run:
        yield run

"""Which recordings are replayed where there are too many, and what all of them would have come to, judged by those.

Recordings are drawn by what they cost: of a total that is laid out recording after recording, in an order that only their
names decide, points at equal distances fall on the large ones more often. The mean of the ratios at those points times the
total is without bias, and how much the ratios differ says how far it may be off.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import Counter
from hashlib import blake2b
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["BUDGET", "Drawn", "Judged", "drawn", "judged"]

BUDGET = 4_000
"""Requests of usual length up to which everything is replayed; of more, a sample of a quarter as many."""

_POINTS = 600
_FEWEST = 6
_DRAWS = 1_000
_SEED = 7


class Drawn(NamedTuple):
    """What is replayed.

    Attributes:
        times: how often each recording was drawn, by its number.
        whole: it is all of them, each once.
    """

    times: Mapping[int, int]
    whole: bool


class Judged(NamedTuple):
    """A total over all recordings; of a sample with the interval that holds 95 of 100 such samples."""

    total: int
    low: int
    high: int


def drawn(names: Sequence[str], sizes: Sequence[int], work: Sequence[int], *, everything: bool = False) -> Drawn:
    """Which to replay.

    Args:
        names: of the recordings, unique.
        sizes: what each cost, or its tokens.
        work: requests that a replay of each takes.
        everything: whatever it takes.
    """
    if everything or sum(work) <= BUDGET or not sum(sizes):
        return Drawn(dict.fromkeys(range(len(names)), 1), whole=True)
    order = sorted(range(len(names)), key=lambda at: blake2b(names[at].encode("utf-8", "replace")).digest())
    ends = list(accumulate(sizes[at] for at in order))
    points = _POINTS
    while True:
        step = ends[-1] / points
        hits = Counter(order[min(bisect_right(ends, step * (point + 0.5)), len(order) - 1)] for point in range(points))
        if points <= _FEWEST or sum(work[at] for at in hits) <= BUDGET // 4:
            return Drawn(dict(sorted(hits.items())), whole=False)
        points = max(points * 3 // 4, _FEWEST)


def judged(sample: Drawn, sizes: Sequence[int], costs: Mapping[int, int]) -> Judged | None:
    """What all would have come to; ``None``: nothing is known of any that was drawn.

    Args:
        sample: what was replayed.
        sizes: as it was drawn by.
        costs: what each that was replayed came to, where that is known.
    """
    if sample.whole:
        total = sum(costs.values())
        return Judged(total, total, total) if costs else None
    ratios = [
        costs[at] / sizes[at] for at, times in sample.times.items() if at in costs and sizes[at] for _ in range(times)
    ]
    if not ratios:
        return None
    whole, chance = sum(sizes), random.Random(_SEED)  # noqa: S311 - the same each time is what is wanted
    means = sorted(sum(chance.choices(ratios, k=len(ratios))) / len(ratios) for _ in range(_DRAWS))
    low, high = means[round(_DRAWS * 0.025)], means[round(_DRAWS * 0.975) - 1]
    return Judged(round(whole * sum(ratios) / len(ratios)), round(whole * low), round(whole * high))

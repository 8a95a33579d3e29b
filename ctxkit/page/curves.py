"""Lines over numbered steps, such as the requests of conversations: each has points where something was measured."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from ctxkit.page.values import Chart, Series

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctxkit.page.values import Unit

__all__ = ["curves"]

_MOST: Final = 60
"""Steps that are drawn; of more, those at equal distances."""


def curves(title: str, lines: Sequence[tuple[str, Sequence[tuple[int, float]]]], unit: Unit, note: str = "") -> Chart:
    """A chart of lines by steps, straight from one point to the next and nowhere before the first or after the last.

    Args:
        title: what it shows.
        lines: names, and points as (number of the step from 1, value), in order.
        unit: of the values.
        note: a sentence below it.
    """
    last = max((points[-1][0] for _, points in lines if points), default=0)
    steps = range(1, last + 1) if last <= _MOST else [1 + round(at * (last - 1) / (_MOST - 1)) for at in range(_MOST)]
    drawn = tuple(Series(name, tuple(_at(points, step) for step in steps)) for name, points in lines)
    return Chart(title, "lines", tuple(map(str, steps)), drawn, unit, note)


def _at(points: Sequence[tuple[int, float]], step: int) -> float | None:
    behind = bisect_left(points, (step,))
    if behind < len(points) and points[behind][0] == step:
        return points[behind][1]
    if not 0 < behind < len(points):
        return None
    (start, low), (end, high) = points[behind - 1], points[behind]
    return low + (high - low) * (step - start) / (end - start)

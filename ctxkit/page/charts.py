"""Charts by pygal, as SVG for the inside of a page: no style, script or font of its own, colours by classes.

pygal decides where everything stands. What it draws is written anew from a short list of elements and attributes: the
stylesheet of the page colours it in both schemes, and nothing that a name could smuggle in gets through.
"""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any, Final

from ctxkit.page.formats import amount_of, axis_format, brief, format_of, shortened, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ctxkit.page.values import Cell, Chart, Series

__all__ = ["MEDIUM", "MOST_BARS", "MOST_MARKS", "MOST_SERIES", "NARROW", "WIDE", "Size", "cut", "drawn"]

MOST_SERIES: Final = 12
"""More cannot be told apart; the rest stands in the table."""
MOST_BARS: Final = 30
"""Bars beyond these stand in the table alone."""
MOST_MARKS: Final = 1_200
"""Of all series together: a year by day, three times."""

_LEAST: Final = 1e-12  # a pico-dollar; what is smaller is drawn as nothing
_MOST: Final = 1e15
_FONT: Final = 13
_LETTER: Final = 0.6 * _FONT  # width of a letter, as pygal reckons
_THICK: Final = 64  # a column at most
_TOLD: Final = 150
_SIDE: Final = 0.34  # of the width is for the names of bars
_MARKS: Final = 5  # of an axis, or one less


@dataclass(frozen=True, slots=True)
class Size:
    """Of a drawing, in pixels where it is shown as it is."""

    name: str
    width: int
    height: int
    marks: int  # of an axis from left to right, at most


NARROW: Final = Size("narrow", 340, 240, 3)
MEDIUM: Final = Size("medium", 540, 290, 5)
WIDE: Final = Size("wide", 1040, 330, 8)


def cut(chart: Chart) -> tuple[tuple[str, ...], tuple[Series, ...]]:
    """Labels and series that are drawn, not more than can be told apart: the first bars, the last columns."""
    series = chart.series[:MOST_SERIES]
    count = max((len(chart.labels), *(len(one.values) for one in series)), default=0)
    labels = (*chart.labels, *[""] * (count - len(chart.labels)))
    if chart.kind == "bars":
        return labels[:MOST_BARS], series
    first = max(0, count - MOST_MARKS // max(1, len(series)))
    return labels[first:], tuple(replace(one, values=one.values[first:]) for one in series)


def drawn(chart: Chart, size: Size, slots: Sequence[int], currency: str) -> str | None:
    """The chart as SVG; series ``i`` has the class ``s{slots[i]}``. ``None`` when there is nothing to draw."""
    chart = _turned(chart, size)
    labels, series = cut(chart)
    values = [_fitted(one.values, len(labels)) for one in series]
    known = [value for row in values for value in row if value is not None]
    if not known:
        return None
    low, high = _reach(chart, values)
    step = _step(high - low)
    tips = _tips(chart, labels, series, currency)
    side = [shortened(visible(label), int(size.width * _SIDE / _LETTER)) for label in labels]
    written = chart.kind == "bars" and len(values) == 1  # values stand beside their bars
    reach = _beyond(low, high, _share_beside(tips[0], side, size)) if written else _ends(low, high, step)
    step = _step(reach[1] - reach[0], size.marks) if chart.kind == "bars" else step
    marks = [place * step for place in range(math.ceil(reach[0] / step), math.floor(reach[1] / step + 1e-9) + 1)]
    axis = axis_format(chart.unit, currency, step, max(abs(low), abs(high)))
    plot = _Plot(chart, size, side if chart.kind == "bars" else labels, values, reach, marks, axis, written)
    told = size is not NARROW or sum(map(len, values)) <= _TOLD  # nobody points at anything on a telephone
    return _svg(plot.render(tips if told else [[""] * len(row) for row in tips]), size, slots)


def _turned(chart: Chart, size: Size) -> Chart:
    """Columns whose names would be cut to nothing lie down: beside bars there is more room."""
    names = [visible(label) for label in chart.labels]
    room = size.width / max(1, len(names)) / _LETTER - 2
    short = brief(names) != names or max(map(len, names), default=0) <= room
    if chart.kind != "columns" or short or room >= 12 or len(names) * len(chart.series) > 2 * MOST_BARS:
        return chart
    return replace(chart, kind="bars")


def _fitted(values: Sequence[Cell], count: int) -> list[float | None]:
    found = [_plotted(value) for value in values[:count]]
    return found + [None] * (count - len(found))


def _plotted(value: Cell) -> float | None:
    amount = amount_of(value)
    if amount is None or amount.copy_abs() >= _MOST:
        return None
    return float(amount) if amount.copy_abs() >= _LEAST else 0.0


def _reach(chart: Chart, values: list[list[float | None]]) -> tuple[float, float]:
    """The least and the largest that is drawn, zero among them."""
    if chart.kind == "stacked":
        columns = [[value for value in column if value is not None] for column in zip(*values, strict=True)]
        known = [sum(v for v in column if v > 0) for column in columns]
        known += [sum(v for v in column if v < 0) for column in columns]
    else:
        known = [value for row in values for value in row if value is not None]
    low, high = min((0.0, *known)), max((0.0, *known))
    return (0.0, 1.0) if low == high else (low, high)


def _step(reach: float, marks: int = _MARKS) -> float:
    rough = reach / marks
    power = 10.0 ** math.floor(math.log10(rough))
    return next((power * size for size in (1, 2, 5) if power * size >= rough * 0.999), power * 10)


def _ends(low: float, high: float, step: float) -> tuple[float, float]:
    """The ends of the axis: at a mark, unless that is far away."""
    ends = (step * math.floor(low / step + 1e-9), step * math.ceil(high / step - 1e-9))
    return (low * 1.1 if ends[0] < 4 * low else ends[0]), (high * 1.1 if ends[1] > 4 * high else ends[1])


def _beyond(low: float, high: float, share: float) -> tuple[float, float]:
    """The ends of the axis where ``share`` of it is for what is written beside the longest bars."""
    sides = (low < 0) + (high > 0)
    more = (high - low) * share / (1 - sides * share)
    return (low - more if low < 0 else 0.0), (high + more if high > 0 else 0.0)


def _share_beside(tips: Sequence[str], side: Sequence[str], size: Size) -> float:
    """How much of the width values take that stand beside their bars."""
    width = size.width - 24 - _LETTER * max(map(len, side))
    letters = max(len(tip.rsplit("\n", 1)[-1]) for tip in tips)
    return min(0.4, (letters * _LETTER + 8) / width)


def _tips(chart: Chart, labels: Sequence[str], series: Sequence[Series], currency: str) -> list[list[str]]:
    """What is said when one points at a mark."""
    form = format_of(chart.unit, currency, [value for one in series for value in one.values])

    def tip(label: str, one: Series, value: Cell) -> str:
        name = f"{shortened(visible(one.name), 80)}: " if one.name and len(series) > 1 else ""
        return f"{shortened(visible(label), 80)}\n{name}{form(value)}".strip()

    return [[tip(label, one, value) for label, value in zip(labels, one.values, strict=False)] for one in series]


def _library() -> tuple[Any, Any]:
    """pygal, and the size of its letters.

    It leaves a finder of map plugins behind, for which Python 3.11 warns at every later import that fails. An
    application that does not use pygal itself shall not hear of that.
    """
    theirs = "pygal" in sys.modules
    import pygal
    from pygal.style import Style

    if not theirs:
        sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "pygal"]
    return pygal, Style(label_font_size=_FONT, major_label_font_size=_FONT, value_font_size=_FONT)


@dataclass(frozen=True, slots=True)
class _Plot:
    """What pygal is asked to draw."""

    chart: Chart
    size: Size
    labels: Sequence[str]
    values: list[list[float | None]]
    reach: tuple[float, float]
    marks: list[float]
    axis: Any
    written: bool

    def render(self, tips: list[list[str]]) -> Any:
        """The tree that pygal makes of it."""
        pygal, style = _library()
        kinds = {
            "lines": pygal.Line,
            "columns": pygal.Bar,
            "stacked": pygal.StackedBar,
            "bars": pygal.HorizontalBar,
        }
        plot = kinds[self.chart.kind](style=style, **self._options())
        plot._series_margin = self._aside()  # noqa: SLF001 - has no option: few columns would be as wide as the page
        bars = self.chart.kind == "bars"
        for values, told in zip(self.values, tips, strict=True):
            points = self._points(values, told)
            plot.add("", points[::-1] if bars else points)
        return plot.render_tree()

    def _options(self) -> dict[str, Any]:
        bars = self.chart.kind == "bars"
        labels = self.labels[::-1] if bars else self._foot_labels()
        over = int(len(labels[-1]) * _LETTER / 2) if self.chart.kind == "lines" else 0
        return {
            "width": self.size.width,
            "height": self._height(),
            "margin": 8,
            "margin_top": 12,
            "margin_right": 8 + over,
            "spacing": 6,
            "show_legend": False,
            "x_labels": labels,
            "truncate_label": 200,
            "y_labels": self.marks,
            "range": self.reach,
            "value_formatter": self.axis,
            "allow_interruptions": True,
            "include_x_axis": True,
            "print_values": self.written,
            "print_values_position": "top",
            "rounded_bars": 2 if self.chart.kind != "stacked" else None,
            "dots_size": 3,
            "js": (),
            "css": (),
        }

    def _aside(self) -> float:
        """Share of a label's room that stays free on either side of its columns."""
        each = (self._height() if self.chart.kind == "bars" else self.size.width) * 0.85 / max(1, len(self.labels))
        wanted = _THICK * (1 if self.chart.kind == "stacked" else max(1, len(self.values)))
        return max(0.06, (1 - wanted / each) / 2)

    def _height(self) -> int:
        if self.chart.kind != "bars":
            return self.size.height
        count = len(self.labels)
        return max(44 + count * (14 + 14 * len(self.values)), min(44 + count * 52, self.size.height * 2 // 3))

    def _foot_labels(self) -> list[str]:
        """Labels below the marks: shortened, then thinned out until they do not touch."""
        width = self.size.width - 16 - _LETTER * max(len(self.axis(mark)) for mark in self.marks)
        each = width / max(1, len(self.labels))
        names = [visible(label) for label in self.labels]
        texts = brief(names)
        if texts == names:  # no days, which are thinned out rather than shortened
            texts = [shortened(name, max(6, int(each / _LETTER - 1.5))) for name in names]
        need = (max(map(len, texts), default=0) + 1.5) * _LETTER
        every = max(1, math.ceil(need / each))
        return [text if not place % every else "" for place, text in enumerate(texts)]

    def _points(self, values: list[float | None], tips: list[str]) -> list[dict[str, Any] | None]:
        many = len(self.labels) > 45
        points: list[dict[str, Any] | None] = []
        for place, value in enumerate(values):
            if value is None:
                points.append(None)
                continue
            point: dict[str, Any] = {"value": value, "tooltip": tips[place], "formatter": _said(tips[place])}
            if self.chart.kind == "lines" and many and not _alone(values, place):
                point["node"] = {"class": "dot quiet"}
            if self.chart.unit == "saved" and len(self.values) == 1 and self.chart.kind in {"bars", "columns"}:
                point["node"] = {"class": "rect won" if value > 0 else "rect lost"}
            points.append(point)
        return points


def _said(tip: str) -> Any:
    text = tip.rsplit("\n", 1)[-1]
    return lambda _: text


def _alone(values: Sequence[float | None], place: int) -> bool:
    before = values[place - 1] if place else None
    after = values[place + 1] if place + 1 < len(values) else None
    return before is None and after is None


_KEPT: Final = {
    "svg": (),
    "g": ("transform",),
    "path": ("d",),
    "rect": ("x", "y", "width", "height", "rx"),
    "circle": ("cx", "cy", "r"),
    "text": ("x", "y"),
    "title": (),
}
_CLASSES: Final = {"won", "lost", "line", "dot", "quiet", "rect", "value", "x", "y", "horizontal", "vertical"}
_DROPPED: Final = {"background", "tooltip-overlay", "titles"}
_NUMBER: Final = re.compile(r"-?\d+\.\d+")


def _svg(root: Any, size: Size, slots: Sequence[int]) -> str:
    inside = "".join("".join(_element(child, "", slots)) for child in root)
    box = " ".join(root.attrib["viewBox"].split()[:4])
    return f'<svg class="{size.name}" viewBox="{escape(box)}" role="img" aria-hidden="true">{inside}</svg>'


def _element(node: Any, above: str, slots: Sequence[int]) -> Iterator[str]:
    classes = str(node.attrib.get("class", "")).split()
    if _idle(node, classes, above):
        return
    inside = "".join("".join(_element(child, " ".join(classes), slots)) for child in node)
    text = escape(node.text) if node.tag in {"text", "title"} and node.text else ""
    if not inside and not text and node.tag in {"g", "text", "title"}:
        return
    yield f"<{node.tag}{_attributes(node, classes, slots)}"
    yield f">{inside}{text}</{node.tag}>" if inside or text else "/>"


def _idle(node: Any, classes: list[str], above: str) -> bool:
    """What is not shown: pygal's own tips, lines behind lines, columns of nothing."""
    if node.tag not in _KEPT or _DROPPED.intersection(classes):
        return True
    if node.tag == "title":
        return above not in {"bar", "dots"}
    if node.tag == "rect":
        return min(float(node.attrib.get(side, 0)) for side in ("width", "height")) < 0.005
    return False


def _attributes(node: Any, classes: list[str], slots: Sequence[int]) -> str:
    kept = [name for name in classes if name in _CLASSES]
    kept += ["guide"] if "guide" in classes else []
    kept += [f"s{slots[int(name[6:])]}" for name in classes if name.startswith("serie-")]
    kept += (
        ["below"] if node.tag == "text" and "value" in classes and str(node.text).startswith("\N{MINUS SIGN}") else []
    )
    pairs = [("class", " ".join(kept))] if kept else []
    pairs += [(name, _NUMBER.sub(_rounded, node.attrib[name])) for name in _KEPT[node.tag] if name in node.attrib]
    return "".join(f' {name}="{escape(value)}"' for name, value in pairs)


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}".removesuffix(".0")

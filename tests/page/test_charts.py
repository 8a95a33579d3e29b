"""Charts drawn by pygal and written anew: legible axes, gaps, signs, names that cannot do harm."""

import re
import subprocess
import sys

import pytest

from ctxkit.page import Chart, Page, Section, Series, render
from ctxkit.page.charts import MEDIUM, MOST_BARS, MOST_MARKS, MOST_SERIES, NARROW, WIDE, drawn
from ctxkit.page.sheet import SLOTS, Sheet
from tests.page import example
from tests.page.reading import read

KINDS = ("lines", "columns", "stacked", "bars")


def svg(chart, size=MEDIUM):
    text = drawn(chart, size, list(range(len(chart.series))), "USD")
    return read(text).one("svg")


def marks(root):
    return [one for one in root.all() if {"rect", "dot"} & set(one.classes)]


def labels(root, axis):
    return [text.text for group in root.all("g", **{"class": axis}) for text in group.all("text")]


def chart(kind, *rows, names="abc", unit="usd"):
    names = [f"{name}" for name in names]
    return Chart("A chart", kind, tuple(names), tuple(Series(f"s{n}", row) for n, row in enumerate(rows)), unit)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [NARROW, MEDIUM, WIDE])
def test_every_value_has_a_mark_and_every_mark_a_tip(kind, size):
    root = svg(chart(kind, (1, 2, 3), (4, None, 6)), size)
    assert len(marks(root)) == 5
    tips = [one.text for one in root.all("title")]
    assert sorted(tips) == ["a\ns0: $1.00", "a\ns1: $4.00", "b\ns0: $2.00", "c\ns0: $3.00", "c\ns1: $6.00"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "values", [(0, 0, 0), (0.0,), (5,), (-1, 2, -3), (-1, -2), (1e-12, 1e14), (1e300, 1), (5e-324,), (None, 3, None)]
)
def test_any_values_can_be_drawn(kind, values):
    root = svg(chart(kind, values, names="abc"[: len(values)]))
    numbers = [float(n) for one in root.all() for n in re.findall(r"-?\d+\.?\d*", one.attributes.get("d", ""))]
    assert all(abs(number) < 2_000 for number in numbers)
    for rect in root.all("rect"):
        assert float(rect.attributes["width"]) >= 0


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_known_is_no_drawing(kind):
    assert drawn(chart(kind, (None, None)), MEDIUM, [0], "USD") is None
    assert drawn(chart(kind, ()), MEDIUM, [0], "USD") is None
    assert drawn(Chart("x", kind, (), ()), MEDIUM, [], "USD") is None


def test_a_gap_breaks_the_line():
    root = svg(chart("lines", (1, 2, None, 3, 4, None, 5), names="abcdefg"))
    lines = [one.attributes["d"] for one in root.all("path") if one.above.classes == ["s0"]]
    assert len(lines) == 2
    assert len(marks(root)) == 5


def test_marks_of_long_lines_are_quiet_but_for_those_that_stand_alone():
    values = tuple(None if place % 10 == 0 or place == 2 else place for place in range(100))
    root = svg(Chart("Long", "lines", tuple(map(str, range(100))), (Series("x", values),)))
    loud = [one for one in marks(root) if "quiet" not in one.classes]
    assert len(loud) == 1


def test_axes_start_at_zero_and_have_few_marks():
    texts = labels(svg(chart("columns", (12, 19, 23))), "y")
    assert texts == ["$0", "$5", "$10", "$15", "$20", "$25"]


def test_losses_hang_below_zero():
    root = svg(chart("columns", (10, -10, None), unit="saved"))
    assert labels(root, "y") == ["−$10", "−$5", "$0", "$5", "$10"]
    won, lost = marks(root)
    assert ("won" in won.classes, "lost" in lost.classes) == (True, True)
    assert float(won.attributes["y"]) + float(won.attributes["height"]) == pytest.approx(
        float(lost.attributes["y"]), abs=0.2
    )


def test_bars_stand_in_the_order_given_with_their_values_beside_them():
    root = svg(chart("bars", (30, 20, -10), unit="saved"))
    assert labels(root, "y")[::-1] == ["a", "b", "c"]
    beside = {text.text: float(text.attributes["y"]) for text in root.all("text") if "value" in text.classes}
    assert sorted(beside, key=beside.get) == ["+$30.00", "+$20.00", "−$10.00"]


def test_stacked_columns_add_up():
    root = svg(chart("stacked", (10, 10, 0), (10, 5, 0), names="abc"))
    heights = [float(one.attributes["height"]) for one in marks(root)]
    assert heights == pytest.approx([heights[0], heights[0], heights[0], heights[0] / 2], abs=0.2)


@pytest.mark.parametrize(("size", "most"), [(NARROW, 5), (MEDIUM, 9), (WIDE, 17)])
def test_many_labels_are_thinned_out(size, most):
    days = tuple(f"2026-{month:02}-{day:02}" for month in range(1, 13) for day in range(1, 29))
    root = svg(Chart("Year", "lines", days, (Series("x", tuple(range(len(days)))),)), size)
    shown = labels(root, "x")
    assert 2 <= len(shown) <= most
    assert shown[0] == "Jan 1"


def test_columns_with_long_names_lie_down_where_there_is_no_room():
    names = tuple(f"a feature of number {n}" for n in range(6))
    columns = Chart("x", "columns", names, (Series("s", (1, 2, 3, 4, 5, 6)), Series("t", (1, 2, 3, 4, 5, 6))))
    assert list(svg(columns, WIDE).all("g", **{"class": "vertical"}))
    narrow = svg(columns, NARROW)
    assert list(narrow.all("g", **{"class": "horizontal"}))
    assert labels(narrow, "y") == ["a feat…umber 5", *(f"a feat…umber {n}" for n in range(4, -1, -1))]
    days = Chart("x", "columns", example.DAYS, example.series(("a", "b")))
    assert list(svg(days, NARROW).all("g", **{"class": "vertical"}))


def test_labels_may_be_alike_or_missing():
    root = svg(Chart("x", "columns", ("a", "a"), (Series("s", (1, 2, 3)),)))
    assert labels(root, "x") == ["a", "a"]
    assert len(marks(root)) == 3


@pytest.mark.parametrize("label", ["0", "", " ", "2026", "None"])
def test_labels_that_look_like_something_else_are_labels(label):
    for kind in KINDS:
        svg(Chart("x", kind, (label, label), (Series("s", (1, 2)),)))


def test_what_is_left_out_of_a_chart_stands_in_its_table():
    series = tuple(Series(f"series {n}", (n,) * 50) for n in range(20))
    page = Page(
        "Many", "", (Section("x", charts=(Chart("Many", "bars", tuple(f"bar {n}" for n in range(50)), series),)),)
    )
    figure = read(render(page)).one("figure")
    assert f"the first {MOST_SERIES} of 20 series, the first {MOST_BARS} of 50 labels" in figure.text
    assert len(list(figure.one("thead").all("th"))) == 21
    assert len(list(figure.one("tbody").all("tr"))) == 50


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lines", "columns", "stacked"])
def test_of_very_many_columns_the_last_are_drawn(kind):
    series = tuple(Series(f"s{n}", tuple(range(5_000))) for n in range(12))
    many = Chart("Many", kind, tuple(f"label {n}" for n in range(5_000)), series)
    root = svg(many, WIDE)
    assert len(marks(root)) <= MOST_MARKS
    assert any(title.text.startswith("label 4999\n") for title in root.all("title"))
    whole = render(Page("Many", "", (Section("x", charts=(many,) * 10),)))
    assert len(whole.encode()) < 2_000_000
    read(whole)
    assert "the last 100 of 5,000 labels" in whole


def test_pygal_leaves_nothing_in_the_way_of_imports():
    code = (
        "import sys; from ctxkit.page import *;"
        "render(Page('x', '', (Section('x', charts=(Chart('x', 'lines', ('a',), (Series('s', (1,)),)),)),)));"
        "assert 'pygal' in sys.modules; assert not [f for f in sys.meta_path if not hasattr(f, 'find_spec')]"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_a_series_looks_the_same_in_every_chart():
    sheet = Sheet("USD")
    assert sheet.slots(["a", "b", "c"]) == [0, 1, 2]
    assert sheet.slots(["c", "d", "a"]) == [2, 1, 0]
    assert sheet.slots(["d", "b", "e"])[0] == 1  # as before; b has to give way here
    assert sheet.slots(["x", "y"]) == [0, 1]
    assert sheet.slots(["c"]) == [2]
    assert sheet.slots(["never seen"]) == [0]
    many = sheet.slots([f"n{n}" for n in range(MOST_SERIES)])
    assert sorted(many) == list(range(SLOTS))

"""Lines over numbered steps: straight between points, nowhere beyond them, never too many."""

from hypothesis import given
from hypothesis import strategies as st

from ctxkit.page import Page, Section, render
from ctxkit.page.curves import curves


def test_straight_between_points_and_nowhere_beyond():
    chart = curves("Drift", [("a", [(1, 0.0), (3, 1.0)]), ("b", [(2, 0.5), (5, 0.5)]), ("none", [])], "score")
    assert chart.labels == ("1", "2", "3", "4", "5")
    assert [one.values for one in chart.series] == [
        (0.0, 0.5, 1.0, None, None),
        (None, 0.5, 0.5, 0.5, 0.5),
        (None,) * 5,
    ]
    assert "0.50" in render(Page("p", "", (Section("s", charts=(chart,)),)))


@given(st.lists(st.tuples(st.integers(1, 3_000), st.floats(0, 1)), unique_by=lambda point: point[0], max_size=50))
def test_many_steps_are_thinned_and_keep_their_ends(points):
    points.sort()
    chart = curves("Drift", [("a", points)], "score")
    assert len(chart.labels) <= 60
    if points:
        assert (chart.labels[0], chart.labels[-1]) == ("1", str(points[-1][0]))
        assert chart.series[0].values[-1] == points[-1][1]
        assert all(value is None or 0 <= value <= 1 for value in chart.series[0].values)

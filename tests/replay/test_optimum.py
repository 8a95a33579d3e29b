"""The least cost: against every schedule there is, and against what was paid."""

from itertools import accumulate, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.replay.optimum import Offer, Rewriting, Timeline, captured, cost_of, least

np = pytest.importorskip("numpy", reason="the optimum needs numpy (extra replay)")


@st.composite
def timelines(draw):
    requests, cuts = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    sizes = list(accumulate(draw(st.integers(5, 60)) for _ in range(requests)))
    bounds = sorted(draw(st.integers(0, sizes[0])) for _ in range(cuts))
    offer = st.builds(Offer, st.integers(1, max(requests - 1, 1)), st.integers(0, cuts - 1), st.integers(1, 20))
    offers = draw(st.lists(offer, max_size=6)) if requests > 1 else []
    kept = [False, *(draw(st.booleans()) for _ in range(requests - 1))]
    read = draw(st.sampled_from([0.025, 0.1, 0.5]))
    return Timeline(sizes, bounds, offers, kept, read, draw(st.sampled_from([1.0, 1.25, 2.0])), 1.0)


def cheapest(timeline):
    """By trying them all."""
    ways = product([None, *range(len(timeline.bounds))], repeat=len(timeline.sizes))
    return min(cost_of(timeline, [Rewriting(at, cut) for at, cut in enumerate(way) if cut is not None]) for way in ways)


@given(timelines())
def test_the_dynamic_program_finds_what_trying_all_schedules_finds(timeline):
    assert least(timeline) == pytest.approx(cheapest(timeline), abs=1e-6)


@given(timelines())
def test_it_never_costs_more_than_to_leave_everything(timeline):
    assert least(timeline) <= cost_of(timeline) + 1e-9


def test_a_rewrite_is_priced_by_hand():
    """Three prompts of 1000, 1100 and 1200 tokens; 400 may go from the second on, behind the first 100."""
    timeline = Timeline([1000, 1100, 1200], [100], [Offer(1, 0, 400)], [False, True, True], 0.1, 1.25, 1.0)
    kept = 1000 * 1.25 + (1000 * 0.1 + 100 * 1.25) + (1100 * 0.1 + 100 * 1.0)
    assert cost_of(timeline) == pytest.approx(kept)
    # At the second request 100 are read and 500 written again; afterwards each request reads 400 less.
    taken = 1000 * 1.25 + (100 * 0.1 + 600 * 1.25) + (700 * 0.1 + 100 * 1.0)
    assert cost_of(timeline, [Rewriting(1, 0)]) == pytest.approx(taken)
    assert least(timeline) == pytest.approx(kept)  # too short a thread for it to pay


def test_where_nothing_is_kept_a_rewrite_is_free():
    timeline = Timeline([1000, 1100], [100], [Offer(1, 0, 400)], [False, False], 0.1, 1.25, 1.0)
    assert least(timeline) == pytest.approx(1000 * 1.0 + 700 * 1.0)


def test_a_later_cut_leaves_what_went_before_alone():
    """Two offers that come one after the other: the second rewrite begins behind the first."""
    offers = [Offer(1, 0, 300), Offer(5, 1, 300)]
    sizes = [1000 + 100 * at for at in range(30)]
    timeline = Timeline(sizes, [100, 800], offers, [False] + [True] * 29, 0.5, 1.25, 1.0)
    assert least(timeline) == pytest.approx(cost_of(timeline, [Rewriting(1, 0), Rewriting(5, 1)]))


def test_the_share_that_was_captured_is_pooled():
    assert captured([100, 100], [80, 100], [60, 90]) == pytest.approx(20 / 50)
    assert captured([100], [100], [100]) is None

"""The estimator on recorded requests: as it is shipped, and held out by recording and by project.

``python -m scripts.accuracy`` writes all figures; here stand the goals, and for projects that were never seen what was
reached.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from importlib import import_module
from pathlib import Path

import pytest

from ctxkit.metering.count import Counter
from ctxkit.metering.families import UNKNOWN
from ctxkit.metering.learning import Learned
from ctxkit.model import Usage

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def scripts():
    """Scripts of the repository by name; ``scripts`` is no package that is installed."""
    sys.path.insert(0, str(ROOT))
    yield lambda name: import_module(f"scripts.{name}")
    sys.path.remove(str(ROOT))


@pytest.fixture(scope="module")
def used(recorded, scripts):
    """Every recorded request whose prompt is visible."""
    found = [sample for sample in scripts("recorded").samples(recorded) if sample.left_out is None]
    assert len(found) > 5000
    return found


@pytest.fixture(scope="module")
def counted(used, scripts):
    """The same with their counts."""
    counter, digests_of = Counter(), scripts("recorded").digests_of
    return [
        (one, counter.count(one.conversation, digests_of(one.conversation), platform=one.platform, model=one.model))
        for one in used
    ]


@pytest.fixture(scope="module")
def views(counted, scripts):
    """Results held out by recording and by project, each with intervals made without them."""
    return scripts("accuracy").fitted_results([sample for sample, count in counted if count.method == "fitted"])


@pytest.fixture(scope="module")
def near(views):
    return views[0]


@pytest.fixture(scope="module")
def far(views):
    return views[1]


@pytest.fixture(scope="module")
def fitted(counted):
    return [(sample, count) for sample, count in counted if count.method == "fitted"]


def share(flags):
    flags = list(flags)
    return sum(flags) / len(flags)


def median(values):
    return sorted(values)[len(values) // 2]


def small(results):
    return [abs(one.error) for one in results if one.total < 1000]


def large(results):
    return [abs(one.error) / one.total for one in results if one.total >= 1000]


def test_large_requests_of_known_projects(near):
    assert median(large(near)) <= 0.03
    assert share(error <= 0.1 for error in large(near)) >= 0.9


def test_small_requests_of_known_projects(near):
    assert median(small(near)) <= 10
    assert share(error <= 40 for error in small(near)) >= 0.9


def test_requests_of_new_projects(far):
    assert median(large(far)) <= 0.05
    assert share(error <= 0.1 for error in large(far)) >= 0.75
    assert median(small(far)) <= 15
    assert share(error <= 40 for error in small(far)) >= 0.75


def test_intervals_cover_known_and_new_projects(near, far):
    assert share(one.covered for one in near) >= 0.95
    assert share(one.covered for one in far) >= 0.95


def test_what_is_shipped_is_no_worse_than_what_was_held_out(fitted, near):
    error = share(abs(count.tokens - sample.total) <= max(40, 0.1 * sample.total) for sample, count in fitted)
    assert error >= share(abs(one.error) <= max(40, 0.1 * one.total) for one in near)
    assert share(count.low <= sample.total <= count.high for sample, count in fitted) >= 0.95


def test_the_counter_weighs_as_the_fit_does(fitted, scripts):
    """One reading of a request serves both: with the table's own weights the features give what the counter gives."""
    case_of, row_for = scripts("fitting").case_of, import_module("ctxkit.metering.fitted").row_for
    for sample, count in fitted[::41]:
        case, row = case_of(sample), row_for(sample.platform, sample.model)
        if case.tools_dropped:
            continue
        expected = sum(row.weights.get(name, 1.0 if name[:2] == "k." else 0.0) * n for name, n in case.x.items())
        assert abs(expected - count.tokens) <= 1 + 0.001 * count.tokens


def test_intervals_of_exact_counts(counted, scripts):
    exact = [(sample, count) for sample, count in counted if count.method == "exact"]
    assert share(count.low <= sample.total <= count.high for sample, count in exact) >= 0.95
    held_out = scripts("accuracy").exact_results([sample for sample, _ in exact])
    assert share(one.covered for one in held_out) >= 0.95


@pytest.mark.parametrize("kind", ["text", "tools"])
def test_exact_counts_by_the_counter_itself(counted, scripts, kind):
    kind_of = scripts("accuracy").kind_of
    errors = [
        abs(count.tokens / sample.total - 1)
        for sample, count in counted
        if count.method == "exact" and kind_of(sample) == kind
    ]
    assert median(errors) == 0
    assert share(error <= 0.05 for error in errors) >= 0.9
    assert kind == "tools" or share(error <= 0.01 for error in errors) >= 0.95


def test_names_without_a_family_are_rough(counted):
    strangers = [count for _, count in counted if count.family == UNKNOWN]
    assert strangers
    assert {count.method for count in strangers} == {"rough"}


def test_after_twenty_settlements_of_a_session(counted):
    sessions = defaultdict(list)
    for sample, count in counted:
        sessions[sample.session].append((sample, count))
    near, covered = [], []
    for name, requests in sessions.items():
        learned = Learned()
        for place, (sample, count) in enumerate(sorted(requests, key=lambda pair: pair[0].order)):
            corrected = learned.correct(count, name, sample.model)
            if place >= 20:
                near.append(abs(corrected.tokens - sample.total) <= 0.05 * sample.total)
                covered.append(corrected.low <= sample.total <= corrected.high)
            learned.observe(count, name, sample.model, Usage(fresh=sample.total))
    assert len(near) > 300
    assert share(near) >= 0.95
    assert share(covered) >= 0.95


def test_counting_twice_gives_the_same(counted, scripts):
    digests_of = scripts("recorded").digests_of
    for sample, count in counted[::97]:
        digests = digests_of(sample.conversation)
        again = Counter().count(sample.conversation, digests, platform=sample.platform, model=sample.model)
        assert again == count

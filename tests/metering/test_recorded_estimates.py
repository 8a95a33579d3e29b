"""The shipped estimator on recorded requests (held-out figures: ``python -m scripts.accuracy``)."""

from __future__ import annotations

import importlib.util
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from ctxkit.metering.count import Counter
from ctxkit.metering.families import UNKNOWN
from ctxkit.metering.learning import Learned
from ctxkit.model import Usage

ROOT = Path(__file__).parents[2]


def load(name):
    """A script of the repository as a module; ``scripts`` is no package that is installed."""
    spec = importlib.util.spec_from_file_location(f"ctxkit_scripts_{name}", ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def counted(recorded):
    """Every recorded request whose prompt is visible, with its count, family by family."""
    script = load("recorded")
    counter = Counter()
    found = []
    for sample in script.samples(recorded):
        if sample.left_out is None:
            digests = script.digests_of(sample.conversation)
            count = counter.count(sample.conversation, digests, platform=sample.platform, model=sample.model)
            found.append((sample, count))
    assert len(found) > 5000
    return found


def share(flags):
    flags = list(flags)
    return sum(flags) / len(flags)


def median(values):
    return sorted(values)[len(values) // 2]


@pytest.fixture(scope="module")
def fitted(counted):
    return [(sample, count) for sample, count in counted if count.method == "fitted"]


def test_large_requests(fitted):
    errors = [abs(count.tokens / sample.total - 1) for sample, count in fitted if sample.total >= 1000]
    assert median(errors) <= 0.03
    assert share(error <= 0.1 for error in errors) >= 0.9


def test_small_requests(fitted):
    errors = [abs(count.tokens - sample.total) for sample, count in fitted if sample.total < 1000]
    assert median(errors) <= 10
    assert share(error <= 40 for error in errors) >= 0.85


def test_intervals(fitted):
    assert share(count.low <= sample.total <= count.high for sample, count in fitted) >= 0.95


def test_intervals_of_exact_counts(counted):
    exact = [(sample, count) for sample, count in counted if count.method == "exact"]
    assert share(count.low <= sample.total <= count.high for sample, count in exact) >= 0.95


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


def test_counting_twice_gives_the_same(recorded, counted):
    script = load("recorded")
    for sample, count in counted[::97]:
        digests = script.digests_of(sample.conversation)
        again = Counter().count(sample.conversation, digests, platform=sample.platform, model=sample.model)
        assert again == count

"""Sketches: the error they state, adding, and their forms at rest."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.metering.ledger.sketch import ACCURACY, Merger, Sketch, bucket_of, value_of

values = st.lists(st.floats(min_value=2e-6, max_value=9e5), min_size=1, max_size=200)


def sketch_of(numbers):
    counts = {}
    for number in numbers:
        counts[bucket_of(number)] = counts.get(bucket_of(number), 0) + 1
    return Sketch.of(counts)


@given(values, st.floats(0, 1))
def test_a_quantile_is_within_the_stated_error_of_the_value_at_its_rank(numbers, share):
    exact = sorted(numbers)[int(share * (len(numbers) - 1))]
    assert sketch_of(numbers).quantile(share) == pytest.approx(exact, rel=ACCURACY * 1.0001)


def test_the_stated_error_is_within_one_per_cent():
    assert ACCURACY <= 0.01


def together(*sketches):
    merger = Merger()
    for one in sketches:
        merger.add(one)
    return merger.sketch()


@given(values, values)
def test_adding_sketches_is_sketching_both(some, others):
    assert together(sketch_of(some), sketch_of(others)) == sketch_of(some + others)


@given(st.dictionaries(st.integers(0, 1400), st.integers(1, 2**40), max_size=40))
def test_at_rest_nothing_is_lost(counts):
    sketch = Sketch.of({bucket: count % 5 + 1 for bucket, count in counts.items()})
    assert Sketch.load(sketch.dump()) == sketch


@pytest.mark.parametrize("count", [1, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**50])
def test_counts_of_any_size_are_kept(count):
    sketch = Sketch.of({3: count, 900: 70_000 + count})
    assert Sketch.load(sketch.dump()) == sketch
    assert sketch.count() == 70_000 + 2 * count


def test_forms_at_rest_mix_when_merged():
    few, many = sketch_of([0.5, 2.0]), sketch_of([0.5] * 5000)
    assert few.dump()[0] == 0
    assert many.dump()[0] != 0
    merger = Merger()
    for part in (few, many, few):
        merger.add_blob(part.dump())
    assert merger.sketch() == together(few, many, few)


def test_no_values_have_no_quantile_and_no_bytes():
    assert Sketch().quantile(0.5) is None
    assert Sketch().dump() == b""
    assert Sketch.load(None) == Sketch.load(b"") == Sketch()


@pytest.mark.parametrize("value", [0.0, -1.0, 1e-9, float("nan")])
def test_what_is_too_small_counts_as_nothing(value):
    assert value_of(bucket_of(value)) == 0.0


@pytest.mark.parametrize("value", [1e6, 1e30, float("inf")])
def test_what_is_too_large_counts_in_the_last_bucket(value):
    assert value_of(bucket_of(value)) > 9e5


def test_an_hour_of_answers_takes_little_room():
    rng = random.Random(1)
    assert len(sketch_of([rng.lognormvariate(-1, 0.6) for _ in range(14)]).dump()) == 1 + 2 * 14
    assert len(sketch_of([rng.lognormvariate(-1, 0.6) for _ in range(100_000)]).dump()) < 1000

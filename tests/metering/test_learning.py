"""What settlements teach: offsets, ratios, widths, lengths of answers, shares read from the cache."""

from __future__ import annotations

import json
import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.metering.count import Count
from ctxkit.metering.learning import Learned
from ctxkit.model import Usage


def count(tokens, *, spread=0.1, shape=0, family="claude-4.5"):
    return Count(tokens, round(tokens * (1 - spread)), round(tokens * (1 + spread)), "fitted", family, shape)


def teach(learned, pairs, feature="f", model="m", **how):
    for estimated, actual in pairs:
        learned.observe(count(estimated, **how), feature, model, Usage(fresh=actual))


def test_nothing_learned_changes_nothing():
    assert Learned().correct(count(1000), "f", "m") == count(1000)


@pytest.mark.parametrize(("offset", "ratio"), [(0, 1.0), (300, 1.0), (0, 1.2), (120, 0.9), (-40, 1.05)])
def test_an_offset_and_a_ratio_are_learned(offset, ratio):
    generator = random.Random(7)
    sizes = [generator.randint(200, 4000) for _ in range(20)]
    learned = Learned()
    teach(learned, [(size, round(offset + ratio * size)) for size in sizes])
    for size in (300, 1500, 3500):
        actual = offset + ratio * size
        assert abs(learned.correct(count(size), "f", "m").tokens - actual) <= 0.02 * actual + 3


def test_one_settlement_already_helps():
    learned = Learned()
    teach(learned, [(1000, 1080)])
    assert 1040 < learned.correct(count(1000), "f", "m").tokens <= 1085


def test_features_and_models_learn_apart():
    learned = Learned()
    teach(learned, [(1000, 1100)] * 10)
    assert learned.correct(count(1000), "other", "m") == count(1000)
    assert learned.correct(count(1000), "f", "other") == count(1000)
    assert learned.correct(count(1000), None, "m") == count(1000)


def test_requests_without_a_feature_are_a_feature():
    learned = Learned()
    teach(learned, [(1000, 1100)] * 10, feature=None)
    assert learned.correct(count(1000), None, "m").tokens > 1080


def test_a_shape_learns_for_itself_and_a_new_one_from_all():
    learned = Learned()
    teach(learned, [(1000, 1300)] * 12, shape=1)
    teach(learned, [(1000, 1000)] * 2, shape=2)
    assert abs(learned.correct(count(1000, shape=1), "f", "m").tokens - 1300) < 15
    assert abs(learned.correct(count(1000, shape=2), "f", "m").tokens - 1000) < 15
    assert learned.correct(count(1000, shape=3), "f", "m") != count(1000, shape=3)


def test_one_odd_settlement_moves_little():
    learned = Learned()
    teach(learned, [(size, size) for size in range(1000, 1020)])
    before = learned.correct(count(1010), "f", "m").tokens
    teach(learned, [(1000, 9000)])
    assert abs(learned.correct(count(1010), "f", "m").tokens - before) < 60


def test_a_lasting_change_is_followed():
    learned = Learned()
    teach(learned, [(1000, 1000)] * 30)
    teach(learned, [(1000, 1400)] * 20)
    assert abs(learned.correct(count(1000), "f", "m").tokens - 1400) < 70


def test_a_mixture_that_no_line_fits_does_no_harm():
    generator = random.Random(3)
    learned, raw, corrected = Learned(), 0.0, 0.0
    for _ in range(300):
        size = generator.randint(200, 3000)
        actual = size + generator.choice([0, 0, 0, 500])
        raw += abs(size - actual)
        corrected += abs(learned.correct(count(size), "f", "m").tokens - actual)
        teach(learned, [(size, actual)])
    assert corrected <= raw * 1.25


def test_the_interval_narrows_and_still_covers():
    generator = random.Random(5)
    learned, covered, widths = Learned(), 0, []
    for _ in range(400):
        size = generator.randint(500, 3000)
        actual = round(size * 1.05 + generator.gauss(0, 8))
        found = learned.correct(count(size), "f", "m")
        covered += found.low <= actual <= found.high
        widths.append((found.high - found.low) / found.tokens)
        teach(learned, [(size, actual)])
    assert covered >= 0.95 * 400
    assert sum(widths[-50:]) < sum(widths[:50]) / 2


@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**7)), max_size=30))
def test_whatever_is_learned_gives_an_interval_around_a_count(pairs):
    learned = Learned()
    teach(learned, pairs)
    found = learned.correct(count(1000), "f", "m")
    assert 0 <= found.low <= found.tokens <= found.high
    assert json.loads(learned.dump())


# ------------------------------------------------------------------------------------------ answers and caches


def test_lengths_of_answers():
    learned = Learned()
    assert learned.expect_output("f", "m") is None
    for length in (10, 20, 30, 40, 1000):
        learned.observe(count(100), "f", "m", Usage(fresh=100, output=length))
    assert learned.expect_output("f", "m") == 30
    assert learned.output_quantile("f", "m", 0.9) == 1000
    assert learned.expect_output("other", "m") is None


def test_only_the_latest_answers_count():
    learned = Learned()
    for length in [5] * 100 + [500] * 63:
        learned.observe(count(100), "f", "m", Usage(output=length))
    assert learned.expect_output("f", "m") == 500


def test_the_share_read_from_the_cache():
    learned = Learned()
    assert learned.expect_read_share("f", "m") is None
    learned.observe(count(100), "f", "m", Usage(fresh=100))
    assert learned.expect_read_share("f", "m") is None  # unknown is not none
    learned.observe(count(100), "f", "m", Usage(fresh=25, read=75))
    learned.observe(count(100), "f", "m", Usage(fresh=75, read=25))
    assert learned.expect_read_share("f", "m") == pytest.approx(0.5)


def test_usage_that_says_nothing_teaches_nothing():
    learned = Learned()
    learned.observe(count(100), "f", "m", Usage())
    assert learned.correct(count(100), "f", "m") == count(100)
    assert learned.expect_output("f", "m") is None


# ------------------------------------------------------------------------------------------ keeping


def test_what_was_learned_survives_a_restart():
    learned = Learned()
    teach(learned, [(1000, 1100), (2000, 2150)] * 4)
    learned.observe(count(100), "f", "m", Usage(fresh=50, read=50, output=7))
    again = Learned.load(learned.dump())
    assert again.dump() == learned.dump()
    assert again.correct(count(1500), "f", "m") == learned.correct(count(1500), "f", "m")
    assert again.expect_output("f", "m") == 7
    assert again.expect_read_share("f", "m") == learned.expect_read_share("f", "m")


@pytest.mark.parametrize(
    "data", [b"", b"null", b"[]", b"{}", b'{"version": 1}', b'{"version": 1, "lines": [[1]], "answers": 3}', b"\xff"]
)
def test_foreign_bytes_begin_anew(data):
    learned = Learned.load(data)
    assert learned.correct(count(1000), "f", "m") == count(1000)
    teach(learned, [(1000, 1100)])


def test_it_is_bounded():
    learned = Learned(memory=10)
    for place in range(100):
        teach(learned, [(1000, 1100)] * 5, feature=f"f{place}")
    assert len(learned._lines._kept) <= 10
    assert learned.correct(count(1000), "f99", "m").tokens > 1050
    assert learned.correct(count(1000), "f0", "m") == count(1000)
    assert len(json.loads(learned.dump())["lines"]) <= 10


def test_threads_learn_together():
    learned = Learned()

    def run():
        for size in range(500, 1500):
            learned.correct(count(size), "f", "m")
            teach(learned, [(size, size + 100)])

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert abs(learned.correct(count(1000), "f", "m").tokens - 1100) < 5

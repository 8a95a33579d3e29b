"""When a cache pays: the vendors' own examples, and the sums behind them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.caching.economics import (
    KeptAlive,
    Life,
    kept_alive,
    most_pings,
    pings_worth,
    storage_rent,
    write_rate,
)

TENTH = Fraction("0.1")
SHORT = Life("5m", 300, Fraction("1.25"))

rates = st.integers(1, 10**9)


@pytest.mark.parametrize(("read", "pings"), [("0.1", 11), ("0.05", 23), ("0.025", 48)])
def test_pings_that_beat_one_rewrite(read, pings):
    assert most_pings(Fraction("1.25"), Fraction(read)) == pings
    assert pings_worth(1.25, float(read)) == pings
    assert most_pings(Fraction("1.25"), 0) is None


def test_eleven_pings_are_fifty_five_minutes():
    through = kept_alive(SHORT, TENTH, 60 * 60)
    assert through == KeptAlive(11, Fraction("0.05")), "the last gap of five minutes needs no ping"
    assert kept_alive(SHORT, TENTH, 65 * 60).saving < 0
    assert kept_alive(SHORT, TENTH, 300) == KeptAlive(0, 0)
    assert kept_alive(SHORT, TENTH, 301, early=300) == KeptAlive(0, 0), "nobody pings all the time"


@given(rates, rates, st.integers(301, 10**6))
def test_no_more_pings_are_worth_it_than_the_most(write, read, gap):
    life = Life("5m", 300, write)
    found = kept_alive(life, read, gap)
    assert (found.saving > 0) == (found.pings <= (most_pings(write, read) or 0) and write > read * (found.pings + 1))


def test_rent_is_for_the_time_that_tokens_really_stood():
    assert storage_rent(1_000_000, 4_500_000, 1800) == 2_250_000_000_000  # $4.50 per million tokens and hour
    assert storage_rent(10, 5, -3) == 0


def test_a_write_is_priced_by_its_life_or_by_what_is_known():
    assert write_rate({"fresh": 10, "written": 12, "written.1h": 20}, "1h") == 20
    assert write_rate({"fresh": 10, "written": 12}, "5m") == 12
    assert write_rate({"fresh": 10}, "5m") == 10

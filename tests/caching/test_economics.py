"""When a cache pays: the vendors' own examples, by the ids of the reference, and the sums behind them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.caching.economics import (
    KeptAlive,
    Life,
    break_even_reads,
    burst_saving,
    cached_spend,
    expansion_limit,
    handle_break_even,
    kept_alive,
    life_spend,
    lives_by_spend,
    most_pings,
    pings_worth,
    prewarm_saving,
    requests_to_expand,
    storage_rent,
)

TENTH = Fraction("0.1")
SHORT = Life("5m", 300, Fraction("1.25"))
LONG = Life("1h", 3600, Fraction(2))

rates = st.integers(1, 10**9)
gap_lists = st.lists(st.integers(0, 20_000), max_size=12)


@pytest.mark.parametrize(("write", "reads"), [("1.25", 1), ("2", 2), ("2.5", 2)], ids=["5m", "1h", "12h"])
def test_p6_reads_that_repay_a_write(write, reads):
    assert break_even_reads(Fraction(1), Fraction(write), TENTH) == reads


def test_p6_in_whole_pico_dollars_per_token():
    assert break_even_reads(3_000_000, 3_750_000, 300_000) == 1
    assert break_even_reads(3_000_000, 6_000_000, 300_000) == 2


def test_a_write_without_premium_is_repaid_at_once_and_a_dear_read_never():
    assert break_even_reads(10, 10, 1) == 0
    assert break_even_reads(10, 12, 10) is None


def test_o14_one_write_and_its_reads():
    write = Fraction("1.25")
    assert cached_spend(write, TENTH, 1) == Fraction("1.35")
    assert cached_spend(write, TENTH, 9) == Fraction("2.15")


def test_o15_a_prefix_that_is_too_short():
    one, write = Fraction(1), Fraction("1.25")
    assert int(expansion_limit(1024, one, write, TENTH, 10)) + 1 == 221
    assert expansion_limit(1024, one, write, TENTH) == Fraction("102.4")
    assert requests_to_expand(103, 1024, one, write, TENTH) == 1963
    assert requests_to_expand(102, 1024, one, write, TENTH) is None
    assert requests_to_expand(221, 1024, one, write, TENTH) == 10


@given(st.integers(1, 2000), st.integers(1, 4096), rates, rates, rates)
def test_the_requests_that_expand_are_the_first_whose_limit_is_passed(length, minimum, base, write, read):
    needed = requests_to_expand(length, minimum, base, write, read) if write > read else None
    if needed is not None:
        assert length > expansion_limit(minimum, base, write, read, needed)
        assert needed == 1 or length <= expansion_limit(minimum, base, write, read, needed - 1)


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


def test_one_gap_above_five_minutes_flips_to_an_hour():
    assert life_spend(SHORT, TENTH, [301]) == Fraction("2.5")
    assert life_spend(LONG, TENTH, [301]) == Fraction("2.1")
    ranked = lives_by_spend([SHORT, LONG], Fraction(1), TENTH, [301])
    assert [ttl for _, ttl in ranked] == ["", "1h", "5m"], "and for one reuse alone neither is worth it"
    assert lives_by_spend([SHORT, LONG], Fraction(1), TENTH, [301, 20])[0][1] == "1h"
    assert lives_by_spend([SHORT, LONG], Fraction(1), TENTH, [20, 20])[0][1] == "5m"


def test_without_a_refresh_a_life_runs_out_under_reads():
    assert life_spend(SHORT, TENTH, [200, 200], refreshed=False) == 2 * SHORT.write + TENTH
    assert life_spend(SHORT, TENTH, [200, 200]) == SHORT.write + 2 * TENTH


@given(gap_lists, rates, rates, rates)
def test_a_longer_life_never_writes_more_often(gaps, write, read, base):
    short, long = Life("s", 300, write), Life("l", 3600, write)
    if read <= write:
        assert life_spend(long, read, gaps) <= life_spend(short, read, gaps)
    ranked = lives_by_spend([short, long], base, read, gaps)
    assert [spent for spent, _ in ranked] == sorted(spent for spent, _ in ranked)
    assert (base * (len(gaps) + 1), "") in ranked


@pytest.mark.parametrize(
    ("price", "storage", "least"),
    [("1.25", "4.5", 5.1), ("0.30", "1", 4.8), ("2", "4.5", 3.6), ("0.75", "0.5", 1.9)],
    ids=["2.5-pro", "2.5-flash", "3.1-pro", "3.8-flash"],
)
def test_requests_an_hour_that_repay_a_handle(price, storage, least):
    base = Fraction(price)
    found = handle_break_even(base, base / 10, Fraction(storage))
    assert round(float(found), 1) == least
    assert handle_break_even(base, base / 10, Fraction(storage), hit_rate=Fraction(1, 2)) == 2 * found
    assert handle_break_even(base, base / 10, Fraction(storage), hit_rate=1) is None


def test_rent_is_for_the_time_that_tokens_really_stood():
    assert storage_rent(1_000_000, 4_500_000, 1800) == 2_250_000_000_000  # $4.50 per million tokens and hour
    assert storage_rent(10, 5, -3) == 0


def test_one_that_goes_first_spares_the_writes_of_the_others():
    assert burst_saving(100, 125, 10, 7) == 7 * 115
    assert burst_saving(100, None, 10, 7) == 7 * 90
    assert burst_saving(100, None, 100, 7) == 0


@given(rates, rates, rates, st.integers(1, 50))
def test_prewarming_is_one_read_dearer_than_letting_one_go_first(base, write, read, burst):
    assert prewarm_saving(base, write, read) == -read
    assert prewarm_saving(base, write, read, burst) == burst_saving(base, write, read, burst - 1) - read

"""What a stretch of a prompt cost: by where it stands, and all stretches together what the prompt cost."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.metering.paid import Paid
from ctxkit.model import Usage

RATES = {"fresh": 3_000_000, "read": 300_000, "written.5m": 3_750_000, "written.1h": 6_000_000, "output": 15_000_000}
TOKENS = st.integers(0, 5_000)


def prompt(usage):
    written = sum(count * RATES[f"written.{ttl}"] for ttl, count in usage.written.items())
    return usage.fresh * RATES["fresh"] + usage.read * RATES["read"] + written


def test_what_is_read_stands_first_then_what_is_written_then_what_is_fresh():
    paid = Paid.of(Usage(fresh=100, read=1_000, written={"5m": 500}), RATES)
    assert paid.price(0, 1_000) == 1_000 * RATES["read"]
    assert paid.price(900, 200) == 100 * RATES["read"] + 100 * RATES["written.5m"]
    assert paid.price(1_450, 100) == 50 * RATES["written.5m"] + 50 * RATES["fresh"]
    assert paid.price(1_590, 10) == 10 * RATES["fresh"]


@given(TOKENS, TOKENS, TOKENS, TOKENS, st.lists(st.integers(0, 20_000), max_size=8))
def test_stretches_add_up_to_the_prompt(fresh, read, five, hour, cuts):
    usage = Usage(fresh=fresh, read=read, written={"5m": five, "1h": hour})
    paid, whole = Paid.of(usage, RATES), usage.input_total
    ends = [0, *sorted(min(cut, whole) for cut in cuts), whole]
    prices = [paid.price(start, end - start) for start, end in pairwise(ends)]
    assert all(price >= 0 for price in prices)
    assert sum(prices) == pytest.approx(prompt(usage))


@given(TOKENS, TOKENS, st.integers(0, 9_000), st.integers(0, 500), st.integers(0, 500))
def test_more_costs_more_and_later_never_less(fresh, read, start, tokens, more):
    paid = Paid.of(Usage(fresh=fresh, read=read, written={}), RATES)
    assert paid.price(start, tokens + more) >= paid.price(start, tokens)
    assert paid.price(start + more, tokens) >= paid.price(start, tokens), "what is read stands first and costs least"


@pytest.mark.parametrize("rates", [None, {}, {"read": 1}, {"fresh": 1}])
def test_a_price_that_is_not_known_is_none(rates):
    assert Paid.of(Usage(fresh=10, read=10, written={}), rates).rates is None
    assert Paid.of(Usage(fresh=10, read=0, written={}), {"fresh": 1}).price(0, 10) == 10
    assert Paid.of(Usage(), RATES).tokens == 0, "nobody knows how much it was"

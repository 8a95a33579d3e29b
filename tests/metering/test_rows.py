"""Records become rows and come back."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.cacheable import Miss
from ctxkit.metering.ledger.rows import COLUMNS, record_of, row_of
from ctxkit.model import Record, Timing, Usage
from ctxkit.money import pico_of, usd_of


def test_a_record_comes_back_as_it_was(record):
    whole = record(
        1,
        response_model="gpt-4o-2024",
        labels={"team": "a"},
        scope="org",
        thread="t1",
        card_cost=Decimal("0.00124"),
        card="card-1",
        response_id="r1",
        finish="stop",
        tier="default",
        stream=True,
        edits={"n": 2, "tokens": 900},
        problems=("odd",),
        forecast_read=4,
        miss_reason="tools_changed",
        miss_tokens=3,
        miss_cost=Decimal("0.000000000001"),
        miss=Miss("tools_changed", 3, ("tools", 0), "1 added: x", "settled"),
        forecast={"rule": "anthropic.direct", "read": 4, "written": {"5m": 1}},
        notes=("messages.0: an edit",),
        savings=Decimal("-0.5"),
        savings_by={"cache": Decimal("-0.75"), "compact": Decimal("0.25")},
        predicted=Decimal("0.125"),
        timing=Timing(0.0, 0.25, 0.5, 2.5),
        usage=Usage(1, 2, {"1h": 3}, 4, 5, {"audio.fresh": 1}, {"web_search": 2}),
    )
    assert record_of(row_of(whole)) == whole


@pytest.mark.parametrize("status", ["open", "failed", "unmetered", "unverified", "partial"])
def test_what_is_not_known_stays_unknown(record, status):
    one = record(1, status, timing=None)
    assert record_of(row_of(one)) == one


def test_nothing_written_is_not_the_same_as_unknown(record):
    for written in (None, {}):
        usage = Usage(fresh=1, written=written)
        assert record_of(row_of(record(1, usage=usage))).usage == usage


def test_a_row_holds_no_clock_of_the_process(record):
    row = row_of(record(1, timing=Timing(1000.0, 1000.25, 1000.5, 1002.5)))
    assert (row["ttfc"], row["ttft"], row["e2e"]) == (0.25, 0.5, 2.5)
    assert 1000 not in [int(value) for value in row.values() if isinstance(value, float) and value != row["created"]]


def test_time_per_token_leaves_hidden_reasoning_out(record):
    row = row_of(record(1, timing=Timing(0.0, 0.1, 1.0, 3.0), usage=Usage(fresh=1, output=51, reasoning=10)))
    assert row["tpot"] == pytest.approx(2.0 / 40)


@given(st.decimals(min_value=0, max_value=9_000_000, places=12))
def test_money_is_exact_to_the_pico_dollar(usd):
    assert usd_of(pico_of(usd)) == usd


@pytest.mark.parametrize("usd", [Decimal("NaN"), Decimal("Infinity"), Decimal("1e30"), None])
def test_what_is_no_amount_is_unknown(usd):
    assert pico_of(usd) is None


def test_rows_have_the_fields_of_records_and_nothing_of_the_prompt(record):
    assert set(row_of(record(1))) <= set(COLUMNS)
    kept = {
        name
        for name in Record.__dataclass_fields__
        if name not in ("usage", "cost", "card_cost", "miss_cost", "savings", "predicted", "estimate", "timing")
    }
    assert kept <= set(COLUMNS)


def test_a_cost_below_a_pico_dollar_is_rounded_half_to_even(record):
    one = replace(record(1), cost=Decimal("0.0000000000025"))
    assert row_of(one)["cost_pico"] == 2

"""Savings by cause in the ledger: exact sums, ledgers of before, journals with odd values, and the report."""

import json
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctxkit.metering.ledger import Ledger, schema
from ctxkit.metering.ledger.journal import encode
from ctxkit.metering.ledger.rollup import CAUSES, figures
from ctxkit.metering.ledger.rows import row_of
from tests.metering.conftest import NOON, asked, of_version


def saved(record, number, **by):
    parts = {cause: Decimal(amount) for cause, amount in by.items()}
    return record(number, savings=sum(parts.values(), Decimal(0)), savings_by=parts)


def test_causes_add_up_to_savings(ledger, record):
    ledger.append(saved(record, 1, cache="-0.000000000001", compact="2.5"))
    ledger.append(saved(record, 2, spent="-3", stale="0.25", mine="0.125"))
    ledger.append(record(3, savings=Decimal("0.5")))  # of before there were causes
    ledger.append(record(4, predicted=Decimal("7.5")))
    total = asked(ledger).total
    assert total.savings_by == {
        "cache": Decimal("0.499999999999"),
        "compact": Decimal("2.5"),
        "stale": Decimal("0.25"),
        "spent": Decimal(-3),
        "other": Decimal("0.125"),
    }
    assert sum(total.savings_by.values()) == total.savings
    told = asked(ledger).to_dict()["total"]
    assert told["savings_by"]["spent"] == "-3"
    assert told["predicted"] == "7.5"


def test_the_table_shows_them_where_there_is_more_than_the_cache(ledger, record):
    ledger.append(saved(record, 1, cache="1"))
    assert "Saved by cause" not in asked(ledger).text(120)
    ledger.append(saved(record, 2, spent="-3"))
    text = asked(ledger).text(120)
    assert "Saved by cause" in text
    assert "-$3.00" in text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.sampled_from([*CAUSES, "mine", "another"]), st.integers(-(10**15), 10**15)), st.integers(-9, 9)
)
def test_counters_by_cause_add_up(record, by, more):
    whole = sum(by.values()) + more
    found = figures({**row_of(record(1)), "savings_pico": whole, "savings_by": by})
    assert sum(amount for name, amount in found.items() if name.startswith("saved_")) == whole


@pytest.mark.parametrize("odd", [{"cache": 1.5}, {"cache": True}, {"cache": 2**70}, ["cache"], "cache", 5])
def test_what_is_no_split_is_left_out_and_named(ledger, record, odd):
    row = {**row_of(record(1, savings=Decimal(1))), "savings_by": odd}
    ledger.append(row)
    one = ledger.record(row["attempt"])
    assert one.savings == 1
    assert one.savings_by == {}
    assert "savings_by" in one.problems[0]
    assert asked(ledger).total.savings_by == {"cache": Decimal(1)}


def test_a_ledger_of_the_version_before_keeps_its_savings(tmp_path, record):
    path = tmp_path / "ledger.db"
    with of_version(path, 2) as db:
        db.execute("INSERT INTO cells VALUES (1, 'chat', 'gpt-4o', 'openai', 'openai.chat', '', '', '', 'settled', '')")
        names = [row[1] for row in db.execute("PRAGMA table_info(rollups)")]
        for span, start in ((3_600, NOON), (86_400, NOON - 43_200)):
            values = {"span": span, "start": int(start), "cell": 1, "attempts": 1, "operations": 1, "saved": 1}
            values |= {"savings_usd": -1, "savings_pico": 250_000_000_000}
            row = [values.get(name, None if name in ("ttft", "ttfc", "e2e", "tpot", "error") else 0) for name in names]
            db.execute(f"INSERT INTO rollups VALUES ({','.join('?' * len(names))})", row)
    with Ledger(path) as ledger:
        total = asked(ledger).total
        assert total.savings == Decimal("-0.75")
        assert total.savings_by == {"cache": Decimal("-0.75")}
        ledger.append(saved(record, 2, cache="0.5", fit="1"))
        assert asked(ledger).total.savings_by == {"cache": Decimal("-0.25"), "fit": Decimal(1)}
        assert ledger.state().schema == len(schema.MIGRATIONS)


def test_a_journal_of_before_is_taken_in(ledger, record):
    row = row_of(record(1, savings=Decimal("0.5")))
    assert "savings_by" not in json.loads(encode(row))
    ledger.append(row)
    assert asked(ledger).total.savings_by == {"cache": Decimal("0.5")}

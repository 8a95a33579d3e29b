"""Requests that were not sent, in the ledger: requests and no attempts, cost nothing, saved something, fast by themselves."""

from decimal import Decimal

import pytest

from ctxkit.metering.ledger import Ledger, schema
from ctxkit.metering.ledger.rows import record_of, row_of
from ctxkit.model import Timing, Usage
from tests.metering.conftest import asked, of_version

NOTHING = Usage(fresh=0, read=0, written={}, output=0, reasoning=0)


def reused(record, number, savings="0.25", seconds=0.002, **more):
    saved = None if savings is None else Decimal(savings)
    return record(
        number,
        status="reused",
        usage=NOTHING,
        cost=Decimal(0),
        card_cost=Decimal(0),
        card=None,
        cost_source=None,
        savings=saved,
        savings_by={} if saved is None else {"answers": saved},
        timing=Timing(0.0, last=seconds),
        **more,
    )


def test_a_row_says_what_the_record_said(record):
    one = reused(record, 1)
    row = row_of(one)
    assert (row["reuse"], row["savings_by"]) == (0.002, {"answers": 250_000_000_000})
    assert not {"ttft", "ttfc", "e2e", "tpot"} & row.keys()
    assert record_of(row) == one


def test_sums_of_the_report(ledger, record):
    ledger.append(record(1))
    before = asked(ledger).total
    for number, seconds in ((2, 0.001), (3, 0.002), (4, 0.4)):
        ledger.append(reused(record, number, seconds=seconds))
    ledger.append(reused(record, 5, savings=None))
    total = asked(ledger).total
    assert (total.requests, total.attempts, total.reused, total.reused_unpriced) == (5, 1, 4, 1)
    assert (total.cost, total.input_total, total.output) == (before.cost, before.input_total, before.output)
    assert (total.savings, total.savings_by, total.reused_savings) == (
        *[Decimal("0.75")],
        {"answers": Decimal("0.75")},
        Decimal("0.75"),
    )
    assert total.unpriced == before.unpriced
    for name in ("ttft", "ttfc", "tpot", "e2e"):
        assert total.latency(name, 0.5) == before.latency(name, 0.5)
    assert total.error(0.9) == before.error(0.9)
    assert total.latency("reuse", 0.5) == pytest.approx(0.002, rel=0.02)
    assert total.latency("reuse", 1.0) == pytest.approx(0.4, rel=0.02)
    told = asked(ledger).to_dict()["total"]["reused"]
    assert (told["requests"], told["savings"], told["unpriced"]) == (4, "0.75", 1)
    assert "reused.latency.p99" in asked(ledger).to_csv()
    assert "4 of 5 requests were not sent, saved at least $0.75" in asked(ledger).text(200)
    assert "saved an unknown sum" not in asked(ledger).text(200)


def test_where_nothing_was_sent_at_all_the_cost_is_known_to_be_nothing(ledger, record):
    ledger.append(reused(record, 1, savings=None))
    found = asked(ledger)
    assert (found.total.cost, found.total.reused_savings, found.total.unpriced) == (0, None, 0)
    assert "saved an unknown sum" in found.text(120)
    assert [row.key for row in found.rows]
    by_status = asked(ledger, by="status")
    assert [row.key for row in by_status.rows] == [("reused",)]


def test_written_again_it_counts_once(ledger, record):
    ledger.append(reused(record, 1))
    assert asked(ledger).total.reused == 1
    ledger.append(reused(record, 1, savings="0.5"))
    total = asked(ledger).total
    assert (total.reused, total.reused_savings, total.requests) == (1, Decimal("0.5"), 1)


def test_a_ledger_of_before_is_brought_up_to_date(tmp_path, record):
    path = tmp_path / "ledger.db"
    with of_version(path, 4) as db:
        db.execute("INSERT INTO attempts (attempt, at, owner, status, created) VALUES ('old', 1, 'me', 'settled', 1.0)")
    with Ledger(path) as ledger:
        assert ledger.record("old").timing is None
        ledger.append(reused(record, 1))
        assert asked(ledger).total.reused == 1
        assert ledger.state().schema == len(schema.MIGRATIONS)


def test_what_is_no_duration_is_left_out_and_named(ledger, record):
    ledger.append({**row_of(reused(record, 1)), "reuse": "soon"})
    assert "reuse" in ledger.record(record(1).attempt).problems[0]
    assert asked(ledger).total.reused == 1

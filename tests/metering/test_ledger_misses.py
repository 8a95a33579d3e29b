"""Forecasts, misses, savings and charges in the ledger, older files and older journals, and what a report makes of them."""

import csv
import io
import json
import random
import sqlite3
from contextlib import closing
from decimal import Decimal

import pytest

from ctxkit.cacheable import Miss
from ctxkit.metering.ledger import Ledger, schema
from ctxkit.metering.ledger.journal import encode
from ctxkit.metering.ledger.rollup import right
from ctxkit.metering.ledger.rows import record_of, row_of
from ctxkit.metering.prices.card import Card, Tier, missed
from ctxkit.metering.report import report
from ctxkit.metering.settling import charge_record
from ctxkit.model import Usage

NOON = 1_763_640_000.0  # 2025-11-20 12:00 UTC, a whole hour

OLD_TABLES = """
CREATE TABLE attempts (
    attempt TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, owner TEXT NOT NULL, cell INTEGER,
    operation TEXT, number INTEGER, status TEXT NOT NULL, http_status INTEGER, created REAL NOT NULL,
    dialect TEXT, platform TEXT, model TEXT, response_model TEXT, feature TEXT, labels TEXT, scope TEXT, thread TEXT,
    fresh INTEGER, read INTEGER, written TEXT, output INTEGER, reasoning INTEGER, media TEXT, calls TEXT,
    cost_pico INTEGER, cost_source TEXT, card_cost_pico INTEGER, card TEXT,
    est_input INTEGER, est_low INTEGER, est_high INTEGER, est_usage TEXT,
    est_cost_low INTEGER, est_cost_expected INTEGER, est_cost_max INTEGER, est_method TEXT, est_family TEXT,
    ttft REAL, ttfc REAL, e2e REAL, tpot REAL,
    response_id TEXT, finish TEXT, tier TEXT, stream INTEGER, edits TEXT, problems TEXT
);
CREATE INDEX attempts_created ON attempts (created);
CREATE INDEX attempts_open ON attempts (owner) WHERE status = 'open';
CREATE TABLE cells (
    id INTEGER PRIMARY KEY,
    feature TEXT NOT NULL, model TEXT NOT NULL, platform TEXT NOT NULL, dialect TEXT NOT NULL, tier TEXT NOT NULL,
    scope TEXT NOT NULL, labels TEXT NOT NULL, status TEXT NOT NULL,
    UNIQUE (feature, model, platform, dialect, tier, scope, labels, status)
);
CREATE TABLE rollups (
    span INTEGER NOT NULL, start INTEGER NOT NULL, cell INTEGER NOT NULL REFERENCES cells (id),
    attempts INTEGER NOT NULL, operations INTEGER NOT NULL, priced INTEGER NOT NULL, metered INTEGER NOT NULL,
    fresh INTEGER NOT NULL, read INTEGER NOT NULL, readable INTEGER NOT NULL,
    written_5m INTEGER NOT NULL, written_30m INTEGER NOT NULL, written_1h INTEGER NOT NULL,
    written_12h INTEGER NOT NULL, written_other INTEGER NOT NULL,
    output INTEGER NOT NULL, reasoning INTEGER NOT NULL, reasoned INTEGER NOT NULL,
    cost_usd INTEGER NOT NULL, cost_pico INTEGER NOT NULL,
    estimated_usd INTEGER NOT NULL, estimated_pico INTEGER NOT NULL,
    est_input INTEGER NOT NULL, act_input INTEGER NOT NULL,
    edits INTEGER NOT NULL, edit_tokens INTEGER NOT NULL, problems INTEGER NOT NULL,
    ttft BLOB, ttfc BLOB, e2e BLOB, tpot BLOB, error BLOB,
    PRIMARY KEY (span, start, cell)
) WITHOUT ROWID;
CREATE TABLE journals (name TEXT PRIMARY KEY, position INTEGER NOT NULL);
CREATE TABLE refused (journal TEXT NOT NULL, position INTEGER NOT NULL, reason TEXT NOT NULL, line BLOB NOT NULL,
    PRIMARY KEY (journal, position));
INSERT INTO cells VALUES (7, 'chat', 'gpt-4o', 'openai', 'openai.chat', '', '', '', 'settled');
INSERT INTO attempts (attempt, at, owner, cell, operation, number, status, http_status, created, dialect, platform, model,
    feature, fresh, read, written, output, cost_pico, cost_source)
VALUES ('old-1', 1763640000000001, 'gone', 7, 'old-1', 1, 'settled', 200, 1763640001.0, 'openai.chat', 'openai', 'gpt-4o',
    'chat', 100, 50, '{}', 5, 1500000000000, 'card'),
  ('old-2', 1763640000000002, 'gone', 7, 'old-2', 1, 'settled', 200, 1763640002.0, 'openai.chat', 'openai', 'gpt-4o',
    'chat', 10, 5, '{}', 1, 250000000000, 'card');
INSERT INTO rollups VALUES
  (3600, 1763640000, 7, 2,2,2,2, 110,55,165, 0,0,0,0,0, 6,0,0, 1,750000000000, 0,0, 0,0, 0,0,0, NULL,NULL,NULL,NULL,NULL),
  (86400, 1763596800, 7, 2,2,2,2, 110,55,165, 0,0,0,0,0, 6,0,0, 1,750000000000, 0,0, 0,0, 0,0,0, NULL,NULL,NULL,NULL,NULL);
PRAGMA application_id = 1668577380;
PRAGMA user_version = 1;
"""


@pytest.fixture
def old(path):
    """A ledger as version 1 of the schema left it, written by hand."""
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as db:
        db.executescript(OLD_TABLES)
    return path


def ask(ledger, by="feature", **options):
    return report(ledger, by, timezone="UTC", now=NOON + 86_400, **options)


def missed_record(record, number, reason="tools_changed", tokens=800, cost="0.00279", **values):
    miss = Miss(reason, tokens, ("tools", 1), "1 added: search", "settled")
    known = {
        "miss_reason": reason,
        "miss_tokens": tokens,
        "miss": miss,
        "forecast_read": 900,
        "forecast": {"bound": 900},
    }
    return record(number, **{**known, "miss_cost": None if cost is None else Decimal(cost), **values})


# ---- Older files -------------------------------------------------------------------------------------------------------


def test_a_ledger_of_version_1_keeps_its_rows_and_sums(old, record):
    with Ledger(old) as ledger:
        assert ledger.state().schema == len(schema.MIGRATIONS)
        assert {one.attempt: (one.cost, one.miss_reason) for one in ledger.records()} == {
            "old-1": (Decimal("1.5"), None),
            "old-2": (Decimal("0.25"), None),
        }
        total = ask(ledger).total
        assert (total.requests, total.cost, total.read, total.misses, total.miss_cost) == (
            2,
            Decimal("1.75"),
            55,
            0,
            None,
        )


def test_old_and_new_rows_share_an_hour(old, record):
    with Ledger(old) as ledger:
        ledger.append(missed_record(record, 1, cost="1.5"))
        ledger.append(record(2))
        found = {row.key: row for row in ask(ledger, "miss_reason").rows}
        assert found["tools_changed",].miss_cost == Decimal("1.5")
        assert (found["",].requests, found["",].misses) == (3, 0)


def test_an_old_row_that_is_settled_anew_counts_once(old, record):
    with Ledger(old) as ledger:
        ledger.append(missed_record(record, 0, attempt="old-1", at=NOON + 1, cost="0.5"))
        total = ask(ledger).total
        assert (total.requests, total.misses) == (2, 1)
        assert total.cost == Decimal("0.25") + Decimal("0.00123")
        assert total.read == 505


def test_an_old_ledger_is_migrated_once_by_many(old):
    ledgers = [Ledger(old) for _ in range(4)]
    assert {ledger.state().schema for ledger in ledgers} == {len(schema.MIGRATIONS)}
    for ledger in ledgers:
        ledger.close()


def test_old_journals_are_read(ledger):
    line = {"attempt": "j1", "operation": "j1", "number": 1, "status": "settled", "created": NOON, "model": "gpt-4o",
            "feature": "chat", "fresh": 5, "read": 0, "output": 1, "cost_pico": 5}  # fmt: skip
    ledger.append(line)
    one = ledger.record("j1")
    assert (one.miss, one.miss_reason, one.forecast, one.notes, one.savings) == (None, None, {}, (), None)
    assert ask(ledger).total.cost == Decimal(5).scaleb(-12)


def test_journals_of_a_later_version_are_read(ledger, record):
    ledger.append({**row_of(missed_record(record, 1)), "something_new": {"deep": [1]}, "more": 5})
    assert ledger.record("a00000001").miss_reason == "tools_changed"


@pytest.mark.parametrize(
    "wrong",
    [
        {"miss": []}, {"miss": "x"}, {"forecast": [1]}, {"notes": {"a": 1}}, {"miss_tokens": 10**30}, {"miss_tokens": "5"},
        {"forecast_read": 1.5}, {"miss_cost_pico": 2**70}, {"savings_pico": True}, {"miss_reason": 5}, {"miss_reason": "x" * 10},
        {"forecast": {"bound": "x", "read": []}}, {"miss": {"path": 5}}, {"forecast_read": -5},
    ],
)  # fmt: skip
def test_what_is_no_value_of_its_kind_harms_nothing(ledger, record, wrong):
    ledger.append(row_of(missed_record(record, 1)) | wrong)
    assert ledger.record("a00000001").attempt == "a00000001"
    assert ask(ledger, "miss_reason").total.requests == 1
    assert ledger.state().refused == 0


# ---- Sums --------------------------------------------------------------------------------------------------------------


def test_a_record_with_a_miss_comes_back(ledger, record):
    one = missed_record(record, 1, notes=("marked",), savings=Decimal("-1.25"), timing=None)
    ledger.append(one)
    assert ledger.record(one.attempt).miss == one.miss
    assert record_of(row_of(one)) == one
    assert ledger.record(one.attempt).savings == Decimal("-1.25")


def test_misses_add_up_exactly_and_unknown_stays_unknown(ledger, record):
    chance = random.Random(1)
    reasons = ("tools_changed", "ttl_expired", None)
    expected = {}
    for number in range(300):
        reason, pico = chance.choice(reasons), chance.choice([None, chance.randrange(10**13)])
        if reason is None:
            ledger.append(record(number, at=NOON + number * 60))
            continue
        cost = None if pico is None else str(Decimal(pico).scaleb(-12))
        ledger.append(missed_record(record, number, reason, 7, cost, at=NOON + number * 60))
        sums = expected.setdefault(reason, [0, 0, 0])
        sums[0] += 1
        sums[1] += pico or 0
        sums[2] += pico is None
    for row in ask(ledger, "miss_reason").rows:
        if row.key == ("",):
            assert (row.misses, row.miss_cost, row.missed) == (0, None, 0)
            continue
        count, pico, unpriced = expected[row.key[0]]
        assert (row.misses, row.missed, row.misses_unpriced) == (count, 7 * count, unpriced)
        assert row.miss_cost == Decimal(pico).scaleb(-12)


def test_savings_keep_their_sign(ledger, record):
    for number, saved in enumerate(["-3.5", "0.25", "-0.000000000001", None]):
        ledger.append(record(number, savings=None if saved is None else Decimal(saved)))
    assert ask(ledger).total.savings == Decimal("-3.250000000001")
    assert ask(ledger).to_dict()["total"]["savings"] == "-3.250000000001"


def test_a_charge_is_cost_and_no_request(ledger, record):
    ledger.append(record(1, feature="chat", cost=Decimal(1)))
    charge = {
        "at": NOON + 5,
        "dialect": "gemini.caches",
        "platform": "gemini",
        "model": "gemini-2.5-pro",
        "feature": "chat",
    }
    ledger.append(charge_record("handle-1", cost=Decimal("0.5"), **charge))
    ledger.append(charge_record("handle-1", cost=Decimal("0.75"), note="so far", **charge))
    ledger.append(charge_record("handle-2", cost=None, **charge | {"feature": "other"}))
    rows = {row.key: row for row in ask(ledger).rows}
    chat = rows["chat",]
    assert (chat.requests, chat.attempts, chat.cost, chat.storage) == (1, 1, Decimal("1.75"), Decimal("0.75"))
    assert (chat.status("settled"), chat.unpriced) == (1, 0)
    assert (rows["other",].cost, rows["other",].unpriced, rows["other",].requests) == (None, 1, 0)
    total = ask(ledger).total
    assert (total.requests, total.attempts, total.storage) == (1, 1, Decimal("0.75"))


@pytest.mark.parametrize(
    ("forecast", "read", "most", "is_right"),
    [
        (0, 0, 0, True), (0, 5, 0, False), (900, 890, 900, True), (900, 0, 900, False), (900, 400, 900, False),
        (400, 300, 900, True), (0, 400, 900, False),
    ],
)  # fmt: skip
def test_kinds_of_forecasts(forecast, read, most, is_right):
    assert right(forecast, read, most) is is_right


def test_forecasts_are_scored_by_feature(ledger, record):
    for number, read in enumerate([900, 880, 0, 400]):
        usage = Usage(fresh=100, read=read, written={}, output=1)
        ledger.append(record(number, usage=usage, forecast_read=900, forecast={"bound": 900}))
    ledger.append(record(9, forecast_read=900, usage=Usage(fresh=5, read=None, output=1)))
    ledger.append(record(10, "partial", forecast_read=900))
    row = ask(ledger).rows[0]
    assert (row.forecasts, row.forecasts_right) == (4, 0.5)
    told = ask(ledger).to_dict()["rows"][0]["forecast"]
    assert told == {"requests": 4, "right": 0.5, "bias": round(3_600 / 2_180 - 1, 6)}


# ---- The report --------------------------------------------------------------------------------------------------------


def test_the_report_by_reason(ledger, record):
    ledger.append(missed_record(record, 1, "tools_changed", 5_000, "0.5"))
    ledger.append(missed_record(record, 2, "ttl_expired", 6_000, "2"))
    ledger.append(missed_record(record, 3, "ttl_expired", 500, None))
    ledger.append(missed_record(record, 4, "unknown", 500, None))
    ledger.append(record(5))
    found = ask(ledger, "miss_reason")
    assert [row.key[0] for row in found.rows] == ["ttl_expired", "tools_changed", "", "unknown"]
    text = found.text(120)
    assert "Cache misses" in text
    lines = {line.split("  ")[0]: line for line in text.split("Cache misses")[1].split("Speed")[0].splitlines()}
    assert "6,500" in lines["ttl_expired"]
    assert "≥ $2.00" in lines["ttl_expired"]
    assert "unknown" in lines["unknown"].removeprefix("unknown")
    assert "12,000" in lines["Total"]
    told = json.loads(json.dumps(found.to_dict()))
    assert [row["miss_reason"] for row in told["rows"]] == ["ttl_expired", "tools_changed", None, "unknown"]
    assert told["rows"][0]["misses"] == {"requests": 2, "tokens": 6_500, "cost": "2", "unpriced": 1}
    rows = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert [(row["miss_reason"], row["misses.tokens"], row["misses.cost"]) for row in rows] == [
        ("ttl_expired", "6500", "2"),
        ("tools_changed", "5000", "0.5"),
        ("", "0", ""),
        ("unknown", "500", ""),
    ]


def test_misses_in_another_currency(ledger, record):
    ledger.append(missed_record(record, 1, cost="2"))
    assert ask(ledger, currency="EUR", rate=Decimal("0.5")).total.miss_cost == 1


def test_parts_of_hours_know_of_misses(ledger, record):
    ledger.append(missed_record(record, 1, at=NOON + 10, cost="1"))
    ledger.append(missed_record(record, 2, at=NOON + 1_000, cost="2"))
    assert ask(ledger, "miss_reason", since=NOON + 5, until=NOON + 500).total.miss_cost == 1
    assert ask(ledger, "miss_reason,hour", since=NOON).total.miss_cost == 3


def test_a_report_without_misses_is_as_it_was(ledger, record):
    ledger.append(record(1))
    assert "Cache misses" not in ask(ledger).text(120)


# ---- What a miss costs -------------------------------------------------------------------------------------------------


def card(**rates):
    tier = Tier(0, {name.replace("__", "."): rate for name, rate in rates.items()})
    return Card("c", "p", "m", "standard", "here", None, None, None, (tier,))


def test_what_came_in_place_of_a_read():
    known = card(fresh=30, read=3, output=1, written__5m=37, written__1h=60)
    assert missed(known, Usage(500, 0, {}, 1), 100) == 100 * (30 - 3)
    assert missed(known, Usage(500, 0, {"5m": 60}, 1), 100) == 60 * 37 + 40 * 30 - 100 * 3
    assert missed(known, Usage(500, 0, {"5m": 60, "1h": 80}, 1), 100) == 80 * 60 + 20 * 37 - 100 * 3
    assert missed(known, Usage(0, 0, {"5m": 100}, 1), 100) == 100 * (37 - 3)
    assert missed(known, Usage(500, 0, None, 1), 0) == 0


@pytest.mark.parametrize("rates", [{"fresh": 5}, {"read": 5}, {"fresh": 5, "read": 1}])
def test_a_price_that_is_missing_makes_it_unknown(rates):
    assert missed(card(**rates), Usage(500, 0, {"1h": 100}, 1), 100) is None


def test_rows_stay_small(record):
    detail = "12 added: a, b, c, d, e and 7 more (3 tools before, 15 now); compared with the request 12 s before"
    one = missed_record(record, 1, miss=Miss("tools_changed", 800, ("tools", 1), detail, "settled"))
    assert len(encode(row_of(one))) - len(encode(row_of(record(1)))) < 400

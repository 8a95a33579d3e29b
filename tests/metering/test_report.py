"""The report: figures against figures worked out by hand, or by plain Python over the same records."""

import csv
import io
import json
import random
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from ctxkit.errors import ConfigurationError
from ctxkit.metering.report import report
from ctxkit.model import CostRange, Estimate, Timing, Usage

NOON = 1_763_640_000.0  # 2025-11-20 12:00 UTC
NOW = NOON + 86_400


def ask(ledger, by="feature", since=None, until=None, timezone="UTC", **options):
    return report(ledger, by, since, until, timezone, now=NOW, **options)


def by_key(found):
    return {row.key: row for row in found.rows}


@pytest.fixture
def kept(ledger, record):
    """Two features and no feature; a retry, a failure, cut and unpriced answers, one that nobody could meter."""
    ledger.append(record(1, cost=Decimal("1.5")))
    ledger.append(record(2, "failed", operation="op", number=1))
    ledger.append(record(3, operation="op", number=2, cost=Decimal("0.25"), model="claude", platform="anthropic"))
    ledger.append(record(4, feature="search", cost=None, cost_source=None, model="gpt-99"))
    ledger.append(record(5, "partial", feature="search", cost=Decimal("0.125")))
    ledger.append(record(6, "unverified", feature=None, usage=None, cost=Decimal("0.0625"), cost_source="estimate"))
    ledger.append(record(7, "unmetered", feature="search", model="/v1/audio", dialect="", estimate=None))
    return ledger


@pytest.fixture(name="record")
def later(record):
    def make(number, status="settled", /, **values):
        values.setdefault("operation", f"a{number:08d}")
        order = values.pop("number", 1)
        from dataclasses import replace

        return replace(record(number, status, **values), number=order)

    return make


def test_rows_add_up(kept):
    found = ask(kept)
    chat, search, nobody = (by_key(found)[key,] for key in ("chat", "search", ""))
    assert (chat.requests, chat.attempts, chat.errors) == (2, 3, 1)
    assert (chat.cost, chat.unpriced, chat.estimated) == (Decimal("1.75"), 0, 0)
    assert (chat.fresh, chat.read, chat.written, chat.input_total) == (800, 1000, {"5m": 200}, 2000)
    assert (chat.output, chat.reasoning, chat.cached) == (100, 20, 0.5)
    assert (search.cost, search.unpriced, search.estimated) == (Decimal("0.125"), 1, Decimal("0.125"))
    assert (nobody.cost, nobody.estimated, nobody.input_total) == (Decimal("0.0625"), Decimal("0.0625"), None)
    assert (found.total.requests, found.total.attempts) == (6, 7)
    assert found.total.cost == Decimal("1.9375")
    assert [row.key[0] for row in found.rows] == ["chat", "search", ""]


def test_unknown_is_never_nothing(ledger, record):
    ledger.append(record(1, usage=Usage(fresh=10, output=5), cost=None, cost_source=None))
    row = ask(ledger).total
    assert (row.read, row.reasoning, row.cached, row.cost) == (None, None, None, None)
    told = ask(ledger).to_dict()["total"]
    assert (told["read_tokens"], told["cost"], told["unpriced"]) == (None, None, 1)
    assert "unknown" in ask(ledger).text()


def test_a_sum_with_unknown_parts_says_so(kept):
    text = ask(kept).text()
    assert "≥ $1.94" in text
    assert "1 attempt without a known price (gpt-99)" in text


def test_coverage_and_quality(kept, record):
    kept.append(record(8, "open", at=NOW - 10))
    kept.append(record(9, problems=("buckets exceed the total",)))
    found = ask(kept)
    assert found.attributed == pytest.approx(6 / 7)
    assert found.metered == pytest.approx(7 / 8)
    assert found.under_way == 1
    text = " ".join(found.quality)
    for said in (
        "gpt-99",
        "1 partial attempt",
        "1 unverified attempt",
        "1 attempt passed unmetered",
        "1 attempt under way",
        "add up",
    ):
        assert said in text


def test_an_answer_that_never_came_is_unverified_in_the_end(ledger, record):
    ledger.append(record(1, "open", at=NOW - 4000))
    row = ask(ledger).total
    assert (row.attempts, row.status("unverified"), row.cost) == (1, 1, Decimal("0.002"))
    assert row.estimated == row.cost


def test_estimates_are_scored(ledger, record):
    for number, estimated in enumerate([1000, 1010, 980, 1100], 1):
        ledger.append(record(number, estimate=Estimate(estimated, 1, 2, cost=CostRange())))
    ledger.append(record(9, "partial", estimate=Estimate(9999, 1, 2)))  # not whole: not scored
    row = ask(ledger).total
    assert row.error(0.5) == pytest.approx(0.01, rel=0.02)
    assert row.error(1.0) == pytest.approx(0.1, rel=0.01)
    assert row.error(0.0) == 0.0
    assert row.bias == pytest.approx(4090 / 4000 - 1)


def test_latency_is_of_answers(ledger, record):
    for number in range(1, 101):
        ledger.append(record(number, timing=Timing(0.0, number / 200, number / 100, number / 50)))
    ledger.append(record(200, "failed", timing=Timing(0.0, None, None, 500.0)))
    row = ask(ledger).total
    assert row.latency("ttft", 0.5) == pytest.approx(0.5, rel=0.01)
    assert row.latency("ttfc", 0.9) == pytest.approx(0.45, rel=0.01)
    assert row.latency("e2e", 0.99) == pytest.approx(1.98, rel=0.01)
    assert row.latency("tpot", 0.5) == pytest.approx(0.5 / 39, rel=0.01)
    failed = by_key(ask(ledger, "status"))["failed",]
    assert failed.latency("e2e", 0.5) == pytest.approx(500, rel=0.01)


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("model", {("gpt-4o",), ("claude",), ("gpt-99",), ("/v1/audio",)}),
        ("platform", {("openai",), ("anthropic",)}),
        ("status", {("settled",), ("failed",), ("partial",), ("unverified",), ("unmetered",)}),
        ("dialect", {("openai.chat",), ("",)}),
        ("tier", {("",)}),
        ("scope", {("",)}),
        ("day", {("2025-11-20",)}),
        ("hour", {("2025-11-20 12:00",)}),
        ("label:team", {("",)}),
        (
            "platform, model",
            {("openai", "gpt-4o"), ("anthropic", "claude"), ("openai", "gpt-99"), ("openai", "/v1/audio")},
        ),
    ],
)
def test_any_grouping(kept, by, keys):
    found = ask(kept, by)
    assert set(by_key(found)) == keys
    assert sum(row.attempts for row in found.rows) == found.total.attempts == 7


def test_labels(ledger, record):
    ledger.append(record(1, labels={"team": "a", "env": "prod"}))
    ledger.append(record(2, labels={"team": "b", "env": "prod"}))
    assert set(by_key(ask(ledger, "label:team"))) == {("a",), ("b",)}
    assert by_key(ask(ledger, "label:env"))["prod",].attempts == 2


@pytest.mark.parametrize("by", ["colour", "label:", "", "feature,colour"])
def test_what_nothing_can_be_grouped_by(ledger, by):
    with pytest.raises(ConfigurationError, match="cannot group by"):
        ask(ledger, by)


ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Pacific/Chatham"]


@pytest.fixture(scope="module")
def spread(tmp_path_factory):
    """Four hundred attempts over the ten days in which Berlin and New York set their clocks back."""
    from ctxkit.metering.ledger import Ledger
    from tests.metering.conftest import record

    rng = random.Random(7)
    start = datetime(2025, 10, 24, 3, tzinfo=UTC).timestamp()
    records = [
        record(number, at=start + rng.random() * 10 * 86_400, cost=Decimal(rng.randrange(10**9)).scaleb(-12))
        for number in range(400)
    ]
    with Ledger(tmp_path_factory.mktemp("spread") / "ledger.db") as ledger:
        for one in records:
            ledger.append(one)
        yield ledger, records


@pytest.mark.parametrize("zone", ZONES)
def test_days_are_the_users_days(spread, zone):
    ledger, records = spread
    expected = {}
    for one in records:
        day = datetime.fromtimestamp(one.created, ZoneInfo(zone)).date().isoformat()
        expected[day] = expected.get(day, 0) + one.cost
    found = ask(ledger, "day", timezone=zone)
    assert {row.key[0]: row.cost for row in found.rows} == expected
    assert [row.key for row in found.rows] == sorted(row.key for row in found.rows)


@pytest.mark.parametrize("zone", ZONES[:4])
@pytest.mark.parametrize("by", ["feature", "day", "hour"])
def test_any_period_is_exact(spread, by, zone):
    ledger, records = spread
    rng = random.Random(by + zone)
    for _ in range(12):
        since, until = sorted(records[0].created - 5e5 + rng.random() * 15 * 86_400 for _ in range(2))
        if rng.random() < 0.3:
            until = since + rng.random() * 3600
        wanted = [one for one in records if since <= one.created < until]
        found = ask(ledger, by, since, until, timezone=zone)
        assert found.total.attempts == len(wanted)
        assert (found.total.cost or 0) == sum(one.cost for one in wanted)


def test_percentiles_are_the_same_whichever_way_they_are_read(spread):
    ledger, _ = spread
    whole = ask(ledger, "feature").total
    for zone in ZONES:
        parts = ask(ledger, "day", timezone=zone).total
        assert [parts.latency(name, 0.9) for name in ("ttft", "e2e")] == [
            whole.latency(name, 0.9) for name in ("ttft", "e2e")
        ]


def test_other_currencies(kept):
    found = ask(kept, currency="EUR", rate=Decimal("1.5"))
    assert found.total.cost == Decimal("2.90625")
    assert "€2.91" in found.text()
    with pytest.raises(ConfigurationError, match="rate"):
        ask(kept, currency="EUR")


# Forms

NAMES = {
    "requests", "attempts", "statuses", "errors", "input_tokens", "fresh_tokens", "read_tokens", "written_tokens",
    "output_tokens", "reasoning_tokens", "cached", "cost", "cost_estimated", "unpriced", "estimate_error", "latency",
    "edits", "edit_tokens", "problems", "misses", "forecast", "savings", "savings_by",
    "predicted", "storage", "drift", "reused",
}  # fmt: skip


def test_json_has_the_documented_names(kept):
    told = json.loads(json.dumps(ask(kept, ("feature", "model"), since="7d").to_dict()))
    assert set(told) == {
        *(
            "by",
            "since",
            "until",
            "timezone",
            "currency",
            "rows",
            "total",
            "coverage",
            "under_way",
            "quality",
            "shadow",
            "tidied",
            "coming",
            "definitions",
        )
    }
    assert set(told["total"]) == NAMES
    assert all(set(row) == {*NAMES, "feature", "model"} for row in told["rows"])
    assert told["total"]["cost"] == "1.9375"
    assert told["since"] == "2025-11-14T12:00:00+00:00"
    assert {row["feature"] for row in told["rows"]} == {"chat", "search", None}
    assert set(told["total"]["latency"]) == {"ttft", "ttfc", "tpot", "e2e"}


def test_the_reference_names_every_name():
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs/reference/report.md").read_text()
    assert [name for name in sorted(NAMES) if f"`{name}`" not in page] == []


def test_csv(kept):
    rows = list(csv.DictReader(io.StringIO(ask(kept).to_csv())))
    assert [row["feature"] for row in rows] == ["chat", "search", ""]
    assert [row["cost"] for row in rows] == ["1.75", "0.125", "0.0625"]
    assert rows[0]["written_tokens.5m"] == "200"
    assert rows[2]["input_tokens"] == ""
    assert rows[0]["latency.ttft.p50"]


def test_an_empty_ledger_says_what_to_do(ledger):
    found = ask(ledger)
    assert found.rows == ()
    assert "wrapped client" in str(found)
    assert found.to_dict()["total"]["cost"] is None
    assert found.to_csv().startswith("requests,")


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160, 220])
@pytest.mark.parametrize("by", ["feature", ("feature", "model", "platform")])
def test_tables_keep_to_the_width(ledger, record, width, by):

    for number in range(3):
        big = Usage(12_345_678, 901_234_567, {"1h": 4_567_890}, 9_876_543, 1_234)
        ledger.append(
            record(number, usage=big, feature=f"a/very/long/path/of/features/number-{number}", cost=Decimal("1234.5"))
        )
    out = io.StringIO()
    Console(file=out, width=width).print(ask(ledger, by))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(line for line in lines if "Total" in line), "no figure is cut"
    narrow = ask(ledger, by).text(width)
    assert "3,703.50" in out.getvalue()
    assert "3,703.50" in narrow
    assert ("2.7G" in narrow or "2.8G" in narrow) == (width < 100)
    if width >= 160 and by == "feature":
        assert "2,703,703,701" in narrow


def test_small_money_is_not_shown_as_none(ledger, record):
    ledger.append(record(1, cost=Decimal("0.0000001")))
    ledger.append(record(2, feature="dear", cost=Decimal(3)))
    assert "<$0.01" in ask(ledger).text()


def test_reading_changes_no_entry(kept):
    before = list(kept.records())
    ask(kept, "hour")
    assert list(kept.records()) == before


EVIL = (
    "[/]",
    "[bold red]x[/]",
    ":smile:",
    "\x1b[2J\x07",
    "a\nb",
    "\u202eabc",
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\x9b31m",
)


def test_hostile_names_are_shown_as_they_are_and_do_nothing(ledger, record):
    """Labels may be what users of users typed: neither rich, nor the terminal, nor a spreadsheet is to obey them."""
    for number, name in enumerate(EVIL):
        ledger.append(record(number, feature=name, model=name, labels={"team": name}, cost=None, card_cost=None))
    for by in ("feature", "model", "label:team"):
        told = report(ledger, by, now=NOW)
        drawn = io.StringIO()
        Console(file=drawn, width=300, force_terminal=True, color_system=None).print(told)
        for text in (str(told), drawn.getvalue()):
            assert all(one.isprintable() or one in "\n\x1b" for one in text)
            assert "\x1b[2J" not in text
            assert all(
                shown in text for shown in ("[/]", "[bold red]x[/]", ":smile:", "\\x1b[2J", "\\u202eabc", "a\\nb")
            )
        cells = [row[by] for row in csv.DictReader(io.StringIO(told.to_csv()))]
        assert len(cells) == len(EVIL)
        assert not [cell for cell in cells if cell[0] in "=+-@\t\r"]
        assert {row.key[0] for row in told.rows} == set(EVIL)

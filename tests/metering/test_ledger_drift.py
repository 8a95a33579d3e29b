"""Drift in the ledger: kept beside the record, told in the report, exact when it is written again, unknown where it is."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctxkit.drift import Drift, Superseded
from ctxkit.metering.ledger import Ledger
from ctxkit.metering.ledger.rows import record_of, row_of
from tests.metering.conftest import NOON, asked, of_version

DRIFT = Drift(
    score=0.625,
    tokens=2_000,
    noise=500,
    fee=Decimal("0.0015"),
    repetition=0.25,
    loop=0.9,
    goal=0.0,
    superseded=(Superseded(1, 5, "superseded"), Superseded(2, 7, "contradicted")),
    position=0.125,
    level="lost",
)


def test_drift_is_written_beside_a_record_that_is_there_already(ledger, record):
    ledger.append(record(1))
    assert asked(ledger).total.drift is None
    ledger.append(record(1, drift=DRIFT))
    total = asked(ledger).total
    assert (total.requests, total.drifts, total.drift) == (1, 1, 0.625)
    assert ledger.record(record(1).attempt).drift == DRIFT


def test_sums_of_the_report(ledger, record):
    ledger.append(record(1, drift=DRIFT))
    ledger.append(record(2, drift=Drift(0.125, tokens=6_000, noise=0, fee=Decimal(0), level="calm")))
    ledger.append(record(3, drift=replace(DRIFT, fee=None, loop=0.0, level="drifting")))
    ledger.append(record(4))
    told = asked(ledger).to_dict()["total"]["drift"]
    assert told == {
        "requests": 3,
        "score": pytest.approx((0.625 + 0.125 + 0.625) / 3, abs=1e-6),
        "noise_tokens": 1_000,
        "noise_share": 0.1,
        "noise_fee": "0.0015",
        "unpriced": 1,
        "drifting": 1,
        "lost": 1,
        "stuck": 1,
    }
    assert "drift.noise_fee" in asked(ledger).to_csv()


def test_what_was_not_measured_or_has_no_price_is_not_nothing(ledger, record):
    ledger.append(record(1))
    told = asked(ledger).to_dict()["total"]["drift"]
    assert told["requests"] == 0
    assert told["score"] is told["noise_share"] is told["noise_fee"] is told["noise_tokens"] is None
    ledger.append(record(2, drift=replace(DRIFT, fee=None)))
    found = asked(ledger)
    assert found.total.noise_fee is None
    assert "unknown" in found.text(120).split("Drift\n")[1]


def test_the_table_stands_where_something_drifts_and_a_line_where_nothing_does(ledger, record):
    calm = Drift(0.125, tokens=6_000, noise=60, fee=Decimal("0.01"), level="calm")
    ledger.append(record(1))
    assert "Drift" not in asked(ledger).text(120)
    ledger.append(record(2, drift=calm))
    text = asked(ledger).text(120)
    assert "Drift: none in 1 measured requests; 1.0% of their conversations was noise" in text
    ledger.append(record(3, drift=DRIFT))
    lines = asked(ledger).text(80).split("Drift\n")[1].splitlines()
    assert "0.38" in lines[3]
    assert max(map(len, lines)) <= 80


def test_rows_of_before_know_none(tmp_path, record):
    path = tmp_path / "ledger.db"
    with of_version(path, 3) as db:
        db.execute("INSERT INTO attempts (attempt, at, owner, status, created) VALUES ('old', 1, 'me', 'settled', 1.0)")
    with Ledger(path) as ledger:
        assert ledger.record("old").drift is None
        ledger.append(record(1, drift=DRIFT))
        assert asked(ledger).total.drifts == 1


@pytest.mark.parametrize(
    "odd",
    [
        {"drift_score": "high"},
        {"drift_score": 1.9e16},
        {"drift": {"loop": "yes"}},
        {"drift": [1]},
        {"drift_noise": 10**13},
    ],
)
def test_what_is_no_figure_is_left_out_and_named(ledger, record, odd):
    row = {**row_of(record(1, drift=DRIFT)), **odd}
    ledger.append(row)
    one = ledger.record(row["attempt"])
    assert next(iter(odd)) in one.problems[0]
    assert asked(ledger).total.requests == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.floats(0, 1),
    st.one_of(st.none(), st.floats(0, 1)),
    st.integers(0, 10**9),
    st.sampled_from([None, "calm", "lost"]),
)
def test_a_row_says_what_the_record_said(record, share, goal, tokens, level):
    drift = Drift(share, tokens, tokens // 2, None, share, share, goal, (), share, "some/model", level)
    found = record_of(row_of(record(1, drift=drift))).drift
    assert found.score == pytest.approx(share, abs=1e-6)
    assert found.goal == (None if goal is None else pytest.approx(goal, abs=1e-4))
    assert (found.tokens, found.noise, found.fee, found.by, found.level) == (
        tokens,
        tokens // 2,
        None,
        "some/model",
        level,
    )


# ---- the page ------------------------------------------------------------------------------------------------------------


def course(record, thread, scores, first=1, **more):
    """A conversation whose requests were measured, but those without a score."""
    for number, score in enumerate(scores, first):
        level = "lost" if (score or 0) >= 0.7 else "drifting" if (score or 0) >= 0.4 else "calm"
        drift = None if score is None else replace(DRIFT, score=score, level=level, **more)
        yield record(number, at=NOON + number, thread=thread, drift=drift)


def test_the_page_shows_the_course_of_those_that_drift_most(ledger, record):
    for one in (
        *course(record, "worst", (0.1, None, 0.5, 0.9), loop=0.8),
        *course(record, "calm", (0.9, 0.8, 0.1), first=11),
        *course(record, "drifting", (0.1, 0.6), first=21, fee=None, loop=0.0),
    ):
        ledger.append(one)
    found = asked(ledger)
    worst, other = found.details().strayed
    assert (worst.thread, worst.score, worst.level, worst.measured) == ("worst", 0.9, "lost", 3)
    assert worst.course == ((1, 0.1), (3, 0.5), (4, 0.9))
    assert worst.stuck
    assert (worst.noise_share, worst.noise_fee) == (0.25, Decimal("0.0045"))
    assert (other.thread, other.noise_fee, other.unpriced, other.stuck) == ("drifting", None, 2, False)
    told = found.details().to_dict()["threads"]["strayed"][0]
    assert told["noise_fee"] == "0.0045"
    html = found.to_html()
    assert "Conversations that drift most" in html
    assert "Score over the requests" in html


def test_nothing_is_looked_for_where_nothing_drifts(ledger, record):
    ledger.append(record(1, drift=replace(DRIFT, score=0.1, level="calm", loop=0.0)))
    found = asked(ledger)
    assert found.details().strayed == ()
    assert "Nothing drifts." in found.to_html()
    assert "Drift" in found._repr_html_()


def test_pages_of_ledgers_that_measured_nothing_do_not_speak_of_it(ledger, record):
    ledger.append(record(1))
    assert "Cost of noise" not in asked(ledger).to_html()

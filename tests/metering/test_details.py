"""What stands beside the rows of a report: figures against figures worked out by hand."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.errors import StoreError
from ctxkit.metering.ledger import Ledger
from ctxkit.metering.prices.card import Card, Tier, charge
from ctxkit.metering.report import report
from ctxkit.metering.report.details import Spans
from ctxkit.metering.settling import charge_record
from ctxkit.model import Timing, Usage
from ctxkit.money import usd_of
from tests.metering.conftest import record as a_record

NOON = 1_763_640_000.0  # 2025-11-20 12:00 UTC
NOW = NOON + 86_400
RATES = {"fresh": 2_000_000, "read": 200_000, "written.5m": 2_500_000, "written.1h": 4_000_000, "output": 10_000_000}
MORE = {"audio.fresh": 9_000_000, "call.web_search": 10**10, "request": 7}


def card(name, *tiers):
    return Card(name, "p", "m", "standard", "hand", None, None, None, tuple(Tier(*tier) for tier in tiers))


class Lists:
    """Price lists with four models."""

    CARDS: ClassVar = {
        "plain": card("hand/plain", (0, RATES)),
        "steps": card("hand/steps", (0, RATES), (1000, {name: 2 * rate for name, rate in RATES.items()})),
        "thinking": card("hand/thinking", (0, {**RATES, **MORE, "reasoning": 12_000_000})),
        "renamed": card("newer/plain", (0, RATES)),
    }

    def card(self, platform, model, *, at, tier=None, region=None):
        return self.CARDS.get(model)


def ask(ledger, **options):
    return report(ledger, timezone="UTC", now=NOW, prices=options.pop("prices", Lists()), **options)


def details(ledger, **options):
    found = ask(ledger, **options)
    told = found.details()
    assert told.cost == found.total.cost
    assert sum((part.cost for part in told.parts), Decimal(0)) == (told.cost or 0), (
        "the parts add up, to the pico-dollar"
    )
    json.dumps(told.to_dict())
    return told


@pytest.fixture(name="priced")
def make_priced(record):
    """A record whose cost is that of its card."""

    def make(number, usage, model="plain", /, **values):
        found = Lists.CARDS[model]
        cost = usd_of(charge(found, usage))
        assert cost is not None
        known = {"model": model, "cost": cost, "card_cost": cost, "card": found.id, "cost_source": "card"}
        return record(number, usage=usage, **{**known, **values})

    return make


def costs(told):
    return {part.name: part.cost for part in told.parts}


def test_where_each_dollar_went(ledger, priced):
    usage = Usage(fresh=100, read=1000, written={"5m": 10, "1h": 20}, output=50, reasoning=30)
    ledger.append(priced(1, usage))
    ledger.append(priced(2, replace(usage, written={}, reasoning=None)))
    told = details(ledger)
    assert costs(told) == {
        "fresh": usd_of(200 * 2_000_000),
        "read": usd_of(2000 * 200_000),
        "written.5m": usd_of(10 * 2_500_000),
        "written.1h": usd_of(20 * 4_000_000),
        "output": usd_of(70 * 10_000_000),
        "reasoning": usd_of(30 * 10_000_000),
    }
    assert {part.name: part.tokens for part in told.parts}["output"] == 70


def test_waste_is_taken_out_of_what_it_was_billed_as(ledger, priced):
    """Of 300 missed tokens 20 were written for an hour again, 10 for five minutes, and 270 were fresh."""
    usage = Usage(fresh=1000, read=0, written={"5m": 10, "1h": 20}, output=1)
    ledger.append(priced(1, usage, miss_reason="ttl_expired", miss_tokens=300, miss_cost=Decimal("0.000585")))
    told = details(ledger)
    more = 20 * 3_800_000 + 10 * 2_300_000 + 270 * 1_800_000
    assert costs(told) == {
        "fresh": usd_of(1000 * 2_000_000 - 270 * 1_800_000),
        "written.5m": usd_of(10 * 200_000),
        "written.1h": usd_of(20 * 200_000),
        "output": usd_of(10_000_000),
        "waste": usd_of(more),
    }
    assert told.misses[0].cost == usd_of(more) == Decimal("0.000585")


def test_more_missed_than_billed_takes_no_part_below_a_read(ledger, priced):
    ledger.append(priced(1, Usage(fresh=5, read=0, written={}, output=0), miss_reason="unknown", miss_tokens=10**6))
    assert costs(details(ledger)) == {"fresh": usd_of(5 * 200_000), "waste": usd_of(5 * 1_800_000)}


def test_prompts_on_both_sides_of_a_price_step(ledger, priced):
    short, long = Usage(fresh=1000, read=0, written={}, output=10), Usage(fresh=500, read=501, written={}, output=10)
    ledger.append(priced(1, short, "steps"))
    ledger.append(priced(2, long, "steps"))
    assert costs(details(ledger)) == {
        "fresh": usd_of(1000 * 2_000_000 + 500 * 4_000_000),
        "read": usd_of(501 * 400_000),
        "output": usd_of(10 * 10_000_000 + 10 * 20_000_000),
    }


def test_media_tools_and_fees(ledger, priced):
    usage = Usage(
        fresh=100, read=0, written={}, output=20, reasoning=5, media={"audio.fresh": 40}, calls={"web_search": 2}
    )
    ledger.append(priced(1, usage, "thinking"))
    ledger.append(priced(2, Usage(fresh=1, output=0), "thinking"))
    assert costs(details(ledger)) == {
        "fresh": usd_of(61 * 2_000_000 + 40 * 9_000_000),
        "output": usd_of(15 * 10_000_000),
        "reasoning": usd_of(5 * 12_000_000),
        "calls": usd_of(2 * 10**10 + 14),
    }


def test_what_cannot_be_split_is_said_so(ledger, priced, record):
    usage = Usage(fresh=100, read=0, written={}, output=0)
    ledger.append(priced(1, usage))
    ledger.append(priced(2, usage, cost=Decimal("0.5"), cost_source="provider"))  # the provider's own sum
    ledger.append(priced(3, usage, cost_source="provider"))  # its own, and the same as the card's
    ledger.append(record(4, "unverified", usage=None, cost=Decimal("0.25"), cost_source="estimate"))
    ledger.append(priced(5, usage, "thinking", cost=Decimal("0.125"), card_cost=Decimal("0.125")))  # of another list
    ledger.append(priced(6, usage, model="gone", card="hand/gone"))
    told = details(ledger)
    assert costs(told) == {"fresh": usd_of(200 * 2_000_000), "unsplit": Decimal("0.8752")}


def test_the_card_is_found_by_the_model_that_answered(ledger, priced):
    ledger.append(priced(1, Usage(fresh=100, output=0), model="nobody knows it", response_model="plain"))
    ledger.append(priced(2, Usage(fresh=100, output=0), model="plain", response_model="nobody knows it"))
    assert set(costs(details(ledger))) == {"fresh"}


def test_a_newer_list_that_says_the_same_will_do(ledger, priced):
    ledger.append(priced(1, Usage(fresh=100, output=0), model="renamed"))
    assert set(costs(details(ledger))) == {"fresh"}


def test_unknown_prices_are_no_part_and_are_not_nothing(ledger, record):
    ledger.append(record(1, cost=None, cost_source=None, model="gpt-99"))
    told = details(ledger)
    assert (told.cost, told.unpriced, told.parts) == (None, 1, ())
    assert told.courses[0].costs == (None,)
    assert told.to_dict()["cost"] is None


counts = st.integers(0, 3000)
usages = st.builds(
    Usage,
    fresh=counts,
    read=st.none() | counts,
    written=st.none() | st.dictionaries(st.sampled_from(["5m", "1h"]), counts),
    output=st.integers(100, 3000),
    reasoning=st.none() | st.integers(0, 100),
    calls=st.just({}),
)


@given(st.lists(st.tuples(usages, st.sampled_from(["plain", "steps", "thinking"]), st.none() | counts), max_size=12))
def test_whatever_was_billed_by_a_card_is_split_exactly(asked):
    with Ledger(None) as ledger:
        for number, (usage, model, missed) in enumerate(asked):
            found = Lists.CARDS[model]
            cost = usd_of(charge(found, usage))
            why = {"miss_reason": "raced", "miss_tokens": missed} if missed is not None else {}
            known = {"model": model, "usage": usage, "cost": cost, "card_cost": cost, "card": found.id}
            ledger.append(a_record(number, **known, **why))
        told = details(ledger)
    assert all(part.cost >= 0 for part in told.parts)
    assert "unsplit" not in costs(told)
    tokens = {part.name: part.tokens for part in told.parts}
    assert tokens.get("fresh", 0) == sum(usage.fresh for usage, _, _ in asked)
    assert tokens.get("output", 0) == sum(usage.output - (usage.reasoning or 0) for usage, _, _ in asked)
    assert tokens.get("waste", 0) <= sum(missed or 0 for _, _, missed in asked)


def test_storage_is_a_part(ledger, priced):
    ledger.append(priced(1, Usage(fresh=100, output=0)))
    ledger.append(
        charge_record("rent", at=NOON, dialect="gemini.caches", platform="google", model="m", cost=Decimal("0.25"))
    )
    told = details(ledger)
    assert costs(told) == {"fresh": usd_of(100 * 2_000_000), "storage": Decimal("0.25")}
    assert [course.feature for course in told.courses] == ["", "chat"]


def test_a_charge_alone(ledger):
    ledger.append(charge_record("rent", at=NOON, dialect="d", platform="p", model="m", cost=Decimal("0.25")))
    assert costs(details(ledger)) == {"storage": Decimal("0.25")}


def test_sums_beyond_sixty_four_bits(ledger, priced):
    many = Usage(fresh=4 * 10**11, output=0)
    for number in range(30):
        ledger.append(priced(number, many, thread="t", savings=Decimal(800_000)))
    told = details(ledger)
    assert told.cost == 30 * 800_000
    assert (told.best[0].cost, told.best[0].savings, told.best[0].per_request) == (24_000_000, 24_000_000, 800_000)


def test_another_currency(ledger, priced):
    ledger.append(priced(1, Usage(fresh=100, output=0), thread="t", savings=Decimal("0.5")))
    told = details(ledger, currency="JPY", rate=Decimal(150))
    assert costs(told) == {"fresh": Decimal("0.03")}
    assert told.best[0].savings == told.causes[0].saved == 75


def test_an_empty_ledger(ledger):
    told = details(ledger)
    assert (told.cost, told.steps, told.courses, told.parts, told.threads, told.best) == (None, (), (), (), 0, ())


def test_courses_by_day_hour_and_month(ledger, priced):
    one = Usage(fresh=500_000, output=0)  # a dollar
    for number, (at, feature) in enumerate(
        [(NOON, "a"), (NOON + 3_600, "b"), (NOON + 2 * 86_400, "a"), (NOON + 2 * 86_400 + 1, None)]
    ):
        ledger.append(priced(number, one, at=at, feature=feature))
    told = details(ledger)
    assert (told.unit, told.steps) == ("day", ("2025-11-20", "2025-11-21", "2025-11-22"))
    assert {course.feature: course.costs for course in told.courses} == {"a": (1, 0, 1), "b": (1, 0, 0), "": (0, 0, 1)}
    hours = details(ledger, until=NOON + 7_200)
    assert (hours.unit, hours.steps) == ("hour", ("2025-11-20 12:00", "2025-11-20 13:00"))
    assert {course.feature: course.costs for course in hours.courses} == {"a": (1, 0), "b": (0, 1)}
    ledger.append(priced(9, one, at=NOON + 200 * 86_400, feature="a"))
    months = details(ledger)
    assert months.unit == "month"
    assert (months.steps[0], months.steps[-1], len(months.steps)) == ("2025-11", "2026-06", 8)
    assert {course.feature: course.costs[0] for course in months.courses} == {"a": 2, "b": 1, "": 1}


def test_what_lies_outside_of_the_period_is_in_no_course(ledger, priced):
    """The day is read as a whole, and the hours outside of the period are taken away again."""
    one = Usage(fresh=500_000, output=0)
    ledger.append(priced(1, one, at=NOON - 11.5 * 3_600, feature="early", miss_reason="raced", miss_tokens=1))
    for number in range(2, 14):
        ledger.append(priced(number, one, at=NOON + number * 1_800))
    told = details(ledger, since=NOON - 9 * 3_600, until=NOON + 86_400)
    assert [course.feature for course in told.courses] == ["chat"]
    assert (told.cost, told.misses, len(told.accuracy)) == (12, (), 1)


def test_the_dearest_eight_features_and_the_rest(ledger, priced):
    for number in range(12):
        ledger.append(priced(number, Usage(fresh=1000 * (number + 1), output=0), feature=f"f{number}"))
    told = details(ledger)
    assert [course.feature for course in told.courses] == [*(f"f{number}" for number in range(11, 3, -1)), None]
    assert told.courses[-1].costs == (usd_of((1 + 2 + 3 + 4) * 1000 * 2_000_000),)


def test_speed_with_and_without_cache(ledger, priced, record):
    for number, (read, ttft) in enumerate([(10, 1.0), (10, 2.0), (10, 3.0), (0, 7.0), (None, 50.0)]):
        usage = Usage(fresh=10, read=read, written={}, output=11)
        ledger.append(priced(number, usage, timing=Timing(0.0, ttft, ttft, ttft + 1)))
    ledger.append(record(9, "failed", timing=Timing(0.0, 99.0, 99.0, 99.0)))
    ttft, tpot, e2e = details(ledger).speeds
    assert (ttft.name, ttft.cached, ttft.cold) == ("ttft", Spans(3, 2.0, 2.0, 2.0), Spans(1, 7.0, 7.0, 7.0))
    assert (tpot.cached.count, tpot.cached.p50) == (3, pytest.approx(0.1))
    assert (e2e.cached.p50, e2e.cold.p50) == (3.0, 8.0)


def test_the_latest_answers_are_enough_for_speed(ledger, priced, monkeypatch):
    monkeypatch.setattr("ctxkit.metering.report.speeds.MOST", 3)
    monkeypatch.setattr("ctxkit.metering.report.detailing.MOST", 3)
    for number in range(5):
        usage = Usage(fresh=10, read=1, written={}, output=11)
        ledger.append(priced(number, usage, at=NOON + number, timing=Timing(0.0, 1.0, float(number), 9.0)))
    told = details(ledger)
    assert told.speeds[0].cached == Spans(3, 3.0, 3.0, 3.0)
    assert told.limits == ("speed is that of the latest 3 answers",)


def test_threads_that_stand_out(ledger, priced):
    usage = Usage(fresh=100, read=50, written={"5m": 5}, output=10)
    for number in range(24):
        thread, saved = f"t{number % 12}", Decimal(number % 12 - 6)
        kinds = {"n": 3, "tokens": 9, "by.spent.n": 2, "by.spent.before": 9, "by.spent.after": 1}
        why = {"miss_reason": "ttl_expired", "miss_tokens": 3} if number == 0 else {}
        ledger.append(
            priced(number, usage, thread=thread, savings=saved, edits=kinds, feature=f"f{number // 12}", **why)
        )
    ledger.append(priced(99, Usage(fresh=10**6, output=0), thread="dear"))
    told = details(ledger)
    assert told.threads == 13
    assert [one.thread for one in told.best] == ["t11", "t10", "t9", "t8", "t7"]
    assert [one.thread for one in told.worst] == ["t0", "t1", "t2", "t3", "t4", "t5"]
    assert [one.thread for one in told.dearest][:2] == ["dear", "t0"]
    worst = told.worst[0]
    assert (worst.requests, worst.attempts, worst.input_tokens, worst.read, worst.output) == (2, 2, 310, 100, 20)
    assert (worst.savings, worst.cost, worst.per_request) == (-12, worst.per_request * 2, usd_of(322_500_000))
    assert (worst.edits, worst.misses) == ({"spent": 4, "": 2}, {"ttl_expired": 1})


def test_threads_that_last_long_and_short(ledger, priced):
    """Whether they are looked up one by one or met in passing, their figures are the same."""
    usage = Usage(fresh=100, read=0, written={}, output=0)
    for number in range(10):
        ledger.append(priced(number, usage, at=NOON + number * 3_600, thread=f"t{number // 2}", savings=Decimal(1)))
    short = details(ledger)
    ledger.append(priced(10, usage, at=NOON + 90_000, thread="t0", savings=Decimal(1)))
    ledger.append(priced(11, usage, at=NOON + 90_000, thread="t1", savings=Decimal(1)))
    long = details(ledger)
    assert [(one.thread, one.requests, one.savings) for one in short.best] == [(f"t{n}", 2, 2) for n in range(5)]
    assert [(one.thread, one.requests) for one in long.best] == [("t0", 3), ("t1", 3), ("t2", 2), ("t3", 2), ("t4", 2)]
    ledger.append(priced(12, usage, at=NOON + 10**7, thread="far", savings=Decimal("0.5")))
    assert [(one.thread, one.requests, one.savings) for one in details(ledger).best] == [
        *((one.thread, one.requests, one.savings) for one in long.best),
        ("far", 1, Decimal("0.5")),
    ]


def test_causes_predictions_and_misses(ledger, priced):
    usage = Usage(fresh=100, read=0, written={}, output=10)
    by = {"cache": Decimal(-1), "stale": Decimal(2), "compact": Decimal(4)}
    ledger.append(priced(1, usage, savings=Decimal(5), savings_by=by, predicted=Decimal(9)))
    ledger.append(priced(2, usage, miss_reason="raced", miss_tokens=7, miss_cost=None))
    ledger.append(priced(3, usage, miss_reason="unknown", miss_tokens=2, miss_cost=Decimal(1)))
    told = details(ledger)
    assert [(cause.name, cause.saved) for cause in told.causes] == [("compact", 4), ("stale", 2), ("cache", -1)]
    assert (told.predicted, told.realised) == (9, 2)
    assert [(one.reason, one.tokens, one.cost, one.unpriced) for one in told.misses] == [
        ("unknown", 2, 1, 0),
        ("raced", 7, None, 1),
    ]
    assert (told.caching[0].misses, told.caching[0].missed, told.caching[0].cached) == (2, 9, 0.0)


def test_estimates_by_feature_and_model(ledger, priced):
    usage = Usage(fresh=1000, read=0, written={}, output=1)
    ledger.append(priced(1, usage))
    ledger.append(priced(2, usage, feature=None, estimate=None))
    (one,) = details(ledger).accuracy
    assert (one.feature, one.model, one.requests) == ("chat", "plain", 1)
    assert (one.median, one.bias) == (pytest.approx(0.01, rel=0.02), pytest.approx(0.01))


def test_estimates_of_the_busiest_are_told(ledger, priced, monkeypatch):
    monkeypatch.setattr("ctxkit.metering.report.detailing.SCORED", 2)
    for number in range(10):
        ledger.append(priced(number, Usage(fresh=1000, read=0, written={}, output=1), feature=f"f{number % 4 % 3}"))
    told = details(ledger)
    assert [(one.feature, one.requests) for one in told.accuracy] == [("f0", 5), ("f1", 3)]
    assert told.limits == ("estimates are told for 2 of 3 features and models, those with most answers",)


def test_details_are_read_once_and_only_when_asked(ledger, priced, monkeypatch):
    ledger.append(priced(1, Usage(fresh=100, output=0)))
    found = ask(ledger)
    assert found == replace(found, details=None)
    assert "details" not in repr(found)
    first = found.details()
    monkeypatch.setattr(ledger, "read", None)
    assert found.details() is first


def test_a_temporary_ledger_that_was_closed(record):
    ledger = Ledger(None)
    ledger.append(record(1))
    found = ask(ledger)
    ledger.close()
    with pytest.raises(StoreError, match="not there any more"):
        found.details()
    assert any("rows alone are shown" in text for section in found.page().sections for text in section.text)
    assert not ledger.path.parent.exists()


def test_a_ledger_that_cannot_be_read_any_more(ledger, priced, monkeypatch):
    ledger.append(priced(1, Usage(fresh=100, output=0)))
    found = ask(ledger)

    def refuse(_work):
        raise StoreError("the disk is gone")

    monkeypatch.setattr(ledger, "read", refuse)
    page = found.page()
    assert any(
        "The disk is gone" in text or "the disk is gone" in text for section in page.sections for text in section.text
    )
    assert "chat" in found.to_html()

"""Money is exact whatever the application has set its decimals to."""

from dataclasses import replace
from decimal import ROUND_UP, Decimal, Inexact, localcontext
from types import SimpleNamespace

import pytest

from ctxkit import Kit
from ctxkit.dialects.openai.usage import reported_cost
from ctxkit.editable import tallied
from ctxkit.explain import explain_record
from ctxkit.metering.prices import Prices
from ctxkit.model import Edit
from ctxkit.money import pico_of, usd_of
from ctxkit.pytest_plugin import assert_within


@pytest.fixture
def coarse():
    """Three digits, always up, and an error for every digit that is lost."""
    with localcontext() as context:
        context.prec, context.rounding, context.traps[Inexact] = 3, ROUND_UP, True
        yield


def test_conversion_keeps_every_digit(coarse):
    assert usd_of(1_234_567_890_123_456_789) == Decimal("1234567.890123456789")
    assert pico_of(Decimal("1234567.890123456789")) == 1_234_567_890_123_456_789


def test_a_request_costs_the_same(coarse, tmp_path):
    """gpt-4o: 123,457 tokens at 2.50 and 7 at 10 dollars a million."""
    kit = Kit(ledger=tmp_path / "ledger.db", strict=True)
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
    record = kit.settle(
        kit.plan(body, dialect="openai.chat", platform="openai"),
        {"usage": {"prompt_tokens": 123_457, "completion_tokens": 7}},
    )
    assert record.cost == Decimal("0.3087125")
    assert next(iter(kit.ledger.records())).cost == Decimal("0.3087125")
    assert kit.report().total.cost == Decimal("0.3087125")
    kit.close()


def test_what_passes_are_expected_to_save_is_added_up_exactly(coarse):
    edits = [Edit("drop", (), "", by="spent", predicted_saving=usd_of(pico)) for pico in (1_234_567, 7)]
    assert [one.predicted_saving for one in tallied(edits)] == [usd_of(1_234_574)]


def test_what_providers_report_is_added_up_exactly(coarse):
    own_key = {"cost": 0.000123456, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.0123456789}}
    assert reported_cost(own_key, "openrouter") == Decimal("0.0124691349")
    assert reported_cost({"cost_in_usd_ticks": 123_456_789}, "xai") == Decimal("0.0123456789")


def test_rows_are_laid_over_a_price_exactly(coarse, tmp_path):
    file = tmp_path / "prices.toml"
    file.write_text("""
source = "our contract"
[[price]]
provider = "acme"
model = "m"
input = "1.23456"
write = "1.25 x input"
[[price]]
provider = "acme"
model = "m"
region = "us"
factor = "1.1"
""")
    card = Prices(file).card("acme", "m", at=1_795_000_000.0, region="us")
    assert card.tiers[0].rates == {"fresh": 1_358_016, "written": 1_697_520, "written.5m": 1_697_520}


def test_what_was_saved_and_lost_is_told_exactly(coarse, tmp_path):
    """In a report, its page and the words of a record; an error for every digit that is lost would end them."""
    kit = Kit(ledger=tmp_path / "ledger.db", strict=True)
    plan = kit.plan({"model": "gpt-4o", "messages": []}, dialect="openai.chat", platform="openai")
    record = kit.settle(plan, {"usage": {"prompt_tokens": 123_457, "completion_tokens": 7}})
    by = {"cache": Decimal("-2.2345"), "compact": Decimal("1.0001")}
    lost = replace(record, savings=Decimal("-1.2344"), savings_by=by, predicted=Decimal("1.2345"))
    kit.ledger.append(lost)
    report = kit.report()
    assert "-$1.2344" in report.text()
    assert "$1.2344 was lost" in report.to_html()
    said = explain_record(lost)
    assert "it cost $1.234400 more than without what ctxkit did: cache $-2.234500, compact $1.000100" in said
    assert "is expected to save $1.234500 over" in said
    kit.close()


def test_costs_of_a_test_are_added_up_exactly(coarse):
    costs = [Decimal("0.1234567"), Decimal("0.0000001")]
    plans = [SimpleNamespace(attempt=str(at), estimate=None) for at in range(len(costs))]
    records = [SimpleNamespace(attempt=str(at), usage=None, cost=cost) for at, cost in enumerate(costs)]
    assert_within(plans, records, usd="0.1234568")
    with pytest.raises(pytest.fail.Exception, match="cost \\$0.1234568,"):
        assert_within(plans, records, usd="0.1234567")


@pytest.mark.parametrize(
    "amount", ["1e999999", "1e-999999", "9" * 5_000, 1e308, "1e12", "-1", "nan", "inf", "", " ", "a"]
)
def test_absurd_amounts_are_unknown_or_nothing(amount):
    assert pico_of(reported_cost({"cost": amount}, "openrouter")) in (None, 0)


@pytest.mark.parametrize("usd", ["1e999999999", "-1e999999999", "1e-999999999", "9999999.9"])
def test_no_amount_is_too_much_for_the_ledger(usd):
    assert pico_of(Decimal(usd)) in (None, 0)

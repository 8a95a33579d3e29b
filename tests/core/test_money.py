"""Money is exact whatever the application has set its decimals to."""

from decimal import ROUND_UP, Decimal, Inexact, localcontext

import pytest

from ctxkit import Kit
from ctxkit.dialects.openai.usage import reported_cost
from ctxkit.money import pico_of, usd_of


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


def test_what_providers_report_is_added_up_exactly(coarse):
    own_key = {"cost": 0.000123456, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.0123456789}}
    assert reported_cost(own_key, "openrouter") == Decimal("0.0124691349")
    assert reported_cost({"cost_in_usd_ticks": 123_456_789}, "xai") == Decimal("0.0123456789")


@pytest.mark.parametrize(
    "amount", ["1e999999", "1e-999999", "9" * 5_000, 1e308, "1e12", "-1", "nan", "inf", "", " ", "a"]
)
def test_absurd_amounts_are_unknown_or_nothing(amount):
    assert pico_of(reported_cost({"cost": amount}, "openrouter")) in (None, 0)


@pytest.mark.parametrize("usd", ["1e999999999", "-1e999999999", "1e-999999999", "9999999.9"])
def test_no_amount_is_too_much_for_the_ledger(usd):
    assert pico_of(Decimal(usd)) in (None, 0)

"""The range of what a request may cost."""

from decimal import Decimal

from ctxkit.metering.prices.bounds import cost_range, expected_usage
from ctxkit.metering.prices.card import Card, Tier
from ctxkit.model import CostRange, Usage

RATES = {"fresh": 3_000_000, "read": 300_000, "written.5m": 3_750_000, "written.1h": 6_000_000, "output": 15_000_000}


def card(rates=RATES, **more):
    values = {
        "id": "c", "provider": "p", "model": "m", "tier": "standard", "source": "s", "as_of": None,
        "valid_from": None, "valid_to": None, "tiers": (Tier(0, rates),),
    }  # fmt: skip
    return Card(**{**values, **more})


def test_no_card_no_figure():
    assert cost_range(None, 1, Usage(fresh=1, output=1), 1) == CostRange(None, None, None)


def test_low_is_all_read_and_nothing_answered():
    assert cost_range(card(), 1_000_000, Usage(fresh=0, output=0), 1).low == Decimal("0.3")


def test_low_without_a_read_rate_is_fresh():
    rates = {"fresh": 3_000_000, "output": 1}
    assert cost_range(card(rates), 1_000_000, Usage(fresh=0, output=0), 1).low == Decimal(3)


def test_max_counts_every_choice_at_the_longest_answer():
    found = cost_range(card(), 0, Usage(fresh=0, output=0), 1_000_000, max_output=1000, choices=3)
    assert found.max == Decimal(3) + Decimal("0.045")


def test_max_knows_what_the_markers_cost():
    def dearest(**options):
        return cost_range(card(), 0, Usage(fresh=0, output=0), 1_000_000, max_output=0, **options).max

    assert dearest() == Decimal(3)
    assert dearest(ttls=("5m",)) == Decimal("3.75")
    assert dearest(ttls=("5m", "1h")) == Decimal(6)


def test_max_knows_what_the_platform_writes_by_itself():
    found = cost_range(
        card({**RATES, "written.30m": 5_000_000}, automatic_writes=("30m",)), 0, Usage(fresh=0, output=0), 10**6,
        max_output=0,
    )  # fmt: skip
    assert found.max == Decimal(5)


def test_max_takes_the_tier_of_the_high_estimate():
    cliff = card(tiers=(Tier(0, RATES), Tier(100_000, {key: 5 * rate for key, rate in RATES.items()})))
    found = cost_range(cliff, 90_000, Usage(fresh=95_000, output=0), 100_001, max_output=0)
    assert found.expected == Decimal("0.285")
    assert found.max == Decimal("100001") * 15 / 1_000_000


def test_without_a_limit_the_longest_answer_is_the_models_or_what_the_window_leaves():
    def dearest(**more):
        return cost_range(card(**more), 0, Usage(fresh=0, output=0), 1000).max

    assert dearest() is None
    assert dearest(max_output=1000) == Decimal("0.018")
    assert dearest(context_window=3000) == Decimal("0.033")


def test_the_expected_answer_never_passes_the_limit():
    assert expected_usage(10, None, 500, 50).output == 50
    assert expected_usage(10, None, None, None).output == 100
    assert expected_usage(10, 0.5, 20, None) == Usage(fresh=5, read=5, output=20)

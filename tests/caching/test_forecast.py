"""Forecasts through the kit: what settled requests wrote and read is what the next ones will read."""

import math

import pytest

from ctxkit import Kit
from ctxkit.model import Usage

SYSTEM = [{"type": "text", "text": "You are helpful. " * 600, "cache_control": {"type": "ephemeral"}}]
NOW = 1_900_000_000.0


@pytest.fixture
def kit():
    with_clock = Kit(store=None, ledger=None, clock=lambda: NOW, strict=True)
    yield with_clock
    with_clock.close()


def claude(kit, messages, *, now=NOW, system=SYSTEM, model="claude-sonnet-4-5", **options):
    body = {"model": model, "max_tokens": 10, "system": system, "messages": messages}
    return kit.plan(body, dialect="anthropic.messages", platform="anthropic", now=now, **options)


def chat(kit, messages, *, now=NOW, model="gpt-4o"):
    body = {"model": model, "messages": messages}
    return kit.plan(body, dialect="openai.chat", platform="openai", now=now)


def user(text="Hello"):
    return {"role": "user", "content": text}


def said(text="Hi"):
    return {"role": "assistant", "content": text}


def test_a_first_request_writes(kit):
    forecast = claude(kit, [user()]).forecast
    assert forecast.rule == "anthropic.direct"
    assert forecast.cached_tokens == 0
    assert forecast.written["5m"] > 1_024


def test_what_was_written_is_read_to_the_token(kit):
    kit.settle(claude(kit, [user()]), Usage(12, 0, {"5m": 2_777}, 5))
    plan = claude(kit, [user(), said(), user("More")], now=NOW + 299)
    assert plan.forecast.cached_tokens == 2_777
    assert plan.forecast.written == {}
    record = kit.settle(plan, Usage(20, 2_777, {}, 5))
    assert record.forecast_read == 2_777


def test_a_read_begins_the_life_anew_and_time_ends_it(kit):
    kit.settle(claude(kit, [user()]), Usage(12, 0, {"5m": 2_777}, 5))
    kit.settle(claude(kit, [user()], now=NOW + 200), Usage(12, 2_777, {}, 5))
    assert claude(kit, [user()], now=NOW + 499).forecast.cached_tokens == 2_777
    assert claude(kit, [user()], now=NOW + 501).forecast.cached_tokens == 0


def test_other_tenants_models_and_instructions_read_nothing(kit):
    kit.settle(claude(kit, [user()]), Usage(12, 0, {"5m": 2_777}, 5))
    other = [{**SYSTEM[0], "text": SYSTEM[0]["text"] + "!"}]
    assert claude(kit, [user()], scope="another").forecast.cached_tokens == 0
    assert claude(kit, [user()], model="claude-opus-4-5").forecast.cached_tokens == 0
    assert claude(kit, [user()], system=other).forecast.cached_tokens == 0


def test_a_forecast_that_did_not_come_true_is_not_made_again(kit):
    kit.settle(claude(kit, [user()]), Usage(12, 0, {"5m": 2_777}, 5))
    kit.settle(claude(kit, [user()], now=NOW + 10), Usage(2_789, 0, {}, 5))
    assert claude(kit, [user()], now=NOW + 20).forecast.cached_tokens == 0


@pytest.mark.parametrize(
    "usage",
    [
        Usage(),
        Usage(fresh=5),
        Usage(fresh=10, read=None, written=None, output=1),
        Usage(fresh=-50, read=100, written={}, output=1),
        Usage(fresh=0, read=0, written={}, output=0),
        Usage(fresh=10**30, read=10**30, written={"5m": 10**30}, output=1),
        Usage(fresh=10, read=0, written={"weird": 5}, output=1),
    ],
)
def test_impossible_usage_breaks_nothing(kit, usage):
    kit.settle(claude(kit, [user()]), usage)
    assert claude(kit, [user(), said(), user()]).forecast is not None
    assert not kit.faults.counts


def test_a_clock_that_goes_backwards(kit):
    kit.settle(claude(kit, [user()]), Usage(12, 0, {"5m": 2_777}, 5))
    assert claude(kit, [user()], now=NOW - 86_400).forecast.cached_tokens == 2_777


def test_an_automatic_cache_reads_what_the_prompt_before_held(kit):
    long = [{"role": "system", "content": "Be brief. " * 1_000}, user()]
    kit.settle(chat(kit, long), Usage(2_020, 0, {}, 5))
    forecast = chat(kit, [*long, said(), user("And?")]).forecast
    assert forecast.cached_tokens == 1_920  # whole steps of 128
    assert forecast.hit_probability is None


def test_short_prompts_are_below_the_minimum(kit):
    forecast = chat(kit, [user()]).forecast
    assert forecast.cached_tokens == 0
    assert [miss.reason for miss in forecast.misses] == ["below_minimum"]


def test_nothing_is_guessed_for_unknown_models(kit):
    forecast = chat(kit, [user()], model="nobody-knows-this").forecast
    assert forecast.cached_tokens is None
    assert "nobody-knows-this" in forecast.unsupported


def test_workers_share_what_they_believe(tmp_path):
    first, second = Kit(store=tmp_path, ledger=None, strict=True), Kit(store=tmp_path, ledger=None, strict=True)
    first.settle(claude(first, [user()]), Usage(12, 0, {"5m": 2_777}, 5))
    first.store.flush()
    assert claude(second, [user()], now=NOW + 5).forecast.cached_tokens == 2_777
    first.close()
    second.close()


def test_a_rule_that_keeps_missing_is_said_and_not_relied_upon():
    kit = Kit(store=None, ledger=None)
    long = [{"role": "system", "content": "Be brief. " * 1_000}, user()]
    for number in range(31):
        kit.settle(chat(kit, long, now=NOW + number), Usage(2_020, 0, {}, 5))
    forecast = chat(kit, long, now=NOW + 40).forecast
    assert forecast.cached_tokens is None
    assert "did not come" in forecast.unsupported
    assert sum("rules doubted" in where for where in kit.faults.counts) == 1
    kit.close()


def test_the_fresh_rest_is_measured_from_what_was_reported(kit):
    """Where the estimate of the prefix was off, what stands behind it is off in the same proportion."""
    kit.settle(claude(kit, [user()]), Usage(12, 0, {"5m": 4_800}, 5))
    plan = claude(kit, [user(), said(), user("word " * 500)])
    plain = Kit(store=None, ledger=None)
    estimated = claude(plain, [user(), said(), user("word " * 500)])
    behind = estimated.estimate.input_tokens - estimated.forecast.written["5m"]
    ratio = 4_800 / estimated.forecast.written["5m"]
    assert math.isclose(plan.forecast.fresh, behind * ratio, rel_tol=0.05)
    plain.close()


def test_the_expected_cost_goes_by_the_forecast(kit):
    cold = claude(kit, [user()])
    kit.settle(cold, Usage(12, 0, {"5m": 2_777}, 5))
    warm = claude(kit, [user(), said(), user("More")])
    assert cold.estimate.usage.written == cold.forecast.written
    assert warm.estimate.usage.read == 2_777
    assert warm.estimate.usage.input_total == warm.estimate.input_tokens
    assert warm.estimate.cost.expected < cold.estimate.cost.expected / 5

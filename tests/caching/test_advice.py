"""What would have been cheaper, in hindsight: signed money, nothing said where nothing is known."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit import Usage
from ctxkit.caching.advice import Case, Turn, advise, turn_of
from ctxkit.caching.rules import find
from ctxkit.model import Record

RULE = find("anthropic", "claude-opus-5")
RATES = {"fresh": 5_000_000, "read": 500_000, "written.5m": 6_250_000, "written.1h": 10_000_000, "output": 25_000_000}
CASE = Case(RULE, RATES)


def known(*_):
    return CASE


def turn(created, tokens=10_000, *, thread="t", **more):
    written = more.pop("written", {"5m": 1_000})
    return Turn("chat", "anthropic", "claude-opus-5", "anthropic.messages", thread, created, tokens, 0, written, **more)


def thread(gaps, name="t", tokens=10_000):
    created, turns = 0.0, [turn(0.0, tokens, thread=name)]
    for gap in gaps:
        created += gap
        turns.append(turn(created, tokens, thread=name))
    return turns


def by_kind(turns, until=None, case=known):
    last = max(one.created for one in turns)
    return {advice.kind: advice for advice in advise(turns, case, until=last if until is None else until)}


def test_a_thread_that_always_comes_back_after_twenty_minutes():
    found = by_kind(thread([1_200] * 5))
    keep = found["keep_alive"]
    assert keep.choice == "3 pings"
    assert keep.saving_pico == 5 * 10_000 * (6_250_000 - 4 * 500_000)
    assert keep.pays
    assert "up to 3 pings per idle stretch, one every 300 s, would have saved $0.2125" in keep.text
    longer = found["ttl"]
    assert longer.choice == "1h"
    spent_5m = 10_000 * 6_250_000 * 6
    spent_1h = 10_000 * (10_000_000 + 5 * 500_000)
    assert longer.saving_pico == spent_5m - spent_1h


def test_threads_that_never_come_back_make_pings_a_loss():
    turns = [one for number in range(6) for one in thread([60], f"t{number}")]
    keep = by_kind(turns, until=10_000)["keep_alive"]
    assert keep.choice == "1 ping", "the least of all losses"
    assert keep.saving_pico == -6 * 10_000 * 500_000
    assert not keep.pays
    assert keep.text.endswith("would have cost $0.0300 more")


def test_a_dense_thread_wants_neither():
    found = by_kind(thread([30] * 6))
    assert found["keep_alive"].saving_pico == 0
    assert found["ttl"].saving_pico < 0


def test_gaps_beyond_the_break_even_are_not_worth_their_pings():
    assert by_kind(thread([4_200] * 5))["keep_alive"].saving_pico < 0
    assert by_kind(thread([3_600] * 5))["keep_alive"].saving_pico == 5 * 10_000 * (6_250_000 - 12 * 500_000)


def test_requests_that_raced():
    burst = [turn(float(number) / 10, thread=f"t{number}", raced=8_000 if number else 0) for number in range(5)]
    later = [one._replace(created=one.created + 600) for one in burst]
    found = by_kind([*burst, *later])
    assert found["cold_start"].saving_pico == 8 * 8_000 * 5_750_000
    assert found["prewarm"].saving_pico == 8 * 8_000 * 5_750_000 - 2 * 8_000 * 500_000
    assert found["cold_start"].text.startswith("8 requests raced to write what others wrote; waiting")


def test_races_where_writes_are_not_billed_are_worth_what_was_fresh():
    rule = replace(find("openai", "gpt-5.4"), lives={})
    turns = [turn(0.0, written={}), turn(0.1, thread="u", written={}, raced=1_000)]
    found = by_kind(turns, case=lambda *_: Case(rule, {"fresh": 10, "read": 1}))
    assert found["cold_start"].saving_pico == 9_000
    assert set(found) == {"cold_start", "prewarm"}


@pytest.mark.parametrize(
    "case",
    [lambda *_: None, lambda *_: Case(RULE, {}), lambda *_: Case(RULE, {"fresh": 1})],
    ids=["rule", "rates", "read"],
)
def test_where_nothing_is_known_nothing_is_said(case):
    assert by_kind(thread([1_200] * 5), case=case) == {}


def test_too_few_requests_say_nothing():
    assert by_kind(thread([1_200] * 3)) == {}
    assert by_kind([one._replace(written={}) for one in thread([1_200] * 9)]) == {}, "nothing was ever cached"


def test_a_cache_that_promises_nothing_is_not_kept_alive():
    doubtful = Case(replace(RULE, certain=False), RATES)
    assert "keep_alive" not in by_kind(thread([1_200] * 5), case=lambda *_: doubtful)
    unrefreshed = Case(replace(RULE, refresh=None), RATES)
    assert by_kind(thread([1_200] * 5), case=lambda *_: unrefreshed) == {}


def test_features_are_advised_apart_and_the_dearest_comes_first():
    small = [one._replace(feature="small") for one in thread([1_200] * 5, tokens=1_000)]
    found = advise([*small, *thread([1_200] * 5)], known, until=6_000)
    assert [advice.feature for advice in found] == ["chat", "chat", "small", "small"]


def test_a_record_tells_a_turn():
    usage = Usage(fresh=10, read=900, written={"5m": 90}, output=5)
    record = Record("a", "a", 1, "settled", 200, 7.0, "anthropic.messages", "anthropic", "claude-opus-5", thread="t")
    record = replace(record, usage=usage, miss_reason="raced", miss_tokens=80)
    assert turn_of(record) == Turn(
        "", "anthropic", "claude-opus-5", "anthropic.messages", "t", 7.0, 1_000, 900, {"5m": 90}, 80
    )
    assert turn_of(replace(record, miss_reason="ttl_expired")).raced == 0
    for changed in ({"status": "partial"}, {"usage": None}, {"usage": Usage()}, {"thread": None}):
        assert turn_of(replace(record, **changed)) is None


def test_it_can_be_written_as_json():
    keep = by_kind(thread([1_200] * 5))["keep_alive"]
    told = json.loads(json.dumps(keep.to_dict()))
    assert told["saving_usd"] == "0.212500000000"
    assert (told["kind"], told["choice"], told["requests"]) == ("keep_alive", "3 pings", 6)


gaps = st.lists(st.integers(0, 20_000), min_size=5, max_size=15)


@given(gaps, st.integers(100, 10**6), st.integers(0, 50_000))
def test_hindsight_never_finds_a_worse_choice_than_one_ping(gaps, tokens, idle):
    turns = thread([float(gap) for gap in gaps], tokens=tokens)
    until = turns[-1].created + idle
    keep = by_kind(turns, until)["keep_alive"]
    stretches = [(gap, False) for gap in gaps] + [(idle, True)]
    one_ping = sum(
        tokens * ((RATES["written.5m"] - RATES["read"] if gap <= 600 and not last else 0) - RATES["read"])
        for gap, last in stretches
        if gap > 300
    )
    assert keep.saving_pico >= one_ping

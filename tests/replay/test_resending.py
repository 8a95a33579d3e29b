"""Recordings sent once more: in their own wire and at their own times, in every mode, and elsewhere."""

import json
from dataclasses import replace

import pytest

from ctxkit import dialects
from ctxkit.metering.count import Counter
from ctxkit.metering.prices import Prices
from ctxkit.model import Usage
from ctxkit.policy import Policy
from ctxkit.replay.billing import Setting
from ctxkit.replay.markers import living, unmarked, well_marked
from ctxkit.replay.opening import instructed
from ctxkit.replay.posing import Assumed, posed
from ctxkit.replay.recording import Asked, Recording
from ctxkit.replay.resending import MODES, Bench, billed, billed_in_all, replayed
from ctxkit.replay.reshaping import messages_of, reshaped
from ctxkit.replay.running import START, Peer, replay
from ctxkit.replay.shapes import shape_of
from tests.replay.recordings_by_hand import PROSE, agent, fresh, recording

SETTING = Setting("a", "anthropic", "claude-sonnet-4-5", "anthropic.messages")
WIRES = {
    "openai.chat": ("openai", "gpt-5.1"),
    "openai.responses": ("openai", "gpt-5.1"),
    "anthropic.messages": ("anthropic", "claude-sonnet-4-5"),
    "gemini.generate": ("google", "gemini-2.5-pro"),
    "bedrock.converse": ("bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
}


@pytest.fixture(scope="module")
def bench():
    return Bench()


def test_raw_is_what_the_benchmarks_call_raw(bench):
    thread = agent()
    bill, run = replayed(recording(thread), Assumed(), "raw", bench), replay(thread, Peer(), SETTING)
    assert bill.requests == len(run.calls)
    assert bill.tokens == run.tokens
    assert bill.input_pico == run.pico


def test_modes_cost_less_the_stronger_they_are(bench):
    one = recording(agent(turns=20))
    costs = {mode: replayed(one, Assumed(), mode, bench).pico for mode in ("raw", *MODES)}
    assert costs["prune"] <= costs["lossless"] < costs["raw"] < costs["observe"]  # its user marked nothing
    assert costs["cache"] == pytest.approx(costs["raw"], rel=0.03)


def test_answers_cost_the_same_in_every_mode(bench):
    bills = [replayed(recording(), Assumed(), mode, bench) for mode in ("raw", *MODES)]
    assert len({(bill.output, bill.output_pico, bill.silent) for bill in bills}) == 1
    assert bills[0].output > 0
    assert bills[0].silent == 1  # nobody noted what the last request came to


def test_times_that_were_recorded_are_kept_and_others_follow():
    counter = Counter()
    timed = posed(recording(step=60.0), Assumed(), counter)
    assert [one.now for one in timed][:3] == [1_780_000_000.0 + 60 * number for number in (1, 2, 3)]
    assert posed(recording(), Assumed(), counter)[1].now == START + 5.0
    back = recording(step=-60.0)
    assert len({one.now for one in posed(back, Assumed(), counter)}) == 1  # time does not run backwards


def test_entries_end_between_requests_that_are_far_apart(bench):
    near = replayed(recording(step=30.0), Assumed(), "raw", bench)
    far = replayed(recording(step=900.0), Assumed(), "raw", bench)
    assert near.read > 0
    assert far.read == 0


def test_a_longer_life_bridges_longer_pauses(bench):
    bill = replayed(recording(step=900.0), Assumed(ttl="1h"), "raw", bench)
    assert bill.read > 0
    assert set(bill.written) == {"1h"}


def test_prompts_are_as_long_as_was_reported(bench):
    as_counted = replayed(recording(), Assumed(), "raw", bench)
    each = as_counted.tokens * 2 // as_counted.requests
    doubled = replayed(recording(usage=lambda _: fresh(each)), Assumed(), "raw", bench)
    assert doubled.tokens == pytest.approx(2 * as_counted.tokens, rel=0.001)
    assert doubled.input_pico == pytest.approx(2 * as_counted.input_pico, rel=0.001)
    elsewhere = replayed(recording(usage=lambda _: fresh(each)), Assumed(model="claude-haiku-4-5"), "raw", bench)
    assert elsewhere.tokens == pytest.approx(as_counted.tokens, rel=0.1)  # another model counts otherwise


def test_a_hidden_opening_is_in_every_replay(bench):
    one = recording(usage=lambda number: fresh(20_000 + 500 * number), partial=True)
    requests = posed(one, Assumed(), bench.meter.counter)
    assert requests[0].counted == pytest.approx(20_500, rel=0.01)
    assert requests[0].hidden > 15_000
    for mode in ("raw", "prune"):
        assert replayed(one, Assumed(), mode, bench).tokens > 20_000 * len(requests)
    assert replayed(one, Assumed(), "observe", bench).read > 0  # such clients mark, though logs do not show it


@pytest.mark.parametrize("dialect", WIRES)
def test_every_wire_is_replayed(bench, dialect):
    platform, model = WIRES[dialect]
    one = recording(dialect=dialect, platform=platform, model=model)
    bills = {mode: replayed(one, Assumed(), mode, bench) for mode in ("raw", *MODES)}
    assert all(bill.requests == len(one.requests) and not bill.refused for bill in bills.values())
    assert bills["lossless"].tokens < bills["raw"].tokens
    assert all(bill.pico for bill in bills.values())


@pytest.mark.parametrize("dialect", WIRES)
@pytest.mark.parametrize("wanted", WIRES)
def test_a_body_says_the_same_on_every_wire(dialect, wanted):
    thread = agent()
    tools = [
        {"type": "function", "function": {"name": "run", "description": "Runs.", "parameters": {"type": "object"}}}
    ]
    body = shape_of(dialect)("m", thread.messages, tools)
    again = reshaped(body, dialect, wanted, "other")
    assert dialects.get(wanted).view(again).messages
    messages, told = messages_of(again, wanted)
    said, calls = texts_of(messages)
    before = texts_of(messages_of(body, dialect)[0])
    assert said == before[0]
    assert calls == before[1]
    assert [one["function"]["name"] for one in told] == ["run"]


def texts_of(messages):
    """All words, in order; and the calls by name and arguments. Gemini holds results as values."""
    said = "\n".join(str(one.get("content") or "") for one in messages)
    said = said.replace('{"result": ', "").replace('"}', "").replace("\\n", "\n").replace('\\"', '"')
    calls = [
        (call["function"]["name"], json.loads(call["function"]["arguments"]))
        for one in messages
        for call in one.get("tool_calls") or ()
    ]
    return "".join(filter(str.isalnum, said)), calls


def test_pictures_go_along():
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, picture]}]
    for wanted in WIRES:
        body = shape_of(wanted)("m", messages)
        assert "QUJD" in json.dumps(body)
        assert messages_of(body, wanted)[0][0]["content"][1] == picture


def test_another_model_is_asked_where_it_is_served(bench):
    for model in ("gpt-5.1", "gemini-2.5-pro", "claude-haiku-4-5"):
        bill = replayed(recording(), Assumed(model=model), "raw", bench)
        assert bill.pico
        assert bill.refused == 0
    bedrock = posed(recording(), Assumed(platform="bedrock"), bench.meter.counter)[0]
    assert (bedrock.dialect, bedrock.model) == ("bedrock.converse", "anthropic.claude-sonnet-4-5")
    back = recording(dialect="bedrock.converse", platform="bedrock", model="us.anthropic.claude-sonnet-4-6-v1:0")
    assert posed(back, Assumed(platform="anthropic"), bench.meter.counter)[0].model == "claude-sonnet-4-6"


def test_tier_and_day_change_prices_alone(bench):
    usual, batch = (replayed(recording(), Assumed(tier=tier), "raw", bench) for tier in (None, "batch"))
    assert (batch.tokens, batch.read) == (usual.tokens, usual.read)
    assert batch.pico * 2 == usual.pico


def test_no_price_is_none_and_named(bench):
    bill = replayed(recording(model="nobody-knows-it"), Assumed(), "raw", bench)
    assert bill.pico is None
    assert bill.unpriced == ("anthropic nobody-knows-it",)
    assert bill.tokens > 0


def test_what_nobody_understands_and_what_was_refused_is_left_out(bench):
    one = recording()
    odd = Asked({"model": "claude-sonnet-4-5", "messages": 7}, "odd:1")
    failed = replace(one.requests[0], status=429)
    mixed = replace(one, requests=(odd, failed, *one.requests))
    assert replayed(mixed, Assumed(), "prune", bench).requests == len(one.requests)
    empty = Recording(
        "e", "e", "requests", "openai.chat", "openai", (Asked({"model": "gpt-5.1", "messages": []}, "e:1"),)
    )
    for mode in ("raw", *MODES):
        assert replayed(empty, Assumed(), mode, bench).requests <= 1


# ---- markers -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["anthropic.messages", "bedrock.converse"])
def test_markers_are_set_taken_off_and_given_a_life(dialect):
    body = shape_of(dialect)("m", agent().messages)
    marked = well_marked(body, dialect)
    field = "cache_control" if dialect == "anthropic.messages" else "cachePoint"
    assert json.dumps(marked).count(field) == 2
    assert unmarked(marked, dialect) == body
    assert well_marked(marked, dialect) == marked  # and no more of them than two
    assert json.dumps(living(marked, dialect, "1h")).count('"ttl": "1h"') == 2
    assert body == shape_of(dialect)("m", agent().messages)


@pytest.mark.parametrize("dialect", WIRES)
def test_an_instruction_stands_before_all(dialect):
    body = instructed(shape_of(dialect)("m", agent().messages), dialect, "FIRST OF ALL")
    view = dialects.get(dialect).view(body)
    assert "FIRST OF ALL" in json.dumps(view.messages[0].value)
    assert PROSE[:20] in json.dumps(body)


def test_prices_of_a_bill_are_those_of_the_list(bench):
    bill = replayed(recording(), Assumed(), "raw", bench)
    rates = Prices().card("anthropic", "claude-sonnet-4-5", at=START).rates(0)
    written = sum(tokens * rates[f"written.{ttl}"] for ttl, tokens in bill.written.items())
    assert bill.input_pico == bill.fresh * rates["fresh"] + bill.read * rates["read"] + written
    assert bill.output_pico == bill.output * rates["output"]


def test_entries_that_were_there_before_are_there_in_every_replay(bench):
    def usage(number):
        return Usage(50, 400 if number == 1 else 0, {"5m": 1000}, 20)

    cold = recording(usage=lambda number: replace(usage(number), read=0, fresh=450 if number == 1 else 50))
    for mode in ("raw", "prune"):
        warm, without = replayed(recording(usage=usage), Assumed(), mode, bench), replayed(cold, Assumed(), mode, bench)
        assert warm.tokens == without.tokens
        assert warm.read - without.read == 400
        assert warm.input_pico < without.input_pico
    elsewhere = [
        replayed(one, Assumed(model="claude-haiku-4-5"), "raw", bench) for one in (recording(usage=usage), cold)
    ]
    assert elsewhere[0].read == elsewhere[1].read  # another model has a cache of its own


def test_bodies_on_another_wire_share_their_messages():
    requests = posed(recording(), Assumed(model="gpt-5.1"), Counter())
    first, second = (one.body["messages"] for one in requests[-2:])
    assert all(old is new for old, new in zip(first, second, strict=False))
    assert len(second) > len(first)


def test_logs_without_markers_are_marked_for_the_life_that_usage_shows(bench):
    hour = recording(usage=lambda _: Usage(50, 8_000, {"5m": 0, "1h": 900}, 20), partial=True, step=900.0)
    bill = replayed(hour, Assumed(), "raw", bench)
    assert set(bill.written) == {"1h"}
    assert bill.read > 10 * 8_000
    assert set(replayed(hour, Assumed(ttl="5m"), "raw", bench).written) == {"5m"}


def test_a_policy_that_keeps_texts_and_answers_on_disk_is_replayed_like_any_other(bench):
    disk, thread = Bench(Policy(tidy={"recall": "disk"}, answers={"where": "disk"})), agent()
    assert replayed(recording(thread), Assumed(), "prune", disk) == replayed(
        recording(thread), Assumed(), "prune", bench
    )


@pytest.mark.parametrize("dialect", WIRES)
def test_all_modes_at_once_come_to_what_each_does(bench, dialect):
    """Where a wire takes no markers, well marked and as it was recorded are one replay."""
    platform, model = WIRES[dialect]
    requests = posed(recording(platform=platform, model=model, dialect=dialect), Assumed(), bench.meter.counter)
    assert billed_in_all(requests, bench) == {mode: billed(requests, mode, bench) for mode in ("raw", *MODES)}

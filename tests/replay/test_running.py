"""Replays: what is billed, by hand; and that nothing is cheaper than the least there is."""

import json
from dataclasses import replace

import pytest

from ctxkit.dialects import get
from ctxkit.policy import Policy
from ctxkit.replay.billing import Account, Ideal, Setting
from ctxkit.replay.running import KitSender, Peer, replay
from ctxkit.replay.shapes import anthropic_body, marked
from ctxkit.replay.threads import Thread, grouped, read_threads

SETTING = Setting("a", "anthropic", "claude-sonnet-4-5", "anthropic.messages")
OPENAI = Setting("o", "openai", "gpt-5.1", "openai.chat")
FRESH, READ, WRITTEN = 3_000_000, 300_000, 3_750_000  # pico-dollars a token: $3, $0.30 and $3.75 a million
PROSE = "The quick brown fox jumps over the lazy dog and goes home. "


def thread(turns=6, long=150):
    messages = [{"role": "system", "content": PROSE * long}]
    for number in range(turns):
        messages.append({"role": "user", "content": f"Question {number}: " + PROSE * 5})
        messages.append({"role": "assistant", "content": f"Answer {number}: " + PROSE * 3})
    return Thread("t", tuple(messages))


def test_an_append_only_thread_is_billed_as_its_provider_says():
    run = replay(thread(), Peer(), SETTING)
    first, *later = run.calls
    assert first.usage.read == 0
    assert first.pico == sum(first.usage.written.values()) * WRITTEN + first.usage.fresh * FRESH
    for before, call in zip(run.calls, later, strict=False):
        reached = before.usage.read + sum(before.usage.written.values())
        assert call.usage.read == reached  # the tail of the prompt before
        assert call.pico == reached * READ + sum(call.usage.written.values()) * WRITTEN + call.usage.fresh * FRESH
    assert run.rewrites == 0
    assert not any(call.refused for call in run.calls)


def test_after_a_pause_longer_than_an_entry_lives_all_is_written_again():
    run = replay(thread(), Peer(), replace(SETTING, idle=600.0, idle_every=3))
    assert [call.usage.read == 0 for call in run.calls] == [True, False, False, True, False, False]


def test_a_rewrite_is_noticed_and_reads_no_further_than_the_instruction():
    def shortened(messages):
        return [messages[0], *messages[3:]] if len(messages) > 7 else messages

    run = replay(thread(), Peer(shortened), SETTING)
    assert [call.rewritten for call in run.calls] == [False, False, False, True, False, False]
    opening = Account(SETTING).laid_out(anthropic_body("claude", thread().messages[:1]))[0]
    assert run.calls[3].usage.read == pytest.approx(opening.positions[-1].tokens, abs=1)


def test_ideal_billing_reads_what_is_shared_and_writes_what_will_be_read():
    account, ideal = Account(SETTING), Ideal(300.0)
    rates = {"fresh": 100, "read": 10, "written.5m": 125}
    messages = thread().messages
    bodies = [anthropic_body("claude", messages[:at]) for at in (2, 4)]
    layouts = [account.laid_out(body)[0] for body in bodies]
    for number, layout in enumerate(layouts):
        ideal.serve(layout, number * 5.0, rates)
    one, two = (round(layout.total) for layout in layouts)
    shared = round(layouts[0].positions[-1].tokens)
    assert ideal.settled() == [shared * 125 + (one - shared) * 100, shared * 10 + (two - shared) * 100]


def test_ideal_billing_forgets_what_is_not_used():
    account, ideal = Account(SETTING), Ideal(300.0)
    layout = account.laid_out(anthropic_body("claude", thread().messages[:2]))[0]
    for now in (0.0, 299.0, 600.0):
        ideal.serve(layout, now, {"fresh": 100, "read": 10, "written.5m": 125})
    first, second, third = ideal.settled()
    assert second < third <= first


def test_no_placing_of_markers_is_cheaper_than_the_ideal():
    for mode in ("observe", "cache"):
        run = replay(thread(), KitSender(Policy(mode=mode, cache_ttl="5m"), as_raw=mode == "observe"), SETTING)
        assert run.ideal <= run.pico


def test_observe_is_raw():
    raw, run = replay(thread(), Peer(), SETTING), replay(thread(), KitSender(Policy(), as_raw=True), SETTING)
    assert [call._replace(seconds=0) for call in run.calls] == [call._replace(seconds=0) for call in raw.calls]


def test_before_5_6_openai_bills_no_writes():
    run = replay(thread(), Peer(), OPENAI)
    assert all(not call.usage.written for call in run.calls)
    assert run.calls[-1].usage.read % 128 == 0 < run.calls[-1].usage.read


def test_one_kit_meets_threads_a_day_apart_and_a_fresh_one_each_anew():
    for fresh in (False, True):
        sender = KitSender(Policy(mode="cache"), fresh=fresh)
        runs = [replay(thread(), sender, SETTING) for _ in range(3)]
        assert all(run.calls[0].usage.read == 0 for run in runs)  # the account of each thread is its own
    assert runs[0].calls[0].usage == runs[2].calls[0].usage


def test_white_space_goes_before_it_is_sent():
    value = json.dumps({"rows": [{"id": number, "text": PROSE} for number in range(20)]}, indent=4)
    call = {"id": "c", "type": "function", "function": {"name": "rows", "arguments": "{}"}}
    called = [
        {"role": "user", "content": "Rows?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": value},
        {"role": "assistant", "content": "There."},
    ]
    grown = Thread("t", (*called, *thread().messages[1:]))
    bodies = []
    run = replay(grown, KitSender(Policy(mode="lossless")), SETTING, watch=[lambda turn: bodies.append(turn.sent)])
    assert run.tokens < replay(grown, Peer(), SETTING).tokens
    assert run.rewrites == 0
    assert all(get("anthropic.messages").view(body).messages for body in bodies)


def test_markers_of_raw_bodies_are_what_the_benchmark_says():
    body = marked(anthropic_body("claude", thread().messages[:4]), "anthropic.messages")
    layout, rule = Account(SETTING).laid_out(body)
    assert rule.match == "marks"
    assert sorted(layout.marks) == [0, len(layout.positions) - 1]


@pytest.mark.slow
@pytest.mark.parametrize("setting", [SETTING, replace(SETTING, idle=600.0, idle_every=4), OPENAI], ids=str)
def test_recorded_threads_cost_no_less_than_the_optimum(recorded, setting):
    pytest.importorskip("numpy", reason="the optimum needs numpy (extra replay)")
    from ctxkit.replay.possible import optimum

    threads = list(read_threads(recorded / "threads" / "tau_bench_airline.jsonl.xz"))[:10]
    for one in [*threads[:5], *grouped(threads, 5)]:
        best = optimum(one, setting)
        assert best.ideal <= best.real
        for sender in (Peer(), KitSender(Policy(mode="cache", cache_ttl="auto"))):
            assert replay(one, sender, setting).pico >= best.real * 0.9999

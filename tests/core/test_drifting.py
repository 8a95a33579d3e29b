"""Drift of settled requests: measured behind the application's back, priced, kept beside the record, told once."""

import os
import threading
from dataclasses import replace
from decimal import Decimal

import pytest

from ctxkit import ConfigurationError, Kit, Policy
from ctxkit.drift import Drift, DriftEvent, Superseded
from ctxkit.hall.drifting import Levels
from ctxkit.model import Usage
from ctxkit.stores.memory import MemoryStore

GOAL = "Find out why the parser in src/parser.py loses trailing commas, and mend it."
OUTPUT = "ERROR: could not import the module tokenizer\n" * 20


class Clock:
    def __init__(self):
        self.now = 1_790_000_000.0

    def __call__(self):
        return self.now


def kit_of(store=None, strict=True, **policy):
    kit = Kit(Policy(**{"shadow": False, **policy}), store=store, clock=Clock(), strict=strict)
    kit.drifting.behind._begin = lambda: None  # without a thread: tests say when
    return kit


@pytest.fixture
def kit():
    made = kit_of()
    yield made
    made.close()


def asked(model="claude-sonnet-4-5", messages=None):
    return {"model": model, "max_tokens": 100, "messages": messages or [{"role": "user", "content": GOAL}]}


def again(number, messages):
    """The model runs the same once more, and the same comes of it."""
    call = {"type": "tool_use", "id": f"t{number}", "name": "bash", "input": {"command": "pytest -q"}}
    result = {"type": "tool_result", "tool_use_id": f"t{number}", "content": OUTPUT}
    return [*messages, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]


def looped(steps):
    messages = [{"role": "user", "content": GOAL}]
    for number in range(steps):
        messages = again(number, messages)
    return messages


def strayed(steps=6):
    """Long talk of something else comes before the same in circles."""
    talk = [
        f"Recipe {number}: simmer the leeks, then add cream, nutmeg and {number} potatoes. " * 30 for number in range(6)
    ]
    begin = [{"role": "user", "content": "What shall I cook?"}, {"role": "assistant", "content": "\n\n".join(talk)}]
    return [*begin, *looped(steps)]


def settled(kit, body, usage=None, **options):
    plan = kit.plan(body, dialect="anthropic.messages", platform="anthropic", **options)
    return kit.settle(plan, usage or Usage(plan.estimate.input_tokens, 0, {}, 20))


def kept(kit, record):
    kit.drifting.flush()
    assert kit.drifting.behind.failed == 0
    return kit.ledger.record(record.attempt)


# ---- beside the record ---------------------------------------------------------------------------------------------------


def test_a_settled_request_is_measured_afterwards_and_kept_beside_its_record(kit):
    record = settled(kit, asked(messages=strayed()))
    assert record.drift is None
    assert len(kit.drifting.behind.queue) == 1
    found = kept(kit, record)
    assert found.drift.level == "lost"
    assert found.drift.stuck
    assert 0 < found.drift.noise <= found.drift.tokens
    assert found.drift.by == "lexical"
    assert replace(found, drift=None).cost == record.cost
    assert kit.report().total.requests == 1


@pytest.mark.parametrize("mode", ["observe", "cache", "lossless", "prune"])
def test_in_every_mode_what_was_sent_is_measured(mode):
    kit = kit_of(mode=mode)
    found = kept(kit, settled(kit, asked(messages=looped(6))))
    assert found.drift is not None
    kit.close()


def test_noise_costs_what_was_paid_where_it_stood(kit):
    body = asked(messages=strayed())
    tokens = kit.plan(body, dialect="anthropic.messages", platform="anthropic").estimate.input_tokens
    fresh = kept(kit, settled(kit, body, Usage(tokens, 0, {}, 20))).drift
    read = kept(kit, settled(kit, body, Usage(0, tokens, {}, 20))).drift
    end = kept(kit, settled(kit, body, Usage(100, tokens - 100, {}, 20))).drift
    assert fresh.fee == pytest.approx(Decimal(3) / 10**6 * fresh.noise, rel=Decimal("0.01"))
    assert read.fee == pytest.approx(fresh.fee / 10, rel=Decimal("0.001"))
    assert end.fee == read.fee  # what was billed as fresh is the latest step, and no noise


def test_a_price_that_nobody_knows_is_not_nothing(kit):
    assert kept(kit, settled(kit, asked("mystery-9", strayed()))).drift.fee is None
    body = asked(messages=strayed())
    assert kept(kit, settled(kit, body, Usage(None, None, None, 20))).drift.fee is None
    total = kit.report().total
    assert (total.drifts, total.noise_fee, total.noise_unpriced) == (2, None, 2)


def test_places_count_in_the_conversation(kit):
    said = (
        "Write all comments in French, please.",
        "I changed my mind: write the comments in English instead of French.",
    )
    messages = [
        {"role": "user", "content": said[0]},
        {"role": "assistant", "content": "Bien."},
        {"role": "user", "content": said[1]},
    ]
    plain = kept(kit, settled(kit, asked(messages=messages))).drift
    body = {**asked(messages=messages), "system": "You are a careful programmer."}
    later = kept(kit, settled(kit, body)).drift
    assert plain.superseded
    assert later.superseded == tuple(Superseded(one.message + 1, one.by + 1, one.kind) for one in plain.superseded)


def test_what_was_not_answered_or_nobody_can_read_is_not_measured(kit):
    plan = kit.plan(asked(), dialect="anthropic.messages", platform="anthropic")
    kit.settle(plan, status=500)
    plan = kit.plan(
        {"model": "text-embedding-3-small", "input": "words"}, dialect="openai.embeddings", platform="openai"
    )
    kit.settle(plan, Usage(1, 0, {}, 0))
    assert not kit.drifting.behind.queue
    body = {"model": "gpt-5", "input": "go on", "previous_response_id": "resp_1"}
    plan = kit.plan(body, dialect="openai.responses", platform="openai")
    record = kit.settle(plan, Usage(10, 0, {}, 5))
    assert plan.drift is None
    assert kept(kit, record).drift is None


def test_what_the_application_adds_later_is_not_measured(kit):
    messages = [{"role": "user", "content": GOAL}]
    record = settled(kit, asked(messages=messages))
    messages += looped(8)[1:]
    assert kept(kit, record).drift.loop == 0


def test_it_can_be_switched_off():
    kit = Kit(Policy(shadow=False, drift=False), strict=True)
    plan = kit.plan(asked(messages=looped(6)), dialect="anthropic.messages", platform="anthropic")
    kit.settle(plan, Usage(1, 0, {}, 1))
    assert "drifting" not in vars(kit)
    assert plan.drift is None
    assert "drift" not in plan.explain()
    kit.close()


def test_no_text_is_kept(tmp_path):
    kit = Kit(Policy(shadow=False), store=tmp_path / "store", ledger=tmp_path / "ledger.db", strict=True)
    record = settled(kit, asked(messages=looped(6)))
    kit.flush()
    assert kit.ledger.record(record.attempt).drift.level == "lost"
    kit.close()
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert files
    assert [
        file for file in files if b"trailing commas" in file.read_bytes() or b"tokenizer" in file.read_bytes()
    ] == []


# ---- who is told ---------------------------------------------------------------------------------------------------------


def test_it_is_told_once_for_each_change():
    events = []
    kit = kit_of(on_drift=events.append)
    for steps in range(8):
        settled(kit, asked(messages=looped(steps)), thread="one", feature="mend")
        kit.drifting.flush()
    assert [(one.before, one.level) for one in events] in (
        [("calm", "drifting"), ("drifting", "lost")],
        [("calm", "lost")],
    )
    last = events[-1]
    assert (last.thread, last.feature, last.model, last.worse) == ("one", "mend", "claude-sonnet-4-5", True)
    assert kit.ledger.record(last.attempt).drift.score == last.drift.score
    assert last.drift.level == "lost"
    kit.close()


def test_another_worker_does_not_tell_it_again():
    events, store = [], MemoryStore()
    for _ in range(2):
        kit = kit_of(on_drift=events.append, store=store)
        settled(kit, asked(messages=looped(8)), thread="one")
        kit.drifting.flush()
    assert len(events) == 1


def levels(**policy):
    from ctxkit.caching.prefixes import Hasher

    return Levels(Policy(**policy), Hasher(bytes(32)), MemoryStore())


def test_a_score_that_wavers_about_a_threshold_is_one_change():
    known = levels(drift_at=0.4, drift_lost_at=0.7)
    scores = (0.39, 0.41, 0.38, 0.42, 0.36, 0.34, 0.71, 0.68, 0.64, 0.1)
    moves = [known.moved("one", score) for score in scores]
    assert [now for _, now in moves] == [
        *("calm", "drifting", "drifting", "drifting", "drifting", "calm", "lost", "lost", "drifting", "calm"),
    ]
    assert [before for before, _ in moves[1:]] == [now for _, now in moves[:-1]]
    assert known.moved(None, 0.9) == ("lost", "lost")


def test_threads_are_remembered_within_bounds(monkeypatch):
    monkeypatch.setattr("ctxkit.hall.drifting._THREADS", 3)
    known = levels()
    for number in range(10):
        known.moved(f"t{number}", 0.9)
    assert len(known._known) == 3
    assert known.moved("t0", 0.9) == ("lost", "lost")  # the store knows it


def test_what_a_callback_raises_reaches_nobody(caplog):
    def raising(event):
        raise RuntimeError(event.thread)

    kit = kit_of(on_drift=raising)
    record = settled(kit, asked(messages=looped(8)), thread="a secret name")
    assert kept(kit, record).drift.level == "lost"
    assert kit.faults.counts["on_drift"] == 1
    assert "a secret name" not in caplog.text
    kit.close()


def test_a_fault_of_measuring_is_counted_and_said_once(kit, monkeypatch, caplog):
    monkeypatch.setattr("ctxkit.hall.gauge.looked", lambda *_, **__: 1 / 0)
    for _ in range(3):
        settled(kit, asked())
    kit.drifting.flush()
    assert kit.drifting.behind.failed == kit.faults.counts["drift"] == 3
    assert caplog.text.count("drift") == 1
    assert kit.report().total.requests == 3


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"drift_at": 0.8, "drift_lost_at": 0.5}, "below drift_at"),
        ({"drift_at": 0}, "drift_at"),
        ({"drift_lost_at": 1.5}, "drift_lost_at"),
        ({"on_drift": "print"}, "on_drift"),
    ],
)
def test_impossible_thresholds_are_refused(wrong, why):
    with pytest.raises(ConfigurationError, match=why):
        Policy(**wrong)


def test_a_coroutine_function_is_refused():
    async def told(event):
        """Nobody would await it."""

    with pytest.raises(ConfigurationError, match="plain function"):
        Policy(on_drift=told)


def test_which_way_it_went():
    drift = Drift(0.5)
    assert DriftEvent("lost", "calm", drift, "t").worse
    assert not DriftEvent("calm", "drifting", drift, "t").worse


# ---- behind the application's back ---------------------------------------------------------------------------------------


def test_where_it_cannot_keep_up_the_latest_of_a_conversation_is_measured(kit, monkeypatch):
    monkeypatch.setattr("ctxkit.hall.afterwards._QUEUE", 4)
    records = [settled(kit, asked(messages=looped(steps)), thread="one") for steps in range(3)]
    records += [settled(kit, asked(), thread=f"other{number}") for number in range(2)]
    assert len(kit.drifting.behind.queue) == 4
    records.append(settled(kit, asked(messages=looped(3)), thread="one"))
    records.append(settled(kit, asked(), thread="another"))
    assert len(kit.drifting.behind.queue) == 4
    found = [kept(kit, record).drift is not None for record in records]
    assert found == [False, False, False, True, True, True, True]


def test_the_thread_does_it_by_itself_and_ends(monkeypatch):
    monkeypatch.setattr("ctxkit.hall.afterwards._DELAY", 0.0)
    monkeypatch.setattr("ctxkit.hall.afterwards._IDLE", 0.001)
    monkeypatch.setattr("ctxkit.hall.afterwards._LINGER", 0.05)
    told = threading.Event()
    kit = Kit(Policy(shadow=False, on_drift=lambda _: told.set()), strict=True)
    settled(kit, asked(messages=looped(8)))
    assert told.wait(20)
    for _ in range(2_000):
        if not kit.drifting.behind.running:
            break
        threading.Event().wait(0.01)
    assert not kit.drifting.behind.running
    kit.close()


def test_flush_measures_what_waits_and_close_leaves_it_out():
    kit = kit_of()
    record = settled(kit, asked())
    kit.flush()
    assert kit.ledger.record(record.attempt).drift is not None
    settled(kit, asked())
    kit.close()
    assert not kit.drifting.behind.queue
    kit.drifting.flush()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_measures_its_own(kit):
    settled(kit, asked(), thread="one")
    drifting = kit.drifting
    with drifting.behind.working, drifting.behind.lock, drifting._lock:
        child = os.fork()
        if child == 0:
            try:
                assert not drifting.behind.queue
                found = kept(kit, settled(kit, asked(messages=looped(6))))
                os._exit(0 if found.drift.stuck else 1)
            finally:
                os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert len(drifting.behind.queue) == 1


# ---- plans ---------------------------------------------------------------------------------------------------------------


def test_a_plan_is_measured_when_it_is_asked_and_once(kit, monkeypatch):
    from ctxkit.hall import gauge

    calls, real = [], gauge.looked
    monkeypatch.setattr(gauge, "looked", lambda *all_, **named: calls.append(1) or real(*all_, **named))
    plan = kit.plan(asked(messages=strayed()), dialect="anthropic.messages", platform="anthropic")
    assert not calls
    assert plan.drift.level == "lost"
    assert plan.drift.fee > 0
    assert plan.drift is plan.drift
    assert len(calls) == 1


def test_explain_says_what_is_worth_saying(kit):
    plan = kit.plan(asked(messages=strayed()), dialect="anthropic.messages", platform="anthropic")
    told = plan.explain()
    assert ", lost; about " in told
    assert "are noise, which costs about $" in told
    assert "the model seems stuck" in told
    calm = kit.plan(asked(), dialect="anthropic.messages", platform="anthropic")
    assert "drift" not in calm.explain()


def test_notebooks_and_records_show_it(kit):
    body = asked(messages=strayed())
    plan = kit.plan(body, dialect="anthropic.messages", platform="anthropic")
    assert "Drift" in plan._repr_html_()
    assert "seems stuck" in plan._repr_html_()
    found = kept(kit, settled(kit, body))
    assert "Drift" in found._repr_html_()
    from ctxkit.explain import explain_record, record_dict

    assert "drift 0." in explain_record(found)
    told = record_dict(found)["drift"]
    assert told["level"] == "lost"
    assert told["noise_tokens"] == found.drift.noise
    assert Decimal(told["noise_fee"]) == found.drift.fee


def test_an_unmetered_plan_has_none(kit):
    assert kit.plan({}, dialect=None).drift is None
    assert "drift" not in kit.plan({"messages": 5}, dialect="anthropic.messages").explain()


def test_a_fault_leaves_the_plan_as_it_is(monkeypatch):
    kit = kit_of(strict=False)
    monkeypatch.setattr("ctxkit.hall.gauge.looked", lambda *_, **__: 1 / 0)
    plan = kit.plan(asked(), dialect="anthropic.messages", platform="anthropic")
    assert plan.drift is None
    assert kit.faults.counts["drift: ZeroDivisionError"] == 1
    kit.close()

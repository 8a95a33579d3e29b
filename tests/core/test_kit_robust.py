"""What careless users and hostile upstreams do to a kit: nothing is raised, lost, counted twice or grows without end."""

import asyncio
import threading

import pytest

from ctxkit import Kit, Policy, feature
from ctxkit.errors import ConfigurationError, StoreError
from ctxkit.metering.ledger import Ledger
from ctxkit.testing import capture

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello!"}]}
ANSWER = {"id": "chatcmpl-1", "model": "gpt-4o", "usage": {"prompt_tokens": 9, "completion_tokens": 5}}


@pytest.fixture
def kit():
    """Not strict: what is tried here must not even be a fault."""
    kit = Kit()
    yield kit
    kit.close()
    assert not [key for key in kit.faults.counts if "Error" in key], kit.faults.counts


def chat(kit, body=BODY, **options):
    return kit.plan(body, dialect="openai.chat", platform="openai", **options)


def test_settling_twice_is_one_row_and_one_lesson(kit, monkeypatch):
    plan, taught = chat(kit), []
    monkeypatch.setattr(kit.rooms.meter, "learn", lambda *_: taught.append(1))
    kit.settle(plan, ANSWER)
    kit.settle(plan, {**ANSWER, "usage": {"prompt_tokens": 10, "completion_tokens": 5}})
    kit.sent(plan)
    assert [(r.status, r.usage.input_total) for r in kit.ledger.records()] == [("settled", 10)]
    assert len(taught) == 1


def test_a_plan_may_be_settled_by_another_kit(kit):
    other = Kit(strict=True)
    assert other.settle(chat(kit), ANSWER).usage.input_total == 9
    other.close()


def test_a_body_that_changes_after_planning_changes_nothing(kit):
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello!"}]}
    plan = chat(kit, body)
    body["messages"].clear()
    body.clear()
    assert kit.settle(plan, ANSWER).estimate.input_tokens == 9


def test_what_contains_itself_or_has_no_bottom_is_malformed(kit):
    endless = {**BODY}
    endless["metadata"] = endless
    deep = {}
    for _ in range(100_000):
        deep = {"a": deep}
    for body in (endless, {**BODY, "messages": [{"role": "user", "content": [deep]}]}, {**BODY, "metadata": deep}):
        assert chat(kit, body).unmetered == "malformed request: the request is nested too deeply, or contains itself"
    while deep:  # Python itself cannot free it in one go
        deep = deep.pop("a")


def test_a_fault_while_learning_loses_no_record(monkeypatch):
    kit = Kit()
    monkeypatch.setattr(type(kit.rooms.meter), "learn", lambda self, *_: 1 / 0)
    kit.settle(chat(kit), ANSWER)
    assert [r.status for r in kit.ledger.records()] == ["settled"]
    assert kit.faults.counts == {"learn: ZeroDivisionError": 1}
    kit.close()


def test_texts_that_others_make_are_kept_short(kit):
    long = "x" * 1_000_000
    plan = chat(kit, {**BODY, "model": long, "service_tier": long}, labels={long: long}, feature="f")
    record = kit.settle(plan, {**ANSWER, "id": long, "model": long, "service_tier": long})
    kept = [plan.model, plan.tier, record.response_model, record.response_id, record.tier]
    kept += [*plan.labels, *plan.labels.values()]
    assert all(0 < len(text) <= 256 for text in kept)


def test_a_stream_of_broken_events_makes_a_few_problems(kit):
    events = b"data: {broken\n\n" * 10_000 + b"".join(b'data: {"error": {"code": "%d"}}\n\n' % n for n in range(1_000))
    record = kit.settle(chat(kit, {**BODY, "stream": True}), events)
    assert 0 < len(record.problems) <= 10


@pytest.mark.parametrize("code", [{"message": "my prompt"}, ["my prompt"], "my prompt was refused", "é" * 9, "x" * 99])
def test_only_a_code_is_kept_of_a_reported_error(kit, code):
    record = kit.settle(chat(kit), {**ANSWER, "error": {"code": code, "message": "my prompt"}})
    assert record.problems == ("the provider reported an error: no code given",)


@pytest.mark.parametrize("count", [10**30, 2**63, -1, 1e308, float("nan"), float("inf"), "9", True, [9], {"a": 1}])
def test_absurd_counts_are_unknown(kit, count):
    usage = {"prompt_tokens": count, "completion_tokens": count, "prompt_tokens_details": {"cached_tokens": count}}
    record = kit.settle(chat(kit), {**ANSWER, "usage": usage})
    assert record.usage is None or (record.usage.fresh, record.usage.output) == (None, None)
    assert record.status == "unverified"
    assert record.cost_source == "estimate"


def test_labels_are_text(kit):
    plan = chat(kit, labels={1: None, "nan": float("nan"), "list": [1], ("a", "b"): {}})
    assert plan.labels == {"1": "None", "nan": "nan", "list": "[1]", "('a', 'b')": "{}"}
    kit.settle(plan, ANSWER)
    assert [row.attempts for row in kit.report(by=("label:list", "label:nan")).rows] == [1]
    with pytest.raises(ConfigurationError, match="mapping"):
        chat(kit, labels=["team"])


def test_a_feature_that_calls_itself_makes_no_endless_path(kit):
    @feature("agent")
    def agent(depth):
        return agent(depth - 1) if depth else chat(kit).feature

    assert agent(200).count("agent") <= 11
    assert agent(1) == "agent/agent"


def test_closing_raises_nothing(tmp_path, caplog):
    (tmp_path / "file").touch()
    kit = Kit(ledger=tmp_path / "file" / "ledger.db", store=tmp_path / "file" / "store")
    kit.settle(chat(kit), ANSWER)
    with pytest.raises(StoreError):
        kit.flush()
    kit.close()
    kit.close()
    assert kit.faults.counts["close: StoreError"] >= 1


def test_no_more_threads_is_no_fault(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        kit = Kit(strict=True)
        kit.warm()
        kit.settle(chat(kit), ANSWER)
    kit.settle(chat(kit), ANSWER)
    assert any(thread.name == "ctxkit-ledger" for thread in threading.enumerate()), "the next writing starts it"
    assert len(list(kit.ledger.records())) == 2
    kit.close()


async def test_a_loop_without_threads_settles_here_and_now(tmp_path):
    kit = Kit(ledger=Ledger(tmp_path / "ledger.db", sync="full"), strict=True)
    await asyncio.get_running_loop().shutdown_default_executor()
    plan = await kit.aplan(BODY, dialect="openai.chat", platform="openai")
    await kit.asent(plan)
    await kit.asettle(plan, ANSWER)
    assert [r.status for r in kit.ledger.records()] == ["settled"]
    kit.close()


def test_a_kit_goes_on_after_it_was_closed(tmp_path):
    kit = Kit(ledger=tmp_path / "ledger.db", store=tmp_path / "store", strict=True)
    with capture(kit) as seen:
        for _ in range(2):
            kit.settle(chat(kit), ANSWER)
            kit.close()
    assert [r.status for r in seen] == ["settled"] * 2
    assert len(list(kit.ledger.records())) == 2
    kit.close()


def test_a_fault_while_an_answer_comes_is_no_fault_of_the_call(monkeypatch):
    kit = Kit(Policy(mode="cache"))
    plan, upkeep = chat(kit), kit.rooms.upkeep

    def broken(*_):
        raise RuntimeError("no room")

    monkeypatch.setattr(upkeep.cold_starts, "began", broken)
    monkeypatch.setattr(upkeep._markers, "refused", broken)
    kit.began(plan)
    assert kit.refused(plan, 400) is False
    assert kit.faults.counts == {"began: RuntimeError": 1, "markers: RuntimeError": 1}
    kit.close()


@pytest.mark.parametrize("name", ["shadow", "drifting"])
def test_a_fault_of_what_looks_on_is_no_fault_of_the_record(name, monkeypatch):
    kit = Kit()

    def broken(*_):
        raise RuntimeError("no room")

    monkeypatch.setattr(getattr(kit, name), "offer", broken)
    assert kit.settle(chat(kit), ANSWER).usage.input_total == 9
    assert kit.faults.counts == {f"{name}: RuntimeError": 1}
    kit.close()

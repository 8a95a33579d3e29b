"""The hall: plan only reads, sent commits, settle writes down; nothing of ours reaches the user's call."""

import asyncio
import copy
import logging
import math
import os
import threading
from decimal import Decimal

import pytest

from ctxkit import Kit, Policy, feature
from ctxkit.errors import ConfigurationError
from ctxkit.model import Answer, Timing, Usage

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 50}
ANSWER = {
    "id": "chatcmpl-1",
    "model": "gpt-4o-2024-08-06",
    "choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "Hi."}}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
}
NOON = 1_790_000_000.0


@pytest.fixture
def kit():
    kit = Kit(strict=True, clock=lambda: NOON)
    yield kit
    kit.close()


def chat(kit, body=BODY, **options):
    return kit.plan(body, dialect="openai.chat", platform="openai", **options)


def rows(kit):
    kit.flush()
    return list(kit.ledger.records())


def test_a_plan_knows_tokens_and_cost_before_anything_is_sent(kit):
    plan = chat(kit)
    assert plan.body is BODY
    assert plan.edits == ()
    assert (plan.estimate.input_tokens, plan.estimate.method) == (9, "exact")
    assert plan.estimate.input_low <= 9 <= plan.estimate.input_high
    # 9 x $2.50 and at most 50 x $10 per million; the card knows a cache-read price of $1.25
    assert plan.estimate.cost.low <= Decimal("0.0000225")
    assert plan.estimate.cost.expected == Decimal("0.0000225") + 50 * Decimal("0.00001")
    assert plan.estimate.cost.max >= Decimal("0.0005225")
    assert plan.model == "gpt-4o"


def test_planning_changes_nothing(kit):
    before = copy.deepcopy(BODY)
    first, second = chat(kit), chat(kit)
    assert before == BODY
    assert first.thread == second.thread
    assert first.fingerprint == second.fingerprint
    assert first.operation != second.operation
    assert rows(kit) == []


def test_sent_and_settled_is_one_row(kit):
    plan = chat(kit)
    kit.sent(plan)
    kit.sent(plan)
    [row] = rows(kit)
    assert row.status == "open"
    assert row.estimate.input_tokens == 9
    record = kit.settle(plan, ANSWER, timing=Timing(1.0, 1.5, 1.5, 2.0))
    assert record.status == "settled"
    assert record.usage == Usage(fresh=9, read=None, written=None, output=5)
    assert record.cost == Decimal("0.0000725")
    assert record.cost_source == "card"
    assert record.error_vs_estimate == 0
    [row] = rows(kit)
    assert (row.status, row.cost, row.response_model) == ("settled", Decimal("0.0000725"), "gpt-4o-2024-08-06")
    assert row.timing.e2e == pytest.approx(1.0)


def test_settle_implies_sent(kit):
    kit.settle(chat(kit), ANSWER)
    [row] = rows(kit)
    assert row.status == "settled"


def test_feature_and_labels_are_read_when_planned(kit):
    with feature("chat", team="a"):
        plan = chat(kit, labels={"run": "7"})
    record = kit.settle(plan, ANSWER)
    assert record.feature == "chat"
    assert record.labels == {"team": "a", "run": "7"}
    assert kit.settle(chat(kit, feature="own"), ANSWER).feature == "own"
    assert kit.settle(chat(kit), ANSWER).feature is None


def test_what_the_answer_may_be(kit):
    assert kit.settle(chat(kit), Usage(fresh=3, output=1)).usage.fresh == 3
    assert kit.settle(chat(kit), Answer(usage=Usage(fresh=3, output=1), complete=False)).status == "partial"
    nothing = kit.settle(chat(kit), None)
    assert (nothing.status, nothing.cost_source) == ("unverified", "estimate")
    assert nothing.cost == nothing.estimate.cost.expected


def test_the_providers_own_cost_wins_and_both_are_kept(kit):
    record = kit.settle(chat(kit), Answer(usage=Usage(fresh=9, output=5), cost=Decimal("0.5")))
    assert (record.cost, record.cost_source, record.card_cost) == (Decimal("0.5"), "provider", Decimal("0.0000725"))


def test_an_unknown_model_costs_unknown_and_never_zero(kit):
    plan = chat(kit, {**BODY, "model": "acme-9000"})
    assert plan.estimate.cost.expected is None
    record = kit.settle(plan, {**ANSWER, "model": "acme-9000"})
    assert (record.cost, record.card, record.status) == (None, None, "settled")


def test_a_conversation_is_one_thread_without_being_named(kit):
    turns = [*BODY["messages"], {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "And you?"}]
    first = chat(kit)
    kit.settle(first, ANSWER)
    second = chat(kit, {**BODY, "messages": turns})
    assert second.thread == first.thread
    stranger = chat(kit, {**BODY, "messages": [{"role": "user", "content": "Something else"}]})
    assert stranger.thread != first.thread
    assert chat(kit, thread="mine").thread == "mine"


def test_scopes_keep_threads_apart():
    kit = Kit(strict=True, policy=Policy(scope="a"))
    kit.settle(chat(kit), ANSWER)
    assert chat(kit).thread != chat(kit, scope="b").thread


def test_a_thread_survives_a_restart(tmp_path):
    first = Kit(store=tmp_path / "s", strict=True)
    plan = chat(first)
    first.settle(plan, ANSWER)
    first.close()
    second = Kit(store=tmp_path / "s", strict=True)
    turns = [*BODY["messages"], {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "And you?"}]
    assert chat(second, {**BODY, "messages": turns}).thread == plan.thread
    second.close()


def test_server_held_history_is_threaded_by_the_response_id(kit):
    body = {"model": "gpt-5", "input": "Hello"}
    first = kit.plan(body, dialect="openai.responses", platform="openai")
    usage = {"input_tokens": 8, "output_tokens": 3, "total_tokens": 11}
    kit.settle(first, {"id": "resp_1", "status": "completed", "usage": usage})
    follow = {"model": "gpt-5", "input": "More", "previous_response_id": "resp_1"}
    second = kit.plan(follow, dialect="openai.responses", platform="openai")
    assert second.thread == first.thread


def test_retries_are_attempts_of_one_operation(kit):
    first = chat(kit)
    kit.sent(first)
    failed = kit.settle(first, {"error": {"message": "slow down"}}, status=429)
    second = chat(kit)
    record = kit.settle(second, ANSWER)
    assert (failed.status, failed.cost) == ("failed", None)
    assert (record.operation, record.number) == (first.operation, 2)
    third = kit.settle(chat(kit), ANSWER)
    assert third.operation != record.operation


def test_a_connection_failure_nobody_saw_is_closed_by_its_retry(kit):
    first = chat(kit)
    kit.sent(first)
    second = chat(kit)
    kit.settle(second, ANSWER)
    by_attempt = {row.attempt: row for row in rows(kit)}
    assert by_attempt[first.attempt].status == "failed"
    assert by_attempt[second.attempt].number == 2


def test_estimates_are_corrected_by_what_is_settled(kit):
    body = {"model": "claude-sonnet-4-6", "max_tokens": 9, "messages": [{"role": "user", "content": "word " * 2000}]}
    usage = {"usage": {"input_tokens": 3000, "output_tokens": 30}}
    for _ in range(20):
        plan = kit.plan(body, dialect="anthropic.messages", platform="anthropic", feature="x")
        kit.settle(plan, usage)
    corrected = kit.plan(body, dialect="anthropic.messages", platform="anthropic", feature="x").estimate
    assert abs(corrected.input_tokens / 3000 - 1) < 0.02
    assert corrected.usage.output == 9, "never more than the request allows"


@pytest.mark.parametrize(
    "body", [None, 7, "text", [], {"messages": 3}, {"messages": ["x"]}, {"messages": {"role": "user"}}]
)
def test_a_malformed_body_goes_out_untouched_and_is_counted(kit, body, caplog):
    with caplog.at_level(logging.WARNING, logger="ctxkit"):
        plan, again = chat(kit, body), chat(kit, body)
    assert plan.body is body
    assert plan.unmetered.startswith("malformed request")
    assert kit.faults.counts == {"plan: malformed request": 2}
    assert len(caplog.records) == 1
    record = kit.settle(again, {"odd": 1})
    assert record.status == "unmetered"
    assert kit.settle(plan, None, status=400).status == "failed"


def test_odd_numbers_and_texts_are_planned(kit):
    body = {**BODY, "messages": [{"role": "user", "content": "\ud800 x"}], "seed": 10**30, "temperature": math.nan}
    assert chat(kit, body).estimate.input_tokens > 0


def test_an_unknown_dialect_is_a_mistake_of_configuration(kit):
    with pytest.raises(ConfigurationError, match=r"no dialect 'openai\.chats'; there are: openai\.chat"):
        kit.plan(BODY, dialect="openai.chats", platform="openai")


def test_what_nobody_understands_is_unmetered(kit):
    plan = kit.plan({"x": 1}, dialect=None, platform="acme")
    assert plan.unmetered
    assert kit.settle(plan, {"y": 2}).status == "unmetered"
    kit.unmetered("openai", "images")
    assert [row.status for row in rows(kit)] == ["unmetered", "unmetered"]


class Broken:
    sync = "normal"

    def __getattr__(self, name):
        raise OSError("broken on purpose")


@pytest.mark.parametrize("room", ["meter", "threads", "hasher", "ledger", "_counter", "_learned", "_prices"])
def test_a_broken_room_never_breaks_the_call(room, caplog):
    kit = Kit()
    parts = kit.rooms.meter.__dict__ if room in kit.rooms.meter.__dict__ else kit.rooms.__dict__
    parts[room] = Broken()
    with caplog.at_level(logging.WARNING, logger="ctxkit"):
        plan = chat(kit)
        kit.sent(plan)
        record = kit.settle(plan, ANSWER)
    assert plan.body is BODY
    assert record.attempt == plan.attempt
    assert kit.faults.counts
    assert len(caplog.records) <= len(kit.faults.counts)


def test_strict_raises_the_fault():
    kit = Kit(strict=True)
    kit.rooms.__dict__["meter"] = Broken()
    with pytest.raises(OSError, match="on purpose"):
        chat(kit)


def test_a_broken_listener_is_a_fault_and_no_more():
    kit = Kit()
    kit.listeners.append(lambda _: 1 / 0)
    assert kit.settle(chat(kit), ANSWER).status == "settled"
    assert kit.faults.counts


async def test_the_async_twins_do_the_same(kit):
    plan = await kit.aplan(BODY, dialect="openai.chat", platform="openai")
    await kit.asent(plan)
    record = await kit.asettle(plan, ANSWER)
    assert record.status == "settled"
    twin = chat(kit)
    assert plan.estimate.input_tokens == twin.estimate.input_tokens
    assert plan.thread == twin.thread


async def test_what_takes_long_is_counted_off_the_event_loop(kit):
    seen = []
    estimate = kit.rooms.meter.estimate
    kit.rooms.meter.estimate = lambda *a, **k: (seen.append(threading.current_thread()), estimate(*a, **k))[1]
    huge = {**BODY, "messages": [{"role": "user", "content": "many words " * 20_000}]}
    with feature("loop"):
        plan = await kit.aplan(huge, dialect="openai.chat", platform="openai")
    assert plan.feature == "loop"
    await kit.aplan(BODY, dialect="openai.chat", platform="openai")
    assert seen[0] is not threading.current_thread()
    assert seen[1] is threading.current_thread()


async def test_full_sync_waits_in_a_thread_and_still_links_retries(tmp_path):
    from ctxkit import Ledger

    kit = Kit(ledger=Ledger(tmp_path / "l.db", sync="full"), strict=True)
    first = await kit.aplan(BODY, dialect="openai.chat", platform="openai")
    await kit.asent(first)
    await kit.asettle(first, None, status=503)
    second = await kit.aplan(BODY, dialect="openai.chat", platform="openai")
    assert (second.operation, second.number) == (first.operation, 2)
    kit.close()


async def test_tasks_keep_their_features(kit):
    async def call(name):
        with feature(name):
            plan = await kit.aplan(BODY, dialect="openai.chat", platform="openai")
            await asyncio.sleep(0)
            return (await kit.asettle(plan, ANSWER)).feature

    assert await asyncio.gather(call("a"), call("b")) == ["a", "b"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_meters_on_its_own(tmp_path):
    kit = Kit(ledger=tmp_path / "l.db", store=tmp_path / "s", strict=True)
    kit.settle(chat(kit), ANSWER)
    child = os.fork()
    if child == 0:
        try:
            kit.settle(chat(kit), ANSWER)
            kit.flush()
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    kit.settle(chat(kit), ANSWER)
    assert [row.status for row in rows(kit)] == ["settled"] * 3
    kit.close()


def test_nothing_of_the_prompt_is_on_disk(tmp_path):
    kit = Kit(ledger=tmp_path / "l.db", store=tmp_path / "s", strict=True)
    secret = "the codeword is albatross"
    body = {**BODY, "messages": [{"role": "user", "content": secret}], "user": "sk-verysecret"}
    kit.settle(chat(kit, body), {**ANSWER, "choices": [{"message": {"content": "albatross"}, "finish_reason": "stop"}]})
    kit.close()
    for file in tmp_path.rglob("*"):
        if file.is_file():
            held = file.read_bytes()
            assert b"albatross" not in held
            assert b"sk-verysecret" not in held
            assert file.stat().st_mode & 0o077 == 0, file


def test_wrong_options_say_what_to_do():
    with pytest.raises(ConfigurationError, match="wants a ctxkit.Policy"):
        Kit(policy={"mode": "observe"})
    with pytest.raises(ConfigurationError, match="wants a folder"):
        Kit(store=3)


def test_a_plan_explains_itself(kit):
    told = chat(kit, feature="chat").explain()
    assert "gpt-4o on openai" in told
    assert "input 9 tokens" in told
    assert "sent byte for byte as it came" in told
    assert "cost unknown" in chat(kit, {**BODY, "model": "acme"}).explain()
    assert "not metered" in kit.plan(3, dialect="openai.chat", platform="x").explain()


def test_data_residency_costs_more_when_the_answer_says_so(kit):
    body = {"model": "claude-opus-4-6", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}

    def cost(place):
        plan = kit.plan(body, dialect="anthropic.messages", platform="anthropic")
        usage = {"input_tokens": 1_000_000, "output_tokens": 0, "inference_geo": place}
        return kit.settle(plan, {"model": "claude-opus-4-6", "usage": usage}).cost

    assert cost("us") == cost("global") * Decimal("1.1")


def test_files_stay_where_they_were_meant_when_the_program_goes_elsewhere(tmp_path, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    monkeypatch.chdir(first)
    kit = Kit(store="store", ledger="ledger.db")
    monkeypatch.chdir(second)
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
    kit.settle(kit.plan(body, dialect="openai.chat", platform="openai"))
    kit.close()
    assert list(second.iterdir()) == []
    assert {"ledger.db", "store"} <= {one.name for one in first.iterdir()}

"""The very same request is answered with what it got before: through a kit, as front doors do it."""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import secrets
import sqlite3
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit import Answers, ConfigurationError, Kit, Policy, feature
from ctxkit.explain import explain_record
from ctxkit.model import Timing
from ctxkit.reuse import FLAG, Origin, Reused

KEY = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
URL = "https://api.openai.com/v1/chat/completions"
ORIGIN = Origin(URL, {"authorization": "Bearer sk-1", "content-type": "application/json"})
BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Name a prime."}]}
SAID = {
    "id": "c1",
    "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Seven: 7"}}],
    "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14},
}
RAW = json.dumps(SAID).encode()
CHUNKS = [
    {"id": "c1", "choices": [{"index": 0, "delta": {"role": "assistant", "content": None}}]},
    {"id": "c1", "choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": ""}}]}}]},
    {"id": "c1", "choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": '{"a": 1}'}}]}}]},
    {"id": "c1", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    {"id": "c1", "choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 9, "total_tokens": 20}},
]  # fmt: skip
EVENTS = (*(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in CHUNKS), b"data: [DONE]\n\n")


class Clock:
    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def kit(clock):
    kit = Kit(Policy(answers=True), clock=clock, strict=True)
    yield kit
    kit.close()


def kit_of(clock, store=None, *, strict=True, **options):
    more = {name: options.pop(name) for name in ("mode", "scope", "answers_key") if name in options}
    return Kit(Policy(answers=Answers(**options), **more), store=store, clock=clock, strict=strict)


def asked(kit, body=BODY, origin=ORIGIN, **options):
    """A request up to the answer that is there, or the lead: what a door does before it sends."""
    plan = kit.plan(body, **{"dialect": "openai.chat", "platform": "openai", **options})
    return plan, kit.answers.find(plan, origin)


def sent(kit, plan, lead, raw=RAW, status=200, headers=None):
    """The request goes out and is answered: what a door does then."""
    kit.sent(plan)
    for at in range(0, len(raw), 7):
        lead.feed(raw[at : at + 7])
    record = kit.settle(plan, raw, status=status)
    lead.keep(record, status=status, headers=headers or {"Content-Type": "application/json", "x-request-id": "req_1"})
    return record


def answered(kit, raw=RAW, **options):
    """Sent once."""
    plan, lead = asked(kit, **options)
    assert not isinstance(lead, Reused)
    return sent(kit, plan, lead, raw)


# ---- Once and again ----------------------------------------------------------------------------------------------------


def test_the_very_same_request_is_answered_with_the_very_same_bytes(kit):
    paid = answered(kit)
    plan, found = asked(kit)
    assert isinstance(found, Reused)
    assert found.body == RAW
    assert (found.status, found.headers["content-type"], found.headers[FLAG]) == (200, "application/json", "reused")
    assert found.headers["x-request-id"] == "req_1"
    record = kit.answers.served(plan, found, Timing(sent=5.0, last=5.25))
    assert (record.status, record.cost, record.savings, record.savings_by) == (
        "reused",
        0,
        paid.cost,
        {"answers": paid.cost},
    )
    assert (record.usage.input_total, record.usage.output, record.usage.reasoning) == (0, 0, 0)
    assert (record.response_id, record.finish, record.response_model) == ("c1", "stop", "gpt-4o-2024-08-06")
    assert record.estimate.input_tokens == 11
    assert kit.ledger.record(record.attempt) == replace(record, timing=Timing(sent=0.0, last=0.25))


def test_off_there_is_nothing():
    code = "import ctxkit, sys; print(ctxkit.Kit().answers, *sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert found[0] == "None"
    assert not {"ctxkit.hall.answering", "ctxkit.caching.answers", "ctxkit.reuse", "ctxkit.dialects.complete"} & {
        *found
    }


def test_a_stream_is_given_again_event_for_event(kit):
    body = {**BODY, "stream": True, "stream_options": {"include_usage": True}}
    plan, lead = asked(kit, body)
    sent(kit, plan, lead, b"".join(EVENTS), headers={"content-type": "text/event-stream"})
    _, found = asked(kit, body)
    assert found.events == EVENTS
    assert not isinstance(asked(kit)[1], Reused)


@pytest.fixture(scope="module")
def shared():
    """One kit for many examples, each of which asks something else."""
    kit = Kit(Policy(answers=Answers(apart=("tenant",)), shadow=False), strict=True)
    kit.number = itertools.count()
    yield kit
    kit.close()


@given(st.lists(st.integers(1, 40), max_size=60))
def test_however_the_bytes_came_they_are_cut_where_events_end(shared, sizes):
    kit = shared
    body, raw = {**BODY, "stream": True, "seed": next(kit.number)}, b"".join(EVENTS)
    plan, lead = asked(kit, body)
    at = 0
    for size in (*sizes, len(raw)):
        lead.feed(raw[at : at + size])
        at += size
    lead.keep(kit.settle(plan, raw))
    assert asked(kit, body)[1].events == EVENTS


@pytest.mark.parametrize("mode", ["observe", "cache", "lossless", "prune"])
def test_every_mode_asks_by_the_request_as_the_application_sent_it(clock, mode):
    kit = kit_of(clock, mode=mode)
    rows = json.dumps([{"name": f"row {n}", "value": n} for n in range(200)], indent=4)
    body = {
        "model": "gpt-4o",
        "messages": [
            {"role": "user", "content": "Look"},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": rows},
        ],
    }  # fmt: skip
    plan, lead = asked(kit, body)
    assert (plan.body is body) == (mode == "observe")
    sent(kit, plan, lead)
    _, found = asked(kit, json.loads(json.dumps(body)))
    assert found.body == RAW


# ---- Whose answer it is ------------------------------------------------------------------------------------------------


OTHERS = {
    "key": {"origin": ORIGIN._replace(headers={**ORIGIN.headers, "authorization": "Bearer sk-2"})},
    "no key": {"origin": ORIGIN._replace(headers={})},
    "organisation": {"origin": ORIGIN._replace(headers={**ORIGIN.headers, "openai-organization": "o"})},
    "project": {"origin": ORIGIN._replace(headers={**ORIGIN.headers, "openai-project": "p"})},
    "beta": {"origin": ORIGIN._replace(headers={**ORIGIN.headers, "openai-beta": "x"})},
    "host": {"origin": ORIGIN._replace(url=URL.replace("api.", "eu.api."))},
    "port": {"origin": ORIGIN._replace(url=URL.replace(".com", ".com:8443"))},
    "path": {"origin": ORIGIN._replace(url=URL.replace("/v1", "/v2"))},
    "query": {"origin": ORIGIN._replace(url=URL + "?api-version=2")},
    "beside": {"origin": ORIGIN._replace(extra={"api_base": "x"})},
    "scope": {"scope": "tenant-b"},
    "platform": {"platform": "azure"},
    "model": {"model": "gpt-4o-mini"},
    "region": {"region": "eu"},
    "stream": {"stream": True},
}


@pytest.mark.parametrize("name", OTHERS)
def test_no_answer_goes_to_somebody_else(kit, name):
    answered(kit)
    _, found = asked(kit, **OTHERS[name])
    assert not isinstance(found, Reused)
    found.abandon()
    assert isinstance(asked(kit)[1], Reused)


def test_two_scopes_never_meet_whoever_asks_first(clock, tmp_path):
    """Kits of two tenants over one folder, and one kit that names scopes: each gets its own answers alone."""
    tenants = {name: kit_of(clock, tmp_path, scope=name, where="disk") for name in ("a", "b", None)}
    for name, kit in tenants.items():
        answered(kit, RAW.replace(b"Seven", str(name).encode()))
        kit.answers.flush()
    for name, kit in tenants.items():
        _, found = asked(kit)
        assert str(name).encode() in found.body
        for other in tenants:
            _, found = asked(kit, scope=other)
            assert str(other if other is not None else name).encode() in found.body
        kit.close()


def test_labels_that_are_named_keep_answers_apart(clock):
    kit = kit_of(clock, apart=("tenant",))

    def one(**labels):
        with feature("chat", **labels):
            return asked(kit)

    plan, lead = one(tenant="a", page="1")
    sent(kit, plan, lead)
    assert isinstance(one(tenant="a", page="2")[1], Reused)
    for labels in ({"tenant": "b"}, {}, {"tenant": ""}):
        _, found = one(**labels)
        assert not isinstance(found, Reused)
        found.abandon()


def test_a_label_that_may_have_been_cut_keeps_nobody_apart(clock):
    kit = kit_of(clock, apart=("tenant",))
    assert asked(kit, labels={"tenant": "t" * 300})[1] is None
    assert asked(kit, labels={"tenant": "t" * 199, "page": "p" * 300})[1] is not None


@given(st.data())
def test_another_tenant_gets_nothing_whatever_both_are_called(shared, data):
    words = st.text(max_size=6)
    one, other = data.draw(st.tuples(words, words).filter(lambda pair: pair[0] != pair[1]))
    which = data.draw(st.sampled_from(["scope", "key", "organisation", "label"]))
    kit, body = shared, {**BODY, "seed": next(shared.number)}

    def ask(name):
        scope = f"s{name}" if which == "scope" else None
        headers = {"authorization": f"Bearer {name}"} if which == "key" else {"openai-organization": name}
        origin = ORIGIN._replace(headers=headers if which in ("key", "organisation") else {})
        labels = {"tenant": name} if which == "label" else {}
        return asked(kit, body, origin, scope=scope, labels=labels)

    plan, lead = ask(one)
    sent(kit, plan, lead)
    assert not isinstance(ask(other)[1], Reused)
    assert isinstance(ask(one)[1], Reused)


def test_what_is_on_disk_says_nothing_of_requests_and_credentials(clock, tmp_path):
    kit = kit_of(clock, tmp_path, where="disk", answers_key=KEY)
    answered(kit)
    kit.close()
    for file in tmp_path.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert b"prime" not in content
            assert b"sk-1" not in content
            assert b"Seven" not in content
            assert KEY.encode() not in content


# ---- What is kept ------------------------------------------------------------------------------------------------------


def changed(**choice):
    return json.dumps({**SAID, "choices": [{**SAID["choices"][0], **choice}]}).encode()


@pytest.mark.parametrize(
    "raw",
    [
        changed(finish_reason="length"),
        changed(finish_reason="content_filter"),
        changed(finish_reason="whatever"),
        changed(message={"content": None, "refusal": "No."}),
        RAW[:-5],
        b"",
        b"not json",
        json.dumps({"error": {"code": "x"}}).encode(),
    ],
    ids=["length", "filter", "unknown", "refusal", "cut", "nothing", "no json", "error"],
)
def test_an_answer_that_is_not_whole_is_not_kept(kit, raw):
    kit.faults.strict = False
    plan, lead = asked(kit)
    sent(kit, plan, lead, raw)
    _, found = asked(kit)
    assert not isinstance(found, Reused)
    assert kit.answers.tally.unfit == 1


@pytest.mark.parametrize("status", [400, 429, 500, 529, 201, 206, 302])
def test_only_what_was_answered_with_200_is_kept(kit, status):
    plan, lead = asked(kit)
    sent(kit, plan, lead, RAW, status=status)
    assert not isinstance(asked(kit)[1], Reused)


@pytest.mark.parametrize("left", [1, 2, 3, 6])
def test_a_stream_that_was_cut_or_abandoned_is_not_kept(kit, left):
    body = {**BODY, "stream": True}
    raw = b"".join(EVENTS[:-left])
    plan, lead = asked(kit, body)
    lead.feed(raw)
    lead.keep(kit.settle(plan, raw))
    plan, lead = asked(kit, body)
    assert not isinstance(lead, Reused)
    lead.feed(b"".join(EVENTS))
    lead.abandon()
    lead.keep(kit.settle(plan, b"".join(EVENTS)))
    assert not isinstance(asked(kit, body)[1], Reused)


def test_figures_that_do_not_add_up_are_not_kept(kit):
    odd = json.dumps({**SAID, "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 999}}).encode()
    record = answered(kit, odd)
    assert record.problems
    assert not isinstance(asked(kit)[1], Reused)


def test_an_answer_that_is_too_large_is_let_go_while_it_passes(clock):
    kit = kit_of(clock, max_answer_bytes=2_000)
    large = json.dumps({**SAID, "choices": [{**SAID["choices"][0], "message": {"content": "x" * 3_000}}]}).encode()
    plan, lead = asked(kit)
    lead.feed(large)
    assert lead._pieces == []
    lead.keep(kit.settle(plan, large))
    assert not isinstance(asked(kit)[1], Reused)


@pytest.mark.parametrize(
    "more", [{"tools": [{"type": "web_search"}]}, {"web_search_options": {}, "background": True}, {"plugins": ["web"]}]
)
def test_a_request_that_does_not_say_all_is_never_asked_again(kit, more):
    assert asked(kit, {**BODY, **more})[1] is None


def test_a_request_that_two_readers_may_read_in_two_ways_is_never_asked_again(kit):
    twice = b'{"model": "gpt-4o", "messages": [], "messages": [{"role": "user", "content": "Name a prime."}]}'
    once = json.dumps(BODY).encode()
    assert asked(kit, origin=ORIGIN._replace(raw=twice))[1] is None
    assert asked(kit, origin=ORIGIN._replace(raw=once))[1] is not None


def test_what_cannot_be_written_down_exactly_is_never_asked_again(kit):
    assert asked(kit, origin=ORIGIN._replace(extra=object()))[1] is None
    assert asked(kit, {**BODY, "more": object()})[1] is None


def test_what_nobody_understands_is_never_asked_again(kit):
    plan = kit.plan(BODY, dialect=None)
    assert kit.answers.find(plan, ORIGIN) is None


def test_an_estimate_is_no_cost_that_is_known(kit):
    bare = json.dumps({name: value for name, value in SAID.items() if name != "usage"}).encode()
    record = answered(kit, bare)
    assert record.status == "unverified"
    plan, found = asked(kit)
    served = kit.answers.served(plan, found)
    assert (served.cost, served.savings, served.savings_by) == (0, None, {})
    assert "nobody knows" in explain_record(served)


# ---- Time and room -----------------------------------------------------------------------------------------------------


def test_an_answer_is_not_served_beyond_its_time(kit, clock):
    answered(kit)
    clock.now += 3_599
    assert isinstance(asked(kit)[1], Reused)
    clock.now += 1
    plan, lead = asked(kit)
    assert not isinstance(lead, Reused)
    sent(kit, plan, lead)
    assert isinstance(asked(kit)[1], Reused)


def test_a_clock_that_is_set_back_keeps_nothing_alive(kit, clock):
    answered(kit)
    clock.now -= 100
    assert not isinstance(asked(kit)[1], Reused)


# ---- On disk -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "sealed"])
def test_another_process_finds_what_stands_on_disk(clock, tmp_path, key):
    first = kit_of(clock, tmp_path, where="disk", answers_key=key)
    paid = answered(first)
    first.close()
    for path in (tmp_path / "answers").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = kit_of(clock, tmp_path, where="disk", answers_key=key)
    plan, found = asked(again)
    assert found.body == RAW
    assert again.answers.served(plan, found).savings == paid.cost
    assert (
        asyncio.run(again.answers.afind(again.plan(BODY, dialect="openai.chat", platform="openai"), ORIGIN)).body == RAW
    )
    again.close()


def test_an_event_loop_reads_the_disk_aside(clock, tmp_path):
    first = kit_of(clock, tmp_path, where="disk")
    answered(first)
    first.close()
    again = kit_of(clock, tmp_path, where="disk")
    threads = []
    fetched = again.answers._shelf.fetch
    again.answers._shelf.fetch = lambda *args: (threads.append(threading.get_ident()), fetched(*args))[1]
    found = asyncio.run(again.answers.afind(again.plan(BODY, dialect="openai.chat", platform="openai"), ORIGIN))
    assert found.body == RAW
    assert threads != [threading.get_ident()]
    again.close()


def rewritten(folder, change):
    """The entries on disk, changed by ``change(key, value)``."""
    with sqlite3.connect(folder / "answers" / "cache.db") as db:
        for row, key, value in db.execute("SELECT rowid, key, value FROM Cache").fetchall():
            db.execute("UPDATE Cache SET value = ? WHERE rowid = ?", (change(bytes(key), bytes(value)), row))
    db.close()


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "sealed"])
@pytest.mark.parametrize(
    "change",
    [
        lambda value: value[:-1] + bytes((value[-1] ^ 1,)),
        lambda value: value.replace(b"S", b"T") if b"Seven" in value else value[:40] + b"\0" + value[41:],
        lambda value: value[: len(value) // 2],
        lambda value: value[:9],
        lambda value: value[:9] + bytes(100),
    ],
    ids=["flipped", "changed", "cut", "empty", "zeros"],
)
def test_an_entry_that_was_tampered_with_is_a_miss_and_counted(clock, tmp_path, key, change):
    first = kit_of(clock, tmp_path, where="disk", answers_key=key)
    answered(first)
    first.close()
    rewritten(tmp_path, lambda _, value: change(value))
    again = kit_of(clock, tmp_path, where="disk", answers_key=key)
    plan, lead = asked(again)
    assert not isinstance(lead, Reused)
    assert again.answers.tally.damaged == 1
    assert again.faults.counts["answers: on disk"] == 1
    sent(again, plan, lead)
    assert isinstance(asked(again)[1], Reused)
    again.close()


def test_entries_cannot_be_exchanged(clock, tmp_path):
    for key in (None, KEY):
        folder = tmp_path / str(bool(key))
        first = kit_of(clock, folder, where="disk", answers_key=key)
        answered(first)
        answered(first, RAW.replace(b"Seven", b"Eight"), body={**BODY, "seed": 1})
        first.close()
        kept = {}
        rewritten(folder, lambda name, value, kept=kept: kept.setdefault(name, value))
        names = list(kept)
        assert len(names) == 2
        rewritten(folder, lambda name, _, kept=kept, names=names: kept[names[1 - names.index(name)]])
        again = kit_of(clock, folder, where="disk", answers_key=key)
        assert not isinstance(asked(again)[1], Reused)
        assert again.answers.tally.damaged == 1
        again.close()


def test_without_the_key_or_with_another_one_there_is_nothing(clock, tmp_path):
    first = kit_of(clock, tmp_path, where="disk", answers_key=KEY)
    answered(first)
    first.close()
    for key in (None, base64.b64encode(secrets.token_bytes(32)).decode()):
        again = kit_of(clock, tmp_path, where="disk", answers_key=key)
        assert not isinstance(asked(again)[1], Reused)
        assert again.answers.tally.damaged == 1
        again.close()
    plain = kit_of(clock, tmp_path / "plain", where="disk")
    answered(plain)
    plain.close()
    sealed = kit_of(clock, tmp_path / "plain", where="disk", answers_key=KEY)
    assert not isinstance(asked(sealed)[1], Reused)
    sealed.close()


def test_a_folder_that_cannot_be_used_costs_nothing_but_the_answers(clock, tmp_path):
    (tmp_path / "answers").write_text("a file")
    kit = kit_of(clock, tmp_path, where="disk")
    answered(kit)
    assert isinstance(asked(kit)[1], Reused)  # in memory
    assert kit.faults.counts["answers: on disk"] >= 1
    kit.faults.strict = False
    kit.close()


@pytest.mark.parametrize("options", [{"where": "disk"}, {"where": "disk", "answers_key": "x"}])
def test_what_cannot_work_is_said_at_once(clock, tmp_path, options):
    with pytest.raises(ConfigurationError):
        kit_of(clock, None if "answers_key" not in options else tmp_path, **options)


# ---- What it comes to --------------------------------------------------------------------------------------------------


def test_nothing_else_takes_a_hit_for_a_request_that_was_sent(clock):
    kit = kit_of(clock, mode="cache")
    long = {**BODY, "messages": [{"role": "system", "content": "word " * 3_000}, *BODY["messages"]]}
    answered(kit, body=long)
    rooms = kit.rooms
    plan, found = asked(kit, long)
    before = (
        rooms.learned,
        dict(rooms.attempts._open),
        dict(rooms.attempts._over),
        kit.cold_starts,
        rooms.meter.dump(),
    )
    believed = kit.plan(long, dialect="openai.chat", platform="openai").forecast
    clock.now += 200
    later = kit.plan(long, dialect="openai.chat", platform="openai").forecast
    kit.answers.served(plan, found)
    assert kit.plan(long, dialect="openai.chat", platform="openai").forecast == later
    assert (
        rooms.learned,
        dict(rooms.attempts._open),
        dict(rooms.attempts._over),
        kit.cold_starts,
        rooms.meter.dump(),
    ) == before
    assert believed is not None
    kit.close()


def test_a_later_turn_finds_the_conversation_of_a_reused_one(clock, tmp_path):
    first = kit_of(clock, tmp_path, where="disk")
    answered(first)
    first.close()
    again = kit_of(clock, None)
    plan, lead = asked(again)
    lead.abandon()
    again.answers.served(plan, Reused(200, {}, (RAW,), clock.now, None, {"response_id": "c1"}))
    turn = [*BODY["messages"], {"role": "assistant", "content": "7"}, {"role": "user", "content": "Another."}]
    assert again.plan({**BODY, "messages": turn}, dialect="openai.chat", platform="openai").thread == plan.thread


def test_the_report_says_what_was_reused_and_keeps_its_speed_apart(kit):
    paid = answered(kit)
    for number in range(3):
        plan, found = asked(kit)
        kit.answers.served(plan, found, Timing(sent=0.0, last=0.001 * (number + 1)))
    total = kit.report().total
    assert (total.requests, total.attempts, total.reused, total.reused_unpriced) == (4, 1, 3, 0)
    assert total.cost == paid.cost
    assert total.reused_savings == total.savings == 3 * paid.cost
    assert total.savings_by == {"answers": 3 * paid.cost}
    assert total.latency("e2e", 0.5) is None
    assert total.latency("ttft", 0.5) is None
    assert total.latency("reuse", 0.5) == pytest.approx(0.002, rel=0.02)
    assert total.status("reused") == 3
    assert kit.report(by=("status",)).to_dict()["rows"][1]["status"] == "reused"
    text = kit.report().text()
    assert "3 of 4 requests were not sent, saved $" in text
    told = kit.report().to_dict()["total"]["reused"]
    assert told["requests"] == 3
    assert Decimal(told["savings"]) == 3 * paid.cost


def test_one_request_says_so(kit):
    answered(kit)
    plan, found = asked(kit)
    record = kit.answers.served(plan, found, Timing(sent=0.0, last=0.1))
    told = explain_record(record)
    assert "not sent: answered with what the same request got 0 s ago" in told
    assert "cost nothing; saved $0." in told
    assert "missed" not in told
    assert "reported" not in told
    page = record._repr_html_()
    assert "nothing was sent" in page
    assert "Whole answer" not in page


def test_listeners_hear_of_it(kit):
    heard = []
    kit.listeners.append(heard.append)
    answered(kit)
    plan, found = asked(kit)
    record = kit.answers.served(plan, found)
    assert [one.status for one in heard] == ["settled", "reused"]
    assert heard[1] == record


# ---- At once -----------------------------------------------------------------------------------------------------------


def test_threads_and_tasks_that_ask_at_once_send_one_request(clock):
    kit = kit_of(clock, wait=600)
    kit.rooms.meter  # noqa: B018 - so that nobody waits for it
    plan, lead = asked(kit)
    found = []

    async def tasks():
        async def one():
            plan = await kit.aplan(BODY, dialect="openai.chat", platform="openai")
            return await kit.answers.afind(plan, ORIGIN)

        return await asyncio.gather(*(one() for _ in range(5)))

    threads = [threading.Thread(target=lambda: found.append(asked(kit)[1])) for _ in range(5)]
    threads.append(threading.Thread(target=lambda: found.extend(asyncio.run(tasks()))))
    for thread in threads:
        thread.start()
    flights = kit.answers._under_way._flights
    while sum(len(flight.wakers) for flight in list(flights.values())) < 10:
        pass
    sent(kit, plan, lead)
    for thread in threads:
        thread.join()
    assert [one.body for one in found] == [RAW] * 10
    assert kit.answers.tally.waited == 10


@pytest.mark.parametrize("how", ["abandon", "unfit", "status", "fault"])
def test_whatever_becomes_of_the_first_one_the_next_one_goes(clock, monkeypatch, how):
    kit = kit_of(clock, wait=600, strict=False)
    plan, lead = asked(kit)
    found = []
    thread = threading.Thread(target=lambda: found.append(asked(kit)[1]))
    thread.start()
    flights = kit.answers._under_way._flights
    while not sum(len(flight.wakers) for flight in list(flights.values())):
        pass
    if how == "abandon":
        lead.abandon()
    elif how == "fault":
        monkeypatch.setattr(kit.answers._shelf, "put", lambda *_: 1 / 0)
        sent(kit, plan, lead)
    else:
        sent(
            kit,
            plan,
            lead,
            changed(finish_reason="length") if how == "unfit" else RAW,
            status=500 if how == "status" else 200,
        )
    thread.join()
    assert not isinstance(found[0], Reused)
    assert found[0] is not None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_child_has_what_is_kept_and_waits_for_nothing_of_its_parent(clock):
    kit = kit_of(clock, wait=600)
    answered(kit)
    other = {**BODY, "seed": 1}
    plan, lead = asked(kit, other)
    child = os.fork()
    if child == 0:
        good = False
        with contextlib.suppress(BaseException):
            _, own = asked(kit, other)  # its parent is under way with it, and will never tell
            lead.feed(RAW)
            lead.keep(kit.settle(plan, RAW))  # not its own to keep
            good = isinstance(asked(kit)[1], Reused) and not isinstance(own, Reused)
            good = good and not isinstance(asked(kit, other)[1], Reused)
        os._exit(0 if good else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    sent(kit, plan, lead)
    assert isinstance(asked(kit, other)[1], Reused)


# ---- Faults of ours ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", ["_name", "_looked", "_fetched", "_found"])
def test_a_fault_of_ours_sends_the_request(clock, monkeypatch, broken):
    kit = kit_of(clock, strict=False)

    def fail(*_):
        raise KeyError("ours")

    monkeypatch.setattr(kit.answers, broken, fail)
    plan = kit.plan(BODY, dialect="openai.chat", platform="openai")
    assert kit.answers.find(plan, ORIGIN) is None
    if broken != "_fetched":  # an event loop asks the disk only where there is one
        assert asyncio.run(kit.answers.afind(plan, ORIGIN)) is None
    assert kit.faults.counts["answers: KeyError"] >= 1
    monkeypatch.undo()
    answered(kit)
    assert isinstance(asked(kit)[1], Reused)


def test_a_ledger_that_fails_is_no_trouble(clock, monkeypatch):
    kit = kit_of(clock, strict=False)
    answered(kit)
    plan, found = asked(kit)
    monkeypatch.setattr(kit.ledger, "append", lambda _: 1 / 0)
    assert kit.answers.served(plan, found).status == "reused"
    assert kit.faults.counts["ledger: ZeroDivisionError"] == 1


# ---- The policy --------------------------------------------------------------------------------------------------------


def test_the_policy_takes_a_switch_a_table_and_the_environment(tmp_path, monkeypatch):
    assert Policy().answers is None
    assert Policy(answers=False).answers is None
    assert Policy(answers=True).answers == Answers()
    assert Policy(answers={"ttl": 5}).answers.ttl == 5
    (tmp_path / "ctxkit.toml").write_text('[answers]\nwhere = "disk"\nttl = 60\napart = ["tenant"]\n')
    assert Policy.load(tmp_path).answers == Answers(where="disk", ttl=60, apart=("tenant",))
    monkeypatch.setenv("CTXKIT_ANSWERS", "off")
    assert Policy.load(tmp_path).answers is None
    monkeypatch.setenv("CTXKIT_ANSWERS", "On")
    monkeypatch.setenv("CTXKIT_ANSWERS_KEY", KEY)
    loaded = Policy.load(tmp_path / "nothing")
    assert loaded.answers == Answers()
    assert KEY not in repr(loaded)
    with pytest.raises(ConfigurationError, match=r"unknown option 'answers.tll'; options: apart, max_answer_bytes"):
        Policy(answers={"tll": 5})
    with pytest.raises(ConfigurationError) as refused:
        Policy(answers_key=["secret"])
    assert "secret" not in str(refused.value)
    for wrong in ({"ttl": 0}, {"where": "cloud"}, {"more": 1}, "perhaps", 3):
        with pytest.raises(ConfigurationError, match="answers"):
            Policy(answers=wrong)


def test_long_patterns_that_differ_at_their_end_are_different_policies(clock):
    told = set()
    for end in "ab":
        kit = Kit(Policy(mode="prune", answers=True, tidy={"pins": ["x" * 500 + end]}), clock=clock, strict=True)
        told.add(kit.answers._tidied)
        kit.close()
    assert len(told) == 2

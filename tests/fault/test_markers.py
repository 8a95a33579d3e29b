"""Mode ``cache`` among hostile requests, servers and moments: what is marked is taken, and no call fails for it."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ctxkit import Kit, Policy
from ctxkit.caching.bursts import Bursts
from ctxkit.testing import FakeProvider, Reply, Request, SimulatedCaches, capture
from ctxkit.testing.refusals import refuse

WORDS = "You answer questions about the harbour, its ships and its tides. " * 250
MARK = {"type": "ephemeral"}
SCHEMA = {"type": "object", "properties": {}}
TOOL = {"name": "look", "description": "looks " * 40, "input_schema": SCHEMA}

anthropic = pytest.importorskip("anthropic", reason="the Anthropic SDK is not installed")


def claude(**changes: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "hello"}]
    body = {"model": "claude-opus-5", "max_tokens": 50, "system": WORDS, "tools": [TOOL], "messages": messages}
    return {key: value for key, value in {**body, **changes}.items() if value is not None}


def text(value: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": value, **more}


def markers(body: Any) -> int:
    return json.dumps(body).count('"cache_control"')


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
CALL = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
FOUR = [text(WORDS, cache_control=MARK), text("a", cache_control=MARK), text("b", cache_control=MARK)]
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": [text(WORDS, cache_control=MARK), IMAGE]}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "Eo"}

ODD = {
    "four of the user's": claude(system=FOUR, tools=[{**TOOL, "cache_control": MARK}]),
    "three and the top level": claude(system=FOUR, cache_control=MARK),
    "an hour in the message, nothing before it": claude(
        messages=[{"role": "user", "content": [text(WORDS, cache_control={"type": "ephemeral", "ttl": "1h"})]}]
    ),
    "inside the result of a tool": claude(
        messages=[
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": [CALL]},
            {"role": "user", "content": [RESULT]},
        ]
    ),
    "on an image": claude(messages=[{"role": "user", "content": [{**IMAGE, "cache_control": MARK}, text("what?")]}]),
    "after thinking": claude(
        messages=[
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": [THOUGHT, CALL]},
            {"role": "user", "content": [{**RESULT, "content": []}]},
        ]
    ),
    "null": claude(system=[text(WORDS, cache_control=None)]),
    "300 tools": claude(tools=[{**TOOL, "name": f"tool{n}"} for n in range(300)]),
    "300 blocks": claude(messages=[{"role": "user", "content": [text(f"block {n} " * 30) for n in range(300)]}]),
    "no system, no tools": claude(system=None, tools=None, messages=[{"role": "user", "content": WORDS}]),
    "empty texts": claude(messages=[{"role": "user", "content": [text("x"), text("")]}]),
}


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider(text="Yes.", caches=SimulatedCaches()) as running:
        yield running


@pytest.fixture
def kit() -> Iterator[Kit]:
    made = Kit(Policy(mode="cache", cold_start_wait=0), strict=True)
    yield made
    made.close()


def planned(kit: Kit, body: Any, **options: Any) -> Any:
    return kit.plan(body, **{"dialect": "anthropic.messages", "platform": "anthropic", **options})


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_taken_with_our_markers_as_without(provider, kit, name, stream):
    """Three times, so that something is known; no request has more than four markers, and none is refused."""
    with anthropic.Anthropic(base_url=provider.anthropic_url, api_key="none", max_retries=0) as plain:
        client = kit.wrap(plain)
        asked = copy.deepcopy(ODD[name])
        with capture(kit) as records:
            for _ in range(3):
                answer = client.messages.create(**ODD[name], stream=stream)
                assert not stream or list(answer)
        assert ODD[name] == asked, "what the caller holds is never changed"
    assert [record.status for record in records] == ["settled"] * 3
    for request in provider.requests:
        sent = json.loads(request.body)
        assert markers(asked) <= markers(sent) <= max(markers(asked), 4)


@pytest.mark.parametrize("name", ODD)
def test_what_is_planned_on_its_own_output_gets_nothing_new(kit, name):
    first = planned(kit, copy.deepcopy(ODD[name]))
    for _ in range(2):
        again = planned(kit, first.body)
        assert again.edits == ()
        assert again.body is first.body
        kit.settle(again, {"id": "m", "usage": {"input_tokens": 5, "output_tokens": 1}})


@pytest.mark.parametrize("status", [429, 500, 529])
def test_the_retries_of_the_sdk_are_marked_alike(provider, kit, status):
    provider.behave(failures=2, failure_status=status, retry_after=0.01)
    with anthropic.Anthropic(base_url=provider.anthropic_url, api_key="none", max_retries=2) as plain:
        with capture(kit) as records:
            kit.wrap(plain).messages.create(**claude())
    sent = [json.loads(request.body) for request in provider.requests]
    assert sent[0] == sent[1] == sent[2]
    assert [record.status for record in records] == ["failed", "failed", "settled"]
    assert [record.savings for record in records[:2]] == [None, None]


def refuses_markers(request: Request) -> Reply | None:
    """A server that knows no markers, and has no other fault."""
    if "cache_control" not in request.body.decode() and "prompt_cache_options" not in request.body.decode():
        return None
    family = "anthropic" if "messages" in request.path else "openai"
    return refuse(family, 400, "Extra inputs are not permitted")


@pytest.fixture
def refusing() -> Iterator[FakeProvider]:
    with FakeProvider(text="Yes.", answer=refuses_markers) as running:
        yield running


def test_a_server_that_refuses_markers_answers_all_the_same(refusing):
    kit = Kit(Policy(mode="cache", cold_start_wait=0))
    with anthropic.Anthropic(base_url=refusing.anthropic_url, api_key="none", max_retries=0) as plain:
        create = kit.wrap(plain).messages.create
        with capture(kit) as records:
            for _ in range(3):
                assert create(**claude()).content[0].text == "Yes."
            assert list(create(**claude(), stream=True))
    kit.close()
    assert [record.status for record in records] == ["failed", *["settled"] * 4]
    assert records[0].operation == records[1].operation, "one call, two attempts"
    assert len(refusing.requests) == 5, "it is not asked again"


async def test_so_it_does_for_many_tasks_at_once(refusing):
    kit = Kit(Policy(mode="cache"))
    async with anthropic.AsyncAnthropic(base_url=refusing.anthropic_url, api_key="none", max_retries=0) as plain:
        create = kit.wrap(plain).messages.create
        answers = await asyncio.gather(*(create(**claude()) for _ in range(6)))
    kit.close()
    assert [answer.content[0].text for answer in answers] == ["Yes."] * 6


def test_so_it_does_over_the_http_client_alone(refusing):
    """The door that every SDK on httpx goes through."""
    kit = Kit(Policy(mode="cache", cold_start_wait=0))
    http = kit.attach(anthropic.DefaultHttpxClient(), platform="anthropic")
    with (
        anthropic.Anthropic(base_url=refusing.anthropic_url, api_key="none", max_retries=0, http_client=http) as plain,
        capture(kit) as records,
    ):
        for stream in (False, True, False):
            answer = plain.messages.create(**claude(), stream=stream)
            assert not stream or list(answer)
    kit.close()
    assert [record.status for record in records] == ["failed", *["settled"] * 3]


def test_a_request_that_is_wrong_in_itself_proves_nothing_of_markers(provider):
    """It is refused without them, too: the user hears of it, and the next request is marked as ever."""
    kit = Kit(Policy(mode="cache", cold_start_wait=0))
    provider.behave(failures=2, failure_status=400)
    with anthropic.Anthropic(base_url=provider.anthropic_url, api_key="none", max_retries=0) as plain:
        create = kit.wrap(plain).messages.create
        with pytest.raises(anthropic.BadRequestError):
            create(**claude())
        create(**claude())
    kit.close()
    assert [bool(markers(json.loads(request.body))) for request in provider.requests] == [True, False, True]


def test_a_signed_request_is_left_alone(provider, kit):
    raw = json.dumps(claude()).encode()
    signed = {"authorization": "AWS4-HMAC-SHA256 Credential=a/b/eu-west-1/c/d", "content-type": "application/json"}
    with kit.attach(anthropic.DefaultHttpxClient(), platform="anthropic") as http, capture(kit) as records:
        assert http.post(provider.anthropic_url + "/v1/messages", content=raw, headers=signed).status_code == 200
    assert provider.requests[0].body == raw
    assert records[0].edits == {}


def test_a_kit_that_is_closed_in_the_middle_of_a_stream(provider):
    kit = Kit(Policy(mode="cache"))
    provider.behave(text="One two three four five. " * 20, chunk_delay=0.005)
    with anthropic.Anthropic(base_url=provider.anthropic_url, api_key="none", max_retries=0) as plain:
        with capture(kit) as records:
            events = iter(kit.wrap(plain).messages.create(**claude(), stream=True))
            next(events)
            kit.close()
            assert [event.type for event in events][-1] == "message_stop"
    assert [record.status for record in records] == ["settled"]


def test_a_stream_that_is_dropped_is_under_way_no_more(provider, kit):
    provider.behave(text="One two three four five. " * 20, chunk_delay=0.005)
    with anthropic.Anthropic(base_url=provider.anthropic_url, api_key="none", max_retries=0) as plain:
        with capture(kit) as records:
            events = kit.wrap(plain).messages.create(**claude(), stream=True)
            next(iter(events))
            events.close()
            gc.collect()
    assert [record.status for record in records] == ["partial"]
    assert not kit.rooms.upkeep._markers._marking._habits.bursts._present
    assert not kit.rooms.upkeep.cold_starts._writers


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_after_planning(kit):
    """The child plans, holds and settles; what its parent had under way is none of its business."""
    plan = planned(kit, claude())
    kit.sent(kit.hold(plan))
    with kit.rooms.upkeep._markers._marking._habits._lock, kit.rooms.upkeep._sparing._unmarked._lock:
        child = os.fork()
        if not child:
            mine = kit.hold(planned(kit, claude()))
            done = kit.settle(mine, {"id": "m", "usage": {"input_tokens": 5, "output_tokens": 1}})
            os._exit(
                0 if done.status == "settled" and not kit.rooms.upkeep._markers._marking._habits.bursts._present else 1
            )
    assert os.waitpid(child, 0)[1] == 0
    usage = {"input_tokens": 5, "output_tokens": 1}
    assert kit.settle(plan, {"id": "m", "usage": usage}).status == "settled"


def test_bursts_are_bounded_and_add_up_from_many_threads():
    bursts = Bursts()

    def work(number: int) -> None:
        for turn in range(200):
            links = [b"shared", b"%d" % (turn % 7)]
            bursts.planned(number, links, float(turn))
            bursts.sent(number, f"{number}-{turn}", links, float(turn))
            if turn % 3:
                bursts.ended(f"{number}-{turn}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    counted: dict[bytes, int] = {}
    for present in bursts._present.values():
        for link in present.openings:
            counted[link] = counted.get(link, 0) + 1
    assert counted == bursts._counts
    bursts.planned("late", [b"shared"], 1e9)
    assert bursts._counts == {b"shared": 1}, "what never ended is forgotten"


def test_where_nobody_can_send_again_it_is_one_call_for_each_model():
    kit = Kit(Policy(mode="cache"))
    body = {"system": [{"text": WORDS}], "messages": [{"role": "user", "content": [{"text": "hello"}]}]}
    body["toolConfig"] = {"tools": [{"toolSpec": {"name": "look", "inputSchema": {"json": SCHEMA}}}]}
    told = []
    for model, status in (("sonnet-5", 400), ("sonnet-5", 200), ("opus-5", 200), ("opus-5", 400)):
        options = {"dialect": "bedrock.converse", "platform": "bedrock", "model": f"anthropic.claude-{model}"}
        plan = kit.plan(body, **options)
        kit.settle(plan, None, status=status)
        told.append((bool(plan.edits), kit.refused(plan, status)))
    kit.close()
    assert told == [(True, True), (False, False), (True, False), (True, False)]

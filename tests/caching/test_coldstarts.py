"""One goes first, the others wait: for entries that pay, for as long as they may, and never for ever."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxkit.cacheable import Ask
from ctxkit.caching.coldprefix import Start, start_of
from ctxkit.caching.coldstarts import ColdStarts, Held
from ctxkit.caching.simulator import Entry
from tests.caching.conversations import Provider, answer, call, system, tool, user

LONG = 10.0  # seconds nobody waits in a test that passes
CLAUDE = Provider("anthropic", "claude-opus-5")
PREFIX = Provider("vllm", "llama-3-8b", changed={"visible": "begins", "read": 0.1})  # no such one is billed

INSTRUCTIONS = [tool("search", 600), system("be brief", 2_000, mark="5m")]


def nothing(_: bytes) -> None:
    return None


def start(name: str, *messages, provider=CLAUDE, alive=nothing, **how) -> Start | None:
    layout = provider.layout([*INSTRUCTIONS, *messages], **how.pop("ask", {}))
    rule = replace(provider.rule, **how.pop("rule", {}))
    return start_of(rule, layout, alive, attempt=name, **how)


def cold(name: str, **how) -> Start:
    found = start(name, user(f"question {name}", 200), **how)
    assert found is not None
    return found


@pytest.fixture
def gate():
    return ColdStarts(time.monotonic)


class Caller:
    """A thread that holds one start."""

    def __init__(self, gate: ColdStarts, one: Start, bound: float = LONG) -> None:
        self.held: Held | None = None
        self._thread = threading.Thread(target=self._run, args=(gate, one, bound), daemon=True)
        self._thread.start()

    def _run(self, gate, one, bound):
        self.held = gate.hold(one, bound)

    def goes(self) -> bool:
        self._thread.join(LONG)
        return not self._thread.is_alive()

    @property
    def waits(self) -> bool:
        return self._thread.is_alive()


def until(condition):
    """Wait for another thread to get somewhere; no more than the test's own patience."""
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.001)


def waiting(gate, number):
    until(lambda: gate._waiting == number)


# ---- What may wait for what -------------------------------------------------------------------------------------------


def test_who_shares_the_instructions_waits_and_then_reads_them(gate):
    first = Caller(gate, cold("a"))
    assert first.goes()
    others = [Caller(gate, cold(name)) for name in "bcd"]
    waiting(gate, 3)
    gate.began("a")
    assert all(other.goes() for other in others)
    assert {other.held.reads for other in others} == {2_600}
    assert (gate.tally.first, gate.tally.waited, gate.tally.vain) == (1, 3, 0)
    assert gate.tally.tokens == 3 * 2_600


def test_once_an_answer_has_begun_nobody_waits_any_more(gate):
    Caller(gate, cold("a")).goes()
    gate.began("a")
    assert Caller(gate, cold("b")).goes()
    assert gate.tally.first == 2


def test_other_instructions_do_not_wait(gate):
    Caller(gate, cold("a")).goes()
    other = start_of(
        CLAUDE.rule, CLAUDE.layout([system("be verbose", 2_000, mark="5m"), user("question")]), nothing, attempt="b"
    )
    assert other is not None
    assert Caller(gate, other).goes()


def test_another_model_scope_or_parameter_does_not_wait(gate):
    Caller(gate, cold("a")).goes()
    for name, how in (
        ("b", {"model": "claude-sonnet-5"}),
        ("c", {"scope": "another workspace"}),
        ("d", {"ask": Ask(parameters={"tools": {"speed": "fast"}})}),
    ):
        assert Caller(gate, cold(name, ask=how)).goes()


def test_who_shares_more_waits_again_when_that_is_cold_too(gate):
    """Instructions are shared by all, a document by some; each is written by one."""

    def about(name, document):
        return start(name, user(document, 4_000, mark="5m"), user(f"question {name}", 50))

    Caller(gate, about("a", "x")).goes()
    others = [Caller(gate, about(name, "y")) for name in "bc"]
    waiting(gate, 2)
    gate.began("a")
    until(lambda: len(gate._flights) == 2)
    waiting(gate, 1)
    gate.began(next(name for name in "bc" if name in gate._flights))
    assert all(other.goes() for other in others)
    assert sorted(other.held.reads for other in others) == [2_600, 6_600]


def test_a_cache_of_prefixes_shares_whatever_is_common(gate):
    Caller(gate, cold("a", provider=PREFIX)).goes()
    other = Caller(gate, cold("b", provider=PREFIX))
    waiting(gate, 1)
    gate.began("a")
    assert other.goes()
    assert other.held.reads == 2_600 // PREFIX.rule.granularity * PREFIX.rule.granularity


def test_an_entry_that_is_there_when_the_answer_ends_is_waited_for_until_then(gate):
    late = {"rule": {"visible": "ends"}}
    assert Caller(gate, cold("one", **late)).goes()
    assert Caller(gate, cold("two", **late)).goes(), "nobody knows yet how long an answer takes"
    gate.ended("one")
    gate.ended("two")
    gate._opened.clear()
    Caller(gate, cold("a", **late)).goes()
    other = Caller(gate, cold("b", **late))
    waiting(gate, 1)
    gate.began("a")
    assert other.waits
    gate.ended("a")
    assert other.goes()
    assert other.held.reads == 2_600


# ---- Where it cannot pay ----------------------------------------------------------------------------------------------


def test_below_the_minimum_nobody_waits():
    assert start_of(CLAUDE.rule, CLAUDE.layout([system("short", 511, mark="5m")]), nothing, attempt="a") is None
    assert start_of(CLAUDE.rule, CLAUDE.layout([system("enough", 512, mark="5m")]), nothing, attempt="a")


def test_without_a_marker_nobody_waits():
    assert start_of(CLAUDE.rule, CLAUDE.layout([system("long", 9_000)]), nothing, attempt="a") is None


@pytest.mark.parametrize(
    "changed", [{"match": "units"}, {"match": "handle"}, {"visible": "starts"}, {"visible": "seconds"}]
)
def test_where_a_start_does_not_serve_the_next_one_nobody_waits(changed):
    assert start("a", user("question"), rule=changed) is None


def test_where_reads_are_no_cheaper_nobody_waits():
    assert start("a", user("question"), rates={"fresh": 10, "read": 10, "written": 10}) is None
    assert start("a", user("question"), rates={"fresh": 10, "read": 9, "written": 12})
    assert start("a", user("question"), rule={"read": 1.25}) is None


def test_where_nothing_is_billed_nobody_waits():
    assert start("a", user("question"), rule={"read": None}) is None
    assert start("a", user("question"), rule={"read": None}, rates={"fresh": 10, "read": 1})


def test_what_is_warm_but_for_its_last_turn_does_not_wait():
    history = [user("long", 6_000), answer("answer", 300, mark="5m")]
    layout = CLAUDE.layout([*INSTRUCTIONS, *history])
    warm = {layout.entry(len(layout.positions) - 1): Entry(8_900)}
    following = [user("long", 6_000), answer("answer", 300), user("next", 200, mark="5m")]
    assert start("a", *following) is not None
    assert start("a", *following, alive=warm.get) is None


def test_a_cache_that_rarely_keeps_its_promise_is_not_waited_for():
    assert start("a", user("question", 600), probability=0.5)
    assert start("a", user("question", 600), probability=0.1) is None
    assert start("a", user("question", 600), probability=0.0) is None


def test_a_little_shared_of_much_is_not_waited_for(gate):
    """A document each, and instructions that are a twentieth of it."""
    for name in "ab":
        one = start(name, user(f"document {name}", 50_000, mark="5m"))
        assert Caller(gate, one).goes()
    assert gate.tally.first == 2


def test_an_answer_that_takes_longer_than_one_may_wait_is_not_waited_for():
    now = [0.0]
    gate = ColdStarts(lambda: now[0])
    gate.hold(cold("a", pace="slow"), 5)
    now[0] = 8.0
    gate.began("a")
    gate.ended("a")
    now[0] = 100.0  # the entry of before is settled, and no longer the gate's to tell of
    gate.hold(cold("b", pace="slow"), 5)
    other = Caller(gate, cold("c", pace="slow"), 5)
    assert other.goes()
    assert other.held == Held()


# ---- What goes wrong --------------------------------------------------------------------------------------------------


def test_when_the_first_fails_one_of_the_others_goes_first(gate):
    Caller(gate, cold("a")).goes()
    others = {name: Caller(gate, cold(name)) for name in "bcd"}
    waiting(gate, 3)
    gate.ended("a", failed=True)
    until(lambda: sum(not other.waits for other in others.values()) == 1)
    waiting(gate, 2)
    leader = next(name for name, other in others.items() if not other.waits)
    assert others[leader].held.reads == 0
    gate.began(leader)
    assert all(other.goes() for other in others.values())
    assert (gate.tally.waited, gate.tally.vain) == (2, 1)


def test_after_three_failures_everybody_goes(gate):
    Caller(gate, cold("0")).goes()
    others = {str(name): Caller(gate, cold(str(name))) for name in range(1, 8)}
    for left in (7, 6, 5):
        waiting(gate, left)
        gate.ended(next(iter(gate._flights)), failed=True)
    assert all(other.goes() for other in others.values())
    assert gate.tally.vain == 7


def test_nobody_waits_longer_than_he_may(gate):
    Caller(gate, cold("a")).goes()
    other = Caller(gate, cold("b"), 0.05)
    assert other.goes()
    assert other.held.reads == 0
    assert other.held.waited > 0
    assert gate._waiting == 0


def test_a_call_and_its_retries_wait_no_longer_together_than_one_may(gate):
    Caller(gate, cold("a")).goes()
    assert Caller(gate, cold("b", operation="call"), 0.05).goes()
    again = Caller(gate, cold("b again", operation="call"), 0.05)
    assert again.goes()
    assert again.held.waited == 0
    assert (gate.tally.first, gate.tally.vain) == (2, 1)


def test_a_bound_of_nothing_waits_for_nobody(gate):
    Caller(gate, cold("a"), 0).goes()
    assert Caller(gate, cold("b"), 0).goes()
    assert gate.tally.first == 2


def test_a_request_older_than_the_bound_is_replaced():
    now = [0.0]
    gate = ColdStarts(lambda: now[0])
    gate.hold(cold("a"), 5)
    now[0] = 6.0
    assert Caller(gate, cold("b"), 5).goes(), "nobody knows whether the first one will ever answer"
    other = Caller(gate, cold("c"), 5)
    waiting(gate, 1)
    gate.began("b")
    assert other.goes()


def test_a_thread_does_not_wait_for_itself(gate):
    assert gate.hold(cold("a"), LONG) == Held()
    assert gate.hold(cold("b"), LONG) == Held()
    assert gate.tally.first == 2


def test_a_retry_takes_the_place_of_what_it_retries(gate):
    gate.hold(cold("a"), LONG)
    gate.hold(cold("a again"), LONG)  # by the same thread
    other = Caller(gate, cold("b"))
    waiting(gate, 1)
    gate.ended("a", failed=True)
    gate.began("a again")
    assert other.goes()
    assert other.held.reads == 2_600


def test_a_clock_that_goes_backwards_holds_nobody():
    now = [100.0]
    gate = ColdStarts(lambda: now[0])
    gate.hold(cold("a"), 5)
    now[0] = 0.0
    assert Caller(gate, cold("b"), 5).goes()


def test_only_so_many_wait(gate):
    few = ColdStarts(time.monotonic, most_waiting=2)
    Caller(few, cold("a")).goes()
    others = [Caller(few, cold(str(name))) for name in range(5)]
    waiting(few, 2)
    until(lambda: sum(not other.waits for other in others) == 3)
    few.began("a")
    assert all(other.goes() for other in others)


def test_what_is_said_twice_or_of_strangers_changes_nothing(gate):
    gate.began("nobody")
    gate.ended("nobody", failed=True)
    gate.hold(cold("a"), LONG)
    gate.hold(cold("a"), LONG)
    gate.began("a")
    gate.began("a")
    gate.ended("a")
    gate.ended("a")
    assert not gate._flights
    assert not gate._writers


def test_what_was_written_is_told_until_it_is_settled():
    now = [0.0]
    gate = ColdStarts(lambda: now[0])
    one = cold("a")
    (name,) = one.writes
    gate.hold(one, 5)
    assert gate.readable(nothing)(name) is None
    gate.began("a")
    assert gate.readable(nothing)(name).tokens == 2_600
    now[0] = 200.0
    assert gate.readable(nothing)(name)
    now[0] = 301.0
    assert gate.readable(nothing)(name) is None, "five minutes are over"
    gate.hold(cold("b"), 5)
    gate.began("b")
    gate.ended("b")
    assert gate.readable(nothing)(name), "who was just woken finds it"
    now[0] = 303.0
    assert gate.readable(nothing)(name) is None


def test_its_memories_are_bounded(gate, monkeypatch):
    monkeypatch.setattr("ctxkit.caching.coldstarts._MOST_UNDER_WAY", 10)
    monkeypatch.setattr("ctxkit.caching.coldstarts._MOST_OPENED", 20)
    monkeypatch.setattr("ctxkit.caching.coldstarts._MOST_PACES", 5)
    for number in range(100):
        own = [system(f"{number}", 2_000, mark="5m"), user("question", 50, mark="5m")]
        one = start_of(CLAUDE.rule, CLAUDE.layout(own), nothing, attempt=str(number), pace=number)
        gate.hold(one, LONG)
        if number % 2:
            gate.began(str(number))
    assert len(gate._flights) == 10
    assert len(gate._opened) <= 20
    assert len(gate._paces) <= 5
    assert len(gate._writers) <= 20


def test_what_was_written_is_forgotten_once_nobody_is_told_of_it():
    now = [0.0]
    gate = ColdStarts(lambda: now[0])
    for number in range(50):
        own = [system(f"{number}", 2_000, mark="5m"), user("question", 50, mark="5m")]
        one = start_of(CLAUDE.rule, CLAUDE.layout(own), nothing, attempt=str(number))
        assert one is not None
        gate.hold(one, LONG)
        gate.began(str(number))
        gate.ended(str(number))
        now[0] += 5.0
    assert len(gate._opened) <= 4, "of the last one"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_knows_of_no_request_under_way(gate):
    Caller(gate, cold("a")).goes()
    other = Caller(gate, cold("b"))
    waiting(gate, 1)
    with gate._lock:
        child = os.fork()
        if not child:
            signal.alarm(20)
            found = threading.Thread(target=gate.hold, args=(cold("c"), LONG))
            found.start()
            found.join(10)
            os._exit(found.is_alive() or gate._waiting)
    assert os.waitpid(child, 0)[1] == 0
    gate.began("a")
    assert other.goes()


# ---- Event loops ------------------------------------------------------------------------------------------------------


async def settled():
    """Let every task that can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_tasks_wait_as_threads_do(gate):
    assert await gate.ahold(cold("a"), LONG) == Held()
    others = [asyncio.create_task(gate.ahold(cold(name), LONG)) for name in "bcd"]
    await settled()
    assert gate._waiting == 3
    gate.began("a")
    assert {held.reads for held in await asyncio.gather(*others)} == {2_600}


async def test_a_task_does_not_wait_for_itself(gate):
    await gate.ahold(cold("a"), LONG)
    await gate.ahold(cold("b"), LONG)
    assert gate.tally.first == 2


async def test_a_call_that_blocks_the_loop_does_not_wait_for_a_task_of_it(gate):
    await asyncio.create_task(gate.ahold(cold("a"), LONG))
    assert gate.hold(cold("b"), LONG) == Held()


async def test_tasks_and_threads_wait_for_one_another(gate):
    first = Caller(gate, cold("a"))
    assert first.goes()
    task = asyncio.create_task(gate.ahold(cold("b"), LONG))
    await settled()
    assert gate._waiting == 1
    await asyncio.to_thread(gate.began, "a")
    assert (await task).reads == 2_600


async def test_one_that_is_cancelled_while_it_waits_leaves_nothing_behind(gate):
    await gate.ahold(cold("a"), LONG)
    task = asyncio.create_task(gate.ahold(cold("b"), LONG))
    await settled()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gate._waiting == 0
    assert list(gate._flights) == ["a"]
    assert not gate._flights["a"].wakers


async def test_a_task_waits_no_longer_than_it_may(gate):
    await gate.ahold(cold("a"), LONG)
    held = await asyncio.create_task(gate.ahold(cold("b"), 0.02))
    assert held.reads == 0
    assert gate.tally.vain == 1


def test_a_loop_that_has_ended_wakes_nobody(gate):
    Caller(gate, cold("a")).goes()
    loop = asyncio.new_event_loop()
    task = loop.create_task(gate.ahold(cold("b"), LONG))
    loop.run_until_complete(settled())
    loop.close()
    gate.began("a")
    task._log_destroy_pending = False
    assert not gate._flights["a"].wakers


def test_without_an_event_loop_of_asyncio_nobody_waits(gate):
    Caller(gate, cold("a")).goes()
    other = gate.ahold(cold("b"), LONG)
    with pytest.raises(StopIteration) as end:
        other.send(None)
    assert end.value.value == Held()


# ---- No wake-up is lost -----------------------------------------------------------------------------------------------

fates = st.sampled_from(["begins", "fails", "ends", "cancelled", "begins and ends"])


@given(st.lists(fates, min_size=1, max_size=25), st.integers(2, 12))
def test_whatever_becomes_of_those_before_everybody_gets_through(ends, number):
    async def run():
        gate = ColdStarts(time.monotonic)
        tasks = {str(name): asyncio.create_task(gate.ahold(cold(str(name)), LONG)) for name in range(number)}
        script = iter(ends)
        await settled()
        while gate._flights:
            assert sum(not flight.closed for flight in gate._flights.values()) >= (gate._waiting > 0)
            name = next(iter(gate._flights))
            fate = next(script, "begins and ends")
            if fate == "cancelled":
                held_up = [task for task in tasks.values() if not task.done()]
                if held_up:
                    held_up[0].cancel()
            if fate.startswith("begins"):
                gate.began(name)
            if fate != "begins":
                gate.ended(name, failed=fate in ("fails", "cancelled"))
            else:
                gate.ended(name)
            await settled()
        results = await asyncio.gather(*tasks.values(), return_exceptions=True)
        assert gate._waiting == 0
        assert not gate._writers
        assert all(isinstance(result, Held | asyncio.CancelledError) for result in results)

    asyncio.run(run())


@settings(max_examples=15)
@given(st.integers(2, 16), st.lists(st.booleans(), min_size=16, max_size=16))
def test_threads_that_race_all_get_through_and_none_waits_in_vain_for_one_that_began(number, failing):
    """A lost wake-up would take half a minute."""
    gate = ColdStarts(time.monotonic)

    def serve(name: int) -> None:
        gate.hold(cold(str(name)), LONG)
        if failing[name]:
            gate.ended(str(name), failed=True)
        else:
            gate.began(str(name))
            gate.ended(str(name))

    threads = [threading.Thread(target=serve, args=(name,), daemon=True) for name in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG / 2)
        assert not thread.is_alive()
    assert gate._waiting == 0
    assert not gate._writers
    assert gate.tally.first + gate.tally.waited + gate.tally.vain == number


def test_a_whole_conversation_of_tools_shares_its_longest_marked_prefix(gate):
    turn = [user("go", 300), call("look", 200), user("seen", 400, mark="5m")]
    Caller(gate, start("a", *turn)).goes()
    other = Caller(gate, start("b", *turn))
    waiting(gate, 1)
    gate.began("a")
    assert other.goes()
    assert other.held.reads == 3_500

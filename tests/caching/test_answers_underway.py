"""The same request several times at once: threads and tasks, those that fail, are lost, are cancelled or take too long.

Nothing here asserts a time. A timer that stands still makes waiting endless, so that who hangs is seen to hang.
"""

import asyncio
import gc
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ctxkit.caching.answers.underway import Turn, UnderWay
from ctxkit.reuse import Reused

NAME, OTHER = b"a" * 32, b"b" * 32
LONG = 1_000.0


class Timer:
    """Monotonic seconds that somebody turns on."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def answer(body=b"hello"):
    return Reused(200, {}, (body,), 0.0)


class Shelf:
    """What stands in memory."""

    def __init__(self):
        self.answer = None

    def __call__(self):
        return self.answer


@pytest.fixture
def timer():
    return Timer()


@pytest.fixture
def flights(timer):
    return UnderWay(timer)


@pytest.fixture
def shelf():
    return Shelf()


def start(work):
    """A thread that does ``work``; join it by ``.result()``."""
    pool = ThreadPoolExecutor(1)
    found = pool.submit(work)
    pool.shutdown(wait=False)
    return found


def waiting(flights, name=NAME, count=1):
    """Until so many wait for the request."""
    while len(flights._flights[name].wakers) < count:
        os.sched_yield()


def test_the_first_one_goes_and_the_others_get_its_answer(flights, shelf):
    first = flights.take(NAME, LONG, shelf)
    assert first.token is not None
    others = [start(lambda: flights.take(NAME, LONG, shelf)) for _ in range(5)]
    waiting(flights, count=5)
    given = answer()
    flights.over(first.token, given)
    assert [other.result().answer for other in others] == [given] * 5
    assert not flights._flights


def test_another_request_waits_for_nobody(flights, shelf):
    first = flights.take(NAME, LONG, shelf)
    assert start(lambda: flights.take(OTHER, LONG, shelf)).result().token is not None
    assert first.token is not None


def test_if_the_first_one_fails_the_next_one_goes_and_nobody_hangs(flights, shelf):
    turn = flights.take(NAME, LONG, shelf)
    others = [start(lambda: flights.take(NAME, LONG, shelf)) for _ in range(4)]
    waiting(flights, count=4)
    left = set(others)
    while left:
        flights.over(turn.token, None)
        done = None
        while done is None:
            done = next((other for other in left if other.done()), None)
        turn = done.result()
        assert turn.token is not None
        left.remove(done)
        if left:
            waiting(flights, count=len(left))
    flights.over(turn.token, None)
    assert not flights._flights


def test_if_the_answer_is_not_one_to_keep_all_of_them_go_at_once(flights, shelf):
    first = flights.take(NAME, LONG, shelf)
    others = [start(lambda: flights.take(NAME, LONG, shelf)) for _ in range(4)]
    waiting(flights, count=4)
    flights.over(first.token, None, vain=True)
    assert [other.result()[:2] for other in others] == [(None, None)] * 4
    assert flights.take(NAME, LONG, shelf).token is not None  # who comes later finds nobody under way


def test_a_request_that_nobody_holds_any_more_is_noticed(flights, shelf):
    turn = flights.take(NAME, LONG, shelf)
    other = start(lambda: flights.take(NAME, LONG, shelf))
    waiting(flights)
    del turn
    gc.collect()
    assert other.result().token is not None


def test_who_has_waited_long_enough_goes_too_and_the_others_wait_for_whichever_comes_first(flights, timer, shelf):
    first = flights.take(NAME, LONG, shelf)
    short = start(lambda: flights.take(NAME, 5.0, shelf))
    waiting(flights)
    timer.now = 6.0
    second = short.result()
    assert second.token is not None
    patient = start(lambda: flights.take(NAME, LONG, shelf))
    waiting(flights)
    shelf.answer = answer()  # the one that went first is over first
    flights.over(first.token, shelf.answer)
    assert patient.result().answer is shelf.answer
    flights.over(second.token, shelf.answer)
    assert not flights._flights


def test_nobody_waits_where_the_policy_says_zero(flights, timer, shelf):
    first = flights.take(NAME, 0.0, shelf)
    timer.now = 1.0
    second = start(lambda: flights.take(NAME, 0.0, shelf)).result()
    assert first.token is not None
    assert second.token is not None


def test_an_answer_that_came_meanwhile_is_found(flights, shelf):
    shelf.answer = answer()
    assert flights.take(NAME, LONG, shelf) == Turn(None, shelf.answer, 0.0)


def test_a_thread_does_not_wait_for_itself(flights, shelf):
    first = flights.take(NAME, LONG, shelf)
    again = flights.take(NAME, LONG, shelf)
    assert again == Turn(None, None, 0.0)  # goes by itself, and leads nobody
    flights.over(first.token, answer())
    assert not flights._flights


def test_saying_twice_that_it_is_over_changes_nothing(flights, shelf):
    first = flights.take(NAME, LONG, shelf)
    flights.over(first.token, None)
    second = flights.take(NAME, LONG, shelf)
    flights.over(first.token, None)
    assert flights._flights[NAME].holder() is second.token


def test_how_long_somebody_waited_is_told(flights, timer, shelf):
    first = flights.take(NAME, LONG, shelf)
    other = start(lambda: flights.take(NAME, LONG, shelf))
    waiting(flights)
    timer.now = 3.0
    flights.over(first.token, answer())
    assert other.result().waited == 3.0


# ---- Tasks -------------------------------------------------------------------------------------------------------------


def run(work):
    return asyncio.run(asyncio.wait_for(work, 60))


async def parked(flights, count):
    """As :func:`waiting`, while the loop goes on."""
    while len(flights._flights[NAME].wakers) < count:  # noqa: ASYNC110 - there is nothing that says so
        await asyncio.sleep(0)


def test_tasks_wait_for_a_task_while_the_loop_goes_on(flights, shelf):
    async def work():
        first = await flights.atake(NAME, LONG, shelf)
        others = [asyncio.create_task(flights.atake(NAME, LONG, shelf)) for _ in range(5)]
        await parked(flights, 5)
        given = answer()
        flights.over(first.token, given)
        assert [turn.answer for turn in await asyncio.gather(*others)] == [given] * 5

    run(work())


def test_a_task_that_is_cancelled_while_it_waits_disturbs_nobody(flights, shelf):
    async def work():
        first = await flights.atake(NAME, LONG, shelf)
        others = [asyncio.create_task(flights.atake(NAME, LONG, shelf)) for _ in range(3)]
        await parked(flights, 3)
        others[1].cancel()
        await asyncio.gather(others[1], return_exceptions=True)
        assert len(flights._flights[NAME].wakers) == 2
        flights.over(first.token, answer())
        turns = await asyncio.gather(others[0], others[2])
        assert all(turn.answer is not None for turn in turns)

    run(work())


def test_a_task_that_leads_and_is_cancelled_lets_the_next_one_go(flights, shelf):
    async def lead(held):
        turn = await flights.atake(NAME, LONG, shelf)
        held.set()
        try:
            await asyncio.Event().wait()
        finally:
            flights.over(turn.token, None)

    async def work():
        held = asyncio.Event()
        leading = asyncio.create_task(lead(held))
        await held.wait()
        other = asyncio.create_task(flights.atake(NAME, LONG, shelf))
        await parked(flights, 1)
        leading.cancel()
        assert (await other).token is not None

    run(work())


def test_a_task_does_not_wait_for_itself_nor_a_thread_for_its_own_loop(flights, shelf):
    async def work():
        first = await flights.atake(NAME, LONG, shelf)
        assert await flights.atake(NAME, LONG, shelf) == Turn()
        assert flights.take(NAME, LONG, shelf) == Turn()  # the sync client inside of async code
        flights.over(first.token, None)
        sync = flights.take(NAME, LONG, shelf)
        assert sync.token is not None
        assert await flights.atake(NAME, LONG, shelf) == Turn()  # the same task: it would wait for itself

    run(work())


@pytest.mark.parametrize("leader", ["thread", "task"])
def test_threads_and_tasks_wait_for_one_another(flights, shelf, leader):
    async def work():
        loop = asyncio.get_running_loop()
        if leader == "task":
            first = await flights.atake(NAME, LONG, shelf)
        else:
            first = await loop.run_in_executor(None, flights.take, NAME, LONG, shelf)
        threads = [start(lambda: flights.take(NAME, LONG, shelf)) for _ in range(3)]
        tasks = [asyncio.create_task(flights.atake(NAME, LONG, shelf)) for _ in range(3)]
        await parked(flights, 6)
        given = answer()
        await loop.run_in_executor(None, flights.over, first.token, given)
        turns = [*await asyncio.gather(*tasks), *(thread.result() for thread in threads)]
        assert [turn.answer for turn in turns] == [given] * 6

    run(work())


def test_a_task_whose_time_is_up_goes(flights, timer, shelf):
    async def work():
        first = await flights.atake(NAME, LONG, shelf)
        other = asyncio.create_task(flights.atake(NAME, 5.0, shelf))
        await parked(flights, 1)
        timer.now = 6.0
        assert (await other).token is not None
        assert first.token is not None

    run(work())


def test_a_loop_that_is_closed_while_one_of_its_tasks_waits_is_no_trouble(flights, shelf):
    first = flights.take(NAME, LONG, shelf)

    async def work():
        task = asyncio.create_task(flights.atake(OTHER, LONG, shelf))
        await task
        asyncio.create_task(flights.atake(NAME, LONG, shelf))  # noqa: RUF006
        await asyncio.sleep(0)

    start(lambda: asyncio.run(work())).result()
    flights.over(first.token, answer())
    assert NAME not in flights._flights


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_child_knows_of_no_request_under_way(flights, shelf):
    first = flights.take(NAME, LONG, shelf)
    release = threading.Event()
    holding = threading.Event()

    def hold():
        with flights._lock:
            holding.set()
            release.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait()
    child = os.fork()
    if child == 0:
        good = flights.take(NAME, LONG, shelf).token is not None
        os._exit(0 if good else 1)
    release.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert flights._flights[NAME].holder() is first.token


def test_many_at_once_and_nobody_hangs(flights):
    """Threads and tasks, some of which fail, until all have an answer."""
    shelf, went = Shelf(), []

    def one(number):
        turn = flights.take(NAME, LONG, shelf)
        if turn.answer is not None:
            return turn.answer
        went.append(number)
        given = answer() if len(went) >= 4 else None
        if given is not None:
            shelf.answer = given
        if turn.token is not None:
            flights.over(turn.token, given)
        return given

    async def many():
        async def task(number):
            turn = await flights.atake(NAME, LONG, shelf)
            if turn.answer is not None:
                return turn.answer
            went.append(number)
            await asyncio.sleep(0)
            if turn.token is not None:
                flights.over(turn.token, None)
            return None

        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(8) as pool:
            threads = [loop.run_in_executor(pool, one, number) for number in range(40)]
            return await asyncio.gather(*threads, *(task(number) for number in range(20)))

    found = run(many())
    assert len(found) == 60
    assert sum(one is not None for one in found) >= 20
    assert not flights._flights

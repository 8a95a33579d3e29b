"""Features: four kinds of functions, nesting, tasks, threads and pools."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ctxkit.errors import ConfigurationError
from ctxkit.labels import current, feature


def path():
    inside = current()
    return inside.path if inside else None


def test_function_and_nesting_make_a_path():
    @feature("chat", team="a", tier="x")
    def outer():
        with feature("summary", team="b"):
            return current()

    inside = outer()
    assert inside.path == "chat/summary"
    assert inside.labels == {"team": "b", "tier": "x"}
    assert path() is None


def test_labels_become_text():
    with feature("x", user=7):
        assert current().labels == {"user": "7"}


def test_coroutine_keeps_its_label_over_awaits():
    @feature("async")
    async def work():
        await asyncio.sleep(0)
        return path()

    async def both():
        return await asyncio.gather(work(), other())

    @feature("other")
    async def other():
        await asyncio.sleep(0)
        return path()

    assert asyncio.run(both()) == ["async", "other"]


def test_generator_is_labelled_inside_and_not_outside():
    seen = []

    @feature("gen")
    def steps():
        try:
            seen.append(path())
            got = yield 1
            seen.append((got, path()))
            yield 2
        finally:
            seen.append(("closed", path()))

    running = steps()
    assert next(running) == 1
    assert path() is None
    assert running.send("hello") == 2
    running.close()
    assert seen == ["gen", ("hello", "gen"), ("closed", "gen")]


def test_generator_returns_its_value_and_takes_exceptions():
    @feature("gen")
    def steps():
        try:
            yield 1
        except KeyError:
            yield path()
        return "end"

    running = steps()
    next(running)
    assert running.throw(KeyError("x")) == "gen"
    with pytest.raises(StopIteration) as stop:
        next(running)
    assert stop.value.value == "end"


async def test_async_generator_is_labelled_inside_and_not_outside():
    seen = []

    @feature("agen")
    async def steps():
        try:
            got = yield path()
            seen.append((got, path()))
            try:
                yield 2
            except KeyError:
                yield "caught"
        finally:
            seen.append(("closed", path()))

    running = steps()
    assert await anext(running) == "agen"
    assert path() is None
    assert await running.asend("hello") == 2
    assert await running.athrow(KeyError("x")) == "caught"
    await running.aclose()
    assert seen == [("hello", "agen"), ("closed", "agen")]


def test_the_same_object_nests_in_itself_and_serves_threads_at_once():
    label = feature("same")
    with label, label:
        assert path() == "same/same"
    assert path() is None
    barrier = threading.Barrier(4)
    seen = []

    def work():
        with label:
            barrier.wait(5)
            seen.append(path())
        seen.append(path())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen.count("same") == 4
    assert seen.count(None) == 4


def test_threads_inherit_the_feature_that_starts_them():
    seen = []
    with feature("starter"):
        thread = threading.Thread(target=lambda: seen.append(path()))
        thread.start()
    thread.join()
    assert seen == ["starter"]


def test_thread_subclasses_keep_their_run():
    class Worker(threading.Thread):
        seen = None

        def run(self):
            self.seen = path()

    with feature("sub"):
        worker = Worker()
        worker.start()
    worker.join()
    assert worker.seen == "sub"
    assert "run" not in worker.__dict__


def test_pools_take_the_feature_of_the_submitter_not_of_the_first_one():
    with ThreadPoolExecutor(1) as pool:
        with feature("one"):
            one = pool.submit(path)
        with feature("two"):
            two = list(pool.map(lambda _: path(), range(2)))
        none = pool.submit(path)
    # the worker was started inside "one", but a task that nobody labelled belongs to nobody
    assert one.result() == "one"
    assert two == ["two", "two"]
    assert none.result() is None


async def test_run_in_executor_and_to_thread():
    with feature("loop"):
        assert await asyncio.to_thread(path) == "loop"
        assert await asyncio.get_running_loop().run_in_executor(None, path) == "loop"


@pytest.mark.parametrize("name", ["", "  ", "/", "x" * 201, None, 3])
def test_bad_names_are_refused_with_an_example(name):
    with pytest.raises(ConfigurationError, match=r"feature\('search'\)"):
        feature(name)


def test_wrapped_functions_keep_their_name_and_exceptions():
    @feature("x")
    def named():
        """Doc."""
        raise KeyError("k")

    assert named.__name__ == "named"
    assert named.__doc__ == "Doc."
    with pytest.raises(KeyError):
        named()
    assert path() is None

"""How long threads of a feature live: against figures worked out by hand, and against Kaplan and Meier's formula."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.caching.survival import IDLE, Lived, Survival
from ctxkit.stores.memory import MemoryStore


def lived(*lengths: int, feature: str = "a") -> Survival:
    """A curve of threads that ended after so many requests."""
    survival = Survival(MemoryStore())
    survival.recall((feature, Lived(1, length)) for length in lengths)
    return survival


@pytest.mark.parametrize("age", [1, 2, 3, 7, 30, 300])
def test_with_nothing_seen_a_third_as_many_again_are_left(age: int) -> None:
    assert Survival(MemoryStore()).remaining("a", age) == pytest.approx(age / 3)


def test_the_median_of_what_is_assumed_is_as_many_again() -> None:
    assert Survival(MemoryStore()).remaining("a", 6, 0.5) == pytest.approx(6)


def test_threads_of_one_length_pull_what_is_left_to_that_length() -> None:
    survival = lived(*[10] * 1_000)
    assert survival.closed("a") == 1_000
    assert survival.remaining("a", 1) == pytest.approx(9, abs=0.3)
    assert survival.remaining("a", 9) == pytest.approx(1, abs=0.3)
    assert survival.remaining("a", 10) < 0.1  # all ended here
    assert survival.remaining("a", 12) == pytest.approx(4)  # nobody came as far
    assert survival.remaining("b", 12) == pytest.approx(4)  # another feature


def test_a_few_threads_weigh_against_ten_assumed_ones() -> None:
    # At request 1: 10 threads seen, none ended, and 10 assumed, half of which end: a quarter ends. So the lower quartile
    # of what is left is exactly one request.
    assert lived(*[5] * 10).remaining("a", 1) == pytest.approx(1)
    # 30 threads seen: an eighth ends at request 1 (5 of 40). At request 2 there are 5 assumed ones, of which a third
    # ends: (5 / 3) / 35. One in 4/3 is left between 2 and 3 requests later: 8/7, x 21/20 = 1.2, then 30 + 10/3 assumed
    # ones of which a quarter ends: 1.2 x 40/39.
    expected = 1.2 / (1 - (10 / 3 / 4) / (30 + 10 / 3))
    assert expected < 4 / 3
    assert lived(*[5] * 30).remaining("a", 1) > 3


def test_threads_under_way_count_as_far_as_they_came() -> None:
    survival = Survival(MemoryStore())
    for number in range(1, 21):
        for thread in range(40):
            survival.continued("a", f"t{thread}", number, float(number))
    assert survival.closed("a") == 0
    assert survival.remaining("a", 1) > 10  # an ended thread would not leave so much
    assert survival.remaining("a", 20) == pytest.approx(20 / 3)  # whether these go on is not known yet


def test_a_thread_ends_when_it_was_idle_for_long() -> None:
    survival = Survival(MemoryStore())
    for number in (1, 2, 3):
        survival.continued("a", "one", number, 100.0)
    survival.continued("a", "two", 1, 100.0 + IDLE - 1)
    assert survival.closed("a") == 0
    survival.continued("a", "two", 2, 100.0 + IDLE)
    assert survival.closed("a") == 1
    survival.continued("a", "one", 4, 200.0 + IDLE)  # it goes on after all, as one first met at its fourth request
    assert survival.closed("a") == 1
    survival.continued("a", "one", 5, 300.0 + IDLE)
    lives = json.loads(survival.dump())["a"]["lived"]
    assert lives == [[1, 3, 1], [1, 2, 0], [4, 5, 0]]


def test_a_shortened_history_tells_of_no_new_requests() -> None:
    survival = Survival(MemoryStore())
    for requests in (1, 2, 9, 3, 4, 10):
        survival.continued("a", "one", requests, 0.0)
    assert json.loads(survival.dump())["a"]["lived"] == [[1, 10, 0]]


def test_what_was_learned_outlives_the_process_without_ids() -> None:
    store = MemoryStore()
    survival = Survival(store)
    for thread in range(60):
        for number in range(1, 8):
            survival.continued("a", f"secret-{thread}", number, thread * 10 * IDLE)
    survival.save()
    again = Survival(store)
    assert again.closed("a") == 59
    assert again.remaining("a", 3) == pytest.approx(survival.remaining("a", 3))
    assert b"secret" not in survival.dump()


@pytest.mark.parametrize("stored", [b"", b"{", b"[]", b'{"a": 3}', b'{"a": {"closed": 1, "lived": [[1]]}}'])
def test_what_cannot_be_read_is_forgotten(stored: bytes) -> None:
    store = MemoryStore()
    store.put(b"survival", stored)
    assert Survival(store).remaining("a", 3) == pytest.approx(1)


def test_what_is_written_down_is_taken_only_where_nothing_was_seen() -> None:
    survival = lived(4, 4)
    survival.recall([("a", Lived(1, 90)), ("b", Lived(1, 8)), ("b", Lived(1, 9))])
    assert (survival.closed("a"), survival.closed("b")) == (2, 2)


def test_memory_is_bounded() -> None:
    survival = Survival(MemoryStore())
    for number in range(3_000):
        survival.continued("a", f"t{number}", 1, 0.0)
        survival.continued(f"f{number}", "t", 10**9, 0.0)
        survival.continued("a", f"u{number}", 0, 0.0)
    figures = json.loads(survival.dump())
    assert len(figures) <= 200
    assert len(figures["a"]["lived"]) <= 500
    assert figures["a"]["closed"] == 5_500  # the longest idle ended: there are 500 others under way


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 12), st.booleans()), min_size=1, max_size=40))
def test_counts_stay_those_of_the_window(threads: list[tuple[int, int, bool]]) -> None:
    """However threads come in: at each length count those that are known to have gone on from there, or to have ended."""
    survival = Survival(MemoryStore())
    for number, (first, more, ends) in enumerate(threads):
        for requests in range(first, first + more + 1):
            survival.continued("a", str(number), requests, 0.0 if ends else IDLE)
    survival.continued("a", "last", 1, IDLE)
    held = survival._features.held("a")
    lives = json.loads(survival.dump())["a"]["lived"]
    for length in range(1, 26):
        assert held.risk[length] == sum(first <= length < last + ended for first, last, ended in lives)
        assert held.died[length] == sum(last == length and ended for _, last, ended in lives)


@given(
    st.lists(st.integers(1, 30), max_size=60),
    st.integers(1, 40),
    st.floats(0.05, 0.9),
)
def test_more_may_be_missed_the_more_is_left(lengths: list[int], age: int, quantile: float) -> None:
    survival = lived(*lengths)
    left = survival.remaining("a", age, quantile)
    assert 0 <= left <= 1_000
    assert left <= survival.remaining("a", age, min(quantile + 0.05, 0.95)) + 1e-9
    assert left == survival.remaining("a", age, quantile)  # asking changes nothing


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_waits_for_no_thread_of_its_parent() -> None:
    survival = lived(4)
    with survival._lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if survival.remaining("a", 3) > 0 else 1)
    assert os.waitpid(child, 0)[1] == 0

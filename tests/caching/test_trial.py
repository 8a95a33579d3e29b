"""Judging features by their closed threads: states and sums by hand, intervals against numpy's own figures."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.caching.survival import IDLE
from ctxkit.caching.trial import ADVANCE, Account, Settled, Trials
from ctxkit.stores.memory import MemoryStore


def digest(value: Any) -> bytes:
    return hashlib.sha256(repr(value).encode()).digest()


def trials(holdout: float = 0.0, store: MemoryStore | None = None) -> Trials:
    return Trials(digest, store or MemoryStore(), holdout)


class Feature:
    """Threads of one feature, one after another, each over before the next one begins."""

    def __init__(self, trials: Trials) -> None:
        self.trials, self.now, self.number = trials, 0.0, 0

    def thread(self, saved: int, cost: int = 1_000, *, rewrites: int = 0, shadow: bool = False) -> None:
        self.number += 1
        self.now += 2 * IDLE
        name, settled = f"t{self.number}", Settled(cost, saved, rewrites)
        if shadow:
            self.trials.shadowed("a", name, settled, self.now)
        else:
            self.trials.noted("a", name, self.trials.allowed("a", name), settled, self.now)

    @property
    def state(self) -> str:
        return self.trials.allowed("a", "t")


def test_a_feature_that_nobody_knows_is_tidied() -> None:
    assert trials().allowed("a", "t") == "edit"
    assert trials().account("a") == Account()


def test_nineteen_losses_judge_nothing_and_twenty_do() -> None:
    feature = Feature(trials())
    for _ in range(20):
        feature.thread(-1)
    assert feature.trials.account("a").closed == 19  # the last one is not over
    assert feature.state == "edit"
    feature.thread(-1)
    assert feature.state == "resting"
    assert feature.trials.allowed("b", "t") == "edit"


def test_the_sum_decides_and_not_the_number_of_threads_that_lost() -> None:
    feature = Feature(trials())
    feature.thread(100)
    for _ in range(60):
        feature.thread(-1)
    assert feature.state == "edit"
    account = feature.trials.account("a")
    assert (account.closed, account.judged, account.saved, account.under_way) == (60, 60, 41, -1)


def test_a_feature_that_rests_comes_back_only_when_it_would_win_clearly() -> None:
    feature = Feature(trials())
    for _ in range(21):
        feature.thread(-1)
    for _ in range(25):
        feature.thread(5, 995, shadow=True)  # half a per cent: not clearly
    assert feature.state == "resting"
    for _ in range(25):
        feature.thread(50, 950, shadow=True)
    assert feature.state == "edit"
    for _ in range(19):
        feature.thread(-1)
    assert feature.state == "edit"  # judged anew: what it lost before does not count
    for _ in range(2):
        feature.thread(-1)
    assert feature.state == "resting"


def test_requests_of_a_thread_are_judged_together() -> None:
    some = trials()
    some.noted("a", "t", "edit", Settled(10, -5, predicted=30), 0.0)
    some.noted("a", "t", "edit", Settled(10, 20), 5.0)
    assert some.account("a").under_way == 15
    some.noted("a", "u", "edit", Settled(), IDLE + 5.0)
    account = some.account("a")
    assert (account.closed, account.saved, account.predicted, account.cost) == (1, 15, 30, 20)


def test_rewrites_may_lose_half_a_dollar_at_first_and_half_a_per_cent_later() -> None:
    some = trials()
    assert some.may_spend("a", ADVANCE)
    assert not some.may_spend("a", ADVANCE + 1)
    some.noted("a", "t", "edit", Settled(cost=400 * ADVANCE), 0.0)
    assert some.may_spend("a", 2 * ADVANCE)
    assert not some.may_spend("a", 2 * ADVANCE + 1)
    some.noted("a", "t", "edit", Settled(rewrites=-ADVANCE), 0.0)
    assert some.may_spend("a", ADVANCE)
    assert not some.may_spend("a", ADVANCE + 1)
    some.noted("a", "t", "edit", Settled(rewrites=3 * ADVANCE), 0.0)  # it has earned something since
    assert some.may_spend("a", 4 * ADVANCE)


def test_rewrites_under_way_count_until_they_are_settled() -> None:
    some = trials()
    some.spends("a", "t", ADVANCE)
    assert not some.may_spend("a", 1)
    some.noted("a", "t", "edit", Settled(rewrites=-10), 0.0)
    assert some.may_spend("a", ADVANCE - 10)
    assert not some.may_spend("a", ADVANCE)


def test_a_share_of_the_threads_is_left_the_same_in_every_worker() -> None:
    here, there = trials(0.2), trials(0.2)
    verdicts = [here.allowed("a", f"t{number}") for number in range(5_000)]
    assert verdicts == [there.allowed("a", f"t{number}") for number in range(5_000)]
    assert 0.18 < verdicts.count("holdout") / 5_000 < 0.22
    assert {trials().allowed("a", f"t{number}") for number in range(100)} == {"edit"}


def test_savings_are_measured_as_a_difference_of_means() -> None:
    some, rng = trials(), random.Random(3)
    edited = [rng.randint(50, 150) for _ in range(40)]
    held = [rng.randint(100, 200) for _ in range(25)]
    for number, cost in enumerate(edited):
        some.noted("a", f"e{number}", "edit", Settled(cost, 1), 0.0)
    for number, cost in enumerate(held):
        some.noted("a", f"h{number}", "holdout", Settled(cost), 0.0)
    assert some.account("a").measured is None  # none is over
    some.noted("a", "last", "edit", Settled(), 2 * IDLE)
    measured = some.account("a").measured
    assert measured is not None
    numpy = pytest.importorskip("numpy")
    saved = numpy.mean(held) - numpy.mean(edited)
    error = numpy.sqrt(numpy.var(held, ddof=1) / 25 + numpy.var(edited, ddof=1) / 40)
    assert measured[:2] == (40, 25)
    assert measured[2:] == pytest.approx((saved, saved - 1.96 * error, saved + 1.96 * error))
    assert measured.low < 50 < measured.high


def test_what_was_judged_outlives_the_process_without_ids() -> None:
    store = MemoryStore()
    feature = Feature(trials(store=store))
    for _ in range(25):
        feature.thread(-1, rewrites=-7)
    feature.trials.save()
    again = trials(store=store)
    assert again.allowed("a", "x") == "resting"
    assert again.account("a").closed == feature.trials.account("a").closed
    assert b"t1" not in feature.trials.dump()
    assert not again.may_spend("a", ADVANCE - 174)


@pytest.mark.parametrize("stored", [b"", b"{", b"[1]", b'{"a": 3}', b'{"a": {"resting": 1}}'])
def test_what_cannot_be_read_is_forgotten(stored: bytes) -> None:
    store = MemoryStore()
    store.put(b"trials", stored)
    assert trials(store=store).account("a") == Account()


def test_memory_is_bounded() -> None:
    some = trials()
    for number in range(1_000):
        some.noted("a", f"t{number}", "edit", Settled(1, 1), 0.0)
        some.noted(f"f{number}", "t", "edit", Settled(1, 1), 0.0)
    assert len(some.accounts()) <= 200
    account = some.account("a")
    assert (account.closed, account.judged, account.under_way) == (500, 200, 500)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-50, 50), st.integers(0, 100)), max_size=60))
def test_sums_of_threads_are_those_of_their_requests(requests: list[tuple[int, int, int]]) -> None:
    some = trials()
    for thread, saved, cost in requests:
        some.noted("a", str(thread), "edit", Settled(cost, saved), 0.0)
    account = some.account("a")
    assert account.under_way == sum(saved for _, saved, _ in requests)
    some.noted("a", "last", "edit", Settled(), 2 * IDLE)
    account = some.account("a")
    assert (account.saved, account.cost) == (sum(one[1] for one in requests), sum(one[2] for one in requests))

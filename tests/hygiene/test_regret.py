"""Calls that come again after their result was removed, and those that come again anyway: counted by hand."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.editable import Piece, Rewrite
from ctxkit.hygiene.editing import Said
from ctxkit.hygiene.history import History
from ctxkit.hygiene.regret import OLD, SOON, Refetched, Regret
from ctxkit.stores.memory import MemoryStore

NOTHING = Said({}, {})


def history(calls: str) -> History:
    """One step of the model for each letter: a call that differs by its letter, and its result."""
    pieces = [Piece(0, 0, "text", "user", (), "go")]
    for step, letter in enumerate(calls):
        pair, at = str(step), 1 + 2 * step
        pieces.append(Piece(at, 0, "arguments", "assistant", (), f'{{"path": "{letter}"}}', pair=pair, name="read"))
        pieces.append(Piece(at + 1, 0, "result", "tool", (), "text " * 50, pair=pair))
    return History(pieces, 1 + 2 * len(calls))


def without(*steps: int, by: str = "spent", lossless: bool = False) -> Said:
    places = [(2 + 2 * step, 0) for step in steps]
    return Said({place: Rewrite(place, "[ctxkit]", by, "", lossless) for place in places}, {})


def counting(store: MemoryStore | None = None) -> Regret:
    return Regret(lambda value: hashlib.sha256(repr(value).encode()).digest(), store or MemoryStore())


def run(regret: Regret, calls: str, removed: dict[int, int], *, thread: str = "t") -> None:
    """A conversation; ``removed`` says which result is gone from which number of steps on."""
    for steps in range(len(calls) + 1):
        gone = [step for step, since in removed.items() if steps >= since]
        regret.sent("a", thread, history(calls[:steps]), without(*gone) if gone else NOTHING)


def test_nothing_seen_is_nothing_known() -> None:
    none = counting().refetched("a")
    assert none == Refetched()
    assert (none.rate, none.base, none.regret) == (None, None, None)


def test_a_removed_result_that_is_fetched_again_soon_is_missed() -> None:
    regret = counting()
    run(regret, "abcdea", {0: 4})
    assert regret.refetched("a")[:2] == (1, 1)


@pytest.mark.parametrize(("between", "missed"), [(0, 1), (SOON - 1, 1), (SOON, 0)])
def test_soon_is_a_number_of_steps(between: int, missed: int) -> None:
    regret = counting()
    run(regret, "a" + "bcdefghij"[: between + 1] + "a", {0: 2})
    assert regret.refetched("a")[:2] == (1, missed)


def test_another_call_misses_nothing() -> None:
    regret = counting()
    run(regret, "abcdef", {0: 3, 1: 3})
    assert regret.refetched("a")[:2] == (2, 0)


def test_what_is_called_again_although_it_stands_there_is_the_base_rate() -> None:
    regret = counting()
    calls = "abc" + "defghi"[: OLD - 2] + "a" + "uvwxyz"
    run(regret, calls, {})
    found = regret.refetched("a")
    old = len(calls) - OLD + 1  # results that became old before the last request
    assert found == Refetched(0, 0, old, 1)
    assert found.base == pytest.approx(1 / old)
    run(regret, "ab" + "cdefgh"[: OLD - 2], {}, thread="young")  # repeated or not: nothing of it is old
    assert regret.refetched("a").left == old + 1


def test_a_young_result_that_is_called_again_tells_nothing() -> None:
    regret = counting()
    run(regret, "aaab", {})
    assert regret.refetched("a") == Refetched()


def test_an_old_result_that_is_removed_was_not_left() -> None:
    regret = counting()
    run(regret, "abcdefgh", {0: OLD + 1})
    assert regret.refetched("a") == Refetched(1, 0, 2, 0)  # the second and the third one became old


def test_what_is_said_shorter_without_loss_is_not_removed() -> None:
    regret = counting()
    regret.sent("a", "t", history("a"), NOTHING)
    regret.sent("a", "t", history("ab"), without(0, lossless=True))
    regret.sent("a", "t", history("aba"), without(0, lossless=True))
    assert regret.refetched("a").removed == 0


def test_messages_that_are_dropped_take_their_results_along() -> None:
    regret = counting()
    regret.sent("a", "t", history(""), NOTHING)
    regret.sent("a", "t", history("ab"), Said({}, {1: "episodes", 2: "episodes"}))
    regret.sent("a", "t", history("aba"), Said({}, {1: "episodes", 2: "episodes"}))
    assert regret.refetched("a")[:2] == (1, 1)


def test_a_conversation_first_met_in_its_midst_is_not_counted_for_what_it_has() -> None:
    regret = counting()
    regret.sent("a", "t", history("abcdefgh"), without(0, 1))
    regret.sent("a", "t", history("abcdefgha"), without(0, 1))
    assert regret.refetched("a") == Refetched()
    regret.sent("a", "t", history("ab"), NOTHING)  # shortened: begun anew
    regret.sent("a", "t", history("abc"), NOTHING)
    assert regret.refetched("a") == Refetched()


def test_counts_outlive_the_process_and_hold_no_text() -> None:
    store = MemoryStore()
    regret = counting(store)
    run(regret, "abcdea", {0: 4})
    regret.save()
    assert counting(store).refetched("a") == regret.refetched("a")
    assert b"path" not in regret.dump()


@pytest.mark.parametrize(
    "stored", [b"", b"{", b"[1]", b'{"a": 3}', b'{"a": {"b": [1]}}', b'{"a": {"b": [1, Infinity]}}']
)
def test_what_cannot_be_read_is_forgotten(stored: bytes) -> None:
    store = MemoryStore()
    store.put(b"regret", stored)
    assert counting(store).refetched("a") == Refetched()


def test_memory_is_bounded() -> None:
    regret = counting()
    for number in range(1_500):
        regret.sent(f"f{number}", f"t{number}", history(""), NOTHING)
    regret.sent("a", "long", history(""), NOTHING)
    regret.sent("a", "long", history("".join(map(chr, range(1_000, 1_900)))), NOTHING)
    assert len(regret._threads) <= 1_000
    assert len(regret._counts) <= 500
    held = regret._threads["long"]
    assert len(held.by_place) == len(held.latest) == 300


@given(st.text("abc", max_size=25), st.dictionaries(st.integers(0, 24), st.integers(1, 24)))
def test_no_more_is_missed_than_was_removed(calls: str, removed: dict[int, int]) -> None:
    regret = counting()
    run(regret, calls, {step: max(since, step + 1) for step, since in removed.items() if step < len(calls)})
    found = regret.refetched("a")
    assert 0 <= found.missed <= found.removed <= len(removed)
    assert found.repeated >= 0
    assert 0 <= found.left <= len(calls)
    again = counting()
    run(again, calls, {step: max(since, step + 1) for step, since in removed.items() if step < len(calls)})
    assert again.dump() == regret.dump()

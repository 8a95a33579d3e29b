"""What must go so that a request fits goes in order of use, and no more than must."""

from hypothesis import given
from hypothesis import strategies as st

from ctxkit.editable import Candidate, Fold, Stub
from ctxkit.hygiene.fit import fit
from ctxkit.hygiene.guards import Guards
from ctxkit.hygiene.stubs import said
from tests.hygiene.threads import Thread, flights


def conversation(turns=6):
    thread = Thread().user("Hello.").says("Hello!")
    for number in range(turns):
        thread.user(f"Find me flights on day {number}. " + "Please. " * 20)
        thread.calls("search", flights(number), day=number).says(f"HAT{number:02}3 is best. " * 20)
    return thread.user("Thanks.")


def saved(history, action):
    rewrites, drops = said(history, action)
    old = [piece for piece in history.pieces if piece.message in drops] + [
        history.by_place[one.place] for one in rewrites
    ]
    return sum(len(piece.text) for piece in old) - sum(len(one.text) for one in rewrites)


def fitted(thread, over, **options):
    history = thread.history
    found = list(fit(history, lambda action: saved(history, action), over, **options))
    return found, history


def test_nothing_goes_when_nothing_must():
    assert fitted(conversation(), 0)[0] == []


def test_the_oldest_results_go_first_and_no_more_than_must():
    found, history = fitted(conversation(), 2000)
    assert [one.action for one in found] == [Stub((4, 0)), Stub((8, 0))]
    assert all("too long" in one.reason for one in found)
    assert sum(saved(history, one.action) for one in found) >= 2000


def test_what_others_propose_goes_before():
    stale = Candidate(Stub((16, 0)), "stale", "read again", 20, 0.1)
    found, _ = fitted(conversation(), 100, before=[stale])
    assert [one.action for one in found] == [stale.action]
    found, _ = fitted(conversation(), 5_000, before=[stale])
    assert [one.action for one in found].count(Stub((16, 0))) == 1


def test_turns_are_folded_when_results_are_not_enough_and_guards_hold():
    guards = Guards(keep_last=2)
    found, history = fitted(conversation(), 1_000_000, allowed=guards.allowed, free=guards.free)
    assert [one.action for one in found] == [Fold(2, 22)], "the question of a call that stays, stays"
    assert all(one.by == "fit" for one in found)
    assert guards.allowed(history, found) == found


@given(st.integers(1, 30_000), st.integers(1, 7))
def test_enough_goes_or_all_that_may(over, turns):
    guards = Guards(keep_last=1)
    found, history = fitted(conversation(turns), over, allowed=guards.allowed, free=guards.free)
    folds = [one.action for one in found if isinstance(one.action, Fold)]
    stubs = [one.action for one in found if isinstance(one.action, Stub)]
    outside = [stub for stub in stubs if not any(fold.start <= stub.place[0] < fold.end for fold in folds)]
    total = sum(saved(history, action) for action in [*folds, *outside])
    everything, _ = fitted(conversation(turns), 10**9, allowed=guards.allowed, free=guards.free)
    assert total >= over or found == everything
    without_last = found[:-1]
    if without_last and not folds:
        assert sum(saved(history, one.action) for one in without_last) < over

"""What must stay is never allowed to go, whatever a pass proposes."""

import re

from hypothesis import given
from hypothesis import strategies as st

from ctxkit.editable import Candidate, Fold, Stub
from ctxkit.hygiene.guards import Guards
from ctxkit.hygiene.pins import KEEP
from tests.hygiene.threads import Thread


def candidate(action):
    return Candidate(action, "any", "because", 0)


def allowed(thread, *actions, guards=None):
    found = (guards or Guards(keep_last=1)).allowed(thread.history, [candidate(action) for action in actions])
    return [one.action for one in found]


def agent():
    return (
        Thread()
        .user("Do it.")  # 0
        .calls("read", "first " * 99, path="a")  # 1, 2
        .calls("read", "second " * 99, path="b")  # 3, 4
        .says("Read both.")  # 5
        .user("And then?")  # 6
        .calls("run", "third " * 99, command="x")  # 7, 8
        .says("Done.")  # 9
        .user("Thanks.")  # 10
        .says("Sure.")  # 11
        .user("Bye.")  # 12
    )


def test_results_in_the_middle_may_go_and_the_ends_may_not():
    thread = agent()
    everything = [Stub(piece.place) for piece in thread.pieces]
    gone = [stub.place[0] for stub in allowed(thread, *everything)]
    assert gone == list(range(1, 11))
    gone = [stub.place[0] for stub in allowed(thread, *everything, guards=Guards(keep_last=3))]
    assert gone == list(range(1, 7))
    assert allowed(thread, *everything, guards=Guards(keep_last=99)) == []


def test_the_task_the_last_word_and_instructions_stay():
    thread = Thread().user("Be brief.", speaker="system", locked=True).user("Do it.").says("Yes.").user("More.")
    thread.says("No.").user("Still more.", speaker="system").says("Well.").user("Last.").says("Good.")
    assert allowed(thread, *(Stub((index, 0)) for index in range(9))) == [Stub((index, 0)) for index in (2, 3, 4, 6)]


def test_a_locked_piece_stays():
    thread = agent()
    thread.pieces[2] = thread.pieces[2]._replace(locked=True)
    assert allowed(thread, Stub((2, 0)), Stub((4, 0))) == [Stub((4, 0))]
    assert allowed(thread, Stub((99, 0))) == []


def test_a_stretch_may_go_whole():
    assert allowed(agent(), Fold(6, 10)) == [Fold(6, 10)]


def test_a_stretch_begins_and_ends_with_words():
    thread = agent()
    refused = [
        Fold(0, 6),
        Fold(5, 10),
        Fold(6, 9),
        Fold(7, 10),
        Fold(6, 6),
        Fold(10, 6),
        Fold(6, 13),
        Fold(1, 6),
    ]
    assert allowed(thread, *refused) == []


def test_a_stretch_with_a_result_and_a_question_in_its_first_message_stays():
    thread = agent()
    first = next(piece for piece in thread.pieces if piece.message == 6)
    extra = first._replace(number=1, kind="result", speaker="tool", pair="c2", text="late")
    thread.pieces.insert(thread.pieces.index(first) + 1, extra)
    assert allowed(thread, Fold(6, 10)) == []


def test_a_pair_is_never_torn():
    thread = Thread().user("Do it.").says("Yes.").user("One.").asks("slow", x=1).says("It runs.").user("Two.")
    thread.answers("slow", "result " * 9).says("There.").user("Three.").says("Good.").user("Bye.")
    assert allowed(thread, Fold(2, 5), Fold(5, 8), Fold(2, 8)) == [Fold(2, 8)]


def test_a_call_with_an_empty_result_is_whole():
    thread = (
        Thread().user("Do it.").says("Yes.").user("One.").asks("think", thought="hm").nothing().says("Right. " * 50)
    )
    thread.user("Two.").says("Good.").user("Bye.")
    assert allowed(thread, Fold(2, 6)) == []  # nobody can read what stands right before its last words
    thread = Thread().user("Do it.").says("Yes.").user("One.").asks("think", thought="hm").nothing().says("Right.")
    thread.user("Go on.").says("Right. " * 50).user("Two.").says("Good.").user("Bye.")
    assert allowed(thread, Fold(2, 8)) == [Fold(2, 8)]


def test_the_newest_error_stays_and_older_ones_may_go():
    thread = Thread().user("Do it.").calls("run", "e" * 900, failed=True).calls("run", "E" * 900, failed=True)
    thread.says("Hm.").user("Next.").calls("run", "fine").says("Good.").user("Bye.")
    assert allowed(thread, Stub((2, 0)), Stub((4, 0))) == [Stub((2, 0))]


def test_pins_by_marker_pattern_and_callable():
    stubs = [Stub((2, 0)), Stub((4, 0)), Stub((8, 0))]
    for pins in (["second"], [re.compile("sec.nd")], [lambda piece: piece.message == 4]):
        assert allowed(agent(), *stubs, guards=Guards(1, pins)) == [Stub((2, 0)), Stub((8, 0))]
    thread = agent()
    thread.pieces[2] = thread.pieces[2]._replace(text=f"{KEEP} {thread.pieces[2].text}")
    assert allowed(thread, *stubs) == [Stub((4, 0)), Stub((8, 0))]


def test_a_stretch_with_something_pinned_stays():
    assert allowed(agent(), Fold(6, 10), Stub((8, 0)), guards=Guards(1, ["third"])) == []


def test_order_is_kept_and_nothing_is_made_of_nothing():
    assert allowed(agent(), Stub((4, 0)), Fold(6, 10), Stub((2, 0))) == [Stub((4, 0)), Fold(6, 10), Stub((2, 0))]
    assert allowed(Thread(), Stub((0, 0)), Fold(0, 2)) == []
    assert allowed(Thread().user("Hi."), Stub((0, 0))) == []


@st.composite
def threads(draw):
    thread = Thread()
    moves = st.sampled_from(["user", "says", "calls", "failed", "asks", "nothing", "locked", "pinned", "system"])
    for move in draw(st.lists(moves, min_size=1, max_size=25)):
        if move == "calls":
            thread.calls("read", "result", "block", path="a")
        elif move == "failed":
            thread.calls("read", "no", failed=True)
        elif move == "asks":
            thread.asks("read", path="b")
        elif move == "nothing":
            thread.nothing()
        elif move == "says":
            thread.says("Well.")
        else:
            more = {"locked": {"locked": True}, "system": {"speaker": "system"}}.get(move, {})
            thread.user(KEEP if move == "pinned" else "Go on.", **more)
    return thread


def said(thread, keep_last):
    """Steps of the model; where these are few, in a chat of many users, their words that another one's follow count as well."""
    steps = thread.history.steps
    if len(steps) > keep_last:
        return steps
    each = {index: [one for one in thread.pieces if one.message == index] for index in range(thread.count)}
    users = {
        index
        for index, pieces in each.items()
        if pieces and all(one.kind == "text" and one.speaker == "user" and not one.locked for one in pieces)
    }
    return sorted({*steps, *(index for index in users if index + 1 in users)})


@given(threads(), st.integers(1, 5), st.data())
def test_nothing_protected_is_ever_touched(thread, keep_last, data):
    history = thread.history
    actions = [Stub(piece.place) for piece in thread.pieces]
    ends = st.integers(0, thread.count)
    actions += [Fold(*data.draw(st.tuples(ends, ends))) for _ in range(20)]
    for action in allowed(thread, *actions, guards=Guards(keep_last)):
        first, end = (action.place[0], action.place[0] + 1) if isinstance(action, Stub) else action
        assert history.turns[0] < first
        assert len([one for one in said(thread, keep_last) if one >= end]) >= keep_last
        touched = [piece for piece in thread.pieces if first <= piece.message < end]
        newest = [piece.message for piece in thread.pieces if piece.failed][-1:]
        assert not any(piece.speaker == "system" or KEEP in piece.text or piece.message in newest for piece in touched)
        assert history.turns[-1] not in range(first, end)
        if isinstance(action, Fold):
            pairs = {piece.pair for piece in touched if piece.pair}
            assert not any(piece.pair in pairs for piece in thread.pieces if piece not in touched)
            assert not any(piece.locked for piece in touched if piece.message == first)


def test_a_pin_is_asked_once_of_each_piece_of_a_history():
    asked = []
    guards = Guards(pins=[lambda piece: asked.append(piece) or False])
    history = Thread().user("Go.").says("Fine.").user("On.").says("Fine, too.").history
    for _ in range(3):
        guards.allowed(history, [Candidate(Stub((1, 0)), "spent", "", 1)])
        guards.free(history)
    assert asked == history.pieces

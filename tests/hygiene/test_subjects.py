"""A user who names another key has begun about something else; what is not sure goes on with what there was."""

from ctxkit.editable import Candidate, Fold, Stub
from ctxkit.hygiene.episodes import Episodes, turns_of
from ctxkit.hygiene.guards import Guards
from ctxkit.hygiene.subjects import parted
from tests.hygiene.threads import Thread, flights


def order(thread, key, wish="Please send it again."):
    thread.user(f"It is about order {key}. {wish}").calls("find_order", "lines of the order: " + flights(1), order=key)
    return thread.says(f"Done for {key}.")


def orders(*keys):
    thread = Thread().user("Hello.").says("Hello.")
    for key in keys:
        order(thread, key)
    return thread


def subject(thread):
    """The messages with which the subject begins, in which it was named, and since which that is known."""
    history = thread.history
    turns = turns_of(history)
    _, found = parted(history, turns)
    return found and (turns[found.first], turns[found.turn], found.since)


def folds(thread):
    return [one.action for one in Episodes()(thread.history)]


def test_a_key_of_a_kind_that_tools_were_called_with_begins_at_once():
    thread = orders("mug_4711")
    assert subject(thread) == (2, 2, 3)
    assert folds(thread) == []
    thread.user("Where is jar_0815?")
    assert subject(thread) == (6, 6, 6)
    assert folds(thread) == [Fold(2, 6)]


def test_another_id_begins_something_when_a_tool_is_called_with_it():
    thread = orders("mug_4711").user("Where is TX99KQ?")
    assert subject(thread) == (2, 2, 3)
    thread.calls("track", "on the way", parcel="TX99KQ")
    assert subject(thread) == (6, 6, 7)


def test_a_word_with_digits_that_no_tool_is_called_with_begins_nothing():
    thread = orders("mug_4711").user("Is that page in utf-16?").says("No.")
    assert subject(thread) == (2, 2, 3)
    thread.calls("run", "4711", code='print("utf-16 and more")')
    assert subject(thread) == (2, 2, 3)


def test_a_path_begins_nothing():
    thread = Thread().user("Hello.").says("Hello.")
    for number in range(3):
        path = f"src/part{number}.py"
        thread.user(f"What is in {path}?").calls("read", "x = 1", path=path).says("Little.")
    assert subject(thread) is None


def test_what_is_said_before_without_a_name_belongs_to_it():
    thread = orders("mug_4711").user("I have another question.").says("I need the number of the order.")
    thread.user("jar_0815")
    assert subject(thread) == (6, 8, 8)
    assert folds(thread) == [Fold(2, 6)]


def test_what_the_model_answers_with_a_question_belongs_to_it():
    thread = orders("mug_4711").user("And order jar_0815, please.").says("Who asks?").user("It is otto_1234.")
    assert subject(thread)[0] == 6
    thread.calls("find_user", "Otto", user="otto_1234").says("Done.")
    assert subject(thread)[0] == 6


def test_a_question_about_what_was_goes_on_with_it():
    thread = orders("mug_4711").user("And the same for the other order of mug_4711.").says("Which one is it?")
    assert subject(thread.user("jar_0815")) == (2, 2, 3)


def test_back_to_a_subject_of_long_ago_what_lies_between_may_go():
    thread = orders("mug_4711", *(f"jar_{number}" for number in range(2000, 2010)))
    thread.user("Once more about mug_4711.")
    assert subject(thread) == (46, 46, 46)
    assert folds(thread) == [Fold(at, at + 4) for at in range(6, 46, 4)]


def test_back_to_it_soon_it_was_one_stretch():
    thread = orders("mug_4711", "jar_0815").user("Once more about mug_4711.")
    assert subject(thread) == (2, 2, 3)
    assert folds(thread) == []


def test_a_subject_goes_on_unnamed_for_some_turns():
    thread = orders("mug_4711", "jar_0815")
    for number in range(12):
        thread.user(f"And what is point {number}?").says("That is a thing of its own. " * 20)
    cuts, _ = parted(thread.history, turns_of(thread.history))
    assert cuts[:4] == [1, 2, 11, 12]


def test_the_latest_steps_of_what_is_over_keep_nothing():
    thread = orders("mug_4711").user("Where is jar_0815?")
    over, stub = Candidate(Fold(2, 6), "any", "because", 6, over=True), Candidate(Stub((4, 0)), "any", "because", 6)
    assert Guards(3).allowed(thread.history, [over, stub, over._replace(over=False)]) == [over]
    assert Guards(3, pins=("Done for",)).allowed(thread.history, [over]) == []
    assert Guards(3).allowed(thread.history, [over._replace(action=Fold(2, 7))]) == []

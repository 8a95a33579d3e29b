"""Finished stretches are found where the talk turns to something else, and stay as long as anything refers to them."""

import json
from itertools import pairwise

import pytest

from ctxkit.editable import Fold
from ctxkit.hygiene.episodes import Episodes, joined, turns_of
from ctxkit.hygiene.guards import Guards
from ctxkit.hygiene.relevance import relevance, terms
from tests.hygiene.threads import Thread, flights, source

TOPICS = [
    ("cancel my hotel in Lisbon", "The hotel in Lisbon is cancelled; the refund takes a week.", "LISB22"),
    ("change the seat on my flight to Oslo", "Your seat is by the window now, row nine.", "OSLO77"),
    ("order a vegetarian meal for my mother", "The kitchen will prepare a vegetarian lunch.", "MEAL41"),
    ("report a lost suitcase with green wheels", "The suitcase is searched for; lost luggage calls you.", "SUIT90"),
]


def task(thread, number):
    """One of several tasks that have nothing to do with one another."""
    wish, done, ref = TOPICS[number]
    thread.user(f"Please {wish}. The reference is {ref}.")
    thread.calls("look_up", json.dumps({"reference": ref, "details": flights(number)}), ref=ref)
    thread.says(f"I found {ref}. Shall I go on?").user(f"Yes, {ref} is right.")
    return thread.calls("update", "done", ref=ref).says(f"{ref}: {done}")


def tasks(count):
    thread = Thread().user("Hello.").says("Hello, what can I do?")
    for number in range(count):
        task(thread, number)
    return thread


def proposed(thread, **options):
    return [one.action for one in Episodes(**options)(thread.history)]


def test_finished_tasks_are_proposed_and_the_one_at_hand_is_not():
    assert proposed(tasks(1)) == []
    thread = tasks(3)
    assert proposed(thread) == [Fold(2, 10), Fold(10, 18)]
    assert proposed(task(thread, 3)) == [Fold(2, 10), Fold(10, 18), Fold(18, 26)]
    assert Guards().allowed(thread.history, list(Episodes()(thread.history))) == list(Episodes()(thread.history))


def test_what_was_proposed_stays_proposed_as_the_conversation_goes_on():
    thread, before = tasks(2), []
    for number in (2, 3):
        task(thread, number)
        now = proposed(thread)
        assert now[: len(before)] == before
        before = now
    assert len(before) == 3


def test_a_stretch_is_kept_while_somebody_names_something_of_it():
    thread = tasks(3).user("By the way, what about LISB22?").says("LISB22 is cancelled, as I said.")
    assert Fold(2, 10) not in proposed(thread)
    task(thread, 3)
    assert Fold(2, 28) in proposed(thread.steps(4)), "what named it is over, too"


def test_a_stretch_is_kept_while_the_talk_is_about_it_without_a_name():
    thread = tasks(4).user("Now for something else, please.").says("Certainly.")
    assert Fold(2, 10) in proposed(thread)
    thread.user("Is the hotel in Lisbon cancelled, with a refund?").says(TOPICS[0][1])
    assert Fold(2, 10) not in proposed(thread)
    assert Fold(10, 18) in proposed(thread)


def test_a_stretch_with_a_standing_wish_stays():
    thread = (
        Thread().user("Hello.").says("Hello!").user("From now on answer in French. " + "Merci. " * 300).says("Oui.")
    )
    for number in range(3):
        task(thread, number)
    assert all(fold.start > 2 for fold in proposed(thread))


def test_the_reason_and_the_moment():
    thread = tasks(4)
    first = next(iter(Episodes()(thread.history)))
    assert first.by == "episodes"
    assert "nothing in" in first.reason
    assert 10 <= first.since < thread.count
    assert 0 < first.worth < 1
    assert list(Episodes()(thread.history)) == list(Episodes()(thread.history))


def test_short_turns_are_folded_together():
    thread = Thread().user("Hello.").says("Hello!")
    for number in range(24):
        thread.user(f"What is the word number {number} for?").says(f"It is for thing {number}. " + "Indeed so. " * 12)
    folds = proposed(thread)
    assert folds
    assert all(fold.end - fold.start > 4 for fold in folds)
    assert all(one.end == two.start for one, two in pairwise(folds))


def test_a_file_that_is_worked_on_holds_turns_together():
    thread = Thread().user("Hello.").says("Hello!")
    for number in range(6):
        thread.user(f"Add function {number} to it.")
        thread.calls("edit", source(f"part{number}"), path="src/parser.py", new=f"def f{number}(): ...").says("Added.")
    assert proposed(thread) == []


def test_an_agent_without_tools_has_one_turn():
    thread = Thread().user("Fix it.")
    for number in range(12):
        thread.says(f"Next:\n```\ncat part{number}.py\n```").user(source(f"part{number}"))
    assert turns_of(thread.history) == [0]
    assert proposed(thread) == []


def test_words_of_a_user_one_after_another_are_one_turn():
    thread = (
        Thread().user("Hello.").says("Hi.").user("Thanks, that is all.").user("Hi, I am new here.").says("Welcome.")
    )
    assert turns_of(thread.history) == [0, 2]


def test_a_message_with_results_and_words_begins_no_turn():
    thread = Thread().user("Go.").calls("read", "text", path="a")
    extra = thread.pieces[-1]._replace(number=1, kind="text", speaker="user", pair=None, text="And hurry.")
    thread.pieces.append(extra)
    assert turns_of(thread.says("Yes.").user("Next.").history) == [0, 4]


def test_japanese_turns_are_told_apart_by_what_they_are_about():
    thread = Thread().user("こんにちは").says("はい、何でしょうか。")
    said = [
        "猫の餌の選び方を教えてください。",
        "京都の紅葉の名所はどこですか。",
        "確定申告の締め切りはいつですか。",
        "自転車のタイヤの交換方法は。",
    ]
    about = [
        "猫には魚の餌が向いています。",
        "紅葉なら京都の東福寺が有名です。",
        "申告の締め切りは三月です。",
        "タイヤは工具で外して交換します。",
    ]
    for question, answer in zip(said * 2, about * 2, strict=True):
        thread.user(question * 3).says(answer * 70)
    history = thread.history
    now = history.pieces[-1].text
    earlier = [(piece.text,) for piece in history.pieces if piece.speaker == "assistant"][1:5]
    scores = relevance(earlier, now)
    assert max(scores) == scores[3]
    assert scores[3] > 3 * max(scores[:3])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Hotel, the hotel!", ("the", "hotel")),
        ("a I 7", ()),
        ("東京都へ", ("東京", "京都", "都へ")),
        ("iPhone修理", ("修理", "iphone")),
        ("猫", ("猫",)),
        ("ภาษาไทย", ("ภา", "าษ", "ษา", "าไ", "ไท", "ทย")),
        ("Übergröße", ("übergröße",)),
        ("한국어 문장", ("한국어", "문장")),
    ],
)
def test_terms_of_scripts_with_and_without_blanks(text, expected):
    assert terms(text) == expected


def test_relevance_is_high_where_rare_words_come_again():
    texts = [
        ("the red fox and the blue sea",),
        ("the green tree and the old house",),
        ("the white bird", "and the sky"),
    ]
    scores = relevance(texts, "the green tree")
    assert scores[1] > 0.25
    assert max(scores[0], scores[2]) < scores[1] / 5
    assert relevance(texts, "white sky", "the green tree")[1:] == [scores[1], relevance(texts, "white sky")[2]]
    assert relevance(texts, "") == [0.0, 0.0, 0.0]
    assert relevance([("",), ("",)], "tree") == [0.0, 0.0]
    assert relevance([], "tree") == []
    assert relevance([("tree",)] * 70, "tree house") == [relevance([("tree",)] * 70, "tree house")[0]] * 64 + relevance(
        [("tree",)] * 6, "tree house"
    )


def test_folds_side_by_side_are_joined():
    assert joined([Fold(9, 12), Fold(2, 5), Fold(5, 9), Fold(14, 16)]) == [Fold(2, 12), Fold(14, 16)]
    assert joined([]) == []

"""Texts that are made to be slow or confusing: passes that look for what is over take linear time and stay calm."""

import json

import pytest

from ctxkit.editable import Fold, Stub
from ctxkit.hygiene import episodes, naming, repeats, subjects
from ctxkit.hygiene.drift.constraints import superseded
from ctxkit.hygiene.drift.loops import stuck
from ctxkit.hygiene.episodes import Episodes
from ctxkit.hygiene.fit import fit
from ctxkit.hygiene.guards import Guards
from ctxkit.hygiene.passes import MARK
from ctxkit.hygiene.repeats import Repeats
from ctxkit.hygiene.spent import Spent
from ctxkit.hygiene.stale import Stale
from ctxkit.hygiene.stubs import said
from tests.hygiene.arriving import Talk, tidied
from tests.hygiene.effort import done_with, lines_run
from tests.hygiene.threads import Thread

UNITS = [
    "a",
    "A1 ",
    "/",
    "a/b.c ",
    "\\",
    "\\n",
    "```\n",
    "[File: ",
    '"',
    "{",
    "\n",
    "\r",
    " ",
    "\ud800",
    "猫",
    "1:",
    "&& ",
    "> ",
]


def everything(unit, size):
    text = unit * (size // len(unit))
    thread = Thread().user("Go. " + text).says("Fine. " + text)
    for number in range(3):
        thread.user(f"T{number}1 {text}").calls("bash", text, command=text, path=text[:100]).says(f"D{number}2 {text}")
    return thread.steps(12).history


def looked_at(history):
    found = [*Spent()(history), *Stale()(history), *Episodes()(history)]
    found += fit(history, lambda _: 1.0, 1e9, allowed=Guards().allowed, before=Guards().allowed(history, found))
    for action in (Fold(2, 6), *(Stub(piece.place) for piece in history.pieces)):
        said(history, action)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS)
def test_long_texts_are_done_with(unit):
    history = everything(unit, 1_000_000)
    with done_with():
        looked_at(history)


def test_many_messages_are_work_in_proportion():
    def work(turns):
        thread = Thread().user("Go.").says("Fine.")
        for number in range(turns):
            thread.user(f"Now ID{number % 50}X and file{number}.py").calls("read", f"ID{number}Y " * 40, path="a.py")
            thread.says(f"ID{number % 50}X is done.")
        return lines_run(lambda: looked_at(thread.history))

    work(20)  # what is remembered between calls
    assert work(800) < 24 * work(100)  # some of it is remembered; quadratic would be 64 times


def test_results_that_look_like_our_own_words_are_left():
    text = f"{MARK}: result of read, 9,999 characters, left out; call again to see it] " + "ID77X word " * 300
    thread = Thread().user("Go.").calls("read", text, path="a.py").calls("write", "ok", path="a.py", content=text)
    history = thread.steps(16).history
    assert {one.action for one in looked_at(history) if isinstance(one.action, Stub)} == set()
    assert said(history, Stub((2, 0))) == ((), ())


def test_a_call_with_many_long_texts_is_read_once_for_all_of_them(monkeypatch):
    read = []
    monkeypatch.setattr(naming, "_arguments", lambda call: read.append(call) or json.loads(call.text))
    talk = Talk().call("write", files=[f"{number} " + "word " * 60 for number in range(50)]).user("Go on.")
    tidied([Repeats()], talk.messages)
    assert len(read) == 2, "its texts, and its name"


def test_many_turns_without_a_word_of_the_model_are_looked_at_once(monkeypatch):
    looked, closing_of = [], episodes.closing_of
    monkeypatch.setattr(episodes, "closing_of", lambda *given: looked.append(given[1]) or closing_of(*given))
    thread = Thread().user("Go.")
    for number in range(100):
        thread.user(f"Now about order{number}number, please, whatever it is").asks(
            "tell", words=f"It is {number}q. " * 9
        )
    history = thread.user("Something else: zebras.").asks("tell", words="Stripes").steps(8).history
    list(Episodes()(history))
    assert sum(fold.end - fold.start for fold in looked) <= history.count


def test_rules_without_end_are_not_all_held_against_one_another():
    letters = "abcdefghijklmnopqrst"
    rules = [" ".join(f"Never {one}{two}{three}." for one in letters for two in letters) for three in letters]
    thread = Thread()
    for text in rules:
        thread.user(text).says("Fine.")
    assert superseded(thread.history) == ()


def test_blanks_without_end_behind_an_action():
    assert stuck(Thread().user("Go.").says("Action:" + " " * 100_000 + "\nNothing").history) == 0.0


def test_lines_of_a_text_are_counted_once_for_all_that_points_into_it():
    blocks = ["".join(f"line {number} {line} of a block of its own\n" for line in range(12)) for number in range(60)]
    talk = Talk().call("run", it="one").result("".join(blocks)).call("run", it="two").result("".join(blocks[::-1]))
    before = repeats._line_ends.cache_info().misses
    (made,) = tidied([Repeats()], talk.messages).values()
    assert made.text.count(MARK) == len(blocks)
    assert f"lines {12 * 59 + 1}-{12 * 60} of" in made.text
    assert repeats._line_ends.cache_info().misses == before + 1


def test_a_model_that_asks_back_without_end_is_looked_at_once(monkeypatch):
    looked, asked_back = [], subjects._asked_back
    monkeypatch.setattr(subjects, "_asked_back", lambda *given: looked.append(given) or asked_back(*given))
    thread = Thread().user("It is about ORD10001, please.").calls("look", "ok", id="ORD10001").says("Which one?")
    for number in range(50):
        thread.user(f"Now take ORD{20_000 + number}, please.").says("Which one do you mean?")
    cuts, _ = subjects.parted(thread.history, episodes.turns_of(thread.history))
    assert len(looked) == 50
    assert cuts

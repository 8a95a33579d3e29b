"""A model that goes round in circles is found; one that gets on is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.hygiene.drift.loops import STUCK, stuck, stuck_at
from ctxkit.hygiene.drift.repetition import repeats
from tests.hygiene.threads import Thread, flights, source

if TYPE_CHECKING:
    from pathlib import Path


def again(times: int, result: str = "Error: no such order", **arguments: object) -> Thread:
    thread = Thread().user("Where is my order?")
    for _ in range(times):
        thread.calls("find_order", result, **(arguments or {"order": "A-1"}))
    return thread


def react(*observations: str, given: str = "{}") -> Thread:
    thread = Thread().user("What is the answer?")
    for number, observation in enumerate(observations):
        said = f"Thought: this is try number {number}, in other words.\nAction: answer\nAction Input: {given}\n"
        thread.says(f"{said}Observation: {observation}")
    return thread


def test_the_same_call_thrice_with_the_same_result():
    assert [stuck(again(times).history) >= STUCK for times in (1, 2, 3, 9)] == [False, False, True, True]


def test_calls_in_a_circle():
    thread = Thread().user("Find it.")
    for _ in range(4):
        thread.calls("search", "nothing found", query="red fox").calls("read", "The page is empty.", page="fox")
    assert stuck(thread.history) >= STUCK


def test_actions_in_words_and_what_a_program_adds_behind_them():
    assert (
        stuck(react("42", "I tried reusing the same input.", "I tried reusing the same input.\nTools: answer").history)
        >= STUCK
    )
    assert stuck(react("42", "42", "42 You have these tools: answer").history) >= STUCK
    assert stuck(react("one thing", "another thing", "something else").history) < STUCK


def test_the_same_words():
    thread = Thread().user("Call the tool.")
    for number in range(4):
        thread.says(f"I am sorry, but I am unable to use that tool, as it always fails (try {number}). Ask me else.")
    assert stuck(thread.history) >= STUCK


def test_a_program_that_nags_is_no_user():
    thread = again(1)
    for _ in range(3):
        thread.user("Look at the result. Go on if it is not good enough.").calls(
            "find_order", "Error: no such order", order="A-1"
        )
    assert stuck(thread.history) >= STUCK


def test_counting_up_for_nothing():
    thread = Thread().user("Roll three dice.")
    for number in range(30):
        thread.calls("roll", f"{{roll: {number}}}", id=f"x{number}")
    assert stuck(thread.history) >= STUCK


def test_a_user_who_asks_again_is_answered_again():
    thread = Thread()
    for question in ("What is best?", "And now?", "Tell me again, please.", "Once more?"):
        thread.user(question).calls("best", "Ruby").says("Ruby is.")
    assert stuck(thread.history) < STUCK


@pytest.mark.parametrize(
    "results",
    [
        ["pending", "pending", "done"],
        ["progress: 10 %", "progress: 40 %", "progress: 80 %", "progress: 90 %", "progress: 95 %", "finished"],
        ["Error: timeout", "Error: timeout", "It is on its way."],
        [flights(number) for number in range(6)],
    ],
    ids=["poll", "progress", "retry", "results that differ"],
)
def test_what_gets_on_is_no_loop(results):
    thread = Thread().user("Where is my order?")
    for result in results:
        thread.calls("find_order", result, order="A-1")
    assert stuck(thread.history) < STUCK


def test_pages_are_no_loop():
    thread = Thread().user("List all flights.")
    for page in range(12):
        thread.calls("list", flights(page), page=page)
    assert stuck(thread.history) < 0.5


def test_tests_that_fail_after_each_change_are_no_loop():
    thread = Thread().user("Mend it.")
    for number in range(12):
        thread.calls("edit", "The file was edited.", path="a.py", old=source("a", 4), new=source(f"b{number}", 4))
        thread.calls("bash", "FAILED test_a.py::test_a - assert 1 == 2", command="pytest")
    assert max(score for _, score in stuck_at(thread.history)) < STUCK


def test_files_written_one_after_another_are_no_loop():
    thread = Thread().user("Make a project.")
    for number in range(12):
        thread.calls("write_file", "File written.", path=f"module_{number}.py", content=source(f"m{number}", 4))
    assert stuck(thread.history) < STUCK


def test_what_is_new_ends_it():
    thread = again(6)
    scores = [stuck(thread.history)]
    for what in ("refunds", "parcels", "couriers"):
        thread.calls("ask", f"All about {what}: {what} are slow in winter.", question=f"How do {what} work?")
        scores.append(stuck(thread.history))
    assert scores == sorted(scores, reverse=True)
    assert scores[0] >= STUCK > 0.3 > scores[-1]


def test_each_step_is_told():
    thread = again(3)
    assert stuck_at(thread.history)[-1][1] == stuck(thread.history)
    assert [index for index, _ in stuck_at(thread.history)] == [0, 1, 3, 5]
    assert stuck(Thread().history) == 0.0


HOSTILE = st.sampled_from(
    ["", " ", "\x00", "{", "Action: x\nAction Input: ", "```\n", "QUJD" * 5000, "あ" * 3000, '{"command": [' * 400]
)


@given(st.lists(st.tuples(st.sampled_from(["user", "says", "calls"]), HOSTILE, st.booleans()), max_size=12))
def test_whatever_stands_there_is_scored(steps):
    thread = Thread()
    for what, text, failed in steps:
        if what == "calls":
            thread.calls("t", text, failed=failed, value=text)
        else:
            getattr(thread, what)(text)
    assert 0.0 <= stuck(thread.history) <= 1.0
    again = repeats(thread.history, lambda piece: len(piece.text))
    assert all(0 <= one <= len(piece.text) for one, piece in zip(again, thread.pieces, strict=True))


def test_what_stands_twice_is_repeated():
    text = source("a", 40)
    thread = Thread().user("Read it.").calls("read", text, path="a").calls("read", f"{text}\nand more", path="a")
    whole = sum(len(piece.text) for piece in thread.pieces)
    assert 0.4 < sum(repeats(thread.history, lambda piece: len(piece.text))) / whole < 0.51
    assert repeats(Thread().user("Hello").says("Hello").history, lambda _: 1.0) == [0.0, 0.0]


@pytest.mark.slow
def test_recorded_loops_are_found_and_ordinary_agents_are_not(recorded: Path):
    from tests.benchmarks.bench_loops import rows

    found = rows()
    for name, recall in (("sessions, held out", 0.9), ("all agent runs and chats", 0.65)):
        assert found[name]["precision"] >= 0.98, name
        assert found[name]["recall"] >= recall, name

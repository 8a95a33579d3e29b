"""What a user wants for good, and what of it was taken back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.hygiene.drift.constraints import standing, superseded
from ctxkit.hygiene.drift.slots import named
from ctxkit.hygiene.pins import KEEP, Pins
from tests.hygiene.threads import Thread


def talk(*texts: str) -> Thread:
    thread = Thread()
    for text in texts:
        thread.user(text).says("Fine.")
    return thread


@pytest.mark.parametrize(
    "texts",
    [
        ("Book me a flight on Monday, please.", "Actually, make it Tuesday."),
        ("Give distances in miles.", "No, use metric."),
        ("Use Python for the script.", "Can we use Rust instead?"),
        ("We need a table for two people.", "Sorry, change that to four people."),
        ("A round trip to Rome.", "Actually, I only need a one-way ticket, not a round trip."),
        ("Meet at 5pm.", "Actually 6:30 pm is better."),
        ("Please write the report in German.", "Forget what I said about the report."),
        ("Always cite your sources.", "You no longer need to cite your sources any more."),
        ("Buche das Zimmer für Montag.", "Doch lieber Dienstag."),
        ("Antworte auf Deutsch und kurz.", "Vergiss, was ich über Deutsch gesagt habe."),
        ("Réponds en anglais.", "En fait, réponds en français."),
        ("Reserva para el lunes.", "Mejor el martes."),
        ("月曜日に予約してください", "やっぱり火曜日にしてください"),
        ("日本語で答えてください", "日本語と言ったのは忘れてください"),
        ("请用英文回答", "算了,改成中文"),
        ("Забронируй на понедельник.", "Лучше вторник."),
        ("월요일로 예약해 주세요", "월요일 말고 화요일로 해 주세요"),
    ],
)
def test_what_is_taken_back(texts):
    assert [tuple(one) for one in superseded(talk(*texts).history)] == [(0, 2, "superseded")]


@pytest.mark.parametrize(
    "texts",
    [
        ("Always answer in English.", "Always answer in French."),
        ("Please always use tabs.", "From now on use spaces."),
        ("Always add tests to the change.", "Never add tests to the change."),
    ],
)
def test_what_cannot_both_hold(texts):
    assert [tuple(one) for one in superseded(talk(*texts).history)] == [(0, 2, "contradicted")]


@pytest.mark.parametrize(
    "texts",
    [
        ("I fly on Monday.", "Actually, what is the weather on Tuesday?"),
        ("Flights on Monday?", "And on Tuesday?"),
        ("I work in Python.", "Now show me the same in Rust."),
        ("Translate this to French.", "Translate this to German."),
        ("Book for 2 people on Monday.", "No, that is all, thanks."),
        ("Is it open on Monday?", "No, I don't need a hotel. What about 3 nights?"),
        ("Always answer in English.", "Always be brief.", "Never guess."),
        ("I met her on Monday.", "No, I said Monday."),
        ("Never mind.", "Actually, thanks."),
        ("Use the tool.", "If you don't need to use any more tools, use the exact format below."),
        ("Born: 1988-04-10, 1990-01-02 and 1995-07-15.", "Actually, 2024-05-17 is a good date."),
        ("", ""),
    ],
)
def test_what_is_not_taken_back(texts):
    assert superseded(talk(*texts).history) == ()


def test_only_the_latest_that_said_it_is_taken_back():
    history = talk("Book Monday.", "Nice weather.", "Actually, Tuesday.", "Hm.", "No, make it Friday.").history
    assert [tuple(one) for one in superseded(history)] == [(0, 4, "superseded"), (4, 8, "superseded")]


def test_what_holds_for_good():
    thread = talk("Always answer in metric units.", "How far is it?", f"My id is 4711. {KEEP}", "The budget is $900.")
    assert [piece.message for piece in standing(thread.history)] == [0, 4]
    assert [piece.message for piece in standing(thread.history, [re.compile(r"\$\d+")])] == [0, 4, 6]
    assert [piece.message for piece in standing(thread.history, Pins([lambda piece: piece.message == 1]))] == [0, 1, 4]


def test_what_was_taken_back_holds_no_more_unless_it_is_pinned():
    thread = talk(
        "Always answer in English.", "Always be polite, and never late. Always use miles.", "Actually, use metric."
    )
    assert [piece.message for piece in standing(thread.history)] == [0, 2]
    thread = talk("Always use miles.", "Actually, use metric.")
    assert not standing(thread.history)
    assert [piece.message for piece in standing(thread.history, ["miles"])] == [0]


def test_values_are_known_by_their_names():
    assert named("On MONDAY at 5 pm, for two people, in French") == {
        "day": {"monday"}, "time": {"5 pm"}, "number of person": {"2"}, "language": {"french"}
    }  # fmt: skip
    assert named("12月24日の10時にドル建てで") == {"date": {"12月24日"}, "time": {"10時"}, "money": {"usd"}}
    assert named("mondays are marchable 5 pmx") == {}
    assert named("January 5th") == named("5 of January")


@given(
    st.lists(
        st.sampled_from(
            ["", "!" * 5000, "no, " * 3000, "QUJD" * 5000, "always " * 900, "忘了" * 2000, "forget the " * 900]
        ),
        max_size=6,
    )
)
def test_whatever_is_said_is_read(texts):
    history = talk(*texts).history
    assert all(one.message < one.by for one in superseded(history))
    assert len(standing(history)) <= len(history.pieces)

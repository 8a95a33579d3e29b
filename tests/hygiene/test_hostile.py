"""Texts that are made to be slow or confusing: passes that look for what is over take linear time and stay calm."""

import time

import pytest

from ctxkit.editable import Fold, Stub
from ctxkit.hygiene.episodes import Episodes
from ctxkit.hygiene.fit import fit
from ctxkit.hygiene.guards import Guards
from ctxkit.hygiene.spent import Spent
from ctxkit.hygiene.stale import Stale
from ctxkit.hygiene.stubs import MARK, said
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
def test_time_is_linear_in_the_text(unit):
    def took(size):
        history = everything(unit, size)
        start = time.perf_counter()
        looked_at(history)
        return time.perf_counter() - start

    took(1_000)
    small, large = took(50_000), took(1_000_000)
    assert large < 100 * max(small, 0.02)  # 20 times the text; quadratic would be 400 times


def test_many_messages_take_linear_time():
    def took(turns):
        thread = Thread().user("Go.").says("Fine.")
        for number in range(turns):
            thread.user(f"Now ID{number % 50}X and file{number}.py").calls("read", f"ID{number}Y " * 40, path="a.py")
            thread.says(f"ID{number % 50}X is done.")
        history = thread.history
        start = time.perf_counter()
        looked_at(history)
        return time.perf_counter() - start

    took(20)
    small, large = took(100), took(800)
    assert large < 40 * max(small, 0.05)  # 8 times the messages; quadratic would be 64 times


def test_results_that_look_like_our_own_words_are_left():
    text = f"{MARK}: result of read, 9,999 characters, left out; call again to see it] " + "ID77X word " * 300
    thread = Thread().user("Go.").calls("read", text, path="a.py").calls("write", "ok", path="a.py", content=text)
    history = thread.steps(16).history
    assert {one.action for one in looked_at(history) if isinstance(one.action, Stub)} == set()
    assert said(history, Stub((2, 0))) == ((), ())

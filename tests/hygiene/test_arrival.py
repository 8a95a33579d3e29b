"""Passes folded over what arrives: order, memory, protection, faults."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ctxkit.editable import Piece, Rewrite
from ctxkit.hall.tidypasses import arriving
from ctxkit.hygiene.arrival import Arrivals
from ctxkit.hygiene.compact import Compact
from ctxkit.tidiness import Tidy
from tests.hygiene.arriving import Talk, again, chain, sent, texts, tidied

LOG = "line\n" * 100


def halved(piece: Piece, text: str, _: object) -> str:
    """A pass of a user's own."""
    return text[: len(text) // 2]


def broken(_: Piece, __: str, ___: object) -> None:
    raise ValueError("no")


def test_passes_see_what_those_before_left_and_are_told_together() -> None:
    talk = Talk().call("run").result(LOG)
    made = tidied([Compact(), halved], talk.messages)
    assert made[2, 0].text == "line\n… (same lin"
    assert made[2, 0].by == "compact+halved"
    assert not made[2, 0].lossless


def test_a_pass_that_fails_is_told_of_and_the_others_go_on() -> None:
    told: list[tuple[str, str]] = []
    talk = Talk().call("run").result(LOG)
    arrivals = Arrivals([broken, Compact()], complain=lambda name, error: told.append((name, str(error))))
    assert again(arrivals, talk.messages)[2, 0].by == "compact"
    assert told == [("broken", "no")]
    with pytest.raises(ValueError, match="no"):
        tidied([broken], talk.messages)


@pytest.mark.parametrize("garbage", [7, b"text", Rewrite((0, 0), None, "", "")])  # type: ignore[arg-type]
def test_a_pass_that_gives_garbage_is_told_of(garbage: object) -> None:
    with pytest.raises(TypeError, match="an arrival pass gives"):
        tidied([lambda *_: garbage], Talk().call("run").result(LOG).messages)  # type: ignore[list-item, return-value]


@pytest.mark.parametrize("text", ["", " \n", "line\n" * 100, "line\n" * 101])
def test_nothing_becomes_empty_or_larger(text: str) -> None:
    assert not tidied([lambda *_: text], Talk().call("run").result(LOG).messages)


def test_what_may_not_change_is_not_shown_to_passes() -> None:
    seen: list[str] = []

    def look(piece: Piece, _: str, __: object) -> None:
        seen.append(piece.text)

    talk = Talk("first").assistant("word").user("second").call("run", x=1).result("result").user("[ctxkit: mine]")
    talk.messages.append((Piece(6, 0, "result", "tool", (), "signed", locked=True),))
    tidied([look], talk.messages)
    assert seen == ["second", "result"]


def test_a_new_turn_costs_its_new_messages_and_comes_to_the_same() -> None:
    looked: list[int] = []
    talk = Talk().call("run").result(LOG).assistant("So it is.").user("Again!").call("run").result(LOG + "end")
    arrivals = Arrivals([Compact()])

    for length in range(1, len(talk.messages) + 1):
        part = talk.messages[:length]
        assert again(arrivals, part) == tidied([Compact()], part)

    longer = [*talk.messages, *Talk("more").messages]
    longer[-1] = (longer[-1][0]._replace(message=len(longer) - 1),)
    arrivals.tidied(chain(longer), lambda index: looked.append(index) or longer[index])  # type: ignore[func-returns-value]
    assert looked == [len(longer) - 1]


def test_a_fork_comes_to_the_same_as_from_scratch() -> None:
    arrivals = Arrivals([Compact()])
    first = Talk().call("run").result(LOG).assistant("one").user("and?").call("run").result(LOG)
    other = [*first.messages[:3], *Talk("x").assistant("two").messages[1:]]
    again(arrivals, first.messages)
    assert again(arrivals, other) == tidied([Compact()], other)
    assert again(arrivals, first.messages) == tidied([Compact()], first.messages)


def test_memory_is_bounded() -> None:
    arrivals = Arrivals([Compact()], size=2_000)
    for number in range(50):
        again(arrivals, Talk(f"talk {number}").call("run").result(LOG).messages)
    assert arrivals._held <= 2_000
    assert len(arrivals._known) <= 3


def test_a_mapping_that_was_given_does_not_change() -> None:
    arrivals = Arrivals([Compact()])
    talk = Talk().call("run").result(LOG)
    made = again(arrivals, talk.messages)
    again(arrivals, talk.messages)
    again(arrivals, talk.call("run").result(LOG).messages)
    assert list(made) == [(2, 0)]


def test_pointers_are_only_made_where_they_may_be() -> None:
    def pointing(piece: Piece, _: str, __: object) -> Rewrite:
        return Rewrite(piece.place, "[ctxkit: above]", "pointing", "", targets=((0, 0),))

    talk = Talk().call("run").result(LOG)
    made = tidied([pointing], talk.messages)
    assert {place: one.targets for place, one in made.items()} == {(2, 0): ((0, 0),)}
    assert not tidied([pointing], talk.messages, points=False)


def test_tidying_again_changes_nothing() -> None:
    talk = Talk().call("run").result(LOG).user(LOG)
    once = sent(talk.messages, tidied([Compact()], talk.messages))
    assert texts(once) != texts(talk.messages)
    assert not tidied([Compact()], once)


def long_talk() -> Talk:
    """Some of everything."""
    talk = Talk()
    for number in range(12):
        rows = [{"id": row, "name": f"Row {row} of {number // 3}", "at": {"x": row, "y": 0}} for row in range(9)]
        talk.call("search", query=f"q {number // 2}").result(json.dumps({"page": number, "rows": rows}, indent=2))
        talk.call("read_file", path="a.py").result(
            "".join(f"line {line} {line % (number + 2)}\n" for line in range(60))
        )
        talk.assistant(f"Now {number}.").user("".join(f"user's line {line} of text\n" for line in range(number, 30)))
    return talk


PASSES = arriving(Tidy(), prunes=True)


def digest() -> str:
    """Of everything that is said instead."""
    made = tidied(PASSES, long_talk().messages)
    return hashlib.sha256(repr(sorted(made.items())).encode()).hexdigest()


@pytest.mark.slow
def test_another_process_says_the_same() -> None:
    code = "from tests.hygiene.test_arrival import digest; print(digest())"
    for seed in ("1", "2"):
        ran = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        )
        assert ran.stdout.strip() == digest()


def test_threads_do_not_disturb_one_another() -> None:
    messages = long_talk().messages
    right = tidied(PASSES, messages)
    arrivals = Arrivals(PASSES)

    def turns(_: int) -> bool:
        return all(
            again(arrivals, messages[:length]) == {place: one for place, one in right.items() if place[0] < length}
            for length in range(1, len(messages) + 1, 7)
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(turns, range(8)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_does_not_wait_for_a_thread_of_its_parent() -> None:
    arrivals = Arrivals([Compact()])
    with arrivals._lock:
        child = os.fork()
        if not child:
            try:
                again(arrivals, Talk().call("run").result(LOG).messages)
            finally:
                os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

"""A near-repeat becomes a diff, which gives the new text when it is applied to the old one."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.hygiene.arrival import Arrivals
from ctxkit.hygiene.deltas import diff, patched
from ctxkit.hygiene.repeats import Repeats
from tests.hygiene.arriving import Messages, Talk, again, sent, texts, tidied
from tests.hygiene.effort import done_with, lines_run

ODD = [*range(7, 60, 7)]
FILE = "".join(f"    value_{number} = compute({number}, scale=2.5)  # unit {number}\n" for number in range(60))
EDITED = "".join(
    line.replace("2.5", "3.0") if number in ODD else line for number, line in enumerate(FILE.splitlines(keepends=True))
)

LINES = st.lists(st.sampled_from(["a", "b", "c", "", "-", "+x", "@@ -1,1 +1,1 @@", "d\r", "\ud800"]), max_size=30)


def read(*versions: str) -> Messages:
    """A file is read again and again."""
    talk = Talk()
    for text in versions:
        talk.call("read_file", path="a.py").result(text)
    return talk.messages


def deltas() -> Repeats:
    """Diffs where they pay, and no pointers."""
    return Repeats(deltas=True, pointers=False)


def test_a_file_that_is_read_again() -> None:
    made = tidied([deltas()], read(FILE, EDITED))
    one = made[4, 0]
    head, _, rest = one.text.partition("\n")
    assert head == '[ctxkit: the result of read_file(path="a.py") above with these changes (unified diff):]'
    assert patched(FILE, rest) == EDITED
    assert one.by == "deltas"
    assert one.lossless
    assert one.targets == ((2, 0),)
    assert len(one.text) <= 0.6 * len(EDITED)


def test_pointers_are_easier_to_read_unless_they_are_clearly_longer() -> None:
    once_changed = FILE.replace("value_30 ", "value_x ")
    assert tidied([Repeats(deltas=True)], read(FILE, FILE + FILE))[4, 0].by == "repeats"
    assert tidied([Repeats(deltas=True)], read(FILE, EDITED))[4, 0].by == "deltas"
    assert tidied([Repeats()], read(FILE, once_changed))[4, 0].by == "repeats"


def test_the_same_again_is_no_diff() -> None:
    assert not tidied([deltas()], read(FILE, FILE))
    assert tidied([Repeats(deltas=True)], read(FILE, FILE))[4, 0].by == "repeats"


def test_a_text_of_another_name_that_is_much_the_same() -> None:
    talk = Talk().call("write_file", path="a.py", content=FILE + "x\n" * 3).result("done")
    talk.call("bash", command="cat a.py").result("$ cat a.py\n" + FILE)
    one = tidied([deltas()], talk.messages)[4, 0]
    assert one.text.startswith(
        '[ctxkit: the content in your call of write_file(path="a.py", …) above with these changes'
    )
    assert patched(FILE + "x\n" * 3, one.text.partition("\n")[2]) == "$ cat a.py\n" + FILE


def test_what_is_a_diff_already_is_nothing_to_differ_from() -> None:
    third = EDITED.replace("unit 59", "unit 60")
    made = tidied([deltas()], read(FILE, EDITED, third))
    assert made[6, 0].targets == ((2, 0),)
    assert patched(FILE, made[6, 0].text.partition("\n")[2]) == third


@pytest.mark.parametrize("other", [FILE.replace("value", "other"), FILE[:300]])
def test_what_differs_much_or_is_small_stays(other: str) -> None:
    assert not tidied([deltas()], read(FILE, other))


@given(LINES, LINES, st.booleans())
def test_a_diff_gives_the_new_text(old: list[str], new: list[str], numbered: bool) -> None:
    if numbered:  # then most lines stand once
        old, new = ([f"{line}{index // 2}" for index, line in enumerate(lines)] for lines in (old, new))
    before, after = "\n".join(old), "\n".join(new)
    made = diff(before, after, 100_000)
    if before == after:
        assert made is None
    else:
        assert made is not None
        assert patched(before, made) == after


@given(LINES, st.lists(st.tuples(st.integers(0, 29), st.sampled_from(["new", "", "a"])), max_size=5))
def test_lines_that_stay_are_not_said(old: list[str], changes: list[tuple[int, str]]) -> None:
    lines = [f"{number} {line}" for number, line in enumerate(old)]
    altered = [*lines]
    for index, line in changes:
        altered[index : index + 1] = [line]
    made = diff("\n".join(lines), "\n".join(altered), 100_000)
    said = made.count("\n+") if made else 0
    assert said <= len(changes)


@pytest.mark.parametrize("bad", ["", "words", "@@ -1,1 +1,1 @@\n-b\n+c", "@@ -2,1 +2,0 @@\n-b\n@@ -1,1 +1,0 @@\n-a"])
def test_a_diff_of_something_else_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="of the diff"):
        patched("a\nb", bad)


def test_once_is_enough_and_each_turn_adds_to_the_one_before() -> None:
    messages = read(FILE, EDITED, FILE, EDITED[:-40], FILE + EDITED)
    made = tidied([Repeats(deltas=True)], messages)
    assert not tidied([Repeats(deltas=True)], sent(messages, made))
    arrivals = Arrivals([Repeats(deltas=True)])
    for length in range(1, len(messages) + 1):
        part = again(arrivals, messages[:length])
        assert part == {place: one for place, one in made.items() if place[0] < length}
    assert sum(map(len, texts(sent(messages, made)))) < 0.5 * sum(map(len, texts(messages)))


def work(count: int) -> int:
    """Lines of ours that run for texts of so many lines in which every third differs, shuffled at places."""
    rng = random.Random(3)
    old = [f"line {rng.randrange(count)}" for _ in range(count)]
    new = [line if rng.random() < 0.7 else f"{line}!" for line in old]
    new[count // 4 : count // 2] = sorted(new[count // 4 : count // 2])
    return lines_run(lambda: diff("\n".join(old), "\n".join(new), 10**9))


def test_a_diff_is_work_in_proportion() -> None:
    assert work(8_000) < 12 * work(1_000)


def test_a_diff_of_many_lines_is_done_with() -> None:
    lines = [f"line {number * 7919 % 50_000}" for number in range(50_000)]
    with done_with():
        diff("\n".join(lines), "\n".join(sorted(lines)), 10**9)

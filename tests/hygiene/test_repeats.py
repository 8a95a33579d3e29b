"""What stands earlier already becomes a pointer to it, and the pointer leads to the same text."""

from __future__ import annotations

import json
import random
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.editable import Piece
from ctxkit.hygiene.arrival import Arrivals
from ctxkit.hygiene.blocks import Blocks, atoms
from ctxkit.hygiene.compact import Compact
from ctxkit.hygiene.passes import MARK
from ctxkit.hygiene.repeats import Repeats
from tests.hygiene.arriving import Talk, again, sent, texts, tidied
from tests.hygiene.effort import done_with, lines_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.hygiene.arriving import Messages


def lines(start: int, end: int) -> str:
    """Lines of a file."""
    return "".join(f"line {number} of the file says {number * number}\n" for number in range(start, end))


FILE = lines(1, 41)


def last(talk: Talk, **given_: int) -> str:
    """What becomes of the last piece."""
    made = sent(talk.messages, tidied([Repeats(**given_)], talk.messages))
    return made[-1][0].text


def read(talk: Talk, text: str, path: str = "a.py") -> Talk:
    """A file is read."""
    return talk.call("read_file", path=path).result(text)


def test_the_same_result_again_is_said_in_a_line() -> None:
    talk = read(read(Talk(), FILE), FILE)
    made = tidied([Repeats()], talk.messages)
    assert made[4, 0].text == '[ctxkit: the same as the result of read_file(path="a.py") above]'
    assert made[4, 0].targets == ((2, 0),)
    assert made[4, 0].lossless


def test_lines_inside_a_result() -> None:
    talk = read(read(Talk(), "head\n" + FILE), "other\n" + lines(10, 30) + "end\n", "b.py")
    assert last(talk) == (
        'other\n[ctxkit: the same as lines 11-30 of the result of read_file(path="a.py") above, '
        'from "line 10 of the file says 100" to "line 29 of the file says 841"]\nend\n'
    )


def test_objects_inside_one_long_line() -> None:
    people = [{"name": f"Person {number}", "born": f"1990-01-{number}", "city": "Rome"} for number in range(20)]
    talk = Talk().call("get", id=1).result(json.dumps({"price": 100, "people": people, "insured": "no"}))
    talk.call("update", id=1).result(json.dumps({"price": 200, "people": people, "insured": "yes"}))
    made = last(talk)
    assert len(made) < 260
    assert made.startswith('{"price": 200, [ctxkit: ')
    assert " characters as in the result of get(id=1) above, from " in made
    assert made.endswith('"insured": "yes"}')


def test_what_the_model_wrote_itself() -> None:
    talk = Talk().call("write_file", path="a.py", content=FILE).result("done")
    assert (
        last(read(talk, FILE)) == '[ctxkit: the same as the content in your call of write_file(path="a.py", …) above]'
    )


@pytest.mark.parametrize(
    ("speaker", "name"), [("assistant", 'your message "line 1 of the file says 1 li…"'), ("user", "the user message")]
)
def test_words_are_pointed_to_by_how_they_begin(speaker: str, name: str) -> None:
    talk = getattr(Talk(), speaker)(FILE)
    assert name in last(read(talk, FILE))


def test_users_are_heard_too_but_for_their_first_message_and_the_model_is_not_altered() -> None:
    talk = Talk(FILE).assistant(FILE).user(FILE)
    made = tidied([Repeats()], talk.messages)
    assert list(made) == [(2, 0)]
    assert made[2, 0].targets == ((1, 0),)


def test_of_several_the_latest_is_taken_and_named() -> None:
    talk = read(read(Talk(), FILE), FILE[:-1] + "!\n")
    assert "of the result of read_file" in texts(sent(talk.messages, tidied([Repeats()], talk.messages)))[4]
    other = read(read(Talk(), lines(100, 140)), lines(200, 240))
    assert "above (1 of 2)" in last(read(other, lines(100, 140)))


def test_no_further_back_than_it_may() -> None:
    talk = read(Talk(), FILE)
    for _ in range(10):
        talk.assistant("Go on.").user("Yes.")
    assert last(read(talk, FILE), within=5) == FILE
    assert MARK in last(read(talk, FILE), within=40)


@pytest.mark.parametrize("text", [FILE[:200], "[ctxkit: the same as all above]\n" + FILE])
def test_what_is_small_or_ours_stays(text: str) -> None:
    assert last(read(read(Talk(), text), text)) == text


def test_what_says_to_be_ours_is_never_pointed_to() -> None:
    fake = lines(1, 21) + "[ctxkit: see above]\n" + lines(21, 41)
    talk = read(Talk(), fake)
    made = last(read(talk, lines(1, 41)))
    assert made.count(MARK) == 2
    assert last(read(talk, fake)) == fake


def test_locked_pieces_are_no_targets() -> None:
    talk = Talk()
    talk.messages.append((Piece(1, 0, "text", "assistant", (), FILE, locked=True),))
    assert last(read(talk, FILE)) == FILE


def test_a_pointer_may_lead_to_the_rest_of_a_text_that_has_pointers() -> None:
    talk = read(read(Talk(), lines(1, 20)), lines(1, 20) + lines(100, 120), "b.py")
    made = last(read(talk, lines(100, 120) + "x", "c.py"))
    assert 'of the result of read_file(path="b.py") above' in made
    assert "lines 2-21" in made


# ---- properties --------------------------------------------------------------------------------------------------------

LINE = st.sampled_from(
    [*(f"a line of some length, number {number}\n" for number in range(9)), "x\n", '{"a":1},', "no end"]
)
TEXT = st.lists(LINE, max_size=40).map("".join)
TALKS = st.lists(st.tuples(st.sampled_from(["user", "assistant", "call", "result"]), TEXT), max_size=10)


def talked(turns: list[tuple[str, str]]) -> Messages:
    """A conversation of those turns."""
    talk = Talk()
    for what, text in turns:
        if what == "call":
            talk.call("write", content=text)
        else:
            getattr(talk, what)(text)
    return talk.messages


@given(TALKS, st.booleans())
def test_once_is_enough_and_each_turn_adds_to_the_one_before(turns: list[tuple[str, str]], deltas: bool) -> None:
    messages = talked(turns)
    passes = [Compact(), Repeats(least=100, within=6, deltas=deltas)]
    made = tidied(passes, messages)
    once = sent(messages, made)
    assert not tidied(passes, once)
    assert all(len(new) <= len(old) for new, old in zip(texts(once), texts(messages), strict=True))
    arrivals = Arrivals(passes)
    for length in range(1, len(messages) + 1):
        part = again(arrivals, messages[:length])
        assert part == {place: one for place, one in made.items() if place[0] < length}
        assert part == again(arrivals, messages[:length])


WHOLE_LINES = st.lists(
    st.sampled_from([*(f"a line of some length, number {number}\n" for number in range(9)), "x\n", "\n"]), max_size=40
).map("".join)
POINTER = re.compile(r"\[ctxkit: (?:the same as lines (\d+)-(\d+) of|the same as|(\d+) characters as in) .*\](\n?)")


def expanded(text: str, targets: list[str]) -> set[str]:
    """What a text with pointers may stand for, when each may lead to any of these."""
    match = POINTER.search(text)
    if match is None:
        return {text}
    first, final, size, end = match.groups()
    found = set()
    for target in targets:
        if first:
            led = "".join(target.splitlines(keepends=True)[int(first) - 1 : int(final)])
        elif size:
            led = next(line for line in target.splitlines(keepends=True) if len(line) == int(size))
        else:
            led = target
        if led.endswith("\n") or not end:
            found |= {text[: match.start()] + led + rest for rest in expanded(text[match.end() :], targets)}
    return found


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant", "call", "result"]), WHOLE_LINES), max_size=8))
def test_a_pointer_leads_to_the_same_text_in_what_is_sent(turns: list[tuple[str, str]]) -> None:
    messages = talked(turns)
    made = tidied([Repeats(least=100)], messages)
    once = sent(messages, made)
    for place, one in made.items():
        pieces = [once[message][number] for message, number in one.targets]
        targets = [json.loads(piece.text)["content"] if piece.kind == "arguments" else piece.text for piece in pieces]
        assert max(one.targets) < place
        assert messages[place[0]][place[1]].text in expanded(one.text, targets)


@given(st.lists(TEXT, max_size=5), TEXT)
def test_blocks_are_the_same_in_both_texts(old: list[str], new: str) -> None:
    index: Blocks[int] = Blocks(60)
    for number, text in enumerate(old):
        index.add(text, number)
    end = 0
    for block in index.find(new, lambda number: number != 1):
        said = new[block.start : block.end]
        assert block.start >= end
        assert len(said) >= 60
        assert block.source.of != 1
        assert block.source.text[block.at : block.at + len(said)] == said
        end = block.end


@given(st.text(st.characters(exclude_categories=())) | TEXT)
def test_atoms_make_up_the_text(text: str) -> None:
    assert "".join(atoms(text)) == text
    assert "".join(atoms(text * 40)) == text * 40


# ---- hostile -----------------------------------------------------------------------------------------------------------

_NOISE = random.Random(7)
HOSTILE: dict[str, Callable[[int], str]] = {
    "one line again": lambda size: "the same line again and again\n" * (size // 30),
    "two lines": lambda size: "the same line again and again\nand yet another line\n" * (size // 50),
    "near misses": lambda size: "".join(f"a line that stands often {number % 9}\nx\n" for number in range(size // 28)),
    "short lines": lambda size: "a\n" * (size // 2),
    "commas": lambda size: '{"a":1},' * (size // 8),
    "noise": lambda size: "".join(_NOISE.choices("ab\n, {", k=size)),
    "one word": lambda size: "x" * size,
    "breaks": lambda size: "\r\v\f\u2028" * (size // 4),
}


def thrice(text: str) -> Messages:
    """A text that comes three times, a little altered."""
    return read(read(read(Talk(), text), "y" + text), text[:-1] + "y").messages


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_work_in_proportion(name: str) -> None:
    small, large = (thrice(HOSTILE[name](size)) for size in (10_000, 80_000))
    work = [
        lines_run(lambda messages=messages: tidied([Compact(), Repeats()], messages)) for messages in (small, large)
    ]
    assert work[1] < 12 * work[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_of_many_megabytes_are_done_with(name: str) -> None:
    with done_with():
        tidied([Compact(), Repeats()], thrice(HOSTILE[name](10_000_000)))

"""What only fills a text goes; what carries meaning stays byte for byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.hygiene.compact import Compact
from ctxkit.hygiene.printed import settled
from ctxkit.hygiene.whitespace import spans, tight
from tests.hygiene.arriving import Talk, sent, tidied

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


def compacted(text: str, name: str = "search", **arguments: Any) -> str:
    """What becomes of a result."""
    talk = Talk().call(name, **arguments).result(text)
    return sent(talk.messages, tidied([Compact(tables=False)], talk.messages))[2][0].text


def written(text: str) -> str:
    """What becomes of a user's words."""
    talk = Talk().assistant("ls").user(text)
    return sent(talk.messages, tidied([Compact(tables=False)], talk.messages))[2][0].text


@given(JSON, st.sampled_from([None, 1, 4]), st.booleans())
def test_white_space_of_json_goes_and_its_value_stays(value: Any, indent: int | None, ascii_: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_)
    assert tight(text) == json.dumps(value, separators=(",", ":"), ensure_ascii=ascii_)


@pytest.mark.parametrize(
    "odd",
    [
        "123456789012345678901234567890.123456789e-400",
        "1" * 6000,
        "NaN",
        '{"a": 1, "a": 2}',
        '"\\ud800 \\u0041 \\/"',
        '"\ud800"',
        "-0.0",
        "1.0",
        "1E5",
    ],
)
def test_what_a_parser_would_alter_stays_as_written(odd: str) -> None:
    padded = f'[\n            {odd},\n            "{"x " * 120}"\n]'
    shorter = compacted(padded)
    assert shorter.startswith(f"[{tight(odd)},")
    assert shorter.endswith(f',"{"x " * 120}"]')


@pytest.mark.parametrize(
    ("before", "after"),
    [("", ""), ("Result: ", ""), ("Found 3:\n\n", "\n"), ("```json\n", "\n```"), ("See\n```\n", "\n```\nDone.")],
)
def test_json_is_found_where_results_have_it(before: str, after: str) -> None:
    value = {"rows": list(range(100)), "text": "a  b"}
    small = json.dumps(value, separators=(",", ":"))
    assert compacted(before + json.dumps(value, indent=2) + after) == before + small + after


def test_lines_of_json() -> None:
    lines = [json.dumps({"number": number, "name": f"n {number}"}) for number in range(30)]
    assert (
        compacted("\n".join(lines) + "\n")
        == "\n".join(line.replace(": ", ":").replace(", ", ",") for line in lines) + "\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2, 3] " * 60,
        "{not json, but: long}" * 30,
        '{"a": 1} and then words that go on ' + "and on " * 40,
        '[ "open',
        "[" * 100_000,
        '{"a": ' * 50_000,
    ],
)
def test_what_is_no_json_stays(text: str) -> None:
    assert compacted(text) == text


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("read_file", {}),
        ("openFile", {}),
        ("str_replace_editor", {"command": "view", "path": "/a.json"}),
        ("fs", {"file_path": "/a"}),
        ("bash", {"command": "cd /x && cat package.json"}),
        ("execute", {"cmd": "git diff HEAD~1"}),
    ],
)
def test_the_content_of_files_stays_as_it_is(name: str, arguments: dict[str, str]) -> None:
    for text in (json.dumps({"a": list(range(99))}, indent=4), "x   \n\n\n\n" * 60, "\x1b[31mred\x1b[0m\n" * 30):
        assert compacted(text, name, **arguments) == text


@pytest.mark.parametrize("name", ["search", "get_user_details", "spread", "preview_deploy", "download"])
def test_other_tools_give_data(name: str) -> None:
    text = json.dumps({"a": list(range(99))}, indent=4)
    assert compacted(text, name) == json.dumps({"a": list(range(99))}, separators=(",", ":"))


def test_words_of_users_keep_their_layout() -> None:
    text = "Please format:\n" + json.dumps({"a": list(range(99))}, indent=4) + "   \n\n\n\nThanks  \n"
    assert written(text) == text


def test_colours_go() -> None:
    line = "\x1b[1;31mFAILED\x1b[0m \x1b]0;title\x07test_%d \x1b[K(0.1s)\n"
    text = "".join(line % number for number in range(10))
    assert compacted(text) == "".join(f"FAILED test_{number} (0.1s)\n" for number in range(10))
    assert written(text) == compacted(text)


def test_of_a_progress_bar_its_last_frame_stays() -> None:
    frames = [f"Downloading {'#' * (number // 10):10} {number}%" for number in range(101)]
    assert compacted("Start\n" + "\r".join(frames) + "\r\nDone\r\n") == f"Start\n{frames[-1]}\r\nDone\r\n"


def test_old_line_ends_are_no_frames() -> None:
    text = "\r".join(f"{word} is a line of its own" for word in ("One", "Two", "Three", "Four", "Five") * 4)
    assert compacted(text) == text


def test_runs_of_equal_lines_are_counted() -> None:
    assert (
        settled("a\n" + "waiting for the lock\n" * 42 + "b")
        == "a\nwaiting for the lock\n… (same line 41 more times)\nb"
    )
    assert settled("x\nx\nx\nx\n") == "x\nx\nx\nx\n"
    assert settled("a" + "\n" * 9 + "b") == "a\n\n\nb"
    assert settled("… (same line 3 more times)\n" * 9) == "… (same line 3 more times)\n" * 9


@pytest.mark.parametrize(
    "text", ["Two blanks  \nbreak a line.", "+added   \n-gone \t", "    def indented():", "@@ -1 +1 @@\n \n a   \n"]
)
def test_blanks_that_mean_something_stay(text: str) -> None:
    assert settled(text) == text


def test_other_blanks_at_line_ends_go() -> None:
    assert settled("name      \n\tvalue\t\nx ") == "name\n\tvalue\nx"


PRINTED = st.lists(
    st.sampled_from(
        ["\x1b", "[", "31m", "\x1b[0m", "\r", "\n", "5%", "a", " ", "  ", "\t", "same line\n" * 5, "… (same line "]
    )
).map("".join)


@given(PRINTED)
def test_tidying_what_is_printed_twice_is_tidying_it_once(text: str) -> None:
    long = text * 1 + "z" * 200
    for made in (compacted, written):
        once = made(long)
        assert made(once) == once
        assert len(once) <= len(long)


def test_spans_do_not_overlap() -> None:
    text = '```json\n{"a": [1, 2]}\n```\nand\n```\n[ 3 ]\n```'
    assert [text[start:end] for start, end in spans(text)] == ['{"a": [1, 2]}', "[ 3 ]"]


HOSTILE = {
    "[ lines": lambda size: "[\n" * (size // 2),
    "blank ends": lambda size: "x" * (size // 2) + "\r\n" * (size // 4),
    "escapes": lambda size: "\x1b" * size,
    "open codes": lambda size: "\x1b[" * (size // 2),
    "open titles": lambda size: "\x1b]" * (size // 2),
    "returns": lambda size: "\r" * size,
    "frames": lambda size: ("a" * 70 + "\r") * (size // 71),
    "fences": lambda size: "```\n" * (size // 4),
    "fenced": lambda size: "```\n[\n```\n" * (size // 10),
    "quotes": lambda size: '"' * size,
    "open text": lambda size: '["' + "\\" * size,
    "lines of json": lambda size: "[1]\n" * (size // 4),
    "blanks": lambda size: " \t" * (size // 2),
    "one line": lambda size: "[" + '{"a": 1}, ' * (size // 10) + "2]",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("size", [1_000_000, pytest.param(10_000_000, marks=pytest.mark.slow)])
def test_hostile_results_of_many_megabytes_are_done_with(name: str, size: int) -> None:
    text = HOSTILE[name](size)
    assert len(compacted(text)) <= len(text)

"""What later turns refer to."""

import json

import pytest

from ctxkit.replay.references import References, names_in, referred, stands
from ctxkit.replay.running import Turn

CALL = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{}"}}


def turn(raw, sent, answer, tools=()):
    return Turn(9, {"messages": raw, "tools": list(tools)}, {"messages": sent}, answer)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Flight HAT227 at 10:30.", ["HAT227", "10:30"]),
        ("see utils/dates.py, or parseDate()", ["utils/dates.py", "parseDate"]),
        ("mail mia@example.com about user_12", ["mia@example.com", "user_12"]),
        ("It is all plain prose. And so on.", []),
        ("一二三 東京 ABC", ["ABC"]),
    ],
)
def test_names(text, names):
    assert list(names_in(text)) == names


def test_values_of_arguments_are_references_and_long_texts_only_by_their_names():
    arguments = json.dumps({"city": "New York", "n": 1204, "ok": True, "code": "x = 1\nuse(parseDate)", "id": 7})
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    assert referred({"role": "assistant", "content": None, "tool_calls": [call]}) == {"New York", "1204", "parseDate"}


def test_a_name_stands_only_as_a_word():
    assert stands("HAT22", "HAT227 HAT22.")
    assert not stands("HAT22", "HAT227 _HAT22")
    assert not stands("1204", "11204")


def test_what_the_model_made_up_and_what_the_instruction_says_are_no_references():
    raw = [{"role": "system", "content": "Ask for AB12."}, {"role": "user", "content": "I am user_7."}]
    seen = References()
    seen(turn(raw, raw, {"role": "assistant", "content": "AB12, user_7 and ZZ99"}))
    assert (seen.found, seen.present) == (1, 1)


def test_what_stood_in_a_result_can_be_had_again_by_its_tool():
    raw = [
        {"role": "user", "content": "I am user_7."},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "HAT227"},
    ]
    sent = [{"role": "user", "content": "gone"}]
    answer = {"role": "assistant", "content": "HAT227 for user_7"}
    seen = References()
    seen(turn(raw, sent, answer))
    assert (seen.found, seen.present, seen.recoverable) == (2, 0, 1)
    assert seen.missing == [(9, "user_7")]
    offered = References()
    offered(turn(raw, sent, answer, [{"type": "function", "function": {"name": "other"}}]))
    assert offered.recoverable == 0


def test_the_recall_tool_brings_back_what_a_stub_names():
    raw, sent = [{"role": "user", "content": "user_7"}], [{"role": "user", "content": "[ctxkit: r_x left out]"}]
    seen = References()
    seen(turn(raw, sent, {"role": "assistant", "content": "user_7"}, [{"name": "ctxkit_recall"}]))
    assert (seen.present, seen.recoverable) == (0, 1)

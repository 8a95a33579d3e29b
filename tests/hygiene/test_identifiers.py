"""Names that later turns are likely to need are found in any text, in linear time."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.hygiene.identifiers import chosen, identifiers, weight
from tests.hygiene.effort import done_with


@pytest.mark.parametrize(
    "name",
    [
        "HAT227",
        "M05KNL",
        "UHDAHF",
        "aarav_garcia_1177",
        "gift_card_8887175",
        "2024-05-24",
        "1936",
        "207.50",
        "src/ctxkit/kit.py",
        "/etc/hosts",
        "kit.py",
        "https://example.org/a?b=1",
        "sam@example.com",
        "550e8400-e29b-41d4-a716-446655440000",
        "9f2c1ab",
        "os.path.join",
        "getUserDetails",
        "parse_body",
        "ATL",
    ],
)
def test_a_name_is_found_wherever_it_stands(name):
    for text in (f"Please look at {name}, then go on.", f"({name})", f'{{"field": "{name}"}}', f"- `{name}`:\n"):
        assert name in identifiers(text)
    assert weight(name) > 0


@pytest.mark.parametrize(
    "text",
    [
        "The quick brown fox jumps over the lazy dog",
        "and/or he/she, e.g. this; i.e. that",
        "It is 3 o'clock on the 1st, at 10px and 20ms",
        "well-known state-of-the-art",
        "NOT JSON AND HTML",
        "...... ------ //// ===",
        "",
    ],
)
def test_words_are_no_names(text):
    assert identifiers(text) == ()


def test_names_of_fields_are_left_out_unless_they_hold_digits():
    found = identifiers(json.dumps({"flight_number": "HAT1", "certificate_7473723": {"payment_id": "gift_card_1"}}))
    assert found == ("HAT1", "certificate_7473723", "gift_card_1")


def test_escapes_of_json_are_no_part_of_names():
    assert identifiers(json.dumps({"text": "see\nHAT227\tand C:\\new\\notes.txt"})) == (
        "HAT227",
        "C:\\new\\notes.txt"[2:],
    )


def test_a_date_stands_for_its_moment():
    assert identifiers('{"created_at":"2024-05-14T06:33:04"}') == ("2024-05-14",)


def test_a_line_number_is_no_part_of_a_path():
    assert identifiers("see src/a.py:42 and src/b.py:7-9")[:2] == ("src/a.py", "src/b.py")


def test_what_was_used_again_is_chosen_first_and_order_stays():
    names = ["AAAA11", "BBBB22", "CCCC33", "DDDD44"]
    assert chosen(names, {"DDDD44": 1.0, "BBBB22": 2.0}, 16, lambda _: True) == ["BBBB22", "DDDD44"]
    assert chosen(names, {}, 100, lambda name: name != "BBBB22") == ["AAAA11", "CCCC33", "DDDD44"]
    assert chosen(names, {}, 3, lambda _: True) == []


@given(st.text(max_size=400))
def test_every_name_stands_in_the_text_and_none_comes_twice(text):
    found = identifiers(text)
    assert len(found) == len(set(found))
    if "\\" not in text:
        assert all(name in text for name in found)


@given(st.lists(st.text("AB12_./", min_size=1, max_size=12), max_size=20), st.integers(0, 80))
def test_the_room_is_kept(names, room):
    assert sum(len(name) + 2 for name in chosen(names, {}, room, lambda _: True)) <= room


@pytest.mark.parametrize(
    "unit", ["a", "a1 ", "/", "a/b.", "\\", "\\n", "a.b-", "://", "@.", "A1_", "\ud800", "あ", "1.", '{"a1":']
)
def test_hostile_texts_are_done_with(unit):
    with done_with():
        identifiers.__wrapped__(unit * (1_000_000 // len(unit)))

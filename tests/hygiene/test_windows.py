"""A model is shown what is language, in windows that it reads whole."""

import base64
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.hygiene.windows import is_foreign, looked_at, windows

NOISE = base64.b64encode(random.Random(1).randbytes(4_000)).decode()


def test_a_short_text_is_one_window():
    assert windows("  The lamp is broken.\n") == ["The lamp is broken."]


@pytest.mark.parametrize(
    "text", ["", "  \n", "5", "…", "===== 1234567890 =====", NOISE, "\x00\x01\x02" * 90, "\ufffd" * 20]
)
def test_what_is_no_language_has_none(text):
    assert windows(text) == []


def test_base64_is_left_out_and_the_words_beside_it_are_not():
    assert windows(f"Here is the picture: {NOISE} It shows a lamp.") == ["Here is the picture:   It shows a lamp."]


def test_a_long_text_is_cut_behind_lines_and_sentences():
    lines = "\n".join(f"Line {number} tells of the lamp and what became of it." for number in range(60))
    found = windows(lines)
    assert len(found) > 2
    assert all(one.startswith("Line") and one.endswith(".") and len(one) <= 900 for one in found)
    assert "\n".join(found) == lines


def test_of_a_huge_text_its_beginning_and_its_end():
    huge = "The first words. " + "and so on and on " * 200_000 + "The last words."
    found = windows(huge)
    assert len(found) < 12
    assert found[0].startswith("The first words.")
    assert found[-1].endswith("The last words.")
    assert len(looked_at(huge)) < 10_000


def test_kana_and_han_come_to_more_tokens_so_their_windows_are_shorter():
    assert max(map(len, windows("明日の天気はどうなりますか。" * 100))) <= 225


@pytest.mark.parametrize(
    ("text", "foreign"),
    [
        ("What is the weather in Lisbon?", False),
        ("def area(radius):\n    return 3.14 * radius ** 2", False),
        ('{"id": 5, "name": "lamp"}', False),
        ("", False),
        ("明日の天気はどうですか。", True),
        ("明天的天气怎么样？", True),
        ("Какая завтра погода?", True),
        ("Wie wird das Wetter morgen und ist es nicht zu kalt für den Ausflug?", True),
        ("Quel temps fait-il demain et est-ce que les enfants sont dans le jardin?", True),
        ("Read the file 天気.txt and tell me what is in it, please.", False),
    ],
)
def test_what_a_model_of_english_does_not_understand(text, foreign):
    assert is_foreign(text) is foreign


@given(st.text(st.characters(), max_size=3_000))
def test_windows_of_any_text_can_be_encoded_and_are_no_longer_than_they_should(text):
    for one in windows(text):
        assert one.encode()
        assert 0 < len(one) <= 900
    is_foreign(text)

"""Every testable statement of how providers cache has a test that bears its id."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

IDS = {
    "g": range(1, 6),
    "a": range(1, 24),
    "o": range(1, 21),
    "e": range(1, 16),
    "b": range(1, 8),
    "d": range(1, 6),
    "q": range(1, 4),
    "m": range(1, 3),
    "v": range(1, 4),
    "p": range(1, 7),
}


@pytest.fixture(scope="module")
def tested():
    names = (
        found.group(1)
        for file in TESTS.rglob("test_*.py")
        for found in re.finditer(r"^ *(?:async )?def test_((?:[a-z]\d+_)+)", file.read_text(encoding="utf-8"), re.M)
    )
    return {part for name in names for part in name.split("_")}


@pytest.mark.parametrize("statement", [f"{group}{number}" for group, numbers in IDS.items() for number in numbers])
def test_every_statement_has_a_test(tested, statement):
    assert statement in tested

"""How often a question comes again is counted: word for word, and in other words where a model tells."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.hygiene.questions import FALSE, THRESHOLD, Again, Match, asked_again, groups, matches
from tests.hygiene.meanings import Model

ASKED = [
    "Where is my car?",
    "where is  my CAR?",
    "Where is my automobile?",
    "What about the storm?",
    "Where is my car?",
]


def embed(texts):
    rows = Model().vectors([text.replace("?", "") for text in texts])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_word_for_word_but_for_case_and_white_space():
    assert asked_again(ASKED) == Again(5, exactly=2, reworded=None, largest=3)
    assert asked_again([]) == Again(0, 0, largest=0)


def test_in_other_words():
    found = asked_again(ASKED, embed)
    assert (found.exactly, found.reworded, found.largest, found.compared) == (2, 1, 4, 3)
    assert asked_again(ASKED, embed, threshold=1.1).reworded == 0
    assert asked_again(ASKED, embed, most=2) == Again(5, 2, 1, 4, 2)


def test_what_says_nothing_to_the_model_is_like_nothing():
    assert asked_again(["a", "b", "c"], lambda texts: np.zeros((len(texts), 4))).reworded == 0


def test_each_row_is_matched_with_the_earlier_one_that_is_most_like_it():
    rows = np.array([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6], [0.0, 1.0]])
    assert list(matches(rows, 0.9)) == [Match(3, 1, 1.0)]
    assert [(one.later, one.earlier) for one in matches(rows, 0.7)] == [(2, 0), (3, 1)]
    assert groups(list(matches(rows, 0.5)), 4) == [[0, 2], [1, 3]]
    assert list(matches(np.zeros((0, 2)), 0.5)) == []


@given(st.integers(0, 40), st.integers(1, 6), st.floats(0.1, 0.99), st.integers(0, 1_000))
def test_blocks_make_no_difference(count, block, threshold, seed):
    import ctxkit.hygiene.questions as module

    rows = np.random.default_rng(seed).normal(size=(count, 3))
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    whole = [(one.later, one.earlier) for one in matches(rows, threshold)]
    held, module._BLOCK = module._BLOCK, block
    try:
        assert [(one.later, one.earlier) for one in matches(rows, threshold)] == whole
    finally:
        module._BLOCK = held
    together = groups([Match(*pair, 1.0) for pair in whole], count)
    assert sorted(number for group in together for number in group) == list(range(count))


@pytest.mark.parametrize("name", FALSE)
def test_what_is_said_of_false_matches_is_what_was_measured(name):
    page = (Path(__file__).parents[2] / "docs" / "reference" / "benchmarks.md").read_text()
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith(f"| {name} | ")]
    (row,) = [row for row in rows if row[2] == "model" and row[3] == f"{THRESHOLD:.2f}"]
    assert float(row[5].split()[0]) == FALSE[name]

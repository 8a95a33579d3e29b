"""Questions in other words are found by the real model, and questions about something else are not."""

import json
import lzma
import random

import pytest

from ctxkit import Policy
from ctxkit.hygiene.questions import FALSE, THRESHOLD, matches
from ctxkit.replay.asking import _rows, questions, said

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

ASKED = [
    "How do I reset my password?",
    "What does a double room cost per night?",
    "Is breakfast included in the price?",
    "How can I reset my password?",
    "how do i reset my password?",
    "Do you allow dogs?",
    "Can I pay with a cheque?",
    "Where can I park my car?",
    "When is check-in?",
    "Which bus goes to the airport?",
]


def test_an_audit_tells_what_was_asked_before_in_other_words(vectors):
    found = questions(ASKED, Policy())
    assert (found.asked, found.exactly, found.reworded, found.largest) == (10, 1, 1, 3)
    assert all(name in said(found, Policy()) for name in FALSE)


@pytest.mark.parametrize("name", FALSE)
def test_matches_are_about_the_same_nearly_always(vectors, recorded, name):
    with lzma.open(recorded / "pairs" / f"{name}.jsonl.xz", "rt") as lines:
        rows = [row for row in map(json.loads, lines) if row["split"] in {"test", "oos_test"}]
    rows = random.Random(2).sample(rows, 300)
    found = list(matches(_rows("auto", [row["text"] for row in rows]), THRESHOLD))
    intents = [row["intent"] for row in rows]
    false = [one for one in found if intents[one.later] != intents[one.earlier] or intents[one.later] == "oos"]
    assert len(found) >= 8
    assert len(false) <= 0.1 * len(found)

"""The model that a package brings along: offline, it finds what is said in other words."""

import math
import subprocess
import sys

import numpy as np
import pytest

from ctxkit import Kit, Policy
from ctxkit.faults import Faults
from ctxkit.hall.relevant import relevance_of
from ctxkit.hygiene.embedding import AUTO, ENGLISH, MULTILINGUAL, Embedder, at_hand
from ctxkit.hygiene.relevance import relevance
from ctxkit.hygiene.semantic import Semantic
from ctxkit.hygiene.vectors import Vectors
from tests.core.test_tidying import Session, body, thread
from tests.hygiene.test_windows import NOISE

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

TEXTS = [
    ("The physician sees patients on Mondays and Thursdays.",),
    ("Your automobile was towed to the yard behind the station.", "It will be washed."),
    ("A heavy storm is expected in the evening.",),
    ("The kitten sleeps in its basket all day.",),
    ("You get twenty euros back for the broken lamp.",),
]
ASKED = {
    "When can I see a doctor?": 0,
    "Where did they take my car?": 1,
    "Should we expect rain tonight?": 2,
    "Did our cat wake up?": 3,
    "What refund do I receive?": 4,
}


@pytest.fixture
def semantic(vectors):
    return Semantic(vectors, wait=math.inf)


def test_what_is_said_in_other_words_is_found_where_words_do_not(semantic):
    best = {asked: max(range(5), key=semantic(TEXTS, asked).__getitem__) for asked in ASKED}
    assert best == ASKED
    assert sum(max(relevance(TEXTS, asked)) < 0.2 for asked in ASKED) >= 4


def test_vectors_are_of_unit_length_and_of_each_window(vectors):
    rows = vectors.get([" ".join(f"Sentence {number} is about the harbour." for number in range(80))], math.inf)[0]
    assert rows.shape == (4, 384)
    assert np.linalg.norm(rows.astype(float), axis=1) == pytest.approx(np.ones(4), abs=1e-2)


@pytest.mark.parametrize(
    "text",
    ["", " ", "5", NOISE, "\x00" * 500, "x" * 100_000, "😀" * 1_000, "a\ud800b", "def f(x):\n    return x\n" * 5_000],
)
def test_odd_texts_harm_nothing(semantic, text):
    scores = semantic([*TEXTS, (text,)], "Will it rain tonight?", text)
    assert all(math.isfinite(score) and 0.0 <= score <= 1.0 for score in scores)
    assert not semantic._vectors.failed


def test_japanese_and_chinese_go_by_their_words_with_a_model_of_english(vectors):
    found = vectors.get(["明日の天気はどうなりますか。", "明天天气怎么样？"], math.inf)
    assert [len(one) for one in found] == [0, 0]
    semantic = Semantic(vectors, wait=math.inf)
    texts = [("東京の明日の天気は晴れです。",), ("請求書の金額が違います。",), ("A storm comes.",)]
    assert semantic(texts, "明日の天気はどうなりますか。")[:2] == pytest.approx(
        relevance(texts, "明日の天気はどうなりますか。")[:2]
    )


def test_a_model_is_taken_by_name_by_folder_and_by_itself(vectors):
    folder = at_hand(ENGLISH)
    assert at_hand(folder) == folder
    for named in (AUTO, ENGLISH, folder):
        embedder = Embedder(named)
        rows = embedder.vectors(["The lamp is broken."])
        assert rows.shape == (1, 384)
        assert embedder.foreign is (named == folder)


@pytest.mark.skipif(at_hand(MULTILINGUAL) is not None, reason="it is at hand here")
def test_what_is_not_at_hand_and_cannot_be_had_is_told_and_words_decide(vectors):
    told = []
    missing = Semantic(
        Vectors(Embedder(MULTILINGUAL)), wait=math.inf, complain=lambda kind, words: told.append((kind, words))
    )
    assert missing(TEXTS, "Will it rain?") == relevance(TEXTS, "Will it rain?")
    assert [kind for kind, _ in told] == ["relevance: given up"]
    assert "cannot be loaded" in told[0][1]


def test_nothing_is_downloaded_unasked(vectors):
    assert Embedder(AUTO).widen() is (at_hand(MULTILINGUAL) is not None)


def test_the_first_requests_go_by_words_and_later_ones_by_meaning(vectors):
    session, messages = Session(tidy=Policy(tidy={"relevance": "auto"}).tidy), thread(8)
    session.run(messages[:40])
    assert isinstance(session.kit.rooms.relevance, Semantic)
    vectors.flush()
    session.run(messages, start=40)
    vectors.flush()
    assert not session.kit.faults.counts
    known = vectors.get([one["content"] for one in messages[9:33] if one["role"] == "user"])
    assert known
    assert all(one is not None for one in known)


async def test_an_event_loop_goes_on_while_vectors_are_made(vectors):
    kit = Kit(Policy(mode="prune", shadow=False, tidy={"relevance_wait": 5.0}), strict=True)
    for end in range(3, 60, 8):
        await kit.aplan(body(thread(8)[:end]), dialect="openai.chat", platform="openrouter")
    kit.close()
    vectors.flush()


END = """
import time
from ctxkit.hygiene.vectors import shared
vectors = shared("auto")
vectors.get(["begin"], float("inf"))
vectors.get([f"text number {number}, about a harbour and its ships. " * 15 for number in range(2_000)])
time.sleep(0.3)
"""


def test_a_process_that_ends_in_the_middle_ends_quietly(vectors):
    done = subprocess.run([sys.executable, "-c", END], capture_output=True, timeout=300, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


FORK = """
import os
from ctxkit.hygiene.vectors import shared
vectors = shared("auto")
texts = [f"text number {number}, about a harbour and its ships." for number in range(40)]
vectors.get(texts[:1], float("inf"))
vectors.get(texts)
child = os.fork()
made = vectors.get(texts, float("inf"))
good = all(len(one) == 1 for one in made) and not vectors.troubles.known
if child == 0:
    os._exit(0 if good else 1)
raise SystemExit(os.waitpid(child, 0)[1] or not good)
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="nothing is forked here")
def test_a_forked_worker_has_vectors_too(vectors):
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def test_the_policy_says_so(vectors):
    assert isinstance(relevance_of(Policy(mode="prune"), Faults()), Semantic)
    assert relevance_of(Policy(mode="prune", tidy={"relevance": "lexical"}), Faults()) is relevance

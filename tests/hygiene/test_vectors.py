"""Vectors are made aside, remembered by content, and their failure is told and never raised."""

import asyncio
import math
import os
import threading

import numpy as np
import pytest

from ctxkit.hygiene.vectors import Vectors
from tests.hygiene.meanings import Model

LONG = "\n".join(f"The car of number {number} stands in the garage." for number in range(100))


def test_what_is_not_known_is_made_aside_and_there_the_next_time():
    model = Model()
    vectors = Vectors(model)
    early = vectors.get(["a car", "a cat"])  # nobody waits; a quick thread may be there before
    assert all(one is None or one.shape == (1, 24) for one in early)
    vectors.flush()
    one, two = vectors.get(["a car", "a cat"])
    assert one.shape == two.shape == (1, 24)
    assert one.dtype == np.float16
    assert np.linalg.norm(one.astype(float)) == pytest.approx(1.0, abs=1e-2)
    vectors.get(["a cat", "a car"], math.inf)
    assert sorted(text for texts in model.asked for text in texts) == ["a car", "a cat"]
    assert model.loads == 1


def test_the_thread_makes_them_and_ends(monkeypatch):
    monkeypatch.setattr("ctxkit.hygiene.vectors._LINGER", 0.0)
    vectors = Vectors(Model())
    vectors.get(["a car", LONG])
    thread = vectors._thread
    if thread is not None:
        thread.join(10)
    assert [one is not None for one in vectors.get(["a car", LONG])] == [True, True]
    assert vectors._thread is None


def test_a_long_text_has_a_row_for_each_window_and_one_that_says_nothing_has_none():
    long, nothing = Vectors(Model()).get([LONG, "== =="], math.inf)
    assert len(long) > 3
    assert len(nothing) == 0


def test_a_request_may_wait_a_little_but_never_in_an_event_loop():
    model = Model()
    vectors = Vectors(model)
    vectors.get(["a car"], math.inf)
    assert vectors.get(["a cat"], 10.0)[0] is not None

    held = threading.Event()
    model.load()
    real, model.vectors = model.vectors, lambda texts: (held.wait(10), real(texts))[1]

    async def asks():
        return vectors.get(["a storm"], 10.0)

    assert asyncio.run(asks()) == [None]
    assert vectors.get(["a storm"], 0.001) == [None]
    assert vectors.get(["a storm"], 0.001, late=False) == [None]
    assert vectors.troubles.known["late"] == (1, "vectors were not there within 0.001 s")
    held.set()
    assert vectors.get(["a storm"], 10.0)[0] is not None


def test_nobody_waits_while_the_model_is_loaded():
    model, loaded = Model(), threading.Event()
    model.load = lambda: loaded.wait(10)
    vectors = Vectors(model)
    assert vectors.get(["a car"], 5.0) == [None]
    loaded.set()
    vectors.flush()


@pytest.mark.parametrize(
    "error", [OSError("no such file: secret"), ImportError("torch"), MemoryError(), ValueError("?")]
)
def test_a_model_that_cannot_be_loaded_is_given_up(error):
    vectors = Vectors(Model(unloadable=error))
    assert vectors.get(["a car"], math.inf)[0] is None or len(vectors.get(["a car"])[0]) == 0
    assert vectors.failed
    assert vectors.troubles.known == {"given up": (1, f"the model cannot be loaded ({type(error).__name__})")}
    assert vectors.get(["a cat"]) == [None]
    assert vectors._waiting == {}


def test_that_no_model_is_at_hand_is_nothing_to_be_told():
    vectors = Vectors(Model(unloadable=LookupError("none is at hand")))
    vectors.get(["a car"], math.inf)
    assert vectors.failed
    assert vectors.troubles.known == {}


def test_a_text_that_fails_goes_by_its_words_and_a_model_that_always_fails_is_given_up():
    model = Model(broken=RuntimeError("CUDA out of memory: the text was ..."))
    vectors = Vectors(model)
    assert len(vectors.get(["a car"], math.inf)[0]) == 0
    assert vectors.troubles.known == {"failed": (1, "texts could not be embedded (RuntimeError)")}
    model.broken = None
    assert len(vectors.get(["a cat"], math.inf)[0]) == 1
    model.broken = RuntimeError()
    for number in range(3):
        vectors.get([f"a storm of strength {number}"], math.inf)
    assert vectors.failed
    assert "given up" in vectors.troubles.known


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 0.0])
def test_vectors_that_are_no_numbers_are_none(wrong):
    model = Model()
    model.vectors = lambda texts: np.array([[wrong] * 4 if "car" in text else [1.0, 0, 0, 0] for text in texts])
    vectors = Vectors(model)
    one, two = vectors.get(["a car", "a cat"], math.inf)
    assert (len(one), len(two)) == (0, 1)
    assert vectors.troubles.known["not numbers"][0] == 1


@pytest.mark.parametrize("wrong", [np.zeros((7, 4)), np.zeros(4), "words", [[1.0], [1.0, 2.0]], None])
def test_an_answer_of_another_shape_is_a_failure(wrong):
    model = Model()
    model.vectors = lambda texts: wrong
    vectors = Vectors(model)
    assert len(vectors.get(["a car"], math.inf)[0]) == 0
    assert "failed" in vectors.troubles.known


def test_memory_is_bounded_and_keeps_what_was_asked_for_last():
    vectors = Vectors(Model(), size=10 * (24 * 2 + 200))
    for number in range(30):
        vectors.get([f"a car numbered {'x' * number}", "a cat"], math.inf)
    assert len(vectors._known) == 10
    assert vectors._held <= vectors._size
    assert vectors.get(["a cat"])[0] is not None
    assert all(isinstance(key, bytes) and len(key) == 16 for key in vectors._known)


def test_the_queue_is_bounded(monkeypatch):
    monkeypatch.setattr("ctxkit.hygiene.vectors._QUEUE", 100)
    monkeypatch.setattr(Vectors, "_start", lambda _: None)
    vectors = Vectors(Model())
    vectors.get([f"a car numbered {number}" for number in range(50)])
    assert 0 < vectors._queued <= 100
    assert vectors.troubles.known["crowded"][0] > 40


def test_a_batch_that_takes_too_long_is_told_once(monkeypatch):
    monkeypatch.setattr(Vectors, "_start", lambda _: None)
    monkeypatch.setattr("ctxkit.hygiene.vectors._LONGEST", 0.0)
    vectors = Vectors(Model())
    vectors._begun = 0.0
    vectors.get(["a car"])
    vectors.get(["a cat"])
    assert vectors.troubles.known["slow"][0] == 1


JAPANESE = [f"明日の天気はどうなりますか。それは{number}番です。" * 20 for number in range(8)]


def test_other_languages_go_by_their_words_where_the_model_is_english():
    model = Model(foreign=False)
    vectors = Vectors(model)
    found = vectors.get(["The car is in the garage.", *JAPANESE], math.inf)
    assert [len(one) for one in found] == [1, *[0] * 8]
    assert "no model of more languages" in vectors.troubles.known["other languages"][1]


def test_where_most_is_in_other_languages_another_model_takes_over():
    model = Model(foreign=False, wide=True)
    vectors = Vectors(model)
    vectors.get(["The car is in the garage."], math.inf)
    vectors.get(JAPANESE, math.inf)
    assert model.foreign
    assert vectors.get(["The car is in the garage."]) == [None]  # of the other model
    assert len(vectors.get([JAPANESE[-1]], math.inf)[0]) > 1
    assert vectors.troubles.known == {}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here")
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_forked_child_knows_what_its_parent_knew_and_makes_its_own(monkeypatch):
    model = Model()
    vectors = Vectors(model)
    vectors.get(["a car"], math.inf)
    vectors.get(["a storm"])
    if (child := os.fork()) == 0:
        known = vectors.get(["a car"])[0] is not None
        made = len(vectors.get(["a cat"], math.inf)[0]) == 1 and model.forks == 1
        os._exit(0 if known and made else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert vectors.get(["a storm"], math.inf)[0] is not None
    assert model.forks == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here")
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_model_that_was_half_loaded_is_no_good_in_a_child(monkeypatch):
    monkeypatch.setattr("ctxkit.hygiene.vectors._HALF", 0.01)
    model, loaded = Model(), threading.Event()
    begun = threading.Event()
    model.load = lambda: (begun.set(), loaded.wait(10))
    vectors = Vectors(model)
    vectors.begin()
    begun.wait(10)
    if (child := os.fork()) == 0:
        os._exit(0 if vectors.failed and vectors.get(["a car"]) == [None] else 1)
    assert os.waitpid(child, 0)[1] == 0
    loaded.set()
    assert len(vectors.get(["a car"], math.inf)[0]) == 1


def test_after_the_end_nothing_more_is_made():
    vectors = Vectors(Model())
    vectors.get(["a car"], math.inf)
    vectors.get(["a cat"])
    vectors.close()
    assert vectors.get(["a storm"], math.inf) == [None]
    assert vectors.get(["a car"])[0] is not None
    assert vectors.troubles.known == {}

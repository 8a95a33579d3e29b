"""What is meant in other words is relevant, too, as far as it stands out; without vectors words decide alone."""

import math

import pytest

from ctxkit.hygiene.episodes import Episodes
from ctxkit.hygiene.relevance import relevance
from ctxkit.hygiene.semantic import Semantic
from ctxkit.hygiene.vectors import Vectors
from tests.hygiene.meanings import Model
from tests.hygiene.threads import Thread

TEXTS = [
    ("The physician sees patients on Mondays.",),
    ("Your automobile waits in the yard.", "It was washed."),
    ("We expect a storm.",),
    ("The kitten sleeps.",),
    ("Refund of 20 euros.",),
]


def semantic(model=None, wait=math.inf, **options):
    return Semantic(Vectors(model or Model()), wait=wait, **options)


def test_a_synonym_makes_a_text_relevant_which_words_do_not_find():
    assert relevance(TEXTS, "my car") == [0.0] * 5
    scores = semantic()(TEXTS, "my car")
    assert max(range(5), key=scores.__getitem__) == 1
    assert scores[1] > 0.2
    assert all(score < 0.1 for at, score in enumerate(scores) if at != 1)


def test_words_are_never_held_for_less_than_they_were():
    found, words = (
        semantic()(TEXTS, "patients with a storm", "the kitten"),
        relevance(TEXTS, "patients with a storm", "the kitten"),
    )
    assert all(0.0 <= word <= score <= 1.0 for word, score in zip(words, found, strict=True))


def test_what_is_like_everything_says_nothing():
    texts = [(f"Yes please, the {word}.",) for word in ("garage", "clinic", "invoice", "rain", "kitten", "vehicle")]
    polite = semantic()(texts, ("Okay thanks.",))
    assert max(polite) < 0.15
    mixed = semantic()(texts, ("Okay thanks.", "The car.", "The automobile."))
    assert mixed[0] > 2 * mixed[3]
    assert mixed[5] > 2 * mixed[3]


def test_until_all_vectors_are_there_words_decide_on_all():
    vectors = Vectors(Model())
    late = Semantic(vectors)
    words = relevance(TEXTS, "my car")
    assert late(TEXTS, "my car") == words
    vectors.flush()
    scores = late(TEXTS, "my car")
    assert scores == semantic()(TEXTS, "my car")
    assert late([*TEXTS, ("The vehicle is blue.",)], "my car")[:5] == words
    vectors.flush()
    assert late([*TEXTS, ("The vehicle is blue.",)], "my car")[5] > 0.2


def test_of_a_query_the_parts_that_are_known_count():
    vectors = Vectors(Model())
    late = Semantic(vectors)
    late(TEXTS, ("my car",))
    vectors.flush()
    assert late(TEXTS, ("my car", "Never said before.")) == pytest.approx(semantic()(TEXTS, ("my car",)))


@pytest.mark.parametrize("queries", [(), ("",), (("", ""),), ("==", "\x00" * 90)])
def test_nothing_that_is_asked_is_in_nothing(queries):
    assert semantic()(TEXTS, *queries) == relevance(TEXTS, *queries)


def test_texts_that_say_nothing_go_by_their_words():
    texts = [("",), (), ("== 42 ==",), ("The vehicle.",), ("A doctor.",)]
    scores = semantic()(texts, "== 42 == car")
    assert scores[:2] == [0.0, 0.0]
    assert scores[3] > scores[4]
    assert semantic()([], "a car") == []
    assert semantic()([("",), ("",)], "a car") == [0.0, 0.0]


def test_a_failure_is_told_as_often_as_it_was_and_words_decide():
    told = []
    broken = semantic(
        Model(unloadable=OSError("no such file")), complain=lambda kind, words: told.append((kind, words))
    )
    assert broken(TEXTS, "my car") == relevance(TEXTS, "my car")
    broken(TEXTS, "my car")
    assert told == [("relevance: given up", "the model cannot be loaded (OSError)")]
    failing = semantic(Model(broken=RuntimeError()), complain=lambda kind, words: told.append((kind, words)))
    assert failing(TEXTS, "my car") == relevance(TEXTS, "my car")
    assert {kind for kind, _ in told[1:]} == {"relevance: failed"}
    assert failing.patient(1.0)(TEXTS, "my car") == relevance(TEXTS, "my car")


def errands():
    """Two errands, and a third one that comes back to the first in other words."""
    thread = Thread().user("Hello.").says("Hello, what can I do?")
    thread.user("Please see about the automobile in the garage.").says("The vehicle was washed and polished. " * 40)
    thread.user("Another thing: what does the clinic cost?").says("A physician asks for two hundred. " * 50)
    thread.user("Is a storm coming?").says("Rain on Friday, some sunshine later.").user("Fine.").says("Good.")
    for number in range(4):
        thread.user(f"And in {number} days?").says(f"Day {number}: rain.")
    return thread


def test_an_episode_that_is_meant_again_stays():
    thread = errands()
    thread.user("Then I would rather take the car.").says("Of course.")
    thread.user("The car, the car in the garage of the vehicle, the automobile.")
    words, meant = ([one.action for one in Episodes(relevance=by)(thread.history)] for by in (relevance, semantic()))
    assert words
    assert sum(one.end - one.start for one in meant) < sum(one.end - one.start for one in words)


def test_a_request_waits_only_where_that_helps(monkeypatch):
    """For what is new in a query, once, and not while texts are missing anyway; work behind a request waits for both."""
    vectors, waited = Vectors(Model()), []
    get = vectors.get
    monkeypatch.setattr(vectors, "_start", lambda: None)  # nothing is made but by ``flush``, however fast a thread is
    monkeypatch.setattr(vectors, "get", lambda texts, wait=0.0, **how: waited.append(wait) or get(texts, **how))
    hurried = Semantic(vectors, wait=3.0)
    hurried(TEXTS, "my car", ("the storm", "a cat"))
    assert waited == [0.0, 0.0]
    vectors.flush()
    hurried(TEXTS, "my car", ("the storm", "a kitten"))
    assert waited[2] == 0.0
    assert 2.0 < waited[3] <= 3.0
    hurried.patient(9.0)(TEXTS, "an automobile")
    assert waited[4] == 9.0
    assert 8.0 < waited[5] <= 9.0
    assert len(waited) == 6

"""Whatever stands in a conversation, the figures of its drift stay what they are defined to be."""

import math
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from ctxkit.drift import Drift, Superseded
from ctxkit.hygiene.drift import WEIGHTS, curve, looked, score
from ctxkit.hygiene.history import History
from tests.hygiene.threads import Thread

WORDS = [
    "book",
    "JFK",
    "ORD-4711",
    "src/app.py",
    "the",
    "旅館",
    "航班",
    "2026-03-01",
    "QUJD" * 30,
    "{}",
    "\n",
    "\ud800",
    "a" * 900,
]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join)
TURNS = st.lists(st.tuples(st.sampled_from(["user", "says", "calls", "nothing"]), TEXTS, TEXTS), max_size=14)
SHARES = st.floats(0, 1)
DRIFTS = st.builds(
    Drift,
    st.just(0.0),
    tokens=st.just(1_000),
    noise=st.integers(0, 1_000),
    repetition=SHARES,
    loop=SHARES,
    goal=st.none() | SHARES,
    superseded=st.integers(0, 5).map(lambda count: (Superseded(0, 1, "superseded"),) * count),
    position=SHARES,
)


def tokens(piece):
    return len(piece.text) / 4


def thread_of(turns):
    thread = Thread()
    for kind, text, other in turns:
        if kind == "calls":
            thread.calls("tool", other, text=text)
        elif kind == "nothing":
            thread.nothing()
        else:
            getattr(thread, kind)(text)
    return thread.history


@given(TURNS)
@settings(max_examples=25)
def test_figures_stay_within_their_bounds_and_depend_on_the_conversation_alone(turns):
    history = thread_of(turns)
    found = looked(history, tokens_of=tokens, pins=("ORD",))
    drift = found.drift
    assert found == looked(thread_of(turns), tokens_of=tokens, pins=("ORD",))
    assert drift.score == score(drift)
    for figure in (drift.score, drift.noise_share, drift.repetition, drift.loop, drift.position, drift.goal or 0.0):
        assert 0.0 <= figure <= 1.0
    assert drift.noise <= drift.tokens == round(sum(map(tokens, history.pieces)))
    assert math.isclose(sum(found.noise.values()), sum(spot.tokens for spot in found.spots))
    held = {*history.turns[-1:], *range(history.steps[-1] if history.steps else 0, history.count)}
    assert held.isdisjoint(place[0] for place in found.noise), "the latest words and what came since"


@given(TURNS)
@settings(max_examples=15)
def test_a_curve_is_made_of_what_each_request_comes_to(turns):
    history = thread_of(turns)
    for end, one in curve(history, tokens_of=tokens, most=5):
        prompt = History([piece for piece in history.pieces if piece.message < end], end)
        assert one == looked(prompt, tokens_of=tokens)


@given(DRIFTS, DRIFTS)
def test_the_score_grows_with_each_figure_and_with_nothing_else(one, other):
    worst = replace(
        one,
        noise=max(one.noise, other.noise),
        repetition=max(one.repetition, other.repetition),
        loop=max(one.loop, other.loop),
        goal=one.goal if other.goal is None else other.goal if one.goal is None else min(one.goal, other.goal),
        superseded=max(one.superseded, other.superseded, key=len),
        position=max(one.position, other.position),
    )
    assert 0.0 <= max(score(one), score(other)) <= score(worst) <= 1.0
    assert score(replace(one, score=0.7, fee=None, by="another")) == score(one)


@given(DRIFTS)
def test_no_figure_hides_another_and_none_counts_for_more_than_its_weight(one):
    alone = {
        "noise": replace(Drift(0.0, tokens=1_000), noise=one.noise),
        "repetition": Drift(0.0, repetition=one.repetition),
        "loop": Drift(0.0, loop=one.loop),
        "goal": Drift(0.0, goal=one.goal),
        "superseded": Drift(0.0, superseded=one.superseded),
        "position": Drift(0.0, position=one.position),
    }
    for name, drift in alone.items():
        assert score(drift) <= WEIGHTS[name]
        assert score(drift) <= score(one)

"""Drift of recordings: which are measured, the course of each, the same as live, sums that hold."""

import io
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.drift import Drift
from ctxkit.hall.gauge import Gauge
from ctxkit.metering.paid import Paid
from ctxkit.money import usd_of
from ctxkit.policy import Policy
from ctxkit.replay.auditing import audit
from ctxkit.replay.drifting import MANY, Drifted, Looks, _carried, _Looked, _nearest, looks_at, thinned, together, worst
from ctxkit.replay.hashing import HASHER
from ctxkit.replay.measuring import measured
from ctxkit.replay.posing import Assumed, posed, usual
from ctxkit.replay.rendering import renderables, sparkline
from ctxkit.replay.resending import Bench
from ctxkit.replay.threads import thread_of
from ctxkit.replay.waste import Run
from tests.replay.recordings_by_hand import agent, called, recording


def circles(name="circles", turns=6):
    """The same call, and the same comes of it; one request more than there are calls."""
    messages = [{"role": "user", "content": "Mend src/parser.py, please: it loses commas."}]
    for number in range(turns):
        messages += called(number, "bash", {"command": "pytest -q"}, "No module named tokenizer\n" * 30)
    messages.append({"role": "assistant", "content": "I give up."})
    return recording(thread_of(messages, name))


@pytest.fixture(scope="module")
def found():
    return audit([recording(agent("agent", turns=2)), circles()], processes=1, policy=Policy(on_drift=lambda _: None))


def test_an_audit_tells_it_for_all_and_for_each(found):
    told = json.loads(json.dumps(found.to_dict()))
    drift = told["drift"]
    assert drift["measured"] == sum(drift["threads"].values()) == 2
    assert drift["loops"] == 1
    assert drift["threads"]["lost"] >= 1
    assert drift["noise_tokens"] == pytest.approx(sum(one["drift"]["noise_tokens"] for one in told["by_thread"]), abs=1)
    assert Decimal(drift["noise_fee"]) == pytest.approx(
        sum(Decimal(one["drift"]["noise_fee"]) for one in told["by_thread"])
    )
    stuck = told["by_thread"][1]["drift"]
    assert (stuck["level"], stuck["loop"] > 0.9) == ("lost", True)
    assert [at["request"] for at in stuck["curve"]] == list(range(1, 8))
    assert stuck["curve"][0]["score"] < stuck["curve"][-1]["score"] == stuck["score"]


def test_it_is_what_a_kit_says_of_the_last_request(found):
    bench = Bench()
    one = posed(circles(), usual(circles(), Assumed()), bench.meter.counter)[-1]
    seen = Gauge(HASHER, bench.meter).look(one.body, dialect=one.dialect, platform=one.platform, model=one.model)
    assert seen.drift.score == found.threads[1].drift.end.score
    assert seen.drift.loop == found.threads[1].drift.end.loop


def test_people_see_it(found):
    from rich.console import Console

    console = Console(width=100, record=True, file=io.StringIO())
    for one in renderables(found):
        console.print(one)
    printed = console.export_text()
    assert "Drift of 2 threads" in printed
    assert "Threads that drifted most" in printed
    assert sparkline(found.threads[1].drift.curve) in printed
    section = next(one for one in found.page().sections if one.title == "Drift")
    assert section.charts[0].labels == tuple(map(str, range(1, 8)))
    assert section.tables[0].rows[0][0] == found.threads[1].name


def test_a_policy_may_leave_it_out():
    told = audit([circles(turns=3)], processes=1, policy=Policy(drift=False)).to_dict()
    assert told["drift"] is None
    assert told["by_thread"][0]["drift"] is None


def test_thresholds_of_the_policy_hold():
    one = measured(circles(), Bench(Policy(drift_at=0.98, drift_lost_at=0.99)), Assumed())
    assert one.drift.end.level == "calm"
    assert worst([one])  # it is stuck all the same


# ---- which are measured --------------------------------------------------------------------------------------------------


@given(st.text(max_size=20), st.integers(1, 500), st.sampled_from([10, 40]))
def test_of_many_requests_some_are_measured_and_the_same_each_time(name, requests, each):
    looks = looks_at(name, requests, each=each)
    assert looks == looks_at(name, requests, each=each)
    assert looks.most <= max(requests // each, 1)
    if requests >= each:
        assert looks.weight == 1
        assert looks.most
    assert looks_at(name, requests).most >= looks.most


def test_the_more_there_are_the_fewer_are_measured():
    assert [thinned(requests) for requests in (0, 1_000, 1_001, MANY, MANY + 1)] == [1, 1, 10, 10, 40]


def test_short_recordings_stand_for_one_another():
    looks = [looks_at(f"recording {number}", 2, each=10) for number in range(5_000)]
    assert sum(one.weight for one in looks if one.most) == pytest.approx(5_000, rel=0.1)
    assert sum(one.most for one in looks) == pytest.approx(1_000, rel=0.1)


def test_many_requests_are_sampled_unless_all_is_asked_for(monkeypatch):
    monkeypatch.setattr("ctxkit.replay.drifting._THIN", ((5, 1), (MANY, 10)))
    many = [circles(f"circles {number}", turns=2) for number in range(8)]
    some, every = (audit(many, processes=1, everything=everything) for everything in (False, True))
    assert every.drift.measured == 8
    assert 0 < some.drift.measured < 8
    assert "Drift was measured in" in "\n".join(_notes(some))


def _notes(found):
    from ctxkit.replay.rendering import notes

    return list(notes(found))


# ---- sums ----------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 60), min_size=1, unique=True), st.integers(0, 60))
def test_the_nearest_request_that_was_measured(numbers, number):
    numbers.sort()
    near = numbers[_nearest(numbers, number)]
    assert abs(near - number) == min(abs(one - number) for one in numbers)


def test_noise_counts_in_each_request_that_carried_it_where_it_stood():
    points = [_Looked(0, Drift(0.0), ()), _Looked(2, Drift(0.5), ((10.0, 20.0), (50.0, 60.0)))]
    rates = (1.0, 2.0, 4.0)
    run = Run([1, 2, 3], [Paid(40, 0, 0, rates), Paid(80, 25, 0, rates), Paid(120, 120, 0, rates)], [40, 80, 120])
    tokens, pico = _carried(points, run)
    # The second request is as near to the first: it has no noise yet. All of the third was read.
    assert tokens == 80
    assert pico == 80
    free = Run([1], [Paid(40)], [40])
    assert _carried([points[0]], free) == (0.0, None)


def drifted(score, requests=1, weight=1.0, pico=None, tokens=100.0, noise=50.0, loop=0.0):
    level = "lost" if score >= 0.7 else "calm"
    return Drifted(Drift(score, level=level), (), requests, tokens, noise, pico, loop, weight)


def test_together_they_count_by_their_requests_and_by_what_they_stand_for():
    found = together([drifted(0.2, requests=3, pico=7.0), drifted(0.8, weight=3.0, noise=100.0)], Policy())
    assert found.score == pytest.approx(0.5)
    assert found.noise == 350
    assert found.noise_share == 350 / 400
    assert (found.pico, found.measured, found.levels) == (7.0, 2, {"calm": 1, "drifting": 0, "lost": 1})
    assert together([], Policy()) is None
    assert together([drifted(0.1)], Policy()).pico is None


def test_nothing_is_looked_at_closely_by_default_of_many():
    assert looks_at("x", 35, each=10) == Looks(3, 1.0)
    assert usd_of(None) is None

"""What tells relevance is chosen by the policy and by what is at hand; whatever it does, requests go out."""

import asyncio
import math

import pytest

from ctxkit import ConfigurationError, Kit, Policy
from ctxkit.faults import Faults
from ctxkit.hall import relevant
from ctxkit.hall.relevant import relevance_of
from ctxkit.hygiene.relevance import relevance
from ctxkit.hygiene.semantic import Semantic
from ctxkit.hygiene.vectors import Vectors
from ctxkit.replay.resending import Bench
from tests.core.test_tidying import Session, body, thread
from tests.hygiene.meanings import Model


@pytest.fixture
def model(monkeypatch):
    """The extra as if it were installed, with a model that is none."""
    found = Model()
    vectors = Vectors(found)
    monkeypatch.setattr(relevant, "installed", lambda: True)
    monkeypatch.setattr("ctxkit.hygiene.vectors.shared", lambda _: vectors)
    found.memory = vectors
    yield found
    vectors.close()


def policy(**tidy):
    return Policy(mode="prune", shadow=False, tidy=tidy)


def test_words_decide_where_nothing_else_is_installed_or_wanted(monkeypatch, model):
    assert relevance_of(policy(relevance="lexical"), Faults()) is relevance
    monkeypatch.setattr(relevant, "installed", lambda: False)
    faults = Faults()
    assert relevance_of(policy(), faults) is relevance
    assert not faults.counts
    assert relevance_of(policy(relevance="my-model"), faults) is relevance
    assert faults.counts == {"relevance: no model": 1}


@pytest.mark.parametrize("named", ["auto", "all-MiniLM-L6-v2", "/models/mine"])
def test_a_model_is_taken_where_it_is_installed(model, named):
    found = relevance_of(policy(relevance=named), Faults())
    assert isinstance(found, Semantic)
    assert found.name == "semantic"
    assert model.loads == 0


@pytest.mark.parametrize("mode", ["observe", "cache", "lossless"])
def test_unasked_nobody_who_removes_nothing_has_a_model(model, mode):
    assert relevance_of(Policy(mode=mode), Faults()) is relevance
    assert isinstance(relevance_of(Policy(mode=mode, tidy={"relevance": "mine"}), Faults()), Semantic)


@pytest.mark.parametrize("wrong", [{"relevance": ""}, {"relevance_wait": -1}, {"relevance_wait": 60}, {"relevance": 3}])
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigurationError):
        policy(**wrong)


def test_warming_loads_the_model_behind_the_rest(model):
    kit = Kit(policy(), strict=True)
    kit.warm()
    kit._warming.join()
    model.memory.flush()
    assert model.loads == 1
    kit.close()


def test_no_model_is_loaded_for_those_who_remove_nothing(model):
    kit = Kit(Policy(mode="lossless", shadow=False), strict=True)
    kit.warm()
    kit._warming.join()
    kit.plan(body(thread(3)), dialect="openai.chat")
    assert model.loads == 0
    kit.close()


@pytest.mark.parametrize(
    "fault",
    [
        {"unloadable": OSError("gone")},
        {"unloadable": MemoryError()},
        {"broken": RuntimeError("no")},
        {"foreign": False},
        {},
    ],
)
def test_requests_go_out_whatever_becomes_of_the_model(model, fault):
    """Each plan is what words alone would have it, and the fault is counted and never raised, even where faults are."""
    vars(model).update(fault)
    session, plain = Session(), Session(tidy=policy(relevance="lexical").tidy)
    messages = thread(6)
    for end in range(3, len(messages), 8):
        assert session.ask(messages[:end]).body["messages"] == plain.ask(messages[:end]).body["messages"]
        model.memory.flush()
    assert model.memory.failed is ("unloadable" in fault or "broken" in fault)
    if "unloadable" in fault:
        assert session.kit.faults.counts == {"relevance: given up": 1}


def test_a_plan_of_the_same_state_is_the_same_and_what_was_sent_sticks(model):
    session, messages = Session(), thread(12)
    session.run(messages)
    assert model.asked
    asked = [*messages, {"role": "user", "content": "What now?"}]
    session.plan(asked)
    model.memory.flush()
    plan = session.plan(asked)
    assert plan.decision.decided
    assert session.plan(asked).body == plan.body
    session.kit.sent(plan)
    again = Session(store=session.store, tidy=policy(relevance="lexical").tidy)  # knows nothing of any vector
    assert again.plan(asked).decision.decided == plan.decision.decided


async def test_an_event_loop_never_waits(model):
    kit = Kit(policy(relevance_wait=5.0), strict=True)
    model.vectors = lambda texts: pytest.fail("made in the loop") if _in_loop() else Model().vectors(texts)
    messages = thread(5)
    for end in range(3, len(messages), 8):
        await kit.aplan(body(messages[:end]), dialect="openai.chat", platform="openrouter")
    kit.close()


def _in_loop():
    try:
        return asyncio.get_running_loop() is not None
    except RuntimeError:
        return False


def test_a_replay_says_the_same_each_time(model):
    kit = Bench(policy(relevance="my-model")).kit("prune")
    assert kit.rooms.relevance is relevance


def test_work_off_the_requests_path_may_wait(model):
    found = relevance_of(policy(), Faults(strict=True)).patient(math.inf)
    assert found([("The automobile.",), ("A kitten.",)], "my car")[0] > 0.1

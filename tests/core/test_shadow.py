"""What stronger modes would have saved: against kits that really ran in those modes, with the same simulated caches."""

from __future__ import annotations

import contextlib
import json
import os
import random
import threading

import pytest

from ctxkit import Kit, Policy
from ctxkit.hall.shadow import Shadows, read_shadow, shadows_of
from ctxkit.metering.report.beside import Foregone, Shadow
from ctxkit.model import Usage
from ctxkit.stores.disk import DiskStore
from ctxkit.stores.memory import MemoryStore

NOW = 1_795_000_000.0
CHAT = {"dialect": "openai.chat", "platform": "openai"}
WORDS = [
    "the",
    "of",
    "and",
    "a",
    "to",
    "in",
    "is",
    "it",
    "you",
    "that",
    "he",
    "was",
    "for",
    "on",
    "are",
    "with",
    "as",
    "his",
    "they",
    "at",
]
SYSTEM = "You are a careful assistant of a small shop. " * 300


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def kit_of(clock, mode="observe", store=None, **more):
    return Kit(Policy(mode=mode, **more), store=store, ledger=None, clock=clock, strict=True)


def text(rng, words):
    return " ".join(rng.choices(WORDS, k=words))


def talk(kit, shadows, clock, *, turns=6, gap=30.0, feature="chat", thread=None, seed=1):
    """A conversation of which nothing is cached; the provider reports what it likes, which the shadow does not read."""
    rng = random.Random(seed)
    messages = []
    for _ in range(turns):
        messages.append({"role": "user", "content": text(rng, 300)})
        body = {"model": "claude-sonnet-4-5", "max_tokens": 100, "system": SYSTEM, "messages": messages}
        plan = kit.plan(
            body, dialect="anthropic.messages", platform="anthropic", feature=feature, thread=thread or f"t{seed}"
        )
        shadows.offer(plan, kit.settle(plan, Usage(plan.estimate.input_tokens, 0, {}, 20)))
        messages.append({"role": "assistant", "content": text(rng, 60)})
        clock.now += gap


def still(shadows: Shadows) -> Shadows:
    """Without a thread: tests say when."""
    shadows.behind._begin = lambda: None
    return shadows


@pytest.fixture
def observing(clock):
    kit = kit_of(clock, store=MemoryStore(), shadow=False)
    shadows = still(shadows_of(kit))
    yield kit, shadows
    shadows.close()
    kit.close()


def test_each_mode_costs_what_a_simulated_provider_would_have_charged(observing, clock):
    kit, shadows = observing
    talk(kit, shadows, clock)
    shadows.flush()
    assert shadows.failed == 0
    (found,) = shadows.told().features
    assert (found.feature, found.threads, found.requests) == ("chat", 1, 6)
    # As sent nothing is marked, so every token is fresh. In mode cache the prefix is written once and read afterwards.
    fresh = 3_000_000  # pico-dollars a token: $3 a million
    report = kit.report().total
    assert found.as_sent == report.input_total * fresh + report.output * 5 * fresh
    assert found.saved("cache") > 0
    assert 0.2 < found.share("cache") < 0.9
    assert found.costs["prune"] <= found.costs["cache"]


def test_a_mode_that_only_costs_more_is_told_with_its_sign(observing, clock):
    kit, shadows = observing
    for seed in range(3):
        talk(kit, shadows, clock, turns=2, gap=4_000, feature="rare", seed=seed)
    shadows.flush()
    (found,) = shadows.told().features
    assert found.saved("cache") <= 0


def test_only_stronger_modes_are_compared(clock):
    kit = kit_of(clock, "lossless", shadow=False)
    shadows = still(shadows_of(kit))
    talk(kit, shadows, clock)
    shadows.flush()
    (found,) = shadows.told().features
    assert set(found.costs) == {"prune"}
    strongest = kit_of(clock, "prune", shadow=False)
    nothing = still(shadows_of(strongest))
    talk(strongest, nothing, clock)
    nothing.flush()
    assert nothing.told().features == ()
    for one in (shadows, kit, nothing, strongest):
        one.close()


def test_the_original_is_planned_and_not_what_was_sent(clock):
    kit = kit_of(clock, "cache", shadow=False)
    shadows = still(shadows_of(kit))
    talk(kit, shadows, clock)
    bodies = [json.dumps(job.body) for job in shadows.behind.queue]
    assert bodies
    assert not any("cache_control" in body for body in bodies)
    assert any("cache_control" in json.dumps(job.plan.body) for job in shadows.behind.queue)
    shadows.close()
    kit.close()


def test_a_list_that_grows_afterwards_is_not_what_was_sent(observing, clock):
    kit, shadows = observing
    messages = [{"role": "user", "content": "hello"}]
    body = {"model": "claude-sonnet-4-5", "max_tokens": 10, "messages": messages}
    plan = kit.plan(body, dialect="anthropic.messages", platform="anthropic")
    shadows.offer(plan, kit.settle(plan, Usage(8, 0, {}, 1)))
    messages.append({"role": "assistant", "content": "later"})
    assert len(shadows.behind.queue[0].body["messages"]) == 1


@pytest.mark.parametrize("usage", [None, Usage(), Usage(fresh=10)])
def test_what_is_not_known_of_a_request_is_not_compared(observing, usage):
    kit, shadows = observing
    body = {"model": "claude-sonnet-4-5", "max_tokens": 10, "messages": [{"role": "user", "content": "hello"}]}
    plan = kit.plan(body, dialect="anthropic.messages", platform="anthropic")
    shadows.offer(plan, kit.settle(plan, usage))
    assert not shadows.behind.queue
    assert shadows.told() == Shadow("observe", 0, 0)


def test_a_model_without_a_price_is_seen_and_not_told(observing):
    kit, shadows = observing
    body = {"model": "nobody-knows-it", "messages": [{"role": "user", "content": "hello"}]}
    plan = kit.plan(body, dialect="openai.chat", platform="openai")
    shadows.offer(plan, kit.settle(plan, Usage(8, 0, {}, 1)))
    shadows.flush()
    assert shadows.failed == 0
    assert shadows.told().features == ()


def test_what_is_too_much_is_left_out_by_whole_conversations(observing, clock):
    kit, shadows = observing
    for seed in range(30):
        talk(kit, shadows, clock, turns=4, seed=seed)
    assert len(shadows.behind.queue) == 64
    assert shadows.share < 1.0
    shadows.flush()
    before = shadows.share
    for seed in range(100, 140):
        talk(kit, shadows, clock, turns=1, seed=seed)
    assert len(shadows.behind.queue) < 40
    assert shadows.share == before
    shadows.flush()
    told = shadows.told()
    assert told.seen == 160
    assert told.planned == sum(one.requests for one in told.features) < 160
    assert told.coverage == told.planned / 160


def test_a_fault_in_the_shadow_stays_there(observing, clock):
    kit, shadows = observing
    talk(kit, shadows, clock, turns=1)
    shadows._make = lambda mode: 1 / 0
    shadows.flush()
    assert shadows.failed == 1
    talk(kit, shadows, clock, turns=1)


@pytest.mark.parametrize("disk", [False, True], ids=["memory", "disk"])
def test_figures_of_several_processes_add_up_and_hold_no_text(clock, disk, tmp_path, monkeypatch):
    monkeypatch.setattr("ctxkit.stores.disk._PAUSE", 60.0)  # what is put waits longer than the other process does
    memory = MemoryStore()
    for _ in range(2):
        store = DiskStore(tmp_path / "store") if disk else memory
        kit = kit_of(clock, store=store, shadow=False)
        shadows = still(shadows_of(kit))
        talk(kit, shadows, clock, turns=2)
        shadows.flush()
        shadows.close()
    told = read_shadow(store, "observe")
    assert (told.seen, told.planned) == (4, 4)
    assert told.features[0].threads == 2
    assert b"assistant" not in (store.get(b"shadow") or b"")
    assert read_shadow(store, "cache").features == ()
    assert read_shadow(store, "observe", since=clock.now + 2 * 86_400).seen == 0
    kit.close()


@pytest.mark.parametrize("stored", [b"", b"{", b"[1]", b'{"a": 3}', b'{"1 observe": {"x": [1]}}', b'{"x y": {}}'])
def test_what_cannot_be_read_is_forgotten(stored):
    store = MemoryStore()
    store.put(b"shadow", stored)
    assert read_shadow(store, "observe") == Shadow("observe", 0, 0)


def test_a_feature_that_lost_is_watched_in_the_shadow(clock):
    kit = kit_of(clock, "prune", shadow=False)
    trials = kit.rooms.tidying.accounts.trials
    trials._features.held("chat").resting = True
    shadows = still(shadows_of(kit))
    talk(kit, shadows, clock)
    assert len(shadows.behind.queue) == 6
    shadows.flush()
    assert shadows.failed == 0
    watched = [one for name, one in trials._features.held("chat").open.items() if name.startswith("\0")]
    assert [one.settled.requests for one in watched] == [6]
    assert shadows.told().features == ()
    shadows.close()
    kit.close()


def test_the_thread_does_it_by_itself_and_ends(observing, clock, monkeypatch):
    kit, _ = observing
    monkeypatch.setattr("ctxkit.hall.afterwards._DELAY", 0.0)
    monkeypatch.setattr("ctxkit.hall.afterwards._LINGER", 0.05)
    shadows = shadows_of(kit)
    talk(kit, shadows, clock, turns=2)
    for _ in range(2_000):
        if not shadows.behind.running:
            break
        threading.Event().wait(0.01)
    assert not shadows.behind.running
    assert shadows.told().planned == 2
    shadows.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_plans_its_own(observing, clock):
    kit, shadows = observing
    talk(kit, shadows, clock, turns=2)
    with shadows.behind.working, shadows.behind.lock, shadows._lock:
        child = os.fork()
        if child == 0:
            try:
                assert not shadows.behind.queue
                talk(kit, shadows, clock, turns=1, seed=9)
                shadows.flush()
                os._exit(0 if shadows.told().planned == 1 else 1)
            finally:
                os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


def test_figures_for_people_and_programs():
    one = Foregone("chat", 3, 40, 2_000_000_000_000, {"cache": 1_500_000_000_000, "prune": 2_100_000_000_000})
    shadow = Shadow("observe", 80, 40, (one,))
    assert shadow.to_dict() == {
        "mode": "observe",
        "seen": 80,
        "planned": 40,
        "coverage": 0.5,
        "features": [
            {
                "feature": "chat",
                "threads": 3,
                "requests": 40,
                "as_sent": "2",
                "modes": {
                    "cache": {"cost": "1.5", "saved": "0.5", "share": 0.25},
                    "prune": {"cost": "2.1", "saved": "-0.1", "share": -0.05},
                },
            }
        ],
    }
    head, line = shadow.lines(str.upper)
    assert "50%" in head
    assert line == "  CHAT: cache $0.5000 (+25.0%), prune $-0.1000 (-5.0%), of $2.0000 in 40 requests"
    assert list(Shadow("observe", 5, 0).lines(str)) == []


def test_answers_that_are_kept_on_disk_hinder_no_shadow(tmp_path):
    with contextlib.closing(Kit(Policy(answers={"where": "disk"}), store=tmp_path, ledger=None, strict=True)) as kit:
        plan = kit.plan({"model": "gpt-5.1", "messages": [{"role": "user", "content": "Hello!"}]}, **CHAT)
        kit.settle(plan, Usage(9, 0, {}, 5))
        kit.shadow.flush()
        assert kit.shadow.failed == 0
        kit.flush()
        assert kit.shadow.told().planned == 1

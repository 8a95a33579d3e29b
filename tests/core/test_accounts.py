"""The accounts of a kit that tidies: what each thread came to, what the report says of it, and what comes back of it."""

from __future__ import annotations

import json
import random
from decimal import Decimal

import pytest

from ctxkit import Kit, Policy
from ctxkit.caching.survival import IDLE
from ctxkit.caching.trial import Settled
from ctxkit.hall.accounts import told
from ctxkit.metering.report.beside import Tidied
from ctxkit.model import Usage
from ctxkit.stores.memory import MemoryStore
from ctxkit.tidiness import Tidy

NOW = 1_795_000_000.0
WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu"]


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def kit_of(clock, store=None, mode="prune", **tidy):
    policy = Policy(mode=mode, tidy=Tidy(**tidy), shadow=False)
    return Kit(policy, store=store or MemoryStore(), clock=clock, strict=True)


def conversation(kit, clock, thread, *, turns=4, seed=1, usage=None, first=0):
    """An agent that lists orders, which come as JSON with much white space; ``first``: the turns before were sent."""
    rng = random.Random(seed)
    messages = [{"role": "user", "content": "What came in?"}]
    records = []
    for turn in range(turns):
        body = {"model": "claude-sonnet-4-5", "max_tokens": 50, "messages": [*messages]}
        if turn >= first:
            plan = kit.plan(body, dialect="anthropic.messages", platform="anthropic", feature="orders", thread=thread)
            records.append(kit.settle(plan, usage or Usage(plan.estimate.input_tokens, 0, {}, 20)))
            clock.now += 10
        rows = [{"order": number, "text": " ".join(rng.choices(WORDS, k=9))} for number in range(20)]
        call = {"type": "tool_use", "id": f"c{turn}", "name": "list_orders", "input": {"page": turn}}
        result = {"type": "tool_result", "tool_use_id": f"c{turn}", "content": json.dumps(rows, indent=4)}
        messages += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    return records


def test_a_thread_is_judged_by_what_its_passes_saved(clock):
    kit = kit_of(clock)
    records = conversation(kit, clock, "one")
    by_tidying = sum(amount for record in records for cause, amount in record.savings_by.items() if cause != "cache")
    assert by_tidying > 0
    account = kit.rooms.tidying.accounts.trials.account("orders")
    assert account.under_way == int(by_tidying * 10**12)
    clock.now += 2 * IDLE
    conversation(kit, clock, "two", turns=1)
    account = kit.rooms.tidying.accounts.trials.account("orders")
    assert (account.closed, account.saved) == (1, int(by_tidying * 10**12))
    assert account.cost == int(sum(record.cost for record in records) * 10**12)
    assert kit.rooms.tidying.accounts.survival.closed("orders") == 1
    (one,) = kit.report().tidied
    assert (one.feature, one.state, one.closed) == ("orders", "edit", 1)
    kit.close()


def test_what_a_pass_of_the_users_own_makes_smaller_on_arrival_is_no_rewrite(clock, monkeypatch):
    def shorter(piece, text, before):
        return text[:200] if piece.kind == "result" else None

    kit, seen = kit_of(clock, compact=False, passes=(shorter,)), []
    monkeypatch.setattr(kit.rooms.tidying.accounts.trials, "noted", lambda *given: seen.append(given[3]))
    conversation(kit, clock, "one")
    assert seen[-1].saved > 0
    assert {one.rewrites for one in seen} == {0}
    kit.close()


def test_what_a_pass_of_the_users_own_made_smaller_on_arrival_pays_for_no_rewrite(clock):
    def shorter(piece, text, before):
        return text[: len(text) * 4 // 5] if piece.kind == "result" else None

    kit, messages, seen = kit_of(clock, passes=(shorter,)), [{"role": "user", "content": "Which file is it?"}], []
    for turn in range(25):
        body = {"model": "claude-opus-5", "max_tokens": 50, "messages": [*messages]}
        plan = kit.plan(body, dialect="anthropic.messages", platform="anthropic")
        forecast = plan.forecast
        usage = Usage(forecast.fresh, forecast.cached_tokens, {"5m": sum(forecast.written.values())}, 20)
        seen.append((plan.tidied.rewritten, kit.settle(plan, usage).savings_by))
        clock.now += 20
        call = {"type": "tool_use", "id": f"t{turn}", "name": "read_file", "input": {"path": f"{turn}.txt"}}
        text = "\n".join(f"{line}: words of file {turn}, {line * turn}" for line in range(300))
        result = {"type": "tool_result", "tool_use_id": f"t{turn}", "content": text}
        messages += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    prices = [by["spent"] for rewritten, by in seen if rewritten]
    assert max(prices) < 0  # of none it fails
    assert all(by.get("shorter", 0) >= 0 for _, by in seen)
    kit.close()


def test_threads_held_out_are_sent_as_they_are_and_cost_is_noted(clock):
    kit = kit_of(clock, holdout=0.5)
    trials = kit.rooms.tidying.accounts.trials
    names = [f"t{number}" for number in range(60)]
    held = [name for name in names if trials.allowed("orders", name) == "holdout"]
    assert 10 < len(held) < 50
    for seed, name in enumerate(names):
        records = conversation(kit, clock, name, turns=2, seed=seed)
        edited = any(cause != "cache" for record in records for cause in record.savings_by)
        assert edited is (name not in held)
    clock.now += 2 * IDLE
    conversation(kit, clock, "last", turns=1)
    measured = trials.account("orders").measured
    assert measured is not None
    assert (measured.edited, measured.held) == (60 - len(held), len(held))
    assert measured.low <= measured.saved <= measured.high
    assert measured.saved > 0
    kit.close()


def test_a_feature_that_lost_is_left_as_it_is_and_threads_of_before_are_not(clock):
    kit = kit_of(clock)
    trials = kit.rooms.tidying.accounts.trials
    for number in range(25):
        trials.noted("orders", f"lost{number}", "edit", Settled(1, -(10**12)), clock.now)
    clock.now += IDLE - 15
    conversation(kit, clock, "before", turns=2)
    trials.noted("orders", "now", "edit", Settled(), clock.now)
    assert trials.allowed("orders", "new") == "resting"
    assert any("compact" in record.savings_by for record in conversation(kit, clock, "before", turns=4, first=2))
    records = conversation(kit, clock, "new", turns=4, seed=5)
    assert not any("compact" in record.savings_by for record in records)
    assert any("lost on this feature" in note for record in records for note in record.notes)
    (one,) = kit.report().tidied
    assert one.state == "resting"
    assert any("compact" in record.savings_by for record in conversation(kit, clock, "before", turns=5, first=4))
    assert "observes again" in kit.report().text()
    kit.close()


def test_accounts_outlive_the_process(clock):
    store = MemoryStore()
    kit = kit_of(clock, store)
    conversation(kit, clock, "one")
    clock.now += 2 * IDLE
    conversation(kit, clock, "two")
    before = kit.report().tidied
    kit.close()
    (one,) = told(store)
    assert (one.closed, one.saved, one.judged) == (before[0].closed, before[0].saved, before[0].judged)
    again = kit_of(clock, store)
    assert again.rooms.tidying.accounts.survival.closed("orders") == 1
    again.close()


def test_what_is_not_known_is_not_judged(clock):
    kit = kit_of(clock)
    conversation(kit, clock, "one", usage=Usage())
    assert kit.rooms.tidying.accounts.trials.account("orders").under_way == 0
    kit.close()


def test_figures_for_people_and_programs():
    measured = {"edited": 20, "held": 21, "saved": 1.5e12, "low": -0.25e12, "high": 2e12}
    refetched = {"removed": 50, "missed": 2, "left": 200, "repeated": 2}
    pico = 10**12
    one = Tidied("orders", "edit", 30, 25, 2 * pico, 3 * pico, 8 * pico, -pico, measured, refetched)
    assert one.to_dict() == {
        "feature": "orders",
        "state": "edit",
        "closed": 30,
        "judged": 25,
        "saved": "2",
        "predicted": "3",
        "cost": "8",
        "under_way": "-1",
        "measured": {"edited": 20, "held": 21, "saved": "1.5", "low": "-0.25", "high": "2"},
        "refetched": {**refetched, "rate": 0.04, "base": 0.01},
    }
    assert one.line(str) == (
        "orders is tidied: 30 threads over; the last 25 saved $2.0000 of $10.0000; "
        "4.0% of what was removed was fetched again, 1.0% anyway"
    )
    nothing = Tidied("", "resting")
    assert nothing.to_dict()["refetched"] == {"rate": None, "base": None}
    assert nothing.to_dict()["measured"] is None
    assert Decimal(nothing.to_dict()["saved"]) == 0
    assert nothing.line(lambda name: name or "(none)") == "(none) observes again, because tidying lost: 0 threads over"

"""Cache objects over time: what they save on steady demand, and what being wrong about it costs at most."""

from __future__ import annotations

import atexit
import threading
from decimal import Decimal, localcontext
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxkit import Kit, Policy
from ctxkit.cacheable import Kept
from ctxkit.errors import CacheObjectError
from ctxkit.model import Usage

MODEL = "gemini-2.5-flash"
HELD, ASKED, ANSWERED = 20_000, 50, 10


class FakeKeeper:
    """A provider that keeps what it is asked to, on the clock of the test."""

    account, platform = "account", "google"

    def __init__(self, clock):
        self.clock = clock
        self.kept: dict[str, Kept] = {}
        self.made = 0
        self.refuses: int | None = None

    def create(self, model, content, seconds, display_name):
        if self.refuses is not None:
            raise CacheObjectError(f"{self.refuses}", self.refuses)
        self.made += 1
        kept = Kept(f"cachedContents/{self.made}", model, HELD, self.clock(), self.clock() + seconds, display_name)
        self.kept[kept.name] = kept
        return kept

    def get(self, name):
        return self.kept[name]

    def list(self):
        return list(self.kept.values())

    def prolong(self, name, seconds):
        self.kept[name] = self.get(name)._replace(expires=self.clock() + seconds)
        return self.kept[name]

    def delete(self, name):
        del self.kept[name]


class World:
    def __init__(self):
        self.now = 1_795_000_000.0
        self.kit = Kit(Policy(mode="cache"), clock=lambda: self.now, strict=True)
        self.kit.rooms.renting.tending._run = lambda: None
        self.keeper = FakeKeeper(lambda: self.now)
        self.paid = Decimal(0)
        self.plainly = Decimal(0)
        self.saved = Decimal(0)

    def ask(self, *, rules="Rule: be brief and say where it stands. " * 2000, feature="chat", model=MODEL):
        body = {
            "systemInstruction": {"parts": [{"text": rules}]},
            "contents": [{"role": "user", "parts": [{"text": str(self.now)}]}],
        }
        named = {"dialect": "gemini.generate", "platform": "google", "model": model, "feature": feature}
        plan = self.kit.plan(body, **named, rental=self.keeper)
        read = HELD if "cachedContent" in plan.body else 0
        usage = Usage(fresh=ASKED + HELD - read, read=read, written={}, output=ANSWERED)
        record = self.kit.settle(plan, usage)
        self.paid += record.cost
        self.saved += record.savings or 0
        self.plainly += PLAIN
        self.kit.caches.tend()
        return plan

    def wait(self, seconds, step=20.0):
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + step, end)
            self.kit.caches.tend()

    def total(self):
        """What was paid, with and without handles, in USD."""
        self.wait(2 * 86_400, 600.0)
        self.kit.flush()
        rent = sum((row.cost for row in self.charges()), Decimal(0))
        return self.paid + rent, self.plainly

    def charges(self):
        return [row for row in self.kit.ledger.records() if row.dialect == "gemini.caches"]


PLAIN = (HELD + ASKED) * Decimal("0.30e-6") + ANSWERED * Decimal("2.50e-6")


@pytest.fixture
def world():
    made = World()
    yield made
    made.kit.close()


PATTERNS = {
    "every ten seconds": ([10.0] * 200, 0.30),
    "every minute": ([60.0] * 200, 0.45),
    "once": ([1.0], 1.0),
    "twice": ([5.0, 5.0], 1.7),
    "three, and never again": ([1.0] * 3, 1.6),
    "ten, and never again": ([1.0] * 10, 1.3),
    "every hour": ([3600.0] * 30, 1.0),
    "every five minutes": ([300.0] * 100, 1.0),
    "bursts of five an hour apart": (([1.0] * 4 + [3600.0]) * 12, 1.3),
    "bursts of thirty an hour apart": (([1.0] * 29 + [3600.0]) * 8, 0.6),
}


@pytest.mark.parametrize(
    ("gaps", "most"),
    [
        pytest.param(*case, id=name, marks=pytest.mark.slow if len(case[0]) > 60 else ())
        for name, case in PATTERNS.items()
    ],
)
def test_what_it_comes_to(world, gaps, most):
    for gap in gaps:
        world.ask()
        world.wait(gap)
    paid, plainly = world.total()
    assert paid <= plainly * Decimal(str(most))
    saved = world.saved + sum(row.savings for row in world.charges())
    assert saved == plainly - paid, "what is told is what was saved, signed, rent and creation taken off"
    assert (world.kit.report().total.savings or 0) == saved
    assert world.keeper.kept == {} or all(one.expires < world.now for one in world.keeper.kept.values())


@settings(max_examples=30, deadline=None)
@given(gaps=st.lists(st.sampled_from([1.0, 10.0, 60.0, 300.0, 1_200.0, 4_000.0]), min_size=1, max_size=40))
def test_whatever_comes_it_is_never_much_dearer(gaps):
    world = World()
    for gap in gaps:
        world.ask()
        world.wait(gap, 60.0)
    paid, plainly = world.total()
    world.kit.close()
    assert paid <= plainly * Decimal("1.8")


def test_each_feature_pays_its_share(world):
    for number in range(40):
        world.ask(feature="chat" if number % 4 else "search")
        world.wait(5.0)
    world.total()
    (handle,) = world.kit.caches.list()
    assert set(handle.reads) == {"chat", "search"}
    paid = {row.feature: row.cost for row in world.charges() if row.feature}
    whole = handle.creation_paid + handle.storage_paid
    assert sum(paid.values()) == whole
    share = Decimal(handle.reads["chat"]) / sum(handle.reads.values())
    assert paid["chat"] == pytest.approx(whole * share)
    assert world.kit.report().total.storage == whole


def asked(world, times):
    for _ in range(times):
        world.ask()
        world.now += 1.0
    return world.keeper.made


def test_a_quota_is_waited_for_longer_each_time(world):
    tried = []
    create = world.keeper.create
    world.keeper.create = lambda *told: (tried.append(world.now), create(*told))[1]
    world.keeper.refuses = 429
    for _ in range(60):
        asked(world, 4)
        world.wait(30.0)
    gaps = [round(after - before) for before, after in pairwise(tried)]
    assert len(tried) >= 3
    assert gaps == sorted(gaps)
    assert gaps[0] >= 60
    world.keeper.refuses = None
    world.wait(3600.0, 600.0)
    assert asked(world, 6) == 1


def test_what_is_too_small_is_not_tried_again(world):
    def create(*told):
        tried.append(told)
        raise CacheObjectError(
            "400 Cached content is too small. total_token_count=20000, min_total_token_count=32768", 400
        )

    tried = []
    world.keeper.create = create
    asked(world, 20)
    assert len(tried) == 1
    world.ask(rules="Another rule, as long as the one before. " * 2000)
    asked(world, 3)
    assert len(tried) == 1, "the least is that of the model"
    assert list(world.kit.caches.list()) == []


def test_what_nobody_has_priced_or_described_is_left_alone(world):
    for _ in range(5):
        plan = world.kit.plan(
            {"contents": [{"role": "user", "parts": [{"text": "x"}]}]},
            dialect="gemini.generate",
            platform="google",
            model="gemma-nobody-knows",
            rental=world.keeper,
        )
        assert plan.rental is None
        world.kit.settle(plan, Usage(fresh=5, read=0, written={}, output=1))
    world.kit.caches.tend()
    assert world.keeper.made == 0


def test_planning_changes_nothing_and_is_the_same_twice(world):
    asked(world, 6)
    reads = dict(world.kit.caches.list()[0].reads)
    first, second = (
        world.kit.plan(
            {
                "systemInstruction": {"parts": [{"text": "Rule: be brief and say where it stands. " * 2000}]},
                "contents": [{"role": "user", "parts": [{"text": "x"}]}],
            },
            dialect="gemini.generate",
            platform="google",
            model=MODEL,
            rental=world.keeper,
            now=world.now,
        )
        for _ in range(2)
    )
    assert first.body == second.body
    assert first.edits == second.edits
    assert "reads the cache object" in first.explain()
    assert world.kit.caches.list()[0].reads == reads


def test_rent_that_is_written_down_by_an_application_with_coarse_decimals_is_exact(world):
    for _ in range(40):
        world.ask()
        world.wait(5.0)
    with localcontext() as context:
        context.prec = 2
        world.kit.flush()
    assert world.kit.caches.list()
    assert all(row.savings.copy_negate() == row.cost for row in world.charges())


def test_where_no_thread_begins_the_end_is_awaited_once(monkeypatch):
    def none_left(_):
        raise RuntimeError("can't start new thread")

    kit = Kit(Policy(mode="cache"), strict=True)
    tending, before = kit.rooms.renting.tending, atexit._ncallbacks()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_left)
        for _ in range(3):
            tending._run()
    assert atexit._ncallbacks() == before + 1
    kit.close()

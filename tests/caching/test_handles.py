"""Handles: one creator among threads and processes, what pays, where one may end, and clocks that go backwards."""

from __future__ import annotations

import subprocess
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.cacheable import Ask
from ctxkit.caching.economics import storage_rent
from ctxkit.caching.handles import (
    Boundary,
    Demands,
    Handle,
    Pace,
    Registry,
    Rent,
    boundaries,
    choose,
    life_of,
    spent,
    verdict,
)
from ctxkit.caching.layout import Layout, Position, Space
from ctxkit.stores.disk import DiskStore
from ctxkit.stores.guarded import GuardedStore
from ctxkit.stores.memory import MemoryStore

NOW = 1_800_000_000.0
FLASH = Rent(base=300_000, read=30_000, storage=1_000_000)  # pico-dollars: 0.30, 0.03, 1.00 USD per million (and hour)
WANTED = Handle("k", "a", "google", "gemini-2.5-flash")


def standing(**changes):
    given = {"name": "cachedContents/1", "tokens": 10_000, "created": NOW, "expires": NOW + 3600, **FLASH._asdict()}
    return replace(WANTED, **{**given, **changes})


@pytest.fixture(params=["memory", "disk"])
def store(request, tmp_path):
    made = MemoryStore() if request.param == "memory" else DiskStore(tmp_path / "store")
    yield made
    made.close()


# ---- Registry --------------------------------------------------------------------------------------------------------


def test_one_of_two_may_create(store):
    first, second = Registry(store), Registry(store)
    assert first.claim(WANTED, "one", NOW) == (True, False)
    assert second.claim(WANTED, "two", NOW) == (False, False)
    first.keep(standing())
    assert second.ready("k", NOW + 2).name == "cachedContents/1"
    assert second.claim(WANTED, "two", NOW + 2) == (False, False)


def test_of_many_threads_one_may_create(store):
    with ThreadPoolExecutor(8) as threads:
        mine = threads.map(lambda one: Registry(store).claim(WANTED, str(one), NOW).mine, range(40))
    assert sum(mine) == 1


def test_a_creator_that_was_killed_blocks_nobody_for_long(store):
    Registry(store).claim(WANTED, "killed", NOW)
    later = Registry(store)
    assert not later.claim(WANTED, "heir", NOW + 100).mine
    assert later.claim(WANTED, "heir", NOW + 121) == (True, True), "and the heir hears that something may stand already"


def test_a_clock_that_went_back_blocks_nobody(store):
    """A lease from the future is nobody's; the rent of a handle made in the future is not negative."""
    Registry(store).claim(WANTED, "future", NOW + 10_000)
    assert Registry(store).claim(WANTED, "present", NOW).mine
    assert standing(created=NOW + 1000).held(NOW) == 0.0
    registry = Registry(store)
    registry.keep(standing())
    assert registry.ready("k", NOW + 5)
    Registry(store).end("cachedContents/1", NOW + 6)
    assert registry.ready("k", NOW + 4.5) is None, "what was read of the store is read again when the clock goes back"


def test_whoever_looked_at_the_clock_a_moment_before_waits_too(store):
    Registry(store).claim(WANTED, "one", NOW)
    assert not Registry(store).claim(WANTED, "two", NOW - 0.01).mine


def test_what_ended_is_not_read_and_ends_once(store):
    registry = Registry(store)
    registry.keep(standing())
    assert registry.ready("k", NOW + 3500)
    assert registry.ready("k", NOW + 3595) is None, "a request would get there too late"
    assert registry.end("cachedContents/1", NOW + 100).ended == NOW + 100
    assert Registry(store).end("cachedContents/1", NOW + 200) is None
    assert registry.named("cachedContents/1", NOW + 200).held(NOW + 9999) == 100.0
    assert registry.claim(WANTED, "next", NOW + 300) == (True, False)
    assert registry.named("cachedContents/1", NOW + 302).ended == NOW + 100, "it is still told of"


def test_reads_of_several_processes_add_up(store):
    one, two = Registry(store), Registry(store)
    one.keep(standing())
    one.read({"cachedContents/1": {"chat": 2}}, {"cachedContents/1": [NOW, NOW + 1]})
    two.read({"cachedContents/1": {"chat": 1, "": 4}}, {"cachedContents/1": [NOW + 2]})
    found = one.named("cachedContents/1", NOW + 5)
    assert (found.reads, found.count, found.times) == ({"chat": 3, "": 4}, 7, (NOW, NOW + 1, NOW + 2))


def test_a_registry_that_is_nonsense_is_written_anew(store):
    for nonsense in (b"\xff", b"[]", b'{"handles": [1]}', b'{"handles": [{"key": "x"}]}', b"null"):
        store.swap(b"handles", store.fresh(b"handles"), nonsense)
        registry = Registry(store)
        assert registry.handles(NOW) == {}
        assert registry.claim(WANTED, "me", NOW).mine


def test_a_store_that_cannot_be_written_lets_nobody_create():
    class Broken(MemoryStore):
        def swap(self, key, old, new):
            raise OSError("disk full")

    heard = []
    registry = Registry(GuardedStore(Broken(), lambda where, error: heard.append((where, str(error)))))
    assert registry.claim(WANTED, "me", NOW) == (False, False)
    assert not registry.keep(standing())
    assert heard == [("store", "disk full")] * 2


def test_a_store_of_the_users_own_needs_no_swap():
    class Own:
        def __init__(self):
            self.values = {}
            self.get, self.put, self.add = self.values.get, self.values.__setitem__, self.values.setdefault

    store = GuardedStore(Own(), lambda *_: None)
    assert Registry(store).claim(WANTED, "one", NOW).mine
    assert not Registry(store).claim(WANTED, "two", NOW).mine


@pytest.mark.slow
def test_the_registry_is_bounded(store):
    registry = Registry(store)
    registry.keep(standing(key="living", expires=NOW + 10**6, name="n"))
    for number in range(430):
        registry.keep(standing(key=f"k{number}", name=f"cachedContents/{number}", ended=NOW))
    assert len(registry.handles(NOW + 5)) <= 400
    assert registry.ready("living", NOW + 5)


_CLAIM = """
import sys
from ctxkit.caching.handles import Handle, Registry
from ctxkit.stores.disk import DiskStore
from pathlib import Path
store = DiskStore(Path(sys.argv[1]))
sys.stdin.readline()
print(sum(Registry(store).claim(Handle(f"k{n}", "a"), sys.argv[2], 1.8e9).mine for n in range(20)))
"""


def test_two_processes_never_both_create(tmp_path):
    DiskStore(tmp_path / "s").add(b"x", b"y")
    command = [sys.executable, "-c", _CLAIM, str(tmp_path / "s")]
    running = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for name in "ab"
    ]
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    won = [int(process.communicate(timeout=60)[0]) for process in running]
    assert sum(won) == 20


def test_what_is_written_down_comes_back():
    handle = standing(reads={"": 3}, times=(NOW,), hit_rate=0.5)
    assert Handle.of({**handle.to_dict(), "times": [NOW], "of another version": 1}) == handle
    assert "ended" not in handle.to_dict()


# ---- Where one may end -----------------------------------------------------------------------------------------------


def laid(*spoken):
    """A layout of one-block messages: ("system", 100), ("user", 20), ..."""
    positions, tokens = [], 0.0
    for number, (role, size) in enumerate(spoken):
        tokens += size
        tier = "messages" if role in ("user", "assistant", "tool") else "tools" if role == "tools" else "system"
        link = bytes([number]) * 16
        positions.append(Position(link, tokens, tier, role, "text", (), number, True, False))
    return Layout(Space("google", "m"), positions, {}, Ask(), {}, tokens)


def ends(layout):
    return [(one.message, one.tokens) for one in boundaries(layout, float, b"head")]


def test_a_handle_ends_behind_what_is_not_the_models_and_leaves_something():
    chat = laid(("tools", 50), ("system", 100), ("user", 20), ("assistant", 30), ("user", 5))
    assert ends(chat) == [(1, 150), (2, 170)]
    assert ends(laid(("user", 5))) == []
    assert ends(laid(("system", 5))) == [], "nothing would be left to be asked"
    assert ends(laid(("user", 5), ("user", 6), ("user", 7))) == [(0, 5), (1, 11)]


def test_the_key_of_a_boundary_is_of_all_it_holds():
    layout = laid(("system", 100), ("user", 20))
    one, other = boundaries(layout, float, b"one"), boundaries(layout, float, b"other")
    assert one[0].key != other[0].key
    assert one == boundaries(laid(("system", 100), ("user", 70)), float, b"one")


# ---- What pays -------------------------------------------------------------------------------------------------------

BEGIN = Boundary("b", 0, 10_000)


def demanded(times, read=None):
    demands = Demands()
    for moment in times:
        demands.note([BEGIN], moment, read)
    return demands.of(["b"])


def test_what_was_read_often_at_once_is_worth_a_handle_and_what_was_read_once_is_not():
    assert choose([BEGIN], demanded([NOW]), FLASH, NOW + 1, minimum=1024) is None
    choice = choose([BEGIN], demanded([NOW, NOW + 10, NOW + 20]), FLASH, NOW + 21, minimum=1024)
    assert choice.boundary == BEGIN
    assert (choice.reads, choice.seconds) == (3, 300)
    # 3 reads save 3 * 270,000 a token; it costs 300,000 and 300 s of 1,000,000 an hour
    assert choice.gain == 10_000 * (3 * 270_000 - 300_000) - 10_000 * 1_000_000 * 300 // 3600


def test_what_is_read_rarely_does_not_pay_its_rent():
    hourly = [NOW + 3600 * n for n in range(6)]
    assert choose([BEGIN], demanded(hourly), FLASH, hourly[-1], minimum=1024) is None


def test_what_the_provider_caches_by_itself_needs_no_handle():
    assert choose([BEGIN], demanded([NOW + n for n in range(20)], read=10_000), FLASH, NOW + 21, minimum=1024) is None


def test_too_short_is_not_proposed_and_what_is_read_already_counts_less():
    paces = demanded([NOW + n for n in range(20)])
    assert choose([BEGIN], paces, FLASH, NOW + 21, minimum=10_001) is None
    assert choose([BEGIN], paces, FLASH, NOW + 21, minimum=1, already=9_999) is None
    assert choose([BEGIN], paces, FLASH, NOW + 21, minimum=1, already=10_000) is None


def test_a_clock_that_went_back_expects_no_more_than_was_seen():
    pace = demanded([NOW + 100, NOW, NOW - 100])["b"]
    assert pace.expected(NOW - 200, 10**6) <= 3
    assert 300 <= life_of(pace, NOW - 200) <= 86_400
    assert Pace().expected(NOW, 100) == 0.0


@given(
    reads=st.integers(1, 500),
    seconds=st.floats(301, 86_000),
    base=st.integers(1, 10**7),
    share=st.floats(0.01, 1),
    storage=st.integers(0, 10**7),
)
def test_a_handle_is_proposed_exactly_above_the_break_even(reads, seconds, base, share, storage):
    read = int(base * share)
    pace = Pace(reads, deque([NOW + seconds - seconds * 16 / reads] * 16, maxlen=16))
    rent = Rent(base, read, storage)
    found = choose([BEGIN], {"b": pace}, rent, NOW + seconds, minimum=0)
    life = life_of(pace, NOW + seconds)
    reads_to_come = Fraction(pace.expected(NOW + seconds, life))
    least = (base + storage_rent(1, storage, life)) / (base - read) if base > read else None
    pays = least is not None and reads_to_come > least
    assert (found is not None) == pays or abs(reads_to_come - least) < Fraction(1, 1000)


def test_what_is_forgotten_is_what_was_not_asked_for_longest():
    demands = Demands(limit=3)
    for name in "abcda":
        demands.note([Boundary(name, 0, 5)], NOW, None)
    assert set(demands.of("abcd")) == {"c", "d", "a"}


def test_what_a_handle_cost_is_told_by_the_time_it_really_stood():
    handle = standing(ended=NOW + 900, reads={"": 2})
    assert spent(handle, NOW + 10**6) == (10_000 * 300_000, 10_000 * 250_000, 2 * 10_000 * 270_000)


def test_a_handle_is_kept_while_its_reads_pay_the_rent():
    busy = standing(reads={"": 16}, times=tuple(NOW + n for n in range(16)))
    assert verdict(busy, NOW + 16) == "keep"
    idle = standing(reads={"": 16}, times=tuple(NOW + n for n in range(16)), expires=NOW + 10**6)
    assert verdict(idle, NOW + 1090) == "keep"
    assert verdict(idle, NOW + 1100) == "let go", "1,080 seconds of rent are one creation"
    assert verdict(standing(expires=NOW + 40_000), NOW + 100) == "let go"
    assert verdict(WANTED, NOW) == "being created"
    assert verdict(standing(), NOW + 3600) == "ended"

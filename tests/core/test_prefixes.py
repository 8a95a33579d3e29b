"""Hashes, chains and threads."""

import math
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from ctxkit.caching.prefixes import Hasher, Threads
from ctxkit.model import Message
from ctxkit.stores.memory import MemoryStore

wire = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def message(value, role="user"):
    return Message(role, ("messages", 0), value, lambda _: ())


def same(value):
    return value


@given(wire)
def test_any_wire_value_has_a_stable_hash(value):
    import copy

    assert Hasher(b"k").digest(value) == Hasher(b"k").digest(copy.deepcopy(value))
    assert len(Hasher(b"k").digest(value)) == 16


def test_hashes_are_keyed():
    assert Hasher(b"a").digest("x") != Hasher(b"b").digest("x")
    assert Hasher(b"a").chain([b"1"]) != Hasher(b"b").chain([b"1"])


def test_values_that_json_cannot_carry_are_hashed_too():
    hasher = Hasher(b"k")
    odd = [10**40, math.nan, "\ud800", b"\x00", True, 1, 1.0]
    assert len({hasher.digest(value) for value in odd}) == len(odd)
    assert hasher.digest({"a": Decimal(1)}) == hasher.digest({"a": Decimal(1)})


def test_subclasses_of_str_are_hashed():
    class Name(str):
        __slots__ = ()

    first = Hasher(b"k").digests([message({"content": Name("x")})], same)
    assert first == Hasher(b"k").digests([message({"content": Name("x")})], same)


def test_the_role_counts():
    hasher = Hasher(b"k")
    assert hasher.digests([message("x")], same) != hasher.digests([message("x", "assistant")], same)


@given(st.lists(st.binary(min_size=16, max_size=16), max_size=8), st.lists(st.binary(min_size=16, max_size=16)))
def test_a_chain_names_its_prefix(prefix, rest):
    hasher = Hasher(b"k")
    assert hasher.chain(prefix + rest)[: len(prefix)] == hasher.chain(prefix)
    assert hasher.chain(prefix + rest, "other scope")[: len(prefix)] != hasher.chain(prefix) or not prefix


def test_a_thread_is_found_by_its_longest_known_prefix():
    hasher = Hasher(b"k")
    threads = Threads(MemoryStore())
    first = hasher.chain([b"s", b"1"])
    assert threads.find(first) is None
    threads.commit(first, "a")
    fork = hasher.chain([b"s", b"1", b"2", b"3"])
    assert threads.find(fork) == "a"
    threads.commit(fork, "b")
    assert threads.find(hasher.chain([b"s", b"1", b"2", b"3", b"4"])) == "b"
    assert threads.find(hasher.chain([b"s", b"1", b"9"])) == "a"
    assert threads.find(hasher.chain([b"s"])) is None


def test_the_first_to_name_a_prefix_wins():
    threads = Threads(MemoryStore())
    threads.commit([b"x"], "first")
    threads.commit([b"x"], "second")
    assert threads.find([b"x"]) == "first"


def test_threads_survive_a_restart_with_their_store():
    store = MemoryStore()
    Threads(store).commit([b"x"], "a")
    assert Threads(store).find([b"x", b"y"]) == "a"


def test_memory_is_bounded():
    threads = Threads(MemoryStore(10), 10)
    for index in range(100):
        threads.commit([str(index).encode()], "t")
    assert len(threads._known) == 10

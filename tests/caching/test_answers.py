"""The key of a request, and the shelf that answers stand on."""

import copy
import hashlib
import json
import lzma
import math
import os
import struct
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ctxkit.caching.answers.entry import DamagedError, packed, unpacked
from ctxkit.caching.answers.key import TRANSPORT, UnwritableError, ambiguous, canonical, key_of, lowered, told
from ctxkit.caching.answers.shelf import Shelf
from ctxkit.dialects import wire
from ctxkit.reuse import FLAG, Reused

SECRET = b"s" * 32

BODIES = (
    {
        "model": "gpt-5",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "x"}}]},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "7"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "required": ["a", "b"]}}}],
        "temperature": 1.0,
        "n": 1,
        "seed": 2**70,
        "stream": True,
        "stream_options": {"include_usage": True},
        "user": "u-1",
        "metadata": {"a": "b"},
        "store": False,
    },
    {
        "model": "claude-sonnet-4-5",
        "max_tokens": 1024,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "messages": [{"role": "user", "content": "\ud800 lone, \u2028 legal"}],
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "stop_sequences": ["\n\n", ""],
    },
    {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}, {"inlineData": {"mimeType": "image/png", "data": "aGk="}}]}],
        "generationConfig": {"temperature": 0, "topP": 0.1, "candidateCount": 2, "stopSequences": []},
        "cachedContent": "cachedContents/1",
        "safetySettings": [{}, None, [], [[]], {"a": {}}],
    },
)  # fmt: skip


def spots(value, path=()):
    """Every place in a body."""
    if isinstance(value, dict):
        for key in value:
            yield from spots(value[key], (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from spots(item, (*path, index))
    if path:
        yield path


def at(body, path):
    for step in path:
        body = body[step]
    return body


def changes(value):
    """The same value in other types, and values next to it."""
    if isinstance(value, bool):
        yield from (not value, int(value), str(value).lower(), None)
    elif isinstance(value, int):
        yield from (value + 1, float(value) if abs(value) < 2**53 else str(value), str(value), [value], None)
    elif isinstance(value, float):
        yield from (value + 1, str(value), [value], None)
        if value == int(value):
            yield int(value)
    elif isinstance(value, str):
        yield from (value + " ", value + "\0", value[1:] if value else "\0", [value], {value: None}, None)
    elif value is None:
        yield from (False, 0, "", [], {}, "null")
    elif isinstance(value, list):
        yield from (
            [*value, None],
            value[1:] if value else [[]],
            {str(i): v for i, v in enumerate(value)},
            json.dumps(value),
            None,
        )
        if len(value) > 1 and value[0] != value[-1]:
            yield [value[-1], *value[1:-1], value[0]]
        if value:
            yield [value]
    else:
        yield from ({**value, "\0": None}, [value], list(map(list, value.items())), json.dumps(value), None)


def mutated(body):
    """The body with one thing added, dropped or changed, at every place in it."""
    for path in spots(body):
        *before, last = path
        for change in changes(at(body, path)):
            other = copy.deepcopy(body)
            at(other, before)[last] = change
            yield other
        other = copy.deepcopy(body)
        del at(other, before)[last]
        yield other
    yield {**body, "more": None}


@pytest.mark.parametrize("body", BODIES, ids=["chat", "messages", "generate"])
def test_whatever_is_changed_in_a_request_its_key_is_another_one(body):
    key, seen = key_of(SECRET, body), 0
    for other in mutated(body):
        assert key_of(SECRET, other) != key, other
        seen += 1
    assert seen > 50
    assert key_of(SECRET, copy.deepcopy(body)) == key


@pytest.mark.parametrize("body", BODIES, ids=["chat", "messages", "generate"])
def test_the_order_of_keys_in_an_object_says_nothing(body):
    def turned(value):
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return [turned(item) for item in value] if isinstance(value, list) else value

    assert list(turned(body)) != list(body)
    assert key_of(SECRET, turned(body)) == key_of(SECRET, body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=4) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def same(one, other):
    """Equal, types included, as bits where numbers are."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return struct.pack(">d", one) == struct.pack(">d", other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@given(JSON, JSON)
def test_two_values_are_written_alike_only_if_they_are_the_same(one, other):
    assert (canonical(one) == canonical(other)) == same(one, other)


@given(st.lists(JSON, max_size=3), st.lists(JSON, max_size=3))
def test_parts_cannot_be_cut_in_another_way(parts, others):
    assume(not same(parts, others))
    assert key_of(SECRET, *parts) != key_of(SECRET, *others)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0), (1, True), (0, False), (1, "1"), (None, "null"), (0.0, -0.0), ([], {}), ([], ()[:0] or ""), ("", None),
        (["ab"], ["a", "b"]), (["a", "bc"], ["ab", "c"]), ([["a"], "b"], ["a", ["b"]]), ({"a": "b"}, ["a", "b"]),
        (math.inf, -math.inf), (math.nan, None), (10**400, 10**400 + 1), (-1, 1), ("\ud83d\ude00", "😀"), ("\ud800", "\\ud800"),
        (b"a", "a"), (2**53, float(2**53)), ({"a": None}, {}), ({"a": {"b": 1}}, {"a": {}, "b": 1}),
    ],
)  # fmt: skip
def test_alike_is_not_the_same(one, other):
    assert canonical(one) != canonical(other)
    assert canonical(one) == canonical(copy.deepcopy(one))


@pytest.mark.parametrize(
    "value", [object(), {1: "a"}, {"a": {2.0: 1}}, {"a": {1, 2}}, [OSError()], type("S", (str,), {})("a")]
)
def test_what_cannot_be_written_exactly_has_no_key(value):
    with pytest.raises(UnwritableError):
        canonical(value)


def test_what_is_nested_too_deeply_has_no_key():
    deep = []
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(UnwritableError):
        canonical(deep)
    assert ambiguous(b"[" * 100_000 + b"]" * 100_000)


def test_a_key_says_nothing_to_whoever_lacks_the_secret():
    key = key_of(SECRET, BODIES[0])
    assert len(key) == 32
    assert key_of(b"t" * 32, BODIES[0]) != key


@pytest.mark.parametrize(
    ("raw", "is_ambiguous"),
    [
        (b'{"a": 1, "b": {"a": 1}}', False),
        (b'{"a": 1, "a": 1}', True),
        (b'{"a": {"b": 1, "c": [{"d": 1, "d": 2}]}}', True),
        (b'{"a": 1, "\\u0061": 2}', True),
        (b'{"a": 0.1, "b": 1e2, "c": NaN, "d": -Infinity, "e": 1.50}', False),
        (b'{"a": 0.1000000000000000055}', True),
        (b'{"a": 1e999}', True),
        (b'{"a": 1e-99999999999999999999}', True),
        (b'{"a": 0e99999999999999999999}', True),
        (b'{"a": 123456789012345678901234567890}', False),
        (b"{", True),
        (b"", True),
    ],
)
def test_a_request_that_two_readers_may_read_in_two_ways_is_told(raw, is_ambiguous):
    assert ambiguous(raw) is is_ambiguous


def test_headers_that_only_transport_are_left_out():
    sent = {
        "Authorization": "Bearer k",
        "OpenAI-Organization": "o",
        "OpenAI-Project": "p",
        "anthropic-beta": "x",
        "Cookie": "c",
    }
    passing = {name.title(): "1" for name in TRANSPORT} | {"X-Stainless-Retry-Count": "1", "x-datadog-trace-id": "2"}
    assert told({**sent, **passing}) == told(sent)
    assert told([(name.lower().encode(), value.encode()) for name, value in sent.items()]) == told(sent)
    for name in sent:
        assert told({**sent, name: "another"}) != told(sent)
        assert told({key: value for key, value in sent.items() if key != name}) != told(sent)
    assert told({**sent, "x-anything": "1"}) != told(sent)
    assert told([("a", "1"), ("a", "2")]) != told([("a", "2"), ("a", "1")])
    assert lowered({"A": "B"}) == [("a", "B")]


def test_the_headers_that_do_not_count_are_documented():
    page = (Path(__file__).parents[2] / "docs/how-to/answers.md").read_text()
    assert [name for name in sorted(TRANSPORT) if f"`{name}`" not in page] == []


def test_cookies_of_the_network_in_front_do_not_count():
    key = {"authorization": "Bearer k"}
    assert told({**key, "cookie": "__cf_bm=1; _cfuvid=2"}) == told(key)
    assert told({**key, "cookie": "a=1; __cf_bm=1; b=2"}) == told({**key, "Cookie": "b=2; a=1"})
    assert told({**key, "cookie": "a=1"}) != told({**key, "cookie": "a=2"})
    assert told({**key, "x-amz-security-token": "1"}) != told({**key, "x-amz-security-token": "2"})


def test_of_a_signature_the_credential_counts():
    scope = "AWS4-HMAC-SHA256 Credential=AK/20260101/eu-west-1/bedrock/aws4_request"
    one = {"authorization": f"{scope}, SignedHeaders=host, Signature=aa"}
    assert told(one) == told({"authorization": f"{scope}, SignedHeaders=host;x, Signature=bb"})
    assert told({**one, "x-amz-security-token": "1"}) == told({**one, "x-amz-security-token": "2"})
    assert told(one) != told({"authorization": one["authorization"].replace("AK/", "AL/")})
    assert told(one) != told({"authorization": one["authorization"].replace("eu-", "us-")})


# ---- The shelf ---------------------------------------------------------------------------------------------------------


def answer(body=b"hello", stored=0.0, **more):
    return Reused(200, {"content-type": "application/json", FLAG: "reused"}, (body,), stored, **more)


class Drawer:
    """What a disk is to the shelf."""

    def __init__(self):
        self.kept = {}

    def get(self, name, now):
        value, until = self.kept.get(name, (None, 0))
        return value if now < until else None

    def put(self, name, value, until):
        self.kept[name] = value, until


def shelf(disk=None, ttl=60.0, max_bytes=10**6, max_answers=10):
    return Shelf(SECRET, ttl, max_bytes, max_answers, disk)


def test_an_answer_is_served_until_its_time_is_over():
    kept = shelf()
    kept.put(b"a", answer(stored=100.0))
    assert kept.get(b"a", 100.0).body == b"hello"
    assert kept.get(b"b", 100.0) is None
    assert kept.get(b"a", 159.9) is not None
    assert kept.get(b"a", 160.0) is None
    assert (len(kept), kept.size) == (0, 0)


def test_that_it_was_served_does_not_lengthen_its_life():
    kept = shelf()
    kept.put(b"a", answer(stored=0.0))
    for now in range(60):
        assert kept.get(b"a", float(now)) is not None
    assert kept.get(b"a", 60.0) is None


def test_a_clock_that_goes_backwards_brings_nothing_back_and_keeps_nothing_alive():
    kept = shelf()
    kept.put(b"a", answer(stored=100.0))
    assert kept.get(b"a", 170.0) is None
    assert kept.get(b"a", 120.0) is None
    kept.put(b"b", answer(stored=120.0))
    assert kept.get(b"b", 119.5) is not None  # two threads that read the clock one after the other
    assert kept.get(b"b", 50.0) is None
    assert kept.get(b"b", 121.0) is None


def test_an_answer_from_the_future_is_not_served():
    disk = Drawer()
    shelf(disk).put(b"a", answer(stored=1_000.0))
    assert shelf(disk).fetch(b"a", 500.0) is None
    assert shelf(disk).fetch(b"a", 1_001.0) is not None


def test_those_used_longest_ago_go_first():
    kept = shelf(max_answers=2)
    for name in (b"a", b"b"):
        kept.put(name, answer())
    assert kept.get(b"a", 0.0) is not None
    kept.put(b"c", answer())
    assert [kept.get(name, 0.0) is not None for name in (b"a", b"b", b"c")] == [True, False, True]


def test_the_bytes_of_all_answers_are_bounded():
    kept = shelf(max_bytes=100_000, max_answers=10**6)
    for number in range(1_000):
        kept.put(b"%d" % number, answer(os.urandom(10_000)))
        assert kept.size <= 100_000
    assert 5 < len(kept) < 10
    kept.put(b"huge", answer(bytes(200_000)))
    assert kept.get(b"huge", 0.0) is None
    assert len(kept) > 5


def test_an_answer_takes_the_place_of_the_one_before():
    kept = shelf()
    for _ in range(3):
        kept.put(b"a", answer(bytes(1_000)))
    assert len(kept) == 1
    assert kept.size < 3_000


def test_an_answer_comes_back_from_disk_as_it_was():
    from decimal import Decimal

    disk, events = Drawer(), (b"data: a\n\n", b"", b"data: \xff\n\n")
    given_ = Reused(200, {"content-type": "text/event-stream"}, events, 5.0, Decimal("0.000001"), {"finish": "stop"})
    shelf(disk).put(b"a", given_)
    assert shelf(disk).fetch(b"a", 5.0) == given_
    assert shelf(disk).fetch(b"b", 5.0) is None
    assert shelf(disk).fetch(b"a", 65.0) is None
    assert shelf(disk, ttl=1.0).fetch(b"a", 7.0) is None  # the user has a shorter time by now
    assert b"".join(events) == given_.body


@given(st.data())
def test_what_was_damaged_is_no_answer(data):
    whole = packed(SECRET, b"name", answer(b"0123456789"))
    place = data.draw(st.integers(0, len(whole) - 1))
    kind = data.draw(st.sampled_from(["flip", "cut", "drop", "double"]))
    broken = {
        "flip": whole[:place] + bytes((whole[place] ^ 1,)) + whole[place + 1 :],
        "cut": whole[:place],
        "drop": whole[:place] + whole[place + 1 :],
        "double": whole[:place] + whole[place : place + 1] * 2 + whole[place + 1 :],
    }[kind]
    with pytest.raises(DamagedError):
        unpacked(SECRET, b"name", broken)
    assert unpacked(SECRET, b"name", whole).body == b"0123456789"


def test_entries_cannot_be_exchanged_nor_made_without_the_secret():
    whole = packed(SECRET, b"name", answer())
    for secret, name in ((SECRET, b"other"), (b"t" * 32, b"name"), (SECRET, b"nam")):
        with pytest.raises(DamagedError):
            unpacked(secret, name, whole)


# ---- Recorded requests -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_whatever_is_changed_in_a_recorded_request_its_key_is_another_one(recorded):
    """At every place of all but the longest requests, at forty places of those: one change, each time another, and it left out."""
    keys, seen, tried = {}, 0, 0
    with lzma.open(recorded / "exchanges" / "requests.jsonl.xz") as file:
        for line in file:
            body = wire.loads(line)["request"]
            key = key_of(SECRET, body)
            digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).digest()
            assert keys.setdefault(key, digest) == digest
            seen += 1
            places = list(spots(body))
            every = 1 if len(places) < 100 else len(places) // 40
            for path in places[:: every or 1]:
                for other in changed_in_place(body, path, tried):
                    assert key_of(SECRET, other) != key, path
                    tried += 1
            assert key_of(SECRET, body) == key
    assert seen > 20_000
    assert len(keys) == len(set(keys.values()))
    assert tried > 1_000_000


def changed_in_place(body, path, number):
    """The body itself, with something else at this place, then with nothing there; afterwards it is as it was."""
    *before, last = path
    parent = at(body, before)
    value = parent[last]
    kinds = list(changes(value))
    parent[last] = kinds[number % len(kinds)]
    yield body
    del parent[last]
    yield body
    parent.insert(last, value) if isinstance(parent, list) else parent.__setitem__(last, value)

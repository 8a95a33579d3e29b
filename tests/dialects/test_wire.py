from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.dialects import wire
from ctxkit.errors import ProviderShapeError

text = st.text(st.characters(codec=None, exclude_categories=()))  # lone surrogates included
numbers = st.integers() | st.integers(min_value=2**62, max_value=2**70) | st.floats()
values = st.recursive(
    st.none() | st.booleans() | numbers | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)


def same(left: object, right: object) -> bool:
    """Equal with their types, NaN equal to itself and -0.0 apart from 0.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return repr(left) == repr(right)


@given(values, st.booleans())
def test_what_is_read_is_what_the_standard_library_reads(value, ascii_only):
    written = json.dumps(value, ensure_ascii=ascii_only)
    assert same(wire.loads(written), json.loads(written))
    raw = written.encode("utf-8", "surrogatepass")
    assert same(wire.loads(raw), json.loads(raw))


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,60})?([eE][+-]?[0-9]{1,3})?", fullmatch=True))
def test_numbers_of_any_length_are_read_alike(number):
    assert same(wire.loads(number), json.loads(number))


@given(st.text('{}[]",:0123456789.eE+-aNIntrufls \\\n\t', max_size=12))
def test_both_refuse_the_same_texts(source):
    try:
        expected = json.loads(source)
    except ValueError:
        with pytest.raises(ValueError):
            wire.loads(source)
    else:
        assert same(wire.loads(source), expected)


@pytest.mark.parametrize(
    "source",
    [
        "123456789012345678901234567890", "18446744073709551616", "-0.0", "-0", "1e400", "NaN", "-Infinity",
        "0.1000000000000000055511151231257827021181583404541015625", "5e-324", '"\\ud800"', '{"a":1,"b":2,"a":3}',
        '"\u2028"', '"\\u0000"', "[" * 300 + "]" * 300,
    ],
)  # fmt: skip
def test_what_fast_parsers_alter_survives(source):
    assert same(wire.loads(source), json.loads(source))


def test_too_deep_nesting_is_no_crash():
    with pytest.raises(ValueError, match="deep"):
        wire.loads("[" * 200_000)


@given(values)
def test_what_is_written_reads_back_the_same(value):
    assert same(json.loads(wire.dumps(value)), value)


@pytest.mark.parametrize(
    "value",
    [
        [None, math.nan, math.inf, -math.inf], {"n": 10**30, "none": None}, "\ud800", {"\udfff": None},
        2**64, [1.5, -0.0, 1e22], (None, [math.nan]),
    ],
)  # fmt: skip
def test_hard_values_are_written_without_loss(value):
    assert repr(json.loads(wire.dumps(value))) == repr(json.loads(json.dumps(value)))


def test_what_is_not_json_is_refused():
    with pytest.raises(TypeError):
        wire.dumps({"a": b"bytes"})
    with pytest.raises(ValueError):
        loop: list = []
        loop.append(loop)
        wire.dumps(loop)


@given(st.dictionaries(text, values, max_size=5), st.sampled_from([None, 1, 2]), st.booleans())
def test_inserting_a_key_leaves_every_other_byte(body, indent, ascii_only):
    body.pop("stream_options", None)
    raw = json.dumps(body, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    new = wire.insert_key(raw, "stream_options", {"include_usage": True})
    assert same(json.loads(new), {"stream_options": {"include_usage": True}, **json.loads(raw)})
    start = new.index(b'"stream_options":{"include_usage":true}')
    assert new[:start] + new[start:].split(b"}", 1)[1].removeprefix(b",") == raw


@given(st.dictionaries(text, values, max_size=4), values)
def test_replacing_a_key_leaves_every_other_byte(body, old):
    pieces = {key: value for key, value in body.items() if key not in {"stream_options", "z"}}
    raw = json.dumps({**pieces, "stream_options": old, "z": 1}, indent=1).encode()
    new = wire.insert_key(raw, "stream_options", None)
    assert same(json.loads(new), {**json.loads(raw), "stream_options": None})
    head, tail = raw.split(b'"stream_options": ')[0], raw.rsplit(b',\n "z"', 1)[1]
    assert new.startswith(head)
    assert new.endswith(tail)


def test_a_key_inside_a_nested_object_or_a_text_is_not_the_top_level_key():
    raw = b'{"a": {"k": 1}, "b": "\\"k\\"", "k2": ["k"]}'
    assert json.loads(wire.insert_key(raw, "k", 2)) == {"k": 2, **json.loads(raw)}


def test_the_last_of_two_equal_keys_is_replaced_for_it_is_the_one_that_counts():
    assert wire.insert_key(b'{"k":1, "k" : 2}', "k", 3) == b'{"k":1, "k" : 3}'


@pytest.mark.parametrize("raw", [b"", b"[]", b"[{}]", b'"k"', b'{"k"', b'{"k":}', b'{"k":1', b'{"k" 1}', b"\xff{"])
def test_what_is_no_object_is_refused(raw):
    with pytest.raises(ProviderShapeError):
        wire.insert_key(raw, "k", 1)


def test_a_byte_order_mark_stays():
    assert wire.insert_key(b'\xef\xbb\xbf{"k": 1}', "k", 2) == b'\xef\xbb\xbf{"k": 2}'
    assert wire.insert_key(b"\xef\xbb\xbf {}", "k", 2) == b'\xef\xbb\xbf {"k":2}'

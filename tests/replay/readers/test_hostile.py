"""Whatever stands in a file, it is read or complained of: nothing else happens."""

import gzip
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ctxkit.errors import TranscriptError
from ctxkit.replay.readers import read_recordings
from ctxkit.replay.recording import Asked
from tests.replay.readers import samples

NAMES = sorted(samples.NAMES)
TEXTS = st.text(alphabet=st.characters(), max_size=8) | st.sampled_from(
    ["user", "assistant", "text", "{", "[1", "\ud800"]
)
LEAVES = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | TEXTS
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | TEXTS, inner, max_size=5),
    max_leaves=12,
)
RECORDS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8) | VALUES


def read(tmp_path, data, name="a.jsonl"):
    path = tmp_path / name
    path.write_bytes(data)
    complaints = []
    found = list(read_recordings(path, complain=complaints.append))
    assert all(isinstance(one, TranscriptError) and str(path) in str(one) for one in complaints)
    assert not any("foreseen" in str(one) for one in complaints), complaints
    assert len({recording.name for recording in found}) == len(found)
    for recording in found:
        assert recording.requests
        assert recording.name
        for asked in recording.requests:
            assert isinstance(asked, Asked)
            assert isinstance(asked.body, dict)
            assert asked.at is None or asked.at > 0
            assert isinstance(asked.model, str)
    return found, complaints


def lines(values):
    return "\n".join(json.dumps(one) for one in values).encode("utf-8", "surrogatepass")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile")


@given(st.lists(RECORDS, max_size=5))
def test_any_json(folder, values):
    read(folder, lines(values))


@given(st.lists(RECORDS, max_size=4))
def test_any_document(folder, values):
    read(folder, json.dumps(values, indent=1).encode("utf-8", "surrogatepass"), "a.json")


@given(st.binary(max_size=300))
@example(b"\xef\xbb\xbf")
@example(b"\xef\xbb\xbf{}")
@example(b"\xff\xfe{\x00}\x00")
@example(b'{"a": "\xff"}')
@example(b"interactions: [")
@example(b"# aider chat started at x\n> a\nb")
def test_any_bytes(folder, data):
    for name in ("a", "a.json", "a.yaml"):
        read(folder, data, name)
    read(folder, gzip.compress(data), "a.gz")
    read(folder, b"\x1f\x8b" + data, "a.gz")


def places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def put(value, path, new):
    if not path:
        return new
    key, *rest = path
    if isinstance(value, dict):
        return {**value, key: put(value[key], rest, new)}
    return [put(one, rest, new) if at == key else one for at, one in enumerate(value)]


@pytest.mark.parametrize("name", samples.FILES)
@given(data=st.data())
def test_a_recording_with_something_else_in_some_place(folder, name, data):
    records = samples.FILES[name]
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(records) - 1))
        path = data.draw(st.sampled_from(list(places(records[at]))))
        records = put(records, (at, *path), data.draw(VALUES))
    read(folder, lines(records))


@pytest.mark.parametrize("name", samples.FILES)
def test_every_place_of_a_recording_with_every_kind_of_value(folder, name):
    records = samples.FILES[name]
    for new in (None, -1, "x", [None], {"x": 1}):
        for path in places(records):
            if path:
                read(folder, lines(put(records, path, new)))


@pytest.mark.parametrize("name", samples.FILES)
def test_samples_are_read_as_they_are(folder, name):
    found, complaints = read(folder, lines(samples.FILES[name]))
    assert found
    assert complaints == []

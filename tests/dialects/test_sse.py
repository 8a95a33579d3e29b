from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.dialects.sse import Event, Splitter


def split(stream: bytes, size: int = 1 << 20, **options: int) -> list[Event]:
    splitter, events = Splitter(**options), []
    for start in range(0, len(stream), size):
        events += splitter.feed(stream[start : start + size])
    return events + splitter.finish()


def said(events: list[Event]) -> list[bytes]:
    return [event.data for event in events if event.data]


MIXED = (
    b'\xef\xbb\xbfdata: first\n\n: a comment\r\n\r\nevent: delta\r\ndata: {"a":\r\ndata: 1}\r\n\r\n'
    b"data:no space\r\rdata: \xe2\x80\xa8 \xc2\x85 is no line end\n\n\n\nid: 7\nretry: 3\ndata: last\n\ndata: cut"
)  # fmt: skip
EXPECTED = [
    b"first", b'{"a":\n1}', b"no space",
    "\u2028 \x85 is no line end".encode(), b"last", b"cut",
]  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64, 1000])
def test_any_chunks_give_the_same_events(size):
    events = split(MIXED, size)
    assert said(events) == EXPECTED
    assert b"".join(event.raw for event in events) == MIXED


def test_events_come_as_soon_as_they_are_complete():
    splitter = Splitter()
    assert splitter.feed(b"data: a\r\n\r") == []
    assert [event.data for event in splitter.feed(b"\ndata: b")] == [b"a"]
    assert [event.data for event in splitter.feed(b"\n\n")] == [b"b"]
    assert splitter.finish() == []


def test_one_event_can_be_left_out_and_the_rest_is_byte_for_byte():
    stream = b"data: 1\n\ndata: usage\n\ndata: [DONE]\n\n"
    kept = b"".join(event.raw for event in split(stream, 3) if event.data != b"usage")
    assert kept == b"data: 1\n\ndata: [DONE]\n\n"


def test_a_data_line_without_colon_is_an_empty_line_and_unknown_fields_are_ignored():
    assert said(split(b"data\ndata\nfoo: bar\nxdata: no\n\n")) == [b"\n"]


@pytest.mark.parametrize("size", [1, 10, 97, 5000])
def test_an_event_over_the_limit_passes_raw_and_is_not_read(size):
    stream = b"data: a\n\ndata: " + b"x" * 3000 + b"\n\ndata: b\n\n"
    events = split(stream, size, limit=200)
    assert b"".join(event.raw for event in events) == stream
    assert [event.data for event in events if len(event.data) < 200 and event.data] == [b"a", b"b"]


pieces = st.sampled_from(
    [b"data: x", b"data:", b"event: e", b": c", b"\n", b"\r", b"\r\n", b"\n\n", b"\xef\xbb\xbf", b" ", b"y"]
)


@given(st.lists(pieces, max_size=25).map(b"".join), st.lists(st.integers(1, 9), min_size=1, max_size=9))
def test_no_byte_is_lost_and_no_split_matters(stream, sizes):
    splitter, events, start, turn = Splitter(), [], 0, 0
    while start < len(stream):
        size = sizes[turn % len(sizes)]
        events += splitter.feed(stream[start : start + size])
        start, turn = start + size, turn + 1
    events += splitter.finish()
    assert b"".join(event.raw for event in events) == stream
    assert said(events) == said(split(stream))


@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), min_size=1), max_size=6),
    st.integers(1, 7),
)
def test_what_a_server_sends_arrives(texts, size):
    stream = b"".join(b"data: " + text.encode() + b"\n\n" for text in texts)
    assert [event.data.decode() for event in split(stream, size)] == texts

from __future__ import annotations

import contextlib
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.dialects.eventstream import Decoder, encode
from ctxkit.errors import ProviderShapeError

headers = st.dictionaries(
    st.text(min_size=1, max_size=20),
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=40) | st.text(max_size=40) | st.uuids(),
    max_size=4,
)
messages = st.tuples(st.text(max_size=20), st.binary(max_size=200), headers)


@given(st.lists(messages, max_size=4), st.integers(1, 50))
def test_what_is_written_is_read_however_it_is_cut(sent, size):
    stream = b"".join(encode(*message) for message in sent)
    decoder, found = Decoder(), []
    for start in range(0, len(stream), size):
        found += decoder.feed(stream[start : start + size])
    assert [(m.payload, {k: m.headers[k] for k in extra}) for m, (_, _, extra) in zip(found, sent, strict=True)] == [
        (payload, extra) for _, payload, extra in sent
    ]
    assert b"".join(message.raw for message in found) == stream
    assert decoder.rest == b""


def test_botocore_reads_what_we_write_and_we_read_every_header_type():
    peer = pytest.importorskip("botocore.eventstream")
    moment = datetime(2026, 9, 1, 12, 30, tzinfo=UTC)
    sent = {"yes": True, "no": False, "int": -5, "long": 2**40, "bytes": b"\x00\xff", "text": "é", "id": uuid.uuid4()}
    raw = encode("contentBlockDelta", b'{"delta":{}}', {**sent, "time": moment})
    buffer = peer.EventStreamBuffer()
    buffer.add_data(raw)
    (theirs,) = list(buffer)
    assert theirs.payload == b'{"delta":{}}'
    assert theirs.headers[":event-type"] == "contentBlockDelta"
    assert theirs.headers["text"] == "é"
    assert theirs.headers["id"] == sent["id"].bytes
    assert theirs.headers["time"] == round(moment.timestamp() * 1000)
    (ours,) = Decoder().feed(raw)
    assert {key: ours.headers[key] for key in sent} == sent
    assert ours.headers["time"] == moment
    assert (ours.event_type, ours.failed) == ("contentBlockDelta", False)


def test_a_failure_has_its_type():
    raw = encode("x", b"{}", {":message-type": "exception", ":exception-type": "throttlingException"})
    (message,) = Decoder().feed(raw)
    assert message.failed


@pytest.mark.parametrize("at", [0, 5, 9, 14, 30, -6, -1])
def test_a_changed_byte_is_noticed_and_the_bytes_are_kept(at):
    raw = bytearray(encode("metadata", b'{"usage":{}}'))
    raw[at] ^= 0x41
    decoder = Decoder()
    with pytest.raises(ProviderShapeError, match="event stream"):
        decoder.feed(bytes(raw))
    assert decoder.rest == bytes(raw)


def test_messages_before_a_broken_one_are_not_lost():
    good, bad = encode("a", b"1"), b"\xff" * 20
    decoder = Decoder()
    assert [message.payload for message in decoder.feed(good + bad)] == [b"1"]
    with pytest.raises(ProviderShapeError):
        decoder.feed(b"")
    assert decoder.rest == bad


@given(st.binary(max_size=200))
def test_noise_never_breaks_anything_else(noise):
    with contextlib.suppress(ProviderShapeError):
        Decoder().feed(noise)

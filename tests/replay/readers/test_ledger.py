"""The ledger read as recordings: usage and times of threads, and no word of them."""

from decimal import Decimal

import pytest

from ctxkit.errors import TranscriptError
from ctxkit.metering.ledger import Ledger
from ctxkit.model import Record, Usage
from ctxkit.replay.readers import read_recordings
from ctxkit.replay.readers.ledger import read_ledger

NOW = 1_795_262_400.0


def record(number, thread, usage=None, /, *, status="settled", **values):
    usage = usage or Usage(100, 50, {"5m": 25}, 10, 3)
    whole = {"dialect": "openai.chat", "platform": "openai", "model": "gpt-5", "thread": thread} | values
    return Record(
        f"a{number}",
        f"a{number}",
        whole.pop("number", 1),
        status,
        200,
        NOW + number,
        usage=usage,
        cost=Decimal(1),
        **whole,
    )


@pytest.fixture
def path(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.append(record(3, "one", Usage(500, 0, {}, 10), model="gpt-5-mini"))
        ledger.append(record(1, "one", feature="chat"))
        ledger.append(record(2, "two", dialect="anthropic.messages", platform="anthropic", tier="batch"))
        ledger.append(record(4, None))
        ledger.append(record(5, None))
        ledger.append(record(6, "one", status="failed"))
        ledger.append(record(7, None, number=0))  # rent: no request
    return tmp_path / "ledger.db"


@pytest.mark.parametrize("read", [read_ledger, read_recordings], ids=["as a ledger", "as any file"])
def test_threads_with_usage_and_times(path, read):
    found = {one.name: one for one in read(path)}
    assert set(found) == {"one", "two", "a4", "a5"}
    one, two = found["one"], found["two"]
    assert [(asked.at, asked.model, asked.body) for asked in one.requests] == [
        (NOW + 1, "gpt-5", {"model": "gpt-5"}),
        (NOW + 3, "gpt-5-mini", {"model": "gpt-5-mini"}),
    ]
    assert one.requests[0].usage == Usage(100, 50, {"5m": 25}, 10, 3)
    assert one.requests[0].source == f"{path}#a1"
    assert (one.feature, one.format, one.dialect, one.platform, one.partial) == (
        "chat", "ledger", "openai.chat", "openai", True,
    )  # fmt: skip
    assert two.requests[0].body == {"model": "gpt-5", "service_tier": "batch"}


def test_a_stretch_of_time(path):
    assert [one.name for one in read_ledger(path, since=NOW + 4, until=NOW + 5)] == ["a4"]


@pytest.mark.parametrize("content", [b"SQLite format 3\0" + bytes(100), b"SQLite format 3\0", b""])
def test_what_is_no_ledger_is_told(tmp_path, content):
    (tmp_path / "x.db").write_bytes(content)
    told = []
    assert list(read_ledger(tmp_path / "x.db", complain=told.append)) == []
    assert len(told) == 1
    with pytest.raises(TranscriptError, match=r"x\.db"):
        list(read_recordings(tmp_path / "x.db"))
    assert [one.name for one in tmp_path.iterdir()] == ["x.db"]

"""What the contract tests share that is no fixture."""

from __future__ import annotations

import gc
import time
from typing import Any

from ctxkit import Record
from ctxkit.testing import FakeProvider, Tokens

TOKENS = Tokens(input=100, output=20, read=64)
MESSAGES = [{"role": "user", "content": "What is 2 + 2?"}]


def only(records: list[Record]) -> Record:
    """The one record there is."""
    assert len(records) == 1, records
    return records[0]


def settled(records: list[Record], dialect: str, **expected: Any) -> Record:
    """The one record there is, settled with the usage that the provider reported."""
    record = only(records)
    assert (record.status, record.dialect, record.http_status) == ("settled", dialect, 200), record
    assert record.usage is not None
    assert (record.usage.input_total, record.usage.read, record.usage.output) == (100, 64, 20)
    assert record.problems == ()
    for name, value in expected.items():
        assert getattr(record, name) == value, name
    return record


def wire(provider: FakeProvider) -> list[tuple[str, str, str, dict[str, str], bytes]]:
    """Everything that was sent, for comparing: without what is random in every request."""
    random = {"idempotency-key", "amz-sdk-invocation-id", "x-amz-date", "authorization"}
    return [
        (
            request.method,
            request.path,
            request.query,
            {name: value for name, value in request.headers.items() if name not in random},
            request.body,
        )
        for request in provider.requests
    ]


def collected(records: list[Record], wanted: int = 1) -> None:
    """Collect garbage until so many records are there: what nobody holds is settled by a thread of its own."""
    for _ in range(2_000):
        gc.collect()  # first of all: what is dropped in a test is to be told of in that test
        if len(records) >= wanted:
            return
        time.sleep(0.001)
    raise AssertionError(f"{len(records)} records, not {wanted}")

"""Lengths of threads, as the ledger knows them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ctxkit import Kit, Policy
from ctxkit.metering.ledger import Ledger
from ctxkit.model import Record
from ctxkit.stores.memory import MemoryStore

NOW = 1_795_000_000.0


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.db") as made:
        yield made


def write(ledger, thread, count, *, feature="a", start=NOW, retried=0, status="settled"):
    for number in range(count):
        one = Record(
            f"{thread}-{number}", f"{thread}-{number}", 1, status, 200, start + number, "openai.chat", "openai", "gpt-4o",
            feature=feature, thread=thread,
        )  # fmt: skip
        ledger.append(one)
        for again in range(retried):
            ledger.append(replace(one, attempt=f"{one.attempt}-{again}", number=2 + again))


def test_requests_are_counted_and_retries_are_not(ledger):
    write(ledger, "one", 3, retried=2)
    write(ledger, "two", 5, feature=None, start=NOW + 100)
    write(ledger, "lost", 4, status="failed")
    write(ledger, None, 4)
    assert ledger.threads(1_000) == [("a", 3, NOW + 2), ("", 5, NOW + 104)]
    assert ledger.threads(3) == [("", 3, NOW + 104)]


def test_an_empty_ledger_has_none(ledger):
    assert ledger.threads(10) == []


def test_a_kit_begins_with_what_its_ledger_knows(ledger):
    for number in range(40):
        write(ledger, f"t{number}", 9, start=NOW - 10_000)
    write(ledger, "open", 3, start=NOW - 10)
    kit = Kit(Policy(mode="prune"), store=MemoryStore(), ledger=ledger, clock=lambda: NOW, strict=True)
    accounts = kit.rooms.tidying.accounts
    accounts.recall(ledger, NOW)  # as the thread does that was begun, which may be at it still
    assert accounts.survival.closed("a") == 40
    assert accounts.survival.remaining("a", 1) > 5
    kit.close()

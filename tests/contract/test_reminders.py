"""What holds for good is said once more through the real SDKs: the cache reads what it read, and the record says what it cost."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any

import pytest

from ctxkit import Record
from ctxkit.tidiness import Tidy
from tests.contract.test_savings import Clock, run
from tests.hygiene.threads import source

RULE = "From now on, always give distances in kilometres."
OFF = dict.fromkeys(("compact", "repeats", "deltas", "stale", "spent", "episodes"), False)


def turns() -> list[tuple[str, str]]:
    found = []
    for number in range(8):
        text = RULE if number == 1 else f"Question {number}: {source(f'q{number}', 90)}"
        found += [("user", text), ("assistant", f"Answer {number}: {source(f'a{number}', 60)}")]
    return found


def said(sdk: Any, model: str, client: Any, clock: Clock) -> None:
    history: list[Any] = []
    for role, text in turns():
        history.append({"role": role, "content": text})
        if role == "user":
            held = copy.deepcopy(history)
            clock.now += 10
            if "Anthropic" in dir(sdk):
                client.messages.create(model=model, max_tokens=50, system="Be brief.", messages=history)
            else:
                opening = {"role": "system", "content": "Be brief."}
                client.chat.completions.create(model=model, messages=[opening, *history])
            assert history == held


def bill(records: list[Record]) -> Decimal:
    return sum((record.cost or Decimal(0) for record in records), Decimal(0))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "model"), [("anthropic", "claude-opus-5"), ("openai", "gpt-5.1"), ("openai", "gpt-6-sol")]
)
def test_a_growing_conversation(name: str, model: str) -> None:
    sdk = pytest.importorskip(name)
    with_it, without = (
        run(
            "prune",
            lambda client, clock: said(sdk, model, client, clock),
            sdk,
            tidy=Tidy(reminders=wanted, reminders_from=2_000, **OFF),
        )
        for wanted in (True, False)
    )
    reminded = [record for record in with_it if record.edits.get("by.reminders.n")]
    assert 2 <= len(reminded) < len(with_it)
    assert [record.status for record in with_it] == ["settled"] * len(without)
    for one, other in zip(with_it, without, strict=True):
        assert one.usage is not None
        assert other.usage is not None
        assert abs((one.usage.read or 0) - (other.usage.read or 0)) <= 16
    assert sum(record.usage.read or 0 for record in without if record.usage) > 0
    cost = sum((record.savings_by.get("reminders", Decimal(0)) for record in with_it), Decimal(0))
    assert cost < 0
    # the estimate of so short a text is no better than that
    assert float(bill(without) - bill(with_it)) == pytest.approx(float(cost), rel=0.5)
    for record in with_it:
        assert sum(record.savings_by.values(), Decimal(0)) == (record.savings or 0)
        assert ("reminders" in record.savings_by) == (record in reminded)
    assert json.dumps([record.notes for record in with_it]).count("kilometres") == 0

"""An audit of recordings that keep no text: what is known of lengths, usage and times, and nothing else."""

from decimal import Decimal

from ctxkit.metering.ledger import Ledger
from ctxkit.model import Record, Usage
from ctxkit.replay.auditing import audit
from ctxkit.replay.posing import Assumed
from ctxkit.replay.readers.ledger import read_ledger

NOW = 1_795_262_400.0


def ledger_of(folder, *lengths, gap=60):
    with Ledger(folder / "ledger.db") as ledger:
        for number, tokens in enumerate(lengths):
            ledger.append(
                Record(
                    f"a{number}", f"a{number}", 1, "settled", 200, NOW + gap * number, "anthropic.messages", "anthropic",
                    "claude-haiku-4-5", thread="t", feature="chat", usage=Usage(tokens, 0, {}, 100), cost=Decimal(1),
                    cost_source="provider",
                )
            )  # fmt: skip
    return list(read_ledger(folder / "ledger.db"))


def test_the_ledger_itself(tmp_path):
    told = audit(ledger_of(tmp_path, 10_000, 12_000, 15_000), processes=1).to_dict()
    assert (told["threads"], told["requests"], told["input_tokens"]) == (1, 3, 37_000)
    # 37,000 at 1 and 300 out at 5 dollars a million; well marked, 12,000 of them are written at 1.25 and 22,000 read at 0.10.
    assert Decimal(told["cost"]["as_sent"]) == Decimal("0.0385")
    assert Decimal(told["cost"]["raw_cached"]) == Decimal("0.0217")
    assert (told["cost"]["ctxkit"], told["cost"]["optimum"]) == (None, None)
    assert set(told["modes"].values()) == {None}
    assert told["by_thread"][0]["feature"] == "chat"
    assert told["unread"] == []


def test_what_if_another_model_had_been_asked(tmp_path):
    told = audit(
        ledger_of(tmp_path, 10_000, 12_000, 15_000), assumed=Assumed(model="claude-sonnet-4-5"), processes=1
    ).to_dict()
    assert Decimal(told["cost"]["as_sent"]) == Decimal("0.0385")
    assert Decimal(told["cost"]["raw_cached"]) == Decimal("0.0651")


def test_entries_that_are_over_are_not_read(tmp_path):
    told = audit(ledger_of(tmp_path, 10_000, 12_000, gap=301), processes=1).to_dict()
    assert told["cost"]["raw_cached"] == told["cost"]["as_sent"]

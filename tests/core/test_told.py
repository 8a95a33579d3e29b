"""What tidying did, told to a person: from the plan, from the ledger, by pass."""

import json
from decimal import Decimal

import pytest

from ctxkit import Edit, Kit, Plan, Policy
from ctxkit.cli import main
from ctxkit.editable import Pending, Tally, Tidied, tallied
from ctxkit.explain import explain_record, record_dict
from ctxkit.metering.settling import opening

SECRET = "secret/of/the/harbour.py"


def edit(number, by, before, after, saving=None, *, lossless=False):
    return Edit(
        "replace", ("messages", number, "content"), f"reason {number} {SECRET}", "x", before, after, lossless,
        None if saving is None else Decimal(saving), by,
    )  # fmt: skip


EDITS = (
    edit(1, "compact", 100, 60, "0.001", lossless=True),
    edit(3, "spent", 900, 40, "0.02"),
    edit(5, "spent", 800, 40, "-0.03"),
    edit(7, "", 0, 0, "0.5"),  # said to the cache
    edit(9, "own", 10, 9),
)
PENDING = tuple(
    Pending("stale", f"{SECRET} was read again {number}", 500, "until 30% is carried") for number in range(5)
)
PLAN = Plan(
    {}, EDITS, attempt="a1", operation="a1", dialect="openai.chat", platform="openai", model="gpt-5", thread="t1",
    tidied=Tidied("edit", tallied(EDITS), True, "rewritten now: it pays", PENDING, ("r_a", "r_b", "r_c", "r_d")),
)  # fmt: skip


def test_edits_are_counted_by_pass_without_those_for_the_cache():
    assert tallied(EDITS) == (
        Tally("spent", 2, 1_700, 80, lossless=False, predicted_saving=Decimal("-0.01")),
        Tally("compact", 1, 100, 60, lossless=True, predicted_saving=Decimal("0.001")),
        Tally("own", 1, 10, 9, lossless=False),
    )
    assert tallied(EDITS)[0].removed == 1_620


def test_a_plan_tells_what_was_edited_why_now_what_is_pending_and_what_it_waits_for():
    told = PLAN.explain()
    assert "tidied: 4 edits, 1,810 tokens became 149" in told
    assert "spent: 2 edits, 1,700 tokens became 80, something left out, expected to cost $0.010000" in told
    assert "compact: 1 edit, 100 tokens became 60, nothing lost, expected to save $0.001000" in told
    assert "own: 1 edit, 10 tokens became 9, something left out\n" in told
    assert f"messages.3.content: reason 3 {SECRET} (900 tokens became 40)" in told
    assert "rewritten now: it pays" in told
    assert "pending: 5 removals, about 2,500 tokens" in told
    assert "stale: 5, waits: until 30% is carried" in told
    assert "and 2 more" in told
    assert 'kit.recall(ref, thread="t1") of r_a, r_b, r_c and 1 more' in told
    assert told.count("edit at ") == 1
    assert "sent byte for byte" not in told


def test_a_plan_of_weaker_modes_says_nothing_of_it():
    told = Plan({}, dialect="openai.chat").explain()
    assert "tidied" not in told
    assert "pending" not in told
    assert told.endswith("sent byte for byte as it came")


def test_a_record_keeps_figures_and_the_decision_and_no_word_of_a_prompt():
    record = opening(PLAN)
    assert record.edits == {
        "n": 5, "tokens": 1_661, "rewritten": 1,
        "by.spent.n": 2, "by.spent.before": 1_700, "by.spent.after": 80,
        "by.compact.n": 1, "by.compact.before": 100, "by.compact.after": 60,
        "by.own.n": 1, "by.own.before": 10, "by.own.after": 9,
        "pending.stale.n": 5, "pending.stale.tokens": 2_500,
    }  # fmt: skip
    found = record_dict(record)
    assert found["tidied"]["passes"]["spent"] == {"n": 2, "before": 1_700, "after": 80}
    assert found["tidied"]["pending"] == {"stale": {"n": 5, "tokens": 2_500}}
    assert found["tidied"]["rewritten"] is True
    assert found["edits"] == {"n": 5, "tokens": 1_661}
    told = explain_record(record)
    assert "spent: 2 edits, 1,700 tokens became 80" in told
    assert "pending, stale: 5 removals, about 2,500 tokens" in told


@pytest.mark.parametrize("name", ["a.b", "x" * 500, "n", "pending", "", "\x1b[2J"])
def test_a_pass_of_any_name_is_told_and_bounded(name):
    plan = Plan({}, (edit(1, name, 50, 5),), tidied=Tidied(passes=tallied((edit(1, name, 50, 5),))), dialect="x")
    record = opening(plan)
    passes = record_dict(record)["tidied"]["passes"]
    assert passes == ({name[:64]: {"n": 1, "before": 50, "after": 5}} if name else {})
    assert "\x1b" not in plan.explain() + explain_record(record)


def test_the_ledger_tells_the_same(tmp_path, capsys):
    kit = Kit(Policy(mode="prune"), store=tmp_path / "s", ledger=tmp_path / "ledger.db", strict=True)
    rows = [{"id": number, "name": f"ship {number}", "secret": SECRET} for number in range(200)]
    call = {"id": "c", "type": "function", "function": {"name": "ships", "arguments": "{}"}}
    body = {
        "model": "gpt-5",
        "messages": [
            {"role": "user", "content": "Which ships?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": json.dumps(rows, indent=4)},
        ],
    }
    plan = kit.plan(body, dialect="openai.chat", platform="openai")
    assert plan.tidied.passes[0].by.startswith("compact")
    record = kit.settle(plan, {"id": "x", "model": "gpt-5", "usage": {"prompt_tokens": 900, "completion_tokens": 5}})
    kit.close()
    assert main(["explain", record.attempt, "--json", "--ledger", str(tmp_path / "ledger.db")]) == 0
    told = json.loads(capsys.readouterr().out)
    one = plan.tidied.passes[0]
    assert told["tidied"]["passes"][one.by] == {"n": 1, "before": one.tokens_before, "after": one.tokens_after}
    assert main(["explain", record.attempt, "--ledger", str(tmp_path / "ledger.db")]) == 0
    told = capsys.readouterr().out
    assert f"{one.by}: 1 edit" in told
    assert SECRET not in told
    assert all(SECRET.encode() not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())

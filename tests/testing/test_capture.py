"""``capture`` lists what was settled inside, and nothing else."""

from __future__ import annotations

from ctxkit import Kit, default_kit
from ctxkit.testing import capture

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
ANSWER = {"usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}}


def settle(kit: Kit) -> None:
    kit.settle(kit.plan(BODY, dialect="openai.chat", platform="openai"), ANSWER)


def test_lists_records_of_a_kit() -> None:
    kit = Kit(store=None, ledger=None, strict=True)
    settle(kit)
    with capture(kit) as outer:
        settle(kit)
        with capture(kit) as inner:
            settle(kit)
        settle(kit)
    settle(kit)
    assert (len(outer), len(inner)) == (3, 1)
    assert inner[0] is outer[1]
    assert inner[0].usage is not None
    assert inner[0].usage.fresh == 3
    kit.close()


def test_default_kit() -> None:
    with capture() as records:
        settle(default_kit())
    assert [record.status for record in records] == ["settled"]

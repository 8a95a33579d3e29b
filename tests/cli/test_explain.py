"""``ctxkit explain``: one request, told whole; and what it says when there is none."""

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal

import pytest

from ctxkit import Kit
from ctxkit.cacheable import Miss
from ctxkit.cli import explain
from ctxkit.errors import ConfigurationError
from ctxkit.metering.ledger import Ledger
from ctxkit.model import Estimate, Record, Usage

SECRET = "xyzzy-secret"


@pytest.fixture
def ctxkit(capsys):
    def call(*words):
        parser = argparse.ArgumentParser(prog="ctxkit")
        explain.add_parser(parser.add_subparsers(dest="command"))
        code = explain.run(parser.parse_args(["explain", *words]))
        out, err = capsys.readouterr()
        return code, out, err

    return call


FAILED = Record(
    "019a00000001aa", "019a00000001aa", 1, "failed", 529, 1_763_640_000.0, "anthropic.messages", "anthropic",
    "claude-sonnet-4-5", feature="chat", thread="t1", estimate=Estimate(6_000, 5_900, 6_100, method="fitted", family="claude"),
)  # fmt: skip
MISSED = replace(
    FAILED,
    attempt="019a00000002bb",
    number=2,
    status="settled",
    http_status=200,
    created=1_763_640_002.5,
    usage=Usage(20, 0, {"5m": 6_000}, 5, 2),
    cost=Decimal("0.0226350"),
    cost_source="card",
    response_id="msg_01X",
    forecast_read=5_800,
    forecast={"rule": "anthropic.direct", "read": 5_800, "bound": 5_900, "written": {"5m": 200}, "fresh": 20, "guaranteed": True},
    miss_reason="tools_changed",
    miss_tokens=5_800,
    miss_cost=Decimal("0.02001"),
    miss=Miss("tools_changed", 5_800, ("tools", 0), "1 added: search\x1b[2J", "provider"),
    notes=("messages.4: marked: read by the next turn",),
    edits={"n": 1, "tokens": 0},
    savings=Decimal("-0.001"),
    savings_by={"cache": Decimal("0.002"), "stale": Decimal("-0.003")},
    predicted=Decimal("0.04"),
)  # fmt: skip


@pytest.fixture
def kept(home):
    with Ledger(home / "ledger.db") as ledger:
        for record in (FAILED, MISSED):
            ledger.append(record)
        ledger.append(
            replace(FAILED, attempt="019a00000003cc", operation="019a00000003cc", status="unmetered", dialect="")
        )
    return home / "ledger.db"


def test_everything_is_told(ctxkit, kept):
    code, out, err = ctxkit("019a00000002bb")
    assert (code, err) == (0, "")
    for words in (
        "019a00000002bb: settled, HTTP 200, planned at 2025-11-20T12:00:02.500Z",
        "claude-sonnet-4-5 on anthropic (anthropic.messages); feature chat; thread t1",
        "messages.4: marked: read by the next turn",
        "input 6,000 tokens",
        "forecast: 5,800 read (at most 5,900), 200 written for 5m, 20 fresh (rule anthropic.direct; a promised read)",
        "reported: 0 read, 6,000 written for 5m, 20 fresh, 5 output (2 of it reasoning)",
        "missed: 5,800 tokens, tools_changed at tools.0; so the provider",
        "it cost $0.020010 more",
        "cost $0.022635, by the price list",
        "it cost $0.001000 more than without what ctxkit did: stale $-0.003000, cache $0.002000",
        "what was removed with it is expected to save $0.040000 over the rest of the conversation",
        "one of 2 attempts of 019a00000001aa",
        "1. 019a00000001aa: failed, HTTP 529",
    ):
        assert words in out, words
    assert "\x1b" not in out


def test_json(ctxkit, kept):
    code, out, _ = ctxkit("msg_01X", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["miss"] == {
        "reason": "tools_changed",
        "tokens": 5_800,
        "cost": "0.02001",
        "path": ["tools", 0],
        "detail": "1 added: search\x1b[2J",
        "source": "provider",
    }
    assert told["forecast"]["read"] == 5_800
    assert told["usage"]["written"] == {"5m": 6_000}
    assert [one["status"] for one in told["attempts"]] == ["failed", "settled"]
    assert (told["cost"], told["savings"]) == ("0.022635", "-0.001")


@pytest.mark.parametrize(
    ("name", "attempt"),
    [("019a00000001", "019a00000001aa"), ("019a00000002", "019a00000002bb"), ("019a00000003c", "019a00000003cc")],
)
def test_the_beginning_of_an_id_is_enough(ctxkit, kept, name, attempt):
    assert ctxkit(name)[1].startswith(attempt)


def test_what_is_not_known_says_so(ctxkit, kept):
    _, out, _ = ctxkit("019a00000003cc")
    assert "reported: no usage" in out
    assert "cost unknown" in out
    assert "missed" not in out


def test_wrong_ids(ctxkit, kept):
    assert ctxkit("nobody")[0] == 1
    assert ctxkit("")[0] == 1
    with pytest.raises(ConfigurationError, match="give more of the id"):
        ctxkit("019a")


def test_no_ledger(ctxkit, home):
    code, _, err = ctxkit("a")
    assert code == 2
    assert "no ledger" in err
    (home / "ledger.db").parent.mkdir(exist_ok=True)
    (home / "ledger.db").write_text("not ours")
    assert ctxkit("a")[0] == 2


def test_the_command(kept):
    called = subprocess.run(
        [sys.executable, "-m", "ctxkit", "explain", "--help"], capture_output=True, text=True, check=True
    )
    assert "examples:" in called.stdout


def test_a_real_request_without_a_word_of_it(ctxkit, home):
    kit = Kit(store=None, ledger=home / "ledger.db", strict=True)
    record = None
    for words in ("one", "two"):
        body = {
            "model": "claude-sonnet-4-5",
            "max_tokens": 5,
            "system": [{"type": "text", "text": SECRET * 2_000, "cache_control": {"type": "ephemeral"}}],
            "tools": [{"name": words, "description": SECRET, "input_schema": {"type": "object"}}],
            "messages": [{"role": "user", "content": SECRET}],
        }
        plan = kit.plan(body, dialect="anthropic.messages", platform="anthropic", feature="chat")
        record = kit.settle(plan, Usage(10, 0, {"5m": 9_000}, 5))
    kit.close()
    code, out, _ = ctxkit(record.attempt)
    assert code == 0
    assert "tools_changed" in out
    assert "1 added: two; 1 removed: one" in out
    assert "more than reading them" in out
    assert SECRET not in out
    assert SECRET not in json.dumps(ctxkit(record.attempt, "--json"))

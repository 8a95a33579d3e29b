"""``ctxkit whatif``: its table, its JSON, and what it says of what cannot be."""

import argparse
import json
import os
import subprocess
import sys
from decimal import Decimal

import pytest

from ctxkit.cli import main, whatif
from ctxkit.metering.ledger import Ledger
from ctxkit.model import Record, Usage

NOW = 1_795_262_400.0
HAIKU = "claude-haiku-4-5"


@pytest.fixture
def ctxkit(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")

    def call(*words):
        code = main(["whatif", *words])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def kept(home):
    with Ledger(home / "ledger.db") as ledger:
        for number, tokens in enumerate((10_000, 12_000, 15_000)):
            ledger.append(
                Record(
                    f"a{number}", f"a{number}", 1, "settled", 200, NOW + 60 * number, "anthropic.messages", "anthropic",
                    HAIKU, thread="t", usage=Usage(tokens, 0, {}, 100), cost=Decimal("0.01"), cost_source="card",
                )
            )  # fmt: skip
    return home / "ledger.db"


def test_a_table_of_the_ledger(ctxkit, kept):
    code, out, err = ctxkit("--model", "claude-sonnet-4-5", "--tier", "standard,batch")
    assert (code, err) == (0, "")
    words = ("3 requests", "as it was sent", "$0.0300", "the same, simulated", "claude-sonnet-4-5", "batch", "+$0.0351")
    for word in words:
        assert word in out
    assert "only grow" in out


def test_json_of_the_ledger(ctxkit, kept):
    code, out, _ = ctxkit("--model", "claude-sonnet-4-5", "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["requests"], told["present"]["cost"], told["unread"]) == (3, "0.03", [])
    (one,) = told["alternatives"]
    assert (one["cost"], one["difference"], one["read_tokens"]) == ("0.0651", "0.0351", 22_000)
    assert one["cost_per_1000_requests"] == "21.7"


def test_repeated_options_and_commas_are_the_same(ctxkit, kept):
    models = [
        [one["model"] for one in json.loads(ctxkit(*words, "--json")[1])["alternatives"]]
        for words in (("--model", "gpt-5,gpt-4o"), ("--model", "gpt-5", "--model", "gpt-4o"))
    ]
    assert models == [["gpt-5", "gpt-4o"]] * 2


def test_a_ledger_given_as_a_path(ctxkit, kept, tmp_path):
    assert ctxkit(str(kept), "--tier", "batch")[0] == 0
    assert ctxkit("--ledger", str(kept), "--tier", "batch", "--since", "2026-11-21T12:01+00:00", "--json")[1].count(
        '"requests": 2'
    )


def test_what_has_no_price_is_a_finding(ctxkit, kept):
    code, out, _ = ctxkit("--model", "no-such-model")
    assert code == 1
    assert "unknown" in out
    assert "no price is known for no-such-model" in out


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_narrow_terminals(ctxkit, kept, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    _, out, _ = ctxkit("--model", "claude-sonnet-4-5", "--tier", "batch", "--ttl", "1h")
    assert max(map(len, out.splitlines())) <= width
    # 12,000 written at 3, 22,000 read at 0.15, 3,000 at 1.50 and 300 out at 7.50 dollars a million: 0.04605.
    for word in ("claude", "batch", "1h", "$0.0460", "+$0.0160"):
        assert word in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--model, --platform"),
        (("--platform", "nowhere"), "'nowhere' is not known; there are openai"),
        (("--tier", "gold"), "'gold' is not known; there are standard, batch"),
        (("--ttl", "2h"), "'2h'; there are 5m, 30m, 1h"),
        (("--mode", "fast"), "no mode 'fast'; there are observe, cache"),
        (("--date", "someday"), "--date"),
        (("--since", "soon", "--tier", "batch"), "soon"),
        (("--model", ",".join(map(str, range(65)))), "65 alternatives are too many"),
        (("--tier", "batch", "--processes", "0"), "--processes"),
        (("--tier", "batch", "--ledger", "x", "y"), "leave them out"),
        (("--tier", "batch", "--prices", "nowhere.toml"), "nowhere.toml"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(ctxkit, kept, words, said):
    code, out, err = ctxkit(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_no_ledger_yet(ctxkit, home):
    code, out, err = ctxkit("--tier", "batch")
    assert (code, out) == (2, "")
    assert "ctxkit.wrap" in err
    assert not home.exists()


def test_an_empty_ledger(ctxkit, kept):
    code, out, _ = ctxkit("--tier", "batch", "--since", "2026-12-01")
    assert code == 0
    assert "0 requests" in out


def test_files_that_are_nothing(ctxkit, tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "broken.json").write_text('{"messages": [')
    code, out, err = ctxkit(str(tmp_path), str(tmp_path / "none"), "--tier", "batch", "--processes", "1")
    assert (code, out) == (2, "")
    assert "broken.json:1" in err
    assert "no such file" in err


def test_hostile_names_are_shown_as_they_are(ctxkit, kept):
    _, out, _ = ctxkit("--model", "[red]x\x1b[31m\u202e\n[/red]")
    assert "[red]x" in out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "\\x1b[31m" in "".join(out.split())


def test_help_has_an_example(capsys):
    parser = argparse.ArgumentParser(prog="ctxkit")
    whatif.add_parser(parser.add_subparsers(dest="command"))
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["whatif", "--help"])
    assert ended.value.code == 0
    assert "ctxkit whatif --date 2026-12-01" in capsys.readouterr().out


@pytest.mark.parametrize(
    "form", [pytest.param([], id="table", marks=pytest.mark.slow), pytest.param(["--json"], id="json")]
)
def test_a_closed_pipe(kept, home, form):
    command = [sys.executable, "-m", "ctxkit", "whatif", "--tier", "batch", *form]
    environment = {**os.environ, "CTXKIT_HOME": str(home)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0

"""``ctxkit report``: tables, JSON, CSV, and what it says when there is nothing."""

import argparse
import csv
import io
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ctxkit.cli import report
from ctxkit.errors import ConfigurationError
from ctxkit.metering.ledger import Ledger
from ctxkit.model import Record, Usage


@pytest.fixture
def ctxkit(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")

    def call(*words):
        parser = argparse.ArgumentParser(prog="ctxkit")
        report.add_parser(parser.add_subparsers(dest="command"))
        code = report.run(parser.parse_args(["report", *words]))
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def kept(home):
    with Ledger(home / "ledger.db") as ledger:
        for number, feature in enumerate(["chat", "chat", "search"]):
            ledger.append(
                Record(
                    f"a{number}", f"a{number}", 1, "settled", 200, 1_763_640_000.0 + number, "openai.chat", "openai",
                    "gpt-4o", feature=feature, usage=Usage(1000, 0, {}, 10), cost=Decimal("1.25"), cost_source="card",
                )
            )  # fmt: skip
    return home / "ledger.db"


def test_tables(ctxkit, kept):
    code, out, err = ctxkit()
    assert (code, err) == (0, "")
    for words in ("report by feature", "chat", "search", "Total", "$3.75", "Coverage: 100.0%"):
        assert words in out


def test_a_page(ctxkit, kept, tmp_path):
    code, out, err = ctxkit("--html", str(tmp_path / "report.html"))
    assert (code, err) == (0, "")
    assert out.startswith(f"The report is in {tmp_path / 'report.html'} (")
    assert out.count("\n") == 1
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert all(word in page for word in ("chat", "search", "$3.75"))


def test_a_page_beside_json(ctxkit, kept, tmp_path):
    code, out, err = ctxkit("--json", "--html", str(tmp_path / "report.html"))
    assert (code, json.loads(out)["total"]["requests"]) == (0, 3)
    assert err.startswith("The report is in ")


@pytest.mark.parametrize("name", ["", ".", "missing/report.html"])
def test_a_page_that_cannot_be_written(ctxkit, kept, tmp_path, name):
    code, out, err = ctxkit("--html", str(tmp_path / name) if name else "")
    assert (code, out) == (2, "")
    assert err.startswith("ctxkit report: ")
    assert err.count("\n") == 1


def test_json(ctxkit, kept):
    code, out, _ = ctxkit("--json", "--by", "feature,day", "--timezone", "UTC")
    told = json.loads(out)
    assert code == 0
    assert told["total"]["cost"] == "3.75"
    assert {(row["feature"], row["day"]) for row in told["rows"]} == {("chat", "2025-11-20"), ("search", "2025-11-20")}


def test_csv(ctxkit, kept):
    _, out, _ = ctxkit("--csv", "--by", "model")
    assert [(row["model"], row["cost"]) for row in csv.DictReader(io.StringIO(out))] == [("gpt-4o", "3.75")]


def test_a_period(ctxkit, kept):
    _, out, _ = ctxkit("--json", "--since", "2025-11-20T12:00:01", "--until", "2025-11-20", "--timezone", "UTC")
    assert json.loads(out)["total"]["attempts"] == 2


def test_a_period_without_attempts_says_so(ctxkit, kept):
    code, out, _ = ctxkit("--since", "1h")
    assert code == 0
    assert "No attempts in this period" in out


def test_a_price_that_will_change_is_told(ctxkit, home, tmp_path, monkeypatch):
    soon = datetime.fromtimestamp(time.time() + 10 * 86_400, UTC).date()
    row = '[[price]]\nprovider = "openai"\nmodel = "gpt-9"\nmode = "replace"\n'
    (tmp_path / "prices.toml").write_text(
        f'{row}valid_to = {soon}\ninput = "3"\noutput = "15"\n{row}valid_from = {soon}\ninput = "1"\noutput = "15"\n'
    )
    monkeypatch.setenv("CTXKIT_PRICES", str(tmp_path / "prices.toml"))
    with Ledger(home / "ledger.db") as ledger:
        for number, days in enumerate((1, 40)):
            ledger.append(
                Record(
                    f"a{number}", f"a{number}", 1, "settled", 200, time.time() - days * 86_400, "openai.chat", "openai",
                    "gpt-9", usage=Usage(1_000_000, 0, {}, 10), cost=Decimal("3"), cost_source="card",
                )
            )  # fmt: skip
    assert json.loads(ctxkit("--json")[1])["coming"] == [
        {
            "platform": "openai", "model": "gpt-9", "tier": "standard", "at": f"{soon}T00:00:00Z", "bucket": "fresh",
            "above": 0, "from": "3", "to": "1", "spend": "-2",
        }
    ]  # fmt: skip
    told = " ".join(ctxkit()[1].split())
    assert f"gpt-9 on openai changes its price on {soon}: input 3 to 1" in told
    assert "the last 30 days would have cost $2.0000 less" in told


def test_no_ledger_says_what_to_do_and_makes_none(ctxkit, home):
    code, out, err = ctxkit()
    assert (code, out) == (2, "")
    assert "ctxkit.wrap" in err
    assert "ctxkit demo" in err
    assert not home.exists()


def test_a_file_that_is_no_ledger_is_left_alone(ctxkit, tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text("my notes, which are longer than a header")
    code, _, err = ctxkit("--ledger", str(notes))
    assert code == 2
    assert "not a ctxkit ledger" in err
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".txt" or "corrupt" in path.name] == [
        "notes.txt"
    ]


def test_a_database_of_something_else_is_left_alone(ctxkit, tmp_path):
    import contextlib
    import sqlite3

    with contextlib.closing(sqlite3.connect(tmp_path / "theirs.db")) as db:
        db.execute("CREATE TABLE theirs (x)")
    code, _, err = ctxkit("--ledger", str(tmp_path / "theirs.db"))
    assert code == 2
    assert "not a ctxkit ledger" in err
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("theirs")] == ["theirs.db"]


def test_another_ledger(ctxkit, kept, tmp_path):
    kept.rename(tmp_path / "other.db")
    code, out, _ = ctxkit("--ledger", str(tmp_path / "other.db"), "--json")
    assert (code, json.loads(out)["total"]["attempts"]) == (0, 3)


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--by", "colour"), "colour"), (("--since", "soon"), "soon"), (("--timezone", "Mars/Olympus"), "Mars")],
)
def test_what_cannot_be_is_told(ctxkit, kept, words, said):
    with pytest.raises(ConfigurationError, match=said):  # the entry point makes exit code 2 of it
        ctxkit(*words)


def test_help_has_an_example(capsys):
    parser = argparse.ArgumentParser(prog="ctxkit")
    report.add_parser(parser.add_subparsers(dest="command"))
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["report", "--help"])
    assert ended.value.code == 0
    assert "ctxkit report --by feature,model --since 7d" in capsys.readouterr().out


def test_only_one_form(capsys):
    parser = argparse.ArgumentParser(prog="ctxkit")
    report.add_parser(parser.add_subparsers(dest="command"))
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["report", "--json", "--csv"])
    assert ended.value.code == 2


@pytest.mark.parametrize("form", [[], ["--csv"], ["--json"]], ids=["tables", "csv", "json"])
def test_an_output_that_has_no_letter_for_a_name_shows_its_number(kept, form):
    with Ledger(kept) as ledger:
        ledger.append(replace(next(ledger.records()), attempt="b0", feature="検索 €"))
    command = [sys.executable, "-m", "ctxkit", "report", "--ledger", str(kept), *form]
    told = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}, check=True)
    assert b"\\u691c\\u7d22 \\u20ac" in told.stdout
    assert told.stderr == b""


def idle_thread(ledger, feature, gap):
    """Six requests of one thread, so far apart, each of which wrote its prompt anew."""
    for number in range(6):
        ledger.append(
            Record(
                f"{feature}{number}", f"{feature}{number}", 1, "settled", 200, 1_795_000_000.0 + gap * number,
                "anthropic.messages", "anthropic", "claude-opus-5", feature=feature, thread=feature,
                usage=Usage(100, 0, {"5m": 10_000}, 10), cost=Decimal("0.06"), cost_source="card",
            )
        )  # fmt: skip


def test_advice_is_told_where_it_is_asked_for(ctxkit, home):
    with Ledger(home / "ledger.db") as ledger:
        idle_thread(ledger, "agent", 1_200)
    assert "pings" not in ctxkit()[1]
    code, out, _ = ctxkit("--advice")
    assert code == 0
    assert "agent, claude-opus-5 on anthropic: marking with 1h instead of 5m would have saved $" in out
    assert "up to " in out
    told = json.loads(ctxkit("--advice", "--json")[1])
    assert {advice["kind"] for advice in told["advice"]} == {"ttl", "keep_alive"}
    assert all(Decimal(advice["saving_usd"]).is_finite() for advice in told["advice"])
    assert "advice" not in json.loads(ctxkit("--json")[1])


def test_where_there_is_no_advice_that_is_said(ctxkit, kept):
    assert "no advice: too little was cached" in ctxkit("--advice")[1]


def test_what_the_store_beside_the_ledger_knows_is_told(ctxkit, kept, home):
    from ctxkit.stores.disk import DiskStore

    store = DiskStore(home / "store")
    day = str(1_763_640_000 // 86_400)
    figures = {f"{day} observe": {"chat": [2, 5, 3 * 10**12, 2 * 10**12, 10**12, 10**12], "\0seen": [10]}}
    store.put(b"shadow", json.dumps(figures).encode())
    sums = {"resting": True, "closed": 21, "spent": 5, "balance": -5, "edited": [], "held": [], "shadow": []}
    store.put(b"trials", json.dumps({"search": sums}).encode())
    store.close()
    code, out, _ = ctxkit("--json")
    told = json.loads(out)
    assert code == 0
    assert told["shadow"]["coverage"] == 0.5
    assert told["shadow"]["features"][0]["modes"]["prune"] == {"cost": "1", "saved": "2", "share": 0.666667}
    assert told["tidied"][0]["state"] == "resting"
    _, out, _ = ctxkit()
    assert "What stronger modes would have saved" in out
    assert "prune $2.0000 (+66.7%)" in out
    assert "search observes again" in out
    _, out, _ = ctxkit("--since", "2025-12-01")
    assert "stronger modes" not in out


def test_settings_that_keep_texts_and_answers_on_disk_hinder_no_advice(ctxkit, kept, tmp_path, monkeypatch):
    (tmp_path / "ctxkit.toml").write_text('tidy = { recall = "disk" }\nanswers = { where = "disk" }\n')
    monkeypatch.chdir(tmp_path)
    assert ctxkit("--advice")[0] == 0

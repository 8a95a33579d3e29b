"""The demo: offline, whole, and leaving nothing behind."""

import json

from ctxkit.cli import main


def test_the_demo_meters_its_script(capsys, home):
    assert main(["demo", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [record["status"] for record in told["records"]] == ["settled"] * 3 + ["failed"] + ["settled"] * 4
    retry = told["records"][4]
    assert (retry["operation"], retry["number"]) == (told["records"][3]["operation"], 2)
    assert len({record["thread"] for record in told["records"] if record["model"].startswith("claude")}) == 1
    by_feature = {row["feature"]: row for row in told["report"]["rows"]}
    assert by_feature["support-chat"]["requests"] == 4
    assert by_feature[None]["cost"] is None, "no price is unknown, never 0"
    assert not home.exists(), "the demo writes to no ledger of the user"


def test_the_demo_is_told_to_a_person(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    assert main(["demo"]) == 0
    told = capsys.readouterr().out
    assert "support-chat" in told
    assert "unknown" in told
    assert "ctxkit.wrap" in told


def test_the_estimates_of_the_demo_are_near(capsys):
    assert main(["demo", "--json"]) == 0
    for record in json.loads(capsys.readouterr().out)["records"]:
        if record["status"] == "settled":
            total = record["fresh"] + record.get("read", 0) + sum(record.get("written", {}).values())
            assert record["est_low"] <= total <= record["est_high"], record


def test_the_readme_shows_what_the_demo_prints(capsys, monkeypatch):
    from pathlib import Path

    readme = (Path(__file__).parents[2] / "README.md").read_text()
    shown = next(block for block in readme.split("```text\n")[1:] if block.startswith("Tokens and cost"))
    monkeypatch.setenv("COLUMNS", "110")
    assert main(["demo"]) == 0
    printed = {line.rstrip() for line in capsys.readouterr().out.splitlines()}
    assert [line for line in shown.split("\n```")[0].splitlines() if line and line not in printed] == []

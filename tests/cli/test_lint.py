"""``ctxkit lint``: files in, findings and exit codes out."""

import json

import pytest

from ctxkit import Kit
from ctxkit.cli import main
from ctxkit.hall import linting

DATED = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 9,
    "system": "Today is 2026-11-21. " + "Follow the rules. " * 400,
    "messages": [{"role": "user", "content": "Hello"}],
}
FINE = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
def write(tmp_path):
    def written(name, content):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(file)

    return written


def test_a_finding_is_told_with_place_price_and_fix(write, capsys):
    assert main(["lint", write("r.jsonl", json.dumps(FINE) + "\n\n" + json.dumps(DATED) + "\n")]) == 1
    printed = capsys.readouterr().out
    assert "r.jsonl:3: warning volatile-prefix" in printed
    assert "per 1,000 requests" in printed
    assert "1 finding in 2 requests" in printed


def test_nothing_found(write, capsys):
    assert main(["lint", write("r.json", FINE)]) == 0
    assert "nothing to complain of in 1 request" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (DATED, 1),
        ([DATED, FINE], 2),
        ({"request": DATED, "platform": "anthropic"}, 1),
        ({"body": DATED, "dialect": "anthropic.messages"}, 1),
        ([{"role": "system", "content": DATED["system"]}, {"role": "user", "content": "Hi"}], 1),
        ({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "model": "gemini-2.5-flash",
          "systemInstruction": {"parts": [{"text": DATED["system"]}]}}, 1),
        ({"model": "gpt-5", "instructions": DATED["system"], "input": "Hi"}, 1),
        ({"modelId": "us.amazon.nova-lite-v1:0", "system": [{"text": DATED["system"]}],
          "messages": [{"role": "user", "content": [{"text": "Hi"}]}]}, 1),
    ],
    ids=["body", "list", "request", "body in a wrapper", "messages", "gemini", "responses", "converse"],
)  # fmt: skip
def test_all_shapes_are_read(write, capsys, content, count):
    assert main(["lint", write("r.json", content), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["requests"] == count
    assert told["findings"][0]["rule"] == "volatile-prefix"


def test_pretty_printed_json_is_one_document(write, capsys):
    assert main(["lint", write("r.json", json.dumps([DATED, FINE], indent=2))]) == 1
    assert "r.json#1" in capsys.readouterr().out


def test_a_bad_line_is_named_and_the_rest_is_read(write, capsys):
    lines = "\n".join([json.dumps(FINE), "{not json", "5", '{"nothing": "known"}', json.dumps(DATED)])
    assert main(["lint", write("r.jsonl", lines)]) == 1
    printed = capsys.readouterr()
    assert "r.jsonl:2: no JSON" in printed.err
    assert "r.jsonl:3: a request is an object" in printed.err
    assert "r.jsonl:4: no wire format is known" in printed.err
    assert "1 finding in 2 requests" in printed.out


def test_folders(write, tmp_path, capsys):
    write("a/one.json", DATED)
    write("a/b/two.jsonl", json.dumps(DATED))
    write("a/notes.txt", "Today is 2026-11-21")
    assert main(["lint", str(tmp_path / "a")]) == 1
    assert "2 findings in 2 requests" in capsys.readouterr().out


def test_files_are_conversations_of_their_own(write, capsys):
    first = {**FINE, "messages": [{"role": "user", "content": "A " * 2_000}, {"role": "user", "content": "same"}]}
    second = {**FINE, "messages": [{"role": "user", "content": "B " * 2_000}, {"role": "user", "content": "same"}]}
    assert main(["lint", write("one.json", first), write("two.json", second)]) == 0
    capsys.readouterr()


def test_wrong_use(write, capsys, tmp_path):
    assert main(["lint"]) == 2
    assert main(["lint", str(tmp_path / "nothing.json")]) == 2
    assert main(["lint", write("r.json", "{")]) == 2
    assert main(["lint", write("f.json", FINE), "--ignore", "nonsense"]) == 2
    assert "no check is called nonsense" in capsys.readouterr().err


def test_the_checks_are_listed(capsys):
    assert main(["lint", "--rules"]) == 0
    assert "volatile-prefix" in capsys.readouterr().out


def test_prompts_are_not_printed(write, capsys):
    secret = {**DATED, "system": DATED["system"] + " The password is hunter2."}
    changed = {**secret, "system": secret["system"].replace("2026-11-21", "2026-11-22")}
    main(["lint", write("r.json", [secret, changed]), "--json"])
    assert "hunter2" not in capsys.readouterr().out


def test_settings_that_keep_texts_and_answers_on_disk_are_no_hindrance(write, tmp_path, monkeypatch):
    write("ctxkit.toml", 'tidy = { recall = "disk" }\nanswers = { where = "disk" }\n')
    monkeypatch.chdir(tmp_path)
    assert main(["lint", write("r.jsonl", json.dumps(FINE) + "\n")]) == 0


def test_requests_are_checked_as_they_are_read(write, monkeypatch):
    """However many there are, they need not all be in memory."""
    done, plan = [], Kit.plan
    monkeypatch.setattr(Kit, "plan", lambda *a, **k: done.append("planned") or plan(*a, **k))
    monkeypatch.setattr(linting, "_seen", lambda *_: done.append("checked"))
    assert main(["lint", write("r.jsonl", (json.dumps(FINE) + "\n") * 3)]) == 0
    assert done == ["planned", "checked"] * 3

"""``ctxkit audit``: recordings in, figures, advice and exit codes out."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from ctxkit.cli import main
from tests.replay.recordings_by_hand import agent, recording


@pytest.fixture
def write(tmp_path):
    def written(name, content):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            file.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(file)

    return written


def lines(one=None):
    """Requests of a conversation, one a line."""
    return "".join(json.dumps(asked.body) + "\n" for asked in (one or recording()).requests)


SMALL = {"model": "gpt-5.1", "messages": [{"role": "user", "content": "Hello"}]}


def test_the_bill_the_waste_the_misses_and_what_to_do(write, capsys):
    assert main(["audit", write("run.jsonl", lines())]) == 1
    printed = capsys.readouterr().out
    for said in (
        "1 thread, 13 requests",
        "What it cost, and would have cost",
        "raw, well cached",
        "least possible",
        "bloat",
        "no breakpoint",
        "What to do",
        "turn on mode",
    ):
        assert said in printed, said


def test_one_object(write, capsys):
    assert main(["audit", write("run.jsonl", lines()), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["threads"] == 1
    assert told["requests"] == 13
    assert told["drift"]["measured"] == sum(told["drift"]["threads"].values()) == 1
    assert len(told["by_thread"][0]["drift"]["curve"]) > 1
    assert all(isinstance(cost, str) for cost in told["cost"].values())
    assert float(told["cost"]["optimum"]) <= float(told["cost"]["ctxkit"]) < float(told["cost"]["as_sent"])


def test_nothing_to_do(write, capsys):
    assert main(["audit", write("small.json", SMALL)]) == 0
    assert "nothing to complain of" in capsys.readouterr().out


def test_a_page(write, tmp_path, capsys):
    page = tmp_path / "audit.html"
    assert main(["audit", write("run.jsonl", lines()), "--html", str(page)]) == 1
    html = page.read_text()
    assert "What to do" in html
    assert len(html) < 2_000_000
    assert capsys.readouterr().err == ""
    assert main(["audit", write("run.jsonl", lines()), "--html", str(tmp_path)]) == 2


def test_names_are_shown_and_not_obeyed(write, tmp_path, capsys):
    thread = agent()
    hostile = json.loads(json.dumps(thread.messages).replace("search", "<script>[red]\\u001b[2J"))
    body = {"model": "gpt-5.1", "messages": hostile}
    grown = [{**body, "messages": hostile[:index]} for index in thread.calls]
    page = tmp_path / "audit.html"
    main(["audit", write("run.jsonl", "".join(json.dumps(one) + "\n" for one in grown)), "--html", str(page)])
    assert "\x1b" not in capsys.readouterr().out
    assert "<script>[red]" not in page.read_text()


# ---- what if -------------------------------------------------------------------------------------------------------------


def costs(capsys, *args):
    assert main(["audit", *args, "--json"]) in (0, 1)
    return json.loads(capsys.readouterr().out)["cost"]


@pytest.mark.slow
def test_another_model_platform_life_and_policy(write, tmp_path, capsys):
    run = write("run.jsonl", lines())
    before = costs(capsys, run)
    cheaper = costs(capsys, run, "--model", "claude-haiku-4-5")
    assert cheaper["as_sent"] == before["as_sent"]
    assert float(cheaper["raw_cached"]) < float(before["raw_cached"])
    assert costs(capsys, run, "--ttl", "1h")["raw_cached"] > before["raw_cached"]  # and nobody comes back so late
    elsewhere = costs(capsys, run, "--platform", "openai", "--model", "gpt-5.1")
    assert elsewhere["as_sent"] == before["as_sent"] != elsewhere["raw_cached"]
    marked = costs(capsys, run, "--policy", "cache")
    assert float(marked["ctxkit"]) > float(before["ctxkit"])
    policy = write(
        "own.toml", '[tool.ctxkit]\nmode = "lossless"\n[tool.ctxkit.tidy]\ncompact = false\nrepeats = false\n'
    )
    assert float(costs(capsys, run, "--policy", policy)["ctxkit"]) > float(before["ctxkit"])


@pytest.mark.parametrize(
    "args",
    [
        ["--platform", "nowhere"],
        ["--ttl", "7d"],
        ["--policy", "nothing.toml"],
        ["--processes", "0"],
        ["--dialect", "x.y"],
    ],
    ids=" ".join,
)
def test_wrong_flags(write, capsys, args):
    assert main(["audit", write("small.json", SMALL), *args]) == 2
    told = capsys.readouterr()
    assert len(told.err.splitlines()) == 1
    assert told.err.startswith("ctxkit audit: ")
    assert told.out == ""


@pytest.mark.parametrize(
    "content", ["mode = 'fastest'", "mode = [", "\x00"], ids=["no such mode", "no TOML", "no text"]
)
def test_a_policy_that_cannot_be(write, capsys, content):
    assert main(["audit", write("small.json", SMALL), "--policy", write("own.toml", content)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


# ---- bad input -----------------------------------------------------------------------------------------------------------


def test_no_path(capsys):
    assert main(["audit"]) == 2
    assert "name a file or folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    ["", "\n\n", "no JSON at all", "[]", "{}", "7", "[" * 100_000, b"\x00\xff\xfe" * 100, '{"messages": 7}'],
    ids=["empty", "blank", "words", "list", "object", "number", "deep", "bytes", "shape"],
)
def test_what_is_no_recording(write, capsys, content):
    assert main(["audit", write("odd.jsonl", content)]) == 2
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    assert "ctxkit audit: no recorded request could be read" in told.err


def test_a_file_that_is_not_there(tmp_path, capsys):
    assert main(["audit", str(tmp_path / "none.jsonl")]) == 2
    assert "none.jsonl: there is no such file" in capsys.readouterr().err


def test_a_bad_line_is_named_and_the_rest_is_done(write, capsys):
    run = write("run.jsonl", lines() + '{"model": "gpt-5.1", "messages": [\n')
    write("empty.jsonl", "")
    write("odd/odd.json", "{nothing")
    assert main(["audit", os.path.dirname(run), "--json"]) == 1
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert found["requests"] == 13
    assert any("run.jsonl:14" in one for one in found["unread"])
    assert any("odd.json" in one for one in found["unread"])
    assert "run.jsonl:14" in told.err


@pytest.mark.slow
def test_into_a_closed_pipe_on_a_narrow_terminal(write):
    run = write("run.jsonl", lines())
    args = [sys.executable, "-m", "ctxkit", "audit", run]
    env = {**os.environ, "COLUMNS": "30", "NO_COLOR": "1", "TERM": "dumb"}
    whole = subprocess.run(args, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert whole.returncode == 1
    assert max(map(len, whole.stdout.splitlines())) <= 30
    assert whole.stderr == ""
    piped = subprocess.run(
        ["sh", "-c", '"$@" | head -n 1', "sh", *args], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert "Traceback" not in piped.stderr


@pytest.mark.slow
def test_interrupted_it_ends_with_all_its_processes(write):
    many = write("many.jsonl", "".join(lines(recording(agent(f"agent {number}", turns=30))) for number in range(60)))
    args = [sys.executable, "-m", "ctxkit", "audit", many, "--processes", "2"]
    process = subprocess.Popen(args, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
    time.sleep(6.0)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    with pytest.raises(ProcessLookupError):
        for _ in range(50):
            os.killpg(process.pid, 0)
            time.sleep(0.1)

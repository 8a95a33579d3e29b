"""``ctxkit run``: exit codes, signals, streams, options, and what it says at the end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from ctxkit.metering.ledger import Ledger
from ctxkit.testing import FakeProvider
from tests.contract.running import metered, reported, surroundings
from tests.contract.shared import TOKENS

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")
pytest.importorskip("httpx2")

ASK = """
import json, os, sys, urllib.request
body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "2 + 2?"}]}
request = urllib.request.Request(os.environ["OPENAI_BASE_URL"] + "/chat/completions", json.dumps(body).encode())
answer = json.load(urllib.request.urlopen(request))["choices"][0]["message"]["content"]
"""
CALL = [sys.executable, "-c", ASK + "print(answer)"]


@pytest.fixture
def provider():
    with FakeProvider(text="Four.", tokens=TOKENS) as running:
        yield running


def test_a_program_a_report_and_a_ledger(provider, home):
    words = [sys.executable, "-c", ASK + "print(sys.stdin.read() + answer); print('oh', file=sys.stderr); sys.exit(3)"]
    command = [sys.executable, "-m", "ctxkit", "run", "--label", "team=a", "--label", "name=b", "--", *words]
    done = subprocess.run(
        command, env=surroundings(provider.base_url, COLUMNS="100"), input=b"in:", capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (3, b"in:Four.\n")
    error = done.stderr.decode()
    assert error.startswith("oh\n")
    for word in ("report by feature, model", "gpt-4o", os.path.basename(sys.executable), "Total"):
        assert word in error
    with Ledger(home / "ledger.db") as ledger:
        [record] = ledger.records()
    assert (record.status, record.feature) == ("settled", os.path.basename(sys.executable))
    assert record.labels == {"team": "a", "name": "b"}


@pytest.mark.slow
def test_only_this_run_is_reported(provider, home):
    for _ in range(2):
        ended = metered(CALL, surroundings(provider.base_url), "--json", "--feature", "f")
    out, report = reported(ended)
    assert (out, report["total"]["requests"], report["rows"][0]["feature"]) == ("Four.\n", 1, "f")
    assert report["run"]["requests"] == 1
    assert "OPENAI_BASE_URL" in report["run"]["variables"]
    with Ledger(home / "ledger.db") as ledger:
        assert len(list(ledger.records())) == 2


@pytest.mark.slow
def test_quiet_says_nothing(provider, home):
    ended = metered(CALL, surroundings(provider.base_url), "--quiet")
    assert (ended.code, ended.out, ended.err) == (0, "Four.\n", "")
    assert (home / "ledger.db").exists()


@pytest.mark.slow
def test_another_ledger_and_a_page(provider, tmp_path, home):
    page = tmp_path / "page.html"
    ended = metered(
        CALL, surroundings(provider.base_url), "--quiet", "--html", str(page), "--ledger", str(tmp_path / "l.db")
    )
    assert (ended.code, ended.err) == (0, "")
    assert "gpt-4o" in page.read_text()
    assert (tmp_path / "l.db").exists()
    assert not (home / "ledger.db").exists()


@pytest.mark.slow
def test_a_policy_of_a_file_and_a_mode(provider, tmp_path):
    policy = tmp_path / "own.toml"
    policy.write_text('mode = "cache"\nusage_probe = true\n')
    stream = (
        ASK.replace('"messages"', '"stream": True, "messages"').split("answer =")[0]
        + "urllib.request.urlopen(request).read()"
    )
    words = [sys.executable, "-c", stream]
    for options, probed in (((), False), (("--mode", "cache"), True), (("--policy", str(policy)), True)):
        assert metered(words, surroundings(provider.base_url), "--quiet", *options).code == 0
        assert ("stream_options" in provider.requests[-1].json) is probed
    (tmp_path / "ctxkit.toml").write_text('mode = "prune"\n')
    command = [sys.executable, "-m", "ctxkit", "run", "--quiet", "--", *words]
    subprocess.run(command, env=surroundings(provider.base_url), cwd=tmp_path, check=True)
    assert "stream_options" not in provider.requests[-1].json  # nobody asked this run to go further


@pytest.mark.slow
def test_a_program_that_asks_nothing():
    ended = metered(["true"], surroundings())
    assert (ended.code, ended.out) == (0, "")
    for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "its own base URL"):
        assert name in ended.err


@pytest.mark.slow
def test_what_passed_unread_and_what_came_to_nothing_is_said(provider):
    code = """
import os, urllib.request
base = os.environ["OPENAI_BASE_URL"]
urllib.request.urlopen(base + "/models").read()
for url in (base + "/images/generations", os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages"):
    try:
        urllib.request.urlopen(url, b"{}")
    except Exception as error:
        print(type(error).__name__)
"""
    ended = metered(
        [sys.executable, "-c", code],
        surroundings(provider.base_url, AWS_PROFILE="mine"),
        "--upstream", "anthropic=http://127.0.0.1:1",
    )  # fmt: skip
    assert ended.out == "HTTPError\nRemoteDisconnected\n"
    host = provider.base_url.removeprefix("http://")
    assert f"1 passed unmetered: GET {host}/v1/models" in ended.err
    assert f"nobody knows who serves {host}" in ended.err
    assert "who serves 127.0.0.1:1:" not in ended.err  # it speaks Anthropic's format
    assert f"1 passed unmetered: POST {host}/v1/images/generations" in ended.err
    assert "1 came to nothing: 127.0.0.1:1: ConnectError" in ended.err
    assert "Amazon Bedrock" in ended.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(["no-such-command-here"], 127, "no such command", marks=pytest.mark.slow),
        pytest.param([os.path.dirname(__file__)], 126, "Permission denied", marks=pytest.mark.slow),
        (["sh", "-c", "exit 42"], 42, ""),
        pytest.param(["sh", "-c", "kill -TERM $$"], 128 + signal.SIGTERM, "", marks=pytest.mark.slow),
        pytest.param(["sh", "-c", "kill -KILL $$"], 128 + signal.SIGKILL, "", marks=pytest.mark.slow),
        (["sh", "-c", 'echo "$@" >&2', "sh", "a", "--", "--json", "b"], 0, "a -- --json b"),
    ],
)
def test_exit_codes_are_the_programs(words, code, said):
    ended = metered(words, surroundings())
    assert ended.code == code
    assert said in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "name a command"),
        (["--"], "name a command"),
        (["--upstream", "openai", "--", "true"], "NAME=VALUE"),
        (["--upstream", "x=y", "--", "true"], "no upstream is called"),
        (["--policy", "nowhere.toml", "--", "true"], "cannot be read"),
        (["--mode", "magic", "--", "true"], "invalid choice"),
        (["--feature", "/", "--", "true"], "feature() wants a name"),
        (["--html", "no/such/folder.html", "--", "true"], "there is no folder"),
        (["--ledger", __file__, "--", "true"], "not a ctxkit ledger"),
    ],
)
def test_wrong_use(options, said):
    done = subprocess.run(
        [sys.executable, "-m", "ctxkit", "run", *options], env=surroundings(), capture_output=True, check=False
    )
    assert done.returncode == 2
    assert said in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_what_is_missing_is_named(monkeypatch, capsys):
    from ctxkit.cli import main, run

    monkeypatch.setattr(run, "find_spec", lambda name: None if name in ("uvicorn", "starlette") else True)
    assert main(["run", "--", "true"]) == 2
    assert capsys.readouterr().err == ("ctxkit run: not installed: starlette, uvicorn; pip install 'ctxkit[run]'\n")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_signals_reach_the_program_and_the_report_is_printed(provider, number):
    code = (
        ASK
        + f"""
import signal, time
def stop(*_):
    print("stopped", flush=True)
    sys.exit(5)
signal.signal({int(number)}, stop)
print("ready", flush=True)
time.sleep(60)
"""
    )
    command = [sys.executable, "-m", "ctxkit", "run", "--", sys.executable, "-c", code]
    with subprocess.Popen(
        command,
        env=surroundings(provider.base_url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as running:
        assert running.stdout.readline() == b"ready\n"
        running.send_signal(number)
        out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (5, b"stopped\n")
    assert b"gpt-4o" in err


def test_an_interrupt_of_the_terminal_reaches_the_program_once(provider, tmp_path):
    pty = pytest.importorskip("pty")
    code = """
import signal, sys, time
count = []
signal.signal(signal.SIGINT, lambda *_: count.append(1))
print("ready", flush=True)
while not count: time.sleep(0.05)
time.sleep(0.7)
print("interrupts:", len(count), flush=True)
"""
    pid, terminal = pty.fork()
    if pid == 0:
        words = [sys.executable, "-m", "ctxkit", "run", "--quiet", "--", sys.executable, "-c", code]
        os.execvpe(words[0], words, surroundings(provider.base_url))
    seen = b""
    while b"ready" not in seen:
        seen += os.read(terminal, 1000)
    os.write(terminal, b"\x03")
    deadline = time.monotonic() + 60
    while not re.search(rb"interrupts: \d", seen) and time.monotonic() < deadline:
        seen += os.read(terminal, 1000)
    assert b"interrupts: 1" in seen
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)


@pytest.mark.slow
def test_into_a_closed_pipe(provider):
    command = f"({sys.executable} -m ctxkit run --json -- sh -c 'sleep 0.5; exit 7'; echo $? >&2) | true"
    done = subprocess.run(["sh", "-c", command], check=False, env=surroundings(provider.base_url), capture_output=True)
    assert done.stderr == b"7\n"


@pytest.mark.slow
def test_nothing_can_be_written(provider, tmp_path):
    """No ledger is kept, and the program runs all the same."""
    (tmp_path / "file").write_text("")
    ended = metered(CALL, surroundings(provider.base_url, CTXKIT_HOME=str(tmp_path / "file" / "home")))
    assert (ended.code, ended.out) == (0, "Four.\n")
    assert "gpt-4o" in ended.err
    assert "Traceback" not in ended.err


def test_help_has_examples():
    done = subprocess.run([sys.executable, "-m", "ctxkit", "run", "--help"], capture_output=True, check=True)
    assert b"ctxkit run -- python app.py" in done.stdout
    assert b"127" in done.stdout


@pytest.mark.slow
def test_json_after_the_programs_own_output_is_one_object(provider):
    ended = metered(["sh", "-c", "printf unfinished"], surroundings(provider.base_url), "--json")
    assert ended.out.startswith("unfinished{") or ended.out.startswith("unfinished\n{")
    assert json.loads(ended.out[ended.out.index("{") :])["run"]["requests"] == 0

"""Answers reused behind ``ctxkit run``: by any program, from run to run where it is asked for."""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from ctxkit.cli import run
from ctxkit.testing import Behaviour, FakeProvider
from tests.contract.answers.answering import MANY, one_went, reusing, sent_once
from tests.contract.raw import proxied
from tests.contract.running import metered, reported, surroundings
from tests.contract.shared import MESSAGES, TOKENS

httpx2 = pytest.importorskip("httpx2")
pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

BODY = {"model": "gpt-4o", "messages": MESSAGES}
PROGRAM = """
import json, os, urllib.request
body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "2 + 2?"}]}
request = urllib.request.Request(os.environ["OPENAI_BASE_URL"] + "/chat/completions", json.dumps(body).encode())
with urllib.request.urlopen(request) as response:
    print(json.load(response)["id"], response.headers["x-ctxkit-answer"])
"""


@pytest.fixture
def provider():
    with FakeProvider(Behaviour(text="Four, naïve 漢字.", tokens=TOKENS, piece=5)) as running:
        yield running


def ask(url, body=BODY, key="none"):
    headers = {"authorization": f"Bearer {key}", "accept-encoding": "gzip"}
    return httpx2.post(f"{url}/chat/completions", json=body, headers=headers, timeout=60)


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_program_is_answered_without_sending(provider, stream, gzip):
    provider.behave(gzip=gzip)
    body = {**BODY, "stream": stream}
    with reusing() as kit, proxied(kit, provider.openai_url) as (_, url):
        sent_once(provider, kit, lambda: ask(url, body).content)
        again = ask(url, body)
        assert again.headers["x-ctxkit-answer"] == "reused"
        assert "content-encoding" not in again.headers
        assert ask(url, body, "other").content != again.content, "two programs with two keys share nothing"
    assert len(provider.requests) == 2


def test_programs_that_ask_the_same_send_one_request(provider):
    provider.behave(delay=0.2, piece=None)
    with reusing() as kit, proxied(kit, provider.openai_url) as (_, url), ThreadPoolExecutor(MANY) as pool:
        found = list(pool.map(lambda _: ask(url).content, range(MANY)))
        assert found == [found[0]] * MANY
        one_went(provider, kit)


def test_what_is_asked_for_on_the_command_line(monkeypatch):
    parser = run.add_parser(argparse.ArgumentParser().add_subparsers())

    def where(*words):
        return run._policy(parser.parse_args([*words, "--", "true"])).answers

    assert where() is None
    assert where("--answers", "disk").where == "disk"
    monkeypatch.setenv("CTXKIT_ANSWERS", "on")
    assert where().where == "memory"


@pytest.mark.slow  # two interpreters, twice
def test_from_run_to_run(provider):
    words = [sys.executable, "-c", PROGRAM]
    runs = [metered(words, surroundings(provider.base_url), "--answers", "disk", "--json") for _ in range(2)]
    assert [run.code for run in runs] == [0, 0], runs[0].err + runs[1].err
    (first, _), (again, report) = map(reported, runs)
    assert first.split()[1] == "None"
    assert again.split() == [first.split()[0], "reused"]
    assert len(provider.requests) == 1
    assert json.dumps(report).count('"reused": 1') >= 1

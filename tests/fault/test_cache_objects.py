"""Cache objects when processes are killed, race, or lose what stands: real processes against one provider and store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from ctxkit import Kit, Policy
from ctxkit.stores.disk import DiskStore
from ctxkit.testing import FakeProvider, SimulatedCaches

genai = pytest.importorskip("google.genai", reason="google-genai is not installed")
from google.genai import types  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
MODEL = "gemini-2.5-flash"
RULES = "Rule: be brief and say where it stands. " * 1000


class Cold(SimulatedCaches):
    """The provider's own cache never hits."""

    def serve(self, ask, family):
        self.evict()
        return super().serve(ask, family)


@pytest.fixture
def provider():
    with FakeProvider(text="Four.", caches=Cold()) as running:
        yield running


_WORKER = """
import json, sys, time
from google import genai
from google.genai import types
from ctxkit import Kit, Policy

url, folder, dies = sys.argv[1:]
kit = Kit(Policy(mode="cache"), store=folder, ledger=None, strict=True)
client = genai.Client(api_key="none", http_options=kit.google_http_options(base_url=url))
tending = kit.rooms.renting.tending
tending._run = lambda: None
config = types.GenerateContentConfig(system_instruction="Rule: be brief and say where it stands. " * 1000)
for number in range(4):
    client.models.generate_content(model="gemini-2.5-flash", contents=f"{number}?", config=config)
if dies:  # it is made, and nobody is told of it any more
    def stuck(handle):
        print("made", flush=True)
        time.sleep(600)
    tending.registry.keep = stuck
print("ready", flush=True)
sys.stdin.readline()
kit.caches.tend()
answer = client.models.generate_content(model="gemini-2.5-flash", contents="?", config=config)
print(json.dumps(answer.usage_metadata.cached_content_token_count), flush=True)
kit.close()
"""


def worker(provider, folder, dies=""):
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _WORKER, provider.gemini_url, str(folder), dies],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def go(*processes):
    """All of them at once: none begins before the last one is ready."""
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()


@pytest.mark.slow
def test_two_processes_at_once_create_one_handle(provider, tmp_path):
    DiskStore(tmp_path / "s").close()
    both = [worker(provider, tmp_path / "s") for _ in range(2)]
    go(*both)
    told = [json.loads(process.communicate(timeout=60)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    (handle,) = provider.caches.handles.held.values()
    assert set(told) <= {handle.tokens, None}
    assert handle.tokens in told
    kit = Kit(Policy(mode="cache"), store=tmp_path / "s", ledger=None, strict=True)
    (known,) = kit.caches.list()
    assert (known.name, sum(known.reads.values())) == (handle.name, sum(one is not None for one in told))
    kit.close()


@pytest.mark.slow
def test_a_process_killed_between_create_and_register(provider, tmp_path):
    killed = worker(provider, tmp_path / "s", dies="dies")
    go(killed)
    assert killed.stdout.readline() == "made\n"
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate(timeout=30)
    (handle,) = provider.caches.handles.held.values()

    later = time.time() + 130  # its lease is over
    kit = Kit(Policy(mode="cache"), store=tmp_path / "s", ledger=None, strict=True, clock=lambda: later)
    kit.rooms.renting.tending._run = lambda: None
    http = kit.google_http_options(base_url=provider.gemini_url)
    client = genai.Client(api_key="none", http_options=http)
    assert [one.verdict for one in kit.caches.list()] == ["being created"]
    for number in range(4):
        ask(client, f"{number}?")
    kit.caches.tend()
    assert list(provider.caches.handles.held) == [handle.name], "found again, not made again"
    assert ask(client, "?").usage_metadata.cached_content_token_count == handle.tokens
    client.close()
    http.httpx_client.close()
    kit.close()


def ask(client, text):
    return client.models.generate_content(
        model=MODEL, contents=text, config=types.GenerateContentConfig(system_instruction=RULES)
    )


@pytest.fixture
def clocked(provider):
    now = [time.time()]
    kit = Kit(Policy(mode="cache"), clock=lambda: now[0], strict=True)
    kit.rooms.renting.tending._run = lambda: None
    http = kit.google_http_options(base_url=provider.gemini_url)
    client = genai.Client(api_key="none", http_options=http)
    for number in range(4):
        ask(client, f"{number}?")
        now[0] += 1
    kit.caches.tend()
    yield kit, client, now
    client.close()
    http.httpx_client.close()
    kit.close()


def test_it_ends_at_the_provider_before_it_ends_here(clocked, provider):
    """A provider's clock that runs ahead: the call that finds it gone is answered all the same."""
    kit, client, _ = clocked
    begins = provider.caches.clock
    provider.caches.clock = lambda: begins() + 10_000
    answer = ask(client, "?")
    assert answer.text == "Four."
    assert answer.usage_metadata.cached_content_token_count is None
    assert [one.verdict for one in kit.caches.list()] == ["ended"]


def test_a_clock_that_goes_backwards(clocked, provider):
    kit, client, now = clocked
    (before,) = kit.caches.list()
    now[0] -= 86_400
    assert ask(client, "?").text == "Four."
    kit.caches.tend()
    now[0] += 86_400 + 5
    assert ask(client, "?").text == "Four."
    kit.caches.tend()
    (handle,) = [one for one in kit.caches.list() if one.name == before.name]
    assert handle.storage_paid is not None
    assert handle.storage_paid >= 0
    kit.flush()
    assert all(row.cost >= 0 for row in kit.ledger.records() if row.dialect == "gemini.caches")


def test_a_provider_that_is_down_for_its_caches_only(provider):
    """No answer to a create: it may stand or not, so nothing is made until its lease is over; calls go on."""
    kit = Kit(Policy(mode="cache"), strict=True)
    kit.rooms.renting.tending._run = lambda: None
    http = kit.google_http_options(base_url=provider.gemini_url)
    client = genai.Client(api_key="none", http_options=http)
    for number in range(4):
        ask(client, f"{number}?")
    (keeper,) = kit.rooms.renting.tending.keepers.values()

    def unreachable():
        raise ConnectionError("no route")

    keeper._client, reachable = unreachable, keeper._client
    kit.caches.tend()
    assert [one.verdict for one in kit.caches.list()] == ["being created"]
    assert ask(client, "?").text == "Four."
    keeper._client = reachable
    kit.caches.tend()
    assert provider.caches.handles.held == {}
    client.close()
    http.httpx_client.close()
    kit.close()


def test_a_store_that_fails_leaves_calls_alone(provider, tmp_path):
    kit = Kit(Policy(mode="cache"), store=tmp_path / "s")
    kit.rooms.renting.tending._run = lambda: None
    http = kit.google_http_options(base_url=provider.gemini_url)
    client = genai.Client(api_key="none", http_options=http)
    ask(client, "1?")
    kit.close()
    for file in (tmp_path / "s").glob("*"):
        file.write_bytes(b"not a database at all" * 100)
    kit.rooms.renting.tending._run = lambda: None
    for number in range(5):
        assert ask(client, f"{number}?").text == "Four."
    kit.caches.tend()
    assert provider.caches.handles.held == {}, "without a registry nobody would know of it"
    client.close()
    http.httpx_client.close()
    kit.close()

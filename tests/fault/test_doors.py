"""Whatever breaks inside ctxkit, at whatever stage: the user's call gives what it gives without ctxkit."""

from __future__ import annotations

import functools
import gc
import importlib

import pytest

from ctxkit.integrations import exchange, google_genai, litellm_arguments
from ctxkit.integrations.reading import Body
from ctxkit.testing import Behaviour, FakeProvider
from tests.contract.shared import TOKENS, wire
from tests.fault.doors import DOORS

# LiteLLM and google-genai leave connections and coroutines of their own to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{name}")
    for name in ("ResourceWarning", "DeprecationWarning", "UserWarning", "RuntimeWarning", "pytest.PytestUnraisableExceptionWarning")
]  # fmt: skip

DIALECTS = ("openai.chat", "anthropic.messages", "gemini.generate", "bedrock.converse", "bedrock.invoke")


class BrokenError(Exception):
    """A fault nobody foresaw."""


def broken(*_, **__):
    raise BrokenError("this room has collapsed")


class BrokenStream:
    """An answer reader that fails at one event, or always."""

    def __init__(self, after):
        self.left = after
        self.done = self.content = False

    def feed(self, _):
        self.left -= 1
        if self.left < 0:
            raise BrokenError("half way")
        return False

    see = feed

    def end(self):
        pass

    def answer(self):
        raise BrokenError("nothing to tell")


class Ticks:
    """A timer that stops working."""

    def __init__(self, left):
        self.left = left

    def __call__(self):
        self.left -= 1
        return float(-self.left) if self.left >= 0 else broken()


def dialects(monkeypatch, name, replacement):
    for module in DIALECTS:
        monkeypatch.setattr(importlib.import_module(f"ctxkit.dialects.{module}"), name, replacement)


STAGES = {
    "a dialect's view": lambda kit, patch: dialects(patch, "view", broken),
    "a dialect's identity": lambda kit, patch: dialects(patch, "identity", broken),
    "a dialect's answer": lambda kit, patch: dialects(patch, "answer", broken),
    "a dialect's stream": lambda kit, patch: dialects(patch, "stream", broken),
    "the first event": lambda kit, patch: dialects(patch, "stream", lambda *_, **__: BrokenStream(0)),
    "the third event": lambda kit, patch: dialects(patch, "stream", lambda *_, **__: BrokenStream(2)),
    "plan": lambda kit, patch: (patch.setattr(kit, "plan", broken), patch.setattr(kit, "aplan", broken)),
    "sent": lambda kit, patch: (patch.setattr(kit, "sent", broken), patch.setattr(kit, "asent", broken)),
    "settle": lambda kit, patch: (patch.setattr(kit, "settle", broken), patch.setattr(kit, "asettle", broken)),
    "the ledger": lambda kit, patch: patch.setattr(kit.ledger, "append", broken),
    "the timer": lambda kit, patch: patch.setattr(kit, "timer", broken),
    "the timer, once the request has left": lambda kit, patch: patch.setattr(kit, "timer", Ticks(1)),
    "the timer, once the answer has begun": lambda kit, patch: patch.setattr(kit, "timer", Ticks(2)),
    "the body reader": lambda kit, patch: patch.setattr(Body, "feed", broken),
    "the end of the body": lambda kit, patch: patch.setattr(Body, "finish", broken),
    "the result of the body": lambda kit, patch: patch.setattr(Body, "result", broken),
    "making the exchange": lambda kit, patch: patch.setattr(exchange.Exchange, "__init__", broken),
    "the arguments of LiteLLM": lambda kit, patch: patch.setattr(litellm_arguments, "_touched", broken),
    "routing": lambda kit, patch: patch.setattr("ctxkit.dialects.routing.route", broken),
}


@pytest.fixture(scope="module")
def upstream():
    with FakeProvider(Behaviour(text="Four, naïve 漢字.", tokens=TOKENS, piece=3)) as running:
        yield running
    gc.collect()  # what LiteLLM leaves open is let go here, where it is known


@pytest.fixture(scope="module")
def unwrapped(upstream):
    """What a call gives and sends without ctxkit: each is made once, for all the stages it is held against."""

    @functools.cache
    def call(door, stream):
        upstream.clear()
        return door(upstream, lambda client: client, stream=stream), wire(upstream)

    return call


TWINS = {"openai async", "anthropic async"}  # slow tests run where LiteLLM is not: its own are none of them


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
@pytest.mark.parametrize(
    "door",
    [pytest.param(door, id=name, marks=pytest.mark.slow if name in TWINS else ()) for name, door in DOORS.items()],
)
def test_the_call_goes_on_unchanged(upstream, unwrapped, kit, monkeypatch, door, stage, stream):
    expected, sent = unwrapped(door, stream)
    upstream.clear()
    stage(kit, monkeypatch)
    assert door(upstream, kit.wrap, stream=stream) == expected
    assert wire(upstream) == sent


@pytest.mark.parametrize("door", [DOORS["openai"], DOORS["anthropic"], DOORS["bedrock"]])
def test_a_fault_is_counted_each_time_and_said_once(provider, kit, monkeypatch, door, caplog):
    dialects(monkeypatch, "view", broken)
    for _ in range(2):
        door(provider, kit.wrap, stream=False)
    assert sum(kit.faults.counts.values()) >= 2
    assert len([record for record in caplog.records if "BrokenError" in record.message]) == 1
    assert "collapsed" not in caplog.text  # what a foreign error says may quote a prompt


def test_a_strict_kit_raises(provider, monkeypatch):
    from ctxkit import Kit

    strict = Kit(strict=True)
    monkeypatch.setattr(strict, "sent", broken)
    with pytest.raises(BrokenError):
        DOORS["bedrock"](provider, strict.wrap, stream=False)
    strict.close()


def test_a_client_that_an_event_loop_is_given_is_used_as_it_is(kit, monkeypatch):
    monkeypatch.setattr(google_genai, "attach", broken)
    inner = object()
    assert google_genai._attached(lambda: inner, lambda: None, kit, {}) is inner
    assert kit.faults.counts == {"door: wrap: BrokenError": 1}

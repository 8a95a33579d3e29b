"""``ctxkit run`` with the real SDKs: a program sees what it sees without it, and every request is in the ledger."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from hashlib import sha256

import pytest

from ctxkit.testing import Behaviour, FakeProvider, Reply, Request
from tests.contract.failures import fail_alike
from tests.contract.running import PROGRAMS, alone, metered, reported, surroundings, timeless, wire
from tests.contract.shared import TOKENS

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")
pytest.importorskip("httpx2")

CALLS = {"openai": 8, "anthropic": 4, "google": 5}
BEHAVIOUR = Behaviour(text="Four, naïve 漢字 \U0001f600.", tokens=TOKENS, piece=3)


def program(sdk: str, name: str = "calls") -> list[str]:
    if importlib.util.find_spec({"google": "google.genai"}.get(sdk, sdk)) is None:
        pytest.skip(f"{sdk} is not installed")
    return [sys.executable, str(PROGRAMS / f"{sdk}_{name}.py")]


@pytest.mark.slow
@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("sdk", CALLS)
def test_an_sdk_sees_no_difference(sdk, gzip):
    with FakeProvider(BEHAVIOUR, gzip=gzip) as provider:
        before = alone(program(sdk), surroundings(provider.base_url))
        assert before.code == 0, before.err
        asked = wire(provider)
        provider.clear()
        after = metered(program(sdk), surroundings(provider.base_url), "--json", "--feature", "tests")
        assert after.code == 0, after.err
        assert wire(provider) == asked
    out, report = reported(after)
    assert timeless(json.loads(out)) == timeless(before.told)
    assert report["total"]["statuses"] == {"settled": CALLS[sdk], **STREAM_WITHOUT_USAGE.get(sdk, {})}
    assert [row["feature"] for row in report["rows"]] == ["tests"] * len(report["rows"])


STREAM_WITHOUT_USAGE = {"openai": {"unverified": 1, "settled": 6}}


@pytest.mark.slow
def test_curl():
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "2 + 2?"}], "stream": True})
    ask = 'curl -sS -N --compressed "$OPENAI_BASE_URL/chat/completions" -d @-'
    with FakeProvider(BEHAVIOUR, gzip=True) as provider:
        words = ["sh", "-c", f"echo '{body}' | {ask}"]
        before = alone(words, surroundings(provider.base_url))
        provider.clear()
        after = metered(words, surroundings(provider.base_url), "--json")
    assert reported(after)[0] == before.out
    assert reported(after)[1]["rows"][0]["feature"] == "sh"


@pytest.mark.slow
def test_calls_fail_as_they_fail_without_it():
    for sdk in CALLS:
        program(sdk)
    fail_alike([sys.executable, str(PROGRAMS / "failing_calls.py")])


@pytest.mark.slow
def test_many_streams_at_once_keep_their_bytes_and_their_order():
    """As many at once as one program may have; each has words of its own, in pieces."""
    many, events = 80, 60

    def body(text: str) -> list[bytes]:
        said = [{"choices": [{"index": 0, "delta": {"content": f"{text}: {turn}"}}]} for turn in range(events)]
        usage = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": events, "total_tokens": 5 + events}}
        return [*(f"data: {json.dumps(one)}\n\n".encode() for one in [*said, usage]), b"data: [DONE]\n\n"]

    def answer(request: Request) -> Reply:
        pieces = body(request.json["messages"][0]["content"])
        return Reply(b"".join(pieces), 200, "text/event-stream", chunks=tuple(map(len, pieces)))

    words = [sys.executable, str(PROGRAMS / "parallel_streams.py"), str(many)]
    with FakeProvider(answer=answer, piece=37) as provider:
        out, report = reported(metered(words, surroundings(provider.base_url), "--json"))
    assert json.loads(out) == [sha256(b"".join(body(f"stream {number}"))).hexdigest() for number in range(many)]
    assert report["total"]["statuses"] == {"settled": many}
    assert report["total"]["output_tokens"] == many * events

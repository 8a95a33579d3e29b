"""``ctxkit run`` with the SDKs for Node. ``scripts/node`` installs them; without them these tests skip."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from ctxkit.testing import Behaviour, FakeProvider
from tests.contract.failures import fail_alike
from tests.contract.running import PROGRAMS, alone, metered, reported, surroundings, timeless, wire
from tests.contract.shared import TOKENS

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")
pytest.importorskip("httpx2")

FOLDER = Path(os.environ.get("CTXKIT_NODE") or Path(__file__).parent.parent.parent / ".node").resolve() / "node_modules"
SETTLED = {"openai": 5, "anthropic": 3, "google": 2}
PACKAGES = {"openai": "openai", "anthropic": "@anthropic-ai/sdk", "google": "@google/genai"}


def program(sdk: str, name: str) -> list[str]:
    node = shutil.which("node")
    if node is None or not (FOLDER / PACKAGES[sdk]).is_dir():
        pytest.skip(f"needs node and {PACKAGES[sdk]} in {FOLDER}: run scripts/node")
    return [node, str(PROGRAMS / name)]


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("sdk", SETTLED)
def test_an_sdk_sees_no_difference(sdk, gzip):
    words = program(sdk, f"{sdk}_calls.cjs")
    with FakeProvider(Behaviour(text="Four, naïve 漢字 \U0001f600.", tokens=TOKENS, piece=3, gzip=gzip)) as provider:
        before = alone(words, surroundings(provider.base_url, NODE_PATH=str(FOLDER)))
        assert before.code == 0, before.err
        asked = wire(provider)
        provider.clear()
        after = metered(words, surroundings(provider.base_url, NODE_PATH=str(FOLDER)), "--json")
        assert after.code == 0, after.err
        assert wire(provider) == asked
    out, report = reported(after)
    assert timeless(json.loads(out)) == timeless(before.told)
    assert report["total"]["statuses"] == {"settled": SETTLED[sdk]}
    assert {row["feature"] for row in report["rows"]} == {"node"}


@pytest.mark.slow
def test_calls_fail_as_they_fail_without_it():
    for sdk in SETTLED:
        words = program(sdk, "failing_calls.cjs")
    fail_alike(words, NODE_PATH=str(FOLDER))

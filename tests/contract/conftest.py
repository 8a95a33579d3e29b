"""Doors against the real SDKs: a strict kit, what it settled, and the fake provider with figures that are easy to know."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from ctxkit import Kit, Policy, Record
from ctxkit.testing import Behaviour, FakeProvider, capture
from tests.contract.shared import TOKENS


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """Answers with known usage, in pieces of three bytes where it streams.

    The text has no U+2028: google-genai 1.x splits lines at it. The tests that need one ask for it.
    """
    gc.freeze()  # a test that collects what it dropped need not look through the SDKs, half a second each time
    with FakeProvider(Behaviour(text="Four, naïve 漢字 \U0001f600.", tokens=TOKENS, piece=3)) as running:
        yield running


@pytest.fixture
def kit() -> Iterator[Kit]:
    made = Kit(strict=True)
    yield made
    made.close()


@pytest.fixture
def probing() -> Iterator[Kit]:
    made = Kit(Policy(usage_probe=True), strict=True)
    yield made
    made.close()


@pytest.fixture
def records(kit: Kit) -> Iterator[list[Record]]:
    with capture(kit) as seen:
        yield seen


@pytest.fixture
def probed(probing: Kit) -> Iterator[list[Record]]:
    with capture(probing) as seen:
        yield seen

"""Faults at the doors: a kit that is not strict, since a strict one raises what these tests make go wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ctxkit import Kit
from ctxkit.testing import Behaviour, FakeProvider
from tests.contract.shared import TOKENS


@pytest.fixture
def kit() -> Iterator[Kit]:
    made = Kit()
    yield made
    made.close()


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider(Behaviour(text="Four, naïve 漢字.", tokens=TOKENS, piece=3)) as running:
        yield running

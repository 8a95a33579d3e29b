"""Doors that answer the very same request again: a strict kit that keeps answers, and a provider that calls tools, too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ctxkit import Kit
from ctxkit.testing import Behaviour, FakeProvider
from tests.contract.answers.answering import TOOLS, reusing
from tests.contract.shared import TOKENS


@pytest.fixture
def kit() -> Iterator[Kit]:
    with reusing() as made:
        yield made


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider(Behaviour(text="Four, naïve 漢字.", calls=TOOLS, tokens=TOKENS, piece=3)) as running:
        yield running

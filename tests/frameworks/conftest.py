"""Frameworks against the fake provider: a strict kit, what it settled, an agent's model."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterator

import pytest

from ctxkit import Kit, Policy, Record
from ctxkit.testing import Behaviour, FakeProvider, capture
from tests.frameworks.shared import TOKENS, agent


@pytest.fixture(scope="session", autouse=True)
def swept() -> Iterator[None]:
    """Frameworks leave their clients to the garbage collector: it comes while nobody minds."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """Plays an agent where the tool is offered, says "Four." else; streams come in pieces of three bytes."""
    with FakeProvider(Behaviour(text="Four.", tokens=TOKENS, piece=3), answer=agent) as running:
        yield running


@pytest.fixture
def made() -> Iterator[Callable[..., Kit]]:
    """Makes kits, and closes them."""
    kits: list[Kit] = []

    def make(mode: str = "observe", **settings: object) -> Kit:
        kits.append(Kit(Policy(mode=mode, **settings), strict=True))
        return kits[-1]

    yield make
    for kit in kits:
        kit.close()


@pytest.fixture
def kit(made: Callable[..., Kit]) -> Kit:
    return made()


@pytest.fixture
def records(kit: Kit) -> Iterator[list[Record]]:
    with capture(kit) as seen:
        yield seen

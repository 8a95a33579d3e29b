"""The real SDKs, un-wrapped, talking to the fake provider."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ctxkit import Kit
from ctxkit.testing import FakeProvider, SimulatedCaches
from tests.testing.caching import Clock, Metered


@pytest.fixture
def openai_client(provider: FakeProvider) -> Iterator[Any]:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=provider.openai_url, api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture
def anthropic_client(provider: FakeProvider) -> Iterator[Any]:
    anthropic = pytest.importorskip("anthropic")
    with anthropic.Anthropic(base_url=provider.anthropic_url, api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture
def gemini_client(provider: FakeProvider) -> Iterator[Any]:
    genai = pytest.importorskip("google.genai")
    client = genai.Client(api_key="none", http_options={"base_url": provider.gemini_url})
    yield client
    client.close()


@pytest.fixture
def bedrock_client(provider: FakeProvider) -> Iterator[Any]:
    boto3 = pytest.importorskip("boto3")
    config = pytest.importorskip("botocore.config").Config(retries={"total_max_attempts": 1})
    keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
    client = boto3.client(
        "bedrock-runtime", endpoint_url=provider.bedrock_url, region_name="us-east-1", config=config, **keys
    )
    yield client
    client.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def simulated() -> dict[str, Any]:
    """What the caches are made with; tests of a platform say so."""
    return {}


@pytest.fixture
def metered(clock: Clock, simulated: dict[str, Any]) -> Iterator[Metered]:
    """A provider with caches; ``metered.of(call)`` gives what ctxkit settles of a call."""
    kit = Kit(store=None, ledger=None, strict=True, clock=clock)
    caches = SimulatedCaches(clock=clock, **simulated)
    with FakeProvider(text="Fine.", caches=caches) as provider:
        yield Metered(provider, clock, kit)
    kit.close()

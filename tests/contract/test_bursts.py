"""A first burst of requests that mark nothing: the first goes out as it is, the second writes, the others read."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ctxkit import Kit, Policy, Record
from ctxkit.testing import FakeProvider, SimulatedCaches, capture

NUMBER = 8
LONG = 30.0  # seconds nobody waits in a test that passes
SHARED = "You are a careful assistant of a small shop and answer in one short sentence. " * 400


@pytest.fixture
def kit() -> Iterator[Kit]:
    made = Kit(Policy(mode="cache", cold_start_wait=LONG), strict=True)
    yield made
    made.close()


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider(text="Yes.", caches=SimulatedCaches(), delay=0.3) as running:
        yield running


def claude(question: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": question}]
    return {"model": "claude-opus-5", "max_tokens": 50, "system": SHARED, "messages": messages, **more}


def one_writes(provider: FakeProvider, records: list[Record], marker: str) -> None:
    """One did not know and pays the plain price; one writes; all others read."""
    assert [record.status for record in records] == ["settled"] * NUMBER
    plain = [request for request in provider.requests if marker not in json.dumps(json.loads(request.body))]
    assert len(plain) <= 1, "only the first one cannot know"
    wrote = sum(sum(record.usage.written.values()) > 4_000 for record in records)
    read = sum((record.usage.read or 0) > 4_000 for record in records)
    assert (wrote, read) == (1, NUMBER - len(plain) - 1)


def at_once(call: Any) -> None:
    barrier = threading.Barrier(NUMBER)

    def one(number: int) -> None:
        barrier.wait(LONG)
        call(f"question {number}")

    with ThreadPoolExecutor(NUMBER) as pool:
        list(pool.map(one, range(NUMBER)))


def test_threads(kit, provider):
    sdk = pytest.importorskip("anthropic")
    with sdk.Anthropic(base_url=provider.anthropic_url, api_key="none", max_retries=0) as plain, capture(kit) as seen:
        create = kit.wrap(plain).messages.create
        at_once(lambda question: create(**claude(question)))
    one_writes(provider, seen, "cache_control")


@pytest.mark.parametrize("shared", [SHARED, SHARED * 3], ids=["counted at once", "counted in a thread"])
async def test_tasks(kit, provider, shared):
    sdk = pytest.importorskip("anthropic")
    async with sdk.AsyncAnthropic(base_url=provider.anthropic_url, api_key="none", max_retries=0) as plain:
        create = kit.wrap(plain).messages.create
        with capture(kit) as seen:
            await asyncio.gather(*(create(**claude(f"question {n}", system=shared)) for n in range(NUMBER)))
    one_writes(provider, seen, "cache_control")


def test_bedrock(kit, provider):
    boto3 = pytest.importorskip("boto3")
    from botocore.config import Config

    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=provider.bedrock_url,
        aws_access_key_id="none",
        aws_secret_access_key="none",
        config=Config(retries={"max_attempts": 0}, max_pool_connections=NUMBER),
    )
    kit.wrap(client)

    def ask(question: str) -> None:
        messages = [{"role": "user", "content": [{"text": question}]}]
        client.converse(modelId="anthropic.claude-sonnet-5", system=[{"text": SHARED}], messages=messages)

    with capture(kit) as seen:
        at_once(ask)
    client.close()
    one_writes(provider, seen, "cachePoint")


def test_one_after_another_nobody_pays_for_a_burst(kit, provider):
    """The first one is expected to be followed; nothing that is over counts for one that comes later."""
    sdk = pytest.importorskip("anthropic")
    provider.behave(delay=0)
    with sdk.Anthropic(base_url=provider.anthropic_url, api_key="none", max_retries=0) as plain, capture(kit) as seen:
        create = kit.wrap(plain).messages.create
        for number in range(2):
            create(**claude(f"question {number}"))
    assert [record.usage.written for record in seen] == [{"5m": 7800}, {}]
    assert seen[1].usage.read == 7800
    assert not kit.rooms.upkeep._markers._marking._habits.bursts._present


def test_what_is_planned_and_not_sent_is_no_burst(kit):
    bodies = [claude(f"question {number}") for number in range(NUMBER)]
    plans = [kit.plan(body, dialect="anthropic.messages", platform="anthropic") for body in bodies]
    assert plans[-1].layout.layout.marks == plans[0].layout.layout.marks

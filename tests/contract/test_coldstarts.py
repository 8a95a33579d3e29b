"""Many cold requests at once through the real SDKs: one writes, the others read; whatever happens, all are answered."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from ctxkit import Kit, Policy, Record
from ctxkit.testing import FakeProvider, SimulatedCaches, capture

NUMBER = 6
LONG = 30.0  # seconds nobody waits in a test that passes
SHARED = "You are a careful assistant of a small shop and answer in one short sentence. " * 400
MARK = {"type": "ephemeral"}


@pytest.fixture
def kit() -> Iterator[Kit]:
    made = Kit(Policy(cold_start_wait=LONG), strict=True)
    yield made
    made.close()


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider(text="Yes.", caches=SimulatedCaches(), delay=0.2) as running:
        yield running


def at_once(call: Callable[[str], object]) -> None:
    """All of them in threads, released together."""
    barrier = threading.Barrier(NUMBER)

    def one(number: int) -> None:
        barrier.wait(LONG)
        call(f"question {number}")

    with ThreadPoolExecutor(NUMBER) as pool:
        list(pool.map(one, range(NUMBER)))


def shares(records: list[Record]) -> tuple[int, int]:
    """How many read nothing, and how many read most of the prompt."""
    reads = [(record.usage.read or 0) / record.usage.input_total for record in records]  # Gemini does not tell of none
    return sum(read == 0 for read in reads), sum(read > 0.9 for read in reads)


def claude(question: str, **more: Any) -> dict[str, Any]:
    system = [{"type": "text", "text": SHARED, "cache_control": MARK}]
    messages = [{"role": "user", "content": question}]
    return {"model": "claude-opus-5", "max_tokens": 50, "system": system, "messages": messages, **more}


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(LONG):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in threads that know no event of ours
            await asyncio.sleep(0.01)


def drained(stream: Any) -> None:
    for _ in stream:
        pass


@pytest.mark.parametrize("stream", [False, True])
def test_anthropic_one_writes_and_the_others_read(kit, provider, stream):
    sdk = pytest.importorskip("anthropic")
    with sdk.Anthropic(base_url=provider.anthropic_url, api_key="none", max_retries=0) as plain, capture(kit) as seen:
        create = kit.wrap(plain).messages.create
        at_once(lambda question: drained(create(**claude(question), stream=stream)))
    assert shares(seen) == (1, NUMBER - 1)
    assert kit.cold_starts.waited == NUMBER - 1
    assert sum(sum(record.usage.written.values()) > 0 for record in seen) == 1
    forecasts = sorted(record.forecast_read for record in seen)
    assert forecasts[0] == 0
    assert all(forecast > 4_000 for forecast in forecasts[1:]), "after waiting the forecast is made anew"


@pytest.mark.parametrize("stream", [False, True])
async def test_anthropic_one_writes_and_the_other_tasks_read(kit, provider, stream):
    sdk = pytest.importorskip("anthropic")

    async def one(client: Any, question: str) -> None:
        answer = await client.messages.create(**claude(question), stream=stream)
        if stream:
            async for _ in answer:
                pass

    async with sdk.AsyncAnthropic(base_url=provider.anthropic_url, api_key="none", max_retries=0) as plain:
        client = kit.wrap(plain)
        with capture(kit) as seen:
            await asyncio.gather(*(one(client, f"question {number}") for number in range(NUMBER)))
    assert shares(seen) == (1, NUMBER - 1)


@pytest.mark.parametrize("stream", [False, True])
def test_openai_waits_until_an_answer_has_ended_once_it_knows_how_long_that_takes(kit, provider, stream):
    sdk = pytest.importorskip("openai")

    def body(question: str, text: str = SHARED) -> dict[str, Any]:
        block = {"type": "text", "text": text, "prompt_cache_breakpoint": {"mode": "explicit"}}
        messages = [{"role": "developer", "content": [block]}, {"role": "user", "content": question}]
        usage = {"stream_options": {"include_usage": True}} if stream else {}
        return {"model": "gpt-5.6-sol", "messages": messages, "stream": stream, **usage}

    with sdk.OpenAI(base_url=provider.openai_url, api_key="none", max_retries=0) as plain:
        create = kit.wrap(plain, platform="openai").chat.completions.create
        drained(create(**body("first", "X" + SHARED)))
        with capture(kit) as seen:
            at_once(lambda question: drained(create(**body(question))))
    assert shares(seen) == (1, NUMBER - 1)


def test_bedrock_one_writes_and_the_others_read(kit, provider):
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
    system = [{"text": SHARED}, {"cachePoint": {"type": "default"}}]
    with capture(kit) as seen:
        at_once(
            lambda question: client.converse(
                modelId="anthropic.claude-sonnet-5",
                system=system,
                messages=[{"role": "user", "content": [{"text": question}]}],
            )
        )
    client.close()
    assert shares(seen) == (1, NUMBER - 1)


def test_google_one_goes_first_once_it_is_known_how_long_that_takes(kit, provider):
    genai = pytest.importorskip("google.genai")
    options = kit.google_http_options(base_url=provider.gemini_url, platform="google")
    client = genai.Client(api_key="none", http_options=options)

    def ask(question: str, text: str = SHARED) -> None:
        config = {"system_instruction": text}
        client.models.generate_content(model="gemini-2.5-flash", contents=question, config=config)

    ask("first", "X" + SHARED)
    with capture(kit) as seen:
        at_once(ask)
    client.close()
    options.httpx_client.close()
    assert shares(seen) == (1, NUMBER - 1)


@pytest.mark.filterwarnings("ignore")  # of LiteLLM's own models and clients
def test_litellm_one_writes_and_the_others_read(kit, provider, monkeypatch):
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it asks the network when imported
    litellm = pytest.importorskip("litellm")
    completion = kit.wrap(litellm.completion)
    system = {"role": "system", "content": [{"type": "text", "text": SHARED, "cache_control": MARK}]}

    def ask(question: str) -> None:
        completion(
            model="anthropic/claude-opus-5",
            messages=[system, {"role": "user", "content": question}],
            api_base=provider.anthropic_url,
            api_key="none",
        )

    with capture(kit) as seen:
        at_once(ask)
    assert shares(seen) == (1, NUMBER - 1)


# ---- What goes wrong --------------------------------------------------------------------------------------------------


def calls(kit: Kit, provider: FakeProvider, fail: tuple[type[Exception], ...]) -> tuple[int, list[Record]]:
    """How many failed of all that were sent at once, and the records."""
    sdk = pytest.importorskip("anthropic")
    failed = []

    def one(create: Any, question: str) -> None:
        try:
            create(**claude(question))
        except fail as error:
            failed.append(error)

    with sdk.Anthropic(base_url=provider.anthropic_url, api_key="none", max_retries=0) as plain, capture(kit) as seen:
        at_once(partial(one, kit.wrap(plain).messages.create))
    return len(failed), seen


def test_when_the_first_is_refused_another_goes_first(kit, provider):
    sdk = pytest.importorskip("anthropic")
    provider.behave(failures=1, failure_status=503)
    failed, seen = calls(kit, provider, (sdk.APIStatusError,))
    assert failed == 1
    assert shares([record for record in seen if record.status == "settled"]) == (1, NUMBER - 2)


def test_when_all_are_refused_all_are_told_so(kit, provider):
    sdk = pytest.importorskip("anthropic")
    provider.behave(status=429)
    failed, seen = calls(kit, provider, (sdk.APIStatusError,))
    assert failed == len(seen) == NUMBER


def test_a_server_that_is_gone_is_found_to_be_gone_by_all(kit, provider):
    sdk = pytest.importorskip("anthropic")
    url = provider.anthropic_url
    provider.close()
    with sdk.Anthropic(base_url=url, api_key="none", max_retries=0) as plain:
        create = kit.wrap(plain).messages.create

        def one(question: str) -> None:
            with pytest.raises(sdk.APIConnectionError):
                create(**claude(question))

        at_once(one)
    assert not kit.rooms.upkeep.cold_starts._waiting


async def test_when_the_first_is_cancelled_another_goes_first(kit, provider):
    sdk = pytest.importorskip("anthropic")
    provider.behave(delay=30)
    async with sdk.AsyncAnthropic(base_url=provider.anthropic_url, api_key="none", max_retries=0) as plain:
        client = kit.wrap(plain)
        with capture(kit) as seen:
            first = asyncio.create_task(client.messages.create(**claude("question 0")))
            await until(lambda: provider.requests)
            provider.behave(delay=0)
            others = [asyncio.create_task(client.messages.create(**claude(f"question {n}"))) for n in range(1, NUMBER)]
            await until(lambda: kit.rooms.upkeep.cold_starts._waiting == NUMBER - 1)
            first.cancel()
            await asyncio.gather(*others)
            with pytest.raises(asyncio.CancelledError):
                await first
    assert shares([record for record in seen if record.status == "settled"]) == (1, NUMBER - 2)


def test_a_fault_of_ours_holds_nobody_up(provider, monkeypatch):
    kit = Kit(Policy(cold_start_wait=LONG))

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("of ours")

    monkeypatch.setattr("ctxkit.hall.waiting.start_of", broken)
    _, seen = calls(kit, provider, ())
    assert [record.status for record in seen] == ["settled"] * NUMBER
    assert kit.faults.counts["hold: RuntimeError"] == NUMBER
    kit.close()


def test_in_observe_mode_nobody_waits_unless_the_policy_says_so(provider):
    kit = Kit(strict=True)
    _, seen = calls(kit, provider, ())
    assert len(seen) == NUMBER
    assert kit.cold_starts == type(kit.cold_starts)()
    kit.close()


def test_the_pair_for_everything_else(kit):
    """What the documentation shows to those who have an HTTP client of their own."""
    options = {"dialect": "anthropic.messages", "platform": "anthropic"}
    first = kit.hold(kit.plan(claude("one"), **options))
    kit.sent(first)
    later: list[Any] = []
    thread = threading.Thread(target=lambda: later.append(kit.hold(kit.plan(claude("two"), **options))))
    thread.start()
    while not kit.rooms.upkeep.cold_starts._waiting:
        thread.join(0.01)
    kit.began(first)
    thread.join(LONG)
    assert first.forecast.cached_tokens == 0
    assert later[0].forecast.cached_tokens > 4_000

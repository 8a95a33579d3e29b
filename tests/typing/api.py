"""Types stay exact: what a caller sees after wrapping is what was there before.

Checked by mypy and pyright (``scripts/lint``), never run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from decimal import Decimal
from typing import Any, assert_type

import anthropic
import httpx2
import openai
from anthropic.lib.bedrock import AnthropicBedrock
from openai.types.chat import ChatCompletion

import ctxkit
from ctxkit import Kit, Plan, Policy, Record, Report, Usage, feature
from ctxkit.model import CostRange, Edit, Estimate

kit = Kit(policy=Policy(mode="observe"), store=None, ledger=None)

# Clients come back as what they are.
assert_type(ctxkit.wrap(openai.OpenAI()), openai.OpenAI)
assert_type(kit.wrap(openai.OpenAI()), openai.OpenAI)
assert_type(kit.wrap(openai.AsyncOpenAI()), openai.AsyncOpenAI)
assert_type(kit.wrap(openai.AzureOpenAI()), openai.AzureOpenAI)
assert_type(kit.wrap(openai.OpenAI(), platform="vllm"), openai.OpenAI)
assert_type(kit.wrap(anthropic.Anthropic()), anthropic.Anthropic)
assert_type(kit.wrap(anthropic.AsyncAnthropic()), anthropic.AsyncAnthropic)
assert_type(kit.wrap(AnthropicBedrock()), AnthropicBedrock)
assert_type(kit.attach(httpx2.Client()), httpx2.Client)
assert_type(kit.attach(httpx2.AsyncClient(), platform="sglang"), httpx2.AsyncClient)
assert_type(kit.attach(openai.DefaultHttpxClient()), openai.DefaultHttpxClient)


# So do functions (LiteLLM's completion and acompletion).
def completion(model: str, *, stream: bool = False) -> int:
    return len(model) + stream


async def acompletion(model: str) -> str:
    return model


wrapped: Callable[[str], int] = kit.wrap(completion)
assert_type(kit.wrap(completion)("m", stream=True), int)
awaitable: Callable[[str], Awaitable[str]] = kit.wrap(acompletion)


# What a metered client answers has the SDK's own types.
def answers(client: openai.OpenAI, claude: anthropic.Anthropic) -> None:
    answer = kit.wrap(client).chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
    assert_type(answer, ChatCompletion)
    message = kit.wrap(claude).messages.create(
        model="claude-opus-4-8", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]
    )
    assert_type(message, anthropic.types.Message)


# Decorated functions keep their signatures.
@feature("search", team="web")
def search(query: str, limit: int = 10) -> list[str]:
    return [query] * limit


@feature("search")
async def search_later(query: str) -> list[str]:
    return [query]


@feature("search")
def search_bit_by_bit(query: str) -> Iterator[str]:
    yield query


@feature("search")
async def search_as_it_comes(query: str) -> AsyncIterator[str]:
    yield query


assert_type(search("x", limit=3), list[str])
assert_type(search_bit_by_bit("x"), Iterator[str])
assert_type(search_as_it_comes("x"), AsyncIterator[str])


# The public pair.
async def by_hand() -> None:
    assert_type(await search_later("x"), list[str])
    plan = kit.plan({"model": "gpt-4o", "messages": []}, dialect="openai.chat", platform="openai")
    assert_type(plan, Plan)
    assert_type(plan.edits, tuple[Edit, ...])
    assert_type(plan.estimate, Estimate | None)
    if plan.estimate is not None:
        assert_type(plan.estimate.input_tokens, int)
        assert_type(plan.estimate.cost, CostRange)
        assert_type(plan.estimate.cost.expected, Decimal | None)
    assert_type(await kit.aplan({}, dialect="openai.chat"), Plan)
    assert_type(kit.hold(plan), Plan)
    assert_type(await kit.ahold(plan), Plan)
    kit.began(plan)
    assert_type(kit.cold_starts.seconds, float)
    assert_type(kit.prewarm({}, dialect="anthropic.messages", platform="anthropic"), Plan)
    assert_type([advice.saving_pico for advice in kit.advice(since="7d")], list[int])
    kit.sent(plan)
    await kit.asent(plan)
    record = kit.settle(plan, {"usage": {}}, status=200)
    assert_type(record, Record)
    assert_type(await kit.asettle(plan, Usage(fresh=1, output=1)), Record)
    assert_type(record.usage, Usage | None)
    assert_type(record.cost, Decimal | None)
    assert_type(record.error_vs_estimate, float | None)
    assert_type(kit.recall("r_abcdefgh23456789", thread=plan.thread or ""), str)
    assert_type(ctxkit.recall_tool("openai.chat")["type"], Any)
    if plan.tidied is not None:
        assert_type(plan.tidied.refs, tuple[str, ...])
    assert_type(kit.report(by=("feature", "model"), since="7d"), Report)
    assert_type(kit.report().to_html(), str)
    assert_type(kit.report().page().lead, str)
    kit.report().to_pandas(money="decimal")
    kit.report().to_polars(money="float")

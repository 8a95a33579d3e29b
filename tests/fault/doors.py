"""One call through each door, streamed and not, sync and async: what the caller gets, as plain values."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.shared import MESSAGES

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

CLAUDE = {"model": "claude-opus-4-8", "max_tokens": 50, "messages": MESSAGES}
CHAT = {"model": "gpt-4o", "messages": MESSAGES}
USAGE = {"stream_options": {"include_usage": True}}
CONVERSE = {"modelId": "amazon.nova-lite-v1:0", "messages": [{"role": "user", "content": [{"text": "2 + 2?"}]}]}
INVOKE = {"modelId": "amazon.nova-lite-v1:0", "body": json.dumps({"messages": CONVERSE["messages"]})}

Wrap = Callable[[Any], Any]


def needs(name: str) -> Any:
    return pytest.importorskip(name, reason=f"{name} is not installed")


def events(stream: Any) -> list[Any]:
    return [event.model_dump(warnings=False) for event in stream]


def openai_chat(provider, wrap, *, stream):
    with needs("openai").OpenAI(base_url=provider.openai_url, api_key="none", max_retries=0) as sdk:
        create = wrap(sdk).chat.completions.create
        return events(create(**CHAT, stream=True, **USAGE)) if stream else create(**CHAT).model_dump()


def openai_async(provider, wrap, *, stream):
    async def call():
        async with needs("openai").AsyncOpenAI(base_url=provider.openai_url, api_key="none", max_retries=0) as sdk:
            create = wrap(sdk).chat.completions.create
            if stream:
                return [event.model_dump() async for event in await create(**CHAT, stream=True, **USAGE)]
            return (await create(**CHAT)).model_dump()

    return asyncio.run(call())


def anthropic_sync(provider, wrap, *, stream):
    with needs("anthropic").Anthropic(base_url=provider.anthropic_url, api_key="none", max_retries=0) as sdk:
        create = wrap(sdk).messages.create
        return events(create(**CLAUDE, stream=True)) if stream else create(**CLAUDE).model_dump()


def anthropic_async(provider, wrap, *, stream):
    async def call():
        async with needs("anthropic").AsyncAnthropic(
            base_url=provider.anthropic_url, api_key="none", max_retries=0
        ) as sdk:
            create = wrap(sdk).messages.create
            if stream:
                return [event.model_dump() async for event in await create(**CLAUDE, stream=True)]
            return (await create(**CLAUDE)).model_dump()

    return asyncio.run(call())


def google(provider, wrap, *, stream):
    genai = needs("google.genai")
    library = importlib.import_module("httpx" if genai.__version__.startswith("1.") else "httpx2")
    sync, asynchronous = library.Client(), library.AsyncClient()
    http = {"base_url": provider.gemini_url, "httpx_client": sync, "httpx_async_client": asynchronous}
    client = wrap(genai.Client(api_key="none", http_options=genai.types.HttpOptions(**http)))
    ask = {"model": "gemini-2.5-flash", "contents": "2 + 2?"}
    found = client.models.generate_content_stream(**ask) if stream else [client.models.generate_content(**ask)]
    dumped = [answer.model_dump(exclude={"sdk_http_response"}) for answer in found]
    client.close()
    sync.close()
    return dumped


def bedrock(provider, wrap, *, stream):
    needs("boto3")
    sdk = importlib.import_module("boto3").client(
        "bedrock-runtime",
        endpoint_url=provider.bedrock_url,
        region_name="eu-west-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",
    )
    client = wrap(sdk)
    if stream:
        found: Any = list(client.converse_stream(**CONVERSE)["stream"])
        found += list(client.invoke_model_with_response_stream(**INVOKE)["body"])
    else:
        found = [client.converse(**CONVERSE)["output"], client.invoke_model(**INVOKE)["body"].read()]
    sdk.close()
    return found


def litellm_sync(provider, wrap, *, stream):
    options = {**CHAT, "model": "openai/gpt-4o", "api_base": provider.openai_url, "api_key": "none"}
    completion = wrap(needs("litellm").completion)
    if stream:
        return [chunk.choices[0].delta.content for chunk in completion(**options, stream=True, **USAGE)]
    return completion(**options).choices[0].message.content


def litellm_async(provider, wrap, *, stream):
    options = {**CHAT, "model": "openai/gpt-4o", "api_base": provider.openai_url, "api_key": "none"}
    acompletion = wrap(needs("litellm").acompletion)

    async def call():
        if stream:
            return [
                chunk.choices[0].delta.content async for chunk in await acompletion(**options, stream=True, **USAGE)
            ]
        return (await acompletion(**options)).choices[0].message.content

    return asyncio.run(call())


DOORS = {
    "openai": openai_chat,
    "openai async": openai_async,
    "anthropic": anthropic_sync,
    "anthropic async": anthropic_async,
    "google": google,
    "bedrock": bedrock,
    "litellm": litellm_sync,
    "litellm async": litellm_async,
}

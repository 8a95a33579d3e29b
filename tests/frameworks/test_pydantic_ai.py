"""pydantic-ai: its providers take a client of the SDK, which is wrapped."""

from __future__ import annotations

import pytest

from ctxkit import feature
from ctxkit.testing import capture
from tests.frameworks.shared import CITIES, FOUND, LOOKED_UP, QUESTION, asked, look_up, metered, retried, tidied

pytest.importorskip("pydantic_ai", reason="pydantic-ai is not installed")
from anthropic import AsyncAnthropic
from google import genai
from openai import AsyncOpenAI, OpenAI
from pydantic_ai import Agent, ModelHTTPError, ModelRetry
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # its agents leave clients to the collector


def openai_provider(provider, kit):
    return OpenAIProvider(
        openai_client=kit.wrap(AsyncOpenAI(base_url=provider.openai_url, api_key="none"), platform="openai")
    )


def chat(provider, kit):
    return OpenAIChatModel("gpt-4o", provider=openai_provider(provider, kit))


def responses(provider, kit):
    return OpenAIResponsesModel("gpt-4o", provider=openai_provider(provider, kit))


def claude(provider, kit):
    client = kit.wrap(AsyncAnthropic(base_url=provider.anthropic_url, api_key="none"))
    return AnthropicModel("claude-sonnet-4-6", provider=AnthropicProvider(anthropic_client=client))


def gemini(provider, kit):
    options = kit.google_http_options(base_url=provider.gemini_url)
    client = genai.Client(api_key="none", http_options=options)
    return GoogleModel("gemini-2.5-flash", provider=GoogleProvider(client=client))


MODELS = pytest.mark.parametrize("model", [chat, responses, claude, gemini], ids=lambda model: model.__name__)


@MODELS
async def test_an_agent_is_one_thread_and_each_request_counts_once(model, provider, kit, records):
    with feature("trip", team="travel"):
        result = await Agent(model(provider, kit), tools=[look_up]).run(QUESTION)
    assert result.output == FOUND
    assert len(asked(provider)) == len(CITIES) + 1
    metered(provider, kit, records, feature="trip")
    assert {record.labels["team"] for record in records} == {"travel"}
    assert result.usage.input_tokens == 100 * len(records)


def test_sync(provider, kit, records):
    with feature("trip"):
        assert Agent(chat(provider, kit), tools=[look_up]).run_sync(QUESTION).output == FOUND
    metered(provider, kit, records, feature="trip")


@MODELS
async def test_a_streamed_agent_settles_with_its_usage(model, provider, kit, records):
    agent = Agent(model(provider, kit), tools=[look_up])
    with feature("trip"):
        async with agent.run_stream(QUESTION) as stream:
            pieces = [piece async for piece in stream.stream_text(delta=True, debounce_by=None)]
    assert "".join(pieces) == FOUND
    assert len(pieces) > 1
    metered(provider, kit, records, feature="trip")
    assert all(record.stream for record in records)
    assert stream.usage.output_tokens == 20 * len(records)


@MODELS
@pytest.mark.parametrize("mode", ["cache", "lossless", "prune"])
async def test_the_loop_works_with_what_is_tidied(model, mode, provider, made):
    kit = made(mode)
    with capture(kit) as records, feature("trip"):
        result = await Agent(model(provider, kit), tools=[look_up]).run(QUESTION)
    assert result.output == FOUND
    kept = [
        part.content for message in result.all_messages() for part in message.parts if part.part_kind == "tool-return"
    ]
    assert kept == [LOOKED_UP] * len(CITIES), "what the agent holds is never touched"
    metered(provider, kit, records, feature="trip")
    if mode != "cache":
        tidied(provider, records)


async def test_a_conversation_goes_on_in_its_thread(provider, kit, records):
    agent = Agent(claude(provider, kit))
    first = await agent.run("Where is it raining?")
    await agent.run("And tomorrow?", message_history=first.all_messages())
    metered(provider, kit, records, feature=None, threads=1)


@MODELS
async def test_retries_of_the_sdk_are_attempts(model, provider, kit, records):
    if model is gemini:
        pytest.skip("google-genai does not retry unless told")
    provider.behave(failures=2, retry_after=0.01)
    assert (await Agent(model(provider, kit)).run("2 + 2?")).output == "Four."
    retried(records)


@MODELS
async def test_an_error_of_the_provider_is_the_framework_s_own(model, provider, kit, records):
    provider.behave(status=400, message="No such thing.")
    with pytest.raises(ModelHTTPError, match="No such thing") as caught:
        await Agent(model(provider, kit)).run("2 + 2?")
    assert caught.value.status_code == 400
    assert [(record.status, record.http_status) for record in records] == [("failed", 400)]


async def test_what_the_model_is_asked_again_is_metered_too(provider, kit, records):
    agent = Agent(chat(provider, kit), output_type=str, retries={"output": 1})
    refused = []

    @agent.output_validator
    def first_try(output: str) -> str:
        if not refused:
            refused.append(output)
            raise ModelRetry("Say it again.")
        return output

    with feature("sums"):
        assert (await agent.run("2 + 2?")).output == "Four."
    assert len(records) == 2
    metered(provider, kit, records, feature="sums")


async def test_a_tool_that_runs_in_a_thread_asks_for_the_same_feature(provider, kit, records):
    inner = kit.wrap(OpenAI(base_url=provider.openai_url, api_key="none"))

    def look_up(city: str) -> str:
        with feature("summary", city=city):
            inner.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": city}])
        return city

    with feature("trip"):
        await Agent(chat(provider, kit), tools=[look_up]).run(QUESTION)
    assert len(records) == len(asked(provider)) == 2 * len(CITIES) + 1
    summaries = [record for record in records if record.feature == "trip/summary"]
    assert [record.labels["city"] for record in summaries] == list(CITIES)
    assert {record.feature for record in records} == {"trip", "trip/summary"}
    inner.close()

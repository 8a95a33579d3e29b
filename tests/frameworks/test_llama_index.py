"""LlamaIndex: its OpenAI models take HTTP clients, Gemini HTTP options; Anthropic's is wrapped itself."""

from __future__ import annotations

import warnings

import pytest

from ctxkit import UnsupportedClientError, feature
from ctxkit.testing import capture
from tests.frameworks.shared import CITIES, FOUND, LOOKED_UP, QUESTION, asked, look_up, metered, retried, tidied

pytest.importorskip("llama_index.core", reason="LlamaIndex is not installed")
with warnings.catch_warnings():  # pydantic's, over names of its own classes
    warnings.simplefilter("ignore")
    import anthropic
    import httpx
    import openai
    from google.genai.errors import ClientError
    from llama_index.core.agent.workflow import AgentStream, FunctionAgent, ToolCallResult
    from llama_index.core.llms import ChatMessage
    from llama_index.core.memory import ChatMemoryBuffer
    from llama_index.llms.anthropic import Anthropic
    from llama_index.llms.google_genai import GoogleGenAI
    from llama_index.llms.openai import OpenAI, OpenAIResponses
from pydantic import BaseModel

pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Skipping serialization"),  # of an agent's own memory
]


def hooked(kit):
    return {
        "http_client": kit.attach(httpx.Client(), platform="openai"),
        "async_http_client": kit.attach(httpx.AsyncClient(), platform="openai"),
    }


def chat(provider, kit, **options):
    usage = {"additional_kwargs": {"stream_options": {"include_usage": True}}} if options.pop("usage", False) else {}
    return OpenAI(model="gpt-4o", api_base=provider.openai_url, api_key="none", **hooked(kit), **options, **usage)


def responses(provider, kit, **options):
    return OpenAIResponses(model="gpt-4o", api_base=provider.openai_url, api_key="none", **hooked(kit), **options)


def wrapped(provider, kit, **options):
    return kit.wrap(OpenAI(model="gpt-4o", api_base=provider.openai_url, api_key="none", **options), platform="openai")


def claude(provider, kit, **options):
    model = Anthropic(model="claude-sonnet-4-5", base_url=provider.anthropic_url, api_key="none", **options)
    return kit.wrap(model)


def gemini(provider, kit):
    options = kit.google_http_options(base_url=provider.gemini_url)
    return GoogleGenAI(
        model="gemini-2.5-flash",
        api_key="none",
        max_tokens=200,
        context_window=100_000,  # else it asks for them
        http_options={name: value for name, value in options if value is not None},
    )


EVERY = [chat, responses, wrapped, claude, gemini]
MODELS = pytest.mark.parametrize("model", EVERY, ids=lambda model: model.__name__)
TELLING = pytest.mark.parametrize("model", [responses, claude, gemini], ids=lambda model: model.__name__)


@MODELS
def test_sync(model, provider, kit, records):
    with feature("trip", team="travel"):
        assert model(provider, kit).complete("2 + 2?").text == "Four."
    metered(provider, kit, records, feature="trip")
    assert records[0].labels == {"team": "travel"}


@MODELS
async def test_async(model, provider, kit, records):
    with feature("trip"):
        answer = await model(provider, kit).achat([ChatMessage(role="user", content="2 + 2?")])
    assert answer.message.content == "Four."
    metered(provider, kit, records, feature="trip")


@MODELS
async def test_an_agent_is_one_thread_and_each_request_counts_once(model, provider, made):
    kit = made(usage_probe=True)  # its agents stream, and its chat does not ask for usage
    with capture(kit) as records, feature("trip"):
        handler = FunctionAgent(tools=[look_up], llm=model(provider, kit)).run(QUESTION)
        said = "".join([event.delta async for event in handler.stream_events() if isinstance(event, AgentStream)])
        result = await handler
    assert str(result) == said == FOUND
    assert len(asked(provider)) == len(CITIES) + 1
    metered(provider, kit, records, feature="trip")
    assert all(record.stream for record in records)


@TELLING
async def test_streams_that_report_usage_settle_without_the_probe(model, provider, kit, records):
    with feature("trip"):
        stream = await model(provider, kit).astream_chat([ChatMessage(role="user", content="2 + 2?")])
        pieces = [chunk.delta or "" async for chunk in stream]
    assert "".join(pieces) == "Four."
    metered(provider, kit, records, feature="trip")


def test_a_streamed_chat_does_not_ask_for_usage(provider, kit, records):
    pieces = [chunk.delta for chunk in chat(provider, kit).stream_complete("2 + 2?")]
    assert "".join(pieces) == "Four."
    assert [(record.status, record.usage) for record in records] == [("unverified", None)]


def test_a_streamed_chat_that_is_told_to_ask(provider, kit, records):
    pieces = [chunk.delta for chunk in chat(provider, kit, usage=True).stream_complete("2 + 2?")]
    assert "".join(pieces) == "Four."
    metered(provider, kit, records, feature=None)


@MODELS
@pytest.mark.parametrize("mode", ["cache", "lossless", "prune"])
async def test_the_loop_works_with_what_is_tidied(model, mode, provider, made):
    kit = made(mode)
    with capture(kit) as records, feature("trip"):
        handler = FunctionAgent(tools=[look_up], llm=model(provider, kit)).run(QUESTION)
        kept = [str(event.tool_output) async for event in handler.stream_events() if isinstance(event, ToolCallResult)]
        result = await handler
    assert str(result) == FOUND
    assert kept == [LOOKED_UP] * len(CITIES), "what the agent holds is never touched"
    metered(provider, kit, records, feature="trip")
    if mode != "cache":
        tidied(provider, records)


async def test_a_conversation_goes_on_in_its_thread(provider, kit, records):
    agent = FunctionAgent(tools=[], llm=claude(provider, kit), streaming=False)
    memory = ChatMemoryBuffer.from_defaults()
    for question in ("Where is it raining?", "And tomorrow?"):
        await agent.run(question, memory=memory)
    metered(provider, kit, records, feature=None, threads=1)


@pytest.mark.parametrize("model", [chat, responses, wrapped, claude], ids=lambda model: model.__name__)
def test_retries_are_attempts(model, provider, kit, records):
    provider.behave(failures=2, retry_after=0.01)
    assert model(provider, kit).complete("2 + 2?").text == "Four."
    retried(records)


@pytest.mark.parametrize(
    ("model", "error"),
    [(chat, openai.BadRequestError), (claude, anthropic.BadRequestError), (gemini, ClientError)],
    ids=["chat", "claude", "gemini"],
)
def test_an_error_of_the_provider_is_the_sdk_s_own(model, error, provider, kit, records):
    provider.behave(status=400, message="No such thing.")
    with pytest.raises(error, match="No such thing"):
        model(provider, kit).complete("2 + 2?")
    assert [(record.status, record.http_status) for record in records] == [("failed", 400)]


async def test_a_tool_that_runs_in_a_thread_asks_for_the_same_feature(provider, kit, records):
    inner = chat(provider, kit)

    def look_up(city: str) -> str:
        """Weather of a city."""
        with feature("summary", city=city):
            return inner.complete(city).text

    with feature("trip"):
        await FunctionAgent(tools=[look_up], llm=responses(provider, kit)).run(QUESTION)
    assert len(records) == len(asked(provider)) == 2 * len(CITIES) + 1
    assert [r.labels["city"] for r in records if r.feature == "trip/summary"] == list(CITIES)


class Sum(BaseModel):
    """A sum."""

    value: int


def test_structured_output(provider, kit, records):
    provider.behave(text='{"value": 4}')
    with feature("sums"):
        model = chat(provider, kit).as_structured_llm(Sum)
        assert model.complete("2 + 2?").raw == Sum(value=4)
    metered(provider, kit, records, feature="sums")


def test_what_cannot_be_wrapped_is_refused(provider, kit):
    with pytest.raises(UnsupportedClientError, match="reuse_client"):
        kit.wrap(OpenAI(model="gpt-4o", api_base=provider.openai_url, api_key="none", reuse_client=False))


def test_a_client_for_each_call_goes_by_its_http_client(provider, kit, records):
    model = chat(provider, kit, reuse_client=False)
    assert model.complete("2 + 2?").text == "Four."
    metered(provider, kit, records, feature=None)

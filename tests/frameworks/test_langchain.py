"""LangChain and LangGraph: ChatOpenAI takes HTTP clients; models that take none are wrapped themselves."""

from __future__ import annotations

import asyncio
import re
from typing import TypedDict

import pytest

from ctxkit import UnsupportedClientError, feature
from ctxkit.labels import current
from ctxkit.testing import Behaviour, FakeProvider, ToolCall, capture
from tests.frameworks.shared import (
    CITIES,
    FOUND,
    LOOKED_UP,
    QUESTION,
    TOKENS,
    asked,
    look_up,
    metered,
    results,
    retried,
    tidied,
)

pytest.importorskip("langchain_openai", reason="LangChain is not installed")
import anthropic
import openai
from google import genai
from google.genai.errors import ClientError
from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessageChunk, ToolMessage
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
ASK = {"messages": [{"role": "user", "content": QUESTION}]}


def chat(provider, kit, **options):
    return ChatOpenAI(
        model="gpt-4o",
        base_url=provider.openai_url,
        api_key="none",
        http_client=kit.attach(openai.DefaultHttpxClient(), platform="openai"),
        http_async_client=kit.attach(openai.DefaultAsyncHttpxClient(), platform="openai"),
        **{"stream_usage": True, **options},  # its default, unless there is a base_url
    )


def responses(provider, kit):
    return chat(provider, kit, use_responses_api=True)


def wrapped(provider, kit):
    model = ChatOpenAI(model="gpt-4o", base_url=provider.openai_url, api_key="none", stream_usage=True)
    return kit.wrap(model, platform="openai")


def claude(provider, kit):
    return kit.wrap(ChatAnthropic(model="claude-sonnet-4-6", base_url=provider.anthropic_url, api_key="none"))


def gemini(provider, kit):
    model = ChatGoogleGenerativeAI(model="gemini-2.5-flash", base_url=provider.gemini_url, api_key="none")
    try:
        return kit.wrap(model)
    except UnsupportedClientError:  # aiohttp is installed
        options = kit.google_http_options(base_url=provider.gemini_url)
        model.client = genai.Client(api_key="none", http_options=options)
        return model


MODELS = pytest.mark.parametrize("model", [chat, responses, wrapped, claude, gemini], ids=lambda model: model.__name__)


@MODELS
def test_an_agent_is_one_thread_and_each_request_counts_once(model, provider, kit, records):
    agent = create_agent(model(provider, kit), tools=[look_up])
    with feature("trip", team="travel"):
        result = agent.invoke(ASK)
    assert result["messages"][-1].text == FOUND
    assert len(asked(provider)) == len(CITIES) + 1
    metered(provider, kit, records, feature="trip")
    assert {record.labels["team"] for record in records} == {"travel"}


@MODELS
async def test_async(model, provider, kit, records):
    agent = create_agent(model(provider, kit), tools=[look_up])
    with feature("trip"):
        result = await agent.ainvoke(ASK)
    assert result["messages"][-1].text == FOUND
    metered(provider, kit, records, feature="trip")


@MODELS
def test_a_streamed_agent_settles_with_its_usage(model, provider, kit, records):
    agent = create_agent(model(provider, kit), tools=[look_up])
    with feature("trip"):
        chunks = [chunk for chunk, _ in agent.stream(ASK, stream_mode="messages") if isinstance(chunk, AIMessageChunk)]
    assert "".join(chunk.text for chunk in chunks) == FOUND
    told = [chunk.usage_metadata["output_tokens"] for chunk in chunks if chunk.usage_metadata]
    assert sum(told) == 20 * len(records), "the framework gets its usage too"
    metered(provider, kit, records, feature="trip")
    assert all(record.stream for record in records)


@MODELS
async def test_async_stream(model, provider, kit, records):
    with feature("trip"):
        pieces = [chunk.text async for chunk in model(provider, kit).astream("2 + 2?")]
    assert "".join(pieces) == "Four."
    metered(provider, kit, records, feature="trip")


@MODELS
@pytest.mark.parametrize("mode", ["cache", "lossless", "prune"])
def test_the_loop_works_with_what_is_tidied(model, mode, provider, made):
    kit = made(mode)
    with capture(kit) as records, feature("trip"):
        result = create_agent(model(provider, kit), tools=[look_up]).invoke(ASK)
    assert result["messages"][-1].text == FOUND
    kept = [message.content for message in result["messages"] if isinstance(message, ToolMessage)]
    assert kept == [LOOKED_UP] * len(CITIES), "what the graph holds is never touched"
    metered(provider, kit, records, feature="trip")
    if mode != "cache":
        tidied(provider, records)


def test_usage_is_asked_for_where_langchain_does_not(provider, made):
    """LangChain does not ask for usage where it has a base_url; then the probe does, and hides what only it asked for."""
    kit = made(usage_probe=True)
    with capture(kit) as records:
        chunks = list(chat(provider, kit, stream_usage=False).stream("2 + 2?"))
    assert "".join(chunk.text for chunk in chunks) == "Four."
    assert not any(chunk.usage_metadata for chunk in chunks)
    assert asked(provider)[0].json["stream_options"] == {"include_usage": True}
    metered(provider, kit, records, feature=None)


def test_a_conversation_with_a_checkpointer_goes_on_in_its_thread(provider, kit, records):
    agent = create_agent(claude(provider, kit), tools=[], checkpointer=InMemorySaver())
    for question in ("Where is it raining?", "And tomorrow?", "And the day after?"):
        agent.invoke({"messages": [("user", question)]}, {"configurable": {"thread_id": "1"}})
    metered(provider, kit, records, feature=None, threads=1)


@pytest.mark.parametrize("model", [chat, responses, wrapped, claude], ids=lambda model: model.__name__)
def test_retries_of_the_sdk_are_attempts(model, provider, kit, records):
    provider.behave(failures=2, retry_after=0.01)
    assert model(provider, kit).invoke("2 + 2?").text == "Four."
    retried(records)


def test_retries_of_langchain_are_requests(provider, kit, records):
    provider.behave(failures=1)
    model = chat(provider, kit, max_retries=0).with_retry(stop_after_attempt=2, wait_exponential_jitter=False)
    assert model.invoke("2 + 2?").text == "Four."
    assert [record.status for record in records] == ["failed", "settled"]


@pytest.mark.parametrize(
    ("model", "error"),
    [(chat, openai.BadRequestError), (claude, anthropic.BadRequestError), (gemini, Exception)],
    ids=["chat", "claude", "gemini"],
)
def test_an_error_of_the_provider_is_the_framework_s_own(model, error, provider, kit, records):
    provider.behave(status=400, message="No such thing.")
    with pytest.raises(error, match="No such thing") as caught:
        model(provider, kit).invoke("2 + 2?")
    assert model is not gemini or isinstance(caught.value.__cause__, ClientError)
    assert [(record.status, record.http_status) for record in records] == [("failed", 400)]


def test_batches_and_branches_run_in_threads_and_keep_their_feature(provider, kit, records):
    model = chat(provider, kit)
    with feature("trip"):
        model.batch(["Rome?", "Oslo?", "Lima?"])
        RunnableParallel(left=model, right=RunnableLambda(model.invoke)).invoke("Rome?")
    assert len(records) == 5
    metered(provider, kit, records, feature="trip", threads=None)


async def test_concurrent_agents_keep_their_features_apart(provider, kit, records):
    agent = create_agent(claude(provider, kit), tools=[look_up])

    @feature("asks")
    async def ask(name):
        with feature(name):
            await agent.ainvoke({"messages": [("user", f"{QUESTION} ({name})")]})

    await asyncio.gather(*(ask(name) for name in ("one", "two", "three")))
    assert len({(record.feature, record.thread) for record in records}) == 3
    assert {record.feature for record in records} == {"asks/one", "asks/two", "asks/three"}
    assert len(records) == len(asked(provider)) == 12


class Town(TypedDict, total=False):
    city: str
    said: str
    summary: str


def test_nodes_of_a_graph_name_their_own_features(provider, kit, records):
    model = chat(provider, kit)

    @feature("say")
    def say(state: Town) -> Town:
        return {"said": model.invoke(state["city"]).text}

    @feature("sum-up")
    def sum_up(state: Town) -> Town:
        return {"summary": model.invoke(state["said"]).text}

    graph = StateGraph(Town)
    for name, node, before in (("first", say, START), ("second", sum_up, "first")):
        graph.add_node(name, node)
        graph.add_edge(before, name)
    graph.add_edge("second", END)
    with feature("towns"):
        graph.compile().invoke({"city": "Rome"})
    assert [record.feature for record in records] == ["towns/say", "towns/sum-up"]
    assert len(asked(provider)) == 2


def test_a_tool_that_runs_in_a_thread_asks_for_the_same_feature(provider, kit, records):
    model = chat(provider, kit)

    def look_up(city: str) -> str:
        """Weather of a city."""
        with feature("summary", city=city):
            return model.invoke(city).text

    with feature("trip"):
        create_agent(model, tools=[look_up]).invoke(ASK)
    assert len(records) == len(asked(provider)) == 2 * len(CITIES) + 1
    assert [r.labels["city"] for r in records if r.feature == "trip/summary"] == list(CITIES)


def file_of(number):
    return "\n".join(f"{line}: words of file {number}, {line * number}" for line in range(400))


def test_the_model_asks_for_what_was_removed(made):
    """By the recipe of docs/how-to/frameworks.md: the thread is found by a label of the run."""
    kit, threads, got = made("prune"), {}, []
    kit.listeners.append(lambda record: threads.update({record.labels["run"]: record.thread}))

    def read_file(number: int) -> str:
        """A file."""
        return file_of(number)

    def ctxkit_recall(ref: str) -> str:
        """The text that the reference stands for."""
        got.append(kit.recall(ref, thread=threads[current().labels["run"]]))
        return got[-1]

    def reader(request):
        refs = re.findall(r'ctxkit_recall\(\\*"(r_\w+)', request.body.decode())
        done = len(results(request.json))
        if got or done > 60:
            return Behaviour(text=FOUND, tokens=TOKENS)
        call = ToolCall("ctxkit_recall", {"ref": refs[0]}) if refs else ToolCall("read_file", {"number": done})
        return Behaviour(text="", calls=(call,), tokens=TOKENS)

    with FakeProvider(answer=reader) as provider, feature("files", run="42"):
        agent = create_agent(claude(provider, kit), tools=[read_file, ctxkit_recall])
        result = agent.invoke(ASK, {"recursion_limit": 200})
    assert result["messages"][-1].text == FOUND
    assert got == [file_of(0)]


class Sum(BaseModel):
    """A sum."""

    value: int


def test_structured_output(provider, kit, records):
    provider.behave(text='{"value": 4}')
    assert chat(provider, kit).with_structured_output(Sum).invoke("2 + 2?") == Sum(value=4)
    metered(provider, kit, records, feature=None)


def test_bound_and_copied_models_are_metered(provider, kit, records):
    model = claude(provider, kit)
    model.bind(stop=["x"]).invoke("2 + 2?")
    model.model_copy(update={"max_tokens": 7}).invoke("2 + 2?")
    assert kit.wrap(model) is model, "twice counts once"
    model.invoke("2 + 2?")
    assert len(records) == len(asked(provider)) == 3


def test_a_model_by_its_name(provider, kit, records):
    model = init_chat_model(
        "openai:gpt-4o",
        base_url=provider.openai_url,
        api_key="none",
        http_client=kit.attach(openai.DefaultHttpxClient()),
    )
    model.invoke("2 + 2?")
    metered(provider, kit, records, feature=None)


def test_models_of_the_same_settings_share_their_client(provider, kit, records):
    """A fact of LangChain's that the page on frameworks tells."""
    kit.wrap(ChatOpenAI(model="gpt-4o", base_url=provider.openai_url, api_key="none"))
    ChatOpenAI(model="gpt-4o-mini", base_url=provider.openai_url, api_key="none").invoke("2 + 2?")
    metered(provider, kit, records, feature=None)


async def test_gemini_s_client_may_be_replaced(provider, kit, records):
    """Where aiohttp is installed, that is the way; it does as well where it is not."""
    model = ChatGoogleGenerativeAI(model="gemini-2.5-flash", base_url=provider.gemini_url, api_key="none")
    model.client = genai.Client(api_key="none", http_options=kit.google_http_options(base_url=provider.gemini_url))
    await model.ainvoke("2 + 2?")
    await asyncio.to_thread(model.invoke, "2 + 2?")
    assert len(records) == 2
    metered(provider, kit, records, feature=None)


def test_embeddings(provider, kit, records):
    embeddings = OpenAIEmbeddings(
        model="text-embedding-3-small",
        base_url=provider.openai_url,
        api_key="none",
        check_embedding_ctx_length=False,
        http_client=kit.attach(openai.DefaultHttpxClient()),
    )
    with feature("search"):
        embeddings.embed_documents(["one", "two"])
    assert [(record.dialect, record.feature) for record in records] == [("openai.embeddings", "search")]

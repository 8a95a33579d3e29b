"""OpenAI Agents SDK: its default client, or that of one model, is a wrapped AsyncOpenAI."""

from __future__ import annotations

from collections import deque

import pytest

from ctxkit import feature
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
    retried,
    tidied,
)

agents = pytest.importorskip("agents", reason="the OpenAI Agents SDK is not installed")
import openai  # noqa: E402
from agents import (  # noqa: E402
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    RunConfig,
    Runner,
    SQLiteSession,
    function_tool,
    set_default_openai_client,
)
from pydantic import BaseModel  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


def quiet():
    """Traces would go to OpenAI. Each run has its own: a RunConfig keeps the client that was the default at first."""
    return RunConfig(tracing_disabled=True)


def client(provider, kit):
    return kit.wrap(openai.AsyncOpenAI(base_url=provider.openai_url, api_key="none"), platform="openai")


def responses(provider, kit, **options):
    set_default_openai_client(client(provider, kit), use_for_tracing=False)
    return Agent("traveller", model="gpt-4o", **options)


def chat(provider, kit, **options):
    model = OpenAIChatCompletionsModel(model="gpt-4o", openai_client=client(provider, kit))
    return Agent("traveller", model=model, model_settings=ModelSettings(include_usage=True), **options)


AGENTS = pytest.mark.parametrize("agent", [responses, chat], ids=["responses", "chat"])


@AGENTS
async def test_a_run_is_one_thread_and_each_request_counts_once(agent, provider, kit, records):
    with feature("trip", team="travel"):
        result = await Runner.run(agent(provider, kit, tools=[function_tool(look_up)]), QUESTION, run_config=quiet())
    assert result.final_output == FOUND
    assert len(asked(provider)) == len(CITIES) + 1
    metered(provider, kit, records, feature="trip")
    assert {record.labels["team"] for record in records} == {"travel"}
    assert result.context_wrapper.usage.input_tokens == 100 * len(records)


def test_sync(provider, kit, records):
    with feature("trip"):
        agent = chat(provider, kit, tools=[function_tool(look_up)])
        assert Runner.run_sync(agent, QUESTION, run_config=quiet()).final_output == FOUND
    metered(provider, kit, records, feature="trip")


@AGENTS
async def test_a_streamed_run_belongs_to_who_began_it(agent, provider, kit, records):
    with feature("trip"):
        run = Runner.run_streamed(agent(provider, kit, tools=[function_tool(look_up)]), QUESTION, run_config=quiet())
    with feature("somebody-else"):
        events = [event async for event in run.stream_events()]
    assert run.final_output == FOUND
    assert len(events) > len(CITIES)
    metered(provider, kit, records, feature="trip")
    assert all(record.stream for record in records)
    assert run.context_wrapper.usage.output_tokens == 20 * len(records)


@AGENTS
@pytest.mark.parametrize("mode", ["cache", "lossless", "prune"])
async def test_the_loop_works_with_what_is_tidied(agent, mode, provider, made):
    kit = made(mode)
    with capture(kit) as records, feature("trip"):
        result = await Runner.run(agent(provider, kit, tools=[function_tool(look_up)]), QUESTION, run_config=quiet())
    assert result.final_output == FOUND
    kept = [item["output"] for item in result.to_input_list() if item.get("type") == "function_call_output"]
    assert kept == [LOOKED_UP] * len(CITIES), "what the run holds is never touched"
    metered(provider, kit, records, feature="trip")
    if mode != "cache":
        tidied(provider, records)


async def test_the_probe_asks_for_usage_where_the_settings_do_not(provider, made):
    kit = made(usage_probe=True)
    model = OpenAIChatCompletionsModel(model="gpt-4o", openai_client=client(provider, kit))
    with capture(kit) as records:
        run = Runner.run_streamed(Agent("traveller", model=model), "2 + 2?", run_config=quiet())
        async for _ in run.stream_events():
            pass
    assert run.final_output == "Four."
    metered(provider, kit, records, feature=None)


async def test_a_session_goes_on_in_its_thread(provider, kit, records):
    session = SQLiteSession("1")
    agent = responses(provider, kit, instructions="Be brief.")
    for question in ("Where is it raining?", "And tomorrow?"):
        await Runner.run(agent, question, session=session, run_config=quiet())
    session.close()
    metered(provider, kit, records, feature=None, threads=1)


async def test_history_that_the_provider_keeps_is_one_thread_too(kit, records):
    turns = deque(
        [
            Behaviour(text="", calls=(ToolCall("look_up", {"city": "Rome"}),), tokens=TOKENS),
            Behaviour(text="", calls=(ToolCall("look_up", {"city": "Oslo"}),), tokens=TOKENS),
            Behaviour(text=FOUND, tokens=TOKENS),
        ]
    )
    with FakeProvider(answer=lambda _: turns.popleft()) as provider:
        agent = responses(provider, kit, tools=[function_tool(look_up)])
        result = await Runner.run(agent, QUESTION, auto_previous_response_id=True, run_config=quiet())
        assert result.final_output == FOUND
        assert asked(provider)[-1].json["previous_response_id"]
        metered(provider, kit, records, feature=None, threads=1)


async def test_a_handoff_is_another_agent_in_the_same_feature(provider, kit, records):
    expert = responses(provider, kit, instructions="You know the weather.", tools=[function_tool(look_up)])
    turns = deque([Behaviour(text="", calls=(ToolCall("transfer_to_expert", {}),), tokens=TOKENS)])
    provider._answer, agent = (lambda request: turns.popleft() if turns else agent(request)), provider._answer
    front = Agent("front", model="gpt-4o", handoffs=[agents.handoff(expert, tool_name_override="transfer_to_expert")])
    with feature("trip"):
        result = await Runner.run(front, QUESTION, run_config=quiet())
    assert (result.final_output, result.last_agent) == (FOUND, expert)
    metered(provider, kit, records, feature="trip", threads=2)  # other instructions, another prefix: another thread


async def test_an_agent_as_a_tool_and_a_tool_in_a_thread_keep_the_feature(provider, kit, records):
    inner = kit.wrap(openai.OpenAI(base_url=provider.openai_url, api_key="none"))

    def look_up(city: str) -> str:
        with feature("summary", city=city):
            inner.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": city}])
        return city

    with feature("trip"):
        await Runner.run(chat(provider, kit, tools=[function_tool(look_up)]), QUESTION, run_config=quiet())
    inner.close()
    assert len(records) == len(asked(provider)) == 2 * len(CITIES) + 1
    assert [r.labels["city"] for r in records if r.feature == "trip/summary"] == list(CITIES)


@AGENTS
async def test_retries_of_the_sdk_are_attempts(agent, provider, kit, records):
    provider.behave(failures=2, retry_after=0.01)
    assert (await Runner.run(agent(provider, kit), "2 + 2?", run_config=quiet())).final_output == "Four."
    retried(records)


@AGENTS
async def test_an_error_of_the_provider_is_the_sdk_s_own(agent, provider, kit, records):
    provider.behave(status=400, message="No such thing.")
    with pytest.raises(openai.BadRequestError, match="No such thing"):
        await Runner.run(agent(provider, kit), "2 + 2?", run_config=quiet())
    assert [(record.status, record.http_status) for record in records] == [("failed", 400)]


class Sum(BaseModel):
    value: int


async def test_structured_output(provider, kit, records):
    provider.behave(text='{"value": 4}')
    result = await Runner.run(responses(provider, kit, output_type=Sum), "2 + 2?", run_config=quiet())
    assert result.final_output == Sum(value=4)
    metered(provider, kit, records, feature=None)

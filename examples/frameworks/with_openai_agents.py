"""OpenAI Agents SDK: the client of all agents is a wrapped one.

Environment: OPENAI_API_KEY (and OPENAI_BASE_URL for a compatible server).
"""

from agents import Agent, Runner, function_tool, set_default_openai_client, set_tracing_disabled
from openai import AsyncOpenAI

import ctxkit
from ctxkit import feature

set_default_openai_client(ctxkit.wrap(AsyncOpenAI()))
set_tracing_disabled(True)  # as you like: traces go to OpenAI by themselves, and cost nothing


@function_tool
def rain(city: str) -> str:
    """How much it rained in a city this month."""
    return f"{len(city) * 17} mm in {city}"


with feature("weather"):
    print(Runner.run_sync(Agent("forecaster", model="gpt-4o-mini", tools=[rain]), "Did it rain in Oslo?").final_output)
print(ctxkit.default_kit().report(by=("feature", "model")))

"""LlamaIndex: an agent, in mode ``lossless``; what it reads twice is sent once. The probe makes its streams tell their usage.

Environment: OPENAI_API_KEY (and OPENAI_API_BASE for a compatible server).
"""

import asyncio

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai import OpenAI

from ctxkit import Kit, Policy, feature

kit = Kit(Policy(mode="lossless"))


def rain(city: str) -> str:
    """How much it rained in a city this month."""
    return f"{len(city) * 17} mm in {city}"


@feature("weather")
async def ask(question: str) -> str:
    return str(await FunctionAgent(tools=[rain], llm=kit.wrap(OpenAI(model="gpt-4o-mini"))).run(question))


print(asyncio.run(ask("How much did it rain in Oslo?")))
print(kit.report(by=("feature", "model")))

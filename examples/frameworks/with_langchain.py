"""LangChain and LangGraph: an agent whose model speaks through HTTP clients that are attached.

Environment: OPENAI_API_KEY (and OPENAI_BASE_URL for a compatible server).
"""

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from openai import DefaultAsyncHttpxClient, DefaultHttpxClient

import ctxkit
from ctxkit import feature


def rain(city: str) -> str:
    """How much it rained in a city this month."""
    return f"{len(city) * 17} mm in {city}"


kit = ctxkit.default_kit()
clients = {"http_client": kit.attach(DefaultHttpxClient()), "http_async_client": kit.attach(DefaultAsyncHttpxClient())}
agent = create_agent(ChatOpenAI(model="gpt-4o-mini", stream_usage=True, **clients), tools=[rain])

with feature("weather"):
    print(agent.invoke({"messages": [("user", "How much did it rain in Oslo?")]})["messages"][-1].text)
print(kit.report(by=("feature", "model")))

"""pydantic-ai: a provider with a wrapped client.

Environment: ANTHROPIC_API_KEY (and ANTHROPIC_BASE_URL for a gateway).
"""

from anthropic import AsyncAnthropic
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.providers.anthropic import AnthropicProvider

import ctxkit
from ctxkit import feature

provider = AnthropicProvider(anthropic_client=ctxkit.wrap(AsyncAnthropic()))
agent = Agent(AnthropicModel("claude-sonnet-4-6", provider=provider))


@agent.tool_plain
def rain(city: str) -> str:
    """How much it rained in a city this month."""
    return f"{len(city) * 17} mm in {city}"


with feature("weather"):
    print(agent.run_sync("How much did it rain in Oslo?").output)
print(ctxkit.default_kit().report(by=("feature", "model")))

"""LangChain's ChatAnthropic takes no client: the model itself is wrapped. ChatGoogleGenerativeAI goes the same way.

Environment: ANTHROPIC_API_KEY (and ANTHROPIC_BASE_URL for a gateway).
"""

from langchain_anthropic import ChatAnthropic

import ctxkit
from ctxkit import feature

model = ctxkit.wrap(ChatAnthropic(model="claude-sonnet-4-6", max_tokens=200))

with feature("captions"):
    for chunk in model.stream("A caption for a photo of a lighthouse"):
        print(chunk.text, end="", flush=True)
print()
print(ctxkit.default_kit().report(by=("feature", "model")))

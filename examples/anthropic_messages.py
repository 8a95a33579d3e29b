"""Anthropic through the SDK's own middleware: plain, streamed, and what a call would cost before it is made.

Environment: ANTHROPIC_API_KEY (and ANTHROPIC_BASE_URL for a gateway).
"""

from anthropic import Anthropic

import ctxkit
from ctxkit import feature

kit = ctxkit.default_kit()
client = kit.wrap(Anthropic())  # of the same class; the one you gave stays as it was
request = {
    "model": "claude-sonnet-4-6",
    "max_tokens": 200,
    "system": "You review code.",
    "messages": [{"role": "user", "content": "def f(x=[]): x.append(1); return x"}],
}

plan = kit.plan(request, dialect="anthropic.messages", platform="anthropic")  # a preview: nothing is sent or kept
print(plan.explain())

with feature("code-review"):
    print(client.messages.create(**request).content[0].text)
    with client.messages.stream(**request) as stream:
        for text in stream.text_stream:
            print(text, end="", flush=True)
print()
print(kit.report(by=("feature", "model")))

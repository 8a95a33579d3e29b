"""An agent loop whose model may ask for what was removed from a long conversation (mode ``prune``).

Environment: OPENAI_API_KEY (and OPENAI_BASE_URL for a compatible server).
"""

import json

from openai import OpenAI

from ctxkit import Kit, Policy, StoreError, feature, recall_tool

kit = Kit(Policy(mode="prune"), store=None, ledger=None)
client = kit.wrap(OpenAI())
TOOLS = [recall_tool("openai.chat")]  # beside the application's own


def run_tool(name: str, arguments: dict[str, str], thread: str) -> str:
    if name == "ctxkit_recall":
        try:
            return kit.recall(arguments["ref"], thread=thread)
        except (StoreError, KeyError) as error:  # models make references up
            return f"not available: {error}"
    return f"no such tool: {name}"


def answer(question: str, most: int = 10) -> str:
    messages: list[dict[str, object]] = [{"role": "user", "content": question}]
    for _ in range(most):
        request = {"model": "gpt-4o-mini", "messages": messages, "tools": TOOLS}
        thread = kit.plan(request, dialect="openai.chat", platform="openai").thread or ""  # a plan changes nothing
        message = client.chat.completions.create(**request).choices[0].message
        messages.append(message.model_dump(exclude_none=True))
        if not message.tool_calls:
            return message.content or ""
        for call in message.tool_calls:
            text = run_tool(call.function.name, json.loads(call.function.arguments), thread)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": text})
    return "no answer"


with feature("research"):
    print(answer("What is two and two?"))
print(kit.report(by=("feature", "model")))
kit.close()
client.close()

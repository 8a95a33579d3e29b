"""LiteLLM: the functions come back wrapped; nothing inside the module is replaced.

Environment: the keys of the providers, as LiteLLM reads them.
"""

import asyncio

import litellm

from ctxkit import Kit, feature

kit = Kit()
completion = kit.wrap(litellm.completion)
acompletion = kit.wrap(litellm.acompletion)
messages = [{"role": "user", "content": "What is the capital of Wales?"}]

with feature("quiz"):
    print(completion(model="openai/gpt-4o-mini", messages=messages).choices[0].message.content)


@feature("quiz")
async def ask() -> str:
    stream = await acompletion(model="anthropic/claude-sonnet-4-5", messages=messages, stream=True)
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


print(asyncio.run(ask()))
print(kit.report(by=("feature", "model")))
kit.close()

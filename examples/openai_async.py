"""AsyncOpenAI: concurrent calls keep their features apart, and no commit blocks the event loop.

``usage_probe`` asks streamed chats for their usage and hides the chunk that only this asked for.
Environment: OPENAI_API_KEY (and OPENAI_BASE_URL for a compatible server).
"""

import asyncio

from openai import AsyncOpenAI

from ctxkit import Kit, Policy, feature

kit = Kit(policy=Policy(usage_probe=True))  # nothing on disk: for a program that runs once


@feature("translate")
async def translate(client: AsyncOpenAI, text: str, language: str) -> str:
    stream = await client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": f"Translate into {language}: {text}"}],
        stream=True,
    )
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


async def main() -> None:
    async with AsyncOpenAI() as sdk:
        client = kit.wrap(sdk)
        found = await asyncio.gather(*(translate(client, "good morning", name) for name in ("French", "Welsh")))
    print("\n".join(found))
    print(kit.report(by=("feature",)))
    kit.close()


asyncio.run(main())

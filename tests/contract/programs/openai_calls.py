"""What a program asks of OpenAI's SDK, in every way; prints what it got."""

import asyncio
import json

from openai import AsyncOpenAI, OpenAI

MESSAGES = [{"role": "user", "content": "What is 2 + 2?"}]
client = OpenAI()
told = {}

answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
told["create"] = answer.model_dump()
usage = {"include_usage": True}
stream = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True, stream_options=usage)
told["stream"] = [chunk.model_dump() for chunk in stream]
told["responses"] = client.responses.create(model="gpt-4o", input="2 + 2?").output_text
with client.responses.stream(model="gpt-4o", input="2 + 2?") as events:
    told["responses stream"] = [event.type for event in events]
told["raw"] = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=MESSAGES).text
told["embeddings"] = client.embeddings.create(model="text-embedding-3-small", input="2").data[0].embedding
told["models"] = [model.id for model in client.models.list()]


async def asynchronously():
    async with AsyncOpenAI() as other:
        stream = await other.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
        return [chunk.model_dump() async for chunk in stream]


told["async"] = asyncio.run(asynchronously())
print(json.dumps(told))

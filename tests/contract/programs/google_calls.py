"""What a program asks of Google's SDK; prints what it got."""

import asyncio
import json

from google import genai

client = genai.Client()
ask = {"model": "gemini-2.5-pro", "contents": "What is 2 + 2?"}
told = {"create": client.models.generate_content(**ask).text}
told["stream"] = [chunk.text for chunk in client.models.generate_content_stream(**ask)]
chat = client.chats.create(model="gemini-2.5-pro")
told["chat"] = chat.send_message("What is 2 + 2?").text


async def asynchronously():
    first = await client.aio.models.generate_content(**ask)
    return [first.text, *[chunk.text async for chunk in await client.aio.models.generate_content_stream(**ask)]]


told["async"] = asyncio.run(asynchronously())
print(json.dumps(told))

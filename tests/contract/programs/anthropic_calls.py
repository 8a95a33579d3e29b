"""What a program asks of Anthropic's SDK; prints what it got."""

import asyncio
import json

from anthropic import Anthropic, AsyncAnthropic

ASK = {"model": "claude-sonnet-4-6", "max_tokens": 50, "messages": [{"role": "user", "content": "What is 2 + 2?"}]}
client = Anthropic()
told = {"create": client.messages.create(**ASK).model_dump()}
told["events"] = [event.model_dump() for event in client.messages.create(**ASK, stream=True)]
with client.messages.stream(**ASK) as stream:
    told["stream"] = stream.get_final_message().model_dump()
told["count"] = client.messages.count_tokens(model=ASK["model"], messages=ASK["messages"]).input_tokens


async def asynchronously():
    async with AsyncAnthropic() as other, other.messages.stream(**ASK) as stream:
        return [text async for text in stream.text_stream]


told["async"] = asyncio.run(asynchronously())
print(json.dumps(told))

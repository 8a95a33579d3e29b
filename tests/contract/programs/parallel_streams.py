"""Asks for many streams at once and prints a digest of each; how many stands in the first argument."""

import asyncio
import hashlib
import json
import os
import sys

import httpx2

URL = os.environ["OPENAI_BASE_URL"] + "/chat/completions"


async def digest(client, number):
    body = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": f"stream {number}"}]}
    found = hashlib.sha256()
    async with client.stream("POST", URL, json=body) as response:
        async for piece in response.aiter_raw():
            found.update(piece)
    return found.hexdigest()


async def main():
    limits = httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(timeout=60, limits=limits, headers={"accept-encoding": "identity"}) as client:
        digests = await asyncio.gather(*(digest(client, number) for number in range(int(sys.argv[1]))))
    print(json.dumps(digests))


asyncio.run(main())

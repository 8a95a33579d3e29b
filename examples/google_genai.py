"""Gemini, sync and async. The HTTP options meter both sides, also where aiohttp is installed.

Environment: GEMINI_API_KEY (and GOOGLE_GEMINI_BASE_URL for a proxy).
"""

import asyncio

from google import genai

from ctxkit import Kit, feature

kit = Kit()
options = kit.google_http_options()
client = genai.Client(http_options=options)  # hold on to it: the SDK closes what nobody holds


@feature("captions")
def caption(subject: str) -> str:
    response = client.models.generate_content(model="gemini-2.5-flash", contents=f"A caption for {subject}")
    return response.text or ""


@feature("stories")
async def story(subject: str) -> str:
    stream = await client.aio.models.generate_content_stream(model="gemini-2.5-flash", contents=f"A story of {subject}")
    return "".join([chunk.text or "" async for chunk in stream])


async def main() -> None:
    print(await story("a lighthouse"))
    await options.httpx_async_client.aclose()


print(caption("a photo of a lighthouse"))
asyncio.run(main())
print(kit.report(by=("feature", "model")))
client.close()
kit.close()

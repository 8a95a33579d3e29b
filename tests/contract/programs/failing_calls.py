"""How calls of each SDK fail at each of the upstreams that ``*_UPSTREAM`` name: prints the error's class and status."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import anthropic
import openai
from google import genai

MESSAGES = [{"role": "user", "content": "What is 2 + 2?"}]
CHAT = {"model": "gpt-4o", "messages": MESSAGES}


def tried(call):
    try:
        answer = call()
        for _ in answer if hasattr(answer, "__next__") else ():
            pass
    except Exception as error:
        status = getattr(error, "status_code", None) or getattr(error, "code", None)
        return f"{type(error).__name__} {status or ''}".strip()
    return "answered"


def calls(url):
    chats = openai.OpenAI(base_url=f"{url}/v1", max_retries=1, timeout=8).chat.completions
    messages = anthropic.Anthropic(base_url=url, max_retries=1, timeout=8).messages
    gemini = genai.Client(http_options={"base_url": url, "timeout": 8000, "retry_options": {"attempts": 1}})
    return {
        "chat": lambda: chats.create(**CHAT),
        "stream": lambda: chats.create(**CHAT, stream=True),
        "messages": lambda: messages.create(model="claude-sonnet-4-6", max_tokens=9, messages=MESSAGES),
        "gemini": lambda: gemini.models.generate_content(model="gemini-2.5-pro", contents="2 + 2?"),
    }


upstreams = {name: calls(url) for name, url in os.environ.items() if name.endswith("_UPSTREAM")}
with ThreadPoolExecutor(50) as pool:  # all at once: some take as long as they may
    told = {name: {call: pool.submit(tried, ask) for call, ask in asks.items()} for name, asks in upstreams.items()}
print(json.dumps({name: {call: ended.result() for call, ended in ends.items()} for name, ends in told.items()}))

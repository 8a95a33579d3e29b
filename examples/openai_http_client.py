"""The fully public way in: an HTTP client of the SDK, attached and handed over. Fits any server that speaks its API.

Environment: OPENAI_API_KEY (and OPENAI_BASE_URL for a compatible server).
"""

from openai import DefaultHttpxClient, OpenAI

from ctxkit import Kit

kit = Kit()
# A server of one's own cannot be known by its host: name who serves it.
client = OpenAI(http_client=kit.attach(DefaultHttpxClient(timeout=60), platform="vllm"))
response = client.chat.completions.create(
    model="meta-llama/Llama-3.1-8B-Instruct", messages=[{"role": "user", "content": "Say hello."}]
)
print(response.choices[0].message.content)
print(kit.report(by=("platform", "model")))
client.close()
kit.close()

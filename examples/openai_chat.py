"""OpenAI, sync and streamed, in two features of an application; then what each has cost.

Environment: OPENAI_API_KEY (and OPENAI_BASE_URL for a compatible server).
"""

from openai import OpenAI

import ctxkit
from ctxkit import feature

client = ctxkit.wrap(OpenAI())  # the same object


@feature("support-chat", team="care")
def answer(question: str) -> str:
    response = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": question}],
    )
    return response.choices[0].message.content or ""


def summary(text: str) -> None:
    with (
        feature("summary"),
        client.responses.stream(model="gpt-4o-mini", input=f"Summarise: {text}") as stream,
    ):
        for event in stream:
            if event.type == "response.output_text.delta":
                print(event.delta, end="", flush=True)
    print()


print(answer("How do I reset my password?"))
summary("ctxkit meters what an application sends to model APIs.")
print(ctxkit.default_kit().report(by=("feature", "model")))

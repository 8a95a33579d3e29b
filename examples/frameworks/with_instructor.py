"""instructor: a wrapped client, patched. What it asks again is metered too, in the same thread.

Environment: OPENAI_API_KEY (and OPENAI_BASE_URL for a compatible server).
"""

import instructor
from openai import OpenAI
from pydantic import BaseModel

import ctxkit
from ctxkit import feature


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


client = instructor.from_openai(ctxkit.wrap(OpenAI()))

with feature("extraction"):
    ask = [{"role": "user", "content": "Ann is forty-one."}]
    person = client.chat.completions.create(model="gpt-4o-mini", response_model=Person, messages=ask, max_retries=2)
print(person)
print(ctxkit.default_kit().report(by=("feature", "model")))

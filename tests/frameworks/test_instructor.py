"""instructor: what it patches is a wrapped client; from_provider takes an HTTP client or HTTP options."""

from __future__ import annotations

import warnings

import pytest

from ctxkit import feature
from ctxkit.testing import Behaviour, ToolCall, capture
from tests.frameworks.shared import TOKENS, asked, metered, retried

pytest.importorskip("instructor", reason="instructor is not installed")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import anthropic
    import instructor
    import openai
    from google import genai
    from instructor.core.exceptions import InstructorRetryException
from pydantic import BaseModel, field_validator

pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
ASK = [{"role": "user", "content": "2 + 2?"}]


class Sum(BaseModel):
    """A sum."""

    value: int

    @field_validator("value")
    @classmethod
    def is_right(cls, value: int) -> int:
        if value != 4:
            raise ValueError("count again")
        return value


def says(*values):
    """The model calls the tool that instructor makes of the type, with one value after the other."""
    left = list(values)

    def answer(request):
        if request.method != "POST":
            return None
        value = left.pop(0) if len(left) > 1 else left[0]
        return Behaviour(text="", calls=(ToolCall("Sum", {"value": value}),), tokens=TOKENS, piece=3)

    return answer


def chat(provider, kit):
    client = kit.wrap(openai.OpenAI(base_url=provider.openai_url, api_key="none"), platform="openai")
    return instructor.from_openai(client, model="gpt-4o")


def responses(provider, kit):
    client = kit.wrap(openai.OpenAI(base_url=provider.openai_url, api_key="none"), platform="openai")
    return instructor.from_openai(client, model="gpt-4o", mode=instructor.Mode.RESPONSES_TOOLS)


def named(provider, kit):
    http_client = kit.attach(openai.DefaultHttpxClient(), platform="openai")
    return instructor.from_provider(
        "openai/gpt-4o", base_url=provider.openai_url, api_key="none", http_client=http_client
    )


def claude(provider, kit):
    client = kit.wrap(anthropic.Anthropic(base_url=provider.anthropic_url, api_key="none"))
    return instructor.from_anthropic(client, model="claude-sonnet-4-5", max_tokens=200)


def gemini(provider, kit):
    client = genai.Client(api_key="none", http_options=kit.google_http_options(base_url=provider.gemini_url))
    return instructor.from_genai(client, model="gemini-2.5-flash")


def gemini_named(provider, kit):
    options = kit.google_http_options(base_url=provider.gemini_url)
    return instructor.from_provider("google/gemini-2.5-flash", api_key="none", http_options=options)


CLIENTS = pytest.mark.parametrize(
    "client", [chat, responses, named, claude, gemini, gemini_named], ids=lambda client: client.__name__
)


@CLIENTS
def test_sync(client, provider, kit, records):
    provider._answer = says(4)
    with feature("sums", team="maths"):
        assert client(provider, kit).create(response_model=Sum, messages=ASK).value == 4
    metered(provider, kit, records, feature="sums")
    assert records[0].labels == {"team": "maths"}


@CLIENTS
def test_what_is_asked_again_is_metered_in_the_same_thread(client, provider, kit, records):
    provider._answer = says(5, 3, 4)
    with feature("sums"):
        assert client(provider, kit).create(response_model=Sum, messages=ASK, max_retries=3).value == 4
    assert len(asked(provider)) == 3
    metered(provider, kit, records, feature="sums", threads=1)


@CLIENTS
@pytest.mark.parametrize("mode", ["cache", "lossless", "prune"])
def test_it_works_with_what_is_tidied(client, mode, provider, made):
    provider._answer = says(5, 4)
    kit = made(mode)
    with capture(kit) as records:
        found = client(provider, kit).create(response_model=Sum, messages=[*ASK, *ASK], max_retries=2)
    assert found.value == 4
    metered(provider, kit, records, feature=None)


async def test_async(provider, kit, records):
    provider._answer = says(5, 4)
    client = instructor.from_openai(
        kit.wrap(openai.AsyncOpenAI(base_url=provider.openai_url, api_key="none")), model="gpt-4o"
    )
    with feature("sums"):
        assert (await client.create(response_model=Sum, messages=ASK, max_retries=2)).value == 4
    metered(provider, kit, records, feature="sums")


async def test_async_claude(provider, kit, records):
    provider._answer = says(5, 4)
    client = instructor.from_anthropic(
        kit.wrap(anthropic.AsyncAnthropic(base_url=provider.anthropic_url, api_key="none")),
        model="claude-sonnet-4-5",
        max_tokens=200,
    )
    assert (await client.create(response_model=Sum, messages=ASK, max_retries=2)).value == 4
    metered(provider, kit, records, feature=None)


@pytest.mark.parametrize("client", [chat, claude], ids=["chat", "claude"])
def test_streamed_parts_settle_with_usage(client, provider, made):
    provider._answer = says(4)
    kit = made(usage_probe=True)
    with capture(kit) as records, feature("sums"):
        parts = list(client(provider, kit).create_partial(response_model=Sum, messages=ASK))
    assert parts[-1].value == 4
    metered(provider, kit, records, feature="sums")
    assert records[0].stream


@pytest.mark.parametrize("client", [chat, named, claude], ids=lambda client: client.__name__)
def test_retries_of_the_sdk_are_attempts(client, provider, kit, records):
    provider._answer = None
    provider.behave(text="", calls=(ToolCall("Sum", {"value": 4}),), tokens=TOKENS, failures=2, retry_after=0.01)
    assert client(provider, kit).create(response_model=Sum, messages=ASK).value == 4
    retried(records)


@pytest.mark.parametrize("client", [chat, claude, gemini], ids=lambda client: client.__name__)
def test_an_error_of_the_provider_is_the_framework_s_own(client, provider, kit, records):
    provider._answer = None
    provider.behave(status=400, message="No such thing.")
    with pytest.raises(InstructorRetryException, match="No such thing"):
        client(provider, kit).create(response_model=Sum, messages=ASK, max_retries=1)
    assert {(record.status, record.http_status) for record in records} == {("failed", 400)}
    assert len(records) == len(asked(provider))


def test_giving_up_is_the_framework_s_own_too(provider, kit, records):
    provider._answer = says(5)
    with pytest.raises(InstructorRetryException, match="count again"):
        chat(provider, kit).create(response_model=Sum, messages=ASK, max_retries=2)
    metered(provider, kit, records, feature=None, threads=1)


@pytest.mark.filterwarnings("ignore:Item 'summary':UserWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # its clients
def test_litellm_counts_once(provider, kit, records, monkeypatch):
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    litellm = pytest.importorskip("litellm", reason="LiteLLM is not installed")
    pytest.importorskip("mcp", reason="LiteLLM asks for mcp where there are tools")
    provider._answer = says(5, 4)
    client = instructor.from_litellm(kit.wrap(litellm.completion))
    where = {"api_base": provider.openai_url, "api_key": "none"}
    found = client.create(model="openai/gpt-4o", response_model=Sum, messages=ASK, max_retries=2, **where)
    assert found.value == 4
    metered(provider, kit, records, feature=None)

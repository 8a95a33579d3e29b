"""Every kind of answer is one that the OpenAI SDK reads: chat, responses, completions, embeddings."""

from __future__ import annotations

from typing import Any

import pytest

from ctxkit.testing import FakeProvider, Tokens, ToolCall

TEXT = "One\u2028two, naïve café 漢字 \U0001f600."
TOKENS = Tokens(input=2_000, output=70, read=1_024, written=128, reasoning=20)
ASK = [{"role": "user", "content": "What is 2 + 2?"}]
CALL = ToolCall("add", {"a": 2, "b": "two words"})


@pytest.fixture(autouse=True)
def told(provider: FakeProvider) -> None:
    provider.behave(text=TEXT, tokens=TOKENS)


def test_chat(openai_client: Any, provider: FakeProvider) -> None:
    answer = openai_client.chat.completions.create(model="gpt-5", messages=ASK)
    assert answer.choices[0].message.content == TEXT
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (2_000, 70)
    assert answer.usage.prompt_tokens_details.cached_tokens == 1_024
    assert answer.usage.completion_tokens_details.reasoning_tokens == 20
    assert provider.requests[0].json == {"model": "gpt-5", "messages": ASK}
    assert provider.requests[0].path == "/v1/chat/completions"


def test_chat_stream_carries_no_usage_unasked(openai_client: Any) -> None:
    chunks = list(openai_client.chat.completions.create(model="gpt-5", messages=ASK, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
    assert all(chunk.usage is None for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_chat_stream_ends_with_usage_when_asked(openai_client: Any) -> None:
    options = {"include_usage": True}
    chunks = list(
        openai_client.chat.completions.create(model="gpt-5", messages=ASK, stream=True, stream_options=options)
    )
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == 2_070
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_chat_tool_calls(openai_client: Any, provider: FakeProvider) -> None:
    provider.behave(text="", calls=(CALL, CALL))
    message = openai_client.chat.completions.create(model="gpt-5", messages=ASK).choices[0].message
    assert message.content is None
    assert [call.function.name for call in message.tool_calls] == ["add", "add"]
    with openai_client.chat.completions.stream(model="gpt-5", messages=ASK) as stream:
        streamed = stream.get_final_completion().choices[0].message
    assert [call.function.arguments for call in streamed.tool_calls] == [
        call.function.arguments for call in message.tool_calls
    ]


@pytest.mark.parametrize("streamed", [False, True])
def test_responses(openai_client: Any, provider: FakeProvider, streamed: bool) -> None:
    provider.behave(reasoning="Let me see.", calls=(CALL,))
    if streamed:
        with openai_client.responses.stream(model="gpt-5", input="Hi") as stream:
            numbers = [event.sequence_number for event in stream]
            answer = stream.get_final_response()
        assert numbers == list(range(len(numbers)))
    else:
        answer = openai_client.responses.create(model="gpt-5", input="Hi")
    assert answer.output_text == TEXT
    assert [item.type for item in answer.output] == ["reasoning", "message", "function_call"]
    assert (answer.usage.input_tokens, answer.usage.input_tokens_details.cached_tokens) == (2_000, 1_024)
    assert (answer.usage.output_tokens, answer.usage.total_tokens) == (70, 2_070)


@pytest.mark.parametrize("streamed", [False, True])
def test_completions(openai_client: Any, streamed: bool) -> None:
    if streamed:
        chunks = list(openai_client.completions.create(model="babbage", prompt="Once", stream=True))
        assert "".join(chunk.choices[0].text for chunk in chunks) == TEXT
    else:
        answer = openai_client.completions.create(model="babbage", prompt="Once")
        assert (answer.choices[0].text, answer.usage.total_tokens) == (TEXT, 2_070)


def test_embeddings(openai_client: Any) -> None:
    answer = openai_client.embeddings.create(model="embed-3", input=["one", "two"])
    assert [item.embedding for item in answer.data] == [[0.25, -0.5, 0.125]] * 2
    assert answer.usage.prompt_tokens == 2_000
    floats = openai_client.embeddings.create(model="embed-3", input=[1, 2, 3], encoding_format="float")
    assert [item.embedding for item in floats.data] == [[0.25, -0.5, 0.125]]


def test_models_and_input_tokens(openai_client: Any) -> None:
    assert [model.id for model in openai_client.models.list()] == ["fake-1"]
    assert openai_client.responses.input_tokens.count(model="gpt-5", input="Hi").input_tokens == 2_000


def test_azure_names_the_deployment(provider: FakeProvider) -> None:
    openai = pytest.importorskip("openai")
    with openai.AzureOpenAI(azure_endpoint=provider.azure_url, api_key="none", api_version="2024-10-21") as client:
        answer = client.chat.completions.create(model="my-deployment", messages=ASK)
    assert answer.model == "my-deployment"
    assert provider.requests[0].path == "/openai/deployments/my-deployment/chat/completions"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 429, 500, 503, 529])
def test_errors(openai_client: Any, provider: FakeProvider, status: int) -> None:
    openai = pytest.importorskip("openai")
    provider.behave(status=status, message="No.", retry_after=2)
    with pytest.raises(openai.APIStatusError) as caught:
        openai_client.chat.completions.create(model="gpt-5", messages=ASK)
    assert caught.value.status_code == status
    assert caught.value.body["message"] == "No."
    assert caught.value.response.headers["retry-after"] == "2"


async def test_async(provider: FakeProvider) -> None:
    openai = pytest.importorskip("openai")
    async with openai.AsyncOpenAI(base_url=provider.openai_url, api_key="none") as client:
        stream = await client.chat.completions.create(model="gpt-5", messages=ASK, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert text == TEXT

"""Every kind of answer is one that google-genai reads."""

from __future__ import annotations

from typing import Any

import pytest

from ctxkit.testing import FakeProvider, Tokens, ToolCall

TEXT = "One\u2028two, naïve café 漢字 \U0001f600."
TOKENS = Tokens(input=2_000, output=70, read=1_024, reasoning=20)


@pytest.fixture(autouse=True)
def told(provider: FakeProvider) -> None:
    provider.behave(text=TEXT, tokens=TOKENS, reasoning="Let me see.")


def test_generate(gemini_client: Any, provider: FakeProvider) -> None:
    answer = gemini_client.models.generate_content(model="gemini-2.5-pro", contents="Hi")
    assert answer.text == TEXT
    usage = answer.usage_metadata
    assert (usage.prompt_token_count, usage.cached_content_token_count) == (2_000, 1_024)
    assert (usage.candidates_token_count, usage.thoughts_token_count, usage.total_token_count) == (50, 20, 2_070)
    assert provider.requests[0].path.endswith("/models/gemini-2.5-pro:generateContent")


def test_stream_repeats_usage_and_ends_with_it(gemini_client: Any, provider: FakeProvider) -> None:
    genai = pytest.importorskip("google.genai")
    text = TEXT if int(genai.__version__.split(".")[0]) >= 3 else TEXT.replace("\u2028", " ")  # 1.x breaks there
    provider.behave(text=text)
    chunks = list(gemini_client.models.generate_content_stream(model="gemini-2.5-pro", contents="Hi"))
    assert "".join(chunk.text or "" for chunk in chunks) == text
    assert {chunk.usage_metadata.total_token_count for chunk in chunks[:-1]} == {2_000}
    assert chunks[-1].usage_metadata.total_token_count == 2_070
    assert provider.requests[0].query == "alt=sse"


def test_function_calls(gemini_client: Any, provider: FakeProvider) -> None:
    provider.behave(text="", calls=(ToolCall("add", {"a": 2}),))
    answer = gemini_client.models.generate_content(model="gemini-2.5-pro", contents="Hi")
    assert [(call.name, call.args) for call in answer.function_calls] == [("add", {"a": 2})]


def test_embeddings_and_counting(gemini_client: Any) -> None:
    assert gemini_client.models.embed_content(model="embed", contents="Hi").embeddings[0].values == [0.25, -0.5, 0.125]
    assert gemini_client.models.count_tokens(model="gemini-2.5-pro", contents="Hi").total_tokens == 2_000


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 429, 500, 503])
def test_errors(gemini_client: Any, provider: FakeProvider, status: int) -> None:
    errors = pytest.importorskip("google.genai.errors")
    provider.behave(status=status, message="No.", retry_after=2)
    with pytest.raises(errors.APIError) as caught:
        gemini_client.models.generate_content(model="gemini-2.5-pro", contents="Hi")
    assert (caught.value.code, caught.value.message) == (status, "No.")
    assert caught.value.details["error"]["details"][0]["retryDelay"] == "2s"

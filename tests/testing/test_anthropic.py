"""Every kind of answer is one that the Anthropic SDK reads."""

from __future__ import annotations

from typing import Any

import pytest

from ctxkit.testing import FakeProvider, Tokens, ToolCall

TEXT = "One\u2028two, naïve café 漢字 \U0001f600."
TOKENS = Tokens(input=2_000, output=70, read=1_024, written=128, reasoning=20)
ASK: dict[str, Any] = {"model": "claude", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture(autouse=True)
def told(provider: FakeProvider) -> None:
    calls = (ToolCall("add", {"a": 2, "b": "two words"}), ToolCall("ping"))
    provider.behave(text=TEXT, tokens=TOKENS, reasoning="Let me see.", calls=calls)


@pytest.mark.parametrize("how", ["create", "stream", "beta", "helper"])
def test_message(anthropic_client: Any, how: str) -> None:
    message = _message(anthropic_client, how)
    thought, text, add, ping = message.content
    assert (thought.thinking, text.text) == ("Let me see.", TEXT)
    assert (add.name, add.input, ping.input) == ("add", {"a": 2, "b": "two words"}, {})
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (848, 1_024, 128)
    assert usage.cache_creation.ephemeral_5m_input_tokens == 128
    assert usage.output_tokens == 70
    assert message.stop_reason == "tool_use"


def _message(client: Any, how: str) -> Any:
    if how == "create":
        return client.messages.create(**ASK)
    if how == "beta":
        return client.beta.messages.create(**ASK)
    with client.messages.stream(**ASK) as stream:
        if how == "helper":
            assert "".join(stream.text_stream) == TEXT
        return stream.get_final_message()


def test_stream_tells_usage_in_two_pieces(anthropic_client: Any) -> None:
    events = list(anthropic_client.messages.create(**ASK, stream=True))
    start, delta = events[0], events[-2]
    assert (start.message.usage.input_tokens, start.message.usage.output_tokens) == (848, 1)
    assert (delta.type, delta.usage.output_tokens) == ("message_delta", 70)
    assert events[-1].type == "message_stop"


def test_counting(anthropic_client: Any) -> None:
    asked = {name: ASK[name] for name in ("model", "messages")}
    assert anthropic_client.messages.count_tokens(**asked).input_tokens == 2_000


def test_vertex(provider: FakeProvider) -> None:
    anthropic = pytest.importorskip("anthropic")
    pytest.importorskip("google.auth")
    with anthropic.AnthropicVertex(
        base_url=provider.base_url + "/v1", region="us-east5", project_id="p", access_token="none"
    ) as client:
        assert client.messages.create(**ASK).model == "claude"
        assert list(client.messages.create(**ASK, stream=True))[-1].type == "message_stop"


def test_bedrock(provider: FakeProvider) -> None:
    anthropic = pytest.importorskip("anthropic")
    pytest.importorskip("boto3")
    with anthropic.AnthropicBedrock(
        base_url=provider.base_url, aws_region="us-east-1", aws_access_key="none", aws_secret_key="none"
    ) as client:
        asked = {**ASK, "model": "anthropic.claude-v1:0"}
        assert client.messages.create(**asked).content[1].text == TEXT
        assert list(client.messages.create(**asked, stream=True))[-1].type == "message_stop"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 429, 500, 503, 529])
def test_errors(anthropic_client: Any, provider: FakeProvider, status: int) -> None:
    anthropic = pytest.importorskip("anthropic")
    provider.behave(status=status, message="No.", retry_after=2)
    with pytest.raises(anthropic.APIStatusError) as caught:
        anthropic_client.messages.create(**ASK)
    assert caught.value.status_code == status
    assert caught.value.body["error"]["message"] == "No."
    assert caught.value.response.headers["retry-after"] == "2"


async def test_async(provider: FakeProvider) -> None:
    anthropic = pytest.importorskip("anthropic")
    async with anthropic.AsyncAnthropic(base_url=provider.anthropic_url, api_key="none") as client:
        async with client.messages.stream(**ASK) as stream:
            assert await stream.get_final_text() == TEXT

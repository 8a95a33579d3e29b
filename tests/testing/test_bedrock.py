"""Every kind of answer is one that boto3 reads: Converse, InvokeModel, their binary event streams."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ctxkit.testing import FakeProvider, Tokens, ToolCall

TEXT = "One\u2028two, naïve café 漢字 \U0001f600."
TOKENS = Tokens(input=2_000, output=70, read=1_024, written=128)
ASK = [{"role": "user", "content": [{"text": "Hi"}]}]
USAGE = {
    "inputTokens": 848,
    "outputTokens": 70,
    "totalTokens": 2_070,
    "cacheReadInputTokens": 1_024,
    "cacheWriteInputTokens": 128,
}
CLAUDE = "us.anthropic.claude-sonnet-4-6:0"


@pytest.fixture(autouse=True)
def told(provider: FakeProvider) -> None:
    provider.behave(text=TEXT, tokens=TOKENS, calls=(ToolCall("add", {"a": 2}),))


def test_converse(bedrock_client: Any, provider: FakeProvider) -> None:
    provider.behave(reasoning="Let me see.")
    answer = bedrock_client.converse(modelId=CLAUDE, messages=ASK)
    thought, text, call = answer["output"]["message"]["content"]
    assert thought["reasoningContent"]["reasoningText"]["text"] == "Let me see."
    assert (text["text"], call["toolUse"]["input"]) == (TEXT, {"a": 2})
    assert answer["usage"] == USAGE
    assert provider.requests[0].path == "/model/us.anthropic.claude-sonnet-4-6%3A0/converse"


def test_converse_stream(bedrock_client: Any) -> None:
    events = list(bedrock_client.converse_stream(modelId=CLAUDE, messages=ASK)["stream"])
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    assert "".join(delta.get("text", "") for delta in deltas) == TEXT
    assert "".join(delta["toolUse"]["input"] for delta in deltas if "toolUse" in delta) == '{"a":2}'
    assert events[-1]["metadata"]["usage"] == USAGE
    assert "messageStop" in events[-2]


@pytest.mark.parametrize("model", [CLAUDE, "amazon.nova-pro-v1:0", "meta.llama3-8b", "amazon.titan-text"])
def test_invoke(bedrock_client: Any, model: str) -> None:
    answer = bedrock_client.invoke_model(modelId=model, body=json.dumps({"inputText": "Hi"}))
    body = answer["body"].read().decode()
    assert TEXT in json.dumps(json.loads(body), ensure_ascii=False)
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amzn-bedrock-input-token-count"] == "848"
    assert headers["x-amzn-bedrock-output-token-count"] == "70"


@pytest.mark.parametrize("model", [CLAUDE, "amazon.nova-pro-v1:0", "meta.llama3-8b", "amazon.titan-text"])
def test_invoke_stream(bedrock_client: Any, model: str) -> None:
    answer = bedrock_client.invoke_model_with_response_stream(modelId=model, body="{}")
    events = [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]
    metrics = events[-1]["amazon-bedrock-invocationMetrics"]
    assert (metrics["inputTokenCount"], metrics["outputTokenCount"]) == (848, 70)
    assert (metrics["cacheReadInputTokenCount"], metrics["cacheWriteInputTokenCount"]) == (1_024, 128)
    assert "amazon-bedrock-invocationMetrics" not in events[0]


def test_titan_embeddings(bedrock_client: Any) -> None:
    answer = bedrock_client.invoke_model(modelId="amazon.titan-embed-text-v2:0", body='{"inputText": "Hi"}')
    assert json.loads(answer["body"].read()) == {"embedding": [0.25, -0.5, 0.125], "inputTextTokenCount": 2_000}


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "ValidationException"),
        (401, "UnrecognizedClientException"),
        (403, "AccessDeniedException"),
        (404, "ResourceNotFoundException"),
        (429, "ThrottlingException"),
        (500, "InternalServerException"),
        (503, "ServiceUnavailableException"),
    ],
)
def test_errors(bedrock_client: Any, provider: FakeProvider, status: int, name: str) -> None:
    errors = pytest.importorskip("botocore.exceptions")
    provider.behave(status=status, message="No.")
    with pytest.raises(errors.ClientError) as caught:
        bedrock_client.converse(modelId=CLAUDE, messages=ASK)
    assert caught.value.response["Error"] == {"Message": "No.", "Code": name}
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status

from __future__ import annotations

import pytest

from ctxkit import dialects
from ctxkit.dialects.routing import Route, route, unmetered_kind

ARN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0"
VERTEX = "/v1/projects/p/locations/europe-west1/publishers"


@pytest.mark.parametrize(
    ("path", "host", "expected"),
    [
        ("/v1/chat/completions", "api.openai.com", Route("openai.chat", "openai")),
        ("/api/v1/chat/completions?x=1", "openrouter.ai", Route("openai.chat", "openrouter")),
        ("chat/completions", "", Route("openai.chat", "unknown")),
        ("/openai/deployments/my%20gpt/chat/completions?api-version=1", "a.openai.azure.com", Route("openai.chat", "azure", "my gpt")),
        ("/openai/deployments/d/embeddings", "proxy", Route("openai.embeddings", "azure", "d")),
        ("/v1/responses", "api.openai.com", Route("openai.responses", "openai")),
        ("/v1/responses/compact", "api.openai.com", Route("openai.responses", "openai")),
        ("/v1/messages", "api.anthropic.com", Route("anthropic.messages", "anthropic")),
        ("/anthropic/v1/messages?beta=true", "x.services.ai.azure.com", Route("anthropic.messages", "azure")),
        (VERTEX + "/anthropic/models/claude-x@1:rawPredict", "europe-west1-aiplatform.googleapis.com",
         Route("anthropic.messages", "vertex", "claude-x@1", None, "europe-west1")),
        (VERTEX + "/anthropic/models/claude-x:streamRawPredict", "", Route("anthropic.messages", "vertex", "claude-x", True, "europe-west1")),
        (VERTEX + "/google/models/gemini-3:streamGenerateContent?alt=sse", "aiplatform.googleapis.com",
         Route("gemini.generate", "vertex", "gemini-3", True, "europe-west1")),
        ("/v1beta/models/gemini-3:generateContent", "generativelanguage.googleapis.com", Route("gemini.generate", "google", "gemini-3", False)),
        ("/model/us.amazon.nova-pro-v1%3A0/converse", "bedrock-runtime.us-west-2.amazonaws.com",
         Route("bedrock.converse", "bedrock", "us.amazon.nova-pro-v1:0", False, "us-west-2")),
        ("/model/" + ARN.replace(":", "%3A").replace("/", "%2F") + "/converse-stream", "proxy", Route("bedrock.converse", "bedrock", ARN, True, "us-east-1")),
        ("/model/" + ARN + "/invoke", "proxy", Route("bedrock.invoke", "bedrock", ARN, False, "us-east-1")),
        ("/model/m/invoke-with-response-stream", "proxy", Route("bedrock.invoke", "bedrock", "m", True)),
        ("/v1/embeddings/", "api.voyageai.com", Route("openai.embeddings", "voyage")),
        ("/v1/completions", "localhost:8000", Route("openai.completions", "unknown")),
    ],
)  # fmt: skip
def test_paths_that_are_understood(path, host, expected):
    assert route(path, host) == expected
    assert dialects.get(expected.dialect) is None or unmetered_kind(path, host) is None


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models", "/v1/files", "/v1/messages/count_tokens", "/v1/responses/input_tokens", "/v1/chat/completions/chatcmpl-1",
        "/v1/responses/resp_1/cancel", "/v1beta/models/g:countTokens", VERTEX + "/anthropic/models/count-tokens:rawPredict/x",
        "/v1/threads/t/messages", "/v1beta/cachedContents", "/v1/moderations", "", "/", "/v1/xchat/completionsx",
    ],
)  # fmt: skip
def test_housekeeping_is_neither(path):
    assert route(path) is None
    assert unmetered_kind(path) is None


def test_vertex_token_counts_are_no_model_calls():
    assert route(VERTEX + "/anthropic/models/count-tokens:rawPredict") is None
    assert unmetered_kind(VERTEX + "/anthropic/models/count-tokens:rawPredict") is None


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/images/generations", "images"), ("/v1/audio/speech", "audio"), ("/v2/rerank", "rerank"), ("/v2/chat", "cohere chat"),
        ("/v1beta/interactions", "interactions"), ("/v1/batches", "batches"), ("/v1/messages/batches", "batches"),
        ("/api/chat", "ollama chat"), ("/api/embed", "embeddings"), ("/api/embeddings", "embeddings"), ("/v2/embed", "embeddings"),
        ("/v1beta/models/e:embedContent", "embeddings"), ("/v1/prompts/p-1/completions", "gateway completions"),
        ("/agents/A/agentAliases/B/sessions/s/text", "agents"), (VERTEX + "/mistralai/models/m:rawPredict", "predict"),
    ],
)  # fmt: skip
def test_model_calls_that_are_not_read_are_named(path, kind):
    assert route(path) is None
    assert unmetered_kind(path) == kind


def test_only_posts_are_model_calls():
    assert route("/v1/chat/completions", method="GET") is None
    assert route("/v1/chat/completions", method="post") is not None


@pytest.mark.parametrize("name", dialects.EDITABLE + dialects.METER_ONLY)
def test_every_dialect_is_what_it_says(name):
    found = dialects.get(name)
    assert (found.name, found.editable) == (name, name in dialects.EDITABLE)
    assert dialects.get(name) is found


def test_there_is_no_other_dialect():
    assert dialects.get("openai.wire") is None
    assert dialects.get("") is None

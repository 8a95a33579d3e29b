from __future__ import annotations

import pytest

from ctxkit.dialects.platforms import PLATFORMS, UNKNOWN, platform_named, platform_of


@pytest.mark.parametrize(
    ("host", "name", "region"),
    [
        ("api.openai.com", "openai", None),
        ("API.OpenAI.com:443", "openai", None),
        ("eu.api.openai.com", "openai", "eu"),
        ("mine.openai.azure.com", "azure", None),
        ("mine.cognitiveservices.azure.com", "azure", None),
        ("mine.services.ai.azure.com", "azure", None),
        ("x.eastus2.models.ai.azure.com", "azure", "eastus2"),
        ("openrouter.ai", "openrouter", None),
        ("api.deepseek.com", "deepseek", None),
        ("us-east-1.api.x.ai", "xai", "us-east-1"),
        ("api.groq.com", "groq", None),
        ("api.mistral.ai", "mistral", None),
        ("api.moonshot.cn", "moonshot", None),
        ("dashscope-intl.aliyuncs.com", "qwen", None),
        ("open.bigmodel.cn", "zai", None),
        ("api.anthropic.com", "anthropic", None),
        ("generativelanguage.googleapis.com", "google", None),
        ("europe-west4-aiplatform.googleapis.com", "vertex", "europe-west4"),
        ("aiplatform.googleapis.com", "vertex", None),
        ("bedrock-runtime.us-west-2.amazonaws.com", "bedrock", "us-west-2"),
        ("bedrock-mantle.us-east-1.api.aws", "bedrock", "us-east-1"),
        ("vpce-1-a.bedrock-runtime.eu-west-1.vpce.amazonaws.com", "bedrock", "eu-west-1"),
        ("localhost:11434", "ollama", None),
        ("192.168.0.4:11434", "ollama", None),
    ],
)
def test_a_host_says_who_serves_it(host, name, region):
    found = platform_of(host)
    assert (found.name, found.region) == (name, region)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "localhost:8000",
        "api.openai.com.evil.example",
        "evilapi.openai.com.",
        "notapi.deepseek.com",
        "x.ai",
        "[::1]:80",
    ],
)
def test_a_host_that_only_looks_alike_is_unknown(host):
    assert platform_of(host) is UNKNOWN


def test_names_are_unique_and_found_and_others_get_the_generic_rule():
    names = [platform.name for platform in PLATFORMS]
    assert len(set(names)) == len(names)
    assert all(platform_named(platform.name) is platform for platform in PLATFORMS)
    assert platform_named("my-gateway").rule == UNKNOWN.rule

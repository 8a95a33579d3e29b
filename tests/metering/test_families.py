"""Which family a model belongs to, whoever hosts it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.metering.families import UNKNOWN, bare_name, family_of, group_of, stem_of

NAMES = [
    ("claude-3-haiku-20240307", "claude-3"),
    ("claude-3-5-sonnet-latest", "claude-3.5"),
    ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", "claude-3.5"),
    ("claude-sonnet-4-20250514", "claude-4"),
    ("claude-4-sonnet-20250514", "claude-4"),
    ("claude-opus-4-1-20250805", "claude-4"),
    ("anthropic/claude-haiku-4.5", "claude-4.5"),
    ("eu.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-4.5"),
    ("claude-haiku-4-5@20251001", "claude-4.5"),
    ("claude-opus-4-6", "claude-4.5"),
    ("claude-opus-4-7", "claude-4.7"),
    ("claude-opus-4-8", "claude-4.8"),
    ("claude-sonnet-5", "claude-sonnet-5"),
    ("claude-opus-5", "claude-5"),
    ("claude-fable-5", "claude-5"),
    ("anthropic.claude-v2", "claude-2"),
    ("anthropic.claude-instant-v1", "claude-2"),
    ("models/gemini-1.5-flash-002", "gemini-1.5"),
    ("google/gemini-2.5-flash", "gemini-2"),
    ("gemini-3-pro-preview", "gemini-3"),
    ("gemini-flash-latest", "gemini-3"),
    ("gemini-4-ultra", "gemini-3"),
    ("gemma3:4b", "gemma"),
    ("us.amazon.nova-pro-v1:0", "nova"),
    ("us.amazon.nova-2-lite-v1:0", "nova-2"),
    ("meta-llama/Llama-3.3-70B-Instruct-Turbo", "llama-3"),
    ("us.meta.llama4-maverick-17b-instruct-v1:0", "llama-4"),
    ("meta.llama2-13b-chat-v1", "llama-2"),
    ("deepseek-r1-distill-llama-70b", "llama-3"),
    ("deepseek-ai/DeepSeek-V3.1", "deepseek"),
    ("mistral.mistral-7b-instruct-v0:2", "mistral-old"),
    ("mistral-large-latest", "mistral"),
    ("pixtral-12b", "mistral"),
    ("qwen2.5:72b", "qwen"),
    ("qwen3:latest", "qwen-3"),
    ("grok-4.3", "grok"),
    ("moonshotai/kimi-k2-instruct", "kimi"),
    ("zai.glm-4.7-flash", "glm"),
    ("command-a-03-2025", "cohere"),
    ("openai.gpt-oss-120b-1:0", "gpt-oss"),
    ("prod-claude-haiku-4-5-eu", "claude-4.5"),
    (
        "arn:aws:bedrock:us-west-2:1:inference-profile/us.amazon.nova-lite-v1:0",
        "nova",
    ),
]


@pytest.mark.parametrize(("model", "family"), NAMES)
def test_a_name_finds_its_family(model, family):
    assert family_of(model) == family


def test_a_name_nobody_knows_is_unknown():
    assert family_of("somebody/else-9b") == UNKNOWN
    assert family_of("") == UNKNOWN


def test_a_host_of_one_vendor_tells_the_family():
    assert family_of("internal-name", "deepseek") == "deepseek"
    assert family_of("internal-name", "bedrock") == UNKNOWN


def test_the_name_wins_over_the_host():
    assert family_of("mistral-small3.1", "ollama") == "mistral"
    assert family_of("claude-haiku-4-5", "vertex") == "claude-4.5"


@pytest.mark.parametrize(
    ("model", "stem"),
    [
        ("claude-3-5-haiku-20241022", "claude-3-5-haiku"),
        ("anthropic.claude-3-5-haiku-20241022-v1:0", "claude-3-5-haiku"),
        ("mistral-large-latest", "mistral-large"),
        ("command-a-03-2025", "command-a"),
        ("meta-llama/Llama-3.3-70B-Instruct-Turbo", "llama-3-3-70b"),
        ("qwen3:latest", "qwen3"),
    ],
)
def test_dates_and_release_words_are_no_part_of_a_stem(model, stem):
    assert stem_of(model) == stem


def test_families_of_one_tokenizer_share_a_group():
    assert group_of("claude-3.5") == group_of("claude-4.5") != group_of("claude-5")
    assert group_of("gemini-2") == group_of("gemini-3")
    assert group_of("grok") == "grok"


@given(st.text(max_size=600))
def test_any_name_has_a_family_and_a_stem(name):
    assert family_of(name)
    assert isinstance(stem_of(name), str)
    assert len(bare_name(name)) <= 1000

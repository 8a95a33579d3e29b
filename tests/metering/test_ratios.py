"""How families count beside one another, where no text is known."""

import pytest

from ctxkit.metering.ratios import ratio

HAIKU = ("anthropic", "claude-haiku-4-5")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (HAIKU, HAIKU),
        (HAIKU, ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0")),
        (("openai", "gpt-5"), ("azure", "gpt-5")),
        (("unknown", "x-1"), ("unknown", "x-1")),
    ],
)
def test_one_family_counts_alike(one, other):
    assert ratio(*one, *other) == 1.0


def test_there_and_back_is_one():
    there = ratio("openai", "gpt-5", "anthropic", "claude-opus-4-8")
    assert 1.0 < there < 1.6
    assert there * ratio("anthropic", "claude-opus-4-8", "openai", "gpt-5") == pytest.approx(1.0)


@pytest.mark.parametrize("other", [("unknown", "x-1"), ("deepseek", "deepseek-v4-pro")])
def test_what_was_never_measured_well_is_not_known(other):
    assert ratio("openai", "gpt-5", *other) is None
    assert ratio(*other, "openai", "gpt-5") is None

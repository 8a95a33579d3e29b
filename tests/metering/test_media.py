"""Images, documents and sound of families other than OpenAI's."""

from __future__ import annotations

import base64
import struct

import pytest

from ctxkit.dialects.anthropic import messages as anthropic_messages
from ctxkit.dialects.bedrock import converse as bedrock_converse
from ctxkit.dialects.gemini import generate as gemini_generate
from ctxkit.dialects.openai import chat as openai_chat
from ctxkit.metering.media import media_tokens


def png(width, height):
    return b"\x89PNG\r\n\x1a\n" + b"\x00\x00\x00\rIHDR" + struct.pack(">II", width, height) + b"\x08\x02\x00\x00\x00"


DATA = base64.b64encode(png(1000, 1000)).decode()
USER = {"role": "user"}


def only(view, body):
    parts = [part for part in view.view(body).parts if part.kind in ("image", "document", "audio", "video")]
    assert len(parts) == 1
    return parts[0]


def claude(block):
    return only(anthropic_messages, {"messages": [{**USER, "content": [block]}]})


SQUARE = [
    claude({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}}),
    only(
        bedrock_converse,
        {"messages": [{**USER, "content": [{"image": {"format": "png", "source": {"bytes": png(1000, 1000)}}}]}]},
    ),
    only(
        openai_chat,
        {
            "messages": [
                {**USER, "content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DATA}"}}]}
            ]
        },
    ),
]


@pytest.mark.parametrize("part", SQUARE, ids=["anthropic", "converse", "chat"])
def test_the_size_is_found_in_every_wire_format(part):
    assert media_tokens(part, "claude-4.5") == (1296, 0)  # Anthropic, vision


def test_gemini_counts_tiles():
    body = {"contents": [{**USER, "parts": [{"inlineData": {"mimeType": "image/png", "data": DATA}}]}]}
    part = only(gemini_generate, body)
    assert media_tokens(part, "gemini-2") == (4 * 258, 0)
    assert media_tokens(part, "gemini-3") == (1120, 0)


def test_an_address_says_nothing_of_the_size():
    part = claude({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}})
    expected, slack = media_tokens(part, "claude-4.5")
    assert slack >= expected / 2 > 0


def test_a_family_without_a_rule_has_slack():
    assert media_tokens(SQUARE[2], "qwen")[1] >= 1000


def test_longer_documents_and_sounds_count_more():
    def document(length):
        source = {"type": "base64", "media_type": "application/pdf", "data": "A" * length}
        return media_tokens(claude({"type": "document", "source": source}), "claude-4.5")[0]

    assert document(10_000) == document(50_000) < document(500_000) < document(5_000_000)


@pytest.mark.parametrize(
    "block", [{"type": "image"}, {"type": "image", "source": 7}, {"type": "document", "source": {}}]
)
def test_a_medium_without_data_is_counted_with_slack(block):
    expected, slack = media_tokens(claude(block), "claude-4.5")
    assert expected > 0
    assert slack > 0

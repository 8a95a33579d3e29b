"""Tokens of images: documented rules with the providers' own examples, sizes from headers, hostile headers."""

import base64
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.metering.images import (
    ImageTokens,
    anthropic_tokens,
    data_url_size,
    estimate,
    gemini_tokens,
    image_size,
    openai_tokens,
)


def png(width, height):
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head)) + b"rest"


def gif(width, height):
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\xf7\x00\x00"


def jpeg(width, height, *, before=b"", marker=0xC0):
    frame = struct.pack(">BBHBHHB", 0xFF, marker, 17, 8, height, width, 3)
    return b"\xff\xd8" + b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00" + before + frame + b"\x00" * 9


def webp(kind, width, height):
    bodies = {
        b"VP8X": b"\x0a\x00\x00\x00"
        + b"\x00" * 4
        + (width - 1).to_bytes(3, "little")
        + (height - 1).to_bytes(3, "little"),
        b"VP8L": b"\x0a\x00\x00\x00\x2f" + ((width - 1) | (height - 1) << 14).to_bytes(4, "little") + b"\x00" * 5,
        b"VP8 ": b"\x0a\x00\x00\x00" + b"\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", width, height),
    }
    return b"RIFF\x00\x00\x00\x00WEBP" + kind + bodies[kind]


MAKERS = [
    png,
    gif,
    jpeg,
    lambda w, h: jpeg(w, h, marker=0xC2),  # progressive
    lambda w, h: jpeg(w, h, before=b"\xff\xe1" + struct.pack(">H", 60_000) + b"\xff\xc0" * 29_999),  # a preview inside
    lambda w, h: jpeg(w, h, before=b"\xff\xff\xc4\x00\x06\x00\x00\x00\x00"),  # a fill byte, a table before the frame
    lambda w, h: webp(b"VP8X", w, h),
    lambda w, h: webp(b"VP8L", w, h),
    lambda w, h: webp(b"VP8 ", w, h),
]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("size", [(1, 1), (640, 480), (1920, 1080), (12_000, 9_000)])
def test_size_from_the_first_bytes(make, size):
    data = make(*size)
    assert image_size(data) == size
    assert data_url_size(data) == size
    text = base64.b64encode(data).decode()
    assert data_url_size(text) == size
    assert data_url_size(f"data:image/png;base64,{text}") == size
    assert data_url_size(f"data:image/svg+xml;charset=utf-8;base64,{text}") == size


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        png(0, 5),
        png(5, 1 << 31),
        b"\xff\xd8" + b"\xff\xe0\x00\x00" * 50_000,
        b"\xff\xd8\xff\xc0",
        b"GIF89a\x01",
        b"RIFF\x00\x00\x00\x00WEBPVP8 ",
        b"RIFF\x00\x00\x00\x00WEBPXXXX" + b"\x00" * 40,
        b"%PDF-1.7",
    ],
)
def test_damaged_and_foreign_headers_have_no_size(data):
    assert image_size(data) is None


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF0000WEBPVP8X", b"GIF89a"]),
)
def test_any_bytes_are_answered(data, start):
    size = image_size(start + data)
    assert size is None or min(size) > 0


@given(st.text(max_size=100))
def test_any_text_is_answered(text):
    assert data_url_size(text) is None or min(data_url_size(text)) > 0


def test_only_the_head_of_a_large_image_is_decoded():
    huge = base64.b64encode(png(300, 200)).decode().rstrip("=") + "A" * 50_000_000
    assert data_url_size(huge) == (300, 200)


# provider-documented examples: platform.claude.com vision (2026-08-22)
@pytest.mark.parametrize(
    ("size", "standard", "sharp"),
    [
        ((200, 200), 64, 64),
        ((1000, 1000), 1296, 1296),
        ((1092, 1092), 1521, 1521),
        ((1920, 1080), 1560, 2691),
        ((2000, 1500), 1564, 3888),
        ((3840, 2160), 1560, 4784),
    ],
)
def test_anthropic(size, standard, sharp):
    assert anthropic_tokens("claude-sonnet-4-5-20250929", size) == standard
    assert anthropic_tokens("claude-opus-4-7", size) == anthropic_tokens("claude-sonnet-5", size) == sharp


@given(st.integers(1, 20_000), st.integers(1, 20_000))
def test_anthropic_never_passes_its_limit(width, height):
    assert 1 <= anthropic_tokens("claude-haiku-4-5", (width, height)) <= 1568
    assert 1 <= anthropic_tokens("claude-opus-5", (width, height)) <= 4784


# developers.openai.com images and vision (2026-06-27); gpt-5-mini and gpt-5-nano as measured
@pytest.mark.parametrize(
    ("model", "size", "detail", "expected"),
    [
        ("gpt-5.2", (1024, 1024), "auto", 1024),
        ("gpt-5.2", (1800, 2400), "high", 1452),
        ("gpt-4.1-mini", (1024, 1024), "auto", 1659),
        ("gpt-4.1-nano", (1024, 1024), "auto", 2520),
        ("o4-mini", (1024, 1024), "auto", 1762),
        ("gpt-5-mini", (1024, 1024), "auto", 1229),
        ("gpt-5-nano", (128, 128), "auto", 24),
        ("gpt-5.4", (1600, 1600), "high", 2500),
        ("gpt-5.4", (1600, 1600), "original", 2500),
        ("gpt-5.4", (3200, 1600), "high", 2048),
        ("gpt-5.4", (3200, 1600), "original", 5000),
        ("gpt-5.5", (3200, 1600), "auto", 5000),
        ("gpt-5.5", (3200, 1600), "low", 128),
        ("gpt-4o", (1024, 1024), "auto", 765),
        ("gpt-4o", (2048, 4096), "high", 1105),
        ("gpt-4o", (4096, 8192), "low", 85),
        ("gpt-4o", (300, 200), "auto", 255),
        ("gpt-4o-mini", (1024, 1024), "auto", 25_501),
        ("gpt-4o-mini", (300, 200), "auto", 8500),
        ("gpt-4.1", (1024, 1024), "auto", 765),
        ("o1", (1024, 1024), "auto", 675),
        ("o3-2025-04-16", (512, 512), "auto", 225),
        ("gpt-5-2025-08-07", (1024, 1024), "auto", 630),
        ("gpt-5-chat-latest", (512, 512), "auto", 210),
        ("computer-use-preview", (512, 512), "auto", 194),
        ("a-model-of-tomorrow", (1024, 1024), "auto", 1024),
    ],
)
def test_openai(model, size, detail, expected):
    assert openai_tokens(model, size, detail) == expected


@given(
    st.sampled_from(["gpt-4o", "gpt-5", "gpt-5.2", "gpt-5.5", "o4-mini", "whatever"]),
    st.integers(1, 131_072),
    st.integers(1, 131_072),
    st.sampled_from(["low", "high", "auto", "original", ""]),
)
def test_openai_any_size_is_answered_and_bounded(model, width, height, detail):
    assert 1 <= openai_tokens(model, (width, height), detail) <= 10_000 * 2.46


@pytest.mark.parametrize(
    ("model", "size", "expected"),
    [
        ("gemini-2.5-flash", (384, 384), 258),
        ("gemini-2.5-pro", (385, 384), 258),
        ("gemini-2.0-flash", (1536, 768), 516),
        ("gemini-2.5-flash", (1600, 1600), 2322),
        ("gemini-1.5-pro", (4000, 4000), 258),
        ("gemini-3-pro-preview", (4000, 4000), 1120),
    ],
)
def test_gemini(model, size, expected):
    assert gemini_tokens(model, size) == expected


# --- sizes that are not known ----------------------------------------------------------------------------------------------


def rule(size):
    return openai_tokens("gpt-4o", size)


def test_a_known_size_is_certain():
    url = "data:image/png;base64," + base64.b64encode(png(300, 200)).decode()
    assert estimate(url, rule) == estimate(png(300, 200), rule) == ImageTokens(255, 255, 255)


@pytest.mark.parametrize(
    "source", [None, "", "https://example.com/a.png", "gs://bucket/a.png", "data:image/png;base64,AAAA"]
)
def test_an_unknown_size_is_an_interval(source):
    tokens, low, high = estimate(source, rule)
    assert low <= tokens <= high
    assert low < high


def test_an_elided_image_is_guessed_from_its_length():
    small = estimate("data:image/png;base64,__elided:20000:ab", rule)
    large = estimate("data:image/png;base64,__elided:2000000:ab", rule)
    assert small.tokens == 255
    assert large.tokens == 765

"""Tokens of texts: the vocabularies are OpenAI's, counting equals tiktoken's, and nothing needs the outside."""

import base64
import hashlib
import logging
import os
import subprocess
import sys
import textwrap
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxkit.metering import tokens, vocabularies
from ctxkit.metering.openai_models import base_model, encoding_for
from ctxkit.metering.tokens import rough_tokens, text_tokens, token_bytes, token_ids, warm
from ctxkit.metering.vocabularies import VOCABULARIES, pack, read_ranks, unpack

NAMES = ("o200k_base", "cl100k_base", "p50k_base")


def reference(text, name):
    """What tiktoken itself says, given the whole text at once."""
    assert warm(name)
    return len(tokens._loaded[name].encode_ordinary(text))


# --- the vocabularies ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_our_file_holds_exactly_what_openai_published(name):
    ranks = read_ranks(name)
    lines = (base64.b64encode(token) + b" " + str(rank).encode() for token, rank in sorted(ranks.items(), key=_rank))
    original = b"\n".join(lines) + b"\n"
    assert hashlib.sha256(original).hexdigest() == VOCABULARIES[name].source[1]


def test_r50k_is_the_beginning_of_p50k():
    lines = (base64.b64encode(token) + b" " + str(rank).encode() for token, rank in read_ranks("r50k_base").items())
    # the sha256 that tiktoken expects of r50k_base.tiktoken
    expected = "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"
    assert hashlib.sha256(b"\n".join(lines) + b"\n").hexdigest() == expected


@pytest.mark.parametrize("name", VOCABULARIES)
def test_pattern_and_special_tokens_are_those_of_the_installed_tiktoken(name, monkeypatch):
    from tiktoken_ext import openai_public

    hashes = []
    monkeypatch.setattr(
        openai_public, "load_tiktoken_bpe", lambda _, expected_hash: hashes.append(expected_hash) or {b"a": 0}
    )
    theirs = openai_public.ENCODING_CONSTRUCTORS[name]()
    ours = VOCABULARIES[name]
    assert ours.special.items() <= theirs["special_tokens"].items()
    assert name == "r50k_base" or hashes == [ours.source[1]]
    for text in ("I'll pay 12345 €\n\n  now/later\t", "ΑΒΓ's Größe１２３ 日本語です。ok\r\n/x", "  \n \n", "é" * 40):
        assert pieces(theirs["pat_str"], text) == pieces(ours.pattern, text)


def pieces(pattern, text):
    regex = pytest.importorskip("regex")
    return regex.findall(pattern, text)


def _rank(item):
    return item[1]


@pytest.mark.slow
@given(st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=40, unique=True), st.integers(0, 40))
@settings(max_examples=25)  # each one is compressed
def test_packing_is_reversible_also_with_unused_ranks(found, gap):
    ranks = {token: rank + (rank >= gap) for rank, token in enumerate(found)}
    count = max(ranks.values()) + 1
    assert unpack(pack(ranks), count) == ranks


def test_a_file_that_was_tampered_with_is_refused_and_left_alone(monkeypatch, tmp_path, caplog):
    file = tmp_path / "o200k_base.xz"
    file.write_bytes(b"not what was built")
    monkeypatch.setattr(vocabularies, "_read", lambda _: file.read_bytes())
    monkeypatch.setattr(tokens, "_loaded", {})
    with caplog.at_level(logging.WARNING, "ctxkit"):
        assert not warm("o200k_base")
        assert text_tokens("Hello, world", "o200k_base") == rough_tokens("Hello, world")
        assert token_ids("Hello, world", "o200k_base") is None
        assert token_bytes(1, "o200k_base") == b""
    assert file.read_bytes() == b"not what was built"
    assert len([one for one in caplog.records if "o200k_base.xz" in one.message]) == 1
    assert "Reinstall" in caplog.text


def test_a_missing_file_means_an_estimate(monkeypatch, caplog):
    def missing(file):
        raise FileNotFoundError(file)

    monkeypatch.setattr(vocabularies, "_read", missing)
    monkeypatch.setattr(tokens, "_loaded", {})
    assert not warm("cl100k_base")
    assert text_tokens("four four four four ", "cl100k_base") == 5
    assert "cannot be read" in caplog.text


def test_an_unknown_name_means_an_estimate():
    assert not warm("no_such_vocabulary")
    assert text_tokens("12345678", "no_such_vocabulary") == 2


def test_the_first_count_needs_no_network_no_environment_and_no_home(tmp_path):
    program = textwrap.dedent(
        """
        import socket, sys, warnings
        def refuse(*_, **__): raise AssertionError("the network was touched")
        socket.socket = socket.create_connection = socket.getaddrinfo = refuse
        from ctxkit.metering.tokens import text_tokens
        assert "tiktoken" not in sys.modules
        print([text_tokens("tiktoken is great!", name) for name in ("o200k_base", "cl100k_base", "p50k_base")])
        assert "requests" not in sys.modules
        """
    )
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": root},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[6, 6, 6]"
    assert list(tmp_path.iterdir()) == []


def test_many_threads_load_a_vocabulary_once(monkeypatch):
    loads = []
    ranks = read_ranks("p50k_base")
    monkeypatch.setattr(tokens, "read_ranks", lambda name: loads.append(name) or ranks)
    monkeypatch.setattr(tokens, "_loaded", {})
    counts = []
    threads = [
        threading.Thread(target=lambda: counts.append(text_tokens("a b c", "p50k_base"))) for _ in range(8)
    ]  # fmt: skip
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert counts == [3] * 8
    assert loads == ["p50k_base"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_forked_while_a_vocabulary_loads_can_load_it(monkeypatch):
    monkeypatch.setattr(tokens, "_loaded", {})
    with tokens._turn.lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if text_tokens("a b c", "p50k_base") == 3 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# --- counting -------------------------------------------------------------------------------------------------------------

VECTORS = [  # the last two: OpenAI cookbook, "How to count tokens with tiktoken"
    ("", 0, 0),
    ("Hello, world!", 4, 4),
    ("tiktoken is great!", 6, 6),
    ("<|endoftext|>", 7, 7),
    ("お誕生日おめでとう", 8, 9),
    ("antidisestablishmentarianism", 6, 6),
]


@pytest.mark.parametrize(("text", "o200k", "cl100k"), VECTORS)
def test_known_texts(text, o200k, cl100k):
    assert text_tokens(text, "o200k_base") == text_tokens(text, "o200k_harmony") == o200k
    assert text_tokens(text, "cl100k_base") == cl100k


@pytest.mark.parametrize("name", NAMES)
@given(st.text(max_size=400))
def test_any_text_counts_as_tiktoken_counts_it(name, text):
    assert text_tokens(text, name) == reference(text, name)
    ids = token_ids(text, name)
    assert len(ids) == text_tokens(text, name)
    assert b"".join(token_bytes(one, name) for one in ids).decode() == text.encode("utf-16", "surrogatepass").decode(
        "utf-16", "replace"
    )


words = st.sampled_from(
    [
        "word ",
        "don't ",
        "I'LL",
        "x=1;",
        "12",
        "3456",
        "\n",
        "\r\n",
        "  ",
        "\t",
        "。",
        "日本語",
        "ー",
        "é",
        "é",
        "/",
        "//",
        " {",
        "}",
        "'",
        "’s",
        "_",
        "\u200d",
        "😀",
        "ß",
        "Ⅷ",
        "٣",
        "́",
        "A",
        "b",
    ]
)


@pytest.mark.parametrize("name", NAMES)
@given(st.lists(words, min_size=1, max_size=60), st.integers(5, 60))
def test_a_text_in_chunks_counts_as_the_whole_wherever_a_seam_is_found(name, found, size):
    text = "".join(found)
    kept, tokens._CHUNK = tokens._CHUNK, size
    try:
        chunks = list(tokens._chunks(text))
    finally:
        tokens._CHUNK = kept
    assert "".join(chunks) == text
    hard = sum(not seam(text, at) for at in ends(chunks)[:-1])
    counted = sum(reference(chunk, name) for chunk in chunks)
    assert counted == reference(text, name) if hard == 0 else counted >= 0


def ends(chunks):
    found, at = [], 0
    for chunk in chunks:
        at += len(chunk)
        found.append(at)
    return found


def seam(text, at):
    return any(match.start() == at for match in tokens._SEAM.finditer(text))


@pytest.mark.parametrize(
    "text",
    ["a" * 300_000, " " * 300_000, "\n" * 100_000, "あ" * 100_000, "=" * 200_000, "x \n" * 60_000, "1" * 200_000],
    ids=["letters", "blanks", "lines", "kana", "marks", "mixed", "digits"],
)
def test_long_runs_neither_hang_nor_panic_and_are_off_by_little(text):
    for name in NAMES:
        counted = text_tokens(text, name)
        chunk = text[: tokens._CHUNK]
        assert counted == pytest.approx(reference(chunk, name) * len(text) / len(chunk), rel=0.01, abs=2)


def test_base64_counts_as_the_whole():
    data = base64.b64encode(hashlib.shake_256(b"ctxkit").digest(150_000)).decode()
    assert text_tokens(data, "o200k_base") == reference(data, "o200k_base")


def test_lone_surrogates_count_as_the_replacement_character():
    assert text_tokens("a\ud800b", "o200k_base") == reference("a\ufffdb", "o200k_base")
    assert text_tokens("\ud83d\ude00", "o200k_base") == reference("😀", "o200k_base")
    assert rough_tokens("\ud800") == 1


@given(st.text(max_size=300))
def test_the_rough_estimate_is_positive_and_grows(text):
    assert rough_tokens(text) >= (1 if text else 0)
    assert rough_tokens(text + "abcd" * 10) > rough_tokens(text)


# --- models -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "platform", "expected"),
    [
        ("gpt-6", "", "o200k_base"),
        ("gpt-5.6-sol", "", "o200k_base"),
        ("gpt-5", "openai", "o200k_base"),
        ("gpt-4.5-preview", "", "o200k_base"),
        ("gpt-4.1-nano-2025-04-14", "", "o200k_base"),
        ("gpt-4o-audio-preview", "", "o200k_base"),
        ("chatgpt-4o-latest", "", "o200k_base"),
        ("o1", "", "o200k_base"),
        ("o3-mini-2025-01-31", "", "o200k_base"),
        ("o4-mini", "", "o200k_base"),
        ("codex-mini-latest", "", "o200k_base"),
        ("computer-use-preview", "", "o200k_base"),
        ("openai/gpt-oss-120b", "groq", "o200k_harmony"),
        ("gpt-oss:20b", "ollama", "o200k_harmony"),
        ("openai.gpt-oss-120b-1:0", "bedrock", "o200k_harmony"),
        ("us.openai.gpt-5.6-luna", "bedrock", "o200k_base"),
        ("gpt-4", "", "cl100k_base"),
        ("gpt-4-turbo-2024-04-09", "", "cl100k_base"),
        ("gpt-4-1106-preview", "", "cl100k_base"),
        ("gpt-3.5-turbo-0125", "", "cl100k_base"),
        ("gpt-35-turbo", "azure", "cl100k_base"),
        ("text-embedding-3-large", "", "cl100k_base"),
        ("davinci-002", "", "cl100k_base"),
        ("text-davinci-003", "", "p50k_base"),
        ("text-davinci-001", "", "r50k_base"),
        ("ft:gpt-4.1-2025-04-14:acme::AbC", "", "o200k_base"),  # tiktoken takes it for gpt-4
        ("ft:gpt-4o-mini:acme", "", "o200k_base"),
        ("ft:gpt-3.5-turbo:acme:x:1", "", "cl100k_base"),
        ("openrouter/openai/gpt-4o-mini:free", "", "o200k_base"),
        ("~openai/gpt-5", "openrouter", "o200k_base"),
        ("GPT-4o", "", "o200k_base"),
        ("prod-gpt4o-eastus", "azure", "o200k_base"),
        ("my-gpt-41-mini", "azure", "o200k_base"),
        ("team-o3-mini", "azure", "o200k_base"),
        ("chat-gpt35", "azure", "cl100k_base"),
        ("prod-gpt4o-eastus", "", None),
        ("claude-sonnet-4-5", "", None),
        ("anthropic/claude-opus-5", "openrouter", None),
        ("grok-4", "xai", None),
        ("nomic-ai/gpt4all", "", None),
        ("gpt-j-6b", "", None),
        ("o10-something", "", None),
        ("", "", None),
    ],
)
def test_vocabulary_of_a_model(model, platform, expected):
    assert encoding_for(model, platform) == expected


@given(st.text(max_size=60), st.sampled_from(["", "azure", "openai"]))
def test_any_name_is_answered(model, platform):
    assert encoding_for(model, platform) in {None, *VOCABULARIES}
    assert (base_model(model, platform) == "") == (encoding_for(model, platform) is None)

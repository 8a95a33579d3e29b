"""The OpenAI vocabularies that travel inside the wheel, and what is known of each.

A vocabulary is a list of byte strings in rank order. Our file of one holds, compressed with xz, one byte of length
per rank (0: the rank is not in use) and then all the byte strings joined; ``scripts/build_vocabularies.py`` writes it
from OpenAI's ``.tiktoken`` file. It is 3 to 5 times smaller than the original and quicker to read, and reading it
touches neither the network nor the environment: tiktoken itself would download what it does not find, and delete a
file whose hash is wrong.
"""

from __future__ import annotations

import hashlib
import logging
import lzma
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["VOCABULARIES", "Vocabulary", "pack", "read_ranks", "unpack"]

_log = logging.getLogger("ctxkit")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Facts of one vocabulary.

    Attributes:
        file: name of our file in ``ctxkit/metering/data``.
        sha256: of our file.
        source: name and sha256 of the ``.tiktoken`` file that ours was made from.
        ranks: how many ranks are read from the file (an unused one included).
        pattern: regular expression that cuts a text into pieces before merging.
        special: special tokens and their ranks. Text of a user that looks like one is ordinary text.
    """

    file: str
    sha256: str
    source: tuple[str, str]
    ranks: int
    pattern: str
    special: Mapping[str, int] = field(default_factory=dict)


_LETTERS_R50K = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
_LETTERS_CL100K = (
    r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"""
    r"""|\s++$|\s*[\r\n]|\s+(?!\S)|\s"""
)
_SUFFIX = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_LETTERS_O200K = "|".join(
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+" + _SUFFIX,
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*" + _SUFFIX,
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)

_O200K = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
_CL100K = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
_P50K = "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069"

_FILES = {
    "o200k": ("o200k_base.xz", "f73d40034ec0d96fc176869b6a2f06cb515e3c9c77b8224dc98f8ca334e4794c"),
    "cl100k": ("cl100k_base.xz", "76e1dbf8a54849eb2f37998943b3901fa78c62726d3f67866aa8c0b8cada335d"),
    "p50k": ("p50k_base.xz", "d6c0d603328f0b00a287a1bcf61e188d822a96cd1238db868464ef39b276551e"),
}

# The first 50,256 lines of p50k_base.tiktoken have the sha256 that tiktoken 0.14 expects of r50k_base.tiktoken
# (306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930): one file serves both.
VOCABULARIES: Mapping[str, Vocabulary] = {
    "o200k_base": Vocabulary(
        *_FILES["o200k"],
        ("o200k_base.tiktoken", _O200K),
        199_998,
        _LETTERS_O200K,
        {"<|endoftext|>": 199999, "<|endofprompt|>": 200018},
    ),
    "o200k_harmony": Vocabulary(
        *_FILES["o200k"],
        ("o200k_base.tiktoken", _O200K),
        199_998,
        _LETTERS_O200K,
        {
            "<|startoftext|>": 199998,
            "<|endoftext|>": 199999,
            "<|return|>": 200002,
            "<|constrain|>": 200003,
            "<|channel|>": 200005,
            "<|start|>": 200006,
            "<|end|>": 200007,
            "<|message|>": 200008,
            "<|call|>": 200012,
            "<|endofprompt|>": 200018,
        },
    ),
    "cl100k_base": Vocabulary(
        *_FILES["cl100k"],
        ("cl100k_base.tiktoken", _CL100K),
        100_256,
        _LETTERS_CL100K,
        {
            "<|endoftext|>": 100257,
            "<|fim_prefix|>": 100258,
            "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260,
            "<|endofprompt|>": 100276,
        },
    ),
    "p50k_base": Vocabulary(
        *_FILES["p50k"], ("p50k_base.tiktoken", _P50K), 50_281, _LETTERS_R50K, {"<|endoftext|>": 50256}
    ),
    "r50k_base": Vocabulary(
        *_FILES["p50k"], ("p50k_base.tiktoken", _P50K), 50_256, _LETTERS_R50K, {"<|endoftext|>": 50256}
    ),
}


def pack(ranks: Mapping[bytes, int]) -> bytes:
    """Our file for ``ranks``: lengths in rank order, then the byte strings, compressed."""
    by_rank = {rank: token for token, rank in ranks.items()}
    tokens = [by_rank.get(rank, b"") for rank in range(max(by_rank) + 1)]
    plain = bytes(map(len, tokens)) + b"".join(tokens)
    # lc, lp, pb: the best for text without alignment; the integrity of the file is looked at by sha256.
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 3, "lp": 0, "pb": 0}]
    return lzma.compress(plain, format=lzma.FORMAT_XZ, check=lzma.CHECK_NONE, filters=filters)


def unpack(packed: bytes, count: int, total: int | None = None) -> dict[bytes, int]:
    """The first ``count`` ranks of a packed file that holds ``total`` (default: ``count``)."""
    plain = lzma.decompress(packed)
    start = count if total is None else total
    ends = list(accumulate(plain[:count], initial=start))
    tokens = [plain[begin:end] for begin, end in pairwise(ends)]
    ranks = dict(zip(tokens, range(count), strict=True))
    ranks.pop(b"", None)  # a rank that is not in use
    return ranks


def read_ranks(name: str) -> dict[bytes, int] | None:
    """Ranks of the vocabulary ``name`` from the installed package.

    Returns:
        ``None`` when the file is missing or is not the one that was built: that is logged, the file is left as it
        is, and counting goes on without a vocabulary.
    """
    vocabulary = VOCABULARIES[name]
    try:
        packed = _read(vocabulary.file)
    except OSError as error:
        _refuse(vocabulary.file, f"cannot be read ({error})")
        return None
    if hashlib.sha256(packed).hexdigest() != vocabulary.sha256:
        _refuse(vocabulary.file, "is not the file that was built for this version (its sha256 is wrong)")
        return None
    total = max(other.ranks for other in VOCABULARIES.values() if other.file == vocabulary.file)
    return unpack(packed, vocabulary.ranks, total)


def _read(file: str) -> bytes:
    return Path(__file__).with_name("data").joinpath(file).read_bytes()


def _refuse(file: str, why: str) -> None:
    _log.warning(
        "ctxkit: vocabulary %s %s; tokens are estimated from characters instead. Reinstall ctxkit to repair it.",
        file,
        why,
    )

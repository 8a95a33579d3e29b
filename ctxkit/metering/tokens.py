"""Tokens of a text: the one door to tiktoken.

Nothing here touches the network or the environment. A vocabulary is read once per process from the installed package
(about 0.1 s, see :func:`warm`); where that fails a text is estimated from its characters.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

from ctxkit.forks import on_fork
from ctxkit.metering.vocabularies import VOCABULARIES, read_ranks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiktoken import Encoding

__all__ = ["load", "rough_tokens", "text_tokens", "token_bytes", "token_ids", "warm"]

# Special tokens are never looked for, so harmony counts as the vocabulary that it extends.
_SHARED = {"o200k_harmony": "o200k_base"}

_loaded: dict[str, Encoding | None] = {}


class _Turn:
    """Whose turn it is to read a vocabulary; a lock held while the process forks would stay held in the child."""

    def __init__(self) -> None:
        self.renew()
        on_fork(self, "renew")

    def renew(self) -> None:
        self.lock = threading.Lock()


_turn = _Turn()


def load() -> None:
    """Import tiktoken here and now, without a vocabulary: see :func:`ctxkit.metering.meter.load`."""
    import tiktoken  # noqa: F401


def warm(encoding: str) -> bool:
    """Load a vocabulary now, so that no request waits for it; blocks, once per process.

    Args:
        encoding: a name that :func:`ctxkit.metering.openai_models.encoding_for` gives.

    Returns:
        False when there is no usable vocabulary: then :func:`text_tokens` estimates (:func:`rough_tokens`).
    """
    return _encoding(encoding) is not None


def text_tokens(text: str, encoding: str) -> int:
    """Tokens of ``text`` as the model reads it, special tokens in it taken as ordinary text.

    Equal to the length of tiktoken's ``encode_ordinary``, except in a text that has a stretch of more than 8,192
    characters without any place to cut it safely (:func:`_cut`): each such stretch may count one or two tokens too
    many. Lone surrogates count as U+FFFD.

    >>> text_tokens("tiktoken is great!", "cl100k_base")
    6
    """
    known = _loaded.get(encoding) or _encoding(encoding)
    if known is None:
        return rough_tokens(text)
    if len(text) <= _CHUNK:
        return len(known.encode_ordinary(text))
    return _long_tokens(text, known)


def _encoding(name: str) -> Encoding | None:
    name = _SHARED.get(name, name)
    if name not in _loaded:
        with _turn.lock:
            if name not in _loaded:
                _loaded[name] = _build(name)
    return _loaded[name]


def _build(name: str) -> Encoding | None:
    if name not in VOCABULARIES:
        return None
    ranks = read_ranks(name)
    if ranks is None:
        return None
    from tiktoken import Encoding

    facts = VOCABULARIES[name]
    return Encoding(name, pat_str=facts.pattern, mergeable_ranks=ranks, special_tokens=dict(facts.special))


# A text is given to tiktoken in chunks: its matcher overflows its stack (and panics) on about a million blanks, and
# merging one unbroken piece takes quadratic time before tiktoken 0.13.
_CHUNK = 8192

# Where every vocabulary here ends a piece and neither side looks across: before a blank that follows something else;
# before a digit that follows neither digit nor blank; between a letter or digit and a mark that is no apostrophe.
_SEAM = re.compile(
    r"""(?<=\S)(?=[ \t])|(?<=[^\W\d_])(?=[0-9])"""
    r"""|(?<=[^\W_])(?=[!"\#$%&()*+,\-./:;<=>?@\[\\\]^`{|}~\u3001\u3002\uff0c\u300c\u300d\uff08\uff09\uff01\uff1f])"""
)


def _cut(text: str, start: int) -> int:
    """Where the chunk that begins at ``start`` ends: the last safe seam of its last eighth, of its whole, or nowhere."""
    end = start + _CHUNK
    if end >= len(text):
        return len(text)
    for begin in (end - _CHUNK // 8, start + 1):
        seams = [seam.start() for seam in _SEAM.finditer(text, begin, end)]
        if seams:
            return seams[-1]
    return end


def _long_tokens(text: str, known: Encoding) -> int:
    return sum(len(known.encode_ordinary(chunk)) for chunk in _chunks(text))


def _chunks(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = _cut(text, start)
        yield text[start:end]
        start = end


def token_ids(text: str, encoding: str) -> list[int] | None:
    """The tokens of ``text`` themselves, under the rules of :func:`text_tokens`; ``None`` without a vocabulary."""
    known = _loaded.get(encoding) or _encoding(encoding)
    if known is None:
        return None
    if len(text) <= _CHUNK:
        return known.encode_ordinary(text)
    return [token for chunk in _chunks(text) for token in known.encode_ordinary(chunk)]


def token_bytes(token: int, encoding: str) -> bytes:
    """The bytes of one token that :func:`token_ids` gave."""
    known = _encoding(encoding)
    return known.decode_single_token_bytes(token) if known else b""


def rough_tokens(text: str) -> int:
    """Tokens of ``text`` estimated from its characters alone, for when there is no vocabulary.

    Four ASCII characters make a token, and about two and a half bytes beyond ASCII.

    >>> rough_tokens("Hello, world")
    3
    """
    wide = len(text.encode("utf-8", "surrogatepass")) - len(text)  # bytes after the first of each character
    narrow = max(0, len(text) - wide // 2)
    return max(1, round(narrow / 4 + wide / 2.5)) if text else 0

"""What kinds of text a text consists of, in o200k tokens.

Other vocabularies split prose about like o200k and differ by kind of text: one cuts digits singly, one has few words
of Japanese, one spends a token on each blank of an indentation. So tokens of o200k are counted by kind, and the
calibration table says how many tokens of its own a family makes of one of each.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from ctxkit.metering.tokens import token_bytes, token_ids

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KINDS", "VOCABULARY", "has_vocabulary", "kind_of", "kinds_of"]

VOCABULARY = "o200k_base"

KINDS = {
    "word": "a word with the blank before it, of up to 7 letters",
    "word.long": "the same, longer",
    "piece": "letters without a blank before them (inside words, code, keys), up to 7",
    "piece.long": "the same, longer",
    "upper": "capitals",
    "digit.1": "one digit",
    "digit.2": "two digits",
    "digit.3": "three digits",
    "mark": "one punctuation mark",
    "marks": "several punctuation marks in one token, perhaps with a line break",
    "line": "line breaks",
    "blank": "blanks and tabs",
    "latin": "letters with accents",
    "script": "letters of other scripts: Cyrillic, Greek, Arabic, Devanagari, ...",
    "han": "Chinese characters, in Japanese text too",
    "kana": "Japanese syllables",
    "hangul": "Korean syllables",
    "symbol": "signs outside ASCII, emoji",
    "bytes": "part of a character",
}
"""Kinds of tokens, and what each is."""


def kind_of(token: bytes) -> str:
    """The kind of one token, a key of :data:`KINDS`.

    >>> kind_of(b" hello"), kind_of(b"hello"), kind_of(b"123"), kind_of("東京".encode())
    ('word', 'piece', 'digit.3', 'han')
    """
    try:
        text = token.decode()
    except UnicodeDecodeError:
        return "bytes"
    bare = text.strip()
    if not bare:
        return "line" if "\n" in text else "blank"
    if not bare.isascii():
        return _beyond_ascii(bare)
    if bare.isdigit():
        return f"digit.{min(len(bare), 3)}"
    letters = [sign for sign in bare if sign.isalpha()]
    if letters:
        return _letters(bare, letters, leading=text[0] == " ")
    return "mark" if len(text.strip(" ")) == 1 else "marks"


def _letters(bare: str, letters: list[str], *, leading: bool) -> str:
    if len(letters) > 1 and all(sign.isupper() for sign in letters):
        return "upper"
    return ("word" if leading else "piece") + (".long" if len(bare) > 7 else "")


def _beyond_ascii(bare: str) -> str:
    if any("\u3040" <= sign <= "\u30ff" for sign in bare):
        return "kana"
    if any("\u4e00" <= sign <= "\u9fff" or "\u3400" <= sign <= "\u4dbf" for sign in bare):
        return "han"
    if any("\uac00" <= sign <= "\ud7af" for sign in bare):
        return "hangul"
    if any(sign.isalpha() for sign in bare):
        return "latin" if max(bare) < "\u0250" else "script"
    return "symbol"


class _KindOfToken(dict[int, str]):
    """Kinds of the tokens seen so far; a vocabulary has 200,000 and a process meets a few thousand."""

    def __missing__(self, token: int) -> str:
        kind = self[token] = kind_of(token_bytes(token, VOCABULARY))
        return kind


_kinds = _KindOfToken()


def kinds_of(text: str) -> Mapping[str, int]:
    """How many tokens of each kind ``text`` has; without a vocabulary, estimated from its characters."""
    tokens = token_ids(text, VOCABULARY)
    if tokens is None:
        return _rough_kinds(text)
    return Counter(map(_kinds.__getitem__, tokens))


def has_vocabulary() -> bool:
    """Whether :func:`kinds_of` counts tokens (or only characters); loads the vocabulary, which blocks once."""
    return token_ids("", VOCABULARY) is not None


# Characters that make one token of o200k, by kind (means over English prose, Japanese minutes, source code).
_ROUGH = (
    ("han", re.compile("[\u3400-\u4dbf\u4e00-\u9fff]"), 1.35),
    ("kana", re.compile("[\u3040-\u30ff]"), 1.5),
    ("hangul", re.compile("[\uac00-\ud7af]"), 1.6),
    ("digit.3", re.compile("[0-9]"), 2.0),
    ("mark", re.compile("[!-/:-@\\[-`{-~]"), 1.5),
    ("script", re.compile("[^\x00-\x7f]"), 2.6),
    ("word", re.compile("[A-Za-z]"), 4.4),
    ("line", re.compile("[\r\n]"), 1.6),
)


def _rough_kinds(text: str) -> Mapping[str, int]:
    kinds: dict[str, int] = {}
    for kind, pattern, per_token in _ROUGH:
        rest = pattern.sub("", text)
        found = len(text) - len(rest)
        if found:
            kinds[kind] = max(1, round(found / per_token))
        text = rest
    return kinds

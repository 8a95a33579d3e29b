"""What of a text is shown to a model: windows of a size it reads whole, nothing that is no language, no end of it.

A model of the usual kind reads a few hundred tokens and leaves out the rest without a word, so a long text is shown in
windows; of a very long one its beginning and its end. Base64 and what else is no text is left to the words.
"""

from __future__ import annotations

import re

__all__ = ["is_foreign", "looked_at", "windows"]

_WINDOW = 900  # characters: about 200 tokens of English
_WIDE = 4  # times as many tokens that a character of kana, Han or the like comes to
_HEAD, _TAIL = 4_500, 1_800  # characters of a text that are looked at
_SOLID = re.compile(r"[A-Za-z0-9+/=_\-]{80,}")  # base64, hashes, keys: nobody writes words so long
_UNPRINTED = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ufffd\ud800-\udfff]")
_FAR = re.compile(r"[\u0370-\u1eff\u2e80-\ufdff\uff00-\uffef]")  # letters of scripts other than the Latin one
_LEAST = 2  # letters of what says anything
_SAMPLE = 2_000
_WORD = re.compile(r"[^\W\d_]+")
_ENGLISH = re.compile(r"\b(?:the|of|and|to|is|in|that|it|for|you|with|this|on|are|not|be|have|from|i|what)\b")
_OTHERS = re.compile(
    r"\b(?:der|und|nicht|ist|das|ein|eine|für|mit|ich|auf|zu|den"  # German
    r"|le|les|des|et|une|est|pas|pour|dans|que|qui|je|vous"  # French
    r"|el|los|las|por|con|para|una|es|del|como|más"  # Spanish
    r"|il|che|di|non|per|sono|della"  # Italian
    r"|het|een|niet|van|voor|dat|zijn|ik"  # Dutch
    r"|o|os|não|uma|em|com|você)\b"  # Portuguese
)


def looked_at(text: str) -> str:
    """What of a text is looked at: all of it, or its beginning and its end."""
    return text if len(text) <= _HEAD + _TAIL else f"{text[:_HEAD]}\n{text[-_TAIL:]}"


def windows(text: str) -> list[str]:
    """The windows of a text, none of what is no language; none at all of a text that says nothing."""
    text = _SOLID.sub(" ", looked_at(text)).strip()
    size = _WINDOW if len(_FAR.findall(text)) * 3 < len(text) else _WINDOW // _WIDE
    cut: list[str] = []
    while text:
        at = len(text) if len(text) <= size else _end(text, size)
        cut.append(text[:at].strip())
        text = text[at:].lstrip()
    return [_UNPRINTED.sub(" ", one) for one in cut if _says_something(one)]


def _end(text: str, size: int) -> int:
    """Where a window ends: behind a line, a sentence or a word of its last third."""
    for mark in ("\n", ". ", "。", " "):
        at = text.rfind(mark, size * 2 // 3, size)
        if at > 0:
            return at + len(mark)
    return size


def _says_something(text: str) -> bool:
    letters = sum(map(len, _WORD.findall(text)))
    return letters >= _LEAST and letters * 5 >= len(text) and len(_UNPRINTED.findall(text)) * 20 < len(text)


def is_foreign(text: str) -> bool:
    """A text that a model of English does not understand: of another script, or of other little words."""
    sample = text[:_SAMPLE]
    if len(_FAR.findall(sample)) * 5 > len(sample):
        return True
    sample = sample.lower()
    others = len(_OTHERS.findall(sample))
    return others > 2 and others > 2 * len(_ENGLISH.findall(sample))

"""What of a conversation bears on what is asked now: the words of the request, and what stands around them.

An answer rarely stands in one message, least of all in a chat of short ones: what was said before and after a word of
the request belongs to it. So words are looked for in stretches. A word counts by how few stretches hold it; what every
request is made of ("what did they discuss about") counts nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from ctxkit.hygiene.relevance import relevance as lexical
from ctxkit.hygiene.relevance import terms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctxkit.hygiene.history import History
    from ctxkit.hygiene.relevance import Relevance

__all__ = ["asked", "bearing"]

_AROUND = 1_800.0  # characters over which what stands near a word fades
_STRETCH = 800  # characters of a stretch that a word is rare or common by
_LONGEST = 1_600  # characters that one message counts at most: what stands around it is near all the same
_ENOUGH = 1.2  # times a word stands near a place that say half of what many say
_NOISE = 1.5  # rare words that a request is short of always
_SINCE = 0.5  # weight of what was said since a user asked, results left out
_PLENTY = 3.0  # words that a request can stand on; of one with fewer ("yes, please") what was said before
_LATEST = 4  # messages before it that are looked at then
_MOST = 120  # words of a request that are looked for: its rarest
_ABOUT = 4_000  # characters of each text that are looked at
# Words that requests are made of; other languages go by how common a word is alone.
_REQUESTS = """
a about above all also an and any are as asked at be because been before being both but by can could did discuss
discussed discussion do does during each else ever explain for from give group had has have he her here him his how
if in into is it its just kind know let like list made make me mean mention mentioned might more most much must my
no not now of on one or other our over please said same say she should so some such suggest suggested summarise
summarize summary talk talked talking tell than that the their them then there these they thing things think this
those thought to too under until up us very want wanted was we were what when where which while who whom whose why
will with would you your
"""
_ASKING = frozenset(_REQUESTS.split())


def bearing(history: History, relevance: Relevance = lexical) -> list[float]:
    """For each message how much of what is asked stands in it or near it, from 0 to about 1.

    Args:
        history: the conversation.
        relevance: where it knows more than words, what is meant counts as what is said.
    """
    near = _by_words(history, asked(history))
    if relevance.name == lexical.name:
        return near
    return [1 - (1 - said) * (1 - meant) for said, meant in zip(near, _by_meaning(history, relevance), strict=True)]


def _by_meaning(history: History, relevance: Relevance) -> list[float]:
    """By stretches of messages, half of it from those beside: where they end is chance."""
    ends = [0, *_ends(history)]
    last = history.turns[-1] if history.turns else history.count - 1
    found = relevance([_texts(history, *one) for one in pairwise(ends)], _texts(history, last, history.count))
    around = (found[:1] + found[:-1], found, found[1:] + found[-1:])
    smooth = [(before + 2 * own + behind) / 4 for before, own, behind in zip(*around, strict=True)]
    return [score for score, (start, end) in zip(smooth, pairwise(ends), strict=True) for _ in range(start, end)]


def _ends(history: History) -> list[int]:
    """Where stretches end; a conversation that goes on has the same."""
    found, size = [], 0
    for index in range(history.count):
        length = sum(len(piece.text) for piece in history.by_message.get(index, ()))
        if size and size + length > _STRETCH:
            found.append(index)
            size = 0
        size += length
    return [*found, history.count] if history.count else []


def _texts(history: History, start: int, end: int) -> tuple[str, ...]:
    return tuple(piece.text for index in range(start, end) for piece in history.by_message.get(index, ()))


def _by_words(history: History, wanted: Mapping[str, float]) -> list[float]:
    held = [_held(history, index, wanted) for index in range(history.count)]
    places = _places(history)
    weights = {word: weight * wanted[word] for word, weight in _rarity(held, places).items()}
    whole = sum(weights.values()) + _NOISE * max(weights.values(), default=1.0)
    scores = [0.0] * history.count
    fades = [math.exp((one - two) / _AROUND) for one, two in pairwise(places)]
    for word, weight in sorted(weights.items(), key=lambda one: -one[1])[:_MOST]:
        for index, found in enumerate(_near([one.get(word, 0.0) for one in held], fades)):
            scores[index] += weight * found / (found + _ENOUGH)
    return [score / whole for score in scores]


def asked(history: History) -> dict[str, float]:
    """The words of what a user asked last and of what was said since; where those are few, of what was said before."""
    last = history.turns[-1] if history.turns else history.count - 1
    found = dict.fromkeys(_words(history, last), 1.0)
    for index in range(last + 1, history.count):
        for word in _words(history, index):
            found.setdefault(word, _SINCE)
    before = [word for index in range(max(last - _LATEST, 0), last) for word in _words(history, index)]
    few = max(0.0, _PLENTY - sum(found.values()))
    share = min(1.0, few / len(before)) if before else 0.0
    return {**dict.fromkeys(before, share), **found} if share else found


def _words(history: History, index: int) -> list[str]:
    texts = (piece.text[:_ABOUT] for piece in history.by_message.get(index, ()) if piece.kind != "result")
    return [word for text in texts for word in terms(text) if word not in _ASKING]


def _held(history: History, index: int, wanted: Mapping[str, float]) -> dict[str, float]:
    """How often the words wanted stand in a message."""
    found: dict[str, float] = {}
    for piece in history.by_message.get(index, ()):
        words = [word for word in terms(piece.text) if word in wanted]
        text = piece.text[:_LONGEST].lower() if words else ""
        for word in words:
            found[word] = found.get(word, 0.0) + max(text.count(word), 1)
    return found


def _places(history: History) -> list[float]:
    """The middle of each message, in characters from the beginning."""
    pieces = history.by_message
    sizes = [min(sum(len(one.text) for one in pieces.get(index, ())), _LONGEST) for index in range(history.count)]
    return [end - size / 2 for end, size in zip(accumulate(sizes), sizes, strict=True)]


def _rarity(held: Sequence[Mapping[str, float]], places: Sequence[float]) -> dict[str, float]:
    """Of each word that stands anywhere: how few stretches hold it."""
    stretches: dict[int, set[str]] = {}
    for words, place in zip(held, places, strict=True):
        stretches.setdefault(int(place // _STRETCH), set()).update(words)
    holders = Counter(word for words in stretches.values() for word in words)
    count = len(stretches)
    return {word: math.log(1 + (count - some + 0.5) / (some + 0.5)) for word, some in holders.items()}


def _near(found: Sequence[float], fades: Sequence[float]) -> list[float]:
    """How often it stands at each place or near it: what is far counts less."""
    before, behind = list(found), list(found)
    for index, fade in enumerate(fades, 1):
        before[index] += before[index - 1] * fade
    for index in range(len(fades) - 1, -1, -1):
        behind[index] += behind[index + 1] * fades[index]
    return [one + two - own for one, two, own in zip(before, behind, found, strict=True)]

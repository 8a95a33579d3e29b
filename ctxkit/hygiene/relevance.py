"""How much of what is talked about now stands in what was said earlier: BM25 over words, or pairs of characters.

The one door to bm25s, which is imported when it is first needed.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias

from ctxkit.hygiene.memo import Memo, remembered

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Query", "Relevance", "load", "relevance", "terms"]

Query: TypeAlias = "str | tuple[str, ...]"
"""What is talked about now, as one text or in the parts that it was said in: a part that was seen before is known."""


class Relevance(Protocol):
    """How much of what is talked about now stands in each of some texts; whoever asks knows no model."""

    @property
    def name(self) -> str:
        """How it is told."""
        ...

    def __call__(self, texts: Sequence[tuple[str, ...]], *queries: Query) -> list[float]:
        """For each text, given in parts: from 0 to about 1, of the query that it has most of."""
        ...


_END = 10_000  # characters read at either end of a text
_MOST = 600  # different terms taken from one text
_BLOCK = 32  # texts indexed together: a full block never changes, so it is indexed once
_CHARACTERS = 32_000_000  # of the texts whose indices are remembered
_K1 = 1.2  # of BM25: a term that comes once in a text of usual length scores 1 / (1 + k1) of its rarity
_NOISE = 1.5  # rare terms that a query is short of always, so that a "yes, please" does not belong to each earlier one
_NEW = 0.6  # share of its rarity that a term counts for which stands in none of the texts
_WORD = re.compile(r"\w+")
# Scripts that put no blanks between words: Thai, Lao, Burmese, Khmer, kana, Han.
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+"
)


def load() -> None:
    """Import bm25s here and now (half a second): the first request that needs it would wait for it."""
    import bm25s  # noqa: F401


@remembered
def terms(text: str) -> tuple[str, ...]:
    """Words in lower case, each once; of scripts without blanks pairs of characters."""
    if len(text) > 2 * _END:
        text = f"{text[:_END]} {text[-_END:]}"
    found: dict[str, None] = {}
    for match in _WORD.finditer(text.lower()):
        for term in _split(match.group()):
            found[term] = None
        if len(found) >= _MOST:
            break
    return tuple(found)


def _split(word: str) -> Sequence[str]:
    if word.isascii() or _UNSPACED.search(word) is None:
        return (word,) if len(word) > 1 else ()
    runs = (match.group() for match in _UNSPACED.finditer(word))
    pairs = [run[at : at + 2] for run in runs for at in range(max(len(run) - 1, 1))]
    return [*pairs, *(rest for rest in _UNSPACED.split(word) if len(rest) > 1)]


class _Lexical:
    """By words alone."""

    name = "lexical"

    def __call__(self, texts: Sequence[tuple[str, ...]], *queries: Query) -> list[float]:
        """For each text, given in parts: how much of a query it holds, from 0 to about 1, of that which it holds most of.

        Rare terms count more; a query of a few common words is like nothing.
        """
        wanted = [terms(query if isinstance(query, str) else "\n".join(query)) for query in queries]
        found: list[float] = []
        for at in range(0, len(texts), _BLOCK):
            index = _indices.get(tuple(texts[at : at + _BLOCK]), _indexed)
            found += map(max, zip(*(index.scores(one) for one in wanted), strict=True))
        return found


relevance: Final = _Lexical()
"""The lexical one, which is there always."""


class _Index(NamedTuple):
    retriever: Any
    holders: Counter[str]
    texts: int

    def scores(self, wanted: Sequence[str]) -> list[float]:
        known = [term for term in wanted if term in self.holders]
        if not known or self.retriever is None:
            return [0.0] * self.texts
        new = _NEW * (len(wanted) - len(known)) * _rarity(0, self.texts)
        whole = _NOISE * _rarity(1, self.texts) + new + sum(_rarity(self.holders[term], self.texts) for term in known)
        return [float(score) * (1 + _K1) / whole for score in self.retriever.get_scores(known)]


def _rarity(holders: int, count: int) -> float:
    """Weight of a term, as Lucene reckons it and bm25s with it."""
    return math.log(1 + (count - holders + 0.5) / (holders + 0.5))


_Texts: TypeAlias = tuple[tuple[str, ...], ...]


def _characters(texts: _Texts, _: _Index) -> int:
    return sum(len(part) for parts in texts for part in parts)


_indices: Final[Memo[_Texts, _Index]] = Memo(_CHARACTERS, _characters)


def _indexed(texts: _Texts) -> _Index:
    held = [list(dict.fromkeys(chain.from_iterable(terms(part) for part in parts))) for parts in texts]
    if not any(held):
        return _Index(None, Counter(), len(texts))
    import bm25s

    retriever = bm25s.BM25(method="lucene", k1=_K1, b=0.5)
    retriever.index(held, show_progress=False)
    return _Index(retriever, Counter(chain.from_iterable(held)), len(texts))

"""How much of what is talked about now stands in what was said earlier: by words, and by what they mean."""

from __future__ import annotations

import math
import time
from itertools import accumulate, chain, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from ctxkit.hygiene.matrices import LASTING
from ctxkit.hygiene.relevance import relevance

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ctxkit.hygiene.relevance import Query, Relevance
    from ctxkit.hygiene.vectors import Vectors

    _Rows = Sequence[NDArray[Any] | None]

__all__ = ["Semantic"]

_USUAL = 0.25  # cosine of texts that have little to do with one another
_COUNTS = 0.5  # what meaning counts at most: two errands of one kind are alike, and neither needs the other
_FEW = 3  # texts that are supposed to be like that: among few, nobody can tell what is usual


class Semantic:
    """Relevance by words and by vectors; by words alone as long as vectors are not there.

    The score of words, raised by how far the likeness of meaning stands out: ``1 - (1 - words) * (1 - meaning / 2)``. For each
    window of a query, ``meaning`` is the cosine of a text's window that is most alike, counted from the median of all
    texts on: "yes, please" is like something everywhere, and in a conversation of one subject all is alike, which says
    nothing of any. It is averaged over the windows of a query.

    All texts of a call are ranked by the same means: where the vectors of one are missing, words decide on all of them.
    Of a query those parts count that are known; their words count at once.

    Args:
        vectors: knows texts, or comes to know them off the request's path.
        wait: seconds that a call may wait for what is new in a query; ``math.inf``: everything is made, whatever it takes.
        complain: told once of each kind of trouble, and once more each time it comes again; in words.
        lexical: by words.
        hurried: a request waits: for nothing but a query, and it is a trouble when that is not there in time.
    """

    name = "semantic"

    def __init__(
        self,
        vectors: Vectors,
        *,
        wait: float = 0.0,
        complain: Callable[[str, str], None] = lambda _, __: None,
        lexical: Relevance = relevance,
        hurried: bool = True,
    ) -> None:
        self._vectors = vectors
        self._wait = wait
        self._complain = complain
        self._lexical = lexical
        self._hurried = hurried
        known = vectors.troubles.known  # of other kits, too; what lasts concerns this one
        self._told = {kind: count for kind, (count, _) in known.items() if kind not in LASTING}

    def __call__(self, texts: Sequence[tuple[str, ...]], *queries: Query) -> list[float]:
        """For each text, given in parts: from 0 to about 1, of the query that it has most of."""
        words = self._lexical(texts, *queries)
        meanings = self._meaning(texts, [(query,) if isinstance(query, str) else query for query in queries])
        self.tell()
        return words if meanings is None else list(map(_blended, words, meanings))

    def patient(self, wait: float) -> Semantic:
        """The same, for work off the request's path, where so many seconds may be waited; both tell of a trouble once."""
        complain, lexical = self._complain, self._lexical
        other = Semantic(self._vectors, wait=wait, complain=complain, lexical=lexical, hurried=False)
        other._told = self._told
        return other

    def begin(self) -> None:
        """Load the model off the request's path."""
        self._vectors.begin()

    def tell(self) -> None:
        """Hand on what went wrong since the last time."""
        for kind, (count, words) in list(self._vectors.troubles.known.items()):
            for _ in range(count - self._told.get(kind, 0)):
                self._complain(f"relevance: {kind}", words)
            self._told[kind] = count

    def _meaning(self, texts: Sequence[tuple[str, ...]], queries: Sequence[tuple[str, ...]]) -> list[float] | None:
        """For each text how far it stands out, for the query for which it does most; ``None``: vectors are missing."""
        asked, held = self._got(list(chain.from_iterable(queries)), list(chain.from_iterable(texts)))
        known = [rows for rows in held if rows is not None]
        found = iter(asked)
        sought = [_sought(query, [next(found) for _ in query]) for query in queries]
        if len(known) < len(held) or not any(sought):
            return None
        best = _Best(known, [len(parts) for parts in texts])
        return [max(each) for each in zip(*(best.standing_out(one) for one in sought if one), strict=True)]

    def _got(self, asked: Sequence[str], held: Sequence[str]) -> tuple[_Rows, _Rows]:
        """What is known of a query, and of texts. A request waits only where that helps: for what is new, all else being there."""
        begun, patient = time.monotonic(), not self._hurried or self._wait == math.inf
        texts = self._vectors.get(held, self._wait if patient else 0.0, late=False)
        there = patient or all(rows is not None for rows in texts)
        left = max(0.0, self._wait - (time.monotonic() - begun)) if there else 0.0
        return self._vectors.get(asked, left, urgent=True, late=self._hurried), texts


def _sought(query: tuple[str, ...], rows: _Rows) -> list[_Sought]:
    """The parts of a query that are known, and what each weighs."""
    return [
        _Sought(one, float(len(part))) for part, one in zip(query, rows, strict=True) if one is not None and len(one)
    ]


class _Sought(NamedTuple):
    rows: NDArray[Any]
    weight: float


class _Best:
    """How like each of some texts is to something, by its window that is most alike.

    Args:
        parts: matrices of all parts of the texts.
        counts: parts of each text.
    """

    def __init__(self, parts: Sequence[NDArray[Any]], counts: Sequence[int]) -> None:
        import numpy as np

        rows = list(accumulate(map(len, parts), initial=0))
        self._ends = list(pairwise(rows[at] for at in accumulate(counts, initial=0)))
        held = [part for part in parts if len(part)]
        self._rows = np.concatenate(held).astype(np.float32) if held else None

    def standing_out(self, query: Sequence[_Sought]) -> list[float]:
        """For each text, from 0 to 1: how far it stands out from the usual, on average over the windows of a query."""
        import numpy as np

        if self._rows is None:
            return [0.0] * len(self._ends)
        sought = np.concatenate([part.rows for part in query]).astype(np.float32)
        weights = np.concatenate([np.full(len(part.rows), part.weight / len(part.rows)) for part in query])
        found = self._rows @ sought.T
        none = np.full(len(sought), np.nan, np.float32)
        best = np.stack([found[first:last].max(axis=0) if first < last else none for first, last in self._ends])
        usual = np.nanmedian(np.vstack([best, np.full((_FEW, len(sought)), _USUAL)]), axis=0).clip(0.0)
        out = np.nan_to_num((best - usual).clip(0.0) / (1.0 - usual))
        return [float(share) for share in out @ weights / weights.sum()]


def _blended(word: float, meaning: float) -> float:
    return 1.0 - (1.0 - min(word, 1.0)) * (1.0 - _COUNTS * meaning)

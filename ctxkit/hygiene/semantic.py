"""How much of what is talked about now stands in what was said earlier: by words, and by what they mean."""

from __future__ import annotations

from itertools import accumulate, chain, pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

from ctxkit.hygiene.relevance import relevance

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ctxkit.hygiene.relevance import Query, Relevance
    from ctxkit.hygiene.vectors import Vectors

__all__ = ["Semantic"]

_USUAL = (0.4,) * 4  # cosines of texts of one subject: where there are few texts, they say what is usual


class Semantic:
    """Relevance by words and by vectors; by words alone as long as vectors are not there.

    The score of words, raised by how far the likeness of meaning stands out: ``1 - (1 - words) * (1 - meaning)``, where
    ``meaning`` is the cosine of the two windows that are most alike, counted from the median of all texts on. In a
    conversation of one subject all texts are alike, and that says nothing of any.

    All texts of a call are ranked by the same means: where the vectors of one are missing, words decide on all of them.
    Of a query those parts count that are known; their words count at once.

    Args:
        vectors: knows texts, or comes to know them off the request's path.
        wait: seconds that a call may wait for what is missing; ``math.inf``: for all of it, whatever it takes.
        complain: told once of each kind of trouble, and once more each time it comes again; in words.
        lexical: by words.
    """

    name = "semantic"

    def __init__(
        self,
        vectors: Vectors,
        *,
        wait: float = 0.0,
        complain: Callable[[str, str], None] = lambda _, __: None,
        lexical: Relevance = relevance,
    ) -> None:
        self._vectors = vectors
        self._wait = wait
        self._complain = complain
        self._lexical = lexical
        self._told: dict[str, int] = {}

    def __call__(self, texts: Sequence[tuple[str, ...]], *queries: Query) -> list[float]:
        """For each text, given in parts: from 0 to about 1, of the query that it has most of."""
        words = self._lexical(texts, *queries)
        meant = self._likeness(texts, [(query,) if isinstance(query, str) else query for query in queries])
        self.tell()
        return words if meant is None else _blended(words, meant)

    def begin(self) -> None:
        """Load the model off the request's path."""
        self._vectors.begin()

    def tell(self) -> None:
        """Hand on what went wrong since the last time."""
        for kind, (count, words) in list(self._vectors.troubles.known.items()):
            for _ in range(count - self._told.get(kind, 0)):
                self._complain(f"relevance: {kind}", words)
            self._told[kind] = count

    def _likeness(
        self, texts: Sequence[tuple[str, ...]], queries: Sequence[tuple[str, ...]]
    ) -> list[float | None] | None:
        """For each text the best match of one of its windows with the queries; ``None``: not all vectors are there."""
        asked = self._vectors.get(list(chain.from_iterable(queries)), self._wait, urgent=True)
        known = self._vectors.get(list(chain.from_iterable(texts)), self._wait)
        wanted = [rows for rows in asked if rows is not None and len(rows)]
        if not wanted or any(rows is None for rows in known):
            return None
        return _matched([rows for rows in known if rows is not None], [len(parts) for parts in texts], wanted)


def _blended(words: Sequence[float], likeness: Sequence[float | None]) -> list[float]:
    usual = max(0.0, median([*_USUAL, *(like for like in likeness if like is not None)]))
    meant = (0.0 if like is None else max(0.0, like - usual) / (1.0 - usual) for like in likeness)
    return [1.0 - (1.0 - min(word, 1.0)) * (1.0 - meaning) for word, meaning in zip(words, meant, strict=True)]


def _matched(
    parts: Sequence[NDArray[Any]], counts: Sequence[int], wanted: Sequence[NDArray[Any]]
) -> list[float | None]:
    """For each text, of so many parts: how like its most alike window is; ``None``: it has none."""
    import numpy as np

    held = [part for part in parts if len(part)]
    if not held:
        return [None] * len(counts)
    sought = np.concatenate(wanted).astype(np.float32)
    found = (np.concatenate(held).astype(np.float32) @ sought.T).max(axis=1)
    rows = list(accumulate(map(len, parts), initial=0))
    ends = [rows[at] for at in accumulate(counts, initial=0)]
    return [float(found[first:last].max()) if first < last else None for first, last in pairwise(ends)]

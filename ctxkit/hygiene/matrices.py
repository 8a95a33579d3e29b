"""From texts to matrices, a row for each window of a text: with all that models and texts get wrong.

What fails is noted in :class:`Troubles` for whoever asks, and its text goes by its words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ctxkit.hygiene.windows import is_foreign, looked_at, windows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ctxkit.hygiene.embedding import Embeds

__all__ = ["BATCH", "LASTING", "Maker", "Troubles"]

BATCH = 7_200
"""Characters that are embedded together, eight whole windows: a batch is short, because a fork waits for it."""

LASTING = frozenset({"given up", "other languages"})
"""Troubles that do not pass."""

_FAILURES = 3  # batches in a row that fail before no more are tried
_FOREIGN = 2_000  # characters in other languages before another model is thought of


class Troubles:
    """What went wrong, by its kind: how often, and in words, none of which are of a text."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[int, str]] = {}

    def note(self, kind: str, words: str) -> None:
        """Once more."""
        count, _ = self.known.get(kind, (0, ""))
        self.known[kind] = (count + 1, words)


class _Job(NamedTuple):
    key: bytes
    windows: list[str]


class Maker:
    """Makes matrices; for one thread at a time.

    Args:
        embedder: makes vectors.
        troubles: told of what goes wrong.

    Attributes:
        failed: it makes no more.
        models: that were taken in place of another one: vectors of two models have nothing to do with one another.
    """

    def __init__(self, embedder: Embeds, troubles: Troubles) -> None:
        self._embedder = embedder
        self._troubles = troubles
        self._read = {True: 0, False: 0}  # characters, by whether they are foreign to the model
        self._in_a_row = 0
        self.failed = False
        self.models = 0

    def give_up(self, words: str = "") -> None:
        """No more are made; without words it is nothing to be told."""
        self.failed = True
        if words:
            self._troubles.note("given up", words)

    def load(self) -> None:
        """Have the model ready, or give up; that none is at hand where none was named is as it should be."""
        try:
            self._embedder.load()
        except LookupError:
            self.give_up()
        except Exception as error:  # noqa: BLE001 - whatever it is, words do
            self.give_up(f"the model cannot be loaded ({type(error).__name__})")

    def forked(self) -> None:
        """The model is that of the parent process."""
        try:
            self._embedder.forked()
        except Exception as error:  # noqa: BLE001 - whatever it is, words do
            self.give_up(f"the model cannot be used in a forked process ({type(error).__name__})")

    def batches(self, texts: dict[bytes, str]) -> list[list[_Job]]:
        """Texts cut into windows, in batches of about :data:`BATCH` characters."""
        found: list[list[_Job]] = []
        size = BATCH
        for key, text in texts.items():
            if size >= BATCH:
                found.append([])
                size = 0
            job = _Job(key, self._windows(text))
            found[-1].append(job)
            size += sum(map(len, job.windows))
        return found

    def made(self, jobs: Sequence[_Job]) -> Iterator[tuple[bytes, NDArray[Any]]]:
        """Their matrices by key; one without rows is of a text that has to go by its words."""
        import numpy as np

        rows, at = self._rows([one for job in jobs for one in job.windows]), 0
        for job in jobs:
            mine = rows[at : at + len(job.windows)]
            at += len(job.windows)
            usable = mine[np.isfinite(mine).all(axis=1)] if len(mine) else mine
            if len(usable) < len(mine):
                self._troubles.note("not numbers", "the model gave vectors that are no numbers")
            yield job.key, usable.astype(np.float16)

    def _rows(self, texts: Sequence[str]) -> NDArray[Any]:
        import numpy as np

        none = np.zeros((0, 0), np.float32)
        if not texts or self.failed:
            return none
        try:
            found = _sound(self._embedder.vectors(texts), len(texts))
        except Exception as error:  # noqa: BLE001 - those texts go by their words
            self._in_a_row += 1
            self._troubles.note("failed", f"texts could not be embedded ({type(error).__name__})")
            if self._in_a_row >= _FAILURES:
                self.give_up("the model fails with everything")
            return none
        self._in_a_row = 0
        return found

    # ------------------------------------------------------------------ languages

    def _windows(self, text: str) -> list[str]:
        found = windows(text)
        return [] if found and not self._embedder.foreign and self._is_foreign(text) else found

    def _is_foreign(self, text: str) -> bool:
        """A model of English does not understand it; where most texts are like this, another one is taken."""
        found = is_foreign(text)
        self._read[found] += len(looked_at(text))
        if not found or self._read[True] < max(_FOREIGN, 2 * self._read[False]):
            return found
        self._read = {True: 0, False: 0}
        return not self._widened()

    def _widened(self) -> bool:
        try:
            if self._embedder.widen():
                self.models += 1
                return True
            words = "most texts are not English, and no model of more languages is at hand"
        except Exception as error:  # noqa: BLE001 - the model that is loaded stays
            words = f"the model for other languages than English cannot be loaded ({type(error).__name__})"
        self._troubles.note("other languages", words)
        return False


def _sound(given: Any, count: int) -> NDArray[Any]:
    """Rows of unit length; what is no number stays none.

    Raises:
        ValueError: the model gave something else than a row for each text.
    """
    import numpy as np

    found: NDArray[Any] = np.array(given, dtype=np.float32)
    if found.ndim != 2 or len(found) != count:
        raise ValueError("not a row for each text")
    with np.errstate(all="ignore"):
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        np.divide(found, lengths, out=found, where=lengths > 0)
    found[lengths[:, 0] == 0] = np.nan
    return found

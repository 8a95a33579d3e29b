"""A model that is none: words of one meaning lie on one axis."""

import numpy as np

MEANINGS = {
    word: axis
    for axis, words in enumerate(
        (
            "car automobile vehicle garage",
            "doctor physician hospital clinic",
            "money invoice refund payment",
            "rain weather storm sunshine",
            "cat kitten pet animal",
            "yes please thanks okay",
        )
    )
    for word in words.split()
}


class Model:
    """What :class:`ctxkit.hygiene.embedding.Embedder` is, without a model.

    Attributes:
        asked: the texts of each call.
        broken: raised instead of an answer.
    """

    def __init__(self, *, foreign=True, wide=False, broken=None, unloadable=None):
        self.foreign, self._wide = foreign, wide
        self.broken, self.unloadable = broken, unloadable
        self.asked, self.loads, self.forks = [], 0, 0

    def load(self):
        self.loads += 1
        if self.unloadable is not None:
            raise self.unloadable

    def widen(self):
        self.foreign = self.foreign or self._wide
        return self._wide

    def forked(self):
        self.forks += 1

    def vectors(self, texts):
        self.asked.append(list(texts))
        if self.broken is not None:
            raise self.broken
        return np.array([self.vector(text) for text in texts], dtype=np.float32)

    def vector(self, text):
        found = np.full(len(MEANINGS), 0.01)
        for word in text.lower().replace(".", " ").split():
            found[MEANINGS.get(word, len(MEANINGS) - 1 - len(word) % 7)] += 1.0 if word in MEANINGS else 0.05
        return found

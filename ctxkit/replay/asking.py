"""How often recorded conversations begin with the same question: word for word, and in other words where a model is at hand.

It is told, and nothing is made of it: a question in other words is another request, with an answer of its own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ctxkit import dialects
from ctxkit.hygiene.embedding import AUTO, ENGLISH, at_hand, installed
from ctxkit.hygiene.questions import FALSE, asked_again

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ctxkit.hygiene.questions import Again
    from ctxkit.policy import Policy
    from ctxkit.replay.posing import Posed

__all__ = ["opening", "questions", "said"]

_LONGEST = 1_000  # characters of what may be a question: beyond, it is a document
_FEW = 10  # questions: of fewer nothing is told
_MOST = 1_000  # wordings that a model is shown: ten seconds or so


def opening(one: Posed) -> str:
    """What a user says first in a request; ``""``: nothing, or too much for a question."""
    dialect = dialects.get(one.dialect)
    if dialect is None:
        return ""
    spoken = (message for message in dialect.view(one.body).messages if message.role == "user")
    texts = [part.text for part in next((message.parts for message in spoken), ()) if part.kind == "text" and part.text]
    return texts[-1] if texts and len(texts[-1]) <= _LONGEST else ""


def questions(asked: Sequence[str], policy: Policy) -> Again | None:
    """How often each of them was asked before; ``None``: there are too few."""
    known = [one for one in asked if one.strip()]
    return asked_again(known, _embedding(policy), most=_MOST) if len(known) >= _FEW else None


def _embedding(policy: Policy) -> Callable[[Sequence[str]], NDArray[Any]] | None:
    """The model of the policy, where it is at hand: an audit sends nothing, and fetches nothing either."""
    named = policy.tidy.relevance
    model = ENGLISH if named == AUTO else named
    if named == "lexical" or not installed() or at_hand(model) is None:
        return None
    return lambda texts: _rows(model, texts)


def _rows(model: str, texts: Sequence[str]) -> NDArray[Any]:
    """The first window of each text, which is all of nearly any question; zeros of what says nothing to the model."""
    import numpy as np

    from ctxkit.hygiene.vectors import shared

    found = shared(model).get(texts, math.inf)
    width = max((one.shape[1] for one in found if one is not None and len(one)), default=1)
    none = np.zeros(width, np.float32)
    return np.stack([none if one is None or not len(one) else one[0].astype(np.float32) for one in found])


def said(found: Again, policy: Policy) -> str:
    """In a sentence or two."""
    told = (
        f"Of {found.asked:,} conversations that begin with a question, {_share(found.exactly, found)} begin with one asked "
        "before, word for word"
    )
    if found.reworded is None:
        return f"{told}; in other words: not known without a model (ctxkit[semantic])."
    told = f"{told}, {_share(found.reworded, found)} more with one in other words (cosine from {found.threshold:g} on)."
    if policy.tidy.relevance not in {AUTO, ENGLISH}:
        return f"{told} How often this model is wrong there was not measured."
    wrong = " and ".join(f"{share:.1%} ({name})" for name, share in FALSE.items())
    return f"{told} Of such matches {wrong} are about something else, and more are not the same question: nothing is answered by them."


def _share(count: int, found: Again) -> str:
    return f"{count:,} ({count / found.asked:.1%})"

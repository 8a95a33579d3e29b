"""Where a handle may end in a request: behind tools and system instruction, or behind any turn that is not the model's.

Contents of a handle must not end with a turn of the model, and something must be left to be sent beside it
(ai.google.dev caching, 2026-09-11; the error as observed on 2026-09-07).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ctxkit.caching.layout import Layout

__all__ = ["Boundary", "boundaries"]

_SIZE = 16


class Boundary(NamedTuple):
    """A place at which a handle may end.

    Attributes:
        key: keyed hash, in hexadecimal digits, of all that the handle would hold, its account and model.
        message: number in the request of the last message it holds.
        tokens: it would hold, by the estimate.
    """

    key: str
    message: int
    tokens: int


def boundaries(layout: Layout, tokens: Callable[[float], float], head: bytes) -> tuple[Boundary, ...]:
    """The places at which a handle may end in this request, the shortest first.

    Args:
        layout: the request.
        tokens: turns the estimated tokens of a prefix into those the provider would count.
        head: keyed hash of what else must be equal: account, model, how tools are to be used.
    """
    return tuple(
        Boundary(
            hashlib.sha256(head + layout.positions[index].link).hexdigest()[: 2 * _SIZE],
            layout.source(index),
            round(tokens(layout.positions[index].tokens)),
        )
        for index in _ends(layout)
    )


def _ends(layout: Layout) -> Iterator[int]:
    positions = layout.positions
    for index, position in enumerate(positions[:-1]):
        after = positions[index + 1]
        if after.message == position.message or after.tier != "messages":
            continue  # in the middle of a message, or of what stands before the conversation
        if position.tier != "messages" or position.role != "assistant":
            yield index

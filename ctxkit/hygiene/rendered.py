"""What actions come to, remembered by what they depend on: a conversation that grows says the same of what is over."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, TypeAlias

from ctxkit.editable import Fold
from ctxkit.hygiene.memo import Memo
from ctxkit.hygiene.stubs import said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctxkit.editable import Action
    from ctxkit.hygiene.history import History
    from ctxkit.hygiene.stubs import Sayings

    _Key: TypeAlias = tuple[bytes, Action, str | None]

__all__ = ["Rendered"]


class Rendered:
    """Renders actions; one per kit, for all threads.

    Args:
        size: characters of all that is remembered.
    """

    def __init__(self, size: int = 4_000_000) -> None:
        self._known: Memo[_Key, Sayings] = Memo(size, _size)

    def __call__(self, history: History, chain: Sequence[bytes], action: Action, ref: str | None) -> Sayings:
        """What an action comes to; ``chain`` names the prefixes of the history, ``ref`` is what the model can recall it by."""
        key = (chain[_reach(history, action)], action, ref)
        return self._known.get(key, lambda _: said(history, action, ref=ref))


def _size(_: _Key, sayings: Sayings) -> int:
    rewrites, gone = sayings
    return sum(len(one.text) for one in rewrites) + len(gone)


def _reach(history: History, action: Action) -> int:
    """Index of the last message that is looked at: the one behind a stretch, the model's next step behind a piece."""
    if isinstance(action, Fold):
        return min(action.end, history.count - 1)
    at = bisect_right(history.steps, action.place[0])
    return history.steps[at] if at < len(history.steps) else history.count - 1

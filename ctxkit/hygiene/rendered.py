"""What actions come to, remembered by what they depend on: a conversation that grows says the same of what is over."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from typing import TYPE_CHECKING

from ctxkit.editable import Fold
from ctxkit.forks import on_fork
from ctxkit.hygiene.stubs import said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctxkit.editable import Action
    from ctxkit.hygiene.editing import Sayings
    from ctxkit.hygiene.history import History

__all__ = ["Rendered"]


class Rendered:
    """Renders actions; one per kit, for all threads.

    Args:
        size: actions remembered.
    """

    def __init__(self, size: int = 5_000) -> None:
        self._size = size
        self._known: OrderedDict[tuple[bytes, Action, str | None], Sayings] = OrderedDict()
        self._renew()
        on_fork(self, "_renew")

    def _renew(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()

    def __call__(self, history: History, chain: Sequence[bytes], action: Action, ref: str | None) -> Sayings:
        """What an action comes to; ``chain`` names the prefixes of the history, ``ref`` is what the model can recall it by."""
        key = (chain[_reach(history, action)], action, ref)
        found = self._known.get(key)
        if found is None:
            found = said(history, action, ref=ref, recallable=ref is not None)
            with self._lock:
                self._known[key] = found
                while len(self._known) > self._size:
                    self._known.popitem(last=False)
        return found


def _reach(history: History, action: Action) -> int:
    """Index of the last message that is looked at: the one behind a stretch, the model's next step behind a piece."""
    if isinstance(action, Fold):
        return min(action.end, history.count - 1)
    at = bisect_right(history.steps, action.place[0])
    return history.steps[at] if at < len(history.steps) else history.count - 1

"""What a server refused on our account: it is not asked again.

A rule may be wrong about a server, or the platform about its name. A request that carries something of ours and is
answered with 400, before any like it was answered well, is taken for a refusal of what we added; afterwards a 400 is
the application's own. Where the door can send once more, the request goes again as it was: when that is refused, too,
it was not our doing. Kept in this process, bounded.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from ctxkit.forks import on_fork

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["BAD_REQUEST", "Refusals"]

BAD_REQUEST = frozenset({400, 422})
"""How servers refuse a field that they do not know."""
_MOST = 2_000


class Refusals:
    """Remembers of each kind of addition whether it is taken."""

    def __init__(self) -> None:
        self._taken: OrderedDict[Hashable, bool] = OrderedDict()
        self._fresh_lock()
        on_fork(self, "_fresh_lock")

    def refused(self, kind: Hashable) -> bool:
        """A request with this addition was refused, and none was taken before."""
        return self._taken.get(kind) is False

    def answered(self, kind: Hashable, status: int | None) -> bool:
        """A request with this addition was answered; True when that is a refusal which nobody knew of."""
        if status is None or (status >= 300 and status not in BAD_REQUEST):
            return False
        with self._lock:
            if kind in self._taken:
                self._taken.move_to_end(kind)
                return False
            self._taken[kind] = status < 300
            while len(self._taken) > _MOST:
                self._taken.popitem(last=False)
        return status >= 300

    def absolved(self, kind: Hashable) -> None:
        """The same request was refused without the addition, too: nothing is known of it."""
        with self._lock:
            if self._taken.get(kind) is False:
                del self._taken[kind]

    def _fresh_lock(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()

"""What goes wrong inside ctxkit: counted every time, logged once, never the user's problem."""

from __future__ import annotations

import logging
import threading
from collections import Counter

__all__ = ["Faults"]

_log = logging.getLogger("ctxkit")


class Faults:
    """Counts faults by place and kind; logs the first of each; re-raises when ``strict``.

    Attributes:
        counts: ``{"plan: KeyError": 3}``; read it, or see ``ctxkit doctor`` and the report.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def note(self, where: str, error: BaseException, advice: str = "") -> None:
        """An internal fault at ``where``: the user's call goes on without ctxkit.

        Raises:
            BaseException: ``error`` itself, when ``strict``.
        """
        if self.strict:
            raise error
        self._count(f"{where}: {type(error).__name__}", f"{error} {advice}".strip(), exc_info=error)

    def warn(self, where: str, message: str) -> None:
        """Something a person should hear of once, which is no fault of ours (a malformed body, a signed request)."""
        self._count(where, message)

    def _count(self, key: str, message: str, exc_info: BaseException | None = None) -> None:
        with self._lock:
            self.counts[key] += 1
            first = self.counts[key] == 1
        if first:
            # The traceback is for the debug level: it may hold values from the request.
            _log.warning("ctxkit: %s: %.300s (your call goes on unchanged; said once, counted always)", key, message)
            if exc_info is not None:
                _log.debug("ctxkit: %s", key, exc_info=exc_info)

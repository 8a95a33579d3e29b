"""What goes wrong inside ctxkit: counted every time, logged once, never the user's problem."""

from __future__ import annotations

import contextlib
import logging
import threading
import traceback
from collections import Counter

from ctxkit.errors import CtxkitError, StoreError
from ctxkit.forks import on_fork

__all__ = ["Faults", "advice_for"]

_log = logging.getLogger("ctxkit")


class Faults:
    """Counts faults by place and kind; logs the first of each; re-raises when ``strict``.

    Attributes:
        counts: ``{"plan: KeyError": 3}``; read it, or see ``ctxkit doctor`` and the report.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        self.counts: Counter[str] = Counter()
        self._fresh_lock()
        on_fork(self, "_fresh_lock")

    def note(self, where: str, error: BaseException, advice: str = "") -> None:
        """An internal fault at ``where``: the user's call goes on without ctxkit.

        Raises:
            BaseException: ``error`` itself, when ``strict``.
        """
        if self.strict:
            raise error
        key = f"{where}: {type(error).__name__}"
        if self._is_first(key):
            _say(key, f"{_told(error)} {advice}".strip(), error)

    def warn(self, where: str, message: str) -> None:
        """Something a person should hear of once, which is no fault of ours (a malformed body, a signed request)."""
        if self._is_first(where):
            _say(where, message)

    def _is_first(self, key: str) -> bool:
        with self._lock:
            self.counts[key] += 1
            return self.counts[key] == 1

    def _fresh_lock(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()


def advice_for(error: Exception) -> str:
    """What to do about a fault: a full disk is nobody's to report."""
    return "" if isinstance(error, StoreError) else "Please report it."


def _say(key: str, message: str, error: BaseException | None = None) -> None:
    with contextlib.suppress(Exception):  # a filter or handler of the application's own may raise
        _log.warning("ctxkit: %s: %.300s (your call goes on unchanged; said once, counted always)", key, message)
        if error is not None and _log.isEnabledFor(logging.DEBUG):
            _log.debug("ctxkit: %s\n%s", key, "".join(traceback.format_tb(error.__traceback__)))


def _told(error: BaseException) -> str:
    """What may be written down of an error: of a foreign one only its place, because its text may quote a prompt."""
    if isinstance(error, CtxkitError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}." if trace else ""

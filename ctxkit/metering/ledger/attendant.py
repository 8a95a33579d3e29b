"""The thread that brings the ledger's database up to date while the application goes on."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Attendant"]

_PAUSE: Final = 0.5  # seconds between two rounds, unless much is new
_LONGEST_PAUSE: Final = 30.0  # after rounds that failed
_MUCH: Final = 256 << 10  # bytes


class Attendant:
    """Runs ``round_`` some time after something was written; sleeps when nothing is.

    The thread starts with the first writing. It does not keep the owner of ``round_`` alive.

    Args:
        round_: a bound method; False when it has to be run again although nothing new was written.
    """

    def __init__(self, round_: Callable[[], bool]) -> None:
        self._round = weakref.WeakMethod(round_)
        self._thread: threading.Thread | None = None
        self._some, self._much, self._stopped = threading.Event(), threading.Event(), threading.Event()
        self._starting = threading.Lock()
        self._new = 0
        weakref.finalize(round_.__self__, _set, self._some, self._much, self._stopped).atexit = False  # type: ignore[attr-defined]

    def stir(self, size: int) -> None:
        """So many bytes were written."""
        self._new += size
        if self._new > _MUCH and not self._much.is_set():
            self._much.set()
        if not self._some.is_set():
            self._some.set()
            self._start()

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None:
                return
            thread = threading.Thread(target=self._work, name="ctxkit-ledger", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no more threads, or the interpreter ends: the next writing tries again
                self._some.clear()
            else:
                self._thread = thread

    def stop(self) -> None:
        """End the thread; it may be in a round for a moment still."""
        _set(self._some, self._much, self._stopped)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(2.0)

    def _work(self) -> None:
        pause = _PAUSE
        while self._some.wait() and not self._stopped.is_set():
            self._much.wait(pause)
            self._much.clear()
            self._some.clear()
            self._new = 0
            round_ = self._round()
            if round_ is None or self._stopped.is_set():
                return
            if round_():
                pause = _PAUSE
            else:
                pause = min(2 * pause, _LONGEST_PAUSE)
                self._some.set()
            del round_  # holds the owner


def _set(*events: threading.Event) -> None:
    for event in events:
        event.set()

"""Vocabulary and prices, loaded in a thread of their own so that the first request does not wait for them."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from ctxkit.metering.meter import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxkit.faults import Faults

__all__ = ["Warming"]

_LONGEST = 10.0  # seconds a fork waits for vocabulary and prices; they take less than one


class Warming:
    """Loads once; one per kit.

    Args:
        work: what is to be done in the thread.
        faults: told of what goes wrong; the first request meets it again.
    """

    def __init__(self, work: Callable[[], None], faults: Faults) -> None:
        self._work = work
        self._faults = faults
        self._thread: threading.Thread | None = None
        try:
            load()  # in this thread: see there
        except Exception as error:  # noqa: BLE001 - without prices everything is counted all the same
            faults.warn("warm", type(error).__name__)
        with contextlib.suppress(RuntimeError):  # no more threads: the first request waits a little instead
            thread = threading.Thread(target=self._run, name="ctxkit-warm", daemon=True)
            thread.start()
            self._thread = thread

    def _run(self) -> None:
        try:
            self._work()
        except Exception as error:  # noqa: BLE001 - the first request meets it again, and says so
            self._faults.warn("warm", type(error).__name__)

    def join(self) -> None:
        """Wait until it is done, before a fork: a child must not find modules half imported."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_LONGEST)
            self._thread = None

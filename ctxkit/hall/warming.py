"""Vocabulary and prices, loaded in a thread of their own so that the first request does not wait for them.

A model that tells relevance takes seconds more: it is loaded behind them, in a thread that nobody waits for.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from ctxkit.hall.relevant import warm_relevance
from ctxkit.metering.meter import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxkit.faults import Faults
    from ctxkit.hygiene.relevance import Relevance
    from ctxkit.metering.meter import Meter

__all__ = ["Warming"]

_LONGEST = 10.0  # seconds a fork waits for vocabulary and prices; they take less than one


class Warming:
    """Loads once; one per kit.

    Args:
        meter: opens the meter.
        at: unix time in seconds whose prices are loaded.
        faults: told of what goes wrong; the first request meets it again.
        relevance: opens what tells relevance; ``None``: nobody will ask for it.
    """

    def __init__(
        self, meter: Callable[[], Meter], at: float, faults: Faults, relevance: Callable[[], Relevance] | None
    ) -> None:
        self._meter, self._at, self._relevance = meter, at, relevance
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
            self._meter().warm(self._at)
            if self._relevance is not None:
                warm_relevance(self._relevance())
        except Exception as error:  # noqa: BLE001 - the first request meets it again, and says so
            self._faults.warn("warm", type(error).__name__)

    def join(self) -> None:
        """Wait until it is done, before a fork: a child must not find modules half imported."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_LONGEST)
            self._thread = None

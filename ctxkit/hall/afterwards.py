"""Work that no request waits for: a thread of its own does it, while the application waits for answers. Part of the hall.

The thread begins with the first job and ends when none has come for a while. Where the application never waits it does one
job in a while, and after each it rests much longer than the job took, so that nine tenths of the time are left to others.
What cannot be kept up with is for whoever offers jobs to leave out.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from ctxkit.forks import on_fork

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxkit.faults import Faults
    from ctxkit.model import Json

__all__ = ["Afterwards", "copied"]

J = TypeVar("J")

_QUEUE = 64
_DELAY = 0.5  # seconds after which a thread begins: a process that ends by then leaves it
_LINGER = 5.0  # seconds that it waits for more
_IDLE = 0.02  # seconds without a request after which the application is waiting for answers
_PATIENCE = 5.0  # seconds after which one job is done although it is not
_REST = 9.0  # times as long as a job took that nothing is done then


class Afterwards(Generic[J]):
    """Does jobs in order, one after another, in a thread of its own.

    Args:
        name: of the work, for people.
        work: does a job; what it raises is counted and told, and nothing depends on it.
        faults: told of what goes wrong.

    Attributes:
        lock: of the queue.
        queue: jobs that wait.
        working: held while a job is done.
        failed: jobs that failed.
        closed: nothing is done any more.
    """

    def __init__(self, name: str, work: Callable[[J], None], faults: Faults) -> None:
        self._name = name
        self._work = work
        self._faults = faults
        self.failed = 0
        self._last = 0.0
        self._renew()
        on_fork(self, "_renew")

    def _renew(self) -> None:
        """A forked child has no such thread, and what waited is its parent's to do."""
        self.queue: deque[J] = deque()
        self.lock = threading.RLock()
        self.working = threading.RLock()
        self._some = threading.Event()
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None
        self.closed = False

    # ------------------------------------------------------------------ on a request's path

    @property
    def full(self) -> bool:
        """There is no room for another job."""
        return len(self.queue) >= _QUEUE

    @property
    def running(self) -> bool:
        """There is a thread."""
        return self._thread is not None

    def stirred(self) -> None:
        """The application does something, and does not wait for answers only."""
        self._last = time.monotonic()

    def put(self, job: J) -> None:
        """Let it be done when there is time."""
        with self.lock:
            self.queue.append(job)
            self._begin()
        self._some.set()

    def _begin(self) -> None:
        if self._thread is None:
            try:
                self._thread = threading.Thread(target=self._run, name=f"ctxkit-{self._name}", daemon=True)
                self._thread.start()
            except RuntimeError:  # no more threads, or the process ends: nothing is done then
                self._thread, self.closed = None, True

    # ------------------------------------------------------------------ in its own thread

    def _run(self) -> None:
        """Do what comes; end when nothing has come for a while."""
        self._hurry.wait(_DELAY)
        while not self.closed and self._more():
            self._await_idleness()
            begun = time.monotonic()
            if self._step():
                self._hurry.wait(_REST * (time.monotonic() - begun))

    def _more(self) -> bool:
        """Something waits, perhaps after a while; if not, the next job begins another thread."""
        while not self.queue and self._some.wait(_LINGER):
            self._some.clear()
        with self.lock:
            if not self.queue:
                self._thread = None
            return bool(self.queue)

    def _await_idleness(self) -> None:
        begun = now = time.monotonic()
        while not self.closed and now - self._last < _IDLE and now - begun < _PATIENCE:
            if self._hurry.wait(_IDLE):
                return
            now = time.monotonic()

    def _step(self) -> bool:
        """Do the next job that waits; ``False``: none does."""
        with self.working:
            with self.lock:
                if self.closed or not self.queue:
                    return False
                job = self.queue.popleft()
            try:
                self._work(job)
            except Exception as error:  # noqa: BLE001 - nothing depends on it
                self.failed += 1
                self._faults.warn(self._name, type(error).__name__)
            return True

    # ------------------------------------------------------------------ at its end

    def flush(self) -> None:
        """Do everything that waits, now and in this thread."""
        self._hurry.set()
        try:
            while self._step():
                pass
        finally:
            self._hurry.clear()

    def close(self) -> None:
        """Let the thread end; what waits is left out. Returns when nothing is being done any more."""
        self.closed = True
        self._hurry.set()
        self._some.set()
        with self.working, self.lock:
            self.queue.clear()


def copied(body: Json) -> Json:
    """The body as it is now: applications append to the list of messages that they have sent."""
    if not isinstance(body, dict):
        return body
    return {name: list(value) if isinstance(value, list) else value for name, value in body.items()}

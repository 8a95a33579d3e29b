"""Vectors of texts, remembered by content and computed in a thread of its own: a request takes what is there.

What is asked for and not known waits in a short queue. The thread loads the model, which takes seconds, then takes
texts off the queue, batch by batch; when nothing has come for a while it ends. Remembered are vectors of half precision
under a digest of their text, and never the text.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import math
import os
import sys
import threading
import time
from collections import OrderedDict
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ctxkit.forks import Quiet, on_fork
from ctxkit.hygiene.embedding import Embedder
from ctxkit.hygiene.matrices import BATCH, Maker, Troubles
from ctxkit.hygiene.windows import looked_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ctxkit.hygiene.embedding import Embeds

__all__ = ["Vectors", "shared"]

_SIZE = 48_000_000  # bytes of vectors: those of some 60,000 windows
_QUEUE = 20_000_000  # characters that wait at most
_LINGER = 5.0  # seconds that the thread waits for more
_LONGEST = 60.0  # seconds that a batch, or loading, may take before somebody is told
_HALF = 10.0  # seconds that a fork waits for a model that is being loaded
_LAST = 5.0  # seconds that the end of the process waits for a batch
_NICE = 10  # how far the thread steps back


class Vectors:
    """Matrices of texts, a row for each window; for all threads, and for all kits of a process that use one model.

    Args:
        embedder: makes vectors.
        size: bytes of them that are remembered.

    Attributes:
        troubles: what went wrong.
    """

    def __init__(self, embedder: Embeds, size: int = _SIZE) -> None:
        self.troubles = Troubles()
        self._maker = Maker(embedder, self.troubles)
        self._size = size
        self._held = 0
        self._known: OrderedDict[bytes, NDArray[Any]] = OrderedDict()
        self._models = 0
        self._state = "new"  # "loading", "ready"; "forked" in a child of a process that was ready
        self._quiet = Quiet()
        self._renew()
        on_fork(self, "_forked", before="_hold", parent="_release")

    def _renew(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._making = threading.Lock()  # the model is for one thread at a time
        self._waiting: OrderedDict[bytes, str] = OrderedDict()
        self._taken: dict[bytes, str] = {}  # what the thread works at
        self._queued = 0  # characters that wait
        self._begun: float | None = None
        self._thread: threading.Thread | None = None

    @property
    def failed(self) -> bool:
        """No more vectors come: the model cannot be loaded, or none is at hand."""
        return self._maker.failed

    # ------------------------------------------------------------------ on the request's path

    def get(
        self, texts: Sequence[str], wait: float = 0.0, *, urgent: bool = False, late: bool = True
    ) -> list[NDArray[Any] | None]:
        """For each text its matrix, without rows where it says nothing to the model; ``None``: not known yet.

        Args:
            texts: as they stand.
            wait: seconds that may be waited for what is missing once the model is loaded, never in an event loop;
                ``math.inf``: what is missing is made here and now.
            urgent: what is missing is made before what waits already.
            late: it is a trouble when they are not there in time.
        """
        keys = [_key(text) for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        if missing and not self.failed:
            if wait == math.inf:
                self._make(missing)
            else:
                self._ask(missing, wait, urgent=urgent, late=late)
        with self._changed:
            return [self._found(key) for key in keys]

    def begin(self) -> None:
        """Load the model in the thread, if it is not there yet."""
        with self._changed:
            self._start()

    def _found(self, key: bytes) -> NDArray[Any] | None:
        if key in self._known:
            self._known.move_to_end(key)
        return self._known.get(key)

    def _ask(self, missing: Mapping[bytes, str], wait: float, *, urgent: bool, late: bool) -> None:
        with self._changed:
            self._enqueue(missing, urgent=urgent)
            self._start()
            self._look_for_delays()
            if wait <= 0 or self._state != "ready" or _in_event_loop():
                return
            there = self._changed.wait_for(lambda: self.failed or missing.keys() <= self._known.keys(), wait)
            if late and not there:
                self.troubles.note("late", f"vectors were not there within {wait:g} s")

    def _enqueue(self, missing: Mapping[bytes, str], *, urgent: bool) -> None:
        for key, text in missing.items():
            if key in self._taken:
                continue
            if key not in self._waiting:
                self._waiting[key] = text
                self._queued += len(text)
            if urgent:
                self._waiting.move_to_end(key, last=False)
        while self._queued > _QUEUE:
            self._queued -= len(self._waiting.popitem()[1])
            self.troubles.note("crowded", "more texts come than vectors can be made of")
        self._changed.notify_all()

    def _look_for_delays(self) -> None:
        begun = self._begun  # the thread may be done at any moment
        if begun is not None and time.monotonic() - begun > _LONGEST:
            self.troubles.note("slow", f"loading the model, or a few texts, takes longer than {_LONGEST:g} s")
            self._begun = None  # told once of each

    def _start(self) -> None:
        if self._thread is not None or self.failed:
            return
        try:
            self._thread = threading.Thread(target=self._work, name="ctxkit-vectors", daemon=True)
            self._thread.start()
        except RuntimeError:  # no more threads, or the process ends
            self._thread = None

    # ------------------------------------------------------------------ in the thread

    def _work(self) -> None:
        _step_back()
        try:
            self._load()
            while self._next():
                self._make(self._taken)
        except Exception as error:  # noqa: BLE001 - nobody else would hear of it
            self._maker.give_up(f"an internal fault: {type(error).__name__}; please report it")

    def _next(self) -> bool:
        """Take some of what waits, perhaps after a while; ``False``: nothing does, and the thread ends."""
        with self._changed:
            self._taken = {}
            self._changed.notify_all()
            self._changed.wait_for(lambda: bool(self._waiting) or self.failed, _LINGER)
            if self.failed or not self._waiting:
                self._waiting.clear()
                self._queued, self._thread = 0, None
                return False
            taken = 0
            while self._waiting and taken < BATCH:
                key, text = self._waiting.popitem(last=False)
                self._taken[key] = text
                taken += len(text)
            self._queued -= taken
            return True

    def _make(self, texts: Mapping[bytes, str]) -> None:
        """Their matrices, batch by batch; those that came meanwhile are left out."""
        self._load()
        with self._making:
            missing = {key: text for key, text in texts.items() if key not in self._known}
            for batch in self._maker.batches(missing):
                with self._quiet:
                    self._begun = time.monotonic()
                    made = dict(self._maker.made(batch))
                    self._begun = None
                self._keep(made)

    def _load(self) -> None:
        with self._making:
            if self.failed or self._state == "ready":
                return
            forked, self._state = self._state == "forked", "loading"
            self._begun = time.monotonic()
            self._maker.forked() if forked else self._maker.load()
            self._begun = None
            with self._changed:
                self._state = "ready"
                self._changed.notify_all()

    def _keep(self, made: Mapping[bytes, NDArray[Any]]) -> None:
        with self._changed:
            if self._models != self._maker.models:
                self._known.clear()
                self._held, self._models = 0, self._maker.models
            for key, rows in made.items():
                self._known[key] = rows
                self._held += _bytes(rows)
            while self._held > self._size:
                self._held -= _bytes(self._known.popitem(last=False)[1])
            self._changed.notify_all()

    def flush(self) -> None:
        """Make, here and now, the vectors of everything that waits, and wait for those that are being made."""
        with self._changed:
            waiting, self._waiting, self._queued = self._waiting, OrderedDict(), 0
        self._make(waiting)
        with self._changed:
            self._changed.wait_for(lambda: not self._taken, _LONGEST)

    def close(self) -> None:
        """Make no more. A process that ends in the middle of a batch would end with a cry of torch."""
        with self._changed:
            thread, busy = self._thread, self._state == "ready"
            self._maker.give_up()
            self._changed.notify_all()
        if thread is not None and busy:
            thread.join(_LAST)

    # ------------------------------------------------------------------ forks

    def _hold(self) -> None:
        """A child that finds modules half imported cannot import them again, nor can the application there."""
        with self._changed:
            self._changed.wait_for(lambda: self._state != "loading", _HALF)
        self._quiet.hold()

    def _release(self) -> None:
        self._quiet.release()

    def _forked(self) -> None:
        """A child has no such thread, and what waited is its parent's; a model that was half loaded is no good."""
        self._quiet.renew()
        self._renew()
        if self._state == "loading":
            self._maker.give_up("the process forked while the model was being loaded")
        elif self._state == "ready":
            self._state = "forked"


@lru_cache(maxsize=4)
def shared(model: str) -> Vectors:
    """The vectors of a model, one for all kits of the process: a model is loaded once."""
    found = Vectors(Embedder(model))
    atexit.register(found.close)
    return found


def _key(text: str) -> bytes:
    return hashlib.blake2b(looked_at(text).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _bytes(rows: NDArray[Any]) -> int:
    return int(rows.nbytes) + 200  # what the entry itself takes


def _in_event_loop() -> bool:
    """Nobody waits where other tasks would wait, too."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    with contextlib.suppress(RuntimeError):
        return asyncio.get_running_loop() is not None
    return False


def _step_back() -> None:
    """The application's own threads go first, where a thread can have a priority of its own."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)

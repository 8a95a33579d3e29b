"""Recordings worked through by several processes: in order, a few at a time, with the same results however many there are.

Each process starts anew (nothing is inherited but the policy), works on a handful of recordings at once and gives back
figures. What fails in one recording is told of that one. Interrupted, the processes end with their parent.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, TypeVar

from ctxkit.errors import CtxkitError
from ctxkit.replay.measuring import measured, replayed_too
from ctxkit.replay.resending import Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future
    from multiprocessing.process import BaseProcess

    from ctxkit.policy import Policy
    from ctxkit.replay.measuring import Measured
    from ctxkit.replay.posing import Assumed
    from ctxkit.replay.recording import Recording
    from ctxkit.replay.resending import Bill

__all__ = ["Failed", "Order", "Replayed", "Task", "Worked", "processors", "worked"]

_BATCH = 64  # requests that are worth being sent to another process at once
_FEW = 4  # batches that are worth starting a process for
_AHEAD = 3  # batches that wait for each process
_RARELY = (50_000, 20, 50)
"""When garbage is collected: frozen values hold no cycles, and looking for them takes a sixth of the time."""


class Failed(NamedTuple):
    """A recording that could not be worked on: where it stands and why."""

    source: str
    why: str


class Replayed(NamedTuple):
    """What a recording would have come to, by mode, and at the least."""

    bills: dict[str, Bill]
    optimum: int | None


Worked: TypeAlias = "Measured | Replayed | Failed"


T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class Task(Protocol[T_co]):
    """What is done with each recording; it is sent to other processes, and so is what it gives."""

    @property
    def policy(self) -> Policy:
        """Whose prices, rules and passes are used."""
        ...

    def __call__(self, recording: Recording, bench: Bench, /) -> T_co:
        """Do it; must not raise, so that the others are worked on."""
        ...


class Order(NamedTuple):
    """What is to be done with recordings.

    Attributes:
        policy: whose prices, rules and passes are used.
        assumed: how they are replayed.
        replays: they are; else they are measured as they were sent.
        each: requests for each whose drift is measured; 1: all recordings are measured closely.
    """

    policy: Policy
    assumed: Assumed
    replays: bool = False
    each: int = 1

    def __call__(self, recording: Recording, bench: Bench) -> Worked:
        """Do it; whatever a recording holds, the others are worked on."""
        try:
            if self.replays:
                return Replayed(*replayed_too(recording, bench, self.assumed))
            return measured(recording, bench, self.assumed, each=self.each)
        except Exception as error:  # noqa: BLE001 - recordings come from anywhere
            return Failed(recording.source, f"{recording.name}: cannot be audited: {type(error).__name__}")


def processors() -> int:
    """How many processes may work at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worked(
    recordings: Iterable[Recording], order: Task[T], processes: int, told: Callable[[int], None] | None = None
) -> Iterator[T]:
    """What each recording came to, in their order.

    Args:
        recordings: read as they are needed.
        order: what is done.
        processes: at most; 1: it is done here.
        told: how many requests were worked on, each time some were.

    Raises:
        CtxkitError: a process ended before its time.
    """
    batches = _batches(recordings)
    first = list(islice(batches, _FEW)) if processes > 1 else []
    if len(first) == _FEW:
        yield from _shared(chain(first, batches), order, processes, told)
        return
    bench = Bench(order.policy)
    with _collecting_rarely():
        for one in chain(chain.from_iterable(first), chain.from_iterable(batches)):
            found = order(one, bench)
            if told is not None:
                told(len(one.requests))
            yield found


@contextmanager
def _collecting_rarely() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(*_RARELY)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _batches(recordings: Iterable[Recording]) -> Iterator[list[Recording]]:
    batch: list[Recording] = []
    size = 0
    for one in recordings:
        batch.append(one)
        size += len(one.requests) + 1
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _shared(
    batches: Iterable[list[Recording]], order: Task[T], processes: int, told: Callable[[int], None] | None
) -> Iterator[T]:
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_begin, initargs=(order,))
    waiting: deque[tuple[Future[list[T]], int]] = deque()
    try:
        for batch in batches:
            waiting.append((pool.submit(_work, batch), sum(len(one.requests) for one in batch)))
            while len(waiting) > processes * _AHEAD:
                yield from _next(waiting, told)
        while waiting:
            yield from _next(waiting, told)
        pool.shutdown()
    except BrokenProcessPool:
        raise CtxkitError("a process that audits ended before its time (out of memory?); try --processes 1") from None
    finally:
        _end(pool)


def _next(waiting: deque[tuple[Future[list[T]], int]], told: Callable[[int], None] | None) -> Iterator[T]:
    future, requests = waiting.popleft()
    found = future.result()
    if told is not None:
        told(requests)
    yield from found


def _end(pool: ProcessPoolExecutor) -> None:
    """Let no process outlive its work."""
    held = list((getattr(pool, "_processes", None) or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in held:
        if process.is_alive():
            process.terminate()
    for process in held:
        process.join(5.0)


# ---- in the other process ------------------------------------------------------------------------------------------------

_held: list[tuple[Task[Any], Bench]] = []


def _begin(order: Task[Any]) -> None:
    """Make what is shared, leave interrupts to the parent and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.set_threshold(*_RARELY)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_outlive_not, args=(parent,), daemon=True).start()
    _held[:] = [(order, Bench(order.policy))]


def _outlive_not(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _work(batch: list[Recording]) -> list[Any]:
    order, bench = _held[0]
    return [order(one, bench) for one in batch]

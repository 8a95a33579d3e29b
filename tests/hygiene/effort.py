"""How much work something is, without a clock: what is measured by one fails on a machine that is busy besides."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


def lines_run(call: Callable[[], object]) -> int:
    """Lines of ctxkit that run while ``call`` does: the same number each time."""
    run = 0

    def seen(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal run
        run += event == "line"
        return seen

    def entered(frame: FrameType, event: str, given: Any) -> Any:
        return seen(frame, event, given) if frame.f_globals.get("__name__", "").startswith("ctxkit.") else None

    before = sys.gettrace()
    sys.settrace(entered)
    try:
        call()
    finally:
        sys.settrace(before)
    return run


@contextmanager
def done_with(minutes: float = 2) -> Iterator[None]:
    """What takes a second where work is in proportion, and hours where it is not, comes to an end."""

    def late(*_: object) -> None:
        raise AssertionError(f"still at it after {minutes} minutes: this is not in proportion")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 60 * minutes)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

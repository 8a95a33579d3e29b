"""Running a program as if nobody stood in between: its streams, its signals and its exit code are its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["run_child"]

_NOT_FOUND, _NOT_RUN = 127, 126  # as shells have it
_PASSED_ON = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGBREAK")
_OF_A_TERMINAL = ("SIGINT", "SIGQUIT")


def run_child(words: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command and wait for it; its exit code, 128 + n when signal n ended it.

    Signals that reach us are passed on; those that a terminal sends have reached it already.
    """
    try:
        with _passed_on() as children:
            child = subprocess.Popen(list(words), env=dict(environment))  # noqa: S603 - it is what the user asks for
            children.append(child)
            code = child.wait()
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        why = "no such command" if missing else error.strerror or type(error).__name__
        sys.stderr.write(f"ctxkit run: {words[0]}: {why}\n")
        return _NOT_FOUND if missing else _NOT_RUN
    return 128 - code if code < 0 else code


@contextmanager
def _passed_on() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Inside, signals go to the children in the list."""
    children: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, _frame: object) -> None:
        if signal.Signals(number).name in _OF_A_TERMINAL and _in_foreground():
            return
        for child in children:
            with suppress(OSError):
                child.send_signal(number)

    known = [getattr(signal, name) for name in _PASSED_ON if hasattr(signal, name)]
    # What we ignore (nohup, a job in the background), the child ignores, too: that is left as it is.
    before = {number: signal.getsignal(number) for number in known if signal.getsignal(number) != signal.SIG_IGN}
    try:
        for number in before:
            signal.signal(number, pass_on)
        yield children
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_foreground() -> bool:
    """A terminal sends its signals to all of our group, the child among them."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)

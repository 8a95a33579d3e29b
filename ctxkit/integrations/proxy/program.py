"""Running a program as if nobody stood in between: its streams, its signals and its exit code are its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["run_child"]

_NOT_FOUND, _NOT_RUN = 127, 126  # as shells have it
_PASSED_ON = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGBREAK")
_OF_A_TERMINAL = ("SIGINT", "SIGQUIT")
_LISTEN = 0.2  # seconds between two looks at signals, at the longest


def run_child(words: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command and wait for it; its exit code, 128 + n when signal n ended it.

    Signals that reach us are passed on; those that a terminal sends have reached it already.
    """
    try:
        with _Relay() as relay:
            child = subprocess.Popen(list(words), env=dict(environment))  # noqa: S603 - it is what the user asks for
            relay.to(child)
            code = _waited(child)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        why = "no such command" if missing else error.strerror or type(error).__name__
        sys.stderr.write(f"ctxkit run: {words[0]}: {why}\n")
        return _NOT_FOUND if missing else _NOT_RUN
    return 128 - code if code < 0 else code


def _waited(child: subprocess.Popen[bytes]) -> int:
    """Wait in a thread: a signal that comes just before the main one begins to would not be heard before the end."""
    over = threading.Event()

    def wait() -> None:
        child.wait()
        over.set()

    threading.Thread(target=wait, name="ctxkit-child", daemon=True).start()
    while not over.wait(_LISTEN):
        pass
    return child.wait()


class _Relay:
    """While it is entered, signals that reach us go to a child."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []  # came before there was a child
        self._before: dict[int, Any] = {}

    def to(self, child: subprocess.Popen[bytes]) -> None:
        """From now on to this one."""
        self._child = child
        while self._early:
            self._pass_on(self._early.pop(0), None)

    def __enter__(self) -> Self:
        for name in _PASSED_ON:
            number = getattr(signal, name, None)
            # What we ignore (nohup, a job in the background), the child ignores, too: that is left as it is.
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._pass_on)
        return self

    def __exit__(self, *_exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler or signal.SIG_DFL)

    def _pass_on(self, number: int, _frame: object) -> None:
        if self._child is None:
            self._early.append(number)
        elif signal.Signals(number).name not in _OF_A_TERMINAL or not _in_foreground():
            with suppress(OSError):
                self._child.send_signal(number)


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

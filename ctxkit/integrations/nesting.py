"""Doors within doors: LiteLLM calls OpenAI's SDK, which calls httpx. The outermost one meters the call."""

from __future__ import annotations

import os
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxkit.kit import Kit

__all__ = ["RUN", "is_nested", "nested", "say_if_run"]

RUN = "CTXKIT_RUN"
"""Set for programs that ``ctxkit run`` runs."""

_nested: ContextVar[bool] = ContextVar("ctxkit_nested", default=False)


@contextmanager
def nested() -> Iterator[None]:
    """Inside, every inner door stands aside."""
    outer = _nested.get()
    _nested.set(True)
    try:
        yield
    finally:
        # Set, not reset by token: a generator may be closed in another context than the one it was begun in.
        _nested.set(outer)


def is_nested() -> bool:
    """An outer door is metering the call that is running."""
    return _nested.get()


def say_if_run(kit: Kit) -> None:
    """A client that is wrapped in a program behind ``ctxkit run`` is metered there as well."""
    if os.environ.get(RUN):
        kit.faults.warn(
            "wrap", "`ctxkit run` meters this program, too: what passes here counts twice; use one of the two"
        )

"""What ctxkit settled while a test ran."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxkit.kit import Kit
    from ctxkit.model import Record

__all__ = ["capture"]


@contextmanager
def capture(kit: Kit | None = None) -> Iterator[list[Record]]:
    """The list of records settled inside, growing as they come; they go to the ledger all the same.

    >>> import ctxkit
    >>> kit = ctxkit.Kit(store=None, ledger=None)
    >>> with capture(kit) as records:
    ...     plan = kit.plan({"model": "m", "messages": []}, dialect="openai.chat")
    ...     _ = kit.settle(plan, {"usage": {"prompt_tokens": 3, "completion_tokens": 1}})
    >>> records[0].usage.fresh
    3

    Args:
        kit: whose records; default: the kit of ``ctxkit.wrap``.
    """
    from ctxkit.defaults import default_kit

    watched = kit or default_kit()
    records: list[Record] = []
    listener = records.append
    watched.listeners.append(listener)
    try:
        yield records
    finally:
        watched.listeners.remove(listener)

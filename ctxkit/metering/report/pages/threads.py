"""Conversations that stand out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.metering.report.pages.words import counted, many, named
from ctxkit.page.values import Column, Section, Table

if TYPE_CHECKING:
    from ctxkit.metering.report.details import Thread
    from ctxkit.metering.report.pages.words import Told
    from ctxkit.page.values import Cell

__all__ = ["conversations"]

_COLUMNS = (
    Column("Conversation"),
    Column("Feature"),
    Column("Requests", "count"),
    Column("Input", "count", "tokens of all its prompts"),
    Column("Cached", "share", "of the input, read from the provider's cache"),
    Column("Cost", "usd"),
    Column("Per request", "usd"),
    Column("Saved", "saved", "by edits and markers; negative: it cost"),
    Column("Predicted", "saved", "what removals decided in it were expected to save"),
    Column("Edits", "text", "by pass; markers are what is said to the provider's cache"),
    Column("Misses", "text", "of the cache, by reason"),
)


def conversations(told: Told) -> Section:
    """The best, the worst and the dearest."""
    details = told.details
    if details is None or not details.threads:
        return Section("Conversations")
    tables = (
        _table("Saved most", details.best),
        _table("Lost most", details.worst),
        _table("Dearest by request", details.dearest),
    )
    text = f"{many(details.threads, 'conversation')} in this period; ten of each kind are shown at most."
    return Section("Conversations", text=(text,), tables=tuple(table for table in tables if table.rows))


def _table(title: str, threads: tuple[Thread, ...]) -> Table:
    return Table(title, _COLUMNS, tuple(map(_row, threads)))


def _row(one: Thread) -> tuple[Cell, ...]:
    cached = one.read / one.input_tokens if one.input_tokens else None
    figures = (one.requests, one.input_tokens, cached, one.cost, one.per_request, one.savings, one.predicted)
    told = (counted(one.edits, "markers"), counted(one.misses, "unknown"))
    return (one.thread, named("feature", one.feature), *figures, *told)

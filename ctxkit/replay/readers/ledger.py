"""The ledger as recordings: threads of requests with their usage and times.

No text is known: bodies hold the model alone, and the service tier where one was reported.
"""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from ctxkit.errors import StoreError, TranscriptError
from ctxkit.model import Usage
from ctxkit.replay.recording import Asked, Recording

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ctxkit.metering.ledger import Ledger
    from ctxkit.replay.readers.values import Complain

__all__ = ["LOOKS", "read_ledger"]

LOOKS: Final = b"SQLite format 3\0"
"""How a file begins that may be a ledger."""

_COLUMNS: Final = (
    *("thread", "dialect", "platform", "created", "attempt", "model", "feature", "http_status", "tier"),
    *("fresh", "read", "written", "output", "reasoning", "media", "calls"),
)
_QUERY: Final = (
    f"SELECT {', '.join(_COLUMNS)} FROM attempts "  # noqa: S608
    "WHERE status IN ('settled', 'partial', 'unverified') AND number > 0 AND created >= ? AND created < ? "
    "ORDER BY thread, dialect, platform, created, attempt"
)
_FEATURE: Final = _COLUMNS.index("feature")
_KEY: Final = 3  # columns that tell one recording from another


def read_ledger(
    path: Path | str, *, since: float | None = None, until: float | None = None, complain: Complain | None = None
) -> Iterator[Recording]:
    """The threads of a ledger, each as it was asked of one platform; requests without a thread stand alone.

    What any process has written so far is taken in first. One thread is held at a time; sorting is SQLite's, on the disk where
    it must be.

    Args:
        path: the ledger's database.
        since: unix time of the first request.
        until: of the first that is not wanted.
        complain: told when it is no ledger; without it that is raised.

    Raises:
        TranscriptError: it is no ledger, or cannot be read.
    """
    from ctxkit.metering.ledger import Ledger
    from ctxkit.metering.ledger.database import streamed

    bounds = (float("-inf") if since is None else since, float("inf") if until is None else until)
    ledger = Ledger(path)
    try:
        _up_to_date(ledger)
        yield from _threads(str(path), streamed(ledger.path, _QUERY, bounds))
    except (StoreError, OSError) as error:
        fault = TranscriptError(f"{path}: cannot be read: {error}")
        if complain is None:
            raise fault from error
        complain(fault)


def _up_to_date(ledger: Ledger) -> None:
    empty = ledger.path.is_file() and not ledger.path.stat().st_size and not ledger.folder.exists()
    if empty or ledger.foreign() or not ledger.exists():
        raise StoreError("it is no ledger of ctxkit")
    with ledger:
        ledger.flush()


def _threads(path: str, rows: Iterable[tuple[Any, ...]]) -> Iterator[Recording]:
    for (thread, dialect, platform), some in groupby(rows, key=lambda row: row[:_KEY]):
        features = dict[str, None]()
        asked = []
        for row in some:
            features[row[_FEATURE] or ""] = None
            asked.append(_asked(path, *row[_KEY:]))
        for each in [(one,) for one in asked] if thread is None else [tuple(asked)]:
            name = thread or each[0].source.rpartition("#")[2]
            yield Recording(
                name, path, "ledger", dialect or "", platform or "", each, feature=next(iter(features)), partial=True
            )


def _asked(
    path: str,
    at: float,
    attempt: str,
    model: str | None,
    feature: str | None,  # noqa: ARG001 - of the thread
    status: int | None,
    tier: str | None,
    *figures: Any,
) -> Asked:
    body = {"model": model or ""}
    if tier is not None:
        body["service_tier"] = tier
    return Asked(body, f"{path}#{attempt}", at, _usage(*figures), model or "", status=status)


def _usage(
    fresh: int | None,
    read: int | None,
    written: str | None,
    output: int | None,
    reasoning: int | None,
    media: str | None,
    calls: str | None,
) -> Usage | None:
    if fresh is None and output is None:
        return None
    return Usage(fresh, read, _map(written), output, reasoning, _map(media) or {}, _map(calls) or {})


def _map(text: str | None) -> dict[str, int] | None:
    return None if text is None else {} if text == "{}" else json.loads(text)

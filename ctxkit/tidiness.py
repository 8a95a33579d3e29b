"""What the user may decide of tidying: the table ``[tool.ctxkit.tidy]``, or ``Policy(tidy=Tidy(...))``."""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

__all__ = ["Tidy", "arrives"]


def arrives(one: Callable[..., Any]) -> bool:
    """A pass of the user's own is for what arrives (three arguments), and not for what is over (one).

    Raises:
        ValueError: it takes neither.
    """
    try:
        wants = inspect.signature(one)
    except (TypeError, ValueError):
        raise ValueError(f"passes: {one!r:.80} does not say which arguments it takes") from None
    for count in (3, 1):
        with contextlib.suppress(TypeError):
            wants.bind(*range(count))
            return count == 3
    raise ValueError(f"passes: {one!r:.80} takes neither (piece, text, before) nor (history)")


class Tidy(BaseModel):
    """Which passes run in the modes ``lossless`` and ``prune``, what they may not touch, and how far they may go.

    Example:
        >>> Tidy(keep_last=6, pins=["ORDER-[0-9]+"]).keep_last
        6
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, arbitrary_types_allowed=True)

    compact: bool = True
    """White space of JSON, colour codes, runs of equal lines, frames of progress bars (``lossless``)."""

    tables: bool = True
    """Arrays of alike objects as tables, where those are shorter (``lossless``; part of ``compact``)."""

    repeats: bool = True
    """What stands earlier in the conversation already becomes a pointer to it (``lossless``)."""

    repeats_within: int = Field(default=100, ge=1)
    """Messages that a pointer may reach back."""

    deltas: bool = True
    """A file that is read again, or a command that is run again, becomes a diff against the earlier copy (``prune``)."""

    stale: bool = True
    """Reads that a later write or read of the same thing has overtaken go, when that pays (``prune``)."""

    touch: Callable[[str, Any], Any] | None = None
    """What a tool of yours reads or writes, for ``stale``: given its name and arguments (see docs/how-to/tidy.md)."""

    spent: bool = True
    """Old, large results of tools that nothing refers to any more go, when that pays (``prune``)."""

    spent_after: int = Field(default=6, ge=1)
    """Steps of the model after which a result counts as old."""

    episodes: bool = True
    """Finished stretches of the conversation that nothing since refers to go, when that pays (``prune``)."""

    relevance: str = Field(default="auto", min_length=1)
    """By what it is told whether something belongs to what is talked about now: ``"lexical"``, by words; a model of
    sentence-transformers, by name or folder, by meaning as well; ``"auto"``: such a model in mode ``prune`` where
    ``ctxkit[semantic]`` is installed and one is at hand; nothing is downloaded (see docs/how-to/relevance.md)."""

    relevance_wait: float = Field(default=0.0, ge=0.0, le=5.0)
    """Seconds that a ranking may wait for vectors of what was just said, all else being known; without, its words decide
    until they are there. Nothing ever waits in an event loop."""

    fit: bool = True
    """What must go so that a request fits the model's window, or stays under a price step (``prune``)."""

    max_input_tokens: int | None = Field(default=None, ge=1)
    """Most tokens a prompt may have, where that is less than the model's window (``prune``)."""

    keep_last: int = Field(default=3, ge=1)
    """Latest steps of the model that are left as they are, with everything behind them; what was over when the user began
    about something else may go at once."""

    pins: tuple[str | re.Pattern[str] | Callable[[Any], bool], ...] = ()
    """What is never removed: patterns found in a text, or callables that are given a piece and say so."""

    reminders: bool | None = None
    """What is pinned is said once more at the end of a very long prompt, where it stands far from both ends
    (``prune``). ``True``: so is what a user said for good ("always", "from now on"); ``None``: where there are pins."""

    reminders_from: int = Field(default=32_000, ge=1)
    """Tokens from which on a prompt is very long."""

    passes: tuple[Callable[..., Any], ...] = ()
    """Passes of your own: callables of ``(piece, text, before)`` for what arrives, or of ``(history)`` for what is over
    (see docs/how-to/tidy.md)."""

    holdout: float = Field(default=0.0, ge=0.0, le=0.5)
    """Share of conversations that are left as they are, so that savings are measured and not reckoned (``prune``)."""

    recall: Literal["memory", "disk", "off"] = "memory"
    """Where the text that was removed is kept for ``kit.recall`` (see docs/how-to/recall.md)."""

    recall_ttl: float = Field(default=3600.0, gt=0)
    """Seconds that it is kept after it was last sent without, or asked for."""

    @field_validator("passes")
    @classmethod
    def _callable(cls, passes: tuple[Callable[..., Any], ...]) -> tuple[Callable[..., Any], ...]:
        for one in passes:
            arrives(one)
        return passes

    @field_validator("pins")
    @classmethod
    def _compiled(cls, pins: tuple[Any, ...]) -> tuple[Any, ...]:
        try:
            return tuple(re.compile(pin) if isinstance(pin, str) else pin for pin in pins)
        except re.error as error:
            raise ValueError(f"pins: not a regular expression: {error}") from None
